package guard

import (
	"context"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/clients"
)

// assertedTo makes the client who an assertion lends to: the agent that it is, or, for an app, the agent of the person's that the app is in the workspace of the
// resource, or becomes. Nobody looks at an app on a page here, so it is an administrator who must have: a rule of the workspace allows it. An agent of its that
// was revoked stays so. Codes: those of recheck and of become; unknown_resource, client_denied.
func (g *Guard) assertedTo(ctx context.Context, c *Client, a asserted, aud string) (to delegate, err error) {
	if c.app.ID == "" {
		return to, g.recheck(ctx, c)
	}
	ws, err := g.workspaceOf(ctx, aud)
	if err != nil {
		return to, err
	}
	if _, _, err := g.resource(ctx, ws, aud); err != nil { // whether there is such a workspace is nobody's business
		return to, err
	}
	to.app, c.ws, c.agent, c.instance, c.fresh = c.app, ws, id.Agent{}, c.proven, false
	c.unborn = true
	if c.asOf, err = g.memory.asOf(ctx, ws); err != nil {
		return to, err
	}
	ends, err := g.People.Ends(ctx, ws)
	if err == nil {
		err = ends.Live()
	}
	if err != nil {
		return to, err
	}
	if err := g.ruledIn(ctx, c); err != nil {
		return to, err
	}
	to.seen, err = g.Clients.AppAgent(ctx, ws, c.id, a.person.ID)
	switch {
	case fault.Code(err) == "not_found":
		to.fresh = true
		agent := id.New[id.Agent](g.Now())
		to.agent = agents.Agent{ID: agent, Workspace: ws, Name: appName(c.app, agent), Owner: a.person.ID}
	case err != nil:
		return to, err
	}
	c.agent, c.owner = to.seen.Agent, a.person.ID
	if to.fresh {
		c.agent = to.agent.ID
		c.marks = ends.TokensFrom
		return to, g.freeKey(ctx, c)
	}
	is, err := g.standingOf(ctx, c)
	if err != nil {
		return to, err
	}
	to.agent, c.unborn = is.Agent, false
	c.owner, c.rests, c.line = is.Agent.Owner, is.Rests, is.Instance.Line
	c.marks = max(ends.TokensFrom, is.Agent.TokensFrom, is.Instance.TokensFrom)
	return to, is.Agent.Accountable(g.Now())
}

// ruledIn demands a rule of the workspace that allows the app, and its tokens as they would be. Codes: those of ClientStands.
func (g *Guard) ruledIn(ctx context.Context, c *Client) error {
	if err := g.ClientStands(ctx, c.ws, c.id, c.instance.IsZero()); err != nil {
		return err
	}
	r, err := g.ClientRule(ctx, c.ws, c.id)
	switch {
	case err != nil:
		return err
	case r.Client == "" || r.Client == "*": // which was said of apps that people are asked about
		return fault.New(fault.Denied, "client_denied", "no rule of the workspace names this app or its host, and no person is asked about it here").
			Try("have an administrator allow it: attorn client allow %s", c.id)
	case c.instance.IsZero() && c.app.BoundTokens: // RFC 9449 §5.2
		return fault.New(fault.Denied, "bearer_not_allowed", "the app's metadata says that its tokens are bound to a key, and none was shown").Try("send a DPoP proof (RFC 9449)")
	}
	return nil
}

// freeKey demands that the key of an app that becomes an agent is nobody's yet. Code: key_in_use.
func (g *Guard) freeKey(ctx context.Context, c *Client) error {
	if c.instance.IsZero() {
		return nil
	}
	_, err := g.Agents.Acting(ctx, c.instance, g.Now())
	if fault.Code(err) == "instance_unknown" {
		c.fresh, c.line = true, c.instance
		return nil
	}
	if err == nil {
		err = fault.New(fault.Conflict, "key_in_use", "the DPoP key is another agent's").Try("make a key pair for each person that the app acts for")
	}
	return err
}

// assertedApp makes the app an agent of the person's where it is none yet, and its key an instance. It is by the provider's word, so the server does it, and nothing
// is remembered of what the person saw.
func (g *Guard) assertedApp(tx *audit.Tx, c *Client, a asserted, to delegate) error {
	if to.app.ID == "" {
		return nil
	}
	if to.fresh {
		if err := g.appAgent(tx, to, c.ws, a.person.ID, evidence.ServerSub, c.where()); err != nil {
			return err
		}
		err := g.Clients.RememberApp(tx, clients.AppAgent{Workspace: c.ws, Client: to.app.ID, Person: a.person.ID, Agent: to.agent.ID, Seen: clients.Seen{Name: to.app.Name}}, id.Agent{})
		if fault.Code(err) == "consent_changed" { // it has just become one by another request
			err = audit.ErrAgain
		}
		if err != nil {
			return err
		}
	}
	return g.enrolKey(tx, c)
}
