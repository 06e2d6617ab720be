package guard

import (
	"context"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/policy"
)

// Inquiry is what a service asks of an object of its own: may this subject do that with it?
type Inquiry struct {
	Subject    policy.UID // as the service calls them
	Action     string
	Told       jsontext.Value // what the action is told: of this, its type's context counts
	Resource   policy.UID
	Properties jsontext.Value // of the resource; they count for types whose objects are not kept here
	Shown      *Shown         // what proves who acts; nil: the service says so
	Bad        error          // it cannot be asked at all: the answer says why
}

// Shown is the access token and DPoP proof that a service was shown in a request, and that request.
type Shown struct{ Token, Proof, Method, URL string }

// Finding is the answer to an Inquiry. Everything but policy.Permit does not permit.
type Finding struct {
	policy.Decision
	Remedy string
	Basis  string   // evidence.ByAssertion or ByProof
	Event  id.Event // that records it; zero for what could not be asked
}

const (
	actCheck  = "attorn:decision:check"
	actAssert = "attorn:decision:assert"
)

// Authorize answers questions in order, up to the first after which over says to stop, and records each answer: all in one transaction, so that no permit is heard of that
// is not in the log. Whoever asks needs attorn:decision:check on each resource type, and to say who acts attorn:decision:assert, too. Such a decision spends nothing;
// one by proof spends the proof and, permitted, a use at every link. An error means that nothing was decided.
func (g *Guard) Authorize(ctx context.Context, c *Caller, asked []Inquiry, over func(permit bool) bool) ([]Finding, error) {
	for _, q := range asked {
		if q.Shown != nil { // the caller's own proof is its own: what it was shown may be shown twice
			if err := g.spend(ctx, c); err != nil {
				return nil, err
			}
			break
		}
	}
	return settled(func() ([]Finding, error) {
		r, err := g.round(ctx, c)
		if err != nil {
			return nil, err
		}
		return r.all(asked, over)
	})
}

// round is one attempt to answer: everything is read after one position of the log, under one bundle.
type round struct {
	*Guard
	ctx     context.Context
	caller  *Caller
	s       *standing
	set     *policy.Set
	may     map[string]bool // what the caller was permitted
	known   map[policy.UID]*about
	shown   map[Shown]*about
	drafts  []evidence.Draft
	depends []string
	used    []id.Delegation // of the links that permits use, each as often as it is used
	nonces  []evidence.Nonce
}

func (g *Guard) round(ctx context.Context, c *Caller) (*round, error) {
	s, err := g.resolve(ctx, c)
	if err != nil {
		return nil, g.refuseAct(ctx, c, s, act{action: actCheck, noun: "workspace"}, nil, err)
	}
	set, err := g.live(ctx, c.ws)
	if err != nil {
		return nil, err
	}
	return &round{Guard: g, ctx: ctx, caller: c, s: s, set: set, may: map[string]bool{}, known: map[policy.UID]*about{}, shown: map[Shown]*about{}}, nil
}

func (r *round) all(asked []Inquiry, over func(bool) bool) ([]Finding, error) {
	answers := make([]Finding, 0, len(asked))
	for _, q := range asked {
		a, err := r.one(q)
		if err != nil {
			return nil, err
		}
		answers = append(answers, a)
		if over(a.Outcome == policy.Permit) {
			break
		}
	}
	return answers, r.record()
}

// one answers a question and drafts its event.
func (r *round) one(q Inquiry) (Finding, error) {
	if q.Bad != nil {
		return refusedAs(q.Bad), nil
	}
	if err := r.mayAsk(q.Resource.Type, q.Shown == nil); err != nil {
		return Finding{}, err
	}
	s, err := r.subject(q)
	if err != nil && !answerable(err) {
		return Finding{}, err
	}
	var a Finding
	var f policy.Facts
	if err == nil {
		a, f, err = r.judged(s, q)
		if err != nil && !answerable(err) {
			return Finding{}, err
		}
	}
	if err != nil {
		a = refusedAs(err)
	}
	if a.Basis = evidence.ByAssertion; q.Shown != nil {
		a.Basis = evidence.ByProof
	}
	a.Event = id.New[id.Event](r.s.now)
	return a, r.draft(q, s, f, a)
}

// answerable says whether an error is an answer: no.
func answerable(err error) bool {
	f := fault.Of(err)
	return f != nil && f.Kind != fault.Internal && f.Kind != fault.Unavailable
}

