package agents_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/audit/audittest"
	"github.com/attorn/attorn/internal/db/dbtest"
)

// moves are all changes of an agent's status, with what they lead to and from where.
var moves = map[string]struct {
	from []agents.Status
	to   agents.Status
	do   func(*agents.Room, *audit.Tx, id.Agent) error
}{
	"approve": {[]agents.Status{agents.Pending}, agents.Active, func(r *agents.Room, tx *audit.Tx, a id.Agent) error {
		return got(agents.Active)(r.Approve(tx, id.Default, a))
	}},
	"suspend": {[]agents.Status{agents.Active}, agents.Suspended, func(r *agents.Room, tx *audit.Tx, a id.Agent) error {
		return got(agents.Suspended)(r.Suspend(tx, id.Default, a))
	}},
	"resume": {[]agents.Status{agents.Suspended}, agents.Active, func(r *agents.Room, tx *audit.Tx, a id.Agent) error {
		return got(agents.Active)(r.Resume(tx, id.Default, a))
	}},
	"revoke": {[]agents.Status{agents.Pending, agents.Active, agents.Suspended, agents.Expired}, agents.Revoked, func(r *agents.Room, tx *audit.Tx, a id.Agent) error {
		after, _, err := r.Revoke(tx, id.Default, a)
		return got(agents.Revoked)(after, err)
	}},
}

// TestLifecycle: whatever is tried in whatever order, with time passing, an agent only ever takes the steps of the table, and each legal one succeeds.
func TestLifecycle(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		n := 0
		rapid.Check(t, func(t *rapid.T) {
			n++
			var end time.Time
			if rapid.Bool().Draw(t, "ends") {
				end = r.Now().Add(10 * time.Second)
			}
			a, err := r.register(id.Default, agents.NewAgent{Name: fmt.Sprintf("a%d", n), Pending: rapid.Bool().Draw(t, "pending"), ExpiresAt: end})
			if err != nil {
				t.Fatal(err)
			}
			is := a.Status
			for range rapid.IntRange(1, 12).Draw(t, "steps") {
				verb := rapid.SampledFrom([]string{"approve", "suspend", "resume", "revoke", "wait"}).Draw(t, "verb")
				if verb == "wait" {
					r.Pass(6 * time.Second)
				}
				if is != agents.Revoked && !end.IsZero() && !r.Now().Before(end) {
					is = agents.Expired
				}
				if m, ok := moves[verb]; ok {
					err := r.Do(id.Default, func(tx *audit.Tx) error { return m.do(r.Room, tx, a.ID) })
					legal := slices.Contains(m.from, is)
					if legal != is.May(m.to) && !(verb == "resume" || verb == "approve") { // which lead to one place from two
						t.Fatalf("the table says otherwise of %s from %s", verb, is)
					}
					switch {
					case legal && err == nil:
						is = m.to
					case legal || fault.Code(err) != "wrong_state":
						t.Fatalf("%s an agent that is %s: %v", verb, is, err)
					}
				}
				now, err := r.Agent(t.Context(), id.Default, a.ID)
				if err != nil || now.StatusAt(r.Now()) != is {
					t.Fatalf("after %s it is %s, not %s; %v", verb, now.StatusAt(r.Now()), is, err)
				}
				if live := now.Live(r.Now()) == nil; live != (is == agents.Active) {
					t.Fatalf("it is %s, live: %v", is, live)
				}
			}
		})
	})
}

// TestLifecycleOfManyCallers: 64 callers on every process push one agent about; the steps that succeeded, in the order of the log, are a path in the table.
func TestLifecycleOfManyCallers(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		nodes := audittest.Nodes(t, dsn, open)
		r := nodes[0]
		a, err := r.register(id.Default, agents.NewAgent{Name: "bot", Pending: true})
		if err != nil {
			t.Fatal(err)
		}
		type step struct {
			rev  int64
			verb string
		}
		var mu sync.Mutex
		var took []step
		var wg sync.WaitGroup
		for i := range 64 {
			verb := []string{"approve", "suspend", "resume", "suspend", "resume", "approve", "suspend", "revoke"}[i%8]
			if verb == "revoke" && i < 60 {
				verb = "resume"
			}
			node := nodes[i%len(nodes)]
			wg.Go(func() {
				var rev int64
				err := node.Do(id.Default, func(tx *audit.Tx) error { rev = tx.Rev(); return moves[verb].do(node.Room, tx, a.ID) })
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					took = append(took, step{rev, verb})
				} else if fault.Code(err) != "wrong_state" {
					t.Errorf("%s: %v", verb, err)
				}
			})
		}
		wg.Wait()
		slices.SortFunc(took, func(a, b step) int { return int(a.rev - b.rev) })
		is := agents.Pending
		for _, s := range took {
			if !slices.Contains(moves[s.verb].from, is) {
				t.Errorf("%s an agent that was %s: %v", s.verb, is, took)
			}
			is = moves[s.verb].to
		}
		now, err := r.Agent(t.Context(), id.Default, a.ID)
		if err != nil || now.Status != is || is != agents.Revoked {
			t.Errorf("it is %s after %v; %v", now.Status, took, err)
		}
	})
}

