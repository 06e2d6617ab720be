package lending_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/lending"
)

func TestLendRecordsTheStatement(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		g := open(t, dsn)
		priya, bot, deployer := person(), agent(), agent()
		first := statement(nil, priya, bot, uses(10))
		root := g.mustLend(t, first, priya)
		second := statement(&first, bot, deployer, func(st *delegation.Statement) { st.Delegate.Instance = deployer.key.Public().Thumbprint() })
		leaf := g.mustLend(t, second, bot)
		if root.Depth != 0 || root.Root != root.ID || !root.Parent.IsZero() {
			t.Errorf("root %+v", root)
		}
		chain, err := g.Chain(t.Context(), id.Default, leaf.ID)
		if err != nil || len(chain) != 2 {
			t.Fatalf("chain of %d, %v", len(chain), err)
		}
		for i, want := range []delegation.Statement{first, second} {
			digest, _ := want.Digest()
			got, _ := chain[i].Link.Statement.Digest()
			if got != digest || chain[i].Digest != digest || chain[i].Status != lending.Active || chain[i].Uses != 0 || !chain[i].CreatedAt.Equal(start) || !chain[i].EndedAt.IsZero() {
				t.Errorf("link %d: %+v", i, chain[i])
			}
		}
		if last := chain[1]; last.Parent != root.ID || last.Root != root.ID || last.Depth != 1 {
			t.Errorf("leaf %+v", last)
		}
		if err := lending.Live(chain, start); err != nil {
			t.Error(err)
		}
		digest, _ := second.Digest()
		if d, err := g.ByStatement(t.Context(), id.Default, digest); err != nil || d.ID != leaf.ID {
			t.Error(d.ID, err)
		}
	})
}

func TestLendRefuses(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		g := open(t, dsn)
		priya, bot, other := person(), agent(), agent()
		root := statement(nil, priya, bot, uses(10), func(st *delegation.Statement) { st.Task = "REL-481" })
		g.mustLend(t, root, priya)
		later := statement(nil, priya, bot, func(st *delegation.Statement) { st.NotBefore += 60 })
		g.mustLend(t, later, priya)
		gone := statement(nil, priya, bot)
		g.mustLend(t, gone, priya)
		if _, _, err := g.revoke(gone.ID); err != nil {
			t.Fatal(err)
		}
		short := statement(nil, priya, bot, func(st *delegation.Statement) { st.MaxDepth = 0 })
		g.mustLend(t, short, priya)
		unknown := statement(nil, priya, bot)
		elsewhere := func(st *delegation.Statement) { st.Workspace, _ = id.ParseWorkspace("acme") }
		for _, c := range []struct {
			name, code string
			by         party
			st         delegation.Statement
		}{
			{"expired", "delegation_expired", priya, statement(nil, priya, bot, func(st *delegation.Statement) { st.NotBefore -= 7200; st.ExpiresAt = start.Unix() })},
			{"an id that is taken", "statement_used", priya, statement(nil, priya, other, func(st *delegation.Statement) { st.ID = root.ID })},
			{"an id that is taken by another workspace", "statement_used", priya, statement(nil, priya, other, elsewhere, func(st *delegation.Statement) { st.ID = root.ID })},
			{"a parent that is not recorded", "not_found", bot, statement(&unknown, bot, other)},
			{"a parent of another workspace", "not_found", bot, statement(&root, bot, other, elsewhere)},
			{"a revoked parent", "delegation_revoked", bot, statement(&gone, bot, other)},
			{"a parent that has not begun", "delegation_not_yet", bot, statement(&later, bot, other)},
			{"another's delegation", "chain_broken", other, statement(&root, other, agent())},
			{"more permissions", "widens", bot, statement(&root, bot, other, func(st *delegation.Statement) { st.Permissions[0].Permission = "tool:*" })},
			{"longer", "widens", bot, statement(&root, bot, other, func(st *delegation.Statement) { st.ExpiresAt++ })},
			{"more uses", "widens", bot, statement(&root, bot, other, uses(11))},
			{"another task", "widens", bot, statement(&root, bot, other, func(st *delegation.Statement) { st.Task = "REL-482" })},
			{"on what may not be lent on", "widens", bot, statement(&short, bot, other, func(st *delegation.Statement) { st.MaxDepth = 0 })},
		} {
			if _, _, err := g.lend(t, c.st, c.by); err == nil {
				t.Errorf("%s: lent", c.name)
			} else {
				t.Log(c.name, ":", err)
				wantCode(t, err, c.code)
			}
		}
		if all, err := g.List(t.Context(), id.Default, lending.Query{}); err != nil || len(all) != 4 {
			t.Errorf("%d delegations are there, want the 4 that were accepted; %v", len(all), err)
		}
		err := g.Do(id.Default, func(tx *audit.Tx) error {
			sd, _ := delegation.Sign(unknown, priya.key)
			link, err := delegation.Countersign(sd, delegation.DelegatorKey{JWK: priya.key.Public()}, tx.Now(), tx.Rev(), g.server)
			if err != nil {
				return err
			}
			_, _, err = g.Lend(tx, id.Server, link)
			return err
		})
		wantCode(t, err, "workspace_mismatch")
	})
}

