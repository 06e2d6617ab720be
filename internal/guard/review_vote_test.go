package guard_test

import (
	"testing"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/db/dbtest"
)

// TestPolicyMayForbidToVote: who may vote is a question to policy (policy.md §6), whose hard forbids hold when one votes and when the approval is used.
func TestPolicyMayForbidToVote(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	barred := rulesOfTheStory + `@id("barred") forbid (principal == User::"` + s.maya.user.String() + `", action == Action::"attorn:approval:vote", resource in Server::"files");`
	call := s.call("write", `{"path":"production/a"}`)
	asked := s.start(s.deployer.tool(s.leaf), call)

	s.priya.publish(barred)
	if err := s.maya.vote(asked.Approval.ID, evidence.Approve); fault.Code(err) != "not_eligible" && fault.Code(err) != "not_found" {
		t.Errorf("who is barred votes: %v", err)
	}
	s.priya.publish(rulesOfTheStory)
	s.ok(s.maya.vote(asked.Approval.ID, evidence.Approve))
	s.priya.publish(barred)
	if v := s.start(s.deployer.tool(s.leaf), call); v.Outcome != evidence.Ask {
		t.Errorf("a vote of who is barred by now: %+v", v)
	}
}
