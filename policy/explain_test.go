package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/policy"
)

// told is an explanation in a few lines.
func told(x policy.Explanation) string {
	var b strings.Builder
	fmt.Fprintln(&b, x.Decision.Outcome, x.Decision.Code)
	for _, p := range x.Principals {
		fmt.Fprintln(&b, p.Principal)
		for _, h := range p.Policies {
			fmt.Fprintf(&b, "  %s %s %s:%d:%d", h.Effect, h.ID, h.File, h.Line, h.Col)
			if h.Erred {
				b.WriteString(" erred")
			}
			if h.Trouble != nil {
				fmt.Fprintf(&b, " %d:%d %s: %s", h.Trouble.Line, h.Trouble.Col, h.Trouble.Text, h.Trouble.Words)
			}
			if h.Needs != "" {
				fmt.Fprintf(&b, " needs %s, lifted %v", h.Needs, h.Lifted)
			}
			b.WriteByte('\n')
		}
		for _, n := range p.Nearest {
			fmt.Fprintf(&b, "  near %s fails %d, %d:%d %s: %s\n", n.ID, n.Fails, n.First.Line, n.First.Col, n.First.Text, n.First.Words)
		}
	}
	return b.String()
}

func TestExplain(t *testing.T) {
	for name, c := range map[string]struct{ policies, want string }{
		"the first condition that fails": {
			`@id("staging") @doc("deploys to staging")
permit (principal, action == Action::"tool:deploy:run", resource)
when { context.args has env && // the place
       (context.args.env == "staging" && context.args.n < 3) };`,
			`deny no_permit
Agent::"agt_a"
  near staging fails 2, 4:9 context.args.env == "staging": context.args.env must be "staging"
`,
		},
		"a role, narrower before wider": {
			`@id("any") permit (principal in Role::"everything", action, resource);
@id("deployers") permit (principal in Role::"deployer", action == Action::"tool:deploy:run", resource) unless { context.facts.risk > 50 };
@id("other") permit (principal in Role::"deployer", action == Action::"tool:deploy:run", resource in Server::"other");`,
			`deny no_permit
Agent::"agt_a"
  near deployers fails 1, 2:26 principal in Role::"deployer": needs the role deployer
  near any fails 1, 1:20 principal in Role::"everything": needs the role everything
`,
		},
		"what is guarded fails once, and && binds closer than ||": {
			`@id("a") permit (principal, action, resource) when { context.args has gone && context.args.gone == "x" };
@id("b") permit (principal, action, resource) when { context.args.n == 3 && true || false && false } unless { context.args has env && context.args has n };`,
			`deny no_permit
Agent::"agt_a"
  near b fails 1, 2:111 context.args has env && context.args has n: context.args.env must not be there, or context.args.n must not be there
  near a fails 1, 1:54 context.args has gone: context.args.gone must be there
`,
		},
		"what cannot be evaluated": {
			`@id("p") permit (principal, action, resource);
@id("f") forbid (principal, action, resource) when { context.args.env == "prod" && (if context.args.n == 3 then context.args.secret > 1 else principal.x == 1) };
@id("q") permit (principal, action, resource) when { context.args.n + 9223372036854775807 > 0 };
@id("g") @stepup("acr>=2,age<5m") forbid (principal, action, resource) unless { context.args.env < 3 };
@id("h") forbid (principal, action, resource) when { context.facts.risk == 0 && principal is Agent && (if principal is Agent then principal.x == 1 else context.delegation.depth == 1) };
@id("i") @stepup("proof=httpsig") forbid (principal, action, resource) when { context.args.n == 4 && context.args.gone };`,
			`deny policy_error
Agent::"agt_a"
  forbid f policies/x.cedar:2:1 erred 2:85 if context.args.n == 3 then context.args.secret > 1 else principal.x == 1: ` + "`context.args.secret` is not there; test it with `has` first" + `
  forbid h policies/x.cedar:5:1 erred 5:104 if principal is Agent then principal.x == 1 else context.delegation.depth == 1: ` + "`principal.x` is not there; test it with `has` first" + `
  gate g policies/x.cedar:4:1 erred 4:81 context.args.env < 3: ` + "`context.args.env < 3` takes a value of another type than it is given" + ` needs a sign-in with a second factor (acr 2), a sign-in less than 5m ago, lifted false
  gate i policies/x.cedar:6:1 erred 6:1 context.args: it does not fit the arguments that the action declares: attribute ` + "`gone` in context for Action::\"tool:deploy:run\" not found" + ` needs a proof of type httpsig, lifted false
  permit p policies/x.cedar:1:1
  permit q policies/x.cedar:3:1 erred 3:54 context.args.n + 9223372036854775807 > 0: ` + "`context.args.n + 9223372036854775807` goes beyond what a Long holds" + `
`,
		},
		"forbidden, and without a permit too": {
			`@id("f") forbid (principal in Server::"no", action, resource);
@id("f2") @reason("Not today.") forbid (principal, action, resource) when { ["prod", "live"].contains(context.args.env) };
@id("read") permit (principal, action == Action::"tool:deploy:status", resource);
@id("elsewhere") permit (principal, action == Action::"tool:mail:run", resource);
@id("one") permit (principal, action, resource) when { (context.args has env || context.args has x) && !(["prod"].contains(context.args.env)) };`,
			`deny forbidden
Agent::"agt_a"
  forbid f2 policies/x.cedar:2:1
  near one fails 1, 5:104 !(["prod"].contains(context.args.env)): context.args.env must be none of ["prod"]
  near read fails 1, 3:32 action == Action::"tool:deploy:status": action must be Action::"tool:deploy:status"
`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			set, problems := policy.Compile([]policy.File{{Path: "policies/x.cedar", Text: []byte(c.policies)}})
			if set == nil {
				t.Fatal(problems)
			}
			f := chain("agt_a")
			if diff := cmp.Diff(c.want, told(policy.Explain(set, policy.Like(f), f, nil))); diff != "" {
				t.Fatal(diff)
			}
		})
	}
}

