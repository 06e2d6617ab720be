package guard

import (
	"context"
	"crypto/rand"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/keyring"
	"github.com/attorn/attorn/internal/lending"
	"github.com/attorn/attorn/internal/people"
	"github.com/attorn/attorn/policy"
)

// Lend accepts a signed statement of the caller's own (authority.md §3): the caller is its delegator, the signature holds, the delegate may
// act, and the child narrows its parent in every dimension. It returns the countersigned link; the same statement again returns the record.
func (g *Guard) Lend(ctx context.Context, c *Caller, signed delegation.Signed) (delegation.Link, error) {
	st := signed.Statement
	a := lendAct(st)
	key, err := g.admitStatement(ctx, c, signed)
	if err != nil {
		return delegation.Link{}, g.refuseAct(ctx, c, nil, a, nil, err)
	}
	a.what = &evidence.What{Delegation: st.ID, Agent: st.Delegate.Agent}
	if st.Purpose != "" {
		a.personal = func(d *evidence.Draft) error { return seal(d, &d.What.Text, c.Sub(), "text", st.Purpose) }
	}
	var link delegation.Link
	_, err = g.do(ctx, c, a, func(tx *audit.Tx) error {
		if err := people.Running(tx, c.ws); err != nil {
			return err
		}
		link, err = g.lendIn(tx, c.ws, signed, key)
		return err
	})
	return link, err
}

// endedBefore refuses a statement that comes again after what it lent has ended.
func endedBefore() error {
	return fault.New(fault.Denied, "delegation_ended", "the statement was recorded before, and the delegation has ended").Try("sign a new one")
}

func lendAct(st delegation.Statement) act {
	return act{
		action: "attorn:delegation:lend", noun: "delegation:" + st.ID.String(), attrs: lendAttrs(st), kind: evidence.DelegationLent,
		target: st.ID.String(),
	}
}

// lendAttrs lets policy speak of who lends to whom.
func lendAttrs(st delegation.Statement) map[string]any {
	delegator := policy.UID{Type: policy.TypeUser, ID: st.Delegator.User.String()}
	if !st.Delegator.Agent.IsZero() {
		delegator = policy.UID{Type: policy.TypeAgent, ID: st.Delegator.Agent.String()}
	}
	return map[string]any{"delegator": delegator, "delegate": policy.UID{Type: policy.TypeAgent, ID: st.Delegate.Agent.String()}}
}

// lentAttrs lets policy speak of what is lent, and of whose name it all goes back to.
func (g *Guard) lentAttrs(ctx context.Context, d lending.Delegation) (map[string]any, error) {
	attrs, root := lendAttrs(d.Link.Statement), d
	if d.Root != d.ID {
		var err error
		if root, err = g.Lending.Get(ctx, d.Workspace, d.Root); err != nil {
			return nil, err
		}
	}
	return rooted(attrs, root.Link.Statement), nil
}

func rooted(attrs map[string]any, root delegation.Statement) map[string]any {
	attrs["root"] = policy.UID{Type: policy.TypeUser, ID: root.Delegator.User.String()}
	return attrs
}

// admitStatement holds a statement to this server, this workspace, its delegator's key and a delegate that may act.
func (g *Guard) admitStatement(ctx context.Context, c *Caller, signed delegation.Signed) (delegation.DelegatorKey, error) {
	st := signed.Statement
	none := delegation.DelegatorKey{}
	switch {
	case st.Issuer != g.Issuer:
		return none, fault.New(fault.Invalid, "statement_invalid", "the statement is for another server: iss is not %s", g.Issuer)
	case st.Workspace != c.ws:
		return none, fault.New(fault.Denied, "workspace_mismatch", "the statement lends in another workspace than your token's")
	case st.Delegator.User != c.person && c.agent.IsZero(), !c.agent.IsZero() && (st.Delegator.Agent != c.agent || st.Delegator.Instance != c.instance):
		return none, fault.New(fault.Denied, "not_delegator", "only the delegator hands a statement in; this one is somebody else's")
	}
	to, err := g.Agents.Agent(ctx, c.ws, st.Delegate.Agent)
	if err == nil {
		err = to.Live(g.Now())
	}
	if err == nil {
		err = g.mayBeNamed(ctx, c.ws, st.MayAct)
	}
	if err != nil {
		return none, err
	}
	return g.delegatorKey(ctx, c.ws, signed)
}

