package guard_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/approvals"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/rules"
	"github.com/attorn/attorn/policy"
)

func (s *story) group(name string) {
	s.t.Helper()
	_, err := s.CreateGroup(s.t.Context(), s.priya.api(), name, "")
	s.ok(err)
}

func (s *story) join(group string, who *party) error {
	_, err := s.AddToGroup(s.t.Context(), s.priya.api(), group, who.sub(), "")
	return err
}

func (s *story) leave(group string, who *party) error {
	_, err := s.RemoveFromGroup(s.t.Context(), s.priya.api(), group, who.sub(), "")
	return err
}

// TestARoleReachesAGroupsMembers: what is bound to a group its members have: to act, to vote, to be listed; and no longer than they are in it.
func TestARoleReachesAGroupsMembers(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 10)
		omar := s.priya.invite("Omar")
		s.group("releases")
		_, _, err := s.Bind(t.Context(), s.priya.api(), guard.NewBinding{Principal: "group:releases", Role: "release-manager"})
		s.ok(err)
		_, _, err = s.Bind(t.Context(), s.priya.api(), guard.NewBinding{Principal: "group:releases", Role: "developer"})
		s.ok(err)
		may := func() error { return s.May(t.Context(), omar.api(), "attorn:agent:read", "workspace") }
		if err := may(); fault.Code(err) != "no_permit" {
			t.Fatalf("before: %v", err)
		}
		ask := func(path string) id.Approval {
			return s.start(s.deployer.tool(s.leaf), s.call("write", `{"path":"production/`+path+`"}`)).Approval.ID
		}
		a := ask("a")
		if err := omar.vote(a, evidence.Approve); fault.Code(err) != "not_found" {
			t.Errorf("votes, and even sees it, before: %v", err)
		}
		s.ok(s.join("releases", omar))
		s.ok(may())
		s.ok(omar.vote(a, evidence.Approve))
		if v := s.start(s.deployer.tool(s.leaf), s.call("write", `{"path":"production/a"}`)); v.Outcome != evidence.Permit {
			t.Errorf("approved by a member: %+v", v)
		}
		_, roles, err := s.Me(t.Context(), omar.api())
		if err != nil || !slices.Equal(roles, []string{"developer", "release-manager"}) {
			t.Errorf("Omar has %v, %v", roles, err)
		}
		b := ask("b")
		s.ok(omar.vote(b, evidence.Approve))
		s.ok(s.leave("releases", omar))
		if v := s.start(s.deployer.tool(s.leaf), s.call("write", `{"path":"production/b"}`)); v.Outcome == evidence.Permit {
			t.Errorf("approved by who left the group: %+v", v)
		}
		if found, err := s.Approvals.Get(t.Context(), id.Default, b); err != nil || found.Status != approvals.Void {
			t.Errorf("%s, %v", found.Status, err)
		}
		if err := may(); fault.Code(err) != "no_permit" {
			t.Errorf("after: %v", err)
		}
	})
}

// TestDeletingAGroupEndsItsRoles, and one that is made again by that name begins with none.
func TestDeletingAGroupEndsItsRoles(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	omar := s.priya.invite("Omar")
	s.group("devs")
	_, _, err := s.Bind(t.Context(), s.priya.api(), guard.NewBinding{Principal: "group:devs", Role: "developer"})
	s.ok(err)
	s.ok(s.join("devs", omar))
	s.ok(s.May(t.Context(), omar.api(), "attorn:agent:read", "workspace"))
	_, err = s.DeleteGroup(t.Context(), s.priya.api(), "devs", "no more")
	s.ok(err)
	s.group("devs")
	s.ok(s.join("devs", omar))
	if err := s.May(t.Context(), omar.api(), "attorn:agent:read", "workspace"); fault.Code(err) != "no_permit" {
		t.Errorf("an old binding is back: %v", err)
	}
}

