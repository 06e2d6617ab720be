package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	cedar "github.com/cedar-policy/cedar-go"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/policy"
)

// chain is a request of a tool by a chain given from its root, with what all tests share: Maya and Noor are release managers (Noor by a group), everybody
// is a tool-user, and agents have owners.
func chain(root ...string) policy.Facts {
	f := policy.Facts{
		Action: "tool:deploy:run", ActionParents: policy.ActionParents("tool:deploy:run", "write"),
		Resource: policy.UID{Type: "Tool", ID: "deploy:run"}, Arguments: []byte(`{"env":"prod","n":3}`),
		Actor: policy.Actor{Instance: "k", Origin: "enrolled", Proof: "dpop"}, Now: 1795427523118204,
		Entities: []policy.Entity{
			{UID: policy.UID{Type: "Tool", ID: "deploy:run"}, Parents: []policy.UID{{Type: "Server", ID: "deploy"}}, Attrs: map[string]any{"pin": "p"}},
			{UID: policy.UID{Type: policy.TypeUser, ID: "usr_maya"}, Parents: []policy.UID{{Type: "Role", ID: "rm"}}},
			{UID: policy.UID{Type: policy.TypeUser, ID: "usr_noor"}, Parents: []policy.UID{{Type: "Group", ID: "leads"}}},
			{UID: policy.UID{Type: "Group", ID: "leads"}, Parents: []policy.UID{{Type: "Role", ID: "rm"}}},
		},
	}
	for _, name := range slices.Backward(root) {
		e := policy.Entity{UID: policy.UID{Type: policy.TypeUser, ID: name}, Parents: []policy.UID{{Type: "Role", ID: "tool-user"}}}
		if strings.HasPrefix(name, "agt_") {
			e.UID.Type = policy.TypeAgent
			e.Attrs = map[string]any{"owner": policy.UID{Type: policy.TypeUser, ID: "usr_owner-" + name}}
		}
		f.Principals = append(f.Principals, e.UID)
		known := slices.IndexFunc(f.Entities, func(o policy.Entity) bool { return o.UID == e.UID })
		if known < 0 {
			f.Entities = append(f.Entities, e)
		} else if !slices.Contains(f.Entities[known].Parents, e.Parents[0]) {
			f.Entities[known].Parents = append(f.Entities[known].Parents, e.Parents[0])
		}
	}
	return f
}

var maya, noor = policy.UID{Type: policy.TypeUser, ID: "usr_maya"}, policy.UID{Type: policy.TypeUser, ID: "usr_noor"}

// Scopes and conditions over the small world of chain. Some conditions err, always or for some arguments; erring ones are marked by their place.
func drawScope(t *rapid.T) string {
	principal := rapid.SampledFrom([]string{
		"principal", "principal", "principal is Agent", "principal is User", `principal == User::"usr_p"`, `principal == Agent::"agt_a"`,
		`principal in Role::"tool-user"`, `principal in Role::"rm"`, `principal is User in Role::"tool-user"`, `principal in Group::"nobody"`,
	}).Draw(t, "principal")
	action := rapid.SampledFrom([]string{
		"action", "action", `action == Action::"tool:deploy:run"`, `action in Action::"tool:deploy:*"`, `action in [Action::"read", Action::"write"]`,
		`action in [Action::"call", Action::"write", Action::"call"]`, `action in Action::"read"`, "action in []",
	}).Draw(t, "action")
	resource := rapid.SampledFrom([]string{
		"resource", "resource", "resource is Tool", `resource in Server::"deploy"`, `resource == Tool::"deploy:run"`, `resource == Tool::"x"`,
		`resource is Tool in Server::"deploy"`, `resource is Server`,
	}).Draw(t, "resource")
	return "(" + principal + ", " + action + ", " + resource + ")"
}

var sound = []string{
	"true", "false", `context.args has env && context.args.env == "prod"`, `context.args has n && context.args.n > 2`, `context.perm.s1 == "deploy"`,
	`principal is Agent && principal.owner == User::"usr_owner-agt_a"`, `context has delegation && context.delegation.depth > 0`,
	`if context.args has n then context.args.n == 3 else true`, `principal in [Role::"rm", Role::"tool-user"]`, `resource has pin && resource.pin like "p*"`,
	`context.facts.now > datetime("2026-01-01")`, `context.facts has ip && context.facts.ip.isInRange(ip("10.0.0.0/8"))`, `context == {a: context.args}`,
	`context.args has env || context.facts.risk < 50`, `[context].contains(context)`,
}