func TestLendOnceHoweverOften(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		g := open(t, dsn)
		priya, bot := person(), agent()
		st := statement(nil, priya, bot)
		d := g.mustLend(t, st, priya)
		again, fresh, err := g.lend(t, st, priya)
		if err != nil || fresh || again.ID != d.ID {
			t.Fatalf("fresh %v, %v", fresh, err)
		}
		child := statement(&st, bot, agent())
		g.mustLend(t, child, bot)
		if _, _, err := g.revoke(d.ID); err != nil {
			t.Fatal(err)
		}
		g.Pass(3 * time.Hour)
		for _, c := range []struct {
			st delegation.Statement
			by party
		}{{st, priya}, {child, bot}} {
			again, fresh, err = g.lend(t, c.st, c.by)
			if err != nil || fresh || again.Status != lending.Revoked {
				t.Errorf("a statement that was revoked and is lent again: fresh %v, status %s, %v", fresh, again.Status, err)
			}
		}
	})
}

func TestChainEndsAtEight(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		g := open(t, dsn)
		chain, last, holder := g.line(t, delegation.MaxLinks, nil)
		all, err := g.Chain(t.Context(), id.Default, chain[len(chain)-1])
		if err != nil || len(all) != delegation.MaxLinks {
			t.Fatalf("%d links, %v", len(all), err)
		}
		for i, d := range all {
			if d.ID != chain[i] {
				t.Errorf("link %d is %s", i, d.ID)
			}
		}
		_, _, err = g.lend(t, statement(&last, holder, agent()), holder)
		wantCode(t, err, "delegation_too_deep")
	})
}

func TestLiveNamesTheLink(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		g := open(t, dsn)
		ids, _, _ := g.line(t, 3, func(i int, st *delegation.Statement) {
			if i == 1 {
				st.NotBefore, st.ExpiresAt, st.MaxUses = st.NotBefore+60, st.ExpiresAt-60, ptr(2)
			}
			if i == 2 { // lent while the middle is already live
				g.Pass(time.Minute)
			}
		})
		chain, err := g.Chain(t.Context(), id.Default, ids[2])
		if err != nil {
			t.Fatal(err)
		}
		end := start.Add(2*time.Hour - time.Minute)
		for _, c := range []struct {
			name, code string
			at         time.Time
			edit       func(chain []lending.Delegation) []lending.Delegation
		}{
			{"all live", "", start.Add(time.Minute), nil},
			{"the last moment", "", end.Add(-time.Microsecond), nil},
			{"before it begins", "delegation_not_yet", start.Add(time.Minute - time.Microsecond), nil},
			{"at its end", "delegation_expired", end, nil},
			{"one use left", "", end.Add(-1), func(c []lending.Delegation) []lending.Delegation { c[1].Uses = 1; return c }},
			{"no use left", "delegation_exhausted", end.Add(-1), func(c []lending.Delegation) []lending.Delegation { c[1].Uses = 2; return c }},
			{"exhausted", "delegation_exhausted", end.Add(-1), func(c []lending.Delegation) []lending.Delegation { c[1].Status = lending.Exhausted; return c }},
			{"revoked", "delegation_revoked", end.Add(-1), func(c []lending.Delegation) []lending.Delegation { c[1].Status = lending.Revoked; return c }},
			{"revoked and expired", "delegation_revoked", end, func(c []lending.Delegation) []lending.Delegation { c[1].Status = lending.Revoked; return c }},
			{"a status that nobody knows", "delegation_revoked", end.Add(-1), func(c []lending.Delegation) []lending.Delegation { c[1].Status = "paused"; return c }},
			{"without its root", "delegation_broken", end.Add(-1), func(c []lending.Delegation) []lending.Delegation { return c[1:] }},
			{"without its middle", "delegation_broken", end.Add(-1), func(c []lending.Delegation) []lending.Delegation { return slices.Delete(c, 1, 2) }},
			{"upside down", "delegation_broken", end.Add(-1), func(c []lending.Delegation) []lending.Delegation { slices.Reverse(c); return c }},
			{"nothing", "delegation_broken", end.Add(-1), func([]lending.Delegation) []lending.Delegation { return nil }},
		} {
			links := slices.Clone(chain)
			if c.edit != nil {
				links = c.edit(links)
			}
			err := lending.Live(links, c.at)
			if c.code == "" && err != nil || c.code != "" && err == nil {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			wantCode(t, err, c.code)
			if c.code != "" && c.code != "delegation_broken" && !strings.Contains(err.Error(), ids[1].String()+" (link 2 of 3)") {
				t.Errorf("%s: %v does not name the link", c.name, err)
			}
		}
		if s := chain[1].StatusAt(end); s != lending.Expired {
			t.Errorf("status %s at its end", s)
		}
		if s := chain[1].StatusAt(end.Add(-1)); s != lending.Active {
			t.Errorf("status %s just before its end", s)
		}
	})
}

