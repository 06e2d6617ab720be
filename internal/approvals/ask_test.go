package approvals_test

import (
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/approvals"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db/dbtest"
)

func TestIdenticalAsksJoin(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		g := open(t, dsn)
		one := ask()
		first, err := g.ask(one)
		if err != nil || first.Joined || first.Status != approvals.Pending {
			t.Fatal(first.Joined, err)
		}
		again := one
		again.ID = id.New[id.Approval](start)
		joined, err := g.ask(again)
		if err != nil || !joined.Joined || joined.ID != first.ID {
			t.Errorf("joined %v as %s, %v", joined.Joined, joined.ID, err)
		}
		if _, err := g.vote(t, first.Approval, newPerson(), evidence.Approve); err != nil {
			t.Fatal(err)
		}
		if joined, err = g.ask(again); err != nil || !joined.Joined || joined.Status != approvals.Approved {
			t.Errorf("after approval: joined %v, %s, %v", joined.Joined, joined.Status, err)
		}
		g.Pass(ttl)
		later, err := g.ask(again)
		if err != nil || later.Joined || later.ID != again.ID || later.Expired != first.ID {
			t.Errorf("once the first ran out: joined %v, expired %s, %v", later.Joined, later.Expired, err)
		}
		if s := g.stored(t, first.Approval); s != approvals.Expired {
			t.Errorf("the first one is %s", s)
		}
		g.Pass(wait)
		last := one
		last.ID = id.New[id.Approval](start)
		if after, err := g.ask(last); err != nil || after.Joined || after.Expired != again.ID {
			t.Errorf("once nobody voted: joined %v, expired %s, %v", after.Joined, after.Expired, err)
		}
		taken := ask()
		taken.ID = last.ID
		_, err = g.ask(taken)
		wantCode(t, err, "invalid_ask")
	})
}

func TestAskRefuses(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		g := open(t, dsn)
		for name, c := range map[string]struct {
			code string
			edit func(*approvals.Ask)
		}{
			"no id":                    {"invalid_ask", func(a *approvals.Ask) { a.ID = id.Approval{} }},
			"a flow of another quorum": {"invalid_ask", func(a *approvals.Ask) { a.Quorum = 2 }},
			"a flow of another role":   {"invalid_ask", func(a *approvals.Ask) { a.Role = "intern" }},
			"another flow's digest":    {"invalid_ask", func(a *approvals.Ask) { a.Object.FlowSHA256 = id.Sum([]byte("x")) }},
			"no quorum":                {"invalid_ask", func(a *approvals.Ask) { a.Quorum, a.Object.Flow = 0, "0 of release-manager" }},
			"other arguments":          {"invalid_ask", func(a *approvals.Ask) { a.Arguments = []byte(`{"env":"staging"}`) }},
			"arguments that are no JSON": {"invalid_ask", func(a *approvals.Ask) {
				a.Arguments = []byte(`{"env": "staging"}`)
				a.Object.ArgsSHA256 = id.Sum(a.Arguments)
			}},
			"arguments too long to show": {"args_too_large", func(a *approvals.Ask) {
				a.Arguments = []byte(`{"x":"` + strings.Repeat("x", 64<<10) + `"}`)
				a.Object.ArgsSHA256 = id.Sum(a.Arguments)
			}},
			"the actor may vote":    {"invalid_ask", func(a *approvals.Ask) { a.Excluded = a.Excluded[:1] }},
			"the person may vote":   {"invalid_ask", func(a *approvals.Ask) { a.Excluded = a.Excluded[1:] }},
			"no time":               {"invalid_ask", func(a *approvals.Ask) { a.Wait = 0 }},
			"too much time":         {"invalid_ask", func(a *approvals.Ask) { a.Wait = approvals.MaxWait + 1 }},
			"no time to use it":     {"invalid_ask", func(a *approvals.Ask) { a.TTL = 0 }},
			"too long to use it":    {"invalid_ask", func(a *approvals.Ask) { a.TTL = approvals.MaxTTL + 1 }},
			"a reason with a NUL":   {"invalid_ask", func(a *approvals.Ask) { a.Reason = "a\x00" }},
			"an object without pin": {"", func(a *approvals.Ask) { a.Object.Pin = id.Digest{} }},
			"an object of no gate":  {"malformed", func(a *approvals.Ask) { a.Object.Gate = "" }},
		} {
			a := ask()
			c.edit(&a)
			_, err := g.ask(a)
			if c.code != "" && err == nil {
				t.Errorf("%s: asked", name)
				continue
			}
			t.Log(name, err)
			if c.code == "" && err != nil || c.code != "" {
				wantCode(t, err, c.code)
			}
		}
		elsewhere := ask()
		elsewhere.Object.Workspace = id.Server
		err := g.Do(id.Default, func(tx *audit.Tx) error { _, err := g.Ask(tx, id.Default, elsewhere); return err })
		wantCode(t, err, "invalid_ask")
	})
}

