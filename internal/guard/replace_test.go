package guard_test

import (
	"slices"
	"testing"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit/audittest"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/lending"
)

// replacing signs what takes the place of a link.
func (p *party) replacing(old *delegation.Link, edits ...func(*delegation.Statement)) delegation.Signed {
	p.t.Helper()
	st := old.Statement
	st.ID, st.Permissions = id.New[id.Delegation](p.now), slices.Clone(st.Permissions)
	for _, edit := range edits {
		edit(&st)
	}
	signed, err := delegation.Sign(st, p.signer)
	p.ok(err)
	return signed
}

func onlyWriting(st *delegation.Statement) {
	st.Permissions = []delegation.Permission{{Permission: "tool:files:write"}}
}

func (s *story) rev() int64 {
	s.t.Helper()
	rev, err := s.log.Rev(s.t.Context(), id.Default)
	s.ok(err)
	return rev
}

func TestReplace(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 10)
		held, below := s.bot.tool(s.root), s.deployer.tool(s.leaf)
		waits := s.start(s.deployer.tool(s.leaf), s.call("write", `{"path":"production/a","text":"x"}`))
		if waits.Approval == nil {
			t.Fatalf("%+v", waits)
		}
		signed := s.priya.replacing(s.root, onlyWriting)

		before, caller := s.rev(), s.priya.api()
		would, err := s.Replace(t.Context(), caller, s.root.Statement.ID, signed, true)
		s.ok(err)
		if would.How != lending.Narrowed || len(would.Toll.Delegations) != 2 || len(would.Toll.Approvals) != 1 || would.Link.String() != "" || s.rev() != before+1 { // the token of the caller
			t.Errorf("a dry run: %+v, and the log went on by %d", would, s.rev()-before)
		}

		got, err := s.Replace(t.Context(), s.priya.api(), s.root.Statement.ID, signed, false)
		s.ok(err)
		e := s.event(got.Receipt.ID)
		if e.Kind != evidence.DelegationReplaced || e.What.Delegation != signed.Statement.ID || e.What.Replaces != s.root.Statement.ID || e.What.Status != "narrowed" ||
			e.What.Link != id.Sum([]byte(got.Link.String())) || len(e.What.Ended) != 2 {
			t.Errorf("the event: %s", e.Body)
		}
		touched := e.Touches()
		for _, ended := range []id.Delegation{s.root.Statement.ID, s.leaf.Statement.ID} {
			if !slices.Contains(touched, ended.String()) {
				t.Errorf("%v does not name %s", touched, ended)
			}
		}
		if slices.Contains(touched, signed.Statement.ID.String()) {
			t.Error("what begins is said to end")
		}
		for name, c := range map[string]*guard.Caller{"the old one": held, "what was lent on below it": below} {
			if v := s.start(c, s.call("write", `{"path":"staging/a","text":"x"}`)); v.Code != "delegation_revoked" {
				t.Errorf("a token under %s: %+v", name, v)
			}
		}
		if a, err := s.Approvals.Get(t.Context(), id.Default, waits.Approval.ID); err != nil || a.Status != "void" {
			t.Errorf("what waited below it is %s, %v", a.Status, err)
		}
		if v := s.start(s.bot.tool(&got.Link), s.call("write", `{"path":"staging/a","text":"x"}`)); v.Outcome != evidence.Permit {
			t.Errorf("under the new one: %+v", v)
		}
		if v := s.start(s.bot.tool(&got.Link), s.call("read", `{"path":"staging/a"}`)); v.Code != "not_lent" {
			t.Errorf("what was taken out: %+v", v)
		}

		again, err := s.Replace(t.Context(), s.priya.api(), s.root.Statement.ID, signed, false)
		if err != nil || again.Link.String() != got.Link.String() || len(again.Toll.Delegations) != 0 {
			t.Errorf("the same statement again: %+v, %v", again, err)
		}
		s.now = s.now.Add(time.Second)
		renewed, err := s.Replace(t.Context(), s.priya.api(), got.Link.Statement.ID, s.priya.replacing(&got.Link, func(st *delegation.Statement) { st.ExpiresAt += 86400 }), false)
		if err != nil || renewed.How != lending.Renewed || len(renewed.Toll.Delegations) != 1 {
			t.Errorf("renewed: %+v, %v", renewed, err)
		}
		if _, err := s.Replace(t.Context(), s.priya.api(), s.root.Statement.ID, signed, false); fault.Code(err) != "delegation_ended" {
			t.Errorf("the first statement, after what it lent was replaced: %v", err)
		}
	})
}

// TestRevokeByAnOldNumber: whoever ends what was narrowed and renewed since ends what stands in its place, by its identifier or by its statement (RFC 7009).
func TestRevokeByAnOldNumber(t *testing.T) {
	for how, end := range map[string]func(*story) ([]id.Delegation, error){
		"identifier": func(s *story) ([]id.Delegation, error) {
			ended, _, err := s.Revoke(s.t.Context(), s.priya.api(), s.root.Statement.ID, "")
			return ended, err
		},
		"statement": func(s *story) ([]id.Delegation, error) {
			return s.RevokeToken(s.t.Context(), s.bot.client(), s.root.String())
		},
	} {
		t.Run(how, func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, dsn string) {
				s := newStory(t, dsn, 0)
				narrowed, err := s.Replace(t.Context(), s.priya.api(), s.root.Statement.ID, s.priya.replacing(s.root, onlyWriting), false)
				s.ok(err)
				s.now = s.now.Add(time.Second)
				last, err := s.Replace(t.Context(), s.priya.api(), narrowed.Link.Statement.ID,
					s.priya.replacing(&narrowed.Link, func(st *delegation.Statement) { st.ExpiresAt += 60 }), false)
				s.ok(err)
				caller := s.bot.tool(&last.Link)
				if ended, err := end(s); err != nil || !slices.Equal(ended, []id.Delegation{last.Link.Statement.ID}) {
					t.Errorf("%v, %v", ended, err)
				}
				if v := s.start(caller, s.call("write", `{"path":"staging/a"}`)); v.Outcome == evidence.Permit {
					t.Error("what stood in its place goes on")
				}
				if ended, err := end(s); err != nil || len(ended) != 0 {
					t.Errorf("again: %v, %v", ended, err)
				}
			})
		})
	}
}

