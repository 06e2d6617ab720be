package guard

import (
	"context"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/jose"
)

// assign is what it takes to make somebody answer for an agent who did not agree to it.
const assign = "attorn:owner:assign"

// RegisterAgent makes an agent. A person who is no administrator may register agents of their own, if policy lets them, or at least propose them:
// such a one waits for approval (n.Pending). Tags steer policy, so they take a permission of their own; so does making somebody else the owner.
func (g *Guard) RegisterAgent(ctx context.Context, c *Caller, n agents.NewAgent) (agents.Agent, evidence.Receipt, error) {
	n, a := g.registering(c, n)
	if err := g.mayOwn(ctx, c, n.Owner); err != nil {
		return agents.Agent{}, evidence.Receipt{}, g.refuseAct(ctx, c, nil, a, nil, err)
	}
	var made agents.Agent
	got, err := g.do(ctx, c, a, func(tx *audit.Tx) (err error) { made, err = g.Agents.Register(tx, n); return err })
	return made, got, err
}

// registering completes what a caller wants registered, and is the act of doing so.
func (g *Guard) registering(c *Caller, n agents.NewAgent) (agents.NewAgent, act) {
	if n.Owner.IsZero() {
		n.Owner = c.person
	}
	if n.ID.IsZero() {
		n.ID = id.New[id.Agent](g.Now())
	}
	n.Workspace = c.ws
	what := evidence.What{Agent: n.ID, User: n.Owner}
	a := act{
		action: "attorn:agent:create", noun: "agent:" + n.ID.String(), attrs: owned(n.Owner), kind: evidence.AgentRegistered, target: n.ID.String(),
		what: &what, depends: []string{n.Owner.String()},
		personal: func(d *evidence.Draft) error {
			what := *d.What
			d.What = &what
			if err := sealAgent(d, n.ID, told{Description: n.Description, Framework: n.Framework, Model: n.Model, Tags: n.Tags.Map()}); err != nil {
				return err
			}
			return seal(d, &d.What.Name, n.ID.String(), "name", n.Name)
		},
	}
	if n.Pending {
		a.action, what.Status = "attorn:agent:propose", string(agents.Pending)
	}
	if !n.ExpiresAt.IsZero() {
		what.Until = n.ExpiresAt.UnixMicro()
	}
	if n.Owner != c.person {
		a.needs = append(a.needs, assign)
	}
	if n.Tags != (agents.Tags{}) {
		a.needs = append(a.needs, "attorn:agent:tag")
	}
	return n, a
}

// mayOwn demands a member of the workspace who may act: only they can answer for an agent. Codes: not_found, person_suspended.
func (g *Guard) mayOwn(ctx context.Context, c *Caller, owner id.User) error {
	p, err := g.People.Person(ctx, c.ws, owner)
	if err != nil {
		return err
	}
	return p.Live()
}

// told is what people say about an agent, as the events of its registration and changes seal it. Tags of null were removed.
type told struct {
	Description string            `json:"description,omitempty"`
	Framework   string            `json:"framework,omitempty"`
	Model       string            `json:"model,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
	Untagged    []string          `json:"untagged,omitempty"`
}

// sealAgent puts what is said about an agent into its event, where anything is.
func sealAgent(d *evidence.Draft, agent id.Agent, t told) error {
	raw, err := jose.Canonical(t)
	if err != nil || string(raw) == "{}" {
		return err
	}
	return sealJSON(d, &d.What.Text, agent.String(), "text", raw)
}
