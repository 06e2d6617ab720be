package lending_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/lending"
)

// Of what a person lent: what lives with all that descends from it, what ended lately, and nothing of anybody else or of another workspace.
func TestLentBy(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		g := open(t, dsn)
		me, other, a, b := person(), person(), agent(), agent()
		lend := func(by party, edits ...func(*delegation.Statement)) delegation.Statement {
			st := statement(nil, by, a, edits...)
			g.mustLend(t, st, by)
			g.Pass(time.Second)
			return st
		}
		first := lend(me)
		child := statement(&first, a, b)
		g.mustLend(t, child, a)
		later := lend(me, func(st *delegation.Statement) { st.NotBefore += 3600; st.ExpiresAt += 3600 })
		short := lend(me, func(st *delegation.Statement) { st.ExpiresAt = st.NotBefore + 60 })
		revoked := lend(me)
		if _, _, err := g.revoke(revoked.ID); err != nil {
			t.Fatal(err)
		}
		once := lend(me, uses(1))
		if _, _, _, err := g.use(once.ID); err != nil {
			t.Fatal(err)
		}
		lend(other)
		g.Pass(2 * time.Minute)

		check := func(what string, got []lending.Delegation, want ...id.Delegation) {
			t.Helper()
			var ids []id.Delegation
			for _, d := range got {
				ids = append(ids, d.ID)
			}
			if !slices.Equal(ids, want) {
				t.Errorf("%s: %v, want %v", what, ids, want)
			}
		}
		read := func(ws id.Workspace, since time.Duration, limit int) lending.Lent {
			t.Helper()
			got, err := g.LentBy(t.Context(), ws, me.user, g.Now().Add(-since), g.Now(), limit)
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		got := read(id.Default, time.Hour, 10)
		if got.More {
			t.Error("there is said to be more")
		}
		check("live", got.Live, newest(later.ID, first.ID)...)
		check("under", got.Under, child.ID)
		check("ended", got.Ended, newest(short.ID, revoked.ID, once.ID)...)
		got = read(id.Default, time.Second, 1)
		check("one of the live", got.Live, newest(later.ID, first.ID)[0])
		check("ended in the last second", got.Ended)
		if !got.More {
			t.Error("there is said to be no more")
		}
		got = read(id.Server, time.Hour, 10)
		check("in another workspace", slices.Concat(got.Live, got.Ended, got.Under))
	})
}

// newest orders ids as a list that shows the newest first does.
func newest(all ...id.Delegation) []id.Delegation {
	slices.SortFunc(all, func(a, b id.Delegation) int { return strings.Compare(b.String(), a.String()) })
	return all
}
