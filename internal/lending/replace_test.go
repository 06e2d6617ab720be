package lending_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/audit/audittest"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/lending"
)

// successor is a statement in the place of old.
func successor(old delegation.Statement, edits ...func(*delegation.Statement)) delegation.Statement {
	old.ID = id.New[id.Delegation](start)
	old.Permissions = slices.Clone(old.Permissions)
	for _, edit := range edits {
		edit(&old)
	}
	return old
}

func (g *rig) replaceIn(tx *audit.Tx, old id.Delegation, st delegation.Statement, by party) (lending.Replacement, error) {
	sd, err := delegation.Sign(st, by.key)
	if err != nil {
		return lending.Replacement{}, err
	}
	link, err := delegation.Countersign(sd, delegation.DelegatorKey{JWK: by.key.Public()}, tx.Now(), tx.Rev(), g.server)
	if err != nil {
		return lending.Replacement{}, err
	}
	return g.Replace(tx, st.Workspace, old, link, by.name())
}

func (g *rig) replace(old id.Delegation, st delegation.Statement, by party) (r lending.Replacement, err error) {
	err = g.Do(id.Default, func(tx *audit.Tx) (err error) {
		r, err = g.replaceIn(tx, old, st, by)
		return err
	})
	return r, err
}

func TestReplacesHoldsEveryDimension(t *testing.T) {
	priya, bot := person(), agent()
	old := statement(nil, priya, bot, uses(10), func(st *delegation.Statement) {
		st.Permissions = []delegation.Permission{{Permission: "tool:files:*"}, {Permission: "tool:mail:send", Where: map[string]delegation.Constraint{"to": {Prefix: new("a")}}}}
		st.Task, st.Purpose, st.MaxDepth, st.Delegate.Instance = "REL-481", "ship it", 3, bot.key.Public().Thumbprint()
	})
	for _, c := range []struct {
		name, want string
		edit       func(*delegation.Statement)
	}{
		{"the same", "narrowed", func(*delegation.Statement) {}},
		{"a permission less", "narrowed", func(st *delegation.Statement) { st.Permissions = st.Permissions[:1] }},
		{"a narrower permission", "narrowed", func(st *delegation.Statement) { st.Permissions[0].Permission = "tool:files:read" }},
		{"another permission", "widens", func(st *delegation.Statement) { st.Permissions[0].Permission = "tool:shell:*" }},
		{"a constraint dropped", "widens", func(st *delegation.Statement) { st.Permissions[1].Where = nil }},
		{"begins later", "narrowed", func(st *delegation.Statement) { st.NotBefore++ }},
		{"begins earlier", "renewed", func(st *delegation.Statement) { st.NotBefore-- }},
		{"ends earlier", "narrowed", func(st *delegation.Statement) { st.ExpiresAt-- }},
		{"ends later", "renewed", func(st *delegation.Statement) { st.ExpiresAt++ }},
		{"ends later, with a permission less", "widens", func(st *delegation.Statement) { st.ExpiresAt++; st.Permissions = st.Permissions[:1] }},
		{"ends later, for another purpose", "widens", func(st *delegation.Statement) { st.ExpiresAt++; st.Purpose = "" }},
		{"ends later, with a use less", "widens", func(st *delegation.Statement) { st.ExpiresAt++; st.MaxUses = ptr(9) }},
		{"fewer hops", "narrowed", func(st *delegation.Statement) { st.MaxDepth = 0 }},
		{"a hop more", "widens", func(st *delegation.Statement) { st.MaxDepth++ }},
		{"fewer uses", "narrowed", func(st *delegation.Statement) { st.MaxUses = ptr(1) }},
		{"a use more", "widens", func(st *delegation.Statement) { st.MaxUses = ptr(11) }},
		{"no limit of uses", "widens", func(st *delegation.Statement) { st.MaxUses = nil }},
		{"another task", "widens", func(st *delegation.Statement) { st.Task = "REL-482" }},
		{"no task", "widens", func(st *delegation.Statement) { st.Task = "" }},
		{"another purpose", "narrowed", func(st *delegation.Statement) { st.Purpose = "ship half of it" }},
		{"another instance", "widens", func(st *delegation.Statement) { st.Delegate.Instance = newKey().Public().Thumbprint() }},
		{"no instance", "widens", func(st *delegation.Statement) { st.Delegate.Instance = id.Key{} }},
		{"another delegate", "not_replacement", func(st *delegation.Statement) { st.Delegate.Agent = agent().agent }},
		{"another delegator", "not_replacement", func(st *delegation.Statement) { st.Delegator.User = person().user }},
		{"another workspace", "not_replacement", func(st *delegation.Statement) { st.Workspace = id.Server }},
		{"another server", "not_replacement", func(st *delegation.Statement) { st.Issuer += "x" }},
		{"a parent", "not_replacement", func(st *delegation.Statement) { st.Parent = new(id.Sum(nil)) }},
	} {
		how, err := lending.Replaces(old, successor(old, c.edit))
		if got := string(how) + fault.Code(err); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	open := statement(nil, priya, bot)
	for name, edit := range map[string]func(*delegation.Statement){
		"a limit": uses(5), "a task": func(st *delegation.Statement) { st.Task = "x" },
		"an instance": func(st *delegation.Statement) { st.Delegate.Instance = bot.key.Public().Thumbprint() },
	} {
		if how, err := lending.Replaces(open, successor(open, edit)); how != lending.Narrowed {
			t.Errorf("%s where there was none: %s %v", name, how, err)
		}
	}
}

func TestReplaceEndsWhatWasBefore(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		g := open(t, dsn)
		priya, bot, worker := person(), agent(), agent()
		root := statement(nil, priya, bot, uses(3))
		g.mustLend(t, root, priya)
		middle := statement(&root, bot, worker)
		g.mustLend(t, middle, bot)
		leaf := statement(&middle, worker, agent())
		g.mustLend(t, leaf, worker)
		beside := statement(&root, bot, agent())
		g.mustLend(t, beside, bot)
		if _, _, _, err := g.use(root.ID, middle.ID); err != nil {
			t.Fatal(err)
		}
		next := successor(root, uses(2))
		r, err := g.replace(root.ID, next, priya)
		if err != nil || !r.Fresh || r.How != lending.Narrowed || !sameIDs(r.Ended, []id.Delegation{root.ID, middle.ID, leaf.ID, beside.ID}) {
			t.Fatalf("%+v, %v", r, err)
		}
		if r.ID != next.ID || r.Replaces != root.ID || r.Uses != 1 || r.Status != lending.Active || r.Root != next.ID || r.Depth != 0 {
			t.Errorf("the new one: %+v", r.Delegation)
		}
		for _, d := range []id.Delegation{root.ID, middle.ID, leaf.ID, beside.ID} {
			got, err := g.Get(t.Context(), id.Default, d)
			if err != nil || got.Status != lending.Revoked || got.EndedBy != priya.user.String() || got.EndedWhy != "narrowed as "+next.ID.String() {
				t.Errorf("%s afterwards: %s by %s because %q, %v", d, got.Status, got.EndedBy, got.EndedWhy, err)
			}
		}
		_, _, _, err = g.use(root.ID)
		wantCode(t, err, "delegation_revoked")

		again, err := g.replace(root.ID, next, priya)
		if err != nil || again.Fresh || again.ID != next.ID || again.How != lending.Narrowed || again.Ended != nil {
			t.Errorf("the same statement again: %+v, %v", again, err)
		}
		left, spent, _, err := g.use(next.ID) // the use before is one of its two
		if err != nil || *left != 0 || len(spent) != 1 {
			t.Error(left, spent, err)
		}
		_, _, _, err = g.use(next.ID)
		wantCode(t, err, "delegation_exhausted")
		_, err = g.replace(next.ID, successor(next, func(st *delegation.Statement) { st.ExpiresAt++ }), priya)
		wantCode(t, err, "delegation_exhausted")
	})
}

