package guard

import (
	"context"
	"slices"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/approvals"
	"github.com/attorn/attorn/policy"
)

// question is what policy is asked, in one place for tools and for attorn's own API.
type question struct {
	action    string
	class     string // of a tool
	resource  policy.Entity
	more      []policy.Entity // what the resource is in
	arguments []byte          // RFC 8785; nil where the action has none
	shape     *policy.Shape   // of the arguments of a tool; nil for what is none
	open      bool            // the tool takes others too
}

// answer is policy's decision with all that evidence needs to decide again.
type answer struct {
	policy.Decision
	set   *policy.Set
	shape *policy.Shape
	facts policy.Facts
	kept  evidence.Content // of facts, without what is personal
	lifts []lift
	asks  []ask         // what is still to be approved
	used  []ask         // what was approved
	lost  []id.Approval // of those, what no longer lifts its gate
	rests []string      // the groups of their voters

	remedy string // of a denial, where policy knows none
}

// lift is an approval that lets the call through a gate.
type lift struct {
	policy.Lift
	approval approvals.Approval
	ref      evidence.ApprovalRef
}

// ask is an approval that the call still needs.
type ask struct {
	obligation policy.Obligation
	object     evidence.Approval
	raw        []byte
	digest     id.Digest
	pending    *approvals.Approval // an identical one that waits already
}

// decide asks policy (authority.md §5, steps 4 to 6). bind makes the object that an approval of this call is for; nil where approvals do not
// apply.
func (g *Guard) decide(ctx context.Context, c *Caller, s *standing, q question, bind func(policy.Obligation) evidence.Approval) (*answer, error) {
	live, err := g.Rules.Live(ctx, c.ws)
	if err != nil {
		return nil, err
	}
	set, err := g.Rules.Load(ctx, c.ws, live)
	if err != nil {
		return nil, err
	}
	a := &answer{set: set, shape: q.shape, facts: policy.Facts{
		Principals: s.principals, Action: q.action, ActionParents: policy.ActionParents(q.action, q.class), Resource: q.resource.UID,
		Arguments: q.arguments, OpenArguments: q.open, Actor: s.actor, Delegation: s.lent(), Auth: s.auth(c), Now: s.now.UnixMicro(), IP: c.ip,
	}}
	a.facts.Entities = merge(s.entities, append([]policy.Entity{q.resource}, q.more...))
	a.Decision = policy.Decide(set, a.shape, a.facts, nil)
	if a.Outcome == policy.Ask {
		if err := g.approvals(ctx, c, a, bind); err != nil {
			return nil, err
		}
	}
	if a.kept, err = evidence.FactsContent(a.facts); err != nil {
		a.Decision = policy.Decision{Outcome: policy.Deny, Code: fault.Code(err), Message: err.Error()}
	}
	return a, nil
}

// approvals looks for what lifts the gates that asked, and decides again with it. Voters' roles are read now: who may no longer vote does
// not count.
func (g *Guard) approvals(ctx context.Context, c *Caller, a *answer, bind func(policy.Obligation) evidence.Approval) error {
	if i := slices.IndexFunc(a.Obligations, func(o policy.Obligation) bool { return o.Kind == policy.KindStepUp }); bind == nil && i >= 0 {
		f := fault.Of(stepUp(c, a.Obligations[i]))
		a.Decision.Outcome, a.Decision.Code, a.Message, a.remedy = policy.Deny, f.Code, f.Reason, f.Remedy
		return nil
	}
	if bind == nil {
		a.Decision.Outcome, a.Decision.Code = policy.Deny, "unmeetable"
		a.Message = "a policy asks for approval of an act that cannot wait for one"
		return nil
	}
	for _, o := range a.Obligations {
		if o.Kind != policy.KindApprove {
			continue
		}
		object := bind(o)
		raw, err := object.Bytes()
		if err != nil {
			return err
		}
		wanted := ask{obligation: o, object: object, raw: raw, digest: id.Sum(raw)}
		found, ok, err := g.Approvals.ByDigest(ctx, c.ws, wanted.digest, g.Now())
		if err != nil {
			return err
		}
		if ok && found.Status == approvals.Approved {
			l, err := g.lift(ctx, c.ws, found, o.Gate)
			if err != nil {
				return err
			}
			if err := g.addVoters(ctx, c.ws, a, l); err != nil {
				return err
			}
			a.lifts = append(a.lifts, l)
			wanted.pending = &found
			a.used = append(a.used, wanted)
			continue
		}
		if ok {
			wanted.pending = &found
		}
		if err := g.meetable(ctx, c.ws, a, o); err != nil {
			return err
		}
		if a.Outcome == policy.Deny {
			return nil
		}
		a.asks = append(a.asks, wanted)
	}
	if len(a.lifts) > 0 {
		lifts := make([]policy.Lift, len(a.lifts))
		for i, l := range a.lifts {
			lifts[i] = l.Lift
		}
		a.Decision = policy.Decide(a.set, a.shape, a.facts, lifts)
		for _, u := range a.used { // approved, but too few of its voters may still vote: it lifts nothing any more
			if a.Outcome == policy.Ask && slices.ContainsFunc(a.Obligations, func(o policy.Obligation) bool { return o.Gate == u.obligation.Gate }) {
				a.lost = append(a.lost, u.pending.ID)
			}
		}
	}
	return nil
}

