package policy_test

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	cedar "github.com/cedar-policy/cedar-go"
	cedarast "github.com/cedar-policy/cedar-go/ast"
	"github.com/cedar-policy/cedar-go/types"
	xast "github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/schema"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"
	"pgregory.net/rapid"

	"github.com/attorn/attorn/policy"
)

// cases is how many random bundles and requests the differential test tries; `make nightly` has it try a million (-rapid.checks).
const cases = 10_000

// TestAgreesWithCedar holds decisions to the rules of the package's comment, done in the plainest way: every policy by itself, for every principal, by Cedar, without
// the index, without what is kept of types, and with the schema as text.
func TestAgreesWithCedar(t *testing.T) {
	checks := flag.Lookup("rapid.checks").Value
	if n, err := strconv.Atoi(checks.String()); err == nil && n < cases && !testing.Short() {
		defer checks.Set(checks.String())
		if err := checks.Set(strconv.Itoa(cases)); err != nil {
			t.Fatal(err)
		}
	}
	outcomes := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		policies := drawPolicies(t, all(sound, erring), true)
		s, f := compileDrawn(t, policies), drawFacts(t)
		got := policy.Decide(s, policy.Like(f), f, nil)
		want := plainly(t, strings.Join(policies, ""), f)
		outcomes[string(got.Outcome)+" "+got.Code]++
		if got.Code == policy.CodeSchema && want.outcome != policy.Permit { // what is refused before any policy is asked
			return
		}
		if got.Outcome != want.outcome || got.Code != want.code || !slices.Equal(got.Errors, want.errors) {
			t.Fatalf("%+v\nand plainly %+v\n%s", got, want, strings.Join(policies, ""))
		}
	})
	for _, o := range []string{"permit ", "ask ", "deny forbidden", "deny policy_error", "deny no_permit"} {
		if outcomes[o] == 0 {
			t.Errorf("no case was %q: %v", o, outcomes)
		}
	}
}

// plainDecision is a decision made plainly.
type plainDecision struct {
	outcome policy.Outcome
	code    string
	errors  []string
}

