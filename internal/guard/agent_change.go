package guard

import (
	"context"
	"slices"
	"strings"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/approvals"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/lending"
	"github.com/attorn/attorn/internal/tickets"
	"github.com/attorn/attorn/policy"
)

// ApproveAgent lets an agent act that was only proposed.
func (g *Guard) ApproveAgent(ctx context.Context, c *Caller, agent id.Agent, why string) (agents.Agent, evidence.Receipt, error) {
	a, err := g.agentAct(ctx, c, agent, "approve", evidence.AgentApproved)
	if err != nil {
		return agents.Agent{}, evidence.Receipt{}, err
	}
	a.personal = g.reason(c, why)
	var after agents.Agent
	got, err := g.do(ctx, c, a, func(tx *audit.Tx) (err error) { after, err = g.Agents.Approve(tx, c.ws, agent); return err })
	return after, got, err
}

// ChangeAgent changes what is said about an agent. Tags take attorn:agent:tag, which owners do not have of themselves: tags steer policy. The event's
// Status names what changed, its sealed text has the new values.
func (g *Guard) ChangeAgent(ctx context.Context, c *Caller, agent id.Agent, ch agents.Change) (agents.Agent, evidence.Receipt, error) {
	verb := "change"
	if ch.Only() {
		verb = "tag"
	}
	a, err := g.agentAct(ctx, c, agent, verb, evidence.AgentChanged)
	if err != nil {
		return agents.Agent{}, evidence.Receipt{}, err
	}
	if ch.Tags() && verb != "tag" {
		a.needs = []string{"attorn:agent:tag"}
	}
	if ch.ExpiresAt != nil && !ch.ExpiresAt.IsZero() {
		a.what.Until = ch.ExpiresAt.UnixMicro()
	}
	a.personal = func(d *evidence.Draft) error {
		what := *d.What
		d.What = &what
		t := told{Tags: ch.Set, Untagged: slices.Sorted(slices.Values(ch.Remove))}
		for to, from := range map[*string]*string{&t.Description: ch.Description, &t.Framework: ch.Framework, &t.Model: ch.Model} {
			if from != nil {
				*to = *from
			}
		}
		return sealAgent(d, agent, t)
	}
	var after agents.Agent
	got, err := g.do(ctx, c, a, func(tx *audit.Tx) error {
		var changed []string
		var err error
		if after, changed, err = g.Agents.Change(tx, c.ws, agent, ch); err != nil {
			return err
		}
		what := *tx.Event().What
		what.Status = strings.Join(changed, ",")
		tx.Event().What = &what
		return nil
	})
	return after, got, err
}

// The ways of HandOver, which its events have as Status.
const (
	offered   = "offered"
	withdrawn = "withdrawn"
	accepted  = "accepted"
	assigned  = "assigned"
)

// HandOver changes who answers for an agent. Nobody is made to answer for one without knowing it: its owner offers it, and it is the new owner's when they
// accept, which is what the same call by them means. With atOnce, which takes attorn:owner:assign, it is theirs without being asked. The owner offers
// to themself to take an offer back. Approvals that wait for the agent end, for the new owner may not vote on them. Codes: those of the refusal, not_found,
// person_suspended, not_offered, unchanged, wrong_state, not_yourself.
func (g *Guard) HandOver(ctx context.Context, c *Caller, agent id.Agent, to id.User, atOnce bool) (agents.Agent, evidence.Receipt, error) {
	a, err := g.agentAct(ctx, c, agent, "offer", evidence.DecisionMade) // nothing about the agent changes with an offer
	if err != nil {
		return agents.Agent{}, evidence.Receipt{}, err
	}
	before, err := g.Agents.Agent(ctx, c.ws, agent)
	if err != nil {
		return agents.Agent{}, evidence.Receipt{}, err
	}
	change := g.Agents.Offer
	a.action, a.what.User, a.what.Status = "attorn:owner:offer", to, offered
	a.depends = append(a.depends, to.String())
	switch {
	case atOnce:
		a.action, a.kind, a.what.Status, change = assign, evidence.AgentChanged, assigned, g.Agents.Assign
	case to == c.person && before.Owner != c.person:
		a.action, a.kind, a.what.Status, change = "attorn:owner:accept", evidence.AgentChanged, accepted, g.Agents.Accept
		a.look = func(_ *standing, a *act) error { // the change itself demands that it still is
			a.attrs = nil
			if before.Offered == to {
				a.attrs = map[string]any{"offered": policy.UID{Type: policy.TypeUser, ID: to.String()}}
			}
			return nil
		}
	case to == before.Owner:
		a.what.Status = withdrawn
	}
	err = g.mayOwn(ctx, c, to)
	if err == nil && a.what.Status == accepted && !c.agent.IsZero() {
		err = fault.New(fault.Denied, "not_yourself", "a person accepts an agent themself, not through another agent")
	}
	if err != nil {
		return agents.Agent{}, evidence.Receipt{}, g.refuseAct(ctx, c, nil, a, nil, err)
	}
	var after agents.Agent
	got, err := g.do(ctx, c, a, func(tx *audit.Tx) error {
		if after, err = change(tx, c.ws, agent, to); err != nil || a.kind != evidence.AgentChanged {
			return err
		}
		if err := g.Tickets.EndAll(tx, tickets.Enrol, agent.String()); err != nil { // what the owner before had kept
			return err
		}
		if _, err := g.Approvals.VoidAll(tx, c.ws, approvals.Ground{Actor: agent.String()}); err != nil {
			return err
		}
		return g.lent(tx, c.ws, &Toll{}, lending.Of{Principals: []string{agent.String()}}, false, c.Sub(), "")
	})
	return after, got, err
}