// lift reads the votes of an approval.
func (g *Guard) lift(ctx context.Context, ws id.Workspace, found approvals.Approval, gate string) (lift, error) {
	votes, err := g.Approvals.Votes(ctx, ws, found.ID)
	if err != nil {
		return lift{}, err
	}
	l := lift{Lift: policy.Lift{Gate: gate, Approval: found.ID}, approval: found, ref: evidence.ApprovalRef{ID: found.ID, Ask: found.Digest}}
	for _, v := range votes {
		if v.Vote.Vote != evidence.Approve {
			continue
		}
		l.Voters = append(l.Voters, policy.UID{Type: policy.TypeUser, ID: v.Vote.Voter.String()})
		l.ref.Votes = append(l.ref.Votes, id.Sum([]byte(v.String())))
	}
	return l, nil
}

// addVoters adds those voters to the facts who may still vote: the others count for nothing.
func (g *Guard) addVoters(ctx context.Context, ws id.Workspace, a *answer, l lift) error {
	var able []string
	for _, v := range l.Voters {
		voter, err := id.Parse[id.User](v.ID)
		if err == nil {
			err = g.eligible(ctx, ws, voter, l.approval)
		}
		if err == nil {
			err = g.untied(ctx, voter, able) // of two who count as one, the first counts
		}
		if err == nil {
			able = append(able, v.ID)
		} else if f := fault.Of(err); f == nil || f.Kind == fault.Internal || f.Kind == fault.Unavailable {
			return err
		}
	}
	found, groups, err := g.known(ctx, ws, a.now(), able...)
	a.facts.Entities, a.rests = merge(a.facts.Entities, found), append(a.rests, groups...)
	return err
}

// meetable turns an ask into a denial where fewer people could vote than must.
func (g *Guard) meetable(ctx context.Context, ws id.Workspace, a *answer, o policy.Obligation) error {
	holders, err := g.holders(ctx, ws, a.now(), a.set.Heirs(o.Role)...)
	if err != nil {
		return err
	}
	candidates, _, err := g.known(ctx, ws, a.now(), holders...)
	if err != nil {
		return err
	}
	if policy.Unmeetable(a.set, o, candidates, a.facts.Excluded()) {
		a.Decision.Outcome, a.Decision.Code = policy.Deny, "unmeetable"
		a.Message = "policy " + o.Gate + " asks for approval by " + o.Flow + ", and too few people hold that role who are not on the chain"
	}
	return nil
}

// now is the time that it was decided for.
func (a *answer) now() time.Time { return time.UnixMicro(a.facts.Now) }

// merge adds entities that are not there yet.
func merge(have, more []policy.Entity) []policy.Entity {
	known := map[policy.UID]bool{}
	all := make([]policy.Entity, 0, len(have)+len(more))
	for _, e := range append(append([]policy.Entity{}, have...), more...) {
		if !known[e.UID] {
			known[e.UID] = true
			all = append(all, e)
		}
	}
	return all
}

// why is the decision as the event keeps it.
func (a *answer) why(asOf int64) *evidence.Why {
	return &evidence.Why{
		Code: a.Code, Bundle: a.set.Digest(), Facts: a.kept.Digest, AsOf: asOf,
		Reasons: a.Reasons, Waived: a.Waived, Errors: a.Errors, Engine: policy.Engine,
	}
}
