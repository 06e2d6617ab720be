// Package dbtest gives tests an empty database of each engine: SQLite always, PostgreSQL where ATTORN_TEST_POSTGRES names a server, as
// `make test` arranges.
package dbtest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// Each runs test once per engine, with the address of an empty database of its own.
func Each(t *testing.T, test func(t *testing.T, dsn string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, SQLite(t)) })
	if os.Getenv("ATTORN_TEST_POSTGRES") == "" {
		t.Log("ATTORN_TEST_POSTGRES is not set: PostgreSQL not tried (make test starts one)")
		return
	}
	t.Run("postgres", func(t *testing.T) { test(t, Postgres(t)) })
}

// SQLite is the address of a new file in the test's own directory.
func SQLite(t testing.TB) string {
	return "sqlite:" + filepath.Join(t.TempDir(), "data", "attorn.db")
}

// Postgres makes a database on the test server and drops it when the test ends.
func Postgres(t testing.TB) string {
	t.Helper()
	server := os.Getenv("ATTORN_TEST_POSTGRES")
	admin, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	name := "t_" + strings.ToLower(rand.Text()[:16])
	if _, err := admin.ExecContext(context.Background(), "CREATE DATABASE "+name); err != nil {
		t.Fatalf("make a database on the test server: %v", err)
	}
	t.Cleanup(func() {
		if _, err := admin.ExecContext(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("drop %s: %v", name, err)
		}
		admin.Close()
	})
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}
