package policy

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
)

// Past is a decision as it was recorded. What is not needed is not asked for: opening arguments costs more than to decide again.
type Past struct {
	Event   int64   // its number in the log
	Facts   []byte  // stored, without arguments and address (Facts.Bytes); nil where they are not kept any more
	Outcome Outcome // as recorded
	Code    string  // why it was denied
	Inputs  Inputs
}

// Inputs finds the rest of what a recorded decision was made on. ErrErased says that it is not known any more.
type Inputs interface {
	Arguments() ([]byte, error) // in RFC 8785 form; nil where the action has none
	Shape() (*Shape, error)     // of the tool's definition then; of services' own actions, which the bundle's types shape, it is not asked
	IP() (string, error)
	Lifts() ([]Lift, error) // the approvals that it was permitted by
	Before() (*Set, error)  // that decided
}

// ErrErased is what Inputs answers where somebody's values were erased, or never kept.
var ErrErased = errors.New("a value of the event was erased, or was too large to be kept")

// Flips are the kinds of changed answers.
const (
	NewlyPermitted = "newly_permitted"
	NewlyDenied    = "newly_denied"
	NewlyAsking    = "newly_asking"
)

// Flip is a group of recorded decisions that a candidate answers otherwise, alike.
type Flip struct {
	Kind     string   `json:"kind"`
	Was      Outcome  `json:"was"`
	Actor    string   `json:"actor"`
	Action   string   `json:"action"`
	Code     string   `json:"code,omitempty"` // of a denial
	Reasons  []string `json:"reasons"`        // the candidate's; newly permitted: what it was denied for before
	Count    int      `json:"count"`
	Examples []int64  `json:"examples"` // numbers of events
}

// Outlook is how a candidate would have answered what was asked. Elsewhere counts what was refused for reasons that no policy changes; Lacking, what cannot be decided
// again, since an input was erased; Unexplained, what even the bundle of then answers otherwise now: the record, or the engine, is another.
type Outlook struct {
	Events      int     `json:"events"`
	Permitted   int     `json:"newly_permitted"`
	Denied      int     `json:"newly_denied"`
	Asking      int     `json:"newly_asking"`
	Elsewhere   int     `json:"elsewhere"`
	Lacking     int     `json:"lacking"`
	Unexplained int     `json:"unexplained"`
	Flips       []Flip  `json:"flips"`              // the most frequent first
	Ungrouped   int     `json:"ungrouped,omitzero"` // flips beyond the groups that are kept
	Lacks       []int64 `json:"lacks"`              // examples of events that lack inputs
	Odd         []int64 `json:"odd"`                // and of unexplained ones
}

// The bounds of what a replay keeps.
const (
	maxFlips    = 1000 // groups
	maxExamples = 5
	maxBases    = 20_000 // of its memory: starting points, and answers of each
	maxAnswers  = 4096
)

// Replay decides recorded requests by a candidate. It is not safe for concurrent use.
type Replay struct {
	set   *Set
	bases map[string]*base
	flips map[string]*Flip
	out   Outlook
	key   []byte
}

// base is who asks for what: all that many requests have in common, and what the candidate looks at beside it.
type base struct {
	facts   Facts
	looks   looks
	answers map[string]answered
}

type answered struct {
	outcome Outcome
	code    string
	reasons []string
}

// NewReplay begins a replay through a candidate.
func NewReplay(candidate *Set) *Replay {
	return &Replay{set: candidate, bases: map[string]*base{}, flips: map[string]*Flip{}}
}

// Add decides one recorded request again. An error is of the record, not of a policy.
func (r *Replay) Add(p Past) error {
	r.out.Events++
	was, ours := p.recorded()
	if !ours {
		r.out.Elsewhere++
		return nil
	}
	err := r.again(p, was)
	if errors.Is(err, ErrErased) {
		r.out.Lacking++
		r.out.Lacks = example(r.out.Lacks, p.Event)
		return nil
	}
	return err
}