// Roles are explained by their files, where a permission stands.
func TestExplainRoles(t *testing.T) {
	set, problems := policy.Compile(append(policy.Shipped(), policy.File{Path: "roles/deployer.yaml", Text: []byte(`doc: "who \u200b <b>deploys"
permissions:
  - tool:deploy:status
  - { permission: tool:deploy:run, where: { env: { in: [staging] } } }
deny:
  - tool:deploy:delete
`)}, policy.File{Path: "policies/x.cedar", Text: []byte(`@id("x") permit (principal is User, action == Action::"tool:deploy:run", resource);`)}))
	if set == nil {
		t.Fatal(problems)
	}
	f := chain("agt_a")
	with := func(role string) policy.Facts {
		g := f
		g.Entities = slices.Clone(f.Entities)
		for i := range g.Entities {
			if g.Entities[i].UID == f.Principals[0] {
				g.Entities[i].Parents = []policy.UID{{Type: "Role", ID: role}}
			}
		}
		return g
	}
	for role, want := range map[string]string{
		"deployer": `deny no_permit
Agent::"agt_a"
  near role/deployer#2 fails 1, 4:5 context.args.env == "staging": context.args.env must be "staging"
  near role/tool-user#1 fails 1, 3:5 principal in Role::"tool-user": needs the role tool-user
  near role/owner#1 fails 1, 3:5 principal in Role::"owner": needs the role owner
`,
		"deployer@server:deploy": `deny no_permit
Agent::"agt_a"
  near role/deployer@server:deploy#2 fails 1, 4:5 context.args.env == "staging": context.args.env must be "staging"
  near role/tool-user#1 fails 1, 3:5 principal in Role::"tool-user": needs the role tool-user
  near role/owner#1 fails 1, 3:5 principal in Role::"owner": needs the role owner
`,
	} {
		x := policy.Explain(set, policy.Like(f), with(role), nil)
		if diff := cmp.Diff(want, told(x)); diff != "" {
			t.Error(diff)
		}
		if near := x.Principals[0].Nearest[0]; near.Doc != "who \u200b <b>deploys" || near.File != "roles/deployer.yaml" {
			t.Errorf("%+v", near)
		}
	}
}

// An explanation leads to the decision that it explains.
func TestExplanationsAgreeWithDecisions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := compileDrawn(t, drawPolicies(t, all(sound, erring), true))
		f, lifts := drawFacts(t), drawLifts(t)
		agrees(t, s, f, lifts)
	})
}

