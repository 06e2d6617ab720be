package guard_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
)

const rulesOfTheStory = `
@id("people") permit (principal is User, action, resource) when { context.perm.s0 == "tool" };
@id("agents") permit (principal is Agent, action, resource) when { context.perm.s0 == "tool" && context has subject };
@id("prod") @approve("1 of release-manager") @reason("Production needs a release manager.")
forbid (principal, action == Action::"tool:files:write", resource) when { context.args.path like "production/*" };
@id("never") @reason("Nobody wipes.") forbid (principal, action == Action::"tool:files:wipe", resource);
`

// story is Priya, Maya the release manager, release-bot and deployer, with what was lent.
type story struct {
	*rig
	priya, maya, bot, deployer *party
	root, leaf                 *delegation.Link
}

func newStory(t *testing.T, dsn string, uses int64) *story {
	t.Helper()
	s := &story{rig: newRig(t, dsn)}
	s.priya = s.firstOwner("Priya Nair")
	s.maya = s.priya.invite("Maya Chen")
	s.priya.publish(rulesOfTheStory)
	s.priya.addFiles()
	_, _, err := s.Bind(t.Context(), s.priya.api(), guard.NewBinding{Principal: s.maya.user.String(), Role: "release-manager", Reason: "she releases"})
	s.ok(err)
	s.bot, s.deployer = s.priya.register("release-bot"), s.priya.register("deployer")
	s.root = s.priya.lend(s.bot, lent{depth: 2, ttl: 2 * time.Hour}, "tool:files:*")
	s.leaf = s.bot.lend(s.deployer, lent{uses: uses, under: s.root, ttl: time.Hour}, "tool:files:write", "tool:files:wipe")
	return s
}

func (s *story) start(c *guard.Caller, call guard.Call) guard.Verdict {
	s.t.Helper()
	v, err := s.Start(s.t.Context(), c, call)
	s.ok(err)
	return v
}

func (s *story) event(e id.Event) audit.Entry {
	s.t.Helper()
	got, err := s.log.Event(s.t.Context(), id.Default, e)
	s.ok(err)
	return got
}

func TestStory(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 10)

		v := s.start(s.deployer.tool(s.leaf), s.call("write", `{"path":"staging/a","text":"x"}`))
		if v.Outcome != evidence.Permit {
			t.Fatalf("staging: %+v", v)
		}
		e := s.event(v.Event)
		if e.Kind != evidence.ToolStarted || *e.Under.UsesLeft != 9 || len(e.Who.Chain) != 3 || e.Who.Chain[0].Sub != s.priya.user.String() {
			t.Errorf("the event of a permit: %s", e.Body)
		}
		s.ok(s.Finish(t.Context(), v, guard.Finished{Outcome: evidence.OK, Bytes: 2}))

		prod := s.call("write", `{"path":"production/a","text":"x"}`)
		v = s.start(s.deployer.tool(s.leaf), prod)
		if v.Outcome != evidence.Ask || v.Approval == nil {
			t.Fatalf("production: %+v", v)
		}
		if err := s.priya.vote(v.Approval.ID, evidence.Approve); fault.Code(err) != "four_eyes" {
			t.Errorf("Priya votes on her own chain: %v", err)
		}
		if again := s.start(s.deployer.tool(s.leaf), prod); again.Outcome != evidence.Ask || again.Approval.ID != v.Approval.ID {
			t.Errorf("an identical call does not join: %+v", again)
		}
		s.ok(s.maya.vote(v.Approval.ID, evidence.Approve))

		if other := s.start(s.deployer.tool(s.leaf), s.call("write", `{"path":"production/a","text":"y"}`)); other.Outcome != evidence.Ask || other.Approval.ID == v.Approval.ID {
			t.Errorf("one argument changed: %+v", other)
		}
		done := s.start(s.deployer.tool(s.leaf), prod)
		if done.Outcome != evidence.Permit {
			t.Fatalf("approved: %+v", done)
		}
		if e := s.event(done.Event); len(e.Under.Approvals) != 1 || len(e.Why.Waived) != 1 || e.Why.Waived[0] != "prod" {
			t.Errorf("the event of an approved call: %s", e.Body)
		}
		if again := s.start(s.deployer.tool(s.leaf), prod); again.Outcome != evidence.Ask || again.Approval.ID == v.Approval.ID {
			t.Errorf("a second time: %+v", again)
		}

		ended, _, err := s.Revoke(t.Context(), s.priya.api(), s.root.Statement.ID, "done")
		s.ok(err)
		if len(ended) != 2 {
			t.Errorf("revoking the root ended %v", ended)
		}
	})
}

