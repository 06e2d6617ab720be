package guard

import (
	"context"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/tickets"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/policy"
)

func owned(owner id.User) map[string]any {
	if owner.IsZero() {
		return nil
	}
	return map[string]any{"owner": policy.UID{Type: policy.TypeUser, ID: owner.String()}}
}

// agentAct is an act on an agent of the workspace; whose it is stands in its attributes.
func (g *Guard) agentAct(ctx context.Context, c *Caller, agent id.Agent, verb string, kind evidence.Kind) (act, error) {
	a := act{action: "attorn:agent:" + verb, noun: "agent:" + agent.String(), kind: kind, target: agent.String(), what: &evidence.What{Agent: agent}}
	if _, err := g.Agents.Agent(ctx, c.ws, agent); err != nil {
		return a, g.refuseAct(ctx, c, nil, a, nil, err)
	}
	a.look = func(s *standing, a *act) error {
		found, err := g.Agents.Agent(ctx, c.ws, agent)
		a.attrs = owned(found.Owner)
		s.ownsNow(c, found)
		return err
	}
	return a, nil
}

// enrolAct is agentAct for what gives the agent a key. Code: app_instance.
func (g *Guard) enrolAct(ctx context.Context, c *Caller, agent id.Agent, verb string, kind evidence.Kind) (act, error) {
	a, err := g.agentAct(ctx, c, agent, verb, kind)
	if err != nil {
		return a, err
	}
	if err := g.takesKeys(ctx, c.ws, agent); err != nil {
		return a, g.refuseAct(ctx, c, nil, a, nil, err)
	}
	return a, nil
}

// ownsNow makes what an owner does rest on the agent: who may because it is theirs may no longer when it is not. Nobody else waits for what they do to it.
func (s *standing) ownsNow(c *Caller, a agents.Agent) {
	if a.Owner == c.person && !a.Owner.IsZero() {
		s.depends = append(s.depends, a.ID.String())
	}
}

// OfferEnrolment makes a one-time token that enrols one instance of the agent. It may be pending or suspended: whether it may act is asked when the token is
// spent. Codes: wrong_state for an agent that has ended, app_instance.
func (g *Guard) OfferEnrolment(ctx context.Context, c *Caller, agent id.Agent) (secret string, life time.Duration, err error) {
	a, err := g.enrolAct(ctx, c, agent, "enrol", evidence.AgentChanged)
	if err != nil {
		return "", 0, err
	}
	a.kind, a.what = evidence.DecisionMade, nil // nothing about the agent changed yet
	life = time.Hour
	_, err = g.do(ctx, c, a, func(tx *audit.Tx) (err error) {
		if err := g.Agents.NotEnded(tx, c.ws, agent); err != nil {
			return err
		}
		secret, err = g.Tickets.Issue(tx, tickets.Ticket{Kind: tickets.Enrol, Workspace: c.ws, Subject: agent.String(), Body: tx.Event().ID.String()}, life)
		return err
	})
	return secret, life, err
}

