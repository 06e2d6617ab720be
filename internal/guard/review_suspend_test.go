package guard_test

import (
	"testing"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/approvals"
	"github.com/attorn/attorn/internal/db/dbtest"
)

// TestSuspendingEndsWhatWaitsBelow: the kill switch ends pending approvals too (authority.md §1), also those that an agent further down asked for.
func TestSuspendingEndsWhatWaitsBelow(t *testing.T) {
	for name, end := range map[string]func(s *story) error{
		"the agent that asked": func(s *story) error {
			_, _, _, err := s.EndAgent(t.Context(), s.priya.api(), s.deployer.agent, "suspend", "")
			return err
		},
		"the agent above it": func(s *story) error {
			_, _, _, err := s.EndAgent(t.Context(), s.priya.api(), s.bot.agent, "suspend", "")
			return err
		},
		"the instance above it": func(s *story) error {
			_, _, _, err := s.EndInstance(t.Context(), s.priya.api(), s.bot.signer.Public().Thumbprint(), "suspend", "")
			return err
		},
		"the agent above it, for ever": func(s *story) error {
			_, _, _, err := s.EndAgent(t.Context(), s.priya.api(), s.bot.agent, "revoke", "")
			return err
		},
		"the person": func(s *story) error {
			_, _, err := s.EndPerson(t.Context(), s.maya.api(), s.priya.user, "suspend", "")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, dsn string) {
				s := newStory(t, dsn, 10)
				s.bind(s.maya, "owner", false)
				below := s.start(s.deployer.tool(s.leaf), s.call("write", `{"path":"production/a"}`)).Approval.ID
				root := s.priya.lend(s.deployer, lent{}, "tool:files:*")
				beside := s.start(s.deployer.tool(root), s.call("write", `{"path":"production/b"}`)).Approval.ID
				s.ok(end(s))
				for approval, want := range map[id.Approval]approvals.Status{
					below:  approvals.Void,
					beside: map[bool]approvals.Status{true: approvals.Void, false: approvals.Pending}[name == "the agent that asked" || name == "the person"],
				} {
					if found, err := s.Approvals.Get(t.Context(), id.Default, approval); err != nil || found.Status != want {
						t.Errorf("%s is %s, want %s; %v", approval, found.Status, want, err)
					}
				}
			})
		})
	}
}