func refusedAs(err error) Finding {
	f := fault.Of(err)
	return Finding{Decision: policy.Decision{Outcome: policy.Deny, Code: f.Code, Message: f.Reason}, Remedy: f.Remedy}
}

// mayAsk holds the caller to what it takes to ask about a type. A refusal is recorded, and ends everything that was asked.
func (r *round) mayAsk(of string, assert bool) error {
	noun := "type"
	if r.set.Type(of) != nil {
		noun += ":" + of
	}
	needs := []string{actCheck}
	if assert {
		needs = append(needs, actAssert)
	}
	for _, need := range needs {
		if r.may[need+" "+noun] {
			continue
		}
		a := act{action: need, noun: noun}
		if _, err := r.s.covers(r.caller, need, nil); err != nil {
			return r.refuseAct(r.ctx, r.caller, r.s, a, nil, err)
		}
		q := a.question(r.caller.ws)
		f := r.facts(r.caller, r.s, q)
		if d := policy.Decide(r.set, nil, f, nil); d.Outcome != policy.Permit {
			if _, _, err := r.judge(r.ctx, r.caller, a); err != nil { // with all that a refusal is recorded with
				return err
			}
			return audit.ErrAgain
		}
		r.may[need+" "+noun] = true
	}
	return nil
}

// judged asks policy about a question.
func (r *round) judged(s *about, q Inquiry) (Finding, policy.Facts, error) {
	f, err := r.factsOf(s, q)
	if err != nil {
		return Finding{}, f, err
	}
	if s.holder != nil {
		args, err := delegation.DecodeArgs(f.Arguments)
		if err != nil {
			return Finding{}, f, err
		}
		permission := policy.PermissionOf(f.Action, f.Resource)
		if permission == "" {
			return Finding{}, f, fault.New(fault.Denied, "not_lent", "nothing that is lent covers an object whose id is no part of a permission")
		}
		if _, err := s.standing.covers(s.holder, permission, args); err != nil {
			return Finding{}, f, err
		}
	}
	return Finding{Decision: policy.Decide(r.set, r.set.ShapeOf(f), f, nil)}, f, nil
}

// factsOf is a question in policy's terms. Codes: unknown_type, unknown_action, not_found, schema.
func (r *round) factsOf(s *about, q Inquiry) (f policy.Facts, err error) {
	t := r.set.Type(q.Resource.Type)
	if t == nil {
		return f, noType(q.Resource.Type)
	}
	if _, ok := t.Actions[q.Action]; !ok {
		return f, fault.New(fault.NotFound, "unknown_action", "nobody does %.64q with a %s", q.Action, t.Name).Try("see what is done with it: attorn resource type show %s", t.Name)
	}
	objects, err := r.objects(t, q)
	if err != nil {
		return f, err
	}
	f = policy.Facts{
		Principals: s.principals, Action: t.Action(q.Action), ActionParents: policy.ActionParents(t.Action(q.Action), t.Class(q.Action)), Resource: q.Resource,
		Actor: s.actor, Delegation: s.lent, Auth: s.auth, Now: r.s.now.UnixMicro(), Entities: merge(s.entities, objects),
	}
	f.Arguments, err = t.Context(q.Action, q.Told)
	return f, err
}

