package guard

import (
	"context"
	"strings"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/approvals"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/keyring"
	"github.com/attorn/attorn/internal/tickets"
	"github.com/attorn/attorn/policy"
)

// voteLife is how long a statement of a vote may be signed and sent.
const voteLife = 5 * time.Minute

// ProposeVote makes the statement that the caller signs to vote on an approval. Its nonce is good once.
func (g *Guard) ProposeVote(ctx context.Context, c *Caller, a id.Approval, choice, reason string) (evidence.Vote, error) {
	found, err := g.approvalFor(ctx, c, a)
	if err != nil {
		return evidence.Vote{}, err
	}
	var nonce string
	err = g.quietly(ctx, c, func(tx *audit.Tx) (err error) {
		nonce, err = g.Tickets.Issue(tx, tickets.Ticket{Kind: tickets.Challenge, Workspace: c.ws, Subject: c.Sub(), Body: "vote " + a.String()}, voteLife)
		return err
	})
	if err != nil {
		return evidence.Vote{}, err
	}
	now := g.Now().Unix()
	v := evidence.Vote{
		V: 1, Typ: "attorn-vote", Issuer: g.Issuer, Workspace: c.ws, Asks: []evidence.Asked{{ID: a, Stage: found.Role, Object: found.Digest}},
		Vote: choice, Reuse: evidence.ReuseOnce, Voter: c.person, Reason: reason, At: now, ExpiresAt: now + int64(voteLife/time.Second), Nonce: nonce,
	}
	return v, v.Check()
}

// approvalFor reads an approval for somebody who may see it: who asks, for whom, and people who could vote.
func (g *Guard) approvalFor(ctx context.Context, c *Caller, a id.Approval) (approvals.Approval, error) {
	found, err := g.Approvals.Get(ctx, c.ws, a)
	if err != nil && fault.Code(err) != "not_found" {
		return found, err
	}
	if err == nil && (found.Object.Actor == c.Sub() || found.Object.Subject == c.person && !c.person.IsZero() || g.eligible(ctx, c.ws, c.person, found) == nil) {
		return found, g.Self(ctx, c)
	}
	leave := g.May(ctx, c, "attorn:approval:read", "approval:"+a.String())
	if f := fault.Of(leave); f != nil && f.Kind == fault.Denied {
		leave = fault.New(fault.NotFound, "not_found", "there is no such approval").Try("see what waits: attorn approval ls")
	}
	if leave != nil {
		return approvals.Approval{}, leave
	}
	return found, err
}

// Approval reads one approval. Code: not_found also for who may not see it.
func (g *Guard) Approval(ctx context.Context, c *Caller, a id.Approval) (approvals.Approval, error) {
	return g.approvalFor(ctx, c, a)
}

// Await is how an approval that Approval read stands as soon as it is decided, or as it was read last when ctx ends.
func (g *Guard) Await(ctx context.Context, c *Caller, found approvals.Approval) (approvals.Approval, error) {
	return g.attended(ctx, c, found)
}

// ApprovalURL is the page where people vote.
func (g *Guard) ApprovalURL(a id.Approval) string { return g.Issuer + "/approvals/" + a.String() }

// ListApprovals lists those with a status.
func (g *Guard) ListApprovals(ctx context.Context, c *Caller, status approvals.Status, before id.Approval, limit int) ([]approvals.Approval, error) {
	all, err := g.Approvals.List(ctx, c.ws, status, before, limit)
	if err != nil {
		return nil, err
	}
	if c.agent.IsZero() { // a person sees what they could vote on without further leave
		mine := all[:0:0]
		for _, a := range all {
			if a.Object.Subject == c.person || g.eligible(ctx, c.ws, c.person, a) == nil {
				mine = append(mine, a)
			}
		}
		if len(mine) == len(all) {
			return all, g.Self(ctx, c)
		}
		err := g.May(ctx, c, "attorn:approval:read", "workspace")
		if f := fault.Of(err); f != nil && f.Kind == fault.Denied {
			return mine, nil
		}
		return all, err
	}
	return all, g.May(ctx, c, "attorn:approval:read", "workspace")
}