func TestRefusals(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	live := s.deployer.tool(s.leaf)
	botsOwn := s.bot.tool(s.root)
	for name, c := range map[string]struct {
		caller *guard.Caller
		call   guard.Call
		code   string
	}{
		"not lent":        {s.deployer.tool(s.leaf), s.call("read", `{"path":"a"}`), "not_lent"},
		"hard forbid":     {s.deployer.tool(s.leaf), s.call("wipe", `{"path":"a"}`), "forbidden"},
		"schema":          {s.deployer.tool(s.leaf), s.call("write", `{"text":"x"}`), "schema"},
		"replayed":        {live, s.call("write", `{"path":"staging/a"}`), "replayed"},
		"stale pin":       {s.deployer.tool(s.leaf), func() guard.Call { c := s.call("write", `{"path":"a"}`); c.Pin = id.Sum(nil); return c }(), "tool_quarantined"},
		"forbid for bots": {botsOwn, s.call("wipe", `{"path":"a"}`), "forbidden"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "replayed" {
				thief := guard.Again(live)
				if v := s.start(live, c.call); v.Outcome != evidence.Permit {
					t.Fatalf("%+v", v)
				}
				c.caller = thief
			}
			before, err := s.log.Rev(t.Context(), id.Default)
			s.ok(err)
			v := s.start(c.caller, c.call)
			if v.Outcome != evidence.Deny || v.Code != c.code {
				t.Fatalf("got %s %s (%s), want deny %s", v.Outcome, v.Code, v.Reason, c.code)
			}
			e := s.event(v.Event)
			if e.Rev < before || e.Kind != evidence.ToolRefused || e.Outcome != evidence.Deny || e.Why == nil || e.Why.Code != c.code {
				t.Errorf("the event of the refusal: %s", e.Body)
			}
		})
	}
}

// TestNothingOutlivesItsGround is "no resurrection": whatever ends, on the chain or beside it, ends the call at once, with tokens issued before.
func TestNothingOutlivesItsGround(t *testing.T) {
	ctx := context.Background()
	for name, end := range map[string]struct {
		do   func(s *story) error
		code string
	}{
		"root revoked": {func(s *story) error { _, _, err := s.Revoke(ctx, s.priya.api(), s.root.Statement.ID, ""); return err }, "delegation_revoked"},
		"leaf revoked": {func(s *story) error { _, _, err := s.Revoke(ctx, s.bot.api(), s.leaf.Statement.ID, ""); return err }, "delegation_revoked"},
		"given back": {func(s *story) error {
			_, _, err := s.Revoke(ctx, s.deployer.api(), s.leaf.Statement.ID, "")
			return err
		}, "delegation_revoked"},
		"agent suspended": {func(s *story) error {
			_, _, _, err := s.EndAgent(ctx, s.priya.api(), s.deployer.agent, "suspend", "")
			return err
		}, "agent_suspended"},
		"middle suspended": {func(s *story) error {
			_, _, _, err := s.EndAgent(ctx, s.priya.api(), s.bot.agent, "suspend", "")
			return err
		}, "agent_suspended"},
		"middle revoked": {func(s *story) error {
			_, _, _, err := s.EndAgent(ctx, s.priya.api(), s.bot.agent, "revoke", "")
			return err
		}, "delegation_revoked"},
		"instance revoked": {func(s *story) error {
			_, _, _, err := s.EndInstance(ctx, s.priya.api(), s.deployer.signer.Public().Thumbprint(), "revoke", "")
			return err
		}, "instance_revoked"},
		"middle's instance": {func(s *story) error {
			_, _, _, err := s.EndInstance(ctx, s.priya.api(), s.bot.signer.Public().Thumbprint(), "suspend", "")
			return err
		}, "instance_suspended"},
		"person suspended": {func(s *story) error {
			_, _, err := s.EndPerson(ctx, s.maya.api(), s.priya.user, "suspend", "")
			return err
		}, "person_suspended"},
		"server removed":     {func(s *story) error { _, err := s.RemoveServer(ctx, s.priya.api(), "files"); return err }, "unknown_server"},
		"delegation expired": {func(s *story) error { s.now = s.now.Add(61 * time.Minute); return nil }, "delegation_expired"},
		"policy now forbids": {func(s *story) error {
			s.priya.publish(rulesOfTheStory + "\n@id(\"halt\") forbid (principal, action, resource) when { context.perm.s0 == \"tool\" };")
			return nil
		}, "forbidden"},
		"person's permit gone": {func(s *story) error { s.priya.publish(`permit (principal is Agent, action, resource);`); return nil }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory(t, dbtest.SQLite(t), 10)
			if name == "person suspended" {
				_, _, err := s.Bind(ctx, s.priya.api(), guard.NewBinding{Principal: s.maya.user.String(), Role: "owner"})
				s.ok(err)
			}
			c := s.deployer.tool(s.leaf)
			call := s.call("write", `{"path":"staging/a"}`)
			s.ok(end.do(s))
			v := s.start(c, call)
			if name == "person's permit gone" { // Priya is owner, which permits everything: she is not the one refused
				return
			}
			if v.Outcome != evidence.Deny || v.Code != end.code {
				t.Errorf("got %s %s (%s), want deny %s", v.Outcome, v.Code, v.Reason, end.code)
			}
		})
	}
}

