package policy

import (
	"cmp"
	"slices"
	"strings"

	cedar "github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/eval"
)

// Explanation is a decision, and what each policy that applied said of each principal. It holds no value of the request's arguments: what it quotes is the text of
// policies. That text is its authors' and is to be escaped like any of theirs.
type Explanation struct {
	Decision   Decision
	Principals []Explained // in the order of Facts.Principals, each once; none where the facts break a rule of their form
}

// Explained is what the policies say of one principal.
type Explained struct {
	Principal UID     `json:"principal"`
	Permitted bool    `json:"permitted"` // a permit matches
	Policies  []Heard `json:"policies"`  // forbids, gates, permits, each by id
	More      int     `json:"more,omitzero"`
	Nearest   []Near  `json:"nearest,omitempty"` // of a denial, for who has no permit: those that fail the least, the nearest first
}

// Source says which policy, and where it stands.
type Source struct {
	ID     string `json:"id"`
	File   string `json:"file"`
	Line   int    `json:"line"`
	Col    int    `json:"col"`
	Doc    string `json:"doc,omitempty"`    // @doc
	Reason string `json:"reason,omitempty"` // @reason
}

// The effects of policies.
const (
	EffectPermit = "permit"
	EffectForbid = "forbid"
	EffectGate   = "gate"
)

// Heard is a policy that applied to a principal.
type Heard struct {
	Source
	Effect  string `json:"effect"`
	Erred   bool   `json:"erred,omitzero"`    // it could not be evaluated; else it matched
	Trouble *Part  `json:"trouble,omitempty"` // where, and why
	Needs   string `json:"needs,omitempty"`   // of a gate: what lifts it
	Lifted  bool   `json:"lifted,omitzero"`   // of a gate
}

// Near is a permit that does not match.
type Near struct {
	Source
	Fails int  `json:"fails"` // parts of its scope and conditions
	First Part `json:"first"` // of them
}

// Part is a part of a policy: of its scope, or one of the conditions that are joined by &&.
type Part struct {
	Line  int    `json:"line"`
	Col   int    `json:"col"`
	Text  string `json:"text"`  // as Cedar
	Words string `json:"words"` // what would have to be different, or what went wrong
}

// The bounds of an explanation.
const (
	maxHeard   = 250 // policies of one principal
	maxNearest = 3
)

// Explain decides as Decide does, and says how it came to that. Equal inputs give equal explanations.
func Explain(s *Set, shape *Shape, f Facts, lifts []Lift) Explanation {
	x := Explanation{Decision: Decide(s, shape, f, lifts)}
	if f.check() != nil {
		return x
	}
	args, err := arguments(shape, f)
	if err != nil {
		return x
	}
	r := newRequest(s, shape, &f, args)
	for i, p := range f.Principals {
		if slices.Contains(f.Principals[:i], p) {
			continue
		}
		h := newHearing(r, entityUID(p))
		e := Explained{Principal: p, Policies: []Heard{}}
		h.policies(&e, x.Decision.Waived)
		if x.Decision.Outcome == Deny && !e.Permitted {
			e.Nearest = h.nearest()
		}
		x.Principals = append(x.Principals, e)
	}
	return x
}

// hearing asks the policies about one principal, one by one.
type hearing struct {
	*request
	principal types.EntityUID
	q         asking
	env       eval.Env
}

func newHearing(r *request, principal types.EntityUID) hearing {
	return hearing{r, principal, r.about(principal), eval.Env{
		Principal: principal, Action: r.action.self, Resource: r.resource.self, Context: r.context(allMembers), Entities: &r.entities,
	}}
}

// asked are the policies that Decide asks about the principal; one may be there twice.
func (h *hearing) asked() found {
	rules := h.set.roles.more(h.set.rules.lookup(nil, &h.q), h.request, &h.q)
	return h.set.gates.lookup(rules, &h.q)
}

// says is what one policy says, by itself.
func (h *hearing) says(p *compiled) (matches, errs bool) {
	switch {
	case !h.q.meets(p):
		return false, false
	case !h.types(p):
		return false, true
	case p.policy == nil:
		return true, false
	}
	_, d := cedar.Authorize(found{p}, &h.entities, cedar.Request{
		Principal: h.principal, Action: h.action.self, Resource: h.resource.self, Context: h.env.Context.(types.Record),
	})
	return len(d.Reasons) > 0, len(d.Errors) > 0
}

// types reports whether a policy types for the arguments' shape; if not, it counts as one that cannot be evaluated.
func (h *hearing) types(p *compiled) bool {
	return h.set.fits(p, h.shape, h.facts, h.principal.Type)
}

// policies fills in which apply.
func (h *hearing) policies(e *Explained, waived []string) {
	type applied struct {
		*compiled
		errs bool
	}
	var all []applied
	seen := map[*compiled]bool{}
	for _, p := range h.asked() {
		if seen[p] {
			continue
		}
		seen[p] = true
		matches, errs := h.says(p)
		if matches || errs {
			all = append(all, applied{p, errs})
		}
		e.Permitted = e.Permitted || matches && !p.forbid
	}
	slices.SortFunc(all, func(a, b applied) int {
		return cmp.Or(cmp.Compare(effectRank(a.compiled), effectRank(b.compiled)), strings.Compare(a.id, b.id))
	})
	if len(all) > maxHeard {
		e.More, all = len(all)-maxHeard, all[:maxHeard]
	}
	for _, p := range all {
		heard := Heard{Source: h.set.where(p.compiled), Effect: [...]string{EffectForbid, EffectGate, EffectPermit}[effectRank(p.compiled)], Erred: p.errs}
		if heard.Effect == EffectGate {
			heard.Needs, heard.Lifted = p.gate.needs(), slices.Contains(waived, p.id)
		}
		if p.errs {
			heard.Trouble = h.trouble(p.compiled)
		}
		e.Policies = append(e.Policies, heard)
	}
}

func effectRank(p *compiled) int {
	switch {
	case !p.forbid:
		return 2
	case p.gate.kind != "":
		return 1
	}
	return 0
}

// where is a policy as a person finds it; one that a role was made into is explained by the role.
func (s *Set) where(c *compiled) Source {
	at := c.ast.Position
	w := Source{ID: c.id, File: at.Filename, Line: at.Line, Col: at.Column, Reason: c.reason}
	for _, a := range c.ast.Annotations {
		if a.Key == "doc" {
			w.Doc = string(a.Value)
		}
	}
	if holders, ok := strings.CutPrefix(c.id, "role/"); ok {
		name, _, _ := strings.Cut(holders, "#")
		name, _, _ = strings.Cut(name, "@")
		if r := s.roles.whole[name]; r != nil {
			w.Doc = r.Doc
		}
	}
	return w
}

// needs says what lifts a gate.
func (g gate) needs() string {
	if g.kind == KindApprove {
		return "approval by " + g.flow
	}
	var all []string
	switch g.stepUp.ACR {
	case 1:
		all = append(all, "a sign-in that is known (acr 1)")
	case 2:
		all = append(all, "a sign-in with a second factor (acr 2)")
	case 3:
		all = append(all, "a sign-in with a passkey (acr 3)")
	}
	if g.stepUp.Age > 0 {
		all = append(all, "a sign-in less than "+strings.TrimSuffix(strings.TrimSuffix(g.stepUp.Age.String(), "0s"), "0m")+" ago")
	}
	if g.stepUp.Proof != "" {
		all = append(all, "a proof of type "+g.stepUp.Proof)
	}
	return strings.Join(all, ", ")
}