// eligible says whether a person may vote on an approval now (authority.md §5, step 5).
func (g *Guard) eligible(ctx context.Context, ws id.Workspace, voter id.User, a approvals.Approval) error {
	if voter.IsZero() {
		return fault.New(fault.Denied, "four_eyes", "only a person may vote")
	}
	p, err := g.People.Person(ctx, ws, voter)
	if err != nil {
		return err
	}
	if err := p.Live(); err != nil {
		return err
	}
	if err := p.Settled(g.Now()); err != nil {
		return err
	}
	if err := g.untied(ctx, voter, a.Excluded); err != nil {
		return err
	}
	found, _, err := g.known(ctx, ws, g.Now(), voter.String())
	if err != nil {
		return err
	}
	live, err := g.Rules.Live(ctx, ws)
	if err != nil {
		return err
	}
	set, err := g.Rules.Load(ctx, ws, live)
	if err != nil {
		return err
	}
	o := policy.Obligation{Gate: a.Object.Gate, GateSHA256: a.Object.GateSHA256, Kind: policy.KindApprove, Flow: a.Object.Flow, Quorum: a.Quorum, Role: a.Role}
	excluded := make([]policy.UID, 0, 2*len(a.Excluded))
	for _, x := range a.Excluded {
		excluded = append(excluded, policy.UID{Type: policy.TypeUser, ID: x}, policy.UID{Type: policy.TypeAgent, ID: x})
	}
	if err := policy.Eligible(set, o, found[0], excluded); err != nil {
		return err
	}
	name, segment, _ := strings.Cut(a.Object.Resource.ID, ":")
	server, err := g.Catalog.Server(ctx, ws, name)
	if err != nil {
		return err
	}
	q := toolQuestion(server, Call{Server: name, Tool: segment, Pin: a.Object.Pin, Action: "attorn:approval:vote"})
	d := policy.Decide(set, nil, policy.Facts{
		Principals: []policy.UID{found[0].UID}, Action: q.action, ActionParents: policy.ActionParents(q.action, ""), Resource: q.resource.UID,
		Now: g.Now().UnixMicro(), Entities: merge(found, append(q.more, q.resource)),
	}, nil)
	if d.Code == policy.CodeForbidden || d.Code == policy.CodePolicyError { // the role permits; a written policy may still forbid
		return fault.New(fault.Denied, "not_eligible", "%s", d.Message)
	}
	return nil
}

// Vote counts a signed vote: the nonce once, the signature, the voter's right to vote now, all in the transaction that counts it.
func (g *Guard) Vote(ctx context.Context, c *Caller, a id.Approval, sv evidence.SignedVote) (after approvals.Approval, got evidence.Receipt, err error) {
	after, err = settled(func() (found approvals.Approval, err error) {
		found, got, err = g.vote(ctx, c, a, sv)
		return found, err
	})
	return after, got, err
}

func (g *Guard) vote(ctx context.Context, c *Caller, a id.Approval, sv evidence.SignedVote) (approvals.Approval, evidence.Receipt, error) {
	op := act{action: "attorn:approval:vote", noun: "approval:" + a.String(), kind: evidence.ApprovalVoted, target: a.String(), what: &evidence.What{Approval: a, Status: sv.Vote.Vote}}
	s, err := g.resolve(ctx, c)
	if err != nil {
		return approvals.Approval{}, evidence.Receipt{}, g.refuseAct(ctx, c, s, op, nil, err)
	}
	found, key, err := g.admitVote(ctx, c, a, sv)
	if err != nil {
		return found, evidence.Receipt{}, g.refuseAct(ctx, c, s, op, nil, err)
	}
	d := s.draft(c, evidence.ApprovalVoted)
	d.Outcome, d.Target, d.What = evidence.OK, op.target, &evidence.What{Approval: a, Ask: found.Digest, Status: sv.Vote.Vote}
	d.Thread, d.Cause = found.Asked, found.Asked
	d.Did = &evidence.Did{Action: op.action, Resource: evidence.Resource{Type: "Noun", ID: op.noun}}
	d.Why = &evidence.Why{AsOf: s.asOf}
	var after approvals.Approval
	got, err := g.Log.Record(ctx, d, g.whileSignedIn(c, func(tx *audit.Tx) error {
		t, err := g.Tickets.Spend(tx, tickets.Challenge, sv.Vote.Nonce)
		if err != nil {
			return err
		}
		if t.Subject != c.Sub() || t.Body != "vote "+a.String() {
			tx.Refuse("vote_invalid", "the vote was made for another person or approval") // and its nonce stays spent
			return nil
		}
		own, err := g.Ring.CurrentIn(tx, keyring.ForTokens)
		if err != nil {
			return err
		}
		ballot, err := evidence.Count(sv, key, tx.Now(), tx.Rev(), own.Signer())
		if err != nil {
			return err
		}
		if after, err = g.Approvals.Vote(tx, c.ws, a, ballot, true); err != nil {
			return err
		}
		doc := evidence.ContentOf([]byte(ballot.String()))
		tx.Keep(doc)
		what := *tx.Event().What
		what.Vote, what.Status = doc.Digest, string(after.Status)
		tx.Event().What = &what
		return nil
	}))
	if f := fault.Of(err); f != nil && f.Kind != fault.Unavailable {
		return found, got, g.refuseAct(ctx, c, s, op, nil, err)
	}
	if err != nil {
		return found, got, err
	}
	c.used(&got)
	if got.Outcome == evidence.Deny {
		return found, got, fault.New(fault.Denied, got.Code, "%s", got.Reason).Try("%s", remedyFor(got.Code))
	}
	return after, got, nil
}

