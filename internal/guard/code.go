package guard

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"slices"
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

// Grant is what a code or refresh token brings.
type Grant struct {
	Issued
	Bearer    bool   // the token is bound to no key
	Refresh   string // "": none
	IDToken   string // "": openid was not asked for
	Statement string // for an agent that is a client of its own: the delegation, by which it gets further tokens
}

// CodeRequest is what a client redeems a code with (RFC 6749 §4.1.3, RFC 7636 §4.5).
type CodeRequest struct {
	Code, Verifier, Redirect string
	Resource                 string // "": the one that was granted, if it was one
}

const (
	refreshPrefix = "attorn_rt_"
	racing        = 10 * time.Second // within which the same key may bring a refresh token twice without being taken for a thief
	idTokenLife   = 300              // seconds
)

// RedeemCode turns a code into tokens, in one transaction: the proofs are marked, the code is spent and then compared, an app's key becomes an instance, and the
// tokens are recorded. A code that was spent before ends its family: the delegation and all that descends from it. Codes: ticket_unknown, ticket_spent,
// grant_expired, grant_binding, unknown_resource, those of become and of a token that is refused.
func (g *Guard) RedeemCode(ctx context.Context, c *Client, r CodeRequest) (Grant, error) {
	return g.redeemGrant(ctx, c, redemption{
		kind: tickets.Code, secret: r.Code, want: TokenRequest{Resource: r.Resource},
		compare: func(t tickets.Ticket, d decided) error {
			sum := sha256.Sum256([]byte(r.Verifier))
			challenge := jose.EncodeBase64(sum[:])
			switch {
			case d.Request.Redirect != r.Redirect:
				return binding("redirect_uri is not the one that the code was sent to")
			case subtle.ConstantTimeCompare([]byte(challenge), []byte(d.Request.Challenge)) != 1:
				return binding("code_verifier is not that of the code_challenge")
			}
			return nil
		},
	})
}

// RedeemRefresh turns a refresh token into a new access token and the next refresh token, with the same key. One that was spent before ends its family; but where
// the same DPoP key brings it again within 10 seconds it is refused alone. Codes: those of RedeemCode, concurrent.
func (g *Guard) RedeemRefresh(ctx context.Context, c *Client, raw string, want TokenRequest) (Grant, error) {
	secret := raw
	if len(raw) > len(refreshPrefix) && raw[:len(refreshPrefix)] == refreshPrefix {
		secret = raw[len(refreshPrefix):]
	}
	return g.redeemGrant(ctx, c, redemption{
		kind: tickets.Refresh, secret: secret, want: want,
		compare: func(tickets.Ticket, decided) error { return nil },
	})
}

func binding(reason string) error {
	return fault.New(fault.Denied, "grant_binding", "%s", reason).Try("start again: what was brought is spent")
}

// redemption is a single-use grant that a client brings.
type redemption struct {
	kind    tickets.Kind
	secret  string
	want    TokenRequest
	compare func(tickets.Ticket, decided) error
}

func (g *Guard) redeemGrant(ctx context.Context, c *Client, r redemption) (Grant, error) {
	c.brings = true
	return settled(func() (Grant, error) {
		t, err := g.Tickets.Peek(ctx, r.kind, r.secret, g.Now())
		if err == nil {
			t.Family, err = g.familyNow(ctx, t)
		}
		var d decided
		if err == nil {
			d, err = g.fit(ctx, c, r, t)
		}
		var out Grant
		if err == nil {
			out, err = g.granted(ctx, c, r, t, d)
		}
		if f := fault.Of(err); f == nil || f.Kind == fault.Internal || f.Kind == fault.Unavailable || recorded(err) {
			return out, err
		}
		return Grant{}, g.refuseGrant(ctx, c, r, t, err)
	})
}

// familyNow is the delegation that a code or refresh token is of, or what its delegator put in its place: what was narrowed goes on, narrower.
func (g *Guard) familyNow(ctx context.Context, t tickets.Ticket) (string, error) {
	agent, dlg, err := ofTicket(t)
	if err != nil {
		return t.Family, err
	}
	now, err := g.Lending.SuccessorNow(ctx, t.Workspace, agent, dlg)
	return now.String(), err
}

// fit looks whether the client may have what the ticket is for. What it looks at is in the ticket's own row, which does not change: that it is spent once, and
// before any of this counts, the transaction sees to.
func (g *Guard) fit(ctx context.Context, c *Client, r redemption, t tickets.Ticket) (decided, error) {
	d, err := readDecided(t.Body)
	if err != nil {
		return d, err
	}
	switch {
	case t.Client != c.id:
		return d, binding("it was issued to another client")
	case !t.JKT.IsZero() && t.JKT != c.proven:
		return d, binding("it is bound to another key than the DPoP proof's")
	case r.kind == tickets.Refresh && t.JKT != c.proven:
		return d, binding("it was issued without a key, and stays so")
	}
	if err := r.compare(t, d); err != nil {
		return d, err
	}
	return d, g.become(ctx, c, t)
}

