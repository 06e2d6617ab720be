package guard

import (
	"context"
	"strings"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/clients"
	"github.com/attorn/attorn/internal/tickets"
	"github.com/attorn/attorn/token"
)

// Introspect reads a token for a client that may see it: a service for its own resource, an agent or person for its own. ok is false for
// every other token, and for one that anything it rests on has ended (RFC 7662 §2.2: inactive, and nothing more). The client's proofs are
// spent either way.
func (g *Guard) Introspect(ctx context.Context, c *Client, raw string) (claims token.Claims, chain []evidence.Hop, ok bool, err error) {
	if err := g.spendProofs(ctx, c); err != nil {
		return claims, nil, false, err
	}
	claims, err = token.Verify(raw, g.issuerKey(ctx), token.Want{Issuer: g.Issuer, AnyAudience: true, Now: g.Now(), Leeway: skew})
	if err != nil {
		return token.Claims{}, nil, false, nil
	}
	switch {
	case !c.service.IsZero() && (claims.Audience != c.aud || claims.Workspace != c.ws),
		c.service.IsZero() && claims.ClientID != c.id:
		return token.Claims{}, nil, false, nil
	}
	holder := &Caller{ws: claims.Workspace, claims: claims, raw: raw}
	if err := holder.identify(claims); err != nil {
		return token.Claims{}, nil, false, nil
	}
	s, err := g.resolve(ctx, holder)
	if f := fault.Of(err); f != nil && f.Kind != fault.Unavailable {
		return token.Claims{}, nil, false, nil
	}
	if err != nil {
		return token.Claims{}, nil, false, err
	}
	return claims, s.who.Chain, true, nil
}

// RevokeToken ends a token of the client's own, or a delegation that it made or was given (RFC 7009, oauth.md §9), and lists the delegations
// that ended. A refresh token, and any token of an app, ends the delegation that it is of, with all that descends from it. An unknown token is no error; what could
// not be recorded is.
func (g *Guard) RevokeToken(ctx context.Context, c *Client, raw string) ([]id.Delegation, error) {
	if secret, ok := strings.CutPrefix(raw, refreshPrefix); ok {
		return g.revokeRefresh(ctx, c, secret)
	}
	if signed, link, err := delegation.ParseToken(raw); err == nil {
		if link != nil {
			signed = link.Signed
		}
		return g.revokeStatement(ctx, c, signed.Statement)
	}
	claims, err := token.Verify(raw, g.issuerKey(ctx), token.Want{Issuer: g.Issuer, AnyAudience: true, Now: g.Now(), Leeway: skew})
	if err != nil || claims.ClientID != c.id {
		return nil, g.spendProofs(ctx, c)
	}
	d := g.clientDraft(c, claims.Workspace, evidence.TokenRevoked, claims.ID)
	d.What = &evidence.What{Ended: []string{claims.ID}}
	var ended []id.Delegation
	got, err := g.Log.Record(ctx, d, func(tx *audit.Tx) (err error) {
		ended = nil
		if clients.IsApp(c.id) && claims.Act != nil {
			if ended, err = g.endLent(tx, claims.Workspace, claims.Act.Sub, claims.Delegation, "the app revoked its token"); err != nil {
				return err
			}
		}
		return g.Tickets.End(tx, claims.Workspace, claims.ID, time.Unix(claims.Expires, 0).Add(skew))
	})
	return ended, clientReceipt(got, err)
}

// revokeRefresh ends what a refresh token of the client's is of.
func (g *Guard) revokeRefresh(ctx context.Context, c *Client, secret string) ([]id.Delegation, error) {
	t, err := g.Tickets.Peek(ctx, tickets.Refresh, secret, g.Now()) // what is spent or too old was its token, too
	if err != nil && keepable(err) != nil {
		return nil, err
	}
	if t.Client == "" || t.Client != c.id {
		return nil, g.spendProofs(ctx, c)
	}
	agent, dlg, err := ofTicket(t)
	if err != nil {
		return nil, err
	}
	d := g.clientDraft(c, t.Workspace, evidence.TokenRevoked, dlg.String())
	d.What = &evidence.What{Client: clip(c.id)}
	var ended []id.Delegation
	got, err := g.Log.Record(ctx, d, func(tx *audit.Tx) (err error) {
		if _, err := g.Tickets.Spend(tx, tickets.Refresh, secret); err != nil && keepable(err) != nil {
			return err
		}
		ended, err = g.endLent(tx, t.Workspace, agent, dlg, "the app revoked its refresh token")
		return err
	})
	return ended, clientReceipt(got, err)
}

func (g *Guard) revokeStatement(ctx context.Context, c *Client, st delegation.Statement) ([]id.Delegation, error) {
	digest, err := st.Digest()
	if err != nil {
		return nil, g.spendProofs(ctx, c)
	}
	ws := st.Workspace
	found, err := g.Lending.ByStatement(ctx, ws, digest)
	if fault.Code(err) == "not_found" {
		return nil, g.spendProofs(ctx, c)
	} else if err != nil {
		return nil, err
	}
	agent := !c.agent.IsZero() && (st.Delegator.Agent == c.agent || st.Delegate.Agent == c.agent)
	if person := !c.person.IsZero() && st.Delegator.User == c.person; !agent && !person {
		return nil, g.spendProofs(ctx, c)
	}
	d := g.clientDraft(c, ws, evidence.DelegationRevoked, found.ID.String())
	d.What = &evidence.What{Delegation: found.ID}
	var toll Toll
	got, err := g.Log.Record(ctx, d, func(tx *audit.Tx) (err error) {
		toll = Toll{}
		return g.revokeTree(tx, ws, &toll, found.ID, c.Sub(), "")
	})
	return toll.Delegations, clientReceipt(got, err)
}

// spendProofs uses up the proofs of a request that changes nothing.
func (g *Guard) spendProofs(ctx context.Context, c *Client) error {
	err := g.Log.Once(ctx, c.once)
	if fault.Code(err) == "replayed" {
		return invalidClient(err)
	}
	return err
}

func (g *Guard) clientDraft(c *Client, ws id.Workspace, kind evidence.Kind, target string) evidence.Draft {
	s := &standing{who: c.who()}
	d := s.draft(&c.Caller, kind)
	d.Workspace, d.Outcome, d.Target = ws, evidence.OK, target
	return d
}

func clientReceipt(got evidence.Receipt, err error) error {
	if err == nil && got.Outcome == evidence.Deny {
		return replayed(got.Seen)
	}
	return err
}
