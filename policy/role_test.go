package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/policy"
)

// withRoles compiles files of roles, by path, with what is shipped.
func withRoles(t testing.TB, files map[string]string) *policy.Set {
	t.Helper()
	s, problems := policy.Compile(bundled(files))
	if s == nil {
		t.Fatal(problems)
	}
	return s
}

func bundled(files map[string]string) []policy.File {
	all := policy.Shipped()
	for path, text := range files {
		all = append(all, policy.File{Path: path, Text: []byte(text)})
	}
	return all
}

// TestRoleVectors: in: files by path, the parents of a principal, an action with its class, resource and arguments, whose schema is given or that of a tool that takes
// what it is sent; ok: what is permitted and by which policies; error: the code of the refusal, of the decision or of the first problem.
func TestRoleVectors(t *testing.T) {
	vectors(t, "roles.json", func(t *testing.T, in jsontext.Value) (any, string) {
		var c struct {
			Files     map[string]string
			Parents   []string
			Entities  []policy.Entity
			Action    string
			Class     string
			Resource  policy.UID
			Arguments jsontext.Value
			Schema    jsontext.Value
		}
		if err := read(in, &c); err != nil {
			t.Fatal(err)
		}
		s, problems := policy.Compile(bundled(c.Files))
		if s == nil {
			if problems[0].File == "" || problems[0].Message == "" {
				t.Errorf("%+v", problems[0])
			}
			return problems, problems[0].Code
		}
		if c.Action == "" {
			return "roles", ""
		}
		f := roleFacts(c.Action, c.Class, c.Arguments, c.Parents...)
		if c.Resource.Type != "" {
			f.Resource = c.Resource
		}
		f.Entities = append(f.Entities, c.Entities...)
		shape := policy.Like(f)
		if c.Schema != nil {
			var err error
			if shape, err = policy.ShapeOf([]byte(`{"name":"t","inputSchema":` + string(c.Schema) + `}`)); err != nil {
				t.Fatal(err)
			}
		}
		if f.Arguments != nil {
			if err := f.Arguments.Canonicalize(); err != nil {
				t.Fatal(err)
			}
		}
		d := policy.Decide(s, shape, f, nil)
		if d.Outcome != policy.Permit {
			if d.Message == "" || len(d.Errors) > 0 {
				t.Errorf("%+v", d)
			}
			return d, d.Code
		}
		if !policy.Visible(s, f) {
			t.Error("hidden")
		}
		return d.Reasons, ""
	})
}

// roleFacts is a request of a person with these roles, groups or others as parents, given as "Type::id"; a bare text is a role.
func roleFacts(action, class string, arguments []byte, parents ...string) policy.Facts {
	person := policy.Entity{UID: policy.UID{Type: policy.TypeUser, ID: "usr_p"}}
	for _, p := range parents {
		u := policy.UID{Type: "Role", ID: p}
		if kind, name, ok := strings.Cut(p, "::"); ok {
			u = policy.UID{Type: kind, ID: name}
		}
		person.Parents = append(person.Parents, u)
	}
	f := policy.Facts{
		Principals: []policy.UID{person.UID}, Action: action, ActionParents: policy.ActionParents(action, class),
		Arguments: arguments, Now: 1795427523118204, Entities: []policy.Entity{person},
	}
	segments := strings.Split(action, ":")
	f.Resource = policy.UID{Type: "Noun", ID: segments[0]}
	if len(segments) > 2 && segments[0] == "tool" {
		f.Resource = policy.UID{Type: "Tool", ID: segments[1] + ":" + segments[2]}
		f.Entities = append(f.Entities, policy.Entity{UID: f.Resource, Parents: []policy.UID{{Type: "Server", ID: segments[1]}}},
			policy.Entity{UID: policy.UID{Type: "Server", ID: segments[1]}, Parents: []policy.UID{{Type: "Environment", ID: "prod"}}})
	}
	return f
}