func (r *Replay) again(p Past, was Outcome) error {
	if p.Facts == nil {
		return ErrErased
	}
	m, b, err := r.base(string(p.Facts))
	if err != nil {
		return err
	}
	now, err := r.answer(b, m, p)
	if err != nil || now.outcome == was {
		return err
	}
	before, err := p.before()
	if err != nil {
		return err
	}
	if before.Outcome != was && !(p.Code == CodeUnmeetable && before.Outcome == Ask) { // too few could approve, which the server knows
		r.out.Unexplained++
		r.out.Odd = example(r.out.Odd, p.Event)
	}
	if before.Outcome != now.outcome {
		r.flip(p, b, before, now)
	}
	return nil
}

// recorded is what policy answered; not ours is what was refused for another reason, or whatever the policies are.
func (p Past) recorded() (_ Outcome, ours bool) {
	switch p.Code {
	case "", CodeForbidden, CodePolicyError, CodeNoPermit, CodeUnmeetable:
		return p.Outcome, p.Outcome != Deny || p.Code != ""
	case "step_up_needed", "signature_needed":
		return Ask, true
	}
	return p.Outcome, false
}

// base finds what a request has in common with others.
func (r *Replay) base(facts string) (storedFacts, *base, error) {
	m, ok := takeApart(facts)
	if !ok {
		_, err := ParseFacts([]byte(facts))
		return m, nil, cmp.Or(err, errors.New("the facts have a member that a replay does not know"))
	}
	r.key = r.key[:0]
	for _, part := range [...]string{m.action, m.parents, m.principals, m.resource, m.entities} {
		r.key = append(append(r.key, part...), 0)
	}
	if b, ok := r.bases[string(r.key)]; ok {
		return m, b, nil
	}
	f, err := ParseFacts([]byte(facts))
	if err != nil {
		return m, nil, err
	}
	if len(r.bases) >= maxBases {
		clear(r.bases)
	}
	b := &base{facts: f, looks: r.set.looksAt(f), answers: map[string]answered{}}
	r.bases[string(r.key)] = b
	return m, b, nil
}

// answer is the candidate's. It is made once for all requests that differ in nothing that the candidate looks at.
func (r *Replay) answer(b *base, m storedFacts, p Past) (answered, error) {
	lifts, err := p.Inputs.Lifts()
	if err != nil {
		return answered{}, err
	}
	var args []byte
	var shape *Shape
	own := ownAction(b.facts)
	if b.looks&looksArgs != 0 || own { // the candidate's type may not admit what a service's own action was told
		if args, err = p.arguments(own); err != nil {
			return answered{}, err
		}
		if own {
			shape = r.set.ShapeOf(b.facts)
		} else if args != nil {
			if shape, err = p.Inputs.Shape(); err != nil {
				return answered{}, err
			}
		}
	}
	ip := ""
	if b.looks&looksIP != 0 {
		if ip, err = p.Inputs.IP(); err != nil {
			return answered{}, err
		}
	}
	r.key = r.key[:0]
	for _, part := range [...]struct {
		of   looks
		text string
	}{{looksActor, m.actor}, {looksAuth, m.auth}, {looksDelegation, m.delegation}, {looksNow, m.now}, {looksRisk, m.risk}, {looksIP, ip}, {looksArgs, m.open}} {
		if b.looks&part.of != 0 {
			r.key = append(append(r.key, part.text...), 0)
		}
	}
	if args != nil {
		if shape != nil {
			r.key = append(r.key, shape.digest.String()...)
		}
		r.key = append(append(r.key, args...), 0)
	}
	if a, ok := b.answers[string(r.key)]; ok && len(lifts) == 0 {
		return a, nil
	}
	f := b.facts
	if err := m.into(&f); err != nil {
		return answered{}, err
	}
	f.IP, f.Arguments = ip, args
	d := Decide(r.set, shape, f, lifts)
	a := answered{d.Outcome, d.Code, d.Reasons}
	if len(lifts) == 0 {
		if len(b.answers) >= maxAnswers {
			clear(b.answers)
		}
		b.answers[string(r.key)] = a
	}
	return a, nil
}

