package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/attorn/attorn/policy"
)

// tool is an action of a tool with these properties, all required.
func tool(t *testing.T, name, class, properties string) policy.Action {
	t.Helper()
	server, segment, _ := strings.Cut(name, ":")
	var required []string
	for _, p := range strings.Split(properties, `"`) {
		if len(p) > 0 && !strings.ContainsAny(p, "{}:,[") && p != "type" && p != "string" && p != "integer" && p != "number" && p != "boolean" && p != "array" {
			required = append(required, `"`+p+`"`)
		}
	}
	shape, err := policy.ShapeOf([]byte(`{"name":"` + segment + `","inputSchema":{"type":"object","properties":{` + properties + `},"required":[` + strings.Join(required, ",") + `]}}`))
	if err != nil {
		t.Fatal(err)
	}
	return policy.Action{Name: "tool:" + server + ":" + segment, Class: class, Resource: policy.UID{Type: "Tool", ID: name}, Shape: shape}
}

func TestCheckTypes(t *testing.T) {
	actions := []policy.Action{
		tool(t, "deploy:run", "write", `"env":{"type":"string"},"replicas":{"type":"integer"}`),
		tool(t, "files:read", "read", `"path":{"type":"string"}`),
	}
	for name, c := range map[string]struct{ text, want string }{
		"types":                {`forbid (principal, action == Action::"tool:deploy:run", resource) when { context.args.env == "prod" && context.args.replicas > 3 };`, ""},
		"asks first":           {`forbid (principal, action, resource) when { context has args && context.args has env && context.args.env == "prod" };`, ""},
		"asks in a when":       {`forbid (principal, action in Action::"call", resource) when { context.args has env } when { context.args.env == "prod" };`, ""},
		"asks in an unless":    {`permit (principal, action in Action::"call", resource) unless { context.args has env };`, ""},
		"another type":         {`forbid (principal, action == Action::"tool:deploy:run", resource) when { context.args.env == 3 };`, "type_error"},
		"no such argument":     {`permit (principal, action == Action::"tool:deploy:run", resource) when { context.args.envv == "x" };`, "envv"},
		"of another tool":      {`forbid (principal, action == Action::"tool:files:read", resource) when { context.args.env == "prod" };`, "tool:files:read"},
		"a server's":           {`forbid (principal, action in Action::"tool:deploy:*", resource) when { context.args.env == "prod" };`, ""},
		"resource":             {`forbid (principal, action, resource == Tool::"deploy:run") when { context.args.env == "prod" };`, ""},
		"server":               {`forbid (principal, action, resource in Server::"deploy") when { context.args.env == "prod" };`, ""},
		"unscoped":             {`forbid (principal, action, resource) when { context.args.env == "prod" };`, "tool:files:read"},
		"no arguments spoken":  {`permit (principal in Role::"x", action, resource) when { context.facts.risk < 50 };`, ""},
		"optional":             {`permit (principal, action, resource) when { context.auth.acr >= 3 };`, "has"},
		"optional asked":       {`permit (principal, action, resource) when { context has auth && context.auth.acr >= 3 };`, ""},
		"owner of a person":    {`permit (principal is User, action, resource) when { principal.owner == principal };`, "owner"},
		"owner of an agent":    {`permit (principal is Agent, action, resource) when { principal has owner && context has subject && principal.owner == context.subject };`, ""},
		"tags":                 {`permit (principal, action, resource) when { principal.hasTag("team") && principal.getTag("team") == "release" };`, ""},
		"tags of a noun":       {`permit (principal, action == Action::"attorn:agent:read", resource) when { resource.hasTag("x") && resource.getTag("x") == "y" };`, ""},
		"unknown type":         {`permit (principal, action, resource is Database);`, "Database"},
		"unknown in condition": {`permit (principal, action, resource) when { principal in Team::"x" };`, "Team"},
		"impossible":           {`permit (principal in Server::"x", action, resource);`, "nothing can ever match"},
		"risk as text":         {`forbid (principal, action, resource) when { context.facts.risk == "high" };`, "type_error"},
		"no boolean":           {`forbid (principal, action, resource) when { context.facts.risk };`, "Bool"},
		"vote":                 {`forbid (principal, action == Action::"attorn:approval:vote", resource in Server::"deploy");`, ""},
		"whole context":        {`forbid (principal, action, resource) when { context == {a: 1} };`, "type_error"},
	} {
		t.Run(name, func(t *testing.T) {
			problems := policy.Check(compile(t, c.text), actions)
			switch {
			case c.want == "" && len(problems) > 0, c.want != "" && len(problems) == 0:
				t.Fatalf("%v", problems)
			case c.want != "" && (!strings.Contains(problems[0].String(), c.want) || problems[0].Line != 1 || problems[0].Code != "type_error"):
				t.Fatalf("%v", problems)
			}
		})
	}
	if problems := policy.Check(compile(t, ""), actions); len(problems) > 0 {
		t.Errorf("what is shipped: %v", problems)
	}
}

