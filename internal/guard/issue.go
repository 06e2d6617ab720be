package guard

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

// TokenRequest is what a client asks for at the token endpoint, of any grant.
type TokenRequest struct {
	Resource    string                  // RFC 8707; "": attorn's own API
	Permissions []delegation.Permission // scope and authorization_details; nil: all that there is
	Subject     string                  // exchange: the subject token
	SubjectType string
	Actor       string // exchange: the actor token, "" where none was sent
}

// The subject token types of exchange (RFC 8693 §3, authority.md §4).
const (
	TypeAccessToken = "urn:ietf:params:oauth:token-type:access_token"
	TypeDelegation  = "urn:attorn:params:oauth:token-type:delegation"
	TypeChain       = "urn:attorn:params:oauth:token-type:delegation-chain" // of another server
)

// Issued is a new access token.
type Issued struct {
	Token       string
	Expires     time.Duration
	Permissions []delegation.Permission
	Delegation  id.Delegation
	Event       id.Event // that records it
}

// ClientCredentials issues a token to an agent that acts for nobody (oauth.md §3): scope is a ceiling, policy decides each call.
func (g *Guard) ClientCredentials(ctx context.Context, c *Client, r TokenRequest) (Issued, error) {
	return settled(func() (Issued, error) { return g.clientCredentials(ctx, c, r) })
}

func (g *Guard) clientCredentials(ctx context.Context, c *Client, r TokenRequest) (Issued, error) {
	if c.agent.IsZero() && c.service.IsZero() {
		return Issued{}, g.refuseToken(ctx, c, fault.New(fault.Denied, "grant_not_allowed", "client credentials are for agents and services"))
	}
	if err := g.recheck(ctx, c); err != nil {
		return Issued{}, g.refuseToken(ctx, c, err)
	}
	prefix, aud, err := g.forTarget(ctx, c, r.Resource)
	if err != nil {
		return Issued{}, g.refuseToken(ctx, c, err)
	}
	all := []delegation.Permission{{Permission: prefix + "*"}}
	if !c.service.IsZero() { // it follows what ends, and does nothing else here
		if aud != g.API(c.ws) {
			return Issued{}, g.refuseToken(ctx, c, fault.New(fault.Denied, "grant_not_allowed", "a service's own token is for the feed of attorn's API"))
		}
		all = []delegation.Permission{{Permission: "attorn:feed:read"}}
	}
	return g.issue(ctx, c, aud, r, all, token.Claims{Subject: c.Sub(), Workspace: c.ws}, nil, nil)
}

// PersonToken issues a token to a person who acts through the command line with their own registered key: no act and no dlg, but sid, the
// key, whose end ends it.
func (g *Guard) PersonToken(ctx context.Context, c *Client, ws id.Workspace, r TokenRequest) (Issued, error) {
	return settled(func() (Issued, error) { return g.personToken(ctx, c, ws, r) })
}

func (g *Guard) personToken(ctx context.Context, c *Client, ws id.Workspace, r TokenRequest) (Issued, error) {
	if c.person.IsZero() {
		return Issued{}, g.refuseToken(ctx, c, fault.New(fault.Denied, "grant_not_allowed", "this grant is for a person's own key"))
	}
	if _, err := g.People.Person(ctx, ws, c.person); fault.Code(err) == "not_found" { // who is no member leaves no trace in the workspace
		return Issued{}, g.refuseToken(ctx, c, fault.New(fault.Denied, "principal_inactive", "you are not a member of this workspace").
			Try("see which are yours: attorn workspace ls"))
	} else if err != nil {
		return Issued{}, err
	}
	c.ws = ws
	if err := g.recheck(ctx, c); err != nil {
		return Issued{}, g.refuseToken(ctx, c, err)
	}
	prefix, aud, err := g.forTarget(ctx, c, r.Resource)
	if err != nil {
		return Issued{}, g.refuseToken(ctx, c, err)
	}
	all := []delegation.Permission{{Permission: prefix + "*"}}
	return g.issue(ctx, c, aud, r, all, token.Claims{Subject: c.person.String(), Workspace: ws, Session: c.key.String()}, nil,
		func(tx *audit.Tx) error { return g.People.UseKey(tx, c.key) })
}

// resource finds the permission prefix of an audience: attorn's API, an MCP server, a registered service (RFC 8707).
func (g *Guard) resource(ctx context.Context, ws id.Workspace, aud string) (prefix, audience string, err error) {
	t, err := g.findTarget(ctx, ws, aud)
	return t.prefix, t.audience, err
}