// granted issues what the ticket is for.
func (g *Guard) granted(ctx context.Context, c *Client, r redemption, t tickets.Ticket, d decided) (out Grant, err error) {
	_, dlg, err := ofTicket(t)
	if err != nil {
		return out, err
	}
	aud, err := oneOf(d.Request.Resources, r.want.Resource)
	if err != nil {
		return out, err
	}
	prefix, aud, err := g.resource(ctx, c.ws, aud)
	if err != nil {
		return out, err
	}
	sub, err := g.chainSubject(ctx, c, dlg)
	if err == nil {
		err = g.fits(ctx, c, sub)
	}
	if err != nil {
		return out, err
	}
	link := sub.links[len(sub.links)-1].Link
	claims := token.Claims{
		Subject: link.Statement.Delegator.User.String(), Workspace: c.ws, Delegation: dlg, Task: link.Statement.Task, Act: sub.actors(c),
		ACR: acrName(d.ACR), AuthTime: max(d.AuthTime, 0), MayAct: sub.mayAct(c),
	}
	r.want.Resource = aud
	out.Bearer = c.instance.IsZero()
	var cause error
	out.Issued, err = g.issue(ctx, c, aud, r.want, within(link.Statement.Permissions, prefix), claims, sub, func(tx *audit.Tx) error {
		cause = nil
		if _, err := g.Tickets.Spend(tx, r.kind, r.secret); err != nil {
			if cause, err = g.spentBefore(tx, c, r, err); err == nil {
				tx.Refuse(fault.Code(cause), cause.Error())
			}
			return err
		}
		if err := g.enrolKey(tx, c); err != nil {
			return err
		}
		out.Refresh, err = g.nextRefresh(tx, c, t, d, link.Statement)
		return err
	})
	if err != nil {
		if cause != nil {
			err = withEvent(cause, EventOf(err))
		}
		return Grant{}, err
	}
	if c.app.ID == "" {
		out.Statement = link.String()
	}
	if d.Request.OpenID && r.kind == tickets.Code {
		out.IDToken, err = g.idToken(ctx, d, link.Statement, out.Token)
	}
	return out, err
}

// oneOf picks the resource of a token out of those that were granted.
func oneOf(granted []string, asked string) (string, error) {
	if asked == "" && len(granted) == 1 {
		return granted[0], nil
	}
	if !slices.Contains(granted, asked) {
		return "", fault.New(fault.Invalid, "unknown_resource", "the resource is none of those that were granted").Try("name one of them: a token is for one resource")
	}
	return asked, nil
}

// spentBefore says why a ticket opened nothing. One that had been spent ends its family, in this transaction; not where it is the same client, asking twice at
// once, nor where it had brought nothing.
func (g *Guard) spentBefore(tx *audit.Tx, c *Client, r redemption, why error) (cause, err error) {
	if keepable(why) != nil {
		return nil, why
	}
	t, _ := g.Tickets.Spend(tx, r.kind, r.secret) // asked again for what it was
	switch {
	case fault.Code(why) == "ticket_expired":
		return fault.New(fault.Unauthenticated, "grant_expired", "it was not used in time").Try("start again"), nil
	case fault.Code(why) != "ticket_spent":
		return why, nil
	case r.kind == tickets.Refresh && !t.Failed && !t.JKT.IsZero() && t.JKT == c.proven && tx.Now().Sub(t.Spent).Abs() < racing:
		return fault.New(fault.Conflict, "concurrent", "the refresh token was used a moment ago by the same client").Try("use the refresh token that came with that answer"), nil
	}
	if t.Failed { // it brought nobody anything, so there are no two who have what it brought
		return why, nil
	}
	return why, g.endFamily(tx, t)
}

// endFamily ends the delegation that a ticket is of, and all that descends from it: somebody has used twice what is used once, and one of the two is a thief.
func (g *Guard) endFamily(tx *audit.Tx, t tickets.Ticket) error {
	agent, dlg, err := ofTicket(t)
	if err == nil {
		_, err = g.endLent(tx, t.Workspace, agent, dlg, "a code or refresh token of it was used twice")
	}
	return err
}

