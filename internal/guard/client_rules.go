package guard

import (
	"context"
	"slices"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/clients"
	"github.com/attorn/attorn/jose"
)

// What.Status of the client.changed events by which rules about apps come and go; What.Client is what the rule is about, What.Rule names the rule, which is
// kept as content.
const (
	AppsAllowed = "allowed"
	AppsBearer  = "allowed_bearer" // with tokens that are bound to no key
	AppsDenied  = "denied"
	AppsNoRule  = "removed"
)

// ruleAct is the act of changing what a workspace lets apps do.
func ruleAct(r clients.Rule, status string) (act, error) {
	raw, err := jose.Canonical(r)
	doc := evidence.ContentOf(raw)
	return act{
		action: "attorn:client:rule", noun: "client:" + r.Client, kind: evidence.ClientChanged, target: r.Client, content: []evidence.Content{doc},
		what: &evidence.What{Client: r.Client, Rule: doc.Digest, Status: status},
	}, err
}

// SetClientRule says what the workspace lets an app do, or all of a host, or all; it takes the place of a rule about the same. What an app may no longer do ends
// at once. Codes: rule_invalid, too_many_rules, those of policy.
func (g *Guard) SetClientRule(ctx context.Context, c *Caller, r clients.Rule) (clients.Rule, evidence.Receipt, error) {
	r.Workspace, r.By = c.ws, c.Sub()
	if err := r.Check(g.LocalApps); err != nil {
		return r, evidence.Receipt{}, g.refuseAct(ctx, c, nil, act{action: "attorn:client:rule", noun: "client"}, nil, err)
	}
	status := AppsDenied
	if r.Allow {
		status = AppsAllowed
	}
	if r.Bearer {
		status = AppsBearer
	}
	a, err := ruleAct(r, status)
	if err != nil {
		return r, evidence.Receipt{}, err
	}
	a.personal = g.reason(c, r.Reason)
	got, err := g.do(ctx, c, a, func(tx *audit.Tx) error {
		r.CreatedAt = tx.Now()
		return g.Clients.SetRule(tx, r)
	})
	return r, got, err
}

// RemoveClientRule takes a rule away: the next most particular one holds. Codes: not_found, rule_invalid, those of policy.
func (g *Guard) RemoveClientRule(ctx context.Context, c *Caller, client string) (clients.Rule, evidence.Receipt, error) {
	refuse := func(err error) (clients.Rule, evidence.Receipt, error) {
		return clients.Rule{}, evidence.Receipt{}, g.refuseAct(ctx, c, nil, act{action: "attorn:client:rule", noun: "client"}, nil, err)
	}
	if err := clients.CheckPattern(client, g.LocalApps); err != nil {
		return refuse(err)
	}
	r, err := g.Clients.Rule(ctx, c.ws, client)
	if err != nil {
		return refuse(err)
	}
	a, err := ruleAct(r, AppsNoRule)
	if err != nil {
		return r, evidence.Receipt{}, err
	}
	got, err := g.do(ctx, c, a, func(tx *audit.Tx) error {
		was, err := g.Clients.RemoveRule(tx, c.ws, client)
		if err == nil && (was.Allow != r.Allow || was.Bearer != r.Bearer) {
			err = audit.ErrAgain
		}
		return err
	})
	return r, got, err
}

// ClientRules lists the workspace's rules about apps.
func (g *Guard) ClientRules(ctx context.Context, c *Caller, after string, limit int) ([]clients.Rule, error) {
	if err := g.May(ctx, c, "attorn:client:read", "workspace"); err != nil {
		return nil, err
	}
	return g.Clients.Rules(ctx, c.ws, after, limit)
}

// ConsentedApp is an app that a person consented to, and what the workspace lets it do.
type ConsentedApp struct {
	clients.AppAgent
	Rule clients.Rule
}

// ConsentedApps lists the apps that people of the workspace consented to: whoever lists their own needs no permission.
func (g *Guard) ConsentedApps(ctx context.Context, c *Caller, q clients.AppQuery) ([]ConsentedApp, error) {
	var err error
	if !q.Person.IsZero() && q.Person == c.person && c.agent.IsZero() {
		err = g.Self(ctx, c)
	} else {
		err = g.May(ctx, c, "attorn:client:read", "workspace")
	}
	if err != nil {
		return nil, err
	}
	found, err := g.Clients.AppAgents(ctx, c.ws, q)
	if err != nil {
		return nil, err
	}
	out, known := make([]ConsentedApp, len(found)), map[string]clients.Rule{}
	for i, a := range found {
		rule, ok := known[a.Client]
		if !ok {
			if rule, err = g.ClientRule(ctx, c.ws, a.Client); err != nil {
				return nil, err
			}
			known[a.Client] = rule
		}
		out[i] = ConsentedApp{a, rule}
	}
	return out, nil
}

// ShowApp reads an app as it is now, and what the workspace lets it do; problem is why the app cannot be read.
func (g *Guard) ShowApp(ctx context.Context, c *Caller, clientID string) (app clients.App, rule clients.Rule, problem, err error) {
	if err := g.May(ctx, c, "attorn:client:read", "workspace"); err != nil {
		return app, rule, nil, err
	}
	if app, problem = g.App(ctx, clientID); problem != nil && fault.Of(problem) == nil {
		return app, rule, nil, problem
	}
	rule, err = g.ClientRule(ctx, c.ws, clientID)
	return app, rule, problem, err
}

// RemoveApp ends an app that registered itself by an invitation of the workspace, or, in default, at an open server: its client_id is nobody's any more, in any
// workspace. Codes: not_found, those of policy.
func (g *Guard) RemoveApp(ctx context.Context, c *Caller, app id.App) (evidence.Receipt, error) {
	return settled(func() (evidence.Receipt, error) {
		known, err := g.Clients.KnownIn(ctx, app)
		if err != nil {
			return evidence.Receipt{}, err
		}
		a := act{
			action: "attorn:client:remove", noun: "client:" + app.String(), kind: evidence.ClientRemoved, target: app.String(), also: known,
			what: &evidence.What{Client: app.String(), Ended: []string{app.String()}},
		}
		return g.try(ctx, c, a, func(tx *audit.Tx) error {
			left, err := g.Clients.RemoveApp(tx, c.ws, app)
			if err == nil && !slices.Equal(left, known) { // somebody consented to it elsewhere since we looked
				err = audit.ErrAgain
			}
			return err
		})
	})
}