// When a tool's definition changes so that a policy no longer types, a permit permits nothing, a forbid denies and a gate asks, whatever the condition would say.
func TestChangedDefinition(t *testing.T) {
	was, is := tool(t, "files:write_file", "write", `"n":{"type":"integer"}`), tool(t, "files:write_file", "write", `"n":{"type":"string"}`)
	base := `permit (principal, action, resource);`
	for name, c := range map[string]struct {
		text         string
		before, then policy.Outcome
		code         string
	}{
		"permit": {`permit (principal, action == Action::"tool:files:write_file", resource) when { context.args.n != 5 };`, policy.Permit, policy.Deny, policy.CodeNoPermit},
		"forbid": {base + `forbid (principal, action == Action::"tool:files:write_file", resource) when { context.args.n == 5 };`, policy.Permit, policy.Deny, policy.CodePolicyError},
		"gate":   {base + `@id("g") @approve("1 of rm") forbid (principal, action == Action::"tool:files:write_file", resource) when { context.args.n == 5 };`, policy.Permit, policy.Ask, ""},
		"other":  {base + `forbid (principal, action == Action::"tool:files:other", resource) when { context.args.n == 5 };`, policy.Permit, policy.Permit, ""},
		"server": {base + `forbid (principal, action, resource in Server::"elsewhere") when { context.args.n == 5 };`, policy.Permit, policy.Permit, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, f := compile(t, c.text), chain("usr_p")
			f.Action, f.ActionParents, f.Resource = was.Name, policy.ActionParents(was.Name, "write"), was.Resource
			for i := range f.Entities {
				f.Entities[i].Parents = nil // no role
			}
			f.Entities = append(f.Entities, policy.Entity{UID: was.Resource, Parents: []policy.UID{{Type: "Server", ID: "files"}}, Attrs: map[string]any{"pin": "x"}})
			for range 2 { // found out, and kept
				f.Arguments = []byte(`{"n":7}`)
				if d := policy.Decide(s, was.Shape, f, nil); d.Outcome != c.before {
					t.Fatalf("before: %+v", d)
				}
				f.Arguments = []byte(`{"n":"7"}`)
				if d := policy.Decide(s, is.Shape, f, nil); d.Outcome != c.then || d.Code != c.code || c.then != policy.Permit && len(d.Errors) != 1 {
					t.Fatalf("then: %+v", d)
				}
			}
		})
	}
}

// What types never permits more than Cedar alone would, whatever the shape says.
func TestTypingNeverLoosens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policies := drawPolicies(t, all(sound, erring), true)
		s, f := compileDrawn(t, policies), drawFacts(t)
		if f.Arguments == nil {
			return
		}
		loose := policy.Decide(policy.Untyped(s), policy.Like(f), f, nil)
		strict := policy.Decide(s, policy.Like(f), f, nil)
		if strict.Outcome == policy.Permit && loose.Outcome != policy.Permit || strict.Outcome == policy.Ask && loose.Outcome == policy.Deny {
			t.Fatalf("%+v, and without types %+v", strict, loose)
		}
	})
}

func BenchmarkDecideTyped(b *testing.B) {
	var text strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&text, "forbid (principal, action == Action::\"tool:files:write_file\", resource) when { context.args has n && context.args.n == %d };\n", i)
	}
	s, problems := policy.Compile(append(policy.Shipped(), policy.File{Path: "policies/a.cedar", Text: []byte("permit (principal, action, resource);" + text.String())}))
	if s == nil {
		b.Fatal(problems)
	}
	f := chain("usr_p")
	f.Action, f.ActionParents, f.Arguments = "tool:files:write_file", policy.ActionParents("tool:files:write_file", "write"), []byte(`{"n":7000}`)
	shape := policy.Like(f)
	for b.Loop() {
		if d := policy.Decide(s, shape, f, nil); d.Outcome != policy.Permit {
			b.Fatal(d)
		}
	}
}

// What a policy says of a bundle's own types and their actions is held to their declaration.
func TestCheckOwnTypes(t *testing.T) {
	const record = "name: record\nsource: stored\nattributes:\n  region: {type: string}\n  keeper: {type: User, optional: true}\nactions:\n  open: {class: read, context: {reason: {type: string}}}\n"
	for text, want := range map[string]string{
		`permit (principal, action == Action::"record:open", resource) when { resource.region == "eu" && context.args.reason != "" };`:        "",
		`permit (principal, action == Action::"record:open", resource) when { resource.keeper == principal };`:                                "keeper",
		`permit (principal, action, resource is record) when { resource.regoin == "eu" };`:                                                    "regoin",
		`permit (principal, action == Action::"record:open", resource) when { context.args.cause == "" };`:                                    "cause",
		`permit (principal, action in Action::"read", resource is record) when { resource.region == "eu" };`:                                  "",
		`permit (principal, action == Action::"record:open", resource == record::"42");`:                                                      "",
		`permit (principal is User, action == Action::"record:open", resource) when { resource has keeper && resource.keeper == principal };`: "",
	} {
		s, problems := policy.Compile(append(policy.Shipped(), policy.File{Path: "types/record.yaml", Text: []byte(record)}, policy.File{Path: "policies/a.cedar", Text: []byte(text)}))
		if s == nil {
			t.Fatal(problems)
		}
		problems = policy.Check(s, nil)
		if want == "" && len(problems) > 0 || want != "" && (len(problems) == 0 || !strings.Contains(problems[0].Message, want)) {
			t.Errorf("%s: %v", text, problems)
		}
	}
}
