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
		for _, step := range planOf(t, r, query, "default", "x") {
			if strings.Contains(step, "(workspace=?)") || strings.HasPrefix(step, "SCAN d") && !strings.HasPrefix(step, "SCAN down") {
				t.Errorf("%q in the plan of\n%s", step, query)
			}
		}
	}
}

// TestSuccessorIsFoundAmongMany: what stands in the place of a delegation is asked at each refresh, and an agent may have been lent to any number of times.
func TestSuccessorIsFoundAmongMany(t *testing.T) {
	r, w, err := db.Open(t.Context(), dbtest.SQLite(t))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if plan := planOf(t, r, replacedBy, "default", "agt_x", "dlg_x"); len(plan) != 1 || !strings.Contains(plan[0], "(workspace=? AND delegate=? AND replaces=?)") {
		t.Errorf("%q", plan)
	}
}

func planOf(t *testing.T, r *db.Reader, query string, args ...any) (plan []string) {
	t.Helper()
	rows, err := r.Rows(t.Context(), `EXPLAIN QUERY PLAN `+query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var node, parent, unused int
		var step string
		if err := rows.Scan(&node, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		plan = append(plan, step)
	}
	return plan
}