func (g *Guard) admitVote(ctx context.Context, c *Caller, a id.Approval, sv evidence.SignedVote) (approvals.Approval, delegation.DelegatorKey, error) {
	var key delegation.DelegatorKey
	found, err := g.Approvals.Get(ctx, c.ws, a)
	if err != nil {
		return found, key, err
	}
	if c.person.IsZero() || !c.agent.IsZero() || sv.Vote.Voter != c.person {
		return found, key, fault.New(fault.Denied, "four_eyes", "a vote is cast by the person who signed it, not through an agent")
	}
	if err := g.eligible(ctx, c.ws, c.person, found); err != nil {
		return found, key, err
	}
	if err := g.onlyEyes(ctx, c.ws, c.person, found); err != nil {
		return found, key, err
	}
	key, err = g.signatureKey(ctx, c.person, sv.Signature)
	if err != nil {
		return found, key, err
	}
	return found, key, sv.Verify(key)
}

// Cancel withdraws an approval of the caller's own.
func (g *Guard) Cancel(ctx context.Context, c *Caller, a id.Approval) error {
	found, err := g.Approvals.Get(ctx, c.ws, a)
	op := act{action: "attorn:approval:cancel", noun: "approval:" + a.String(), kind: evidence.ApprovalCancelled, target: a.String(), what: &evidence.What{Approval: a}}
	if err != nil {
		return g.refuseAct(ctx, c, nil, op, nil, err)
	}
	op.attrs, op.own = map[string]any{"requester": policy.UID{Type: policy.TypeAgent, ID: found.Object.Actor}}, found.Object.Subject == c.person
	if !found.Object.Subject.IsZero() {
		op.attrs["subject"] = policy.UID{Type: policy.TypeUser, ID: found.Object.Subject.String()}
	}
	_, err = g.do(ctx, c, op, func(tx *audit.Tx) error { return g.Approvals.Cancel(tx, c.ws, a, c.Sub()) })
	return err
}

// quietly stores a single-use value that the caller is about to use: it permits nothing by itself, so it needs no event of its own but the one
// that spends it.
func (g *Guard) quietly(ctx context.Context, c *Caller, change func(*audit.Tx) error) error {
	d := evidence.Draft{Workspace: c.ws, Person: c.person, Agent: c.agent, Target: c.Sub(), Once: c.nonces()}
	d.Kind, d.Outcome, d.Who = evidence.DecisionMade, evidence.OK, evidence.Who{Sub: c.Sub(), Instance: c.instance}
	d.Where = c.where()
	d.Did = &evidence.Did{Action: "attorn:challenge:ask", Resource: evidence.Resource{Type: "Noun", ID: "challenge"}}
	got, err := g.Log.Record(ctx, d, g.whileSignedIn(c, change))
	if err != nil {
		return err
	}
	c.used(&got)
	if got.Outcome == evidence.Deny {
		return fault.New(fault.Unauthenticated, got.Code, "%s", got.Reason)
	}
	return nil
}