func TestAnActorDoesNotTirePeopleOut(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		g := open(t, dsn)
		actor := id.New[id.Agent](start).String()
		n := 0
		next := func(gate string) approvals.Ask {
			n++
			return ask(func(a *approvals.Ask) {
				a.Object.Actor, a.Excluded, a.Object.Gate = actor, append(a.Excluded, actor), gate
				a.Object.Task = "T-" + strings.Repeat("x", n)
			})
		}
		var last approvals.Approval
		for range 10 {
			got, err := g.ask(next("a"))
			if err != nil {
				t.Fatal(err)
			}
			last = got.Approval
		}
		eleventh := next("a")
		_, err := g.ask(eleventh)
		wantCode(t, err, "too_many_asks")
		if _, err := g.ask(ask()); err != nil {
			t.Error("another actor is held up:", err)
		}
		if joined, err := g.ask(last.Ask); err != nil || !joined.Joined {
			t.Error("joining is no new ask:", err)
		}
		for range 50 { // decided as they come, until the hour has had its 60
			if err := g.cancel(last, actor); err != nil {
				t.Fatal(err)
			}
			got, err := g.ask(next("a"))
			if err != nil {
				t.Fatal(err)
			}
			last = got.Approval
		}
		if err := g.cancel(last, actor); err != nil {
			t.Fatal(err)
		}
		_, err = g.ask(eleventh)
		wantCode(t, err, "too_many_asks")
		g.Pass(time.Hour) // what was asked an hour ago is overdue as well
		if _, err := g.ask(eleventh); err != nil {
			t.Error(err)
		}
	})
}

func TestADenialIsRemembered(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		g := open(t, dsn)
		actor := id.New[id.Agent](start).String()
		n := 0
		next := func(gate string) approvals.Ask {
			n++
			return ask(func(a *approvals.Ask) {
				a.Object.Actor, a.Excluded, a.Object.Gate = actor, append(a.Excluded, actor), gate
				a.Object.Task = "T-" + strings.Repeat("x", n)
			})
		}
		denied := func(a approvals.Ask) {
			t.Helper()
			a.ID = id.New[id.Approval](start)
			got, err := g.ask(a)
			if err != nil {
				t.Fatal(err)
			}
			if after, err := g.vote(t, got.Approval, newPerson(), evidence.Refuse); err != nil || after.Status != approvals.Denied {
				t.Fatal(after.Status, err)
			}
		}
		try := func(a approvals.Ask, code string) {
			t.Helper()
			a.ID = id.New[id.Approval](start)
			if _, err := g.ask(a); err != nil || code != "" {
				wantCode(t, err, code)
			}
		}
		first := next("a")
		denied(first)
		try(first, "recently_denied")
		denied(next("a"))
		try(next("a"), "")
		g.Pass(15*time.Minute - time.Microsecond)
		try(first, "recently_denied")
		g.Pass(time.Microsecond)
		denied(first) // the third at this gate within the hour
		try(next("a"), "recently_denied")
		try(next("b"), "")
		try(ask(), "")
		g.Pass(15 * time.Minute)
		try(next("a"), "")
		g.Pass(31 * time.Minute)
		denied(next("a")) // the last three took more than an hour
		try(next("a"), "")
	})
}