var erring = []string{
	`context.args.env == "prod"`, "context.args.n > 2", "context.delegation.depth > 0", `context.args.env > 3`, `1 < "a"`, "principal.nothing == 1",
	`context.args.n + 9223372036854775807 > 0`, `{a: context.args.n, b: context.args.env}.a == 3`, `principal in context.args.list`, "context.args.env.isIpv4()",
	`context.args.n == 3 && context.delegation.depth > 0`, `context.args.n == 3 || context.args.missing`, `if context.args.env == "prod" then principal.x else false`,
}

func drawConditions(t *rapid.T, from []string) string {
	out := ""
	for range rapid.IntRange(0, 2).Draw(t, "conditions") {
		out += rapid.SampledFrom([]string{" when { ", " unless { "}).Draw(t, "word") + rapid.SampledFrom(from).Draw(t, "condition") + " }"
	}
	return out
}

// drawPolicies draws a bundle; each element is one policy.
func drawPolicies(t *rapid.T, conditions []string, gates bool) []string {
	var all []string
	if rapid.Bool().Draw(t, "permit all") { // so that the rest decides
		all = append(all, "permit (principal, action, resource);\n")
	}
	for i := range rapid.IntRange(0, 12).Draw(t, "policies") {
		head := rapid.SampledFrom([]string{"permit ", "permit ", "permit ", "forbid "}).Draw(t, "effect")
		if gates && rapid.IntRange(0, 3).Draw(t, "gate") == 0 {
			head = fmt.Sprintf("@id(\"g%d\") %s forbid ", i, rapid.SampledFrom([]string{
				`@approve("1 of rm")`, `@approve("2 of rm")`, `@approve("1 of none")`, `@stepup("acr>=2")`, `@stepup("age<5m")`, `@stepup("proof=httpsig")`,
			}).Draw(t, "how"))
		}
		all = append(all, head+drawScope(t)+drawConditions(t, conditions)+";\n")
	}
	return all
}

func drawArguments(t *rapid.T) string {
	return rapid.SampledFrom([]string{
		"", `{}`, `{"env":"prod"}`, `{"env":"prod","n":3}`, `{"env":3}`, `{"n":"x"}`, `{"n":3}`, `{"n":0.5}`, `{"list":[1,"a"],"n":9}`, `{"env":"10.0.0.1"}`,
		`{"env":"prod","missing":true,"n":2}`,
	}).Draw(t, "arguments")
}

func drawFacts(t *rapid.T) policy.Facts {
	f := chain(rapid.SampledFrom([][]string{
		{"usr_p"}, {"agt_a"}, {"usr_p", "agt_a"}, {"usr_p", "agt_b", "agt_a"}, {"usr_maya", "agt_a"}, {"agt_b", "agt_a"}, {"usr_p", "agt_a", "agt_b", "agt_a"},
	}).Draw(t, "chain")...)
	f.Arguments = nil
	if a := drawArguments(t); a != "" {
		f.Arguments = []byte(a)
	}
	if _, person := f.Person(); person && rapid.Bool().Draw(t, "signed in") {
		f.Auth = &policy.Auth{ACR: rapid.Int64Range(0, 3).Draw(t, "acr"), Age: rapid.SampledFrom([]int64{0, 299, 300}).Draw(t, "age")}
	}
	if rapid.Bool().Draw(t, "lent") {
		f.Delegation = policy.Lent{ID: "dlg_x", Depth: rapid.Int64Range(0, 1).Draw(t, "depth")}
	}
	f.Actor.Proof = rapid.SampledFrom([]string{"dpop", "httpsig"}).Draw(t, "proof")
	f.IP = rapid.SampledFrom([]string{"", "10.1.2.3", "2001:db8::1"}).Draw(t, "ip")
	if rapid.Bool().Draw(t, "few roles") {
		for i := range f.Entities {
			if rapid.IntRange(0, 4).Draw(t, "bare") == 0 {
				f.Entities[i].Parents = nil
			}
		}
	}
	return f
}

func drawLifts(t *rapid.T) []policy.Lift {
	var lifts []policy.Lift
	for i := range rapid.IntRange(0, 4).Draw(t, "lifts") {
		voters := rapid.SliceOfN(rapid.SampledFrom([]policy.UID{maya, noor, {Type: policy.TypeUser, ID: "usr_p"}, {Type: policy.TypeAgent, ID: "agt_a"}, {Type: policy.TypeUser, ID: "usr_gone"}}), 0, 3)
		lifts = append(lifts, policy.Lift{Gate: fmt.Sprintf("g%d", i), Voters: voters.Draw(t, "voters")})
	}
	return lifts
}

