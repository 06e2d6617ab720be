package guard_test

import (
	"testing"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/rules"
)

// TestNobodyGivesWhatTheyHaveNot: who may bind roles binds those that they hold; more takes attorn:role:escalate (policy.md §7).
func TestNobodyGivesWhatTheyHaveNot(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	clerk := s.priya.invite("Clara Clerk")
	s.bind(clerk, "clerk", false)
	s.bind(clerk, "tool-reader", false)
	s.priya.publish(rulesOfTheStory + `@id("clerks") permit (principal in Role::"clerk", action == Action::"attorn:role:bind", resource);`)
	give := func(by, to *party, role string) error {
		_, _, err := s.Bind(t.Context(), by.api(), guard.NewBinding{Principal: to.sub(), Role: role})
		return err
	}
	if err := give(clerk, s.deployer, "tool-reader"); err != nil {
		t.Errorf("a role of one's own: %v", err)
	}
	for _, role := range []string{"owner", "admin", "release-manager"} {
		if err := give(clerk, clerk, role); fault.Code(err) != "escalation" {
			t.Errorf("%s: %v", role, err)
		}
	}
	_, err := s.Unbind(t.Context(), clerk.api(), s.maya.sub(), rules.Grant{Role: "release-manager"}, "")
	s.ok(err) // to take is not to give
	if err := give(s.maya, s.maya, "owner"); fault.Code(err) != "no_permit" {
		t.Errorf("who may not bind at all: %v", err)
	}
	if err := give(s.priya, s.maya, "release-manager"); err != nil {
		t.Errorf("an owner: %v", err)
	}
}

// TestALinkIsForOneself: whatever policy says, nobody makes a link to become somebody else.
func TestALinkIsForOneself(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	desk, other := s.priya.invite("Desk"), s.priya.invite("Otto")
	s.bind(desk, "help", false)
	s.priya.publish(rulesOfTheStory + `@id("help") permit (principal in Role::"help", action in [Action::"attorn:user:link", Action::"attorn:user:invite"], resource);`)
	for _, c := range []struct {
		by, to *party
		code   string
	}{
		{desk, desk, ""},
		{desk, other, "not_yourself"},
		{desk, s.maya, "not_yourself"},
		{desk, s.priya, "not_yourself"},
		{s.maya, desk, "no_permit"},
		{s.maya, s.maya, ""},
		{s.priya, s.maya, "not_yourself"},
	} {
		if _, err := s.NewLink(t.Context(), c.by.api(), c.to.user); fault.Code(err) != c.code {
			t.Errorf("%s for %s: %v, want %q", c.by.user, c.to.user, err, c.code)
		}
	}
}