func TestReplaceRefuses(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		g := open(t, dsn)
		priya, bot, worker := person(), agent(), agent()
		root := statement(nil, priya, bot, uses(5))
		g.mustLend(t, root, priya)
		child := statement(&root, bot, worker, func(st *delegation.Statement) { st.ExpiresAt -= 60 })
		g.mustLend(t, child, bot)
		if _, _, _, err := g.use(root.ID); err != nil {
			t.Fatal(err)
		}
		taken := successor(root)
		g.mustLend(t, taken, priya)
		gone := statement(nil, priya, bot)
		g.mustLend(t, gone, priya)
		if _, _, err := g.revoke(gone.ID); err != nil {
			t.Fatal(err)
		}
		later := func(d int64) func(*delegation.Statement) { return func(st *delegation.Statement) { st.ExpiresAt += d } }
		for _, c := range []struct {
			name, code string
			old        id.Delegation
			st         delegation.Statement
			by         party
		}{
			{"nothing", "not_found", id.New[id.Delegation](start), successor(root), priya},
			{"wider", "widens", root.ID, successor(root, func(st *delegation.Statement) { st.Permissions[0].Permission = "tool:*" }), priya},
			{"no use left", "delegation_exhausted", root.ID, successor(root, uses(1)), priya},
			{"lent before, beside", "statement_used", root.ID, taken, priya},
			{"itself", "statement_used", root.ID, root, priya},
			{"an id that is taken", "statement_used", root.ID, successor(root, func(st *delegation.Statement) { st.ID = gone.ID }), priya},
			{"of what was revoked", "delegation_revoked", gone.ID, successor(gone), priya},
			{"by somebody else", "not_replacement", root.ID, statement(nil, person(), bot), priya},
			{"to somebody else", "not_replacement", root.ID, statement(nil, priya, worker), priya},
			{"a renewal longer than the parent", "widens", child.ID, successor(child, later(61)), bot},
			{"expired already", "delegation_expired", root.ID, successor(root, func(st *delegation.Statement) { st.NotBefore, st.ExpiresAt = start.Unix()-60, start.Unix() }), priya},
		} {
			if _, err := g.replace(c.old, c.st, c.by); fault.Code(err) != c.code {
				t.Errorf("%s: %v, want %s", c.name, err, c.code)
			}
		}
		if d, err := g.Get(t.Context(), id.Default, root.ID); err != nil || d.Status != lending.Active || d.Uses != 1 {
			t.Errorf("a refused replacement changed the old one: %+v, %v", d, err)
		}
		if r, err := g.replace(child.ID, successor(child, later(60)), bot); err != nil || r.How != lending.Renewed {
			t.Error("a renewal as long as the parent:", r.How, err)
		}
		g.Pass(3 * time.Hour)
		_, err := g.replace(root.ID, successor(root, later(86400)), priya)
		wantCode(t, err, "delegation_expired")
	})
}

