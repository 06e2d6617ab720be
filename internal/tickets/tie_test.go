package tickets_test

import (
	"errors"
	"testing"
	"time"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/audit/audittest"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/tickets"
)

// Of 64 people who open one consent on two nodes, it becomes one person's.
func TestTieOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		nodes := audittest.Nodes(t, dsn, open)
		r := nodes[0]
		var secret string
		if err := r.Do(id.Default, func(tx *audit.Tx) (err error) {
			secret, err = r.Issue(tx, tickets.Ticket{Kind: tickets.Consent, Workspace: id.Default}, time.Minute)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		tie := func(r rig, kind tickets.Kind, who string) (ok bool) {
			if err := r.Log.Keep(t.Context(), func(tx *audit.Tx) (err error) { ok, err = r.Tie(tx, kind, secret, who); return err }); err != nil {
				t.Error(err)
			}
			return ok
		}
		if tie(r, tickets.Code, "usr_x") {
			t.Error("tied as another kind")
		}
		got := audittest.Together(t, nodes, 64, func(r rig, n int) error {
			if !tie(r, tickets.Consent, "usr_"+string(rune('A'+n))) {
				return errors.New("another has it")
			}
			return nil
		})
		if got[""] != 1 {
			t.Error(got)
		}
		at, err := r.Peek(t.Context(), tickets.Consent, secret, r.Now())
		if err != nil || at.Subject == "" || !tie(r, tickets.Consent, at.Subject) || tie(r, tickets.Consent, "usr_else") {
			t.Errorf("%+v, %v", at, err)
		}
		r.Pass(time.Minute)
		if tie(r, tickets.Consent, at.Subject) {
			t.Error("tied too late")
		}
	})
}
