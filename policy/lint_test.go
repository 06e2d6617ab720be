package policy_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/attorn/attorn/policy"
)

// shape is that of a tool with this input schema.
func shapeFor(t testing.TB, schema string) *policy.Shape {
	t.Helper()
	s, err := policy.ShapeOf([]byte(`{"name":"x","inputSchema":` + schema + `}`))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func lintWorld(t testing.TB) policy.World {
	return policy.World{
		Actions: []policy.Action{
			{Name: "tool:deploy:run", Class: "destroy", Resource: policy.UID{Type: "Tool", ID: "deploy:run"}, Shape: shapeFor(t, `{"type":"object","properties":{"env":{"type":"string"},"dry":{"type":"boolean"},"to":{"type":"object","properties":{"host":{"type":"string"}},"required":["host"]}},"required":["env","to"]}`)},
			{Name: "tool:deploy:status", Class: "read", Resource: policy.UID{Type: "Tool", ID: "deploy:status"}, Shape: shapeFor(t, `{"type":"object","properties":{"env":{"type":"string"}}}`)},
			{Name: "attorn:agent:create"},
			{Name: "attorn:approval:vote"},
		},
		Holders: map[string]int{"release-manager": 2, "oncall": 1, "admin": 1},
	}
}

func TestLint(t *testing.T) {
	run := `action == Action::"tool:deploy:run", resource`
	for _, c := range []struct{ name, in, want string }{
		{"nothing", `permit (principal is User, ` + run + `) when { context.args.env == "prod" };`, ""},
		{"unscoped", "// x\n" + `@id("a") permit (principal, action, resource) when { context.perm.n == 1 };`, "2:10 unscoped"},
		{"a quorum that is there", `@id("g") @approve("2 of release-manager") forbid (principal, ` + run + `);`, ""},
		{"a quorum that is not", `@id("g") @approve("3 of release-manager") forbid (principal, ` + run + `);`, "1:10 unmeetable"},
		{"a role that nobody holds", `@id("g") @approve("1 of release-manger") forbid (principal, ` + run + `);`, "1:10 unmeetable release-manager meant"},
		{"a sign-in where nobody is", `@id("g") @stepup("acr>=2") forbid (principal, ` + run + `) when { !(context has subject) };`, "1:10 unmeetable"},
		{"the same, otherwise said", `@id("g") @stepup("age<5m") forbid (principal, ` + run + `) unless { context has subject || context.args.env == "x" };`, "1:10 unmeetable"},
		{"a sign-in where somebody may be", `@id("g") @stepup("acr>=2") forbid (principal, ` + run + `) when { context.args.env == "x" || !(context has subject) };`, ""},
		{"a proof where nobody is", `@id("g") @stepup("proof=httpsig") forbid (principal, ` + run + `) when { !(context has subject) };`, ""},
		{"a gate for one agent", `@id("g") @stepup("acr>=2") forbid (principal == Agent::"agt_x", ` + run + `);`, "1:49 gate_principal"},
		{"in a condition", `@id("g") @stepup("acr>=2") forbid (principal, ` + run + `) when { User::"usr_x" == principal };`, "1:101 gate_principal"},
		{"a permit for one agent", `permit (principal == Agent::"agt_x", ` + run + `);`, ""},
		{"a permit where risk is low", `permit (principal is User, ` + run + `) when { context.facts.risk < 50 };`, "1:82 loosened_by_risk"},
		{"a forbid unless it is", `forbid (principal is User, ` + run + `) unless { context.facts.risk < 50 };`, "1:84 loosened_by_risk"},
		{"a forbid where it is high", `forbid (principal is User, ` + run + `) when { context.facts.risk > 50 };`, ""},
		{"an unknown tool", `permit (principal, action == Action::"tool:deploy:rum", resource);`, "1:30 unknown_tool tool:deploy:run meant"},
		{"an unknown server", `permit (principal, action in Action::"tool:deplo:*", resource);`, "1:30 unknown_server deploy meant"},
		{"an unknown resource", `permit (principal, action, resource == Tool::"deploy:rum");`, "1:40 unknown_tool deploy:run meant"},
		{"an unknown server as resource", `permit (principal, action, resource in Server::"xyz");`, "1:40 unknown_server"},
		{"an unknown act", `permit (principal, action == Action::"attorn:agent:creat", resource);`, "1:30 unknown_action attorn:agent:create meant"},
		{"an unknown group", `permit (principal, action in Action::"reed", resource);`, "1:30 unknown_action read meant"},
		{"groups", `permit (principal, action in [Action::"read", Action::"tool:deploy:*", Action::"attorn:agent:*", Action::"call"], resource);`, ""},
		{"reading resources", `permit (principal, action == Action::"tool:deploy:resources/read", resource == Tool::"deploy:resources/read");`, ""},
		{"another API's action", `permit (principal, action == Action::"invoice:pay", resource);`, ""},
		{"an unknown role", `permit (principal in Role::"onkall", ` + run + `);`, "1:22 unknown_role oncall meant"},
		{"a scoped role", `permit (principal in Role::"oncall@server:deploy", ` + run + `);`, ""},
		{"an unknown role in a condition", `permit (principal, ` + run + `) when { principal in [Role::"nobodys"] };`, "1:88 unknown_role"},
		{"an optional argument", `permit (principal, ` + run + `) when { context.args.dry };`, "1:74 unguarded context.args has dry"},
		{"tested", `permit (principal, ` + run + `) when { context.args has dry && context.args.dry };`, ""},
		{"tested before", `permit (principal, ` + run + `) when { context.args has dry } when { context.args.dry };`, ""},
		{"tested by an if", `permit (principal, ` + run + `) when { if context.args has dry then context.args.dry else true };`, ""},
		{"tested by not", `permit (principal, ` + run + `) when { !(context.args has dry) || context.args.dry };`, ""},
		{"tested too late", `permit (principal, ` + run + `) when { context.args.dry && context.args has dry };`, "1:74 unguarded"},
		{"tested in the other branch", `permit (principal, ` + run + `) when { if context.args has dry then true else context.args.dry };`, "1:113 unguarded"},
		{"tested perhaps", `permit (principal, ` + run + `) when { (context.args has dry || context.args.env == "x") && context.args.dry };`, "1:127 unguarded"},
		{"unless it is absent", `forbid (principal, ` + run + `) unless { !(context.args has dry) } when { context.args.dry };`, ""},
		{"in a set, a record and a call", `permit (principal, ` + run + `) when { [{a: context.args.dry}].contains({a: true}) };`, "1:79 unguarded"},
		{"inside an object", `permit (principal, ` + run + `) when { context.args.to.host == "x" };`, ""},
		{"a misspelt argument", `permit (principal, ` + run + `) when { context.args.evn == "x" };`, "1:74 unknown_argument env meant"},
		{"misspelt inside an object", `permit (principal, ` + run + `) when { context.args.to.hots == "x" };`, "1:74 unknown_argument host meant"},
		{"of some tools only", `permit (principal, action in Action::"tool:deploy:*", resource) when { context.args.env == "x" };`, "1:72 unguarded tool:deploy:status"},
		{"the context's own", `permit (principal, ` + run + `) when { context.delegation.depth == 0 && context.facts.ip.isLoopback() };`, "1:74 unguarded; 1:107 unguarded"},
		{"the context's own, tested", `permit (principal, ` + run + `) when { context has delegation && context.delegation has task && context.delegation.task == "x" };`, ""},
		{"an unknown type", `permit (principal is Usr, action, resource in Invoic::"x");`, "1:22 unknown_type User meant; 1:47 unknown_type"},
		{"an unknown type in a condition", `permit (principal is User, ` + run + `) when { principal is Agnt || context.args.env == "x" };`, "1:95 unknown_type Agent meant"},
		{"a permit twice", `permit (principal is User, ` + run + `); permit (principal is User, ` + run + `);`, "1:76 shadowed"},
		{"a broader one", `permit (principal == User::"usr_a", ` + run + `) when { context.args.env == "x" } unless { context.args has dry }; permit (principal is User, action in Action::"tool:deploy:*", resource) unless { context.args has dry };`, "1:1 shadowed"},
		{"a broader one with another condition", `permit (principal is User, ` + run + `); permit (principal, ` + run + `) when { context.args.env == "x" };`, ""},
		{"a hard forbid", `permit (principal is User, ` + run + `); forbid (principal, action in [Action::"call"], resource);`, "1:1 shadowed"},
		{"a gate", `permit (principal is User, ` + run + `); @id("g") @stepup("acr>=2") forbid (principal, action in [Action::"call"], resource);`, ""},
		{"a forbid of a class", `permit (principal is User, ` + run + `); forbid (principal, action in [Action::"destroy"], resource);`, ""}, // whose class may change
		{"a group in a group", `permit (principal is User, action in Action::"tool:deploy:*", resource); permit (principal, action in Action::"tool:*", resource);`, "1:1 shadowed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, problems := policy.Compile(append(policy.Shipped(), policy.File{Path: "policies/x.cedar", Text: []byte(c.in)}))
			if s == nil {
				t.Fatal(problems)
			}
			found := policy.Lint(s, lintWorld(t))
			want := strings.Split(c.want, "; ")
			if c.want == "" {
				want = nil
			}
			if len(found) != len(want) {
				t.Fatalf("%v, want %q", found, want)
			}
			for i, w := range want {
				parts := strings.SplitN(w, " ", 3)
				if got := fmt.Sprintf("%d:%d %s", found[i].Line, found[i].Col, found[i].Code); got != parts[0]+" "+parts[1] || found[i].Severity != policy.SeverityWarning ||
					len(parts) == 3 && !strings.Contains(found[i].Message, parts[2]) {
					t.Errorf("%v, want %q", found[i], w)
				}
			}
			if quiet := policy.Lint(s, policy.World{}); slices.ContainsFunc(quiet, func(p policy.Problem) bool {
				return slices.Contains([]string{"unknown_tool", "unknown_server", "unknown_action", "unknown_argument"}, p.Code)
			}) {
				t.Errorf("without knowing the workspace: %v", quiet)
			}
		})
	}
}

