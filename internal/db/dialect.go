package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Engine names a database engine.
type Engine string

// The engines.
const (
	SQLite   Engine = "sqlite"
	Postgres Engine = "postgres"
)

// ddl turns the migrations' text into the engine's.
func (e Engine) ddl(text string) string {
	if e == SQLite {
		return text
	}
	text = strings.ReplaceAll(text, "\n--pg ", "\n")
	return strings.NewReplacer(") STRICT;", ");", ") STRICT, WITHOUT ROWID;", ");", " INTEGER", " BIGINT", " BLOB", " BYTEA").Replace(text)
}

// ForUpdate is appended to a SELECT that locks its rows until the transaction ends. SQLite has one writer, which holds all.
func (e Engine) ForUpdate() string {
	if e == SQLite {
		return ""
	}
	return " FOR UPDATE"
}

// limits bound how long a node that is paused, or a statement that waits, can hold others up (PostgreSQL; set per transaction, so that a
// pooler in transaction mode keeps nothing).
const limits = `SET LOCAL lock_timeout = '2s'; SET LOCAL statement_timeout = '5s'; SET LOCAL idle_in_transaction_session_timeout = '3s'`

// Cause says what an engine's error means for the commit loop (evidence.md §2).
type Cause int

// The causes.
const (
	Other      Cause = iota
	Constraint       // a rule of a table: that change alone fails
	Busy             // a lock or a deadlock: the batch again
	Full             // no space: denied, reads go on
	Gone             // the connection, before COMMIT: reconnect, the batch again; at COMMIT: its outcome is unknown
	Broken           // I/O or corruption: stop
)

// CauseOf classifies an error of either engine.
func CauseOf(err error) Cause {
	var lite *sqlite.Error
	var pg *pgconn.PgError
	var network net.Error
	switch {
	case err == nil:
		return Other
	case errors.As(err, &lite):
		return liteCause(lite.Code() & 0xff)
	case errors.As(err, &pg):
		return pgCause(pg.Code)
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, sql.ErrConnDone), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.As(err, &network), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), pgconn.SafeToRetry(err):
		return Gone
	case strings.Contains(err.Error(), "conn closed"):
		return Gone
	}
	return Other
}

func liteCause(code int) Cause {
	switch code {
	case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG:
		return Constraint
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return Busy
	case sqlite3.SQLITE_FULL:
		return Full
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY:
		return Broken
	}
	return Other
}

// pgCause reads an SQLSTATE.
func pgCause(code string) Cause {
	switch {
	case strings.HasPrefix(code, "22"), strings.HasPrefix(code, "23"):
		return Constraint
	case code == "55P03", code == "40001", code == "40P01":
		return Busy
	case strings.HasPrefix(code, "53"): // 53100 disk_full, 53200 out_of_memory, 53300 too_many_connections
		return Full
	case strings.HasPrefix(code, "08"), strings.HasPrefix(code, "57P0"), code == "25006", code == "25P03", code == "57014":
		return Gone
	case code == "58030", strings.HasPrefix(code, "XX00"):
		return Broken
	}
	return Other
}
