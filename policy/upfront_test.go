package policy_test

import (
	"testing"

	cedar "github.com/cedar-policy/cedar-go"

	"github.com/attorn/attorn/policy"
)

// What a policy's conditions begin with is tested before Cedar is asked; the answer is Cedar's, errors included.
func TestUpfrontIsCedar(t *testing.T) {
	conditions := []string{
		`context.perm.n == 3`, `context.perm.n == 2`, `context.perm.n >= 3`, `context.perm.n >= 4`, `context.perm.n == 0`, `context.perm.n > 2`, `3 == context.perm.n`,
		`context.perm.n == "3"`, `context.perm.s0 == "tool"`, `context.perm.s0 == "attorn"`, `context.perm.s0 == 3`, `context.perm.s7 == ""`, `context.perm.s2 == ""`, `context.perm.s7 == "x"`,
		`context.perm.s8 == ""`, `context.perm.s10 == ""`, `context.perm.nothing == 1`, `context.perm.s0 >= "a"`, `context.perm.n >= "a"`, `context.perm == 3`, `context.x.n == 3`, `context.perm.perm.n == 3`,
		`principal.perm.n == 3`, `context.perm.s1 like "dep*"`, `!(context.perm.n == 3)`, `context.perm.n != 3`, `context.perm has s0`, `context.perm.n == -1`, `context.perm.n >= -1`, `true`,
	}
	rest := []string{``, ` && principal.nothing == 1`, ` || principal.nothing == 1`, ` && context.perm.s1 == "deploy"`, ` && (context.perm.s2 == "run" && context.perm.nothing == 1)`}
	n := 0
	for _, effect := range []string{"permit", "forbid"} {
		for _, word := range []string{"when", "unless"} {
			for _, first := range conditions {
				for _, more := range rest {
					text := effect + " (principal, action, resource) " + word + " { " + first + more + ` } when { context.perm.n >= 0 && resource.pin == "p" };`
					s, problems := policy.Compile([]policy.File{{Path: "policies/a.cedar", Text: []byte("permit (principal, action, resource);" + text)}})
					if s == nil {
						t.Fatal(problems)
					}
					var plain cedar.Policy
					if err := plain.UnmarshalCedar([]byte(text)); err != nil {
						t.Fatal(err)
					}
					set := cedar.NewPolicySet()
					set.Add("it", &plain)
					for _, action := range []string{"tool:deploy:run", "tool:deploy", "attorn:agent:read", "tool:deploy:run:now", "no permission"} {
						f := chain("agt_a")
						f.Action, f.Arguments = action, nil
						q, entities := policy.CedarRequest(f, 0)
						_, want := cedar.Authorize(set, entities, q)
						d := policy.Decide(s, nil, f, nil)
						code := ""
						switch {
						case effect == "forbid" && len(want.Reasons) > 0:
							code = policy.CodeForbidden
						case effect == "forbid" && len(want.Errors) > 0:
							code = policy.CodePolicyError
						}
						matched := len(d.Reasons) > 0 && d.Reasons[len(d.Reasons)-1] == "policies/a.cedar#2"
						if d.Code != code || len(d.Errors) != len(want.Errors) || effect == "permit" && matched != (len(want.Reasons) > 0) {
							t.Errorf("%s of %s: %+v; Cedar: %+v", text, action, d, want)
						}
						n++
					}
				}
			}
		}
	}
	t.Log(n, "cases")
}