func all(lists ...[]string) []string { return slices.Concat(lists...) }

func equal(t *rapid.T, what string, want, got policy.Decision) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(id.Digest{}, id.Approval{})); diff != "" {
		t.Fatalf("%s:\n%s", what, diff)
	}
}

func TestIndexAgreesWithFullScan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := compileDrawn(t, drawPolicies(t, all(sound, erring), true))
		f, lifts := drawFacts(t), drawLifts(t)
		equal(t, "the index decides otherwise than a full scan", policy.Decide(policy.Flat(s), policy.Like(f), f, lifts), policy.Decide(s, policy.Like(f), f, lifts))
		if policy.Visible(s, f) != policy.Visible(policy.Flat(s), f) {
			t.Fatal("the index shows otherwise than a full scan")
		}
	})
}

// plain asks Cedar itself about every principal, without anything of ours but the request.
func plain(t *rapid.T, text string, f policy.Facts) (allowed, erred bool) {
	list, err := cedar.NewPolicyListFromBytes("", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	set := cedar.NewPolicySet()
	for i, p := range list {
		set.Add(cedar.PolicyID(fmt.Sprint(i)), p)
	}
	allowed = true
	for i := range f.Principals {
		q, entities := policy.CedarRequest(f, i)
		d, diagnostic := cedar.Authorize(set, entities, q)
		allowed = allowed && bool(d)
		erred = erred || len(diagnostic.Errors) > 0
	}
	return allowed, erred
}

func TestWithoutGatesAndErrorsItIsPlainCedar(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policies := drawPolicies(t, sound, false)
		f := drawFacts(t)
		if f.Arguments == nil { // the sound conditions read args
			f.Arguments = []byte("{}")
		}
		d := policy.Decide(compileDrawn(t, policies), policy.Like(f), f, drawLifts(t))
		allowed, erred := plain(t, strings.Join(policies, ""), f)
		if erred || len(d.Errors) > 0 { // as an argument of the wrong type makes sound conditions do
			return
		}
		if allowed != (d.Outcome == policy.Permit) {
			t.Fatalf("Cedar says %v, Decide %+v", allowed, d)
		}
	})
}

func TestPermitWithoutEvidenceImpliesPlainCedarAllows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policies := drawPolicies(t, all(sound, erring), true)
		f := drawFacts(t)
		d := policy.Decide(compileDrawn(t, policies), policy.Like(f), f, nil)
		if d.Outcome == policy.Permit && len(d.Waived) == 0 {
			if allowed, _ := plain(t, strings.Join(policies, ""), f); !allowed {
				t.Fatalf("permitted by %v", d.Reasons)
			}
		}
	})
}

func TestNoEvidenceBeatsAHardForbid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policies := drawPolicies(t, all(sound, erring), true)
		f, lifts := drawFacts(t), drawLifts(t)
		without, with := policy.Decide(compileDrawn(t, policies), policy.Like(f), f, nil), policy.Decide(compileDrawn(t, policies), policy.Like(f), f, lifts)
		if without.Outcome == policy.Deny {
			equal(t, "evidence changed a denial", without, with)
		}
		hard := rapid.SampledFrom([]string{"", " when { context.nothing == 1 }", " when { principal.nothing == 1 }"}).Draw(t, "hard")
		d := policy.Decide(compileDrawn(t, append(policies, "forbid (principal, action, resource)"+hard+";")), policy.Like(f), f, lifts)
		want := policy.CodeForbidden
		if hard != "" && without.Code != policy.CodeForbidden {
			want = policy.CodePolicyError
		}
		if d.Outcome != policy.Deny || d.Code != want {
			t.Fatalf("%+v, want %s", d, want)
		}
	})
}

func TestNoErrorBecomesAPermit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := compileDrawn(t, drawPolicies(t, all(erring, erring, sound), true))
		f := drawFacts(t)
		d := policy.Decide(s, policy.Like(f), f, drawLifts(t))
		if d.Outcome != policy.Permit {
			return
		}
		for _, p := range d.Errors {
			if policy.IsForbid(s, p) && !slices.Contains(d.Waived, p) {
				t.Fatalf("permitted although %s could not be evaluated: %+v", p, d)
			}
		}
		for _, p := range d.Waived {
			if p == "" || !policy.IsForbid(s, p) {
				t.Fatalf("waived %q", p)
			}
		}
	})
}