// TestReplaceIsForTheDelegator: nobody else replaces what somebody lent, policy can keep it from them, and a refusal is an event that changed nothing.
func TestReplaceIsForTheDelegator(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	signed := s.priya.replacing(s.root, onlyWriting)
	asMaya := s.root.Statement
	asMaya.Delegator.User = s.maya.user
	asMaya.ID = id.New[id.Delegation](s.now)
	mayas, err := delegation.Sign(asMaya, s.maya.signer)
	s.ok(err)
	forged := signed
	forged.Statement.MaxDepth = 1
	for _, c := range []struct {
		name, code string
		by         *party
		old        id.Delegation
		signed     delegation.Signed
	}{
		{"somebody else with her statement", "not_delegator", s.maya, s.root.Statement.ID, signed},
		{"the delegate with her statement", "not_delegator", s.bot, s.root.Statement.ID, signed},
		{"somebody else with their own", "not_replacement", s.maya, s.root.Statement.ID, mayas},
		{"changed after signing", "signature_invalid", s.priya, s.root.Statement.ID, forged},
		{"wider", "widens", s.priya, s.root.Statement.ID, s.priya.replacing(s.root, func(st *delegation.Statement) { st.Permissions[0].Permission = "tool:*" })},
		{"of what an agent lent on", "not_replacement", s.priya, s.leaf.Statement.ID, signed},
		{"of nothing", "not_found", s.priya, id.New[id.Delegation](s.now), signed},
	} {
		caller, before := c.by.api(), s.rev()
		if _, err := s.Replace(t.Context(), caller, c.old, c.signed, false); fault.Code(err) != c.code {
			t.Errorf("%s: %v, want %s", c.name, err, c.code)
		}
		if s.rev() != before+1 {
			t.Errorf("%s: %d events", c.name, s.rev()-before)
		}
	}
	s.priya.publish(rulesOfTheStory + `@id("keep") forbid (principal, action == Action::"attorn:delegation:revoke", resource);`)
	if _, err := s.Replace(t.Context(), s.priya.api(), s.root.Statement.ID, signed, false); fault.Code(err) != "forbidden" {
		t.Errorf("policy forbids to revoke: %v", err)
	}
	if v := s.start(s.bot.tool(s.root), s.call("read", `{"path":"a"}`)); v.Outcome != evidence.Permit {
		t.Errorf("a refused replacement ended something: %+v", v)
	}
}

// TestReplaceOnce: of 64 narrowings of one delegation at once, one takes its place.
func TestReplaceOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 10)
		callers, statements := make([]*guard.Caller, 64), make([]delegation.Signed, 64)
		for i := range callers {
			callers[i], statements[i] = s.priya.api(), s.priya.replacing(s.root, onlyWriting)
		}
		codes := audittest.Together(t, []*story{s}, 64, func(s *story, i int) error {
			_, err := s.Replace(t.Context(), callers[i], s.root.Statement.ID, statements[i], false)
			return err
		})
		if codes[""] != 1 || codes["delegation_revoked"] != 63 {
			t.Errorf("results: %v", codes)
		}
	})
}

func TestWarnings(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	s.priya.publish(`
		@id("read") permit (principal is User, action == Action::"tool:files:read", resource);
		@id("agents") permit (principal is Agent, action == Action::"tool:files:write", resource);
		@id("never") forbid (principal, action == Action::"tool:files:wipe", resource);`)
	noor := s.priya.invite("Noor Haddad")
	warned := func(by *party, st delegation.Statement) map[string]string {
		t.Helper()
		all, err := s.Warnings(t.Context(), by.api(), st)
		s.ok(err)
		got := map[string]string{}
		for _, w := range all {
			got[w.Permission] = w.Code
		}
		return got
	}
	all := []string{"tool:files:read", "tool:files:*", "tool:files:wipe", "tool:*", "tool:none:read", "tool:files:none", "attorn:agent:read", "attorn:policy:publish", "repo:acme:read", "repo:*"}
	for _, c := range []struct {
		by   *party
		want map[string]string
	}{
		{s.priya, map[string]string{"tool:files:wipe": "not_yours", "tool:files:*": "partly_yours", "tool:*": "partly_yours", "tool:none:read": "unknown_server", "tool:files:none": "unknown_tool"}},
		{noor, map[string]string{
			"tool:files:*": "partly_yours", "tool:*": "partly_yours", "tool:files:wipe": "not_yours", "tool:none:read": "unknown_server", "tool:files:none": "not_yours",
			"attorn:policy:publish": "not_yours", "repo:acme:read": "not_yours",
		}},
	} {
		got := warned(c.by, c.by.statement(s.bot, lent{}, all...))
		for _, p := range all {
			if got[p] != c.want[p] {
				t.Errorf("%s lends %s: %q, want %q", c.by.sub(), p, got[p], c.want[p])
			}
		}
	}
	got := warned(s.bot, s.bot.statement(s.deployer, lent{under: s.root}, "tool:files:read", "tool:files:write"))
	if got["tool:files:read"] != "not_yours" || got["tool:files:write"] != "" {
		t.Errorf("what the agent may not do, though who lent to it may: %v", got) // a person needs no permit of Agent, and an agent none of User
	}
}