func TestChange(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		a, err := r.register(id.Default, agents.NewAgent{Name: "bot", Tags: tags(t, "env", "dev", "team", "x"), ExpiresAt: r.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		change := func(c agents.Change) (changed []string, err error) {
			err = r.Do(id.Default, func(tx *audit.Tx) (err error) { _, changed, err = r.Change(tx, id.Default, a.ID, c); return err })
			return changed, err
		}
		found := func(name, value string) bool {
			t.Helper()
			list, err := r.List(t.Context(), id.Default, agents.Query{Tag: name, Value: value}, r.Now())
			if err != nil {
				t.Fatal(err)
			}
			return len(list) == 1 && list[0].ID == a.ID
		}
		model := "m"
		changed, err := change(agents.Change{Model: &model, Set: map[string]string{"env": "prod"}, Remove: []string{"team", "none"}})
		if err != nil || !slices.Equal(changed, []string{"model", "tags"}) {
			t.Errorf("changed %v, %v", changed, err)
		}
		if changed, err = change(agents.Change{Model: &model, Set: map[string]string{"env": "prod"}}); err != nil || changed != nil {
			t.Errorf("nothing to change: %v, %v", changed, err)
		}
		if !found("env", "prod") || found("env", "dev") || found("team", "x") {
			t.Error("the search does not know the tags")
		}
		now, err := r.Agent(t.Context(), id.Default, a.ID)
		if err != nil || now.Tags != tags(t, "env", "prod") || now.Model != "m" || !now.ExpiresAt.Equal(a.ExpiresAt) {
			t.Errorf("it is %+v, %v", now, err)
		}
		past := r.Now()
		if _, err := change(agents.Change{ExpiresAt: &past}); fault.Code(err) != "agent_invalid" {
			t.Errorf("an end in the past: %v", err)
		}
		r.Pass(2 * time.Hour)
		later := r.Now().Add(time.Hour)
		if _, err := change(agents.Change{ExpiresAt: &later}); fault.Code(err) != "wrong_state" {
			t.Errorf("an end that is moved after it has come: %v", err)
		}
	})
}

