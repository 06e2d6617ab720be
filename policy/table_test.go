package policy_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/attorn/attorn/policy"
)

const tablePolicies = `@id("deploy/people")
permit (principal is User, action in Action::"tool:deploy:*", resource);

@id("deploy/agents")
permit (principal is Agent, action in Action::"tool:deploy:*", resource)
when { context has subject && principal.hasTag("team") && principal.getTag("team") == "release" };

@id("deploy/production")
@approve("1 of release-manager")
forbid (principal, action == Action::"tool:deploy:run", resource)
when { context.args.env == "production" };

@id("deploy/fresh")
@stepup("age<5m")
forbid (principal, action == Action::"tool:deploy:run", resource)
when { context.args.env == "production" };

@id("deploy/never")
@reason("Nobody deletes.")
forbid (principal, action == Action::"tool:deploy:delete", resource);
`

const tableHead = `actors:
  maya: { type: User, roles: [release-manager] }
  priya: { type: User }
  bot: { type: Agent, owner: priya, tags: { team: release } }
  other: { type: Agent }
tools:
  deploy:run: { class: write, inputSchema: { type: object, properties: { env: { type: string } }, required: [env] } }
  deploy:delete: {}
defaults: { actor: bot, for: priya, call: "tool:deploy:run", facts: { acr: 3, age: 10 } }
tests:
`

func tableSet(t testing.TB, tests string) (*policy.Set, []policy.Problem) {
	t.Helper()
	return policy.Compile(append(policy.Shipped(), policy.File{Path: "policies/deploy.cedar", Text: []byte(tablePolicies)}, policy.File{Path: "tests/deploy_test.yaml", Text: []byte(tests)}))
}

func TestTables(t *testing.T) {
	s, problems := tableSet(t, tableHead+`
  - { name: staging, args: { env: staging }, expect: permit, gates: [] }
  - { name: alone, for: [], args: { env: staging }, expect: deny, code: no_permit, facts: { origin: enrolled } }
  - { name: by way of another, for: [other, priya], args: { env: staging }, expect: deny, code: no_permit }
  - { name: asks, args: { env: production }, expect: ask, gates: [deploy/production] }
  - { name: approved, args: { env: production }, expect: permit, gates: [deploy/fresh, deploy/production], approved: { deploy/production: [maya] } }
  - { name: not by oneself, args: { env: production }, expect: ask, approved: { deploy/production: [priya] } }
  - { name: stale, args: { env: production }, expect: ask, gates: [deploy/fresh, deploy/production], facts: { acr: 3, age: 300 } }
  - { name: never, call: "tool:deploy:delete", args: {}, expect: deny, code: forbidden }
  - { name: a person, actor: maya, for: [], args: { env: staging }, expect: permit }
  - { name: an act, actor: maya, for: [], call: "attorn:policy:publish", facts: { acr: 3 }, expect: deny }
  - { name: one's own, actor: priya, for: [], call: "attorn:agent:suspend", facts: { acr: 3 }, expect: permit, on: { uid: { type: Noun, id: x }, attrs: { owner: { type: User, id: priya } } } }
  - { name: another shape, args: { env: 3 }, expect: deny, code: schema }
  - { name: the server's tool, call: "tool:deploy:status", expect: permit }
`)
	if s == nil {
		t.Fatal(problems)
	}
	tests, covered := policy.Test(s, lintWorld(t), nil)
	for _, r := range tests {
		if r.Failure != "" {
			t.Errorf("%s: %s", r.Name, r.Failure)
		}
	}
	if len(tests) != 13 {
		t.Errorf("%d tests", len(tests))
	}
	for _, c := range covered {
		if !c.True || !c.False || c.File != "policies/deploy.cedar" {
			t.Errorf("%+v", c)
		}
	}
	if len(covered) != 5 {
		t.Errorf("%d policies", len(covered))
	}
	tests, covered = policy.Test(s, policy.World{}, func(name string) bool { return name == "staging" || name == "the server's tool" })
	if len(tests) != 2 || tests[0].Failure != "" || !strings.Contains(tests[1].Failure, "there is no tool deploy:status") {
		t.Errorf("%+v", tests)
	}
	for _, c := range covered {
		want := map[string][2]bool{
			"deploy/people": {true, true}, "deploy/agents": {true, false}, "deploy/production": {false, true}, "deploy/fresh": {false, true}, "deploy/never": {false, true},
		}[c.ID]
		if [2]bool{c.True, c.False} != want {
			t.Errorf("%+v, want %v", c, want)
		}
	}
}

