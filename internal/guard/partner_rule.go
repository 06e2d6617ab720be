package guard

import (
	"context"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/lending"
)

// What.Status of the agent.changed events by which rules for other servers come and go; What.Rule names the rule, which is kept as content.
const (
	IssuerTrusted = "issuer_trusted"
	IssuerRemoved = "issuer_removed"
)

// TrustIssuer lets some of another server's agents act as an agent of this workspace, under what was lent to that agent and at most for as long. A rule that
// names no end ends when the delegation does, as it is now. What the delegator puts in the delegation's place (lending.Replaces) stands under the rule too: it is
// no wider in anything but time, and in time the rule's own end holds, which is its maker's to say. Codes: issuer_invalid, not_lent, those of policy, of lending.Live and of lending.TrustIssuer.
func (g *Guard) TrustIssuer(ctx context.Context, c *Caller, r lending.Issuer) (lending.Issuer, evidence.Receipt, error) {
	r.ID, r.Workspace, r.MadeBy = id.New[id.Issuer](g.Now()), c.ws, c.Sub()
	a, err := g.agentAct(ctx, c, r.Agent, "trust", evidence.AgentChanged)
	if err != nil {
		return r, evidence.Receipt{}, err
	}
	a.action = "attorn:issuer:trust"
	if err := g.checkIssuer(ctx, &r); err != nil {
		return r, evidence.Receipt{}, g.refuseAct(ctx, c, nil, a, nil, err)
	}
	a.depends = []string{r.Delegation.String()}
	if err := a.aboutRule(r.Agent, r, IssuerTrusted); err != nil {
		return r, evidence.Receipt{}, err
	}
	got, err := g.do(ctx, c, a, func(tx *audit.Tx) error {
		r.CreatedAt = tx.Now()
		if err := g.Agents.NotEnded(tx, c.ws, r.Agent); err != nil {
			return err
		}
		return g.Lending.TrustIssuer(tx, r)
	})
	return r, got, err
}

// checkIssuer is lending.Issuer.Check, that its keys are keys, and that the delegation lends to the agent that is named.
func (g *Guard) checkIssuer(ctx context.Context, r *lending.Issuer) error {
	if err := r.Check(); err != nil {
		return err
	}
	invalid := func(reason string, args ...any) error {
		return fault.New(fault.Invalid, "issuer_invalid", reason, args...)
	}
	if r.URL == g.Issuer {
		return invalid("this server does not trust itself as another one")
	}
	if len(r.KeySet) > 0 {
		if _, err := foreignKeySet(r.KeySet); err != nil {
			return invalid("the key set has no key that another server could sign with: %v", err)
		}
	}
	chain, err := g.Lending.Chain(ctx, r.Workspace, r.Delegation)
	if err != nil {
		return notLent(err)
	}
	last := chain[len(chain)-1].Link.Statement
	if last.Delegate.Agent != r.Agent {
		return fault.New(fault.Denied, "not_lent", "the delegation lends to another agent than the one that they are to act as").Try("have a person lend to that agent: attorn lend")
	}
	if err := forAnyInstance(chain); err != nil {
		return err
	}
	if err := lending.Live(chain, g.Now()); err != nil {
		return err
	}
	if r.ExpiresAt == 0 {
		r.ExpiresAt = last.ExpiresAt
	}
	if r.ExpiresAt <= g.Now().Unix() || time.Unix(r.ExpiresAt, 0).After(g.Now().Add(lending.MaxIssuerLife)) {
		return invalid("a rule ends in the future, and within a year")
	}
	return nil
}

