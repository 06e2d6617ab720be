package db

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/attorn/attorn/fault"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// Reader reads. On SQLite its connections are opened read-only.
type Reader struct {
	db         *sql.DB
	engine     Engine
	statements *statements
}

// Rows runs a query.
func (r *Reader) Rows(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	r.statements.run.Add(1)
	if st := r.statements.prepare(ctx, query); st != nil {
		return st.QueryContext(ctx, args...)
	}
	return r.db.QueryContext(ctx, query, args...)
}

// Row runs a query for at most one row.
func (r *Reader) Row(ctx context.Context, query string, args ...any) *sql.Row {
	r.statements.run.Add(1)
	if st := r.statements.prepare(ctx, query); st != nil {
		return st.QueryRowContext(ctx, args...)
	}
	return r.db.QueryRowContext(ctx, query, args...)
}

// Engine says which engine it reads.
func (r *Reader) Engine() Engine { return r.engine }

// Writer begins transactions. Package audit alone is given one.
type Writer struct {
	db         *sql.DB
	engine     Engine
	lock       *os.File
	read       *sql.DB
	statements *statements
	commits    atomic.Int64
}

// Begin starts the transaction of a batch: on SQLite it holds the one write lock from the start, on PostgreSQL it is bounded by time limits.
func (w *Writer) Begin(ctx context.Context) (*Tx, error) {
	w.statements.prepareWanted(ctx)
	tx, err := w.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	if w.engine == SQLite {
		return &Tx{Tx: tx, writer: w}, nil
	}
	for stmt := range strings.SplitSeq(limits, ";") {
		if _, err := tx.ExecContext(ctx, stmt); err != nil {
			tx.Rollback()
			return nil, err
		}
	}
	return &Tx{Tx: tx, writer: w}, nil
}

// Engine says which engine it writes.
func (w *Writer) Engine() Engine { return w.engine }

// Close ends every connection, the Reader's too, and gives the lock file back.
func (w *Writer) Close() error {
	err := w.db.Close()
	if w.read != w.db {
		w.read.Close()
	}
	if w.lock != nil {
		w.lock.Close()
	}
	return err
}

// Open opens the database that dsn names, brings its schema up to date, and returns the two capabilities. dsn is "sqlite:PATH" or
// "postgres://…". Errors: storage_locked when another process has the SQLite file open, storage_open when others can read it, schema_newer when a newer attorn wrote it.
func Open(ctx context.Context, dsn string) (*Reader, *Writer, error) {
	var r *Reader
	var w *Writer
	var err error
	path, lite := strings.CutPrefix(dsn, "sqlite:")
	switch {
	case lite:
		r, w, err = openSQLite(path)
	case strings.HasPrefix(dsn, "postgres://"), strings.HasPrefix(dsn, "postgresql://"):
		r, w, err = openPostgres(dsn)
	default:
		return nil, nil, fault.New(fault.Invalid, "storage_dsn", "the storage address is neither sqlite:PATH nor postgres://…")
	}
	if err != nil {
		return nil, nil, err
	}
	if err := migrate(ctx, w); err != nil {
		w.Close()
		return nil, nil, err
	}
	return r, w, nil
}

func openSQLite(path string) (*Reader, *Writer, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("make the data directory: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "attorn.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("open the lock file: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return nil, nil, fault.Wrap(err, fault.Conflict, "storage_locked", "another process has the database in %s open", dir).
			Try("stop it, or use another data directory")
	}
	// Made here so that the mode is ours, not the umask's: the engine gives the WAL the mode of the file.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		lock.Close()
		return nil, nil, fmt.Errorf("open the database: %w", err)
	}
	info, err := f.Stat()
	f.Close()
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		err = fault.New(fault.Invalid, "storage_open", "others can read the database %s", path).Try("chmod 600 %s", path)
	}
	if err != nil {
		lock.Close()
		return nil, nil, err
	}
	base := (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath()}).String()
	common := "_pragma=busy_timeout(5000)&_pragma=foreign_keys(ON)&_pragma=temp_store(MEMORY)"
	wdb, err := sql.Open("sqlite", base+"?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=secure_delete(ON)"+
		// A page that many commits write is copied into the file once for 32 MB of log; what the indexes write to stays in memory.
		"&_pragma=wal_autocheckpoint(8192)&_pragma=cache_size(-65536)&"+common)
	if err != nil {
		lock.Close()
		return nil, nil, err
	}
	wdb.SetMaxOpenConns(1) // the one writer
	rdb, err := sql.Open("sqlite", base+"?_pragma=query_only(ON)&"+common)
	if err != nil {
		wdb.Close()
		lock.Close()
		return nil, nil, err
	}
	rdb.SetMaxOpenConns(8)
	rdb.SetMaxIdleConns(8)
	return &Reader{rdb, SQLite, newStatements(rdb, SQLite)}, &Writer{db: wdb, engine: SQLite, lock: lock, read: rdb, statements: newStatements(wdb, SQLite)}, nil
}

func openPostgres(dsn string) (*Reader, *Writer, error) {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, nil, fault.New(fault.Invalid, "storage_dsn", "the PostgreSQL address cannot be read").Try("give it as postgres://user@host:port/database")
	}
	// Descriptions are cached, statements are not prepared on the server: a pooler in transaction mode works.
	cfg.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	pool := stdlib.OpenDB(*cfg)
	pool.SetMaxOpenConns(16)
	pool.SetMaxIdleConns(16)
	return &Reader{pool, Postgres, newStatements(pool, Postgres)}, &Writer{db: pool, engine: Postgres, read: pool, statements: newStatements(pool, Postgres)}, nil
}