// endLent ends a delegation, or what stands in its place, with all that descends from it, and puts that into the log before the event of the transaction.
func (g *Guard) endLent(tx *audit.Tx, ws id.Workspace, agent id.Agent, dlg id.Delegation, why string) ([]id.Delegation, error) {
	dlg, err := g.Lending.Successor(tx, ws, agent, dlg)
	if err != nil {
		return nil, err
	}
	var toll Toll
	if err := g.revokeTree(tx, ws, &toll, agent, dlg, evidence.ServerSub, why); err != nil || len(toll.Delegations) == 0 {
		return nil, err
	}
	d := evidence.Draft{Workspace: ws, Agent: agent, Target: dlg.String()}
	d.Kind, d.Outcome, d.Who.Sub, d.Where.Face = evidence.DelegationRevoked, evidence.OK, evidence.ServerSub, "oauth"
	what := toll.tell(evidence.What{Delegation: dlg}, func(c evidence.Content) { d.Content = append(d.Content, c) })
	d.What, d.Why = &what, &evidence.Why{Reason: why}
	tx.Before(d)
	return toll.Delegations, nil
}

// refuseGrant spends what was brought, whatever is wrong with it, and records the refusal.
func (g *Guard) refuseGrant(ctx context.Context, c *Client, r redemption, t tickets.Ticket, cause error) error {
	s := &standing{who: c.who()}
	d := s.draft(&c.Caller, evidence.TokenRefused)
	if d.Workspace, d.Outcome = t.Workspace, evidence.Deny; d.Workspace.IsZero() {
		d.Workspace = id.Server
	}
	if t.Workspace != c.ws || c.ws.IsZero() { // who says that they are somebody else's client is nobody here
		d.Who, d.Agent = evidence.Who{Sub: evidence.ServerSub, Proof: d.Who.Proof}, id.Agent{}
	}
	d.What = &evidence.What{Client: clip(c.id)}
	for i := range d.Details {
		d.Details[i].Subject = "" // of the workspace: a stranger gets no key of their own in the store
	}
	refusal := cause
	got, err := g.Log.Record(ctx, d, func(tx *audit.Tx) (err error) {
		refusal = cause
		if _, err := g.Tickets.Spend(tx, r.kind, r.secret); err != nil {
			if refusal, err = g.spentBefore(tx, c, r, err); err != nil {
				return err
			}
		} else if err := g.Tickets.Fail(tx, r.kind, r.secret); err != nil {
			return err
		}
		tx.Refuse(fault.Code(refusal), refusal.Error())
		return nil
	})
	if err != nil {
		return err
	}
	if got.Code == "replayed" {
		return withEvent(replayed(got.Seen), got.ID)
	}
	return withEvent(refusal, got.ID)
}

// nextRefresh issues a refresh token to an app that uses them: for as long as it is idle, and never longer than what was lent.
func (g *Guard) nextRefresh(tx *audit.Tx, c *Client, t tickets.Ticket, d decided, st delegation.Statement) (string, error) {
	if c.app.ID == "" || !c.app.Uses(clients.GrantRefresh) && !d.Request.Offline {
		return "", nil
	}
	ttl := min(tickets.Refresh.Life(), time.Unix(st.ExpiresAt, 0).Sub(tx.Now()))
	if ttl <= 0 {
		return "", nil
	}
	d.Request = AuthRequest{Workspace: d.Request.Workspace, Client: d.Request.Client, Resources: d.Request.Resources, Offline: d.Request.Offline}
	body, err := jose.Canonical(d)
	if err != nil {
		return "", err
	}
	secret, err := g.Tickets.Issue(tx, tickets.Ticket{
		Kind: tickets.Refresh, Workspace: t.Workspace, Subject: t.Subject, Family: t.Family, Client: t.Client, JKT: c.proven, Body: string(body),
	}, ttl)
	return refreshPrefix + secret, err
}

// idToken says to the client who the person is (OpenID Connect Core §2): by their id alone, which is the same for every client. at_hash ties it to the access token
// that comes with it (§3.1.3.6): the left half of its hash, which for Ed25519 is the signature's own, SHA-512 (RFC 8032 §5.1).
func (g *Guard) idToken(ctx context.Context, d decided, st delegation.Statement, access string) (string, error) {
	key, err := g.Ring.Current(ctx, keyring.ForTokens)
	if err != nil {
		return "", err
	}
	now := g.Now().Unix()
	sum := sha512.Sum512([]byte(access))
	payload, err := jose.Canonical(struct {
		ACR      string  `json:"acr,omitzero"`
		Hash     string  `json:"at_hash"`
		Audience string  `json:"aud"`
		AuthTime int64   `json:"auth_time,omitzero"`
		Expires  int64   `json:"exp"`
		IssuedAt int64   `json:"iat"`
		Issuer   string  `json:"iss"`
		Nonce    string  `json:"nonce,omitzero"`
		Subject  id.User `json:"sub"`
	}{acrName(d.ACR), jose.EncodeBase64(sum[:len(sum)/2]), d.Request.Client, max(d.AuthTime, 0), now + idTokenLife, now, g.Issuer, d.Request.Nonce, st.Delegator.User})
	if err != nil {
		return "", err
	}
	return jose.Sign("JWT", payload, key.Signer())
}
