package guard

import (
	"context"
	"errors"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/httpsig"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/policy"
)

// act is one operation of attorn's own API: what is asked of policy, and the event that records it.
type act struct {
	action   string // "attorn:<noun>:<verb>"
	noun     string // names the resource: "agent:agt_…", "workspace"
	attrs    map[string]any
	look     func(*standing, *act) error // reads, after the snapshot, whose the thing is: attrs, and what the decision rests on by that
	kind     evidence.Kind
	target   string
	what     *evidence.What
	content  []evidence.Content
	cause    id.Event // what led to it
	also     []id.Workspace
	gives    func() ([]string, error)                    // grants, and groups that policy names: what their holders may do, somebody may do by it; nil: none. Read after the snapshot
	lasts    func() time.Time                            // gives: to when; zero: for ever; nil: as long as the caller has it
	frees    func(*policy.Set) ([]policy.Holding, error) // denials that hold somebody no more by it; nil: none. Read after the snapshot
	depends  []string                                    // what else it rests on
	needs    []string                                    // what it takes beside action, on the same resource
	personal func(*evidence.Draft) error                 // puts sealed values into the draft
	strict   bool                                        // gives counts whatever the caller may escalate
	own      bool                                        // of the caller's own account, or taking back what is theirs: who was recovered may do it at once
}

// question is the act in policy's terms.
func (a act) question(ws id.Workspace) question {
	workspace := policy.UID{Type: "Workspace", ID: ws.String()}
	return question{
		action:   a.action,
		resource: policy.Entity{UID: policy.UID{Type: "Noun", ID: a.noun}, Parents: []policy.UID{workspace}, Attrs: a.attrs},
		more:     []policy.Entity{{UID: workspace}},
	}
}

// do decides an act for c, by the same rules as a tool's call, and records it together with its change. Codes: those of the refusal.
func (g *Guard) do(ctx context.Context, c *Caller, a act, change func(*audit.Tx) error) (evidence.Receipt, error) {
	return settled(func() (evidence.Receipt, error) { return g.try(ctx, c, a, change) })
}

func (g *Guard) try(ctx context.Context, c *Caller, a act, change func(*audit.Tx) error) (evidence.Receipt, error) {
	s, ans, err := g.judge(ctx, c, a)
	if err != nil {
		return evidence.Receipt{}, err
	}
	if err := s.person.Settled(s.now); err != nil && c.agent.IsZero() && !a.own {
		return evidence.Receipt{}, g.refuseAct(ctx, c, s, a, nil, err)
	}
	d := s.draft(c, a.kind)
	d.Outcome, d.Target, d.What, d.Also, d.Cause = evidence.OK, a.target, a.what, a.also, a.cause
	d.Did = &evidence.Did{Action: a.action, Resource: evidence.Resource{Type: "Noun", ID: a.noun}}
	d.Why = ans.why(s.asOf)
	d.Content = append(append(d.Content, ans.kept), a.content...)
	d.Depends = append(d.Depends[:len(d.Depends):len(d.Depends)], a.depends...)
	if a.personal != nil {
		if err := a.personal(&d); err != nil {
			return evidence.Receipt{}, err
		}
	}
	change = g.whileSignedIn(c, change)
	if c.dry {
		change = undone(change)
	}
	got, err := g.Log.Record(ctx, d, change)
	if errors.Is(err, errRehearsed) {
		return evidence.Receipt{Outcome: evidence.OK}, nil
	}
	if fault.Of(err) != nil { // permitted, but the state does not allow it
		return got, g.refuseAct(ctx, c, s, a, nil, err)
	}
	if err != nil {
		return got, err
	}
	c.used(&got)
	if got.Outcome == evidence.Deny {
		return got, fault.New(fault.Denied, got.Code, "%s", got.Reason).Try("%s", remedyFor(got.Code))
	}
	return got, nil
}

// errRehearsed undoes what was only tried.
var errRehearsed = errors.New("rehearsed: nothing was changed")

func undone(change func(*audit.Tx) error) func(*audit.Tx) error {
	return func(tx *audit.Tx) error {
		if err := change(tx); err != nil {
			return err
		}
		return errRehearsed
	}
}

