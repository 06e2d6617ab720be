package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	cedar "github.com/cedar-policy/cedar-go"
	cedarast "github.com/cedar-policy/cedar-go/ast"
	"github.com/cedar-policy/cedar-go/types"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

// Outcome is the answer to a request. Anything but Permit, the zero value too, does not permit.
type Outcome string

// The outcomes.
const (
	Permit Outcome = "permit"
	Deny   Outcome = "deny"
	Ask    Outcome = "ask" // a permit as soon as the obligations are met
)

// The codes of a denial. An ask and a permit have none.
const (
	CodeForbidden    = "forbidden"      // a hard forbid matches
	CodePolicyError  = "policy_error"   // a hard forbid cannot be evaluated
	CodeNoPermit     = "no_permit"      // a principal has no permit
	CodeUnmeetable   = "unmeetable"     // a gate that nobody on the chain could lift
	CodeSchema       = "schema"         // the facts break a rule of their form
	CodeArgsTooLarge = "args_too_large" // the arguments are over a limit
)

// Decision is the answer and its grounds. All lists are sorted, so equal inputs give equal decisions.
type Decision struct {
	Outcome     Outcome
	Code        string        // why denied
	Reasons     []string      // ids of the policies that led to the outcome; for no_permit, the principals without one
	Message     string        // for a person, from @reason where there is one
	Errors      []string      // ids of policies that could not be evaluated; what went wrong could quote arguments and is left out
	Obligations []Obligation  // of an ask: step-ups first, then by gate
	Waived      []string      // ids of gates that applied and were lifted
	Approvals   []id.Approval // that lifted them: to be spent with the permit
}

// Decide answers a request under s, by the rules in the package comment. shape is that of the tool that is called, nil for what is no tool. It does not fail: facts
// that break a rule of their form, or have arguments of another shape, are denied.
func Decide(s *Set, shape *Shape, f Facts, lifts []Lift) Decision {
	if err := f.check(); err != nil {
		return refused(err)
	}
	args, err := arguments(shape, f)
	if err != nil {
		return refused(err)
	}
	r := newRequest(s, shape, f, args)
	t := tally{set: s, facts: &f, shape: shape, permits: map[string]bool{}, forbids: map[string]bool{}, broken: map[string]bool{}, gates: map[string]bool{}, errors: map[string]bool{}}
	for _, p := range f.Principals {
		t.ask(&r, p)
	}
	return t.decision(f, &r, lifts)
}

// arguments are context.args; nil where the action has none.
func arguments(shape *Shape, f Facts) (types.Value, error) {
	switch {
	case shape == nil && f.Arguments == nil:
		return nil, nil
	case shape == nil:
		return nil, fault.New(fault.Invalid, "schema", "this action takes no arguments")
	case f.Arguments == nil:
		return nil, fault.New(fault.Invalid, "schema", "this action takes arguments, if only an empty object")
	}
	return project(shape, f.Arguments, f.OpenArguments)
}

func refused(err error) Decision {
	d := Decision{Outcome: Deny, Code: CodeSchema, Message: "The request cannot be judged: " + err.Error() + "."}
	if fault.Code(err) == CodeArgsTooLarge {
		d.Code = CodeArgsTooLarge
	}
	return d
}

// tally collects what the policies say about each principal. The maps' keys are ids of policies.
type tally struct {
	set                                     *Set
	facts                                   *Facts
	shape                                   *Shape
	permits, forbids, broken, gates, errors map[string]bool // broken: hard forbids that erred
	lacking                                 []string        // principals without a permit
	made                                    found           // for this request: no index has them
}

// policy is the one of an id that the tally names.
func (t *tally) policy(id string) *compiled {
	if p := t.set.byID[id]; p != nil {
		return p
	}
	return t.made[slices.IndexFunc(t.made, func(p *compiled) bool { return p.id == id })]
}

func (t *tally) ask(r *request, principal UID) {
	q := cedar.Request{Principal: entityUID(principal), Action: r.action, Resource: r.resource, Context: types.NewRecord(r.context)}
	keys := r.keys(q.Principal)
	// Cedar names the permits only if no forbid matches, so gates are asked about apart.
	indexed := t.set.rules.lookup(nil, keys, r.shared)
	all := t.set.roles.more(indexed, r, keys)
	t.made = append(t.made, all[len(indexed):]...)
	answer, rules := cedar.Authorize(t.fitting(all, r, q), r.entities, q)
	allowed := bool(answer)
	_, gates := cedar.Authorize(t.fitting(t.set.gates.lookup(nil, keys, r.shared), r, q), r.entities, q)
	for _, d := range rules.Reasons {
		if allowed {
			t.permits[string(d.PolicyID)] = true
		} else {
			t.forbids[string(d.PolicyID)] = true
		}
	}
	if !allowed && !slices.Contains(t.lacking, principal.String()) {
		t.lacking = append(t.lacking, principal.String())
	}
	for _, e := range rules.Errors {
		t.errors[string(e.PolicyID)] = true
		if t.policy(string(e.PolicyID)).forbid {
			t.broken[string(e.PolicyID)] = true
		}
	}
	for _, d := range gates.Reasons {
		t.gates[string(d.PolicyID)] = true
	}
	for _, e := range gates.Errors {
		t.errors[string(e.PolicyID)] = true
		t.gates[string(e.PolicyID)] = true
	}
}