// target is what a token is for, and what it rests on.
type target struct {
	prefix, audience string
	rests            []string
}

// forTarget is resource for a client, whose token rests on it from then on.
func (g *Guard) forTarget(ctx context.Context, c *Client, aud string) (prefix, audience string, err error) {
	t, err := recall(g.memory, c.ws, c.asOf, g.Now(), "target "+aud, func() (target, fact, error) {
		t, err := g.findTarget(ctx, c.ws, aud)
		return t, fact{rests: t.rests}, err
	})
	c.rests = slices.Concat(c.rests, t.rests)
	return t.prefix, t.audience, err
}

func (g *Guard) findTarget(ctx context.Context, ws id.Workspace, aud string) (target, error) {
	if aud == "" || aud == g.API(ws) {
		return target{prefix: "attorn:", audience: g.API(ws)}, nil
	}
	unknown := fault.New(fault.Invalid, "unknown_resource", "no resource of this workspace has that URL").Try("ask for a registered MCP server or service")
	if name, ok := strings.CutPrefix(aud, g.MCP(ws, "")); ok {
		s, err := g.server(ctx, ws, name)
		if fault.Code(err) == "unknown_server" {
			return target{}, unknown
		} else if err != nil {
			return target{}, err
		}
		return target{"tool:" + s.Name + ":", aud, []string{"server:" + s.Name}}, nil
	}
	s, err := g.Clients.ByResource(ctx, ws, aud)
	if fault.Code(err) == "not_found" {
		return target{}, unknown
	} else if err != nil {
		return target{}, err
	}
	return target{s.Prefix + ":", aud, []string{s.ID.String()}}, nil
}

// maxToldScope is how long a scope the event of a token has, in bytes; a longer one is in the token alone, which is kept beside it.
const maxToldScope = 256

// issue mints and records a token of the asked permissions, or of all that may be had. The scope that was asked for must be covered: it is never
// silently cut.
func (g *Guard) issue(ctx context.Context, c *Client, aud string, r TokenRequest, all []delegation.Permission, claims token.Claims, sub *subject, lend func(*audit.Tx) error) (Issued, error) {
	ps := all
	if len(r.Permissions) > 0 {
		ps = r.Permissions
		if !delegation.CoversAll(all, ps) {
			return Issued{}, g.refuseToken(ctx, c, fault.New(fault.Denied, "not_covered", "what is asked for is more than was lent for this resource").
				Try("ask for less, or leave scope out to get all that was lent"))
		}
	}
	if len(ps) == 0 {
		return Issued{}, g.refuseToken(ctx, c, fault.New(fault.Denied, "not_covered", "nothing was lent for this resource"))
	}
	key, err := g.issuerAsOf(ctx, c.ws, c.asOf)
	if err != nil {
		return Issued{}, err
	}
	now := g.Now()
	claims.Issuer, claims.Audience, claims.ClientID = g.Issuer, aud, c.id
	claims.ID, claims.IssuedAt, claims.Expires = newJTI(), token.IssuedAfter(now, c.marks), g.expiry(now, sub)
	if sub != nil {
		claims.IssuedAt = token.IssuedAfter(now, c.marks, sub.marks)
	}
	if time.Unix(claims.IssuedAt, 0).After(now.Add(skew)) { // nobody would take it yet
		return Issued{}, fault.New(fault.Unavailable, "unsettled", "somebody that this rests on was stopped and went on again and again just now").Try("try again in a minute")
	}
	if claims.IssuedAt >= claims.Expires { // what was lent ends before the seconds that the end of earlier tokens takes are over
		return Issued{}, g.refuseToken(ctx, c, fault.New(fault.Denied, "delegation_expired", "what was lent ends before a token could begin"))
	}
	claims.JKT = c.instance
	if c.agent.IsZero() {
		claims.JKT = c.key
	}
	claims.SetPermissions(ps)
	raw, err := token.Issue(claims, key.Signer())
	if fault.Code(err) == "too_large" {
		return Issued{}, g.refuseToken(ctx, c, err)
	} else if err != nil {
		return Issued{}, err
	}
	doc := evidence.ContentOf([]byte(raw))
	s := &standing{who: c.who()}
	if !claims.JKT.IsZero() { // a bearer token opens what it opens to whoever reads it
		s.content = []evidence.Content{doc}
	}
	if sub != nil && sub.word != nil {
		s.content = append(s.content, evidence.ContentOf(sub.word.bytes))
	}
	d := s.draft(&c.Caller, evidence.TokenIssued)
	d.Outcome, d.Target, d.Refusal, d.Unborn = evidence.OK, aud, evidence.TokenRefused, c.unborn
	d.Under = &evidence.Under{
		Token:      &evidence.TokenRef{ID: claims.ID, Kid: key.Kid, Expires: claims.Expires, SHA256: doc.Digest},
		Delegation: claims.Delegation, Task: claims.Task, Via: claims.Via,
	}
	d.What = &evidence.What{Audience: aud}
	if len(claims.Scope) <= maxToldScope {
		d.What.Scope = claims.Scope
	}
	d.Task, d.Why = claims.Task, &evidence.Why{AsOf: c.asOf}
	d.Depends = append(append(d.Depends, evidence.Workspace, c.Sub(), c.instance.String(), c.key.String(), evidence.IssuerKey), c.rests...)
	if sub != nil {
		d.Who.Chain = sub.hops(c)
		d.Depends = append(d.Depends, sub.depends()...)
		d.Person = sub.statements[0].Delegator.User
	}
	if sub != nil && sub.told != "" {
		if err := seal(&d, &d.What.Text, claims.Subject, "text", sub.told); err != nil {
			return Issued{}, err
		}
	}
	if claims.IssuedAt > now.Unix() {
		lend = g.ahead(c.ws, claims.IssuedAt, lend)
	}
	got, err := g.Log.Record(ctx, d, lend)
	if f := fault.Of(err); f != nil && f.Kind != fault.Unavailable {
		return Issued{}, g.refuseToken(ctx, c, err)
	}
	if err != nil {
		return Issued{}, err
	}
	switch {
	case got.Code == "replayed":
		return Issued{}, withEvent(replayed(got.Seen), got.ID)
	case got.Outcome == evidence.Deny: // refused in the transaction
		return Issued{}, withEvent(fault.New(fault.Denied, got.Code, "%s", got.Reason), got.ID)
	}
	g.used.note(c.instance, now)
	if err := g.seenFrom(ctx, c, got.ID); err != nil {
		return Issued{}, err
	}
	return Issued{Token: raw, Expires: time.Unix(claims.Expires, 0).Sub(now), Permissions: ps, Delegation: claims.Delegation, Event: got.ID}, nil
}