// judge resolves the caller and decides; a refusal is recorded and comes back as a fault.
func (g *Guard) judge(ctx context.Context, c *Caller, a act) (*standing, *answer, error) {
	s, err := g.resolve(ctx, c)
	if err != nil {
		return nil, nil, g.refuseAct(ctx, c, s, a, nil, err)
	}
	if _, err := s.covers(c, a.action, nil); err != nil {
		return nil, nil, g.refuseAct(ctx, c, s, a, nil, err)
	}
	if a.look != nil {
		if err := a.look(s, &a); err != nil {
			return nil, nil, g.refuseAct(ctx, c, s, a, nil, err)
		}
	}
	ans, err := g.decide(ctx, c, s, a.question(c.ws), nil)
	if err != nil {
		return nil, nil, err
	}
	if ans.Outcome != policy.Permit {
		return nil, nil, g.refuseAct(ctx, c, s, a, ans, ans.refusal())
	}
	for _, need := range a.needs {
		more := a
		more.action, more.needs, more.gives, more.frees, more.lasts = need, nil, nil, nil, nil
		if _, _, err := g.judge(ctx, c, more); err != nil {
			return nil, nil, err
		}
	}
	if a.gives == nil && a.frees == nil {
		return s, ans, nil
	}
	return s, ans, g.mayGive(ctx, c, s, a, ans.set)
}

// mayGive refuses an act by which somebody would have more than the caller has. Code: escalation.
func (g *Guard) mayGive(ctx context.Context, c *Caller, s *standing, a act, set *policy.Set) error {
	escalation, err := g.escalates(ctx, c.ws, s, a, set)
	if err != nil || escalation == nil {
		return err
	}
	if a.strict {
		return g.refuseAct(ctx, c, s, a, nil, escalation)
	}
	more := a
	more.action, more.needs, more.gives, more.frees, more.lasts = "attorn:role:escalate", nil, nil, nil, nil
	_, _, err = g.judge(ctx, c, more)
	if f := fault.Of(err); f != nil && f.Kind == fault.Denied {
		err = escalation
	}
	return err
}

// refuseAct records that authority was attempted and refused, and gives the refusal back.
func (g *Guard) refuseAct(ctx context.Context, c *Caller, s *standing, a act, ans *answer, cause error) error {
	if s == nil { // refused before it was looked who asks: who may not act at all is told that, and nothing else
		var stopped error
		if s, stopped = g.resolve(ctx, c); stopped != nil {
			cause = stopped
		}
	}
	f := fault.Of(cause)
	if s == nil || f == nil || f.Kind == fault.Internal || f.Kind == fault.Unavailable || c.dry {
		return cause
	}
	d := s.draft(c, evidence.DecisionMade)
	d.Outcome, d.Target, d.Depends = evidence.Deny, a.target, nil
	d.Did = &evidence.Did{Action: a.action, Resource: evidence.Resource{Type: "Noun", ID: a.noun}}
	why := &evidence.Why{}
	if ans != nil && ans.kept.Body != nil {
		why = ans.why(s.asOf)
		d.Content = append(d.Content, ans.kept)
	}
	why.Code, why.Reason = f.Code, f.Reason
	d.Why = why
	got, err := g.Log.Record(ctx, d, nil)
	if err != nil {
		return err
	}
	c.used(&got)
	if got.Code != "" {
		return fault.New(fault.Unauthenticated, got.Code, "%s", got.Reason).Try("%s", remedyFor(got.Code))
	}
	return cause
}

// May decides whether c may read something of attorn's own, and spends the proof. A refusal is recorded; a permit to read is not.
func (g *Guard) May(ctx context.Context, c *Caller, action, noun string) error {
	return g.may(ctx, c, act{action: action, noun: noun})
}

func (g *Guard) may(ctx context.Context, c *Caller, a act) error {
	if _, _, err := g.judge(ctx, c, a); err != nil {
		return err
	}
	return g.spend(ctx, c)
}

// spend uses the proof up without an event.
func (g *Guard) spend(ctx context.Context, c *Caller) error {
	once := c.nonces()
	if len(once) == 0 {
		return nil
	}
	if err := g.Log.Once(ctx, once); err != nil {
		if fault.Code(err) == "replayed" && once[0].Kind == seenSignature {
			err = httpsig.Replayed()
		}
		return err
	}
	c.spent.Store(true)
	return nil
}

// Self proves that the caller may act at all, for what everybody may ask about themselves, and spends the proof.
func (g *Guard) Self(ctx context.Context, c *Caller) error {
	if _, err := g.resolve(ctx, c); err != nil {
		return err
	}
	return g.spend(ctx, c)
}
