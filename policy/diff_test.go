package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/attorn/attorn/policy"
)

func compiledOf(t testing.TB, files ...policy.File) *policy.Set {
	t.Helper()
	set, problems := policy.Compile(append(policy.Shipped(), files...))
	if set == nil {
		t.Fatal(problems)
	}
	return set
}

func cedarFile(path, text string) policy.File { return policy.File{Path: path, Text: []byte(text)} }

func differs(d policy.Difference) string {
	var all []string
	for _, f := range d.Files {
		all = append(all, f.How+" file "+f.Path)
	}
	for _, p := range d.Policies {
		all = append(all, fmt.Sprintf("%s %s %s at %s:%d", p.How, p.Effect, p.ID, p.File, p.Line))
	}
	return strings.Join(append(all, "roles "+strings.Join(d.Roles, ",")), "\n")
}

func TestDiff(t *testing.T) {
	base := []policy.File{
		cedarFile("policies/a.cedar", "@id(\"one\") permit (principal in Role::\"release\", action, resource);\n@id(\"two\") forbid (principal, action == Action::\"tool:a:b\", resource) when { context.perm.n > 2 };\npermit (principal, action == Action::\"tool:x:y\", resource);\n"),
		cedarFile("policies/b.cedar", "permit (principal is User, action, resource) when { context.perm.s0 == \"tool\" };\n"),
	}
	for name, c := range map[string]struct {
		files []policy.File
		want  string
	}{
		"nothing": {base, "roles "},
		"layout and comments": {[]policy.File{
			cedarFile("policies/a.cedar", "// words\n@id(\"two\")\nforbid (principal, action == Action::\"tool:a:b\", resource)\nwhen { context.perm.n > 2 };\n\npermit (principal, action == Action::\"tool:x:y\", resource);\n@id(\"one\")\npermit (principal in Role::\"release\", action, resource);"), base[1],
		}, "changed file policies/a.cedar\nroles "},
		"another file": {
			[]policy.File{base[1], cedarFile("policies/c.cedar", strings.Split(string(base[0].Text), "permit (principal, action ==")[0]), cedarFile("policies/a.cedar", "permit (principal, action == Action::\"tool:x:y\", resource);")},
			"changed file policies/a.cedar\nadded file policies/c.cedar\nroles ",
		},
		"a condition": {
			[]policy.File{cedarFile("policies/a.cedar", strings.Replace(string(base[0].Text), "n > 2", "n > 1", 1)), base[1]},
			"changed file policies/a.cedar\nchanged forbid two at policies/a.cedar:2\nroles ",
		},
		"a forbid becomes a gate": {
			[]policy.File{cedarFile("policies/a.cedar", strings.Replace(string(base[0].Text), `@id("two")`, `@id("two") @approve("1 of x")`, 1)), base[1]},
			"changed file policies/a.cedar\nchanged gate two at policies/a.cedar:2\nroles ",
		},
		"a role's": {
			[]policy.File{cedarFile("policies/a.cedar", strings.Replace(string(base[0].Text), `Role::"release"`, `Role::"deploy@server:x"`, 1)), base[1]},
			"changed file policies/a.cedar\nchanged permit one at policies/a.cedar:1\nroles deploy,release",
		},
		"one without an id": {
			[]policy.File{base[0], cedarFile("policies/b.cedar", strings.Replace(string(base[1].Text), "User", "Agent", 1))},
			"changed file policies/b.cedar\nadded permit policies/b.cedar#1 at policies/b.cedar:1\nremoved permit policies/b.cedar#1 at policies/b.cedar:1\nroles ",
		},
		"a file gone": {base[:1], "removed file policies/b.cedar\nremoved permit policies/b.cedar#1 at policies/b.cedar:1\nroles "},
	} {
		d := policy.Diff(compiledOf(t, base...), compiledOf(t, c.files...))
		if got := differs(d); got != c.want || d.Empty() != (name == "nothing") {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, c.want)
		}
	}
}

// What is added one way is removed the other way, and nothing differs from itself.
func TestDiffIsSymmetric(t *testing.T) {
	pool := []string{"permit (principal, action, resource);", "forbid (principal is Agent, action, resource);", `permit (principal in Role::"r", action, resource);`}
	rapid.Check(t, func(r *rapid.T) {
		bundle := func(label string) *policy.Set {
			var files []policy.File
			for i := range rapid.IntRange(0, 3).Draw(r, label) {
				text := ""
				for j := range rapid.IntRange(0, 3).Draw(r, "policies") {
					if rapid.Bool().Draw(r, "named") {
						text += fmt.Sprintf("@id(\"p%d-%d\") ", i, j)
					}
					text += rapid.SampledFrom(pool).Draw(r, "text") + "\n"
				}
				files = append(files, cedarFile(fmt.Sprintf("policies/f%d.cedar", i), text))
			}
			return compiledOf(t, files...)
		}
		a, b := bundle("a"), bundle("b")
		if d := policy.Diff(a, a); !d.Empty() || len(d.Policies)+len(d.Roles) > 0 {
			r.Fatalf("itself: %s", differs(d))
		}
		there, back := policy.Diff(a, b), policy.Diff(b, a)
		count := func(d policy.Difference, how string) (n int) {
			for _, p := range d.Policies {
				if p.How == how {
					n++
				}
			}
			return n
		}
		if count(there, policy.Added) != count(back, policy.Removed) || count(there, policy.Changed) != count(back, policy.Changed) || strings.Join(there.Roles, ",") != strings.Join(back.Roles, ",") {
			r.Fatalf("there %s\nback %s", differs(there), differs(back))
		}
	})
}