// What the types show is said once, where it is.
func TestReview(t *testing.T) {
	run := `action == Action::"tool:deploy:run", resource`
	for in, want := range map[string]string{
		`permit (principal, ` + run + `) when { context.args.dry };`:                                            "1:74 error unguarded",
		`permit (principal, ` + run + `) when { context.args.evn == "x" };`:                                     "1:74 error unknown_argument",
		`permit (principal, ` + run + `) when { context.args.env > 3 };`:                                        "1:1 error type_error",
		`permit (principal is Agent, ` + run + `) when { principal has owner && principal.ownr == principal };`: "1:116 error type_error owner meant",
		`permit (principal is Agent, ` + run + `) when { principal.owner == principal };`:                       "1:93 error type_error",
		`permit (principal, ` + run + `) when { context.delegation.depth == 0 };`:                               "1:74 error unguarded",
		`permit (principal is Usr, ` + run + `);`:                                                               "1:22 error unknown_type User meant",
		`permit (principal, ` + run + `);`:                                                                      "",
	} {
		s, problems := policy.Compile(append(policy.Shipped(), policy.File{Path: "policies/x.cedar", Text: []byte(in)}))
		if s == nil {
			t.Fatal(problems)
		}
		got := policy.Review(s, lintWorld(t))
		parts := strings.SplitN(want, " ", 4)
		switch {
		case want == "" && len(got) == 0:
		case want == "" || len(got) != 1 || fmt.Sprintf("%d:%d %s %s", got[0].Line, got[0].Col, got[0].Severity, got[0].Code) != strings.Join(parts[:3], " ") ||
			len(parts) == 4 && !strings.Contains(got[0].Message, parts[3]):
			t.Errorf("%s: %v, want %s", in, got, want)
		}
	}
}

