package policy

import (
	"fmt"
	"slices"
	"strings"

	cedar "github.com/cedar-policy/cedar-go"
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
	t := tally{request: newRequest(s, shape, &f, args)}
	t.hear()
	return t.decision(lifts)
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

// tally collects what the policies say about each principal. The lists are of policies' ids, and may have one twice.
type tally struct {
	*request
	permits, forbids, broken, gates, errors []string // broken: hard forbids that erred
	lacking                                 []string // principals without a permit
	made                                    found    // for this request: no index has them
}

// policy is the one of an id that the tally names.
func (t *tally) policy(id string) *compiled {
	if p := t.set.byID[id]; p != nil {
		return p
	}
	return t.made[slices.IndexFunc(t.made, func(p *compiled) bool { return p.id == id })]
}

// hearing is what is asked about one principal: of the policies that the request meets by their scope, those that have conditions.
type heard struct {
	principal    types.EntityUID
	rules, gates found
	permitted    bool // by one that has none
}

// hear asks the policies about every principal. The context is made once, of what those speak of that are asked.
func (t *tally) hear() {
	var few [4]heard
	all := few[:0]
	var of contextSet
	asked := false
	for _, p := range t.facts.Principals {
		h := heard{principal: entityUID(p)}
		q := t.about(h.principal)
		indexed := t.set.rules.lookup(make(found, 0, 8), &q)
		h.rules = t.set.roles.more(indexed, t.request, &q)
		t.made = append(t.made, h.rules[len(indexed):]...)
		h.gates = t.set.gates.lookup(nil, &q)
		h.rules, h.gates = t.fitting(&h, h.rules), t.fitting(&h, h.gates)
		for _, list := range [...]found{h.rules, h.gates} {
			for _, c := range list {
				of |= allMembers &^ c.spares
				asked = true
			}
		}
		all = append(all, h)
	}
	var context types.Record
	if asked {
		context = t.context(of)
	}
	for i := range all {
		t.ask(&all[i], context)
	}
}

// fitting leaves out the policies that need not be asked: those without conditions, which match, those that the action alone decides, which do not, and those that do not
// type for the arguments' shape, which count as if they could not be evaluated.
func (t *tally) fitting(h *heard, all found) found {
	return slices.DeleteFunc(all, func(c *compiled) bool {
		fits := t.set.fits(c, t.shape, t.facts, h.principal.Type)
		switch {
		case !fits:
			t.erred(c)
		case c.policy != nil:
			return slices.ContainsFunc(c.upfront, func(u upfront) bool { return !u.holds(t.perm.segments) })
		case c.gate.kind != "":
			t.gates = append(t.gates, c.id)
		case c.forbid:
			t.forbids = append(t.forbids, c.id)
		default:
			h.permitted = true
			t.permits = append(t.permits, c.id)
		}
		return true
	})
}

// erred notes a policy that cannot be evaluated.
func (t *tally) erred(c *compiled) {
	t.errors = append(t.errors, c.id)
	switch {
	case c.gate.kind != "":
		t.gates = append(t.gates, c.id)
	case c.forbid:
		t.broken = append(t.broken, c.id)
	}
}

func (t *tally) ask(h *heard, context types.Record) {
	q := cedar.Request{Principal: h.principal, Action: t.action.self, Resource: t.resource.self, Context: context}
	// Cedar names the permits only if no forbid matches, so gates are asked about apart.
	answer, d := t.authorize(h.rules, q)
	for _, reason := range d.Reasons {
		if answer {
			t.permits = append(t.permits, string(reason.PolicyID))
		} else {
			t.forbids = append(t.forbids, string(reason.PolicyID))
		}
	}
	if !h.permitted && !bool(answer) {
		if name := h.principal.String(); !slices.Contains(t.lacking, name) {
			t.lacking = append(t.lacking, name)
		}
	}
	_, d = t.authorize(h.gates, q)
	for _, reason := range d.Reasons {
		t.gates = append(t.gates, string(reason.PolicyID))
	}
}

// authorize has Cedar evaluate policies, and notes those that err.
func (t *tally) authorize(all found, q cedar.Request) (cedar.Decision, cedar.Diagnostic) {
	if len(all) == 0 {
		return cedar.Deny, cedar.Diagnostic{}
	}
	answer, d := cedar.Authorize(all, &t.entities, q)
	for _, e := range d.Errors {
		t.erred(t.policy(string(e.PolicyID)))
	}
	return answer, d
}

func (t *tally) decision(lifts []Lift) Decision {
	d := Decision{Outcome: Deny, Errors: sorted(t.errors)}
	switch {
	case len(t.forbids) > 0:
		d.Code, d.Reasons = CodeForbidden, sorted(t.forbids)
		d.Message = t.message(d.Reasons, "Policy %q forbids this.")
	case len(t.broken) > 0:
		d.Code, d.Reasons = CodePolicyError, sorted(t.broken)
		d.Message = fmt.Sprintf("Policy %q cannot be evaluated for this request, so it is refused.", d.Reasons[0])
	case len(t.lacking) > 0:
		slices.Sort(t.lacking)
		d.Code, d.Reasons = CodeNoPermit, t.lacking
		d.Message = fmt.Sprintf("No policy permits %s to %s.", strings.Join(t.lacking, " or "), t.facts.Action)
	default:
		t.open(&d, lifts)
	}
	return d
}

// open goes through the gates, once everything else permits.
func (t *tally) open(d *Decision, lifts []Lift) {
	var unmeetable []string
	var stepUps, approvals []Obligation
	for _, gate := range sorted(t.gates) {
		o := t.set.byID[gate].obligation()
		if o.Kind == KindStepUp {
			switch {
			case !o.StepUp.possible(t.facts):
				unmeetable = append(unmeetable, gate)
			case o.StepUp.met(t.facts):
				d.Waived = append(d.Waived, gate)
			default:
				stepUps = append(stepUps, o)
			}
			continue
		}
		i := slices.IndexFunc(lifts, func(l Lift) bool { return l.satisfied(o, t.request) })
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
		d.Outcome, d.Reasons = Permit, sorted(t.permits)
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

// sorted are ids in order, each once.
func sorted(ids []string) []string {
	slices.Sort(ids)
	return slices.Compact(ids)
}
