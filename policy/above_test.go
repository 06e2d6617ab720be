package policy_test

import (
	"fmt"
	"testing"

	"github.com/attorn/attorn/policy"
)

// What an entity is in is the same to scopes, which are tested here, and to conditions, which Cedar tests: however much it is, and in whatever circle.
func TestScopesAndConditionsSeeTheSameParents(t *testing.T) {
	group := func(n int) policy.UID { return policy.UID{Type: "Group", ID: fmt.Sprintf("g%d", n)} }
	role := policy.UID{Type: "Role", ID: "lead"}
	for _, many := range []int{1, 5, 31, 32, 33, 200} {
		f := chain("usr_p")
		f.Arguments = nil
		me := &f.Entities[len(f.Entities)-1]
		me.Parents = nil
		for n := range many {
			me.Parents = append(me.Parents, group(n))
			up := policy.Entity{UID: group(n), Parents: []policy.UID{group(n + 1), group(0), {Type: "Group", ID: "all"}}}
			if n == many-1 {
				up.Parents = append(up.Parents, role, me.UID)
			}
			f.Entities = append(f.Entities, up)
		}
		f.Entities = append(f.Entities, policy.Entity{UID: role, Parents: []policy.UID{{Type: "Group", ID: "leads-of-old"}}}) // what the facts say of a role comes to what the set says
		me = &f.Entities[4]
		if me.UID != f.Principals[0] {
			t.Fatal(me.UID)
		}
		for of, want := range map[string]bool{
			`Group::"g0"`: true, group(many - 1).String(): true, group(many).String(): true, group(many + 1).String(): false, `Group::"all"`: true, `Role::"lead"`: true,
			`Role::"worker"`: true, `Group::"leads-of-old"`: true, `Role::"boss"`: false, `User::"usr_p"`: true, `User::"usr_q"`: false, `Group::"lead"`: false,
		} {
			for _, text := range []string{`permit (principal in %s, action, resource);`, `permit (principal, action, resource) when { principal in %s };`, `permit (principal is User in %s, action, resource);`} {
				s, problems := policy.Compile([]policy.File{
					{Path: "roles/worker.yaml", Text: []byte("permissions: [tool:none:x]\n")},
					{Path: "roles/lead.yaml", Text: []byte("inherits: [worker]\npermissions: [tool:none:y]\n")},
					{Path: "policies/a.cedar", Text: fmt.Appendf(nil, text, of)},
				})
				if s == nil {
					t.Fatal(problems)
				}
				if d := policy.Decide(s, nil, f, nil); (d.Outcome == policy.Permit) != want {
					t.Errorf("in %d groups, %s: %+v", many, fmt.Sprintf(text, of), d)
				}
			}
		}
	}
}
