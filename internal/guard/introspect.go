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
	"github.com/attorn/attorn/internal/keyring"
	"github.com/attorn/attorn/internal/tickets"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

// Introspected is what a client is told of a token: nothing where Active is false (RFC 7662 §2.2).
type Introspected struct {
	Active  bool
	Refresh bool // it is a refresh token: the claims are those of what it brings
	Claims  token.Claims
	Chain   []evidence.Hop // who lent to whom, the root first
}

// Introspect reads a token for a client that may see it: a service an access token for its own resource, an agent, app or person their own, and an app its own
// refresh token, which this does not spend. Every other token is inactive, and so is one that anything it rests on has ended. The client's proofs are spent either
// way.
func (g *Guard) Introspect(ctx context.Context, c *Client, raw string) (Introspected, error) {
	if err := g.spendProofs(ctx, c); err != nil {
		return Introspected{}, err
	}
	look := g.introspectAccess
	if secret, ok := strings.CutPrefix(raw, refreshPrefix); ok {
		raw, look = secret, g.introspectRefresh
	}
	out, err := look(ctx, c, raw)
	if f := fault.Of(err); f != nil && f.Kind != fault.Unavailable && f.Kind != fault.Internal {
		return Introspected{}, nil
	}
	return out, err
}

func (g *Guard) introspectAccess(ctx context.Context, c *Client, raw string) (out Introspected, err error) {
	claims, err := token.Verify(raw, g.issuerKey(ctx), token.Want{Issuer: g.Issuer, AnyAudience: true, Now: g.Now(), Leeway: skew})
	if err != nil {
		return out, err
	}
	switch {
	case !c.service.IsZero() && (claims.Audience != c.aud || claims.Workspace != c.ws),
		c.service.IsZero() && claims.ClientID != c.id:
		return out, nil
	}
	holder := &Caller{ws: claims.Workspace, claims: claims, raw: raw}
	if err := holder.identify(claims); err != nil {
		return out, err
	}
	s, err := g.resolve(ctx, holder)
	if err != nil {
		return out, err
	}
	return Introspected{Active: true, Claims: claims, Chain: s.who.Chain}, nil
}

// introspectRefresh asks everything that a refresh would ask, but for the proof by the key that the token is bound to.
func (g *Guard) introspectRefresh(ctx context.Context, c *Client, secret string) (out Introspected, err error) {
	t, err := g.Tickets.Peek(ctx, tickets.Refresh, secret, g.Now())
	if err != nil || t.Client != c.id {
		return out, err
	}
	d, err := readDecided(t.Body)
	if err != nil {
		return out, err
	}
	holder := &Client{id: c.id, proven: t.JKT}
	if holder.app, err = g.App(ctx, c.id); err != nil {
		return out, err
	}
	if t.Family, err = g.familyNow(ctx, t); err != nil {
		return out, err
	}
	if err := g.become(ctx, holder, t); err != nil {
		return out, err
	}
	_, dlg, err := ofTicket(t)
	if err != nil {
		return out, err
	}
	sub, err := g.chainSubject(ctx, holder, dlg)
	if err == nil {
		err = g.fits(ctx, holder, sub)
	}
	if err != nil {
		return out, err
	}
	st := sub.statements[len(sub.statements)-1]
	claims := token.Claims{
		Issuer: g.Issuer, Subject: sub.statements[0].Delegator.User.String(), ClientID: c.id, IssuedAt: t.Issued.Unix(), Expires: min(t.Expires.Unix(), st.ExpiresAt),
		JKT: t.JKT, Workspace: t.Workspace, Delegation: dlg, Task: st.Task, Act: sub.actors(holder), ACR: acrName(d.ACR), AuthTime: max(d.AuthTime, 0),
	}
	claims.SetPermissions(st.Permissions)
	return Introspected{Active: true, Refresh: true, Claims: claims, Chain: sub.hops(holder)}, nil
}

// SignIntrospection is the answer to an introspection as a JWT for its caller alone (RFC 9701 §5). It has neither sub nor exp of its own, and its typ is that of
// no other JWT here, so that nobody takes it for what it tells of (§8.1).
func (g *Guard) SignIntrospection(ctx context.Context, c *Client, answer any) (string, error) {
	key, err := g.Ring.Current(ctx, keyring.ForTokens)
	if err != nil {
		return "", err
	}
	payload, err := jose.Canonical(struct {
		Audience string `json:"aud"`
		IssuedAt int64  `json:"iat"`
		Issuer   string `json:"iss"`
		Answer   any    `json:"token_introspection"`
	}{c.id, g.Now().Unix(), g.Issuer, answer})
	if err != nil {
		return "", err
	}
	return jose.Sign("token-introspection+jwt", payload, key.Signer())
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
		if !claims.MayAct.IsZero() {
			below, err := g.endStead(tx, claims, raw)
			if err != nil {
				return err
			}
			ended = append(ended, below...)
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
		return g.revokeTree(tx, ws, &toll, st.Delegate.Agent, found.ID, c.Sub(), "")
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
