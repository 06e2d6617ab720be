package guard_test

import (
	"context"
	"testing"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/approvals"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/rules"
)

// meanwhile is the door of s with a clock that lets something happen when it is first read: in every decision that is after the log's position
// was, and before the rest of the state.
func (s *story) meanwhile(happens func()) *guard.Guard {
	cfg := s.Guard.Config
	first := true
	cfg.Now = func() time.Time {
		if first {
			first = false
			happens()
		}
		return s.now
	}
	return guard.New(cfg)
}

func (s *story) bind(to *party, role string, remove bool) {
	s.t.Helper()
	var err error
	if remove {
		_, err = s.Unbind(context.Background(), s.priya.api(), to.sub(), rules.Grant{Role: role}, "")
	} else {
		_, _, err = s.Bind(context.Background(), s.priya.api(), guard.NewBinding{Principal: to.sub(), Role: role})
	}
	s.ok(err)
}

// TestAVoteRestsOnWhatIsTrueWhenItCounts: the voter's role is read after the position that the vote is judged at, and what changes then is
// judged anew instead of failing the vote.
func TestAVoteRestsOnWhatIsTrueWhenItCounts(t *testing.T) {
	for name, c := range map[string]struct {
		happens func(s *story)
		code    string
	}{
		"another role is given": {func(s *story) { s.bind(s.maya, "tool-reader", false) }, ""},
		"the role is taken":     {func(s *story) { s.bind(s.maya, "release-manager", true) }, "not_eligible"},
		"the voter is suspended": {func(s *story) {
			_, _, err := s.EndPerson(context.Background(), s.priya.api(), s.maya.user, "suspend", "")
			s.ok(err)
		}, "person_suspended"},
		"the gate is changed": {func(s *story) { s.priya.publish(`permit (principal, action, resource);`) }, "changed"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory(t, dbtest.SQLite(t), 10)
			asked := s.start(s.deployer.tool(s.leaf), s.call("write", `{"path":"production/a"}`)).Approval.ID
			v, err := s.ProposeVote(t.Context(), s.maya.api(), asked, evidence.Approve, "")
			s.ok(err)
			sv, err := evidence.SignVote(v, s.maya.signer)
			s.ok(err)
			caller := s.maya.api()
			_, _, err = s.meanwhile(func() { c.happens(s) }).Vote(t.Context(), caller, asked, sv)
			if code := fault.Code(err); code != c.code {
				t.Errorf("got %q (%v), want %q", code, err, c.code)
			}
			found, err := s.Approvals.Get(t.Context(), s.deployer.tool(s.leaf).Workspace(), asked)
			s.ok(err)
			if counted := found.Status == approvals.Approved; counted != (c.code == "") {
				t.Errorf("the approval is %s", found.Status)
			}
		})
	}
}

// TestATokenRestsOnWhatIsTrueWhenItIsIssued: what ends meanwhile refuses the token, what merely changes does not.
func TestATokenRestsOnWhatIsTrueWhenItIsIssued(t *testing.T) {
	for name, c := range map[string]struct {
		happens func(s *story)
		code    string
	}{
		"a role is given":     {func(s *story) { s.bind(s.deployer, "tool-reader", false) }, ""},
		"the root is revoked": {func(s *story) { s.revokeRoot() }, "delegation_revoked"},
		"the lender is suspended": {func(s *story) {
			_, _, _, err := s.EndAgent(context.Background(), s.priya.api(), s.bot.agent, "suspend", "")
			s.ok(err)
		}, "agent_suspended"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory(t, dbtest.SQLite(t), 10)
			client := s.deployer.client()
			_, err := s.meanwhile(func() { c.happens(s) }).Exchange(t.Context(), client, guard.TokenRequest{
				Resource: issuer + "/mcp/files", Subject: s.leaf.String(), SubjectType: guard.TypeDelegation,
			})
			if code := fault.Code(err); code != c.code {
				t.Errorf("got %q (%v), want %q", code, err, c.code)
			}
		})
	}
}

func (s *story) revokeRoot() {
	s.t.Helper()
	_, _, err := s.Revoke(context.Background(), s.priya.api(), s.root.Statement.ID, "")
	s.ok(err)
}

// TestACallRestsOnWhatIsTrueWhenItIsPermitted does the same to a call, for everything that it depends on.
func TestACallRestsOnWhatIsTrueWhenItIsPermitted(t *testing.T) {
	end := func(do func(s *story) error) func(*story) {
		return func(s *story) { s.ok(do(s)) }
	}
	for name, c := range map[string]struct {
		happens func(s *story)
		code    string // "": permitted
	}{
		"the root is revoked": {func(s *story) { s.revokeRoot() }, "delegation_revoked"},
		"the person is suspended": {end(func(s *story) error {
			_, _, err := s.EndPerson(context.Background(), s.maya.api(), s.priya.user, "suspend", "")
			return err
		}), "person_suspended"},
		"the agent between is suspended": {end(func(s *story) error {
			_, _, _, err := s.EndAgent(context.Background(), s.priya.api(), s.bot.agent, "suspend", "")
			return err
		}), "agent_suspended"},
		"the key between is revoked": {end(func(s *story) error {
			_, _, _, err := s.EndInstance(context.Background(), s.priya.api(), s.bot.signer.Public().Thumbprint(), "revoke", "")
			return err
		}), ""}, // which of two codes, delegation or instance, is the chain's to say
		"the server is removed": {end(func(s *story) error {
			_, err := s.RemoveServer(context.Background(), s.priya.api(), "files")
			return err
		}), "unknown_server"},
		"a policy forbids": {func(s *story) {
			s.priya.publish(rulesOfTheStory + `@id("halt") forbid (principal, action, resource) when { context.perm.s0 == "tool" };`)
		}, "forbidden"},
		"a role is given": {func(s *story) { s.bind(s.deployer, "tool-reader", false) }, "permitted"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory(t, dbtest.SQLite(t), 10)
			s.bind(s.maya, "owner", false)
			caller, call := s.deployer.tool(s.leaf), s.call("write", `{"path":"staging/a"}`)
			v, err := s.meanwhile(func() { c.happens(s) }).Start(t.Context(), caller, call)
			s.ok(err)
			switch {
			case c.code == "permitted" && v.Outcome != evidence.Permit, c.code != "permitted" && v.Outcome != evidence.Deny:
				t.Errorf("got %+v", v)
			case c.code != "" && c.code != "permitted" && v.Code != c.code:
				t.Errorf("got %s (%s), want %s", v.Code, v.Reason, c.code)
			}
		})
	}
}