func ptr(n int64) *int64 { return &n }

func TestUseSpendsEveryLinkThatCounts(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		g := open(t, dsn)
		chain, _, _ := g.line(t, 4, func(i int, st *delegation.Statement) {
			st.MaxUses = []*int64{ptr(5), nil, ptr(2), nil}[i]
		})
		counts := func(want ...int64) {
			t.Helper()
			all, err := g.Chain(t.Context(), id.Default, chain[3])
			if err != nil {
				t.Fatal(err)
			}
			for i, d := range all {
				if d.Uses != want[i] {
					t.Errorf("link %d was used %d times, want %d", i, d.Uses, want[i])
				}
			}
		}
		left, exhausted, _, err := g.use(chain...)
		if err != nil || *left != 1 || exhausted != nil {
			t.Fatal(left, exhausted, err)
		}
		counts(1, 0, 1, 0)
		left, exhausted, _, err = g.use(chain...)
		if err != nil || *left != 0 || !slices.Equal(exhausted, chain[2:3]) {
			t.Fatal(left, exhausted, err)
		}
		_, _, _, err = g.use(chain...)
		wantCode(t, err, "delegation_exhausted")
		counts(2, 0, 2, 0)
		if left, _, _, err = g.use(chain[:2]...); err != nil || *left != 2 {
			t.Error("what is above the exhausted link:", left, err)
		}
		counts(3, 0, 2, 0)
		free, _, _ := g.line(t, 2, nil)
		if left, exhausted, _, err = g.use(free...); err != nil || left != nil || exhausted != nil {
			t.Error("a chain that does not count:", left, exhausted, err)
		}
		for name, c := range map[string]struct {
			code  string
			chain []id.Delegation
		}{
			"no chain":          {"delegation_broken", nil},
			"without its root":  {"delegation_broken", chain[1:2]},
			"with a link twice": {"not_found", []id.Delegation{chain[0], chain[0]}},
			"of two trees":      {"delegation_broken", []id.Delegation{chain[0], free[1]}},
			"unknown":           {"not_found", []id.Delegation{id.New[id.Delegation](start)}},
			"too long":          {"delegation_broken", slices.Repeat(chain[:1], 9)},
		} {
			_, _, _, err := g.use(c.chain...)
			t.Log(name, err)
			wantCode(t, err, c.code)
		}
		err = g.Do(id.Default, func(tx *audit.Tx) error {
			_, _, err := g.Use(tx, id.Server, chain[:2])
			return err
		})
		wantCode(t, err, "not_found")
		g.Pass(2 * time.Hour)
		_, _, _, err = g.use(chain[:2]...)
		wantCode(t, err, "delegation_expired")
		counts(3, 0, 2, 0)
	})
}
