// Package dbtest gives tests an empty database of each engine: SQLite always, PostgreSQL where ATTORN_TEST_POSTGRES names a server, as
// `make test` arranges. The role of that address makes schemas in its database, and leaves nothing behind.
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
	"time"

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

// Postgres makes a schema on the test server and drops it when the test ends. For what attorn does a schema of its own is as good as a database
// of its own, and making one copies nothing.
func Postgres(t testing.TB) string {
	t.Helper()
	server := os.Getenv("ATTORN_TEST_POSTGRES")
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	admin, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	name := "t_" + strings.ToLower(rand.Text()[:16])
	if _, err := admin.ExecContext(context.Background(), "CREATE SCHEMA "+name); err != nil {
		t.Fatalf("make a schema on the test server: %v", err)
	}
	t.Cleanup(func() {
		defer admin.Close()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		// A connection that the test left behind may be in a transaction, which the drop would wait for.
		_, err := admin.ExecContext(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", name)
		if err == nil {
			_, err = admin.ExecContext(ctx, "DROP SCHEMA "+name+" CASCADE")
		}
		if err != nil {
			t.Errorf("drop %s: %v", name, err)
		}
	})
	q := u.Query()
	q.Set("search_path", name)
	q.Set("application_name", name)
	u.RawQuery = q.Encode()
	return u.String()
}
