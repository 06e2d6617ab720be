package guard

import (
	"context"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/approvals"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/catalog"
	"github.com/attorn/attorn/internal/lending"
	"github.com/attorn/attorn/internal/tickets"
	"github.com/attorn/attorn/policy"
)

// ending is something that ends, or goes on: how it is decided and recorded, and what it changes.
type ending struct {
	act
	change func(tx *audit.Tx, t *Toll) error
}

// end does what find finds, and says what ended.
func (g *Guard) end(ctx context.Context, c *Caller, find func() (ending, error)) (t Toll, got evidence.Receipt, err error) {
	got, err = settled(func() (evidence.Receipt, error) {
		e, err := find()
		if err != nil {
			return evidence.Receipt{}, err
		}
		return g.try(ctx, c, e.act, func(tx *audit.Tx) error {
			t = Toll{}
			if err := e.change(tx, &t); err != nil {
				return err
			}
			t.record(tx)
			return nil
		})
	})
	return t, got, err
}

// EndAgent suspends, resumes or revokes an agent. Suspending and revoking end all that descends from it (Toll): what it lent and was lent, its
// instances and what these spawned, their tokens, enrolments that were offered, the approvals that rest on any of that.
func (g *Guard) EndAgent(ctx context.Context, c *Caller, agent id.Agent, verb, why string) (agents.Agent, []id.Delegation, evidence.Receipt, error) {
	t, got, err := g.end(ctx, c, func() (ending, error) { return g.endAgent(ctx, c, agent, verb, why) })
	if err != nil {
		return agents.Agent{}, nil, got, err
	}
	after, err := g.Agents.Agent(ctx, c.ws, agent)
	return after, ended(t, verb), got, err
}

// ended is what an answer lists: of a suspension nothing, for it stands still and has not ended.
func ended(t Toll, verb string) []id.Delegation {
	if verb == "suspend" {
		return nil
	}
	return t.Delegations
}

func (g *Guard) endAgent(ctx context.Context, c *Caller, agent id.Agent, verb, why string) (ending, error) {
	kind := map[string]evidence.Kind{"suspend": evidence.AgentSuspended, "resume": evidence.AgentResumed, "revoke": evidence.AgentRevoked}[verb]
	a, err := g.agentAct(ctx, c, agent, verb, kind)
	if err != nil {
		return ending{}, err
	}
	a.personal = g.reason(c, why)
	if verb == "resume" {
		return ending{a, func(tx *audit.Tx, _ *Toll) error { _, err := g.Agents.Resume(tx, c.ws, agent); return err }}, nil
	}
	return ending{a, func(tx *audit.Tx, t *Toll) error {
		of, whose, err := g.familyOf(tx, c.ws, t, agent, id.Key{})
		if err != nil {
			return err
		}
		if verb == "suspend" {
			_, err = g.Agents.Suspend(tx, c.ws, agent)
		} else {
			_, _, err = g.Agents.Revoke(tx, c.ws, agent)
		}
		if err != nil {
			return err
		}
		mark, err := g.People.EndMark(tx, c.ws)
		if err != nil {
			return err
		}
		if err := g.Agents.EndTokens(tx, c.ws, agent, mark); err != nil {
			return err
		}
		if err := g.Tickets.EndAll(tx, tickets.Enrol, agent.String()); err != nil {
			return err
		}
		if err := g.void(tx, c.ws, t, approvals.Ground{Actor: agent.String()}); err != nil {
			return err
		}
		if err := g.lent(tx, c.ws, t, of, verb == "revoke", c.Sub(), why); err != nil {
			return err
		}
		delete(whose, agent) // all that it asked has ended
		return g.voidAsked(ctx, tx, c.ws, t, whose)
	}}, nil
}

// EndInstance suspends, resumes or revokes the running copy that key is of, and with it all that it spawned. The instance that it returns, and that
// the event names, is the one that stands for it now.
func (g *Guard) EndInstance(ctx context.Context, c *Caller, key id.Key, verb, why string) (agents.Instance, []id.Delegation, evidence.Receipt, error) {
	t, got, err := g.end(ctx, c, func() (ending, error) { return g.endInstance(ctx, c, key, verb, why) })
	if err != nil {
		return agents.Instance{}, nil, got, err
	}
	after, err := g.Agents.Head(ctx, c.ws, key)
	return after, ended(t, verb), got, err
}