func TestBuiltInRolesAreThoseOfTheBook(t *testing.T) {
	s := withRoles(t, nil)
	got := map[string]string{}
	for _, r := range s.Roles() {
		var all []string
		for _, p := range r.Permissions {
			all = append(all, p.Permission)
		}
		got[r.Name] = strings.TrimSpace(strings.Join(all, " ") + " " + r.Class)
		if len(r.Inherits)+len(r.Deny) > 0 || r.MaxBinding != 0 || r.Doc == "" || s.RoleFile(r.Name) != "attorn/roles/"+r.Name+".yaml" {
			t.Errorf("%+v in %s", r, s.RoleFile(r.Name))
		}
	}
	want := map[string]string{
		"owner": "*", "admin": "attorn:*", "security-auditor": "attorn:*:read", "policy-publisher": "attorn:policy:*",
		"policy-author": "attorn:policy:read attorn:policy:replay attorn:policy:shadow attorn:policy:simulate",
		"approver":      "attorn:approval:read attorn:approval:vote",
		"developer":     "attorn:agent:* attorn:instance:* attorn:delegation:* attorn:decision:explain",
		"agent-runtime": "attorn:token:exchange attorn:delegation:lend", "tool-user": "tool:*", "tool-reader": "tool:* read",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRoleProblemsSayWhere(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"pattern", "doc: x\npermissions:\n  - tool:a:b\n  - \"tool:*x:b\"\n", "4:5 permission_invalid"},
		{"where", "deny:\n  - permission: a:b\n    where: { n: { min: 5, max: 4 } }\n", "2:15 permission_invalid"},
		{"unknown role", "inherits:\n  - developer\n  - nobody\n", "3:5 role_unknown"},
		{"itself", "inherits: [x]\n", "1:12 role_cycle"},
		{"twice", "inherits: [admin, admin]\n", "1:19 role_invalid"},
		{"class", "permissions: [a]\nclass: call\n", "2:1 role_invalid"},
		{"class of nothing", "class: read\ndeny: [a]\n", "1:1 role_invalid"},
		{"binding", "max_binding: 400d\n", "1:1 role_invalid"},
		{"unknown key", "permissions: [a]\npermission: [b]\n", "2:1 unknown_key"},
		{"unknown operator", "permissions:\n  - { permission: a, where: { x: { is: 1 } } }\n", "2:36 unknown_key"},
		{"alias", "permissions: [*]\n", "1:16 syntax"},
	} {
		_, problems := policy.Compile(bundled(map[string]string{"roles/x.yaml": c.text}))
		if len(problems) != 1 || fmt.Sprintf("%d:%d %s", problems[0].Line, problems[0].Col, problems[0].Code) != c.want || problems[0].File != "roles/x.yaml" {
			t.Errorf("%s: %v, want %s", c.name, problems, c.want)
		}
	}
}

// TestRolesInARow: ten roles may inherit one another, not eleven; and what many ways lead to is no circle.
func TestRolesInARow(t *testing.T) {
	files := map[string]string{"roles/r0.yaml": "permissions: [a:b]"}
	for i := 1; i <= 10; i++ {
		files[fmt.Sprintf("roles/r%d.yaml", i)] = fmt.Sprintf("inherits: [r%d, r0]", i-1)
		if i == 1 {
			files["roles/r1.yaml"] = "inherits: [r0]"
		}
	}
	s := withRoles(t, files)
	if d := policy.Decide(s, nil, roleFacts("a:b", "", nil, "r10"), nil); d.Outcome != policy.Permit {
		t.Errorf("%+v", d)
	}
	if got := len(s.Heirs("r0")); got != 11 {
		t.Errorf("%d heirs", got)
	}
	files["roles/r11.yaml"] = "inherits: [r10]"
	if _, problems := policy.Compile(bundled(files)); len(problems) != 1 || problems[0].Code != "role_cycle" || problems[0].File != "roles/r11.yaml" {
		t.Errorf("%v", problems)
	}
	files["roles/r0.yaml"] = "inherits: [r9]"
	if _, problems := policy.Compile(bundled(files)); len(problems) != 1 || problems[0].Code != "role_cycle" {
		t.Errorf("%v", problems)
	}
}

func TestDigestNamesRoles(t *testing.T) {
	one := withRoles(t, map[string]string{"roles/a.yaml": "permissions: [a:b]"})
	two := withRoles(t, map[string]string{"roles/a.yaml": "permissions: [a:c]"})
	three := withRoles(t, map[string]string{"store/roles/a.yaml": "permissions: [a:b]"})
	if one.Digest() == two.Digest() || one.Digest() == three.Digest() || two.Digest() == three.Digest() {
		t.Error("other roles, the same digest")
	}
}