func tags(t testing.TB, pairs ...string) agents.Tags {
	t.Helper()
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	made, err := agents.NewTags(m)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// Ownership goes where it was offered and nowhere else; of 64 who want it one gets it.
func TestHandOver(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		nodes := audittest.Nodes(t, dsn, open)
		r := nodes[0]
		a := r.agent(t, id.Default, "bot")
		maya, noor := id.New[id.User](r.Now()), id.New[id.User](r.Now())
		do := func(f func(*audit.Tx, id.Workspace, id.Agent, id.User) (agents.Agent, error), who id.User) string {
			return fault.Code(r.Do(id.Default, func(tx *audit.Tx) error { _, err := f(tx, id.Default, a.ID, who); return err }))
		}
		for i, c := range []struct {
			do   func(*audit.Tx, id.Workspace, id.Agent, id.User) (agents.Agent, error)
			who  id.User
			want string
		}{
			{r.Accept, maya, "not_offered"},
			{r.Offer, owner, "unchanged"},
			{r.Offer, maya, ""},
			{r.Offer, maya, "unchanged"},
			{r.Accept, noor, "not_offered"},
			{r.Offer, owner, ""}, // taken back
			{r.Accept, maya, "not_offered"},
			{r.Offer, maya, ""},
			{r.Offer, noor, ""}, // to another
			{r.Accept, maya, "not_offered"},
			{r.Accept, noor, ""},
			{r.Accept, noor, "not_offered"},
			{r.Offer, maya, ""},
			{r.Assign, owner, ""},
			{r.Assign, owner, "unchanged"},
			{r.Accept, maya, "not_offered"}, // assigning ends an offer
			{r.Accept, id.User{}, "not_offered"},
			{r.Offer, maya, ""},
		} {
			if got := do(c.do, c.who); got != c.want {
				t.Errorf("step %d: %q, not %q", i, got, c.want)
			}
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for i := range 64 {
			node := nodes[i%len(nodes)]
			wg.Go(func() {
				err := node.Do(id.Default, func(tx *audit.Tx) error { _, err := node.Accept(tx, id.Default, a.ID, maya); return err })
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won++
				} else if fault.Code(err) != "not_offered" {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if now, err := r.Agent(t.Context(), id.Default, a.ID); err != nil || won != 1 || now.Owner != maya || !now.Offered.IsZero() {
			t.Errorf("%d accepted; it is %+v, %v", won, now, err)
		}
		if err := r.Do(id.Default, func(tx *audit.Tx) error { _, _, err := r.Revoke(tx, id.Default, a.ID); return err }); err != nil {
			t.Fatal(err)
		}
		for _, f := range []func(*audit.Tx, id.Workspace, id.Agent, id.User) (agents.Agent, error){r.Assign, r.Offer, r.Accept} {
			if got := do(f, noor); got != "wrong_state" {
				t.Errorf("of a revoked agent: %q", got)
			}
		}
	})
}

// TestOwnerless: an agent whose owner cannot act is reported since then, and after the grace nobody answers for it; whatever brings the owner back, or
// another one, mends it.
func TestOwnerless(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		a := r.agent(t, id.Default, "bot")
		elsewhere := r.agent(t, other, "bot")
		ended := r.agent(t, id.Default, "ended")
		do := func(f func(*audit.Tx) error) {
			t.Helper()
			if err := r.Do(id.Default, f); err != nil {
				t.Fatal(err)
			}
		}
		do(func(tx *audit.Tx) error { _, _, err := r.Revoke(tx, id.Default, ended.ID); return err })
		report := func(ws id.Workspace) []id.Agent {
			t.Helper()
			list, err := r.List(t.Context(), ws, agents.Query{Ownerless: true}, r.Now())
			if err != nil {
				t.Fatal(err)
			}
			var ids []id.Agent
			for _, a := range list {
				ids = append(ids, a.ID)
			}
			return ids
		}
		state := func(want error, since time.Time) {
			t.Helper()
			now, err := r.Agent(t.Context(), id.Default, a.ID)
			if err != nil || !now.OwnerlessSince.Equal(since) {
				t.Errorf("ownerless since %v, not %v; %v", now.OwnerlessSince, since, err)
			}
			if got := now.Accountable(r.Now()); fault.Code(got) != fault.Code(want) {
				t.Errorf("accountable: %v", got)
			}
		}
		var late error = fault.New(fault.Denied, "agent_ownerless", "")
		state(nil, time.Time{})
		since := r.Now()
		do(func(tx *audit.Tx) error { return r.OwnerGone(tx, id.Default, owner) })
		if !slices.Equal(report(id.Default), []id.Agent{a.ID}) || report(other) != nil {
			t.Errorf("reported %v and %v", report(id.Default), report(other))
		}
		r.Pass(10 * 24 * time.Hour)
		do(func(tx *audit.Tx) error { return r.OwnerGone(tx, id.Workspace{}, owner) }) // suspended too
		if !slices.Equal(report(other), []id.Agent{elsewhere.ID}) {
			t.Errorf("reported %v elsewhere", report(other))
		}
		state(nil, since)
		r.Pass(20*24*time.Hour - time.Microsecond)
		state(nil, since)
		r.Pass(time.Microsecond)
		state(late, since)
		do(func(tx *audit.Tx) error { return r.OwnerBack(tx, id.Default, owner) })
		state(nil, since.Add(10*24*time.Hour))
		r.Pass(10 * 24 * time.Hour)
		state(late, since.Add(10*24*time.Hour))
		do(func(tx *audit.Tx) error { return r.OwnerBack(tx, id.Workspace{}, owner) })
		state(nil, time.Time{})
		do(func(tx *audit.Tx) error { return r.OwnerGone(tx, id.Default, owner) })
		do(func(tx *audit.Tx) error {
			_, err := r.Assign(tx, id.Default, a.ID, id.New[id.User](r.Now()))
			return err
		})
		if state(nil, time.Time{}); report(id.Default) != nil {
			t.Errorf("reported %v", report(id.Default))
		}
	})
}

func TestTags(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tags map[string]string
		good bool
	}{
		"none":        {nil, true},
		"some":        {map[string]string{"env": "prod", "a/b.c-d_e": "ünïcode = 文"}, true},
		"upper case":  {map[string]string{"Env": "x"}, false},
		"digit first": {map[string]string{"1a": "x"}, false},
		"no name":     {map[string]string{"": "x"}, false},
		"no value":    {map[string]string{"env": ""}, false},
		"equals":      {map[string]string{"a=b": "x"}, false},
		"newline":     {map[string]string{"env\n": "x"}, false},
		"control":     {map[string]string{"env": "a\x1b[2J"}, false},
		"not UTF-8":   {map[string]string{"env": "\xff"}, false},
	} {
		made, err := agents.NewTags(c.tags)
		if (err == nil) != c.good || err == nil && len(made.Map()) != len(c.tags) {
			t.Errorf("%s: %v, %v", name, made.Map(), err)
		}
	}
	many := map[string]string{}
	for i := range agents.MaxTags {
		many[fmt.Sprintf("t%d", i)] = "v"
	}
	full, err := agents.NewTags(many)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := full.With(map[string]string{"one-more": "v"}, nil); fault.Code(err) != "agent_invalid" {
		t.Errorf("one too many: %v", err)
	}
	if same, err := full.With(map[string]string{"one-more": "v"}, []string{"t0"}); err != nil || same.Map()["one-more"] != "v" || len(full.Map()) != agents.MaxTags || full.Map()["t0"] != "v" {
		t.Errorf("one for another: %v, %v", same, errors.Join(err))
	}
}