// into puts what differs between requests with one base into facts.
func (m storedFacts) into(f *Facts) error {
	f.Actor, f.Auth, f.Delegation, f.Now, f.Risk, f.OpenArguments = Actor{}, nil, Lent{}, 0, 0, m.open == "true"
	for _, part := range []struct {
		text string
		to   any
	}{{m.actor, &f.Actor}, {m.auth, &f.Auth}, {m.delegation, &f.Delegation}, {m.now, &f.Now}, {m.risk, &f.Risk}} {
		if part.text == "" {
			continue
		}
		if err := json.Unmarshal([]byte(part.text), part.to); err != nil {
			return err
		}
	}
	return nil
}

// before decides by the bundle of then, on everything: it says whether an answer is really another one.
func (p Past) before() (Decision, error) {
	set, err := p.Inputs.Before()
	if err != nil {
		return Decision{}, err
	}
	f, err := ParseFacts(p.Facts)
	if err != nil {
		return Decision{}, err
	}
	if f.IP, err = p.Inputs.IP(); err != nil {
		return Decision{}, err
	}
	own := ownAction(f)
	if f.Arguments, err = p.arguments(own); err != nil {
		return Decision{}, err
	}
	var shape *Shape
	if own {
		shape = set.ShapeOf(f)
	} else if f.Arguments != nil {
		if shape, err = p.Inputs.Shape(); err != nil {
			return Decision{}, err
		}
	}
	lifts, err := p.Inputs.Lifts()
	return Decide(set, shape, f, lifts), err
}

// arguments are those of a recorded decision. A service's own action is always told something, of which the log does not keep an empty object.
func (p Past) arguments(own bool) ([]byte, error) {
	args, err := p.Inputs.Arguments()
	if own && args == nil && err == nil {
		args = []byte("{}")
	}
	return args, err
}

// ownAction reports whether the action is one of a service's own types, which stand in a bundle.
func ownAction(f Facts) bool { return strings.HasPrefix(f.Action, f.Resource.Type+":") }

func (r *Replay) flip(p Past, b *base, before Decision, now answered) {
	f := Flip{Was: before.Outcome, Actor: b.facts.Principals[0].ID, Action: b.facts.Action, Code: now.code, Reasons: now.reasons}
	switch now.outcome {
	case Permit:
		f.Kind, f.Reasons = NewlyPermitted, before.Reasons
		r.out.Permitted++
	case Ask:
		f.Kind = NewlyAsking
		r.out.Asking++
	default:
		f.Kind = NewlyDenied
		r.out.Denied++
	}
	key := strings.Join(append([]string{f.Kind, string(f.Was), f.Actor, f.Action, f.Code}, f.Reasons...), "\x00")
	g := r.flips[key]
	if g == nil {
		if len(r.flips) >= maxFlips {
			r.out.Ungrouped++
			return
		}
		g = &f
		r.flips[key] = g
	}
	g.Count++
	g.Examples = example(g.Examples, p.Event)
}

func example(all []int64, event int64) []int64 {
	if len(all) < maxExamples {
		all = append(all, event)
	}
	return all
}

// Outlook is what the replay has found up to now.
func (r *Replay) Outlook() Outlook {
	out := r.out
	out.Lacks, out.Odd = slices.Concat([]int64{}, out.Lacks), slices.Concat([]int64{}, out.Odd)
	out.Flips = make([]Flip, 0, len(r.flips))
	for _, f := range r.flips {
		g := *f
		g.Reasons, g.Examples = slices.Concat([]string{}, f.Reasons), slices.Clone(f.Examples)
		out.Flips = append(out.Flips, g)
	}
	slices.SortFunc(out.Flips, func(a, b Flip) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Kind, b.Kind), strings.Compare(a.Actor, b.Actor), strings.Compare(a.Action, b.Action),
			strings.Compare(strings.Join(a.Reasons, "\x00"), strings.Join(b.Reasons, "\x00")))
	})
	return out
}
