package lending_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/lending"
)

func TestRevokeEndsTheSubtree(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		g := open(t, dsn)
		chain, _, _ := g.line(t, 4, func(i int, st *delegation.Statement) {
			if i == 2 {
				st.MaxUses = ptr(1)
			}
		})
		if _, _, _, err := g.use(chain...); err != nil { // the third is exhausted: it and what is below it are ended all the same
			t.Fatal(err)
		}
		if err := g.Do(id.Default, func(tx *audit.Tx) error { _, err := g.Revoke(tx, id.Server, chain[1], "x", ""); return err }); err == nil {
			t.Error("revoked from another workspace")
		}
		ended, _, err := g.revoke(chain[1])
		slices.SortFunc(ended, func(a, b id.Delegation) int { return slices.Index(chain, a) - slices.Index(chain, b) })
		if err != nil || !slices.Equal(ended, chain[1:]) {
			t.Fatal(ended, err)
		}
		all, err := g.Chain(t.Context(), id.Default, chain[3])
		if err != nil {
			t.Fatal(err)
		}
		for i, d := range all {
			want := lending.Revoked
			if i == 0 {
				want = lending.Active
			}
			if d.Status != want || (i > 0) != (d.EndedBy == "usr_x" && d.EndedWhy == "no longer needed" && d.EndedAt.Equal(start)) {
				t.Errorf("link %d: %s by %q because %q at %s", i, d.Status, d.EndedBy, d.EndedWhy, d.EndedAt)
			}
		}
		if ended, _, err = g.revoke(chain[1]); err != nil || ended != nil {
			t.Error("the second time it ended", ended, err)
		}
		_, _, _, err = g.use(chain...)
		wantCode(t, err, "delegation_revoked")
		_, _, err = g.revoke(id.New[id.Delegation](start))
		wantCode(t, err, "not_found")
		for _, why := range []string{"a\x00b", "\xff", strings.Repeat("x", 501)} {
			err = g.Do(id.Default, func(tx *audit.Tx) error { _, err := g.Revoke(tx, id.Default, chain[0], "x", why); return err })
			wantCode(t, err, "reason_invalid")
			err = g.Do(id.Default, func(tx *audit.Tx) error {
				_, err := g.RevokeAll(tx, id.Default, lending.Of{Principals: []string{"usr_x"}}, "x", why)
				return err
			})
			wantCode(t, err, "reason_invalid")
		}
	})
}

func TestRevokeAllEndsWhatThePrincipalLentAndWasLent(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		g := open(t, dsn)
		priya, maya, bot, worker, last := person(), person(), agent(), agent(), agent()
		twin := party{agent: bot.agent, key: newKey()} // another instance of bot
		lend := func(parent *delegation.Statement, by, to party, edits ...func(*delegation.Statement)) delegation.Statement {
			st := statement(parent, by, to, edits...)
			g.mustLend(t, st, by)
			return st
		}
		toInstance := func(p party) func(*delegation.Statement) {
			return func(st *delegation.Statement) { st.Delegate.Instance = p.key.Public().Thumbprint() }
		}
		priyas := lend(nil, priya, bot)
		mayas := lend(nil, maya, worker)
		byBot := lend(&priyas, bot, worker)
		byTwin := lend(&priyas, twin, worker)
		deep := lend(&byBot, worker, last)
		bound := lend(nil, maya, bot, toInstance(bot))
		revokeOf := func(principal string, instance id.Key) (ended []string) {
			t.Helper()
			err := g.Do(id.Default, func(tx *audit.Tx) error {
				of := lending.Of{Principals: []string{principal, principal}}
				if !instance.IsZero() {
					of = lending.Of{Keys: []id.Key{instance, instance}}
				}
				standing, _, err := g.Standing(tx, id.Default, of)
				if err != nil {
					return err
				}
				all, err := g.RevokeAll(tx, id.Default, of, "server", "suspended")
				if !sameIDs(standing, all) {
					t.Errorf("%v stood, %v ended", standing, all)
				}
				ended = nil
				for _, d := range all {
					ended = append(ended, d.String())
				}
				slices.Sort(ended)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return ended
		}
		want := func(got []string, sts ...delegation.Statement) {
			t.Helper()
			var ids []string
			for _, st := range sts {
				ids = append(ids, st.ID.String())
			}
			slices.Sort(ids)
			if !slices.Equal(got, ids) {
				t.Errorf("ended %v, want %v", got, ids)
			}
		}
		want(revokeOf(worker.name(), worker.key.Public().Thumbprint()), deep) // what that instance signed, not what its agent was lent
		want(revokeOf(bot.name(), bot.key.Public().Thumbprint()), byBot, bound)
		want(revokeOf(priya.name(), id.Key{}), priyas, byTwin)
		want(revokeOf(worker.name(), id.Key{}), mayas)
		want(revokeOf(worker.name(), id.Key{}))
		want(revokeOf(maya.name(), id.Key{}))
	})
}