// TestPolicySpeaksOfGroups, of people's and of agents', and the facts that are kept decide the same again.
func TestPolicySpeaksOfGroups(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	s.group("trusted-bots")
	s.priya.publish(`
@id("people") permit (principal is User, action, resource) when { context.perm.s0 == "tool" };
@id("bots") permit (principal in Group::"trusted-bots", action, resource) when { context.perm.s0 == "tool" };`)
	call := s.call("write", `{"path":"staging/a"}`)
	if v := s.start(s.bot.tool(s.root), call); v.Code != "no_permit" {
		t.Fatalf("before: %+v", v)
	}
	s.ok(s.join("trusted-bots", s.bot))
	v := s.start(s.bot.tool(s.root), call)
	if v.Outcome != evidence.Permit {
		t.Fatalf("a member: %+v", v)
	}
	e := s.event(v.Event)
	raw, err := s.log.Content(t.Context(), e.Why.Facts)
	s.ok(err)
	facts, err := policy.ParseFacts(raw)
	s.ok(err)
	set, err := s.Rules.Load(t.Context(), id.Default, e.Why.Bundle)
	s.ok(err)
	s.ok(s.leave("trusted-bots", s.bot))
	facts.Arguments = call.Arguments
	tool, err := s.Catalog.Callable(t.Context(), id.Default, call.Server, call.Tool)
	s.ok(err)
	shape, err := s.Catalog.Shape(tool)
	s.ok(err)
	if d := policy.Decide(set, shape, facts, nil); d.Outcome != policy.Permit {
		t.Errorf("decided again later: %+v", d)
	}
	if v := s.start(s.bot.tool(s.root), call); v.Code != "no_permit" {
		t.Errorf("after: %+v", v)
	}
}

// TestNobodyGivesAGroupsRolesThatTheyHaveNot: to put somebody, oneself too, into a group is to give its roles.
func TestNobodyGivesAGroupsRolesThatTheyHaveNot(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	clerk := s.priya.invite("Clara Clerk")
	s.bind(clerk, "clerk", false)
	s.priya.publish(rulesOfTheStory + `@id("clerks") permit (principal in Role::"clerk", action in [Action::"attorn:group:add", Action::"attorn:role:bind"], resource);`)
	s.group("plain")
	s.group("strong")
	_, _, err := s.Bind(t.Context(), s.priya.api(), guard.NewBinding{Principal: "group:strong", Role: "admin"})
	s.ok(err)
	add := func(group string, who *party) error {
		_, err := s.AddToGroup(t.Context(), clerk.api(), group, who.sub(), "")
		return err
	}
	s.ok(add("plain", clerk))
	if err := add("strong", clerk); fault.Code(err) != "escalation" {
		t.Errorf("herself: %v", err)
	}
	if err := add("strong", s.maya); fault.Code(err) != "escalation" {
		t.Errorf("another: %v", err)
	}
	if _, _, err := s.Bind(t.Context(), clerk.api(), guard.NewBinding{Principal: "group:plain", Role: "admin"}); fault.Code(err) != "escalation" {
		t.Errorf("a role to her own group: %v", err)
	}
	if _, _, err := s.Bind(t.Context(), s.priya.api(), guard.NewBinding{Principal: "group:plain", Role: "owner"}); fault.Code(err) != "owner_group" {
		t.Errorf("owners by group: %v", err)
	}
	if _, _, err := s.Bind(t.Context(), s.priya.api(), guard.NewBinding{Principal: "group:none", Role: "admin"}); fault.Code(err) != "not_found" {
		t.Errorf("a group that there is not: %v", err)
	}
}

// TestWhoChangesAGroupThatPolicyNames: what a policy says of a group is not to be had, or shaken off, by who may change members alone.
func TestWhoChangesAGroupThatPolicyNames(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	clerk, omar := s.priya.invite("Clara Clerk"), s.priya.invite("Omar")
	s.bind(clerk, "clerk", false)
	s.bind(omar, "admin", false)
	for _, group := range []string{"plain", "trusted", "interns"} {
		s.group(group)
	}
	s.ok(s.join("interns", clerk))
	s.ok(s.join("plain", s.maya))
	s.priya.publish(rulesOfTheStory + `@id("clerks") permit (principal in Role::"clerk", action, resource) when { context.perm.s0 == "attorn" && context.perm.s1 == "group" };
@id("trusted") permit (principal in Group::"trusted", action, resource);
@id("interns") forbid (principal, action, resource) when { context.perm.s0 == "tool" && principal in Group::"interns" };`)
	attempts := map[string]func(p *party) error{
		"joins": func(p *party) error {
			_, err := s.AddToGroup(t.Context(), p.api(), "trusted", clerk.sub(), "")
			return err
		},
		"leaves": func(p *party) error {
			_, err := s.RemoveFromGroup(t.Context(), p.api(), "interns", clerk.sub(), "")
			return err
		},
		"deletes": func(p *party) error { _, err := s.DeleteGroup(t.Context(), p.api(), "interns", ""); return err },
	}
	for name, do := range attempts {
		wants(t, name, do(clerk), "escalation")
	}
	_, err := s.AddToGroup(t.Context(), clerk.api(), "plain", omar.sub(), "")
	wants(t, "joins a group that no policy names", err, "")
	_, err = s.RemoveFromGroup(t.Context(), clerk.api(), "plain", s.maya.sub(), "")
	wants(t, "leaves it", err, "")
	for _, name := range []string{"joins", "leaves", "deletes"} {
		wants(t, "who may give any role: "+name, attempts[name](omar), "")
	}
}