// Of many at once exactly one takes the place of a delegation, on several nodes too; the same statement many times is one.
func TestOneTakesThePlace(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		all := audittest.Nodes(t, dsn, open)
		priya, bot := person(), agent()
		root := statement(nil, priya, bot)
		all[0].mustLend(t, root, priya)
		twice := statement(nil, priya, bot)
		all[0].mustLend(t, twice, priya)
		same := successor(twice)
		var mu sync.Mutex
		made, ended := 0, 0
		codes := audittest.Together(t, all, 64, func(g *rig, i int) error {
			old, st := root.ID, successor(root)
			if i%2 == 0 {
				old, st = twice.ID, same
			}
			r, err := g.replace(old, st, priya)
			mu.Lock()
			defer mu.Unlock()
			if err == nil && r.Fresh {
				made, ended = made+1, ended+len(r.Ended)
			}
			return err
		})
		if made != 2 || ended != 2 || codes[""] != 33 || codes["delegation_revoked"] != 31 {
			t.Errorf("%d made, %d ended; results: %v", made, ended, codes)
		}
		live, err := all[0].List(t.Context(), id.Default, lending.Query{Status: lending.Active, Now: start})
		if err != nil || len(live) != 2 {
			t.Errorf("%d are live, %v", len(live), err)
		}
	})
}