func TestLintRoles(t *testing.T) {
	files := append(policy.Shipped(),
		policy.File{Path: "policies/x.cedar", Text: []byte(`@id("g") @approve("2 of signer") forbid (principal in Role::"named@server:deploy", action == Action::"tool:deploy:run", resource);`)},
		policy.File{Path: "roles/signer.yaml", Text: []byte("doc: votes\n")},
		policy.File{Path: "roles/head.yaml", Text: []byte("inherits: [signer, below]\n")},
		policy.File{Path: "roles/below.yaml", Text: []byte("doc: x\n")},
		policy.File{Path: "roles/named.yaml", Text: []byte("doc: x\n")},
		policy.File{Path: "roles/lonely.yaml", Text: []byte("permissions: [\"tool:deploy:*\"]\n")})
	s, problems := policy.Compile(files)
	if s == nil {
		t.Fatal(problems)
	}
	w := lintWorld(t)
	for _, c := range []struct {
		holders map[string]int
		want    string
	}{
		{map[string]int{"head": 1, "signer": 1}, "roles/lonely.yaml: warning: nobody holds the role lonely, and nothing names it (unused_role)"},
		{map[string]int{"head": 2, "lonely": 0}, ""},
		{map[string]int{"head": 1, "lonely": 1}, "policies/x.cedar:1:10: warning: this gate wants 2 of signer, and 1 person holds it: nobody could lift it (unmeetable)"},
		{nil, ""},
	} {
		w.Holders = c.holders
		got := policy.Lint(s, w)
		if len(got) > 1 || len(got) == 0 && c.want != "" || len(got) == 1 && got[0].String() != c.want {
			t.Errorf("%v: %v, want %s", c.holders, got, c.want)
		}
	}
}

