package lending

import (
	"strings"
	"testing"

	"github.com/attorn/attorn/internal/db"
	"github.com/attorn/attorn/internal/db/dbtest"
)

// TestWalksFollowTheTree: whatever walks up or down goes from one link to the next, by an index, and does not look through all of a workspace.
func TestWalksFollowTheTree(t *testing.T) {
	r, w, err := db.Open(t.Context(), dbtest.SQLite(t))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	walks := []string{
		strings.Replace(up, "%", "id", 1), strings.Replace(up, "%", "statement", 1), down + ` SELECT id FROM delegation WHERE id IN (SELECT id FROM down)`,
	}
	seeds := func(seed string, _ []any) error {
		walks = append(walks, seed+` SELECT id FROM delegation WHERE id IN (SELECT id FROM down)`)
		return nil
	}
	if err := (Of{Principals: []string{"usr_x"}}).each(seeds); err != nil {
		t.Fatal(err)
	}
	for _, query := range walks {
		rows, err := r.Rows(t.Context(), `EXPLAIN QUERY PLAN `+query, "default", "x")
		if err != nil {
			t.Fatal(err)
		}
		var plan []string
		for rows.Next() {
			var node, parent, unused int
			var step string
			if err := rows.Scan(&node, &parent, &unused, &step); err != nil {
				t.Fatal(err)
			}
			plan = append(plan, step)
		}
		rows.Close()
		for _, step := range plan {
			if strings.Contains(step, "(workspace=?)") || strings.HasPrefix(step, "SCAN d") && !strings.HasPrefix(step, "SCAN down") {
				t.Errorf("%q in the plan of\n%s", step, query)
			}
		}
	}
}
