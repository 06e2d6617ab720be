package guard_test

import (
	"strings"
	"testing"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/policy"
)

// What is published is typed against the workspace's tools, and what that says of them is for who may publish.
func TestPublishTypes(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	wrong := []policy.File{{Path: "policies/a.cedar", Text: []byte(`forbid (principal, action == Action::"tool:files:write", resource) when { context.args.path > 3 };`)}}
	_, problems, _, err := s.Publish(t.Context(), s.priya.api(), wrong, id.Digest{})
	if fault.Code(err) != "policy_invalid" || len(problems) != 1 || problems[0].Code != "type_error" || !strings.Contains(err.Error(), "policies/a.cedar:1:1") {
		t.Fatalf("%v %v", problems, err)
	}
	other := s.priya.invite("Noor")
	if _, problems, _, err := s.Publish(t.Context(), other.api(), wrong, id.Digest{}); fault.Code(err) != "no_permit" || len(problems) > 0 {
		t.Fatalf("who may not publish: %v %v", problems, err)
	}
	right := []policy.File{{Path: "policies/a.cedar", Text: []byte(`forbid (principal, action == Action::"tool:files:write", resource) when { context.args.path like "secret/*" };`)}}
	if _, _, _, err := s.Publish(t.Context(), s.priya.api(), right, id.Digest{}); err != nil {
		t.Fatal(err)
	}
}
