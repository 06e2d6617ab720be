package guard

import (
	"context"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/clients"
	"github.com/attorn/attorn/internal/tickets"
)

// AuthenticateGrantee proves a client that brings a code, a refresh token or a request to push: an agent as AuthenticateClient does; an app as ProveApp does, and
// if it sends a DPoP proof, that it holds that key. The nonce is demanded before anything can be spent, and nothing is spent yet. Codes: those of these two and of
// AuthenticateKey.
func (g *Guard) AuthenticateGrantee(ctx context.Context, p ClientProof, claimed string) (*Client, error) {
	if !clients.IsApp(claimed) {
		return g.authenticateClient(ctx, p, false)
	}
	app, err := g.ProveApp(ctx, p)
	if err != nil {
		return nil, err
	}
	c := &Client{id: app.ID, app: app.App}
	c.once, c.proof, c.proofRaw, c.ip, c.face = app.Once, app.Proof, app.Raw, address(p.IP), "oauth"
	if len(p.DPoP) == 0 {
		if c.proof.Type == "" {
			c.proof = evidence.ProofRef{Type: proofBearer}
		}
		return c, nil
	}
	key, once, raw, err := g.AuthenticateKey(Credentials{Method: p.Method, URL: p.URL, DPoP: p.DPoP})
	if err != nil {
		return nil, err
	}
	c.jwk, c.proven = key, key.Thumbprint()
	c.once, c.proof, c.proofRaw = append(c.once, once...), evidence.ProofRef{Type: "dpop", SHA256: id.Sum(raw)}, raw
	return c, nil
}

// App is the app that the client is; its ID is "" for others.
func (c *Client) App() clients.App { return c.app }

// become makes the client the agent that it brings a code or refresh token of, as the state says now: with an app's key as its instance, which it may still have to
// become, or with none. Codes: those of who may not act, client_denied, bearer_not_allowed, key_in_use.
func (g *Guard) become(ctx context.Context, c *Client, t tickets.Ticket) error {
	if c.app.ID == "" {
		return g.recheck(ctx, c)
	}
	agent, _, err := ofTicket(t)
	if err != nil {
		return err
	}
	c.ws, c.agent, c.instance, c.fresh = t.Workspace, agent, c.proven, false
	if c.asOf, err = g.memory.asOf(ctx, c.ws); err != nil {
		return err
	}
	ends, err := g.People.Ends(ctx, c.ws)
	if err == nil {
		err = ends.Live()
	}
	if err != nil {
		return err
	}
	if err := g.ClientStands(ctx, c.ws, c.id, c.instance.IsZero()); err != nil {
		return err
	}
	if c.instance.IsZero() && c.app.BoundTokens { // RFC 9449 §5.2
		return fault.New(fault.Denied, "bearer_not_allowed", "the app's metadata says that its tokens are bound to a key, and none was shown").Try("send a DPoP proof (RFC 9449)")
	}
	is, err := g.standingOf(ctx, c)
	if err != nil {
		return err
	}
	c.owner, c.rests, c.line = is.Agent.Owner, is.Rests, is.Instance.Line
	c.marks = max(ends.TokensFrom, is.Agent.TokensFrom, is.Instance.TokensFrom)
	return is.Agent.Accountable(g.Now())
}

// standingOf reads an app's agent with its instance, if it has or will have one.
func (g *Guard) standingOf(ctx context.Context, c *Client) (agents.Standing, error) {
	if !c.instance.IsZero() {
		is, err := g.Agents.Acting(ctx, c.instance, g.Now())
		if err == nil && (is.Agent.ID != c.agent || is.Agent.Workspace != c.ws) {
			err = fault.New(fault.Conflict, "key_in_use", "the DPoP key is another agent's").Try("make a key pair for each person that the app acts for")
		}
		if fault.Code(err) != "instance_unknown" {
			return is, err
		}
		c.fresh = true
	}
	a, err := g.Agents.Agent(ctx, c.ws, c.agent)
	if err == nil {
		err = a.Live(g.Now())
	}
	return agents.Standing{Agent: a, Instance: agents.Instance{Line: c.instance}}, err
}

// enrolKey makes the app's key an instance of its agent, where it is none yet: a person said yes in the browser, so it is trusted like a device.
func (g *Guard) enrolKey(tx *audit.Tx, c *Client) error {
	if !c.fresh {
		return nil
	}
	held, err := g.People.Known(tx, c.instance)
	if err != nil {
		return err
	}
	if _, err := g.Agents.Enrol(tx, agents.NewInstance{Workspace: c.ws, Agent: c.agent, JWK: c.jwk, Trust: agents.Device, Held: held, App: true}); err != nil {
		return err
	}
	d := evidence.Draft{Workspace: c.ws, Agent: c.agent, Target: c.instance.String()}
	d.Kind, d.Outcome, d.Where = evidence.InstanceEnrolled, evidence.OK, c.where()
	d.Who = evidence.Who{Sub: c.agent.String(), Instance: c.instance, Owner: c.owner, Proof: &c.proof}
	key := c.jwk
	d.What = &evidence.What{Agent: c.agent, Instance: c.instance, Key: &key, Status: string(agents.Device), Client: clip(c.id)}
	d.Details = []evidence.Detail{{Field: "proof", Subject: c.agent.String(), Disclosure: c.proofRaw}}
	tx.Before(d)
	return nil
}