func TestDenialNamesTheRole(t *testing.T) {
	s := withRoles(t, map[string]string{"roles/careful.yaml": "permissions: [\"*\"]\ndeny:\n  - tool:db:*\n  - { permission: tool:deploy:run, where: { env: { equals: prod } } }\n"})
	for action, want := range map[string]string{
		"tool:db:drop":    `Role careful denies tool:db:*.`,
		"tool:deploy:run": `Role careful denies tool:deploy:run where env is prod.`,
	} {
		f := roleFacts(action, "write", []byte(`{"env":"prod"}`), "careful@server:"+strings.Split(action, ":")[1])
		d := policy.Decide(s, policy.Like(f), f, nil)
		if d.Code != policy.CodeForbidden || d.Message != want {
			t.Errorf("%s: %+v", action, d)
		}
	}
}

// TestHeirsVote: who holds a role by one that inherits it may vote, and is counted; workspace-wide holders alone.
func TestHeirsVote(t *testing.T) {
	files := map[string]string{
		"roles/release-manager.yaml": "doc: votes", "roles/head.yaml": "inherits: [release-manager]",
		"policies/a.cedar": `@id("g") @approve("1 of release-manager") forbid (principal, action == Action::"tool:deploy:run", resource); permit (principal, action, resource);`,
	}
	s := withRoles(t, files)
	f := roleFacts("tool:deploy:run", "write", []byte("{}"))
	o := policy.Decide(s, policy.Like(f), f, nil).Obligations[0]
	for role, want := range map[string]bool{"release-manager": true, "head": true, "head@server:deploy": false, "release-manager@server:deploy": false, "admin": false} {
		voter := policy.Entity{UID: maya, Parents: []policy.UID{{Type: "Role", ID: role}}}
		more := f
		more.Entities = append(slices.Clone(f.Entities), voter)
		d := policy.Decide(s, policy.Like(f), more, []policy.Lift{{Gate: "g", Voters: []policy.UID{maya}}})
		if got := policy.Eligible(s, o, voter, nil) == nil; got != want || policy.Unmeetable(s, o, []policy.Entity{voter}, nil) == want || (d.Outcome == policy.Permit) != want {
			t.Errorf("%s: eligible %v, %+v", role, got, d)
		}
	}
}

func TestScopes(t *testing.T) {
	for scope, want := range map[string]string{
		"server:github": `Server::"github"`, "tool:github:merge": `Tool::"github:merge"`, "environment:prod": `Environment::"prod"`, "repo:acme/api": `repo::"acme/api"`,
		"repo:a:b": `repo::"a:b"`, "": "", "server": "", "server:": "", "tool:github": "", "tool::x": "", "tool:x:": "", "Server:x": "", "Tool:a:b": "", "Role:owner": "",
		"Action:x": "", "a::b:c": "", "1x:a": "", "re po:a": "", "repo:\u202e": "", "repo:\x00": "", "repo:" + strings.Repeat("x", 600): "",
	} {
		u, err := policy.ScopeEntity(scope)
		if want == "" {
			if fault.Code(err) != "scope_invalid" {
				t.Errorf("%q: %v, %v", scope, u, err)
			}
		} else if err != nil || u.String() != want {
			t.Errorf("%q: %v, %v", scope, u, err)
		}
	}
}