// TestADecisionIsStaleOnceAGroupMoved: a decision on members' roles is not committed after the group changed, whoever else was in it.
func TestADecisionIsStaleOnceAGroupMoved(t *testing.T) {
	for name, move := range map[string]func(s *story) error{
		"the member leaves": func(s *story) error { return s.leave("g", s.bot) },
		"its role is taken": func(s *story) error {
			_, err := s.Unbind(t.Context(), s.priya.api(), "group:g", rules.Grant{Role: "tool-user"}, "")
			return err
		},
		"it is deleted": func(s *story) error { _, err := s.DeleteGroup(t.Context(), s.priya.api(), "g", ""); return err },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory(t, dbtest.SQLite(t), 10)
			s.group("g")
			_, _, err := s.Bind(t.Context(), s.priya.api(), guard.NewBinding{Principal: "group:g", Role: "tool-user"})
			s.ok(err)
			s.ok(s.join("g", s.bot))
			s.priya.publish(`@id("people") permit (principal is User, action, resource) when { context.perm.s0 == "tool" };`)
			v := s.start(s.bot.tool(s.root), s.call("write", `{"path":"staging/a"}`))
			if v.Outcome != evidence.Permit {
				t.Fatalf("%+v", v)
			}
			e := s.event(v.Event)
			s.ok(move(s))
			// The same decision, handed in late, is not taken.
			d := evidence.Draft{Workspace: id.Default, Depends: []string{"group:g"}}
			d.Kind, d.Outcome, d.Who, d.Why = evidence.ToolStarted, evidence.Permit, e.Who, &evidence.Why{AsOf: e.Rev}
			if _, err := s.log.Record(t.Context(), d, nil); err != audit.ErrStale {
				t.Errorf("it is taken: %v", err)
			}
			if v := s.start(s.bot.tool(s.root), s.call("write", `{"path":"staging/a"}`)); v.Code != "no_permit" {
				t.Errorf("after: %+v", v)
			}
		})
	}
}

// TestGroupsOfOthersAreNotThere: what is no group answers alike, and what happens to groups is in the log.
func TestGroupsOfOthersAreNotThere(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	if err := s.join("none", s.maya); fault.Code(err) != "not_found" {
		t.Error(err)
	}
	s.group("g")
	if err := s.join("g", &party{user: id.New[id.User](s.now)}); fault.Code(err) != "not_found" {
		t.Errorf("nobody: %v", err)
	}
	for _, bad := range []string{"Bad Name", "", strings.Repeat("x", 5000), "a:b"} {
		if _, err := s.CreateGroup(t.Context(), s.priya.api(), bad, ""); fault.Code(err) != "group_invalid" {
			t.Errorf("%.10q: %v", bad, err)
		}
	}
	if _, err := s.CreateGroup(t.Context(), s.maya.api(), "mine", ""); fault.Code(err) != "no_permit" {
		t.Error(err)
	}
	if _, err := s.Groups(t.Context(), s.maya.api()); fault.Code(err) != "no_permit" {
		t.Error(err)
	}
	s.ok(s.join("g", s.maya))
	e := s.newest(audit.Filter{Kind: evidence.GroupChanged})
	if e.What.Group != "g" || e.What.User != s.maya.user || e.What.Status != "added" || !slices.Contains(e.Touches(), "group:g") || !slices.Contains(e.Touches(), s.maya.sub()) {
		t.Errorf("%s", s.event(e.ID).Body)
	}
	_, members, held, err := s.Group(t.Context(), s.priya.api(), "g")
	if err != nil || len(members) != 1 || len(held) != 0 {
		t.Errorf("%v, %v, %v", members, held, err)
	}
}
