package guard

import (
	"context"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/audit"
)

// What.Status of the agent.changed events by which trust rules come and go; What.Rule names the rule, which is kept as content.
const (
	TrustAdded   = "trust_added"
	TrustRemoved = "trust_removed"
)

// AddTrustRule lets workloads of another platform become instances of an agent. Codes: rule_invalid, app_instance, those of policy and of agents.AddTrustRule.
func (g *Guard) AddTrustRule(ctx context.Context, c *Caller, r agents.TrustRule) (agents.TrustRule, evidence.Receipt, error) {
	r.ID, r.Workspace = id.New[id.TrustRule](g.Now()), c.ws
	a, err := g.enrolAct(ctx, c, r.Agent, "trust", evidence.AgentChanged)
	if err != nil {
		return r, evidence.Receipt{}, err
	}
	a.action = "attorn:trust:add"
	if err := g.checkRule(&r); err != nil {
		return r, evidence.Receipt{}, g.refuseAct(ctx, c, nil, a, nil, err)
	}
	if err := a.aboutRule(r.Agent, &r, TrustAdded); err != nil {
		return r, evidence.Receipt{}, err
	}
	got, err := g.do(ctx, c, a, func(tx *audit.Tx) error {
		r.CreatedAt = tx.Now()
		return g.Agents.AddTrustRule(tx, r)
	})
	return r, got, err
}

// checkRule is agents.TrustRule.Check, and that its keys are keys.
func (g *Guard) checkRule(r *agents.TrustRule) error {
	if err := r.Check(); err != nil {
		return err
	}
	switch {
	case r.Issuer == g.Issuer:
		return fault.New(fault.Invalid, "rule_invalid", "this server's own tokens are no assertions of another platform's")
	case r.Keys == agents.SPIFFE:
		_, err := trustBundle(*r)
		return err
	case r.Keys == agents.JWKS:
		_, err := readKeySet(r.KeySet, agents.MaxKeySet)
		return err
	}
	return nil
}

// aboutRule puts a rule by which others' words make instances of an agent into the event.
func (a *act) aboutRule(agent id.Agent, r interface{ Bytes() ([]byte, error) }, status string) error {
	raw, err := r.Bytes()
	if err != nil {
		return err
	}
	doc := evidence.ContentOf(raw)
	a.content = append(a.content, doc)
	a.what = &evidence.What{Agent: agent, Rule: doc.Digest, Status: status}
	return nil
}

// RemoveTrustRule takes a rule away. Instances that it let in live until they expire. Codes: not_found, those of policy.
func (g *Guard) RemoveTrustRule(ctx context.Context, c *Caller, rule id.TrustRule) (agents.TrustRule, evidence.Receipt, error) {
	r, err := g.Agents.TrustRule(ctx, c.ws, rule)
	if err != nil {
		a := act{action: "attorn:trust:remove", noun: "trust:" + rule.String(), target: rule.String()}
		return r, evidence.Receipt{}, g.refuseAct(ctx, c, nil, a, nil, err)
	}
	a, err := g.agentAct(ctx, c, r.Agent, "trust", evidence.AgentChanged)
	if err != nil {
		return r, evidence.Receipt{}, err
	}
	a.action = "attorn:trust:remove"
	if err := a.aboutRule(r.Agent, &r, TrustRemoved); err != nil {
		return r, evidence.Receipt{}, err
	}
	got, err := g.do(ctx, c, a, func(tx *audit.Tx) error { return g.Agents.RemoveTrustRule(tx, c.ws, rule) })
	return r, got, err
}

// TrustRules lists rules, those of one agent unless it is zero.
func (g *Guard) TrustRules(ctx context.Context, c *Caller, agent id.Agent, after id.TrustRule, limit int) ([]agents.TrustRule, error) {
	if err := g.May(ctx, c, "attorn:trust:read", "workspace"); err != nil {
		return nil, err
	}
	return g.Agents.TrustRules(ctx, c.ws, agent, after, limit)
}

// TrustRule reads a rule. Code: not_found.
func (g *Guard) TrustRule(ctx context.Context, c *Caller, rule id.TrustRule) (agents.TrustRule, error) {
	if err := g.May(ctx, c, "attorn:trust:read", "workspace"); err != nil {
		return agents.TrustRule{}, err
	}
	return g.Agents.TrustRule(ctx, c.ws, rule)
}

// TestTrust says how an assertion would fare with the workspace's rules: problem is why it fares with none of them. Nothing of it is spent, stored or
// logged.
func (g *Guard) TestTrust(ctx context.Context, c *Caller, assertion string) (tries []Tried, problem error, err error) {
	if err := g.May(ctx, c, "attorn:trust:read", "workspace"); err != nil {
		return nil, nil, err
	}
	_, tries, err = g.tryRules(ctx, assertion, c.ws)
	if fault.Code(err) == "assertion_invalid" {
		return nil, err, nil
	}
	if err == nil && len(tries) == 0 {
		problem = notAcceptable("no trust rule of the workspace is for its issuer")
	}
	return tries, problem, err
}
