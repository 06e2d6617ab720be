package db

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/attorn/attorn/fault"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate runs what is missing, each migration in a transaction of its own under the lock of the schema's row. Forward only.
func migrate(ctx context.Context, w *Writer) error {
	names, err := fs.Glob(migrations, "migrations/*.sql") // sorted
	if err != nil {
		return err
	}
	const version = `CREATE TABLE IF NOT EXISTS schema_version (one INTEGER PRIMARY KEY, version INTEGER NOT NULL) STRICT;`
	if _, err = w.db.ExecContext(ctx, w.engine.ddl(version)); err != nil { // of two nodes' first starts at once PostgreSQL fails one, the first time
		_, err = w.db.ExecContext(ctx, w.engine.ddl(version))
	}
	if err != nil {
		return fmt.Errorf("prepare the schema: %w", err)
	}
	for {
		done, err := step(ctx, w, names)
		if err != nil || done {
			return err
		}
	}
}

// step runs the next migration, if one is missing.
func step(ctx context.Context, w *Writer, names []string) (done bool, err error) {
	tx, err := w.db.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, `INSERT INTO schema_version (one, version) VALUES (1, 0) ON CONFLICT DO NOTHING`); err != nil {
		return false, err
	}
	var have int
	err = tx.QueryRowContext(ctx, `SELECT version FROM schema_version WHERE one = 1`+w.engine.ForUpdate()).Scan(&have)
	if errors.Is(err, sql.ErrNoRows) {
		return false, errors.New("the schema's version is gone")
	} else if err != nil {
		return false, err
	}
	switch {
	case have > len(names):
		return false, fault.New(fault.Conflict, "schema_newer", "the database has schema %d; this attorn knows up to %d", have, len(names)).
			Try("start the newer version that wrote it")
	case have == len(names):
		return true, nil
	}
	text, err := migrations.ReadFile(names[have])
	if err != nil {
		return false, err
	}
	for stmt := range strings.SplitSeq(w.engine.ddl("\n"+string(text)), ";\n") {
		if strings.TrimSpace(stmt) == "" {
			continue
		}
		if _, err := tx.ExecContext(ctx, stmt); err != nil {
			return false, fmt.Errorf("migration %s: %w", names[have], err)
		}
	}
	if _, err := tx.ExecContext(ctx, `UPDATE schema_version SET version = $1 WHERE one = 1`, have+1); err != nil {
		return false, err
	}
	return false, tx.Commit()
}