// objects are the resource and what it is in.
func (r *round) objects(t *policy.Type, q Inquiry) ([]policy.Entity, error) {
	if t.Source == policy.SourceRequest {
		e, err := t.Entity(q.Resource.ID, nil, q.Properties)
		return []policy.Entity{e}, err
	}
	kept, err := r.Rules.Above(r.ctx, r.caller.ws, q.Resource)
	if err != nil {
		return nil, err
	}
	all := make([]policy.Entity, 0, len(kept))
	for _, k := range kept {
		of := r.set.Type(k.UID.Type)
		if of == nil {
			return nil, noType(k.UID.Type)
		}
		e, err := of.Entity(k.UID.ID, k.Parents, k.Attrs)
		if err != nil { // the type was changed since
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

// draft begins the event of an answer.
func (r *round) draft(q Inquiry, s *about, f policy.Facts, a Finding) error {
	who, caller := r.s, r.caller
	if s != nil && s.holder != nil {
		who, caller = s.standing, s.holder
	}
	d := who.draft(caller, evidence.DecisionMade)
	resource := evidence.Resource{Type: q.Resource.Type, ID: q.Resource.ID}
	d.ID, d.Outcome, d.Target = a.Event, evidence.Outcome(a.Outcome), evidence.ResourceID(resource)
	d.Did = &evidence.Did{Action: q.Resource.Type + ":" + q.Action, Resource: resource, Basis: a.Basis}
	switch {
	case s == nil:
	case s.holder != nil:
		d.Did.By = r.caller.Sub()
	default:
		p := s.principals[0]
		d.Did.Subject = &evidence.Resource{Type: p.Type, ID: p.ID}
		d.Person, d.Agent = s.person, s.agent
	}
	if len(f.Arguments) > len("{}") {
		if err := sealJSON(&d, &d.Did.Args, s.principals[0].ID, "args", f.Arguments); err != nil {
			return err
		}
	}
	why := &evidence.Why{AsOf: r.s.asOf, Code: a.Code}
	if a.Outcome == policy.Deny {
		why.Reason = a.Message
	}
	if f.Now != 0 && decidedByPolicy(a) {
		kept, err := evidence.FactsContent(f)
		if err != nil {
			return err
		}
		d.Content = append(d.Content, kept)
		why.Bundle, why.Facts, why.Engine = r.set.Digest(), kept.Digest, policy.Engine
		why.Reasons, why.Waived, why.Errors = a.Reasons, a.Waived, a.Errors
	}
	d.Why, d.Depends = why, nil
	if a.Outcome == policy.Permit {
		r.rest(s, f)
	}
	r.drafts = append(r.drafts, d)
	return nil
}

// decidedByPolicy tells what policy said from what never reached it.
func decidedByPolicy(a Finding) bool {
	return a.Outcome != policy.Deny || a.Code == policy.CodeForbidden || a.Code == policy.CodePolicyError || a.Code == policy.CodeNoPermit || a.Code == policy.CodeUnmeetable || a.Code == policy.CodeSchema
}

// rest notes what a permit rests on and uses.
func (r *round) rest(s *about, f policy.Facts) {
	r.depends = append(append(r.depends, r.s.depends...), s.depends...)
	for _, e := range f.Entities {
		if r.set.Type(e.UID.Type) != nil {
			r.depends = append(r.depends, evidence.ResourceID(evidence.Resource{Type: e.UID.Type, ID: e.UID.ID}))
		}
	}
	if s.holder != nil {
		for _, l := range s.standing.chain {
			r.used = append(r.used, l.ID)
		}
	}
}

// record makes all answers durable at once: the last is the event of the commit, the others come before it.
func (r *round) record() error {
	if len(r.drafts) == 0 {
		return r.spend(r.ctx, r.caller)
	}
	last := len(r.drafts) - 1
	main := r.drafts[last]
	main.Once, main.Depends = append(r.caller.nonces(), r.nonces...), r.depends
	got, err := r.Log.Record(r.ctx, main, func(tx *audit.Tx) error {
		for _, d := range r.drafts[:last] {
			d.Once, d.Details, d.Depends = nil, onlyArgs(d.Details), nil
			d.Where.IP = nil
			tx.Before(d)
		}
		return r.use(tx)
	})
	if err != nil {
		return err
	}
	if r.caller.used(&got); got.Code != "" {
		return fault.New(fault.Unauthenticated, got.Code, "%s", got.Reason).Try("%s", remedyFor(got.Code))
	}
	return nil
}

// onlyArgs leaves to the events of one request what is theirs alone: the proof is with the last.
func onlyArgs(details []evidence.Detail) (own []evidence.Detail) {
	for _, d := range details {
		if d.Field == "args" {
			own = append(own, d)
		}
	}
	return own
}

// use spends a use of every link for each permit by proof; where none is left, all is decided anew.
func (r *round) use(tx *audit.Tx) error {
	for _, s := range r.shown {
		links := make([]id.Delegation, 0, len(s.standing.chain))
		for _, l := range s.standing.chain {
			links = append(links, l.ID)
		}
		if len(links) == 0 {
			continue
		}
		n := 0
		for _, u := range r.used {
			if u == links[0] {
				n++
			}
		}
		for range n {
			if _, _, err := r.Lending.Use(tx, r.caller.ws, links); err != nil {
				if f := fault.Of(err); f != nil && f.Kind == fault.Denied {
					return audit.ErrAgain
				}
				return err
			}
		}
	}
	return nil
}