func sameIDs(a, b []id.Delegation) bool {
	byID := func(x, y id.Delegation) int { return strings.Compare(x.String(), y.String()) }
	return slices.Equal(slices.SortedFunc(slices.Values(a), byID), slices.SortedFunc(slices.Values(b), byID))
}

func TestListsAndTrees(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		g := open(t, dsn)
		priya, maya, bot, worker := person(), person(), agent(), agent()
		task := func(st *delegation.Statement) { st.Task = "REL-481" }
		var roots []string
		for range 5 {
			st := statement(nil, priya, bot, task)
			g.mustLend(t, st, priya)
			roots = append(roots, st.ID.String())
		}
		slices.Sort(roots)
		slices.Reverse(roots)
		other := statement(nil, maya, bot)
		g.mustLend(t, other, maya)
		child := statement(&other, bot, worker, task)
		g.mustLend(t, child, bot)
		list := func(q lending.Query) (ids []string) {
			t.Helper()
			all, err := g.List(t.Context(), id.Default, q)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range all {
				ids = append(ids, d.ID.String())
			}
			return ids
		}
		if got := list(lending.Query{Delegator: priya.name()}); !slices.Equal(got, roots) {
			t.Errorf("by Priya: %v, want %v", got, roots)
		}
		if got := list(lending.Query{Delegate: bot.name(), Delegator: maya.name()}); !slices.Equal(got, []string{other.ID.String()}) {
			t.Errorf("by Maya to bot: %v", got)
		}
		if got := list(lending.Query{Task: "REL-481", Delegate: worker.name()}); !slices.Equal(got, []string{child.ID.String()}) {
			t.Errorf("for the task to worker: %v", got)
		}
		if got := list(lending.Query{Task: "REL-481"}); len(got) != 6 {
			t.Errorf("%d for the task", len(got))
		}
		if got := list(lending.Query{Parent: other.ID}); !slices.Equal(got, []string{child.ID.String()}) {
			t.Errorf("under Maya's: %v", got)
		}
		var paged []string
		for q := (lending.Query{Delegator: priya.name(), Limit: 2}); ; {
			page := list(q)
			if len(page) == 0 {
				break
			}
			paged = append(paged, page...)
			q.Before = id.Must[id.Delegation](page[len(page)-1])
		}
		if !slices.Equal(paged, roots) {
			t.Errorf("paged %v", paged)
		}
		if all, err := g.List(t.Context(), id.Server, lending.Query{}); err != nil || len(all) != 0 {
			t.Errorf("another workspace lists %d, %v", len(all), err)
		}
		tree, more, err := g.Tree(t.Context(), id.Default, other.ID)
		if err != nil || more || len(tree) != 2 || tree[0].ID != other.ID || tree[1].ID != child.ID {
			t.Errorf("tree of %d, %v", len(tree), err)
		}
		if _, _, err := g.Tree(t.Context(), id.Server, other.ID); err == nil {
			t.Error("another workspace sees the tree")
		}
		for _, read := range []func() error{
			func() error { _, err := g.Get(t.Context(), id.Server, other.ID); return err },
			func() error { _, err := g.Chain(t.Context(), id.Server, child.ID); return err },
			func() error {
				digest, _ := other.Digest()
				_, err := g.ByStatement(t.Context(), id.Server, digest)
				return err
			},
		} {
			wantCode(t, read(), "not_found")
		}
	})
}