func TestUsesAreSharedAndNeverOverspent(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 10)
		callers := make([]*guard.Caller, 40)
		for i := range callers {
			callers[i] = s.deployer.tool(s.leaf)
		}
		call := s.call("write", `{"path":"staging/a"}`)
		got := inParallel(len(callers), func(i int) string {
			v, err := s.Start(context.Background(), callers[i], call)
			if err != nil {
				return err.Error()
			}
			return string(v.Outcome) + " " + v.Code
		})
		if got["permit "] != 10 || got["deny delegation_exhausted"] != 30 {
			t.Errorf("10 uses, 40 callers: %v", got)
		}
	})
}

func TestAnApprovalIsSpentOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 1000)
		call := s.call("write", `{"path":"production/a"}`)
		v := s.start(s.deployer.tool(s.leaf), call)
		s.ok(s.maya.vote(v.Approval.ID, evidence.Approve))
		callers := make([]*guard.Caller, 64)
		for i := range callers {
			callers[i] = s.deployer.tool(s.leaf)
		}
		got := inParallel(len(callers), func(i int) string {
			v, err := s.Start(context.Background(), callers[i], call)
			if err != nil {
				return err.Error()
			}
			return string(v.Outcome)
		})
		if got["permit"] != 1 || got["ask"] != 63 {
			t.Errorf("one approval, 64 callers: %v", got)
		}
	})
}

func TestAProofIsAcceptedOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 1000)
		c := s.deployer.tool(s.leaf)
		call := s.call("write", `{"path":"staging/a"}`)
		got := inParallel(64, func(int) string {
			v, err := s.Start(context.Background(), guard.Again(c), call)
			if err != nil {
				return err.Error()
			}
			return string(v.Outcome) + " " + v.Code
		})
		if got["permit "] != 1 || got["deny replayed"] != 63 {
			t.Errorf("one proof, 64 times: %v", got)
		}
	})
}

func TestRevokeRacesWithUse(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 1000)
	callers := make([]*guard.Caller, 100)
	for i := range callers {
		callers[i] = s.deployer.tool(s.leaf)
	}
	revoker := s.priya.api()
	call := s.call("write", `{"path":"staging/a"}`)
	var end evidence.Receipt
	events := make([]id.Event, len(callers))
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			if v, err := s.Start(context.Background(), callers[i], call); err == nil && v.Outcome == evidence.Permit {
				events[i] = v.Event
			}
		})
	}
	wg.Go(func() {
		var err error
		if _, end, err = s.Revoke(context.Background(), revoker, s.root.Statement.ID, ""); err != nil {
			t.Error(err)
		}
	})
	wg.Wait()
	for _, e := range events {
		if !e.IsZero() && s.event(e).Rev > end.Rev {
			t.Errorf("%s was permitted at #%d, after the end at #%d", e, s.event(e).Rev, end.Rev)
		}
	}
}

// TestNobodyLocksEverybodyOut: the last owner who can act is not suspended, not by themselves and not by others.
func TestNobodyLocksEverybodyOut(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	s.bind(s.maya, "admin", false)
	for _, by := range []*party{s.priya, s.maya} {
		if _, _, err := s.EndPerson(t.Context(), by.api(), s.priya.user, "suspend", ""); fault.Code(err) != "lockout" {
			t.Errorf("%s suspends the only owner: %v", by.user, err)
		}
	}
	s.bind(s.maya, "owner", false)
	if _, _, err := s.EndPerson(t.Context(), s.maya.api(), s.priya.user, "suspend", ""); err != nil {
		t.Errorf("with another owner: %v", err)
	}
}

func inParallel(n int, f func(int) string) map[string]int {
	var mu sync.Mutex
	var wg sync.WaitGroup
	got := map[string]int{}
	for i := range n {
		wg.Go(func() {
			s := f(i)
			mu.Lock()
			defer mu.Unlock()
			got[s]++
		})
	}
	wg.Wait()
	return got
}