// RemoveIssuer takes a rule away, with everything that came by it: instances and their tokens end at once. Codes: not_found, those of policy.
func (g *Guard) RemoveIssuer(ctx context.Context, c *Caller, rule id.Issuer) (lending.Issuer, evidence.Receipt, error) {
	r, err := g.Lending.Issuer(ctx, c.ws, rule)
	if err != nil {
		a := act{action: "attorn:issuer:remove", noun: "issuer:" + rule.String(), target: rule.String()}
		return r, evidence.Receipt{}, g.refuseAct(ctx, c, nil, a, nil, err)
	}
	a, err := g.agentAct(ctx, c, r.Agent, "trust", evidence.AgentChanged)
	if err != nil {
		return r, evidence.Receipt{}, err
	}
	a.action = "attorn:issuer:remove"
	if err := a.aboutRule(r.Agent, r, IssuerRemoved); err != nil {
		return r, evidence.Receipt{}, err
	}
	got, err := g.do(ctx, c, a, func(tx *audit.Tx) error {
		if err := g.Lending.RemoveIssuer(tx, c.ws, rule); err != nil {
			return err
		}
		mark, err := g.People.EndMark(tx, c.ws)
		if err != nil {
			return err
		}
		keys, err := g.Agents.EndPartners(tx, c.ws, r.Agent, rule, mark)
		what := *tx.Event().What
		what.Ended = []string{rule.String()}
		for _, k := range keys {
			what.Ended = append(what.Ended, k.String())
		}
		tx.Event().What = &what
		return err
	})
	return r, got, err
}

// TrustedIssuer is a rule for another server as things are.
type TrustedIssuer struct {
	lending.Issuer
	Stands id.Delegation // what stands in its delegation's place: that itself, or what it was narrowed or renewed to
	Closed string        // the code of why it lets nobody in now; "" where it does
}

// TrustedIssuers lists rules for other servers, the oldest first.
func (g *Guard) TrustedIssuers(ctx context.Context, c *Caller, after id.Issuer, limit int) ([]TrustedIssuer, error) {
	if err := g.May(ctx, c, "attorn:issuer:read", "workspace"); err != nil {
		return nil, err
	}
	found, err := g.Lending.Issuers(ctx, c.ws, after, limit)
	if err != nil {
		return nil, err
	}
	all := make([]TrustedIssuer, len(found))
	for i, r := range found {
		if all[i], err = g.issuerNow(ctx, r); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// TrustedIssuer reads a rule. Code: not_found.
func (g *Guard) TrustedIssuer(ctx context.Context, c *Caller, rule id.Issuer) (TrustedIssuer, error) {
	if err := g.May(ctx, c, "attorn:issuer:read", "workspace"); err != nil {
		return TrustedIssuer{}, err
	}
	r, err := g.Lending.Issuer(ctx, c.ws, rule)
	if err != nil {
		return TrustedIssuer{}, err
	}
	return g.issuerNow(ctx, r)
}

// issuerNow says how a rule stands: whether it, what was lent, and the agent to whom are in force.
func (g *Guard) issuerNow(ctx context.Context, r lending.Issuer) (t TrustedIssuer, err error) {
	t.Issuer = r
	if t.Stands, err = g.Lending.SuccessorNow(ctx, r.Workspace, r.Agent, r.Delegation); err != nil {
		return t, err
	}
	chain, err := g.Lending.Chain(ctx, r.Workspace, t.Stands)
	if err != nil {
		return t, err
	}
	a, err := g.Agents.Agent(ctx, r.Workspace, r.Agent)
	if err != nil {
		return t, err
	}
	for _, why := range []error{r.Live(g.Now()), lending.Live(chain, g.Now()), forAnyInstance(chain), a.Live(g.Now())} {
		if t.Closed == "" {
			t.Closed = fault.Code(why)
		}
	}
	return t, nil
}

// forAnyInstance refuses a delegation to one instance alone, which none of another server's agents is. Code: not_lent.
func forAnyInstance(chain []lending.Delegation) error {
	if chain[len(chain)-1].Link.Statement.Delegate.Instance.IsZero() {
		return nil
	}
	return fault.New(fault.Denied, "not_lent", "the delegation is for one instance alone").Try("have it lent to the agent")
}
