package guard

import (
	"context"
	"crypto/rand"
	"slices"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/approvals"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/keyring"
	"github.com/attorn/attorn/internal/lending"
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
		if link, err = g.countersign(tx, signed, key); err != nil {
			return err
		}
		d, fresh, err := g.Lending.Lend(tx, c.ws, link)
		if err != nil {
			return err
		}
		if !fresh && d.StatusAt(tx.Now()) != lending.Active {
			return fault.New(fault.Denied, "delegation_ended", "the statement was recorded before, and the delegation has ended").Try("sign a new one")
		}
		link = d.Link
		doc := evidence.ContentOf([]byte(link.String()))
		tx.Keep(doc)
		what := *tx.Event().What
		what.Link = doc.Digest
		tx.Event().What = &what
		return nil
	})
	return link, err
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

// Revoke ends a delegation and all that descends from it, and the approvals that rest on them. Its delegator, its delegate and whoever policy
// lets may do it. It returns what ended.
func (g *Guard) Revoke(ctx context.Context, c *Caller, d id.Delegation, why string) ([]id.Delegation, evidence.Receipt, error) {
	found, err := g.Lending.Get(ctx, c.ws, d)
	a := act{action: "attorn:delegation:revoke", noun: "delegation:" + d.String(), kind: evidence.DelegationRevoked, target: d.String()}
	if err != nil {
		return nil, evidence.Receipt{}, g.refuseAct(ctx, c, nil, a, nil, err)
	}
	a.attrs, a.own = lendAttrs(found.Link.Statement), found.Link.Statement.Delegator.User == c.person
	a.what = &evidence.What{Delegation: d}
	a.personal = g.reason(c, why)
	var ended []id.Delegation
	got, err := g.do(ctx, c, a, func(tx *audit.Tx) error {
		if ended, err = g.Lending.Revoke(tx, c.ws, d, c.Sub(), why); err != nil {
			return err
		}
		return g.endWith(tx, c.ws, ended)
	})
	return ended, got, err
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

// maxEnded bounds the list of what ended with a delegation or principal, for an event is small. What is not listed rests on what is: a permit
// depends on its whole chain.
const maxEnded = 500

// endWith notes in the event which delegations ended, and voids the approvals that rested on them.
func (g *Guard) endWith(tx *audit.Tx, ws id.Workspace, ended []id.Delegation) error {
	if len(ended) == 0 {
		return nil
	}
	what := *tx.Event().What
	what.Ended = slices.Clone(what.Ended)
	for _, d := range ended[:min(len(ended), maxEnded)] {
		what.Ended = append(what.Ended, d.String())
	}
	tx.Event().What = &what
	_, err := g.Approvals.VoidAll(tx, ws, approvals.Ground{Delegations: ended})
	return err
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
	a.attrs = lendAttrs(chain[len(chain)-1].Link.Statement)
	return chain, g.may(ctx, c, a)
}

func readRandom(b []byte) { rand.Read(b) }