// delegatorKey finds the live key that the statement must be signed with, and checks the signature.
func (g *Guard) delegatorKey(ctx context.Context, ws id.Workspace, signed delegation.Signed) (delegation.DelegatorKey, error) {
	st, sig := signed.Statement, signed.Signature
	var key delegation.DelegatorKey
	switch {
	case !st.Delegator.Agent.IsZero():
		a, i, err := g.Agents.Live(ctx, st.Delegator.Instance, g.Now())
		if err != nil {
			return key, err
		}
		if err := notPartner(i); err != nil {
			return key, err
		}
		if a.ID != st.Delegator.Agent || a.Workspace != ws {
			return key, fault.New(fault.Denied, "key_mismatch", "the statement names an instance that is not its delegator's")
		}
		key.JWK = i.JWK
	case sig.Type == delegation.ByPasskey && sig.Passkey != nil:
		k, err := g.passkeyOf(ctx, st.Delegator.User, *sig.Passkey)
		if err != nil {
			return key, err
		}
		key.Passkey = k
	default:
		k, err := g.personKey(ctx, st.Delegator.User, sig.JWS)
		if err != nil {
			return key, err
		}
		key.JWK = k
	}
	return key, delegation.VerifySignature(signed, key)
}

func (g *Guard) countersign(tx *audit.Tx, signed delegation.Signed, key delegation.DelegatorKey) (delegation.Link, error) {
	own, err := g.Ring.CurrentIn(tx, keyring.ForTokens)
	if err != nil {
		return delegation.Link{}, err
	}
	return delegation.Countersign(signed, key, tx.Now(), tx.Rev(), own.Signer())
}

// reason seals somebody's words into the event.
func (g *Guard) reason(c *Caller, why string) func(*evidence.Draft) error {
	if why == "" {
		return nil
	}
	return func(d *evidence.Draft) error {
		what := *d.What
		d.What = &what
		return seal(d, &d.What.Text, c.Sub(), "text", why)
	}
}

// Delegations lists what the caller lent or was lent; with policy's leave, anybody's.
func (g *Guard) Delegations(ctx context.Context, c *Caller, q lending.Query) ([]lending.Delegation, error) {
	own := q.Delegator == c.Sub() || !c.agent.IsZero() && q.Delegate == c.agent.String()
	if own {
		if err := g.Self(ctx, c); err != nil {
			return nil, err
		}
	} else if err := g.May(ctx, c, "attorn:delegation:read", "workspace"); err != nil {
		return nil, err
	}
	return g.Lending.List(ctx, c.ws, q)
}

// DelegationChain reads a delegation with everything above it, the root first: the portable chain.
func (g *Guard) DelegationChain(ctx context.Context, c *Caller, d id.Delegation) ([]lending.Delegation, error) {
	chain, err := g.Lending.Chain(ctx, c.ws, d)
	a := act{action: "attorn:delegation:read", noun: "delegation:" + d.String(), target: d.String()}
	if err != nil {
		return nil, g.refuseAct(ctx, c, nil, a, nil, err)
	}
	a.attrs = rooted(lendAttrs(chain[len(chain)-1].Link.Statement), chain[0].Link.Statement)
	return chain, g.may(ctx, c, a)
}

// DelegationTree reads a delegation and all that descends from it, parents before children; more says that there is more than lending.MaxTree. Who may read a
// delegation may read what was lent on below it: it ends with that.
func (g *Guard) DelegationTree(ctx context.Context, c *Caller, d id.Delegation) (all []lending.Delegation, more bool, err error) {
	all, more, err = g.Lending.Tree(ctx, c.ws, d)
	a := act{action: "attorn:delegation:read", noun: "delegation:" + d.String(), target: d.String()}
	if err != nil {
		return nil, false, g.refuseAct(ctx, c, nil, a, nil, err)
	}
	if a.attrs, err = g.lentAttrs(ctx, all[0]); err != nil {
		return nil, false, err
	}
	return all, more, g.may(ctx, c, a)
}

func readRandom(b []byte) { rand.Read(b) }