func agrees(t interface {
	Helper()
	Fatalf(string, ...any)
}, s *policy.Set, f policy.Facts, lifts []policy.Lift,
) {
	t.Helper()
	x := policy.Explain(s, policy.Like(f), f, lifts)
	d := policy.Decide(s, policy.Like(f), f, lifts)
	comparable := cmpopts.EquateComparable(id.Digest{}, id.Approval{})
	if diff := cmp.Diff(d, x.Decision, comparable); diff != "" {
		t.Fatalf("it is of another decision:\n%s", diff)
	}
	if diff := cmp.Diff(x, policy.Explain(s, policy.Like(f), f, lifts), comparable); diff != "" {
		t.Fatalf("twice it is not the same:\n%s", diff)
	}
	if wrong := policy.Parted(s, f); wrong != nil {
		t.Fatalf("in parts these say something else: %v", wrong)
	}
	if len(x.Principals) == 0 {
		if d.Code != policy.CodeSchema && d.Code != policy.CodeArgsTooLarge {
			t.Fatalf("nothing explains %+v", d)
		}
		return
	}
	heard := map[string][]string{}
	var lacking, lifted []string
	for _, p := range x.Principals {
		if !p.Permitted {
			lacking = append(lacking, p.Principal.String())
		}
		var matched []string
		for _, h := range p.Policies {
			kind := h.Effect
			if h.Erred {
				heard["errors"] = append(heard["errors"], h.ID)
				kind += " erred"
				if h.Trouble == nil || h.Trouble.Words == "" {
					t.Fatalf("nothing says why %s erred", h.ID)
				}
			}
			heard[kind], matched = append(heard[kind], h.ID), append(matched, h.ID)
			if h.Lifted {
				lifted = append(lifted, h.ID)
			}
		}
		if n := len(p.Nearest); n > 0 && (p.Permitted || d.Outcome != policy.Deny) {
			t.Fatalf("%d permits are near, and there is one", n)
		}
		for _, n := range p.Nearest {
			if slices.Contains(matched, n.ID) && !slices.Contains(heard["permit erred"], n.ID) || n.Fails < 1 || n.First.Text == "" || n.First.Words == "" || n.First.Line < n.Line {
				t.Fatalf("this is near: %+v", n)
			}
		}
	}
	for k, v := range heard {
		slices.Sort(v)
		heard[k] = slices.Compact(v)
	}
	slices.Sort(lacking)
	slices.Sort(lifted)
	var want string
	reasons := d.Reasons
	switch {
	case heard["forbid"] != nil:
		want = policy.CodeForbidden
		lacking = heard["forbid"]
	case heard["forbid erred"] != nil:
		want = policy.CodePolicyError
		lacking = heard["forbid erred"]
	case lacking != nil:
		want = policy.CodeNoPermit
	case d.Outcome == policy.Permit:
		lacking = heard["permit"]
	default: // gates; of an unmeetable one the others are not said
		lacking = append(heard["gate"], heard["gate erred"]...)
		slices.Sort(lacking)
		lacking = slices.DeleteFunc(slices.Compact(lacking), func(g string) bool { return slices.Contains(d.Waived, g) })
		if want = d.Code; want == policy.CodeUnmeetable {
			lacking = slices.DeleteFunc(lacking, func(g string) bool { return !slices.Contains(reasons, g) })
		}
	}
	if d.Code != want || !slices.Equal(reasons, lacking) || !slices.Equal(d.Errors, heard["errors"]) || !slices.Equal(slices.Compact(lifted), d.Waived) && d.Waived != nil {
		t.Fatalf("the policies say %s %v, and the decision %+v\n%s", want, lacking, d, told(x))
	}
}

// A thousand policies are explained in milliseconds: with them in the way, the bound is generous.
func TestExplainIsBounded(t *testing.T) {
	var b strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&b, "@id(\"p%d\") permit (principal in Role::\"r%d\", action, resource) when { context.args has env && context.args.env == \"e%d\" && context.args.n > %d };\n", i, i%7, i, i)
	}
	set, problems := policy.Compile(append(policy.Shipped(), policy.File{Path: "policies/x.cedar", Text: []byte(b.String())}))
	if set == nil {
		t.Fatal(problems)
	}
	f := chain("usr_p", "agt_b", "agt_a")
	for i := range f.Entities {
		f.Entities[i].Parents = nil
	}
	start := time.Now()
	x := policy.Explain(set, policy.Like(f), f, nil)
	if took := time.Since(start); took > time.Second {
		t.Errorf("it took %s", took)
	} else {
		t.Log(took)
	}
	if len(x.Principals[0].Nearest) != 3 {
		t.Error(told(x))
	}
}