func TestEffective(t *testing.T) {
	s := withRoles(t, map[string]string{
		"roles/oncall.yaml":        "inherits: [reader, deployer]\npermissions: [tool:pager:*]\n",
		"roles/deployer.yaml":      "inherits: [reader]\npermissions:\n  - { permission: tool:deploy:run, where: { env: { in: [staging] } } }\ndeny: [tool:deploy:delete]\n",
		"store/roles/reader.yaml":  "permissions: [tool:*]\nclass: read\n",
		"store/roles/another.yaml": "permissions: [a]\n",
	})
	var got []string
	for _, h := range policy.EffectiveOf(s, []policy.UID{
		policy.RoleUID("reader", ""), policy.RoleUID("oncall", "server:deploy"), policy.RoleUID("reader", ""),
		{Type: "Group", ID: "another"},
		policy.RoleUID("nobody", ""), policy.RoleUID("another", "nowhere"),
		{Type: "Workspace", ID: "another"},
	}) {
		effect := "permit"
		if h.Deny {
			effect = "deny"
		}
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s [%s] %s %q by %s %s", effect, h.Permission.Permission, delegation.Words(h.Permission.Where), h.Class, h.Scope, h.Role, strings.Join(h.Path, ">"))))
	}
	want := []string{
		`permit tool:* [] read "" by reader reader`,
		`permit tool:* [] read "server:deploy" by reader oncall>reader`,
		`deny tool:deploy:delete []  "server:deploy" by deployer oncall>deployer`,
		`permit tool:deploy:run [env is one of staging]  "server:deploy" by deployer oncall>deployer`,
		`permit tool:pager:* []  "server:deploy" by oncall oncall`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestManyScopes: what is kept is bounded, and what was dropped is decided as before, by many at once.
func TestManyScopes(t *testing.T) {
	var permissions strings.Builder
	for i := range 600 {
		fmt.Fprintf(&permissions, "  - tool:s%d:x%d\n", i, i)
	}
	s := withRoles(t, map[string]string{
		"roles/many.yaml": "permissions:\n" + permissions.String() + "  - { permission: tool:a:b, where: { n: { max: 3 } } }\n",
	})
	var wg sync.WaitGroup
	for worker := range 3 {
		wg.Go(func() {
			for i := range 20 {
				server := fmt.Sprint("s", i+worker)
				for _, q := range []struct {
					scope, action, args string
					want                policy.Outcome
				}{
					{"server:" + server, "tool:" + server + ":x" + server[1:], "{}", policy.Permit},
					{"server:" + server, "tool:" + server + ":y", "{}", policy.Deny},
					{"server:x" + server, "tool:" + server + ":x" + server[1:], "{}", policy.Deny},
					{"server:a", "tool:a:b", `{"n":3}`, policy.Permit},
					{"server:a", "tool:a:b", `{"n":4}`, policy.Deny},
					{"server:" + server, "tool:a:b", `{"n":3}`, policy.Deny},
				} {
					f := roleFacts(q.action, "read", []byte(q.args), "many@"+q.scope)
					if d := policy.Decide(s, policy.Like(f), f, nil); d.Outcome != q.want {
						t.Errorf("%+v: %+v", q, d)
					}
				}
			}
		})
	}
	wg.Wait()
	if n := policy.Kept(s); n > 600_000 || n == 0 {
		t.Errorf("%d nodes are kept", n)
	}
	for _, scope := range []string{"", "environment:prod"} { // of 600 servers' policies those of one are asked
		f := roleFacts("tool:s7:x7", "read", nil, policy.RoleUID("many", scope).ID)
		if n := policy.Asked(s, f); n > 10 {
			t.Errorf("%d policies are asked in %q", n, scope)
		}
	}
}

// TestDenialsNeedNoGroups: whatever groups the facts give an action, a denial of one server's tools finds it.
func TestDenialsNeedNoGroups(t *testing.T) {
	s := withRoles(t, map[string]string{"roles/careful.yaml": "deny: [tool:db:drop]\n"})
	for _, held := range []string{"careful", "careful@server:db"} {
		f := roleFacts("tool:db:drop", "write", nil, held, "owner")
		f.ActionParents = nil
		if d := policy.Decide(s, nil, f, nil); d.Code != policy.CodeForbidden {
			t.Errorf("%s: %+v", held, d)
		}
	}
}

// FuzzParseRole: what is read is written to a text that is read as the same, and compiles alone unless it inherits.
func FuzzParseRole(f *testing.F) {
	for _, r := range policy.Shipped() {
		f.Add(r.Text)
	}
	for _, text := range []string{
		"inherits: [a, b]\nmax_binding: 12h\ndeny:\n- permission: \"tool:x:*\"\n  where: {a.b: {prefix: /data/}, n: {min: -3, max: 4}, f: {equals: true}, i: {in: [1, \"a\\u2028\", false]}}\n",
		"{}", "permissions: [\"*\", a:b*:c, \"*:*:x\"]\nclass: destroy", "doc: |\n  many\n  lines\n", "max_binding: 1m", `{"permissions": ["a"]}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, problems := policy.ParseRole("roles/x.yaml", text)
		if problems != nil {
			return
		}
		if r.Name != "x" || r.MaxBinding > 365*24*time.Hour {
			t.Fatalf("%+v", r)
		}
		again, problems := policy.ParseRole("roles/x.yaml", r.Text())
		if diff := cmp.Diff(r, again, cmpopts.EquateEmpty(), cmpopts.EquateComparable(delegation.Value{})); problems != nil || diff != "" {
			t.Fatalf("%v %s\n%s", problems, diff, r.Text())
		}
		if s, problems := policy.Compile(bundled(map[string]string{"roles/x.yaml": string(text)})); s == nil && len(r.Inherits) == 0 {
			t.Fatal(problems)
		} else if s != nil {
			for _, p := range append(r.Permissions, r.Deny...) {
				q := roleFacts(strings.ReplaceAll(p.Permission, "*", "x"), "read", []byte("{}"), "x", "x@server:x")
				policy.Decide(s, policy.Like(q), q, nil)
			}
		}
	})
}