func TestTablesFail(t *testing.T) {
	for row, want := range map[string]string{
		`{ args: { env: staging }, expect: deny }`:                                                                      "want deny, got permit",
		`{ args: { env: staging }, expect: ask }`:                                                                       "want ask, got permit",
		`{ args: { env: production }, expect: permit }`:                                                                 "want permit, got ask",
		`{ args: { env: production }, expect: ask, gates: [] }`:                                                         "want the gates [], got [deploy/production]",
		`{ args: { env: production }, expect: ask, gates: [deploy/other] }`:                                             "want the gates [deploy/other], got [deploy/production]",
		`{ for: [other, priya], args: { env: staging }, expect: permit }`:                                               "want permit, got deny (no_permit)",
		`{ for: [other, priya], args: { env: staging }, expect: deny, code: forbidden }`:                                "want deny (forbidden), got deny (no_permit)",
		`{ args: { env: production }, expect: permit, gates: [deploy/fresh], approved: { deploy/production: [maya] } }`: "want the gates [deploy/fresh], got [deploy/fresh deploy/production]",
		`{ call: "tool:deploy:rum", expect: permit }`:                                                                   "there is no tool deploy:rum: its file names none, nor is there one at the server; is deploy:run meant?",
	} {
		s, problems := tableSet(t, tableHead+"  - "+row+"\n")
		if s == nil {
			t.Fatal(row, problems)
		}
		tests, _ := policy.Test(s, policy.World{}, nil)
		if len(tests) != 1 || tests[0].Failure != want || tests[0].Name != "test 1" {
			t.Errorf("%s: %+v, want %s", row, tests, want)
		}
		if strings.Contains(want, "got deny (no_permit)") && len(tests[0].Explanation.Principals[1].Nearest) == 0 {
			t.Errorf("%s: no nearest permit in %+v", row, tests[0].Explanation)
		}
	}
}

func TestTablesAreStrict(t *testing.T) {
	for text, want := range map[string]string{
		"tests: []": "test_invalid a file of tests",
		"tests: [{ name: a, call: x, expect: permit, actor: a }]":                                                                            "test_invalid a: there is no actor",
		tableHead + "  - { expct: permit }":                                                                                                  "unknown_key \"expct\"",
		tableHead + "  - { expect: alow }":                                                                                                   "test_invalid test 1: expect is permit, deny or ask",
		tableHead + "  - { expect: premit }":                                                                                                 "is permit meant",
		tableHead + "  - { expect: permit, code: x }":                                                                                        "only a denial",
		tableHead + "  - { expect: deny, gates: [x] }":                                                                                       "a denial has no gates",
		tableHead + "  - { expect: permit, actor: bto }":                                                                                     "is bot meant",
		tableHead + "  - { expect: permit, approved: { x: [mya] } }":                                                                         "is maya meant",
		tableHead + "  - { expect: permit, facts: { now: today } }":                                                                          "now is a time",
		tableHead + "  - { expect: permit, facts: { risk: 101 } }":                                                                           "risk is not between",
		tableHead + "  - { expect: permit, for: maya, actor: priya }":                                                                        "principals are agents",
		tableHead + "  - { expect: permit, args: [1] }":                                                                                      "the arguments are not",
		tableHead + "  - { expect: permit, name: a }\n  - { expect: deny, name: a }":                                                         "two tests are named",
		tableHead + "  - { expect: permit, on: { uid: { type: Noun, id: x }, atrs: {} }, call: \"attorn:x:y\" }":                             "unknown_key",
		"actors: { a: { type: Usr } }\ntests: [{ actor: a, call: x, expect: deny }]":                                                         "the actor a has the type",
		"actors: { a: { type: User, owner: a } }\ntests: [{ actor: a, call: x, expect: deny }]":                                              "only agents have one",
		"actors: { a: { type: User } }\ntools: { x: {} }\ntests: [{ actor: a, call: x, expect: deny }]":                                      "is named <server>:<tool>",
		"actors: { a: { type: User } }\ntools: { \"x:y\": { class: rd } }\ntests: [{ actor: a, call: x, expect: deny }]":                     "the class of x:y",
		"actors: { a: { type: User } }\ntools: { \"x:y\": { inputSchema: { type: string } } }\ntests: [{ actor: a, call: x, expect: deny }]": "the tool x:y",
		"a: &b 1": "syntax",
		"tests:\n" + strings.Repeat("  - {}\n", 1001): "1 to 1000",
	} {
		s, problems := tableSet(t, text)
		if s != nil || len(problems) > 100 || !slices.ContainsFunc(problems, func(p policy.Problem) bool {
			return strings.Contains(p.Code+" "+p.Message, want) && p.File == "tests/deploy_test.yaml"
		}) {
			t.Errorf("%.200s: %v, want %s", text, problems, want)
		}
	}
	for text, want := range map[string]string{"min_coverage: 101": "settings_invalid", "min_coverge: 1": "unknown_key", "min_coverage: x": "syntax", "min_coverage: 80": ""} {
		s, problems := policy.Compile(append(policy.Shipped(), policy.File{Path: "attorn.yaml", Text: []byte(text)}))
		if firstError(problems) != want || want == "" && s.Settings().MinCoverage != 80 {
			t.Errorf("%s: %v", text, problems)
		}
	}
}

// FuzzTable holds that no file of tests crashes, however it is read.
func FuzzTable(f *testing.F) {
	f.Add(tableHead + "  - { name: staging, args: { env: staging }, expect: permit }\n")
	f.Add(tableHead + "  - { for: [other, priya], args: { env: production, x: [1.5, {}] }, expect: ask, approved: { deploy/production: [maya, bot] } }\n")
	f.Add("tests:\n" + strings.Repeat("- ", 1000))
	f.Fuzz(func(t *testing.T, text string) {
		s, problems := tableSet(t, text)
		if (s == nil) != (firstError(problems) != "") {
			t.Fatal(problems)
		}
		if s != nil {
			policy.Test(s, policy.World{}, nil)
		}
	})
}