// ahead notes that a token's iat is ahead of the clock, after what else its issuing does.
func (g *Guard) ahead(ws id.Workspace, iat int64, lend func(*audit.Tx) error) func(*audit.Tx) error {
	return func(tx *audit.Tx) error {
		if lend != nil {
			if err := lend(tx); err != nil {
				return err
			}
		}
		return g.People.IssuedAhead(tx, ws, iat)
	}
}

// expiry is min(ttl, delegation).
func (g *Guard) expiry(now time.Time, sub *subject) int64 {
	end := now.Add(g.TokenTTL).Unix()
	if sub != nil {
		for _, st := range sub.statements {
			end = min(end, st.ExpiresAt)
		}
		if sub.ends > 0 {
			end = min(end, sub.ends)
		}
	}
	return end
}

// refuseToken records that a token was refused, and gives the refusal back. It spends the proofs: they were used.
func (g *Guard) refuseToken(ctx context.Context, c *Client, cause error) error {
	f := fault.Of(cause)
	if f == nil || f.Kind == fault.Internal || f.Kind == fault.Unavailable || c.brings {
		return cause
	}
	ws := c.ws
	if ws.IsZero() {
		ws = id.Server
	}
	if c.unborn {
		c.agent, c.instance, c.owner = id.Agent{}, id.Key{}, id.User{}
	}
	s := &standing{who: c.who()}
	d := s.draft(&c.Caller, evidence.TokenRefused)
	d.Workspace, d.Outcome, d.Why = ws, evidence.Deny, &evidence.Why{Code: f.Code, Reason: f.Reason}
	if c.app.ID != "" {
		d.What = &evidence.What{Client: clip(c.app.ID)}
	}
	got, err := g.Log.Record(ctx, d, nil)
	if err != nil {
		return err
	}
	if got.Code != "" {
		return withEvent(replayed(got.Seen), got.ID)
	}
	return withEvent(cause, got.ID)
}

func newJTI() string {
	var b [16]byte
	readRandom(b[:])
	return jose.EncodeBase64(b[:])
}