// fitting leaves out the policies that do not type for the arguments' shape, which count as if they could not be evaluated.
func (t *tally) fitting(all found, r *request, q cedar.Request) found {
	return slices.DeleteFunc(all, func(c *compiled) bool {
		if !c.args || t.set.fits(c, t.shape, t.facts, q.Principal.Type) || !meetsScope(c, r.entities, q) {
			return false
		}
		t.errors[c.id] = true
		switch {
		case c.gate.kind != "":
			t.gates[c.id] = true
		case c.forbid:
			t.broken[c.id] = true
		}
		return true
	})
}

// meetsScope reports whether a policy's scope meets a request.
func meetsScope(c *compiled, entities types.EntityGetter, q cedar.Request) bool {
	bare := *c.ast
	bare.Conditions = nil
	_, d := cedar.Authorize(found{{id: c.id, policy: cedar.NewPolicyFromAST((*cedarast.Policy)(&bare))}}, entities, q)
	return len(d.Reasons) > 0
}

func (t *tally) decision(f Facts, r *request, lifts []Lift) Decision {
	d := Decision{Outcome: Deny, Errors: sortedKeys(t.errors)}
	switch {
	case len(t.forbids) > 0:
		d.Code, d.Reasons = CodeForbidden, sortedKeys(t.forbids)
		d.Message = t.message(d.Reasons, "Policy %q forbids this.")
	case len(t.broken) > 0:
		d.Code, d.Reasons = CodePolicyError, sortedKeys(t.broken)
		d.Message = fmt.Sprintf("Policy %q cannot be evaluated for this request, so it is refused.", d.Reasons[0])
	case len(t.lacking) > 0:
		slices.Sort(t.lacking)
		d.Code, d.Reasons = CodeNoPermit, t.lacking
		d.Message = fmt.Sprintf("No policy permits %s to %s.", strings.Join(t.lacking, " or "), f.Action)
	default:
		t.open(&d, f, r, lifts)
	}
	return d
}

// open goes through the gates, once everything else permits.
func (t *tally) open(d *Decision, f Facts, r *request, lifts []Lift) {
	var unmeetable []string
	var stepUps, approvals []Obligation
	for _, gate := range sortedKeys(t.gates) {
		o := t.set.byID[gate].obligation()
		if o.Kind == KindStepUp {
			switch {
			case !o.StepUp.possible(f):
				unmeetable = append(unmeetable, gate)
			case o.StepUp.met(f):
				d.Waived = append(d.Waived, gate)
			default:
				stepUps = append(stepUps, o)
			}
			continue
		}
		i := slices.IndexFunc(lifts, func(l Lift) bool { return l.satisfied(t.set, o, f, r) })
		if i < 0 {
			approvals = append(approvals, o)
			continue
		}
		d.Waived = append(d.Waived, gate)
		d.Approvals = append(d.Approvals, lifts[i].Approval)
	}
	d.Obligations = append(stepUps, approvals...)
	switch {
	case len(unmeetable) > 0:
		d.Code, d.Reasons, d.Obligations = CodeUnmeetable, unmeetable, nil
		d.Message = fmt.Sprintf("Policy %q asks for a person's sign-in, and this agent acts for nobody.", unmeetable[0])
	case len(d.Obligations) > 0:
		d.Outcome = Ask
		for _, o := range d.Obligations {
			d.Reasons = append(d.Reasons, o.Gate)
		}
		slices.Sort(d.Reasons)
		d.Message = d.Obligations[0].Reason
	default:
		d.Outcome, d.Reasons = Permit, sortedKeys(t.permits)
	}
}

// message is the first @reason among the policies, or the fallback about the first of them.
func (t *tally) message(ids []string, fallback string) string {
	for _, p := range ids {
		if r := t.policy(p).reason; r != "" {
			return r
		}
	}
	return fmt.Sprintf(fallback, ids[0])
}

func sortedKeys(m map[string]bool) []string {
	return slices.Sorted(maps.Keys(m))
}
