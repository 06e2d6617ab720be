package policy_test

import (
	"testing"

	"github.com/attorn/attorn/policy"
)

// TestNames: wherever a policy may speak of an entity.
func TestNames(t *testing.T) {
	leads := policy.UID{Type: "Group", ID: "leads"}
	for text, want := range map[string]bool{
		`permit (principal in Group::"leads", action, resource);`:                                                         true,
		`permit (principal is User in Group::"leads", action, resource);`:                                                 true,
		`permit (principal == Group::"leads", action, resource);`:                                                         true,
		`permit (principal in Group::"l\u{65}ads", action, resource);`:                                                    true,
		`forbid (principal, action, resource) unless { principal in Group::"leads" };`:                                    true,
		`permit (principal, action, resource) when { principal in [Group::"x", Group::"leads"] };`:                        true,
		`permit (principal, action, resource) when { principal is User in Group::"leads" };`:                              true,
		`permit (principal, action, resource) when { true } unless { !(context.n == 1 || principal in Group::"leads") };`: true,
		`permit (principal, action, resource) when { {"a": [Group::"leads"]}.a.contains(principal) };`:                    true,
		`permit (principal in Group::"leaders", action, resource);`:                                                       false,
		`permit (principal in Role::"leads", action, resource);`:                                                          false,
		`permit (principal is Group, action, resource);`:                                                                  false,
		`permit (principal, action, resource) when { context.s == "Group::leads" }; // Group::"leads"`:                    false,
	} {
		set, problems := policy.Compile(append(policy.Shipped(), policy.File{Path: "policies/a.cedar", Text: []byte(`@id("a") ` + text)}))
		if set == nil {
			t.Errorf("%s: %v", text, problems)
		} else if got := policy.Names(set, leads); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}