// What is called shadowed is: without it, every decision is the same.
func TestShadowedChangesNothing(t *testing.T) {
	seen := 0
	rapid.Check(t, func(t *rapid.T) {
		all := drawPolicies(t, append(slices.Clone(sound), erring...), true)
		compileAll := func(texts []string) *policy.Set {
			s, problems := policy.Compile([]policy.File{{Path: "policies/x.cedar", Text: []byte(strings.Join(texts, ""))}})
			if s == nil {
				t.Fatal(problems)
			}
			return s
		}
		whole := compileAll(all)
		for _, p := range policy.Lint(whole, policy.World{}) {
			if p.Code != "shadowed" {
				continue
			}
			seen++
			less := slices.Delete(slices.Clone(all), p.Line-1, p.Line) // one policy a line
			f := drawFacts(t)
			a, b := policy.Decide(whole, policy.Like(f), f, nil), policy.Decide(compileAll(less), policy.Like(f), f, nil)
			if a.Outcome != b.Outcome || a.Code != b.Code {
				t.Fatalf("%v\n%v without it %v, and with it %v", p, all, b, a)
			}
		}
	})
	if seen < 20 {
		t.Errorf("only %d were seen", seen)
	}
}

func TestNearest(t *testing.T) {
	for word, want := range map[string]string{
		"aprove": "approve", "apporve": "approve", "approves": "approve", "stepupp": "stepup", "xyz": "", "": "", "di": "id", "reson": "reason", strings.Repeat("a", 1000): "",
	} {
		if got := policy.Nearest(word, []string{"id", "approve", "stepup", "reason"}); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}

// FuzzCheck holds that no bundle that compiles crashes the lints, and that what they say has a place in the file.
func FuzzCheck(f *testing.F) {
	for _, text := range bombs(1000) {
		f.Add(text)
	}
	if raw, err := os.ReadFile("../demo/policy/policies/release.cedar"); err == nil {
		f.Add(string(raw))
	}
	f.Add(`@id("g") @stepup("acr>=2") forbid (principal == A::B::"\"", action in Action::"tool:x:*", resource) unless { if context.args has a.b then context.args.a.b else context.facts.risk < 1 };`)
	w := lintWorld(f)
	f.Fuzz(func(t *testing.T, text string) {
		s, _ := policy.Compile([]policy.File{{Path: "policies/x.cedar", Text: []byte(text)}})
		if s == nil {
			return
		}
		for _, world := range []policy.World{{}, w} {
			for _, p := range policy.Review(s, world) {
				if p.Line < 1 || p.Line > strings.Count(text, "\n")+1 || p.Col < 1 || p.Message == "" {
					t.Errorf("%+v", p)
				}
			}
		}
	})
}
