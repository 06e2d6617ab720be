package policy_test

import (
	"testing"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/policy"
)

// TestUncovered: what a role gives is covered by the same or more, there or everywhere, and not where it is denied to one and not to the other.
func TestUncovered(t *testing.T) {
	permit := func(scope, class, p string) policy.Holding {
		return policy.Holding{Permission: delegation.Permission{Permission: p}, Class: class, Scope: scope}
	}
	deny := func(scope, p string) policy.Holding {
		return policy.Holding{Permission: delegation.Permission{Permission: p}, Deny: true, Scope: scope}
	}
	type all []policy.Holding
	for name, c := range map[string]struct {
		mine, given all
		lacks       bool
	}{
		"the same":                       {all{permit("", "", "tool:x")}, all{permit("", "", "tool:x")}, false},
		"more":                           {all{permit("", "", "*")}, all{permit("", "read", "tool:*")}, false},
		"nothing is asked":               {nil, nil, false},
		"nothing is had":                 {nil, all{permit("", "", "tool:x")}, true},
		"less":                           {all{permit("", "", "tool:x:*")}, all{permit("", "", "tool:*")}, true},
		"everywhere, in a scope":         {all{permit("", "", "tool:*")}, all{permit("server:x", "", "tool:*")}, false},
		"in a scope, everywhere":         {all{permit("server:x", "", "tool:*")}, all{permit("", "", "tool:*")}, true},
		"in another scope":               {all{permit("server:x", "", "tool:*")}, all{permit("server:y", "", "tool:*")}, true},
		"of a class, of all":             {all{permit("", "read", "tool:*")}, all{permit("", "", "tool:*")}, true},
		"of a class":                     {all{permit("", "read", "tool:*")}, all{permit("", "read", "tool:x")}, false},
		"denied to me":                   {all{permit("", "", "*"), deny("", "tool:x:wipe")}, all{permit("", "", "tool:x:*")}, true},
		"denied to me, with a wildcard":  {all{permit("", "", "*"), deny("", "tool:*:wipe*")}, all{permit("", "", "tool:x:wipe-all")}, true},
		"denied to both":                 {all{permit("", "", "*"), deny("", "tool:x:wipe")}, all{permit("", "", "tool:x:*"), deny("", "tool:x:*")}, false},
		"denied to the other in a scope": {all{permit("", "", "*"), deny("", "tool:x:wipe")}, all{permit("", "", "tool:x:*"), deny("server:x", "tool:x:*")}, true},
		"something else is denied":       {all{permit("", "", "*"), deny("", "tool:y:*")}, all{permit("", "", "tool:x:*")}, false},
		"a denial alone":                 {nil, all{deny("", "tool:x")}, false},
	} {
		if h, lacks := policy.Uncovered(c.mine, c.given); lacks != c.lacks {
			t.Errorf("%s: %v %+v", name, lacks, h)
		}
	}
}
