package tickets_test

import (
	"testing"
	"time"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/tickets"
)

// TestTablesDoNotGrowForEver: what is long past goes when something new comes, with nobody to call for it.
func TestTablesDoNotGrowForEver(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		for i := range 50 {
			r.issue(t, tickets.Challenge, time.Minute)
			if err := r.Do(id.Default, func(tx *audit.Tx) error { return r.End(tx, id.Default, string(rune('a'+i)), tx.Now().Add(time.Minute)) }); err != nil {
				t.Fatal(err)
			}
		}
		r.Pass(48 * time.Hour)
		r.issue(t, tickets.Challenge, time.Minute)
		for table, want := range map[string]int{"ticket": 1, "ended_token": 0} {
			var n int
			if err := r.Reader.Row(t.Context(), `SELECT count(*) FROM `+table).Scan(&n); err != nil || n != want {
				t.Errorf("%s has %d rows, want %d; %v", table, n, want, err)
			}
		}
	})
}