// A policy more or a hop more in the chain never turns anything into a permit. Hops come in the middle and the policies do not ask who is on the chain.
func TestAddingNeverLoosens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policies := drawPolicies(t, all(sound, erring), true)
		f, lifts := drawFacts(t), drawLifts(t)
		before := policy.Decide(compileDrawn(t, policies), policy.Like(f), f, lifts)
		if before.Outcome == policy.Permit {
			return
		}
		more := f
		switch rapid.IntRange(0, 2).Draw(t, "more") {
		case 0:
			policies = append(policies, "forbid "+drawScope(t)+drawConditions(t, all(sound, erring))+";")
		case 1:
			policies = append(policies, `@id("more") @approve("1 of rm") forbid `+drawScope(t)+drawConditions(t, all(sound, erring))+";")
			lifts = append(lifts, policy.Lift{Gate: "more", Voters: []policy.UID{maya, noor}})
		case 2:
			hop := policy.Entity{UID: policy.UID{Type: policy.TypeAgent, ID: "agt_hop"}, Attrs: map[string]any{"owner": maya}}
			if rapid.Bool().Draw(t, "may") {
				hop.Parents = []policy.UID{{Type: "Role", ID: "tool-user"}, {Type: "Role", ID: "rm"}}
			}
			more.Principals = slices.Insert(slices.Clone(f.Principals), 1, hop.UID)
			more.Entities = append(slices.Clone(f.Entities), hop)
			if _, person := f.Person(); person && len(f.Principals) == 1 {
				return // the hop would be the root
			}
		}
		if after := policy.Decide(compileDrawn(t, policies), policy.Like(more), more, lifts); after.Outcome == policy.Permit {
			t.Fatalf("%+v became %+v", before, after)
		}
	})
}

func TestDecidingAgainFromBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := compileDrawn(t, drawPolicies(t, all(sound, erring), true))
		f, lifts := drawFacts(t), drawLifts(t)
		b, err := f.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		again, err := policy.ParseFacts(b)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "the stored facts are decided otherwise", policy.Decide(s, policy.Like(f), f, lifts), policy.Decide(s, policy.Like(again), again, lifts))
		slices.Reverse(f.Entities)
		slices.Reverse(f.ActionParents)
		if c, err := f.Bytes(); err != nil || string(c) != string(b) {
			t.Fatalf("equal facts have other bytes: %v\n%s\n%s", err, b, c)
		}
	})
}

func TestWhatCouldBePermittedIsVisibleAndWhatCouldAskIsGated(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := compileDrawn(t, drawPolicies(t, all(sound, erring), true))
		f := drawFacts(t)
		if f.Arguments == nil {
			f.Arguments = []byte("{}")
		}
		d := policy.Decide(s, policy.Like(f), f, nil)
		if d.Outcome != policy.Deny && !policy.Visible(s, f) {
			t.Fatalf("hidden, though %s with %s: %+v", d.Outcome, f.Arguments, d)
		}
		if len(d.Waived)+len(d.Obligations) > 0 && !policy.MayAsk(s, f) {
			t.Fatalf("not gated, though with %s: %+v", f.Arguments, d)
		}
	})
}

// Where no policy reads the arguments, visible is exactly what is not denied by rules.
func TestVisibleIsExactWithoutArguments(t *testing.T) {
	constant := []string{"true", "false", "principal is Agent", "principal.nothing == 1", "context.delegation.depth > 0", `context.perm.s1 == "deploy"`}
	rapid.Check(t, func(t *rapid.T) {
		s := compileDrawn(t, drawPolicies(t, constant, true))
		f := drawFacts(t)
		d := policy.Decide(s, policy.Like(f), f, nil)
		denied := d.Outcome == policy.Deny && d.Code != policy.CodeUnmeetable
		if policy.Visible(s, f) == denied {
			t.Fatalf("visible %v with %+v", !denied, d)
		}
	})
}

func compileDrawn(t *rapid.T, policies []string) *policy.Set {
	s, problems := policy.Compile([]policy.File{{Path: "policies/drawn.cedar", Text: []byte(strings.Join(policies, ""))}})
	if s == nil {
		t.Fatalf("%v", problems)
	}
	return s
}