func (g *Guard) endInstance(ctx context.Context, c *Caller, key id.Key, verb, why string) (ending, error) {
	kind := map[string]evidence.Kind{"suspend": evidence.InstanceSuspended, "resume": evidence.InstanceResumed, "revoke": evidence.InstanceRevoked}[verb]
	head, a, err := g.instanceAct(ctx, c, key, verb, kind)
	if err != nil {
		return ending{}, err
	}
	a.personal = g.reason(c, why)
	move := map[string]func(*audit.Tx, id.Workspace, id.Key) (agents.Instance, error){
		"suspend": g.Agents.SuspendInstance, "resume": g.Agents.ResumeInstance, "revoke": g.Agents.RevokeInstance,
	}[verb]
	return ending{a, func(tx *audit.Tx, t *Toll) error {
		of, whose, err := g.familyOf(tx, c.ws, t, head.Agent, head.Key)
		if err != nil {
			return err
		}
		i, err := move(tx, c.ws, head.Key)
		if err != nil {
			return err
		}
		if i.Key != head.Key { // it was rotated since we looked
			return audit.ErrAgain
		}
		if verb == "resume" {
			*t = Toll{}
			return nil
		}
		mark, err := g.People.EndMark(tx, c.ws)
		if err != nil {
			return err
		}
		if err := g.Agents.EndInstanceTokens(tx, c.ws, head.Key, mark); err != nil {
			return err
		}
		if err := g.lent(tx, c.ws, t, of, verb == "revoke", c.Sub(), why); err != nil {
			return err
		}
		return g.voidAsked(ctx, tx, c.ws, t, whose)
	}}, nil
}

// EndPerson suspends or resumes a person. Suspending ends their tokens and what is asked in their name, and makes all that they lent stand still;
// "revoke" ends what they lent in this workspace for ever beside. From default they are stopped everywhere, with their sessions; from another workspace,
// in it alone. Their agents stay, without an owner who can answer for them.
func (g *Guard) EndPerson(ctx context.Context, c *Caller, user id.User, verb, why string) ([]id.Delegation, evidence.Receipt, error) {
	t, got, err := g.end(ctx, c, func() (ending, error) { return g.endPerson(ctx, c, user, verb, why) })
	return ended(t, verb), got, err
}

func (g *Guard) endPerson(ctx context.Context, c *Caller, user id.User, verb, why string) (ending, error) {
	kind, action := evidence.UserSuspended, "suspend"
	if verb == "resume" {
		kind, action = evidence.UserResumed, "resume"
	}
	a := act{action: "attorn:user:" + action, noun: "user:" + user.String(), kind: kind, target: user.String(), what: &evidence.What{User: user}}
	in, where := []id.Workspace{c.ws}, c.ws
	if c.ws == id.Default {
		var err error
		where = id.Workspace{} // everywhere
		if a.also, err = g.everywhere(ctx, user); err != nil {
			return ending{}, err
		}
		in = append(in, a.also...)
	}
	a.personal = g.reason(c, why)
	if verb == "resume" {
		return ending{a, func(tx *audit.Tx, _ *Toll) error {
			if err := g.People.Resume(tx, c.ws, user); err != nil {
				return err
			}
			return g.Agents.OwnerBack(tx, where, user)
		}}, nil
	}
	return ending{a, func(tx *audit.Tx, t *Toll) (err error) {
		if err := g.notLastOwner(ctx, c.ws, user); err != nil {
			return err
		}
		if t.Sessions, err = g.People.Suspend(tx, c.ws, user); err != nil {
			return err
		}
		if err := g.Agents.OwnerGone(tx, where, user); err != nil {
			return err
		}
		for _, ws := range in {
			elsewhere := Toll{} // is nobody's business here
			into := t
			if ws != c.ws {
				into = &elsewhere
			}
			if err := g.void(tx, ws, into, approvals.Ground{Subject: user}); err != nil {
				return err
			}
		}
		return g.lent(tx, c.ws, t, lending.Of{Principals: []string{user.String()}}, verb == "revoke", c.Sub(), why)
	}}, nil
}

// Revoke ends a delegation and all that descends from it, and the approvals that rest on them. Its delegator, its delegate, the person in whose name it is lent and
// whoever policy lets may do it. Of one that was narrowed or renewed, what stands in its place ends. It returns what ended.
func (g *Guard) Revoke(ctx context.Context, c *Caller, d id.Delegation, why string) ([]id.Delegation, evidence.Receipt, error) {
	t, got, err := g.end(ctx, c, func() (ending, error) { return g.endDelegation(ctx, c, d, why) })
	return t.Delegations, got, err
}

