package db

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"
)

func openFile(t *testing.T) (*Reader, *Writer) {
	t.Helper()
	r, w, err := Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "data", "attorn.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return r, w
}

// TestStatementsAreKept: a text is compiled once, within transactions too, where it is from the second one on.
func TestStatementsAreKept(t *testing.T) {
	r, w := openFile(t)
	const query = `SELECT version FROM schema_version WHERE one = $1`
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			var n int
			if err := r.Row(t.Context(), query, 1).Scan(&n); err != nil || n == 0 {
				t.Error(n, err)
			}
		})
	}
	all.Wait()
	if len(r.statements.kept) != 1 || r.Work().Statements != 64 {
		t.Error(len(r.statements.kept), r.Work())
	}
	for n := range 3 {
		tx, err := w.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			var v int
			if err := tx.QueryRowContext(t.Context(), query, 1).Scan(&v); err != nil || v == 0 {
				t.Error(v, err)
			}
		}
		if got := len(tx.bound); got != min(n, 1) {
			t.Errorf("transaction %d had %d prepared statements", n, got)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.Work(); got != (Work{Statements: 6, Commits: 3}) {
		t.Error(got)
	}
}

// TestStatementsAreBounded: texts without end are run, and not kept.
func TestStatementsAreBounded(t *testing.T) {
	r, w := openFile(t)
	for n := range maxStatements + 50 {
		var got int
		if err := r.Row(t.Context(), fmt.Sprintf(`SELECT %d`, n)).Scan(&got); err != nil || got != n {
			t.Fatal(got, err)
		}
		tx, err := w.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := tx.QueryRowContext(t.Context(), fmt.Sprintf(`SELECT %d`, n)).Scan(&got); err != nil || got != n {
			t.Fatal(got, err)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	if r, w := len(r.statements.kept), len(w.statements.kept); r > maxStatements || w > maxStatements {
		t.Error(r, w)
	}
}

// TestStatementsThatFail: what cannot be prepared fails where it runs, each time, and a failure is not the statement's end.
func TestStatementsThatFail(t *testing.T) {
	r, _ := openFile(t)
	for range 2 {
		if _, err := r.Rows(t.Context(), `SELECT nothing FROM nowhere`); err == nil {
			t.Error("it ran")
		}
		if _, err := r.Rows(t.Context(), `SELECT $1, $2`, 1); err == nil {
			t.Error("an argument was missing")
		}
		var a, b int
		if err := r.Row(t.Context(), `SELECT $1, $2`, 1, 2).Scan(&a, &b); err != nil || a != 1 || b != 2 {
			t.Error(a, b, err)
		}
	}
}