// Enrol makes a key an instance, by a one-time token and a proof of possession. The token is spent even when the rest fails.
func (g *Guard) Enrol(ctx context.Context, secret string, cr Credentials) (agents.Agent, agents.Instance, error) {
	key, once, raw, err := g.AuthenticateKey(cr)
	if err != nil {
		return agents.Agent{}, agents.Instance{}, err
	}
	t, refusal, err := g.opens(ctx, tickets.Enrol, secret, key.Thumbprint())
	if err != nil {
		return agents.Agent{}, agents.Instance{}, err
	}
	if t.Workspace.IsZero() {
		d := keyDraft(id.Server, key, once, raw, cr, evidence.TokenRefused)
		return agents.Agent{}, agents.Instance{}, g.refuseSecret(ctx, tickets.Enrol, secret, t, d, refusal)
	}
	agent, err := id.Parse[id.Agent](t.Subject)
	if err != nil {
		return agents.Agent{}, agents.Instance{}, err
	}
	d := keyDraft(t.Workspace, key, once, raw, cr, evidence.InstanceEnrolled)
	if d.Cause, err = id.Parse[id.Event](t.Body); err != nil {
		return agents.Agent{}, agents.Instance{}, err
	}
	d.Agent, d.Who.Sub, d.Who.Instance = agent, agent.String(), key.Thumbprint()
	d.What = &evidence.What{Agent: agent, Instance: key.Thumbprint(), Key: &key, Status: string(agents.Enrolled)}
	if refusal != nil {
		err := g.refuseSecret(ctx, tickets.Enrol, secret, t, d, refusal)
		if f := fault.Of(err); f != nil && f.Code == fault.Code(refusal) {
			err = fault.New(fault.Denied, f.Code, "%s", f.Reason).Try("ask for a new enrolment token, and enrol a new key")
		}
		return agents.Agent{}, agents.Instance{}, err
	}
	if err := g.stillOffers(ctx, t.Workspace, d.Cause); err != nil {
		return agents.Agent{}, agents.Instance{}, err
	}
	var made agents.Instance
	got, err := g.Log.Record(ctx, d, func(tx *audit.Tx) error {
		if _, err := g.Tickets.Spend(tx, tickets.Enrol, secret); err != nil {
			tx.Refuse(fault.Code(err), err.Error())
			return keepable(err)
		}
		held, err := g.People.Known(tx, key.Thumbprint())
		if err != nil {
			return err
		}
		made, err = g.Agents.Enrol(tx, agents.NewInstance{Workspace: t.Workspace, Agent: agent, JWK: key, Trust: agents.Enrolled, Held: held})
		if err != nil {
			tx.Refuse(fault.Code(err), err.Error())
			return keepable(err)
		}
		return nil
	})
	if err != nil {
		return agents.Agent{}, made, err
	}
	if got.Outcome == evidence.Deny {
		return agents.Agent{}, made, fault.New(fault.Denied, got.Code, "%s", got.Reason).Try("ask for a new enrolment token, and enrol a new key")
	}
	found, err := g.Agents.Agent(ctx, t.Workspace, agent)
	return found, made, err
}

// stillOffers refuses an enrolment that was offered by a person who may not act any more, or has left.
func (g *Guard) stillOffers(ctx context.Context, ws id.Workspace, offer id.Event) error {
	e, err := g.Log.Event(ctx, ws, offer)
	if err != nil {
		return err
	}
	by, err := id.Parse[id.User](e.Who.Sub)
	if err != nil { // an agent's own offer, which its agent answers for
		return nil
	}
	p, err := g.People.Person(ctx, ws, by)
	if err == nil {
		err = p.Live()
	}
	if f := fault.Of(err); f != nil && f.Kind != fault.Unavailable {
		return fault.New(fault.Unauthenticated, "ticket_unknown", "whoever offered this enrolment may no longer do so").Try("ask the agent's owner for a new enrolment token")
	}
	return err
}

// keepable is nil for a refusal, which keeps what was spent, and the error itself for a failure of the store.
func keepable(err error) error {
	if f := fault.Of(err); f != nil && f.Kind != fault.Internal && f.Kind != fault.Unavailable {
		return nil
	}
	return err
}

// keyDraft begins the event of somebody who is known by nothing but a key and a one-time secret.
func keyDraft(ws id.Workspace, key jose.PublicKey, once []evidence.Nonce, raw []byte, cr Credentials, kind evidence.Kind) evidence.Draft {
	d := evidence.Draft{Workspace: ws, Once: once, Target: key.Thumbprint().String()}
	d.Kind, d.Outcome, d.Where = kind, evidence.OK, evidence.Where{Face: cr.Face}
	d.Who.Proof = &evidence.ProofRef{Type: "dpop", SHA256: id.Sum(raw)}
	d.Details = []evidence.Detail{{Field: "proof", Subject: key.Thumbprint().String(), Disclosure: raw}}
	return d
}

// FindAgent reads an agent by id or name: any member may, to know whom to lend to, and any agent itself or whom it lends to.
func (g *Guard) FindAgent(ctx context.Context, c *Caller, text string) (agents.Agent, error) {
	if err := g.Self(ctx, c); err != nil {
		return agents.Agent{}, err
	}
	return g.Agents.Find(ctx, c.ws, text)
}

// Instances lists an agent's instances.
func (g *Guard) Instances(ctx context.Context, c *Caller, agent id.Agent) ([]agents.Instance, error) {
	a, err := g.agentAct(ctx, c, agent, "read", evidence.DecisionMade)
	if err != nil {
		return nil, err
	}
	if err := g.may(ctx, c, a); err != nil {
		return nil, err
	}
	found, err := g.Agents.Latest(ctx, c.ws, agent, g.Now())
	return g.used.told(found), err
}