func (g *Guard) endDelegation(ctx context.Context, c *Caller, d id.Delegation, why string) (ending, error) {
	found, err := g.Lending.Get(ctx, c.ws, d)
	a := act{action: "attorn:delegation:revoke", noun: "delegation:" + d.String(), kind: evidence.DelegationRevoked, target: d.String()}
	if err != nil {
		return ending{}, g.refuseAct(ctx, c, nil, a, nil, err)
	}
	if a.attrs, err = g.lentAttrs(ctx, found); err != nil {
		return ending{}, err
	}
	a.own = a.attrs["root"] == policy.UID{Type: policy.TypeUser, ID: c.person.String()}
	a.what = &evidence.What{Delegation: d}
	a.personal = g.reason(c, why)
	return ending{a, func(tx *audit.Tx, t *Toll) error {
		return g.revokeTree(tx, c.ws, t, found.Link.Statement.Delegate.Agent, d, c.Sub(), why)
	}}, nil
}

// revokeTree ends what was lent to delegate as d, or what took its place since: whoever ends what they know of means the authority, not its number.
func (g *Guard) revokeTree(tx *audit.Tx, ws id.Workspace, t *Toll, delegate id.Agent, d id.Delegation, by, why string) (err error) {
	if d, err = g.Lending.Successor(tx, ws, delegate, d); err != nil {
		return err
	}
	if t.Delegations, err = g.Lending.Revoke(tx, ws, d, by, why); err != nil {
		return err
	}
	return g.void(tx, ws, t, approvals.Ground{Delegations: t.Delegations})
}

// EndTool suspends or resumes a tool or prompt, by its segment, or with segment "" all of a server: nobody may call it, and no list shows it.
func (g *Guard) EndTool(ctx context.Context, c *Caller, server, segment, verb, why string) (evidence.Receipt, error) {
	_, got, err := g.end(ctx, c, func() (ending, error) { return g.endTool(c, server, segment, verb, why), nil })
	return got, err
}

func (g *Guard) endTool(c *Caller, server, segment, verb, why string) ending {
	kind, change := evidence.ToolSuspended, catalog.Suspend
	if verb == "resume" {
		kind, change = evidence.ToolResumed, catalog.Resume
	}
	a := act{
		action: "attorn:tool:" + verb, noun: "tool:" + server, kind: kind, target: "Server::" + server, what: &evidence.What{Server: server, Tool: segment},
		personal: g.reason(c, why),
	}
	ground := approvals.Ground{Server: server}
	if segment != "" {
		a.noun, a.target = "tool:"+server+":"+segment, "Tool::"+server+":"+segment
		ground = approvals.Ground{Resource: evidence.Resource{Type: "Tool", ID: server + ":" + segment}}
	}
	return ending{a, func(tx *audit.Tx, t *Toll) error {
		if err := change(tx, c.ws, server, segment); err != nil || verb == "resume" {
			return err
		}
		return g.void(tx, c.ws, t, ground)
	}}
}

// EndAll suspends or resumes a whole workspace: while it is halted no agent acts, none gets a token, nothing is lent and nothing passes the gateway.
// People can still sign in, and resume it.
func (g *Guard) EndAll(ctx context.Context, c *Caller, verb, why string) (evidence.Receipt, error) {
	_, got, err := g.end(ctx, c, func() (ending, error) { return g.endAll(c, verb, why), nil })
	return got, err
}

func (g *Guard) endAll(c *Caller, verb, why string) ending {
	status := map[string]string{"suspend": "halted", "resume": "resumed"}[verb]
	a := act{
		action: "attorn:workspace:halt", noun: "workspace", kind: evidence.WorkspaceChanged, target: "workspace", what: &evidence.What{Status: status},
		personal: g.reason(c, why),
	}
	return ending{a, func(tx *audit.Tx, t *Toll) error {
		if verb == "resume" {
			return g.People.Unhalt(tx, c.ws)
		}
		if err := g.People.Halt(tx, c.ws); err != nil {
			return err
		}
		return g.void(tx, c.ws, t, approvals.Ground{All: true})
	}}
}