func plainly(t *rapid.T, text string, f policy.Facts) (d plainDecision) {
	list, err := cedar.NewPolicyListFromBytes("", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	erred := map[string]bool{}
	forbidden, broken, lacking, steps, approvals := false, false, false, false, false
	for i := range f.Principals {
		q, entities := policy.CedarRequest(f, i)
		permitted := false
		for n, p := range list {
			name := string(p.Annotations()["id"])
			if name == "" {
				name = fmt.Sprintf("policies/drawn.cedar#%d", n+1)
			}
			matches, fails := alone(p, q, entities)
			if inItsScope(p, q, entities) && f.Arguments != nil && strings.Contains(string(p.MarshalCedar()), "context") && speaks(p) && !typesByText(t, p, q, f) {
				matches, fails = false, true
			}
			if fails {
				erred[name] = true
			}
			_, approve := p.Annotations()["approve"]
			_, stepUp := p.Annotations()["stepup"]
			switch {
			case p.Effect() == cedar.Permit:
				permitted = permitted || matches
			case approve:
				approvals = approvals || matches || fails
			case stepUp:
				how := string(p.Annotations()["stepup"])
				if matches || fails {
					acr, age := int64(0), int64(1<<40)
					if f.Auth != nil {
						acr, age = f.Auth.ACR, f.Auth.Age
					}
					steps = steps || !(how == "acr>=2" && acr >= 2 || how == "age<5m" && age < 300 || how == "proof=httpsig" && f.Actor.Proof == "httpsig")
					_, person := f.Person()
					d.code = cmpOr(d.code, how != "proof=httpsig" && !person)
				}
			case matches:
				forbidden = true
			case fails:
				broken = true
			}
		}
		lacking = lacking || !permitted
	}
	d.errors = slices.Sorted(maps.Keys(erred))
	unmeetable := d.code != ""
	switch {
	case forbidden:
		d.outcome, d.code = policy.Deny, policy.CodeForbidden
	case broken:
		d.outcome, d.code = policy.Deny, policy.CodePolicyError
	case lacking:
		d.outcome, d.code = policy.Deny, policy.CodeNoPermit
	case unmeetable:
		d.outcome, d.code = policy.Deny, policy.CodeUnmeetable
	case steps || approvals:
		d.outcome, d.code = policy.Ask, ""
	default:
		d.outcome, d.code = policy.Permit, ""
	}
	return d
}

func cmpOr(code string, unmeetable bool) string {
	if unmeetable {
		return policy.CodeUnmeetable
	}
	return code
}

// alone is what Cedar says of one policy.
func alone(p *cedar.Policy, q types.Request, entities types.EntityMap) (matches, fails bool) {
	set := cedar.NewPolicySet()
	set.Add("p", p)
	_, d := cedar.Authorize(set, entities, q)
	return len(d.Reasons) > 0, len(d.Errors) > 0
}

func inItsScope(p *cedar.Policy, q types.Request, entities types.EntityMap) bool {
	bare := *(*xast.Policy)(p.AST())
	bare.Conditions = nil
	matches, _ := alone(cedar.NewPolicyFromAST((*cedarast.Policy)(&bare)), q, entities)
	return matches
}

// speaks is whether a policy reads context.args, or context as a whole; names within strings do not occur in what is drawn.
func speaks(p *cedar.Policy) bool {
	text := string(p.MarshalCedar())
	if strings.Contains(text, "context.args") || strings.Contains(text, "context has args") {
		return true
	}
	for rest := text; ; {
		_, after, ok := strings.Cut(rest, "context")
		if !ok {
			return false
		}
		if !strings.HasPrefix(after, ".") && !strings.HasPrefix(after, " has ") {
			return true
		}
		rest = after
	}
}

// typesByText is whether a policy types, by a schema written as text.
func typesByText(t *rapid.T, p *cedar.Policy, q types.Request, f policy.Facts) bool {
	text := fmt.Sprintf(`
entity Workspace tags String; entity Environment in [Workspace]; entity Role in [Role]; entity Group in [Group, Role];
entity User in [Group, Role, Workspace] tags String; entity Agent in [Group, Role, Workspace] = { owner?: User } tags String;
entity Server in [Workspace, Environment] tags String; entity Tool in [Server] = { pin: String } tags String;
action "call"; action "read"; action "write"; action "destroy"; action "tool:*"; action "tool:deploy:*" in ["tool:*"];
action %q in ["call", "write", "tool:*", "tool:deploy:*"] appliesTo { principal: [%s], resource: [Tool], context: {
  args: %s, actor: { agent?: Agent, instance: String, origin: String, proof: String }, subject?: User, chain: Set<Agent>,
  delegation?: { id: String, depth: Long, task?: String, purpose?: String }, auth?: { acr: Long, age: Long },
  facts: { now: datetime, ip?: ipaddr, risk: Long },
  perm: { n: Long, s0: String, s1: String, s2: String, s3: String, s4: String, s5: String, s6: String, s7: String } } };`, f.Action, q.Principal.Type, policy.Like(f))
	var parsed schema.Schema
	if err := parsed.UnmarshalCedar([]byte(text)); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	resolved, err := parsed.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	whole := *(*xast.Policy)(p.AST())
	if len(whole.Conditions) > 0 { // as one
		var all xast.Node
		for i, c := range whole.Conditions {
			n := xast.NewNode(c.Body)
			if c.Condition == xast.ConditionUnless {
				n = xast.Not(n)
			}
			if i == 0 {
				all = n
			} else {
				all = all.And(n)
			}
		}
		whole.Conditions = []xast.ConditionType{{Condition: xast.ConditionWhen, Body: all.AsIsNode()}}
	}
	return validate.New(resolved).Policy("", &whole) == nil
}