// What is lent below a delegation while it is replaced either came first and ended with it, or was refused: nothing outlives.
func TestReplaceMeetsLendAndUse(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		all := audittest.Nodes(t, dsn, open)
		priya, bot := person(), agent()
		root := statement(nil, priya, bot, uses(1000))
		all[0].mustLend(t, root, priya)
		next := successor(root, uses(900))
		var mu sync.Mutex
		var lent, gone []id.Delegation
		used := int64(0)
		codes := audittest.Together(t, all, 32, func(g *rig, i int) error {
			var err error
			switch {
			case i == 16:
				var r lending.Replacement
				r, err = g.replace(root.ID, next, priya)
				gone = r.Ended
			case i%2 == 0:
				st := statement(&root, bot, agent())
				if _, _, err = g.lend(t, st, bot); err == nil {
					mu.Lock()
					lent = append(lent, st.ID)
					mu.Unlock()
				}
			default:
				if _, _, _, err = g.use(root.ID); err == nil {
					mu.Lock()
					used++
					mu.Unlock()
				}
			}
			return err
		})
		d, err := all[0].Get(t.Context(), id.Default, next.ID)
		if err != nil || d.Uses != used {
			t.Errorf("%d uses were taken over of %d, %v", d.Uses, used, err)
		}
		if len(gone) != len(lent)+1 || codes[""]+codes["delegation_revoked"] != 32 {
			t.Errorf("%d lent, %d ended, %v", len(lent), len(gone), codes)
		}
	})
}

func TestListByStatus(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		g := open(t, dsn)
		priya, bot := person(), agent()
		made := map[lending.Status]id.Delegation{}
		lend := func(s lending.Status, edits ...func(*delegation.Statement)) {
			st := statement(nil, priya, bot, edits...)
			g.mustLend(t, st, priya)
			made[s] = st.ID
		}
		lend(lending.Active)
		lend(lending.Expired, func(st *delegation.Statement) { st.ExpiresAt = start.Add(time.Minute).Unix() })
		lend(lending.Exhausted, uses(1))
		lend(lending.Revoked)
		if _, _, _, err := g.use(made[lending.Exhausted]); err != nil {
			t.Fatal(err)
		}
		if _, _, err := g.revoke(made[lending.Revoked]); err != nil {
			t.Fatal(err)
		}
		g.Pass(time.Minute)
		for s, want := range made {
			all, err := g.List(t.Context(), id.Default, lending.Query{Status: s, Now: g.Now(), Delegate: bot.agent.String()})
			if err != nil || len(all) != 1 || all[0].ID != want || all[0].StatusAt(g.Now()) != s {
				t.Errorf("%s: %+v, %v", s, all, err)
			}
		}
		_, err := g.List(t.Context(), id.Default, lending.Query{Status: "paused", Now: g.Now()})
		wantCode(t, err, "malformed")
	})
}

// Whatever Replaces calls a narrowing lets through no call that the old one does not: sampled calls, decided one by one.
func TestNarrowingsAllowNothingNew(t *testing.T) {
	words := []string{"a", "b", "ab"}
	permission := func(rt *rapid.T, label string) delegation.Permission {
		p := delegation.Permission{Permission: strings.Join([]string{"tool", rapid.SampledFrom([]string{"f", "g", "*", "f*"}).Draw(rt, label), rapid.SampledFrom([]string{"r", "w", "*"}).Draw(rt, label)}, ":")}
		if rapid.Bool().Draw(rt, label) {
			p.Where = map[string]delegation.Constraint{"x": {Prefix: new(rapid.SampledFrom(words).Draw(rt, label))}}
		}
		return p
	}
	permissions := rapid.Custom(func(rt *rapid.T) []delegation.Permission {
		var all []delegation.Permission
		for range rapid.IntRange(1, 3).Draw(rt, "n") {
			all = append(all, permission(rt, "p"))
		}
		return all
	})
	priya, bot := person(), agent()
	seen := map[lending.How]int{}
	rapid.Check(t, func(rt *rapid.T) {
		old := statement(nil, priya, bot)
		old.Permissions = permissions.Draw(rt, "old")
		next := successor(old)
		next.Permissions = permissions.Draw(rt, "next")
		how, err := lending.Replaces(old, next)
		seen[how]++
		if err != nil {
			return
		}
		for _, server := range []string{"f", "g", "ff"} {
			for _, tool := range []string{"r", "w", "z"} {
				for _, x := range append(words, "c") {
					args, err := delegation.DecodeArgs([]byte(`{"x":"` + x + `"}`))
					if err != nil {
						rt.Fatal(err)
					}
					action := "tool:" + server + ":" + tool
					if delegation.Allows(next.Permissions, action, args) && !delegation.Allows(old.Permissions, action, args) {
						rt.Fatalf("%s with %q is new: %v from %v", action, x, next.Permissions, old.Permissions)
					}
				}
			}
		}
	})
	if seen[lending.Narrowed] == 0 || seen[""] == 0 {
		t.Errorf("the samples say little: %v", seen)
	}
}
