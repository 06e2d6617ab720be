package guard_test

import (
	"strings"
	"testing"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/policy"
)

// What is published is typed against the workspace's tools, and what that says of them is for who may publish.
func TestPublishTypes(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	wrong := []policy.File{{Path: "policies/a.cedar", Text: []byte(`forbid (principal, action == Action::"tool:files:write", resource) when { context.args.path > 3 };`)}}
	got, err := s.Publish(t.Context(), s.priya.signed(), guard.Candidate{Files: wrong})
	if problems := got.Problems; fault.Code(err) != "policy_invalid" || len(problems) != 1 || problems[0].Code != "type_error" || !strings.Contains(err.Error(), "policies/a.cedar:1:1") {
		t.Fatalf("%v %v", got.Problems, err)
	}
	other := s.priya.invite("Noor")
	if got, err := s.Publish(t.Context(), other.signed(), guard.Candidate{Files: wrong}); fault.Code(err) != "no_permit" || len(got.Problems) > 0 {
		t.Fatalf("who may not publish: %v %v", got.Problems, err)
	}
	right := []policy.File{{Path: "policies/a.cedar", Text: []byte(`forbid (principal, action == Action::"tool:files:write", resource) when { context.args.path like "secret/*" };`)}}
	if _, err := s.Publish(t.Context(), s.priya.signed(), guard.Candidate{Files: right}); err != nil {
		t.Fatal(err)
	}
}
