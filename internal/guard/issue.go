package guard

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/keyring"
	"github.com/attorn/attorn/internal/lending"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

// TokenRequest is what a client asks for at the token endpoint, of any grant.
type TokenRequest struct {
	Resource    string                  // RFC 8707; "": attorn's own API
	Permissions []delegation.Permission // scope and authorization_details; nil: all that there is
	Subject     string                  // exchange: the subject token
	SubjectType string
}

// The subject token types of exchange (RFC 8693 §3, authority.md §4).
const (
	TypeAccessToken = "urn:ietf:params:oauth:token-type:access_token"
	TypeDelegation  = "urn:attorn:params:oauth:token-type:delegation"
)

// Issued is a new access token.
type Issued struct {
	Token       string
	Expires     time.Duration
	Permissions []delegation.Permission
	Delegation  id.Delegation
}

// ClientCredentials issues a token to an agent that acts for nobody (oauth.md §3): scope is a ceiling, policy decides each call.
func (g *Guard) ClientCredentials(ctx context.Context, c *Client, r TokenRequest) (Issued, error) {
	if c.agent.IsZero() {
		return Issued{}, g.refuseToken(ctx, c, fault.New(fault.Denied, "grant_not_allowed", "client credentials are for agents"))
	}
	if err := g.recheck(ctx, c); err != nil {
		return Issued{}, g.refuseToken(ctx, c, err)
	}
	prefix, aud, err := g.resource(ctx, c.ws, r.Resource)
	if err != nil {
		return Issued{}, g.refuseToken(ctx, c, err)
	}
	all := []delegation.Permission{{Permission: prefix + "*"}}
	return g.issue(ctx, c, aud, r, all, token.Claims{Subject: c.agent.String(), Workspace: c.ws}, nil, nil)
}

// PersonToken issues a token to a person who acts through the command line with their own registered key: no act and no dlg, but sid, the
// key, whose end ends it.
func (g *Guard) PersonToken(ctx context.Context, c *Client, ws id.Workspace, r TokenRequest) (Issued, error) {
	if c.person.IsZero() {
		return Issued{}, g.refuseToken(ctx, c, fault.New(fault.Denied, "grant_not_allowed", "this grant is for a person's own key"))
	}
	if _, err := g.People.Person(ctx, ws, c.person); fault.Code(err) == "not_found" { // who is no member leaves no trace in the workspace
		return Issued{}, g.refuseToken(ctx, c, fault.New(fault.Denied, "principal_inactive", "you are not a member of this workspace"))
	} else if err != nil {
		return Issued{}, err
	}
	c.ws = ws
	if err := g.recheck(ctx, c); err != nil {
		return Issued{}, g.refuseToken(ctx, c, err)
	}
	prefix, aud, err := g.resource(ctx, ws, r.Resource)
	if err != nil {
		return Issued{}, g.refuseToken(ctx, c, err)
	}
	all := []delegation.Permission{{Permission: prefix + "*"}}
	return g.issue(ctx, c, aud, r, all, token.Claims{Subject: c.person.String(), Workspace: ws, Session: c.key.String()}, nil, nil)
}

// Exchange turns a delegation that names the agent into an access token with the person in sub and the agents nested in act (RFC 8693,
// authority.md §4). A statement that its lender has not yet recorded is lent in the same transaction.
func (g *Guard) Exchange(ctx context.Context, c *Client, r TokenRequest) (Issued, error) {
	if c.agent.IsZero() {
		return Issued{}, g.refuseToken(ctx, c, fault.New(fault.Denied, "grant_not_allowed", "only an agent's instance exchanges"))
	}
	if err := g.recheck(ctx, c); err != nil {
		return Issued{}, g.refuseToken(ctx, c, err)
	}
	prefix, aud, err := g.resource(ctx, c.ws, r.Resource)
	if err != nil {
		return Issued{}, g.refuseToken(ctx, c, err)
	}
	sub, err := g.subject(ctx, c, r)
	if err != nil {
		return Issued{}, g.refuseToken(ctx, c, err)
	}
	if err := g.fits(ctx, c, sub); err != nil {
		return Issued{}, g.refuseToken(ctx, c, err)
	}
	last := sub.statements[len(sub.statements)-1]
	claims := token.Claims{
		Subject: sub.statements[0].Delegator.User.String(), Workspace: c.ws, Delegation: last.ID, Task: last.Task,
		Act: sub.actors(c),
	}
	all := last.Permissions
	if sub.limit != nil {
		all = meet(all, sub.limit)
	}
	return g.issue(ctx, c, aud, r, within(all, prefix), claims, sub, sub.lend)
}

// subject is the chain that an exchange rests on.
type subject struct {
	statements []delegation.Statement  // the root first, the one that names the caller last
	links      []lending.Delegation    // those of them that are recorded
	lend       func(*audit.Tx) error   // records the last, where it was not
	limit      []delegation.Permission // what the subject token permits; nil for a delegation
}

// subject reads the subject token. Nothing of it is believed before its signature held.
func (g *Guard) subject(ctx context.Context, c *Client, r TokenRequest) (*subject, error) {
	switch r.SubjectType {
	case TypeDelegation:
		signed, link, err := delegation.ParseToken(r.Subject)
		if err != nil {
			return nil, err
		}
		if link != nil {
			return g.recordedSubject(ctx, c, *link)
		}
		return g.newSubject(ctx, c, signed)
	case TypeAccessToken:
		return g.tokenSubject(ctx, c, r.Subject)
	}
	return nil, fault.New(fault.Invalid, "malformed", "the subject token type is not one that attorn exchanges").Try("use %s or %s", TypeDelegation, TypeAccessToken)
}

// recordedSubject is a countersigned statement: it must be the record itself.
func (g *Guard) recordedSubject(ctx context.Context, c *Client, link delegation.Link) (*subject, error) {
	if err := link.Verify(g.issuerKey(ctx)); err != nil {
		return nil, err
	}
	return g.chainSubject(ctx, c, link.Statement.ID)
}

func (g *Guard) chainSubject(ctx context.Context, c *Client, d id.Delegation) (*subject, error) {
	chain, err := g.Lending.Chain(ctx, c.ws, d)
	if err != nil {
		return nil, notLent(err)
	}
	s := &subject{links: chain}
	for _, l := range chain {
		s.statements = append(s.statements, l.Link.Statement)
	}
	return s, nil
}

// newSubject is a statement that an agent signed and hands on itself.
func (g *Guard) newSubject(ctx context.Context, c *Client, signed delegation.Signed) (*subject, error) {
	st := signed.Statement
	if digest, err := st.Digest(); err != nil {
		return nil, err
	} else if known, err := g.Lending.ByStatement(ctx, c.ws, digest); err == nil {
		return g.chainSubject(ctx, c, known.ID)
	} else if fault.Code(err) != "not_found" {
		return nil, err
	}
	key, err := g.delegatorKey(ctx, c.ws, signed)
	if err != nil {
		return nil, err
	}
	s := &subject{}
	if st.Parent != nil {
		parent, err := g.Lending.ByStatement(ctx, c.ws, *st.Parent)
		if err != nil {
			return nil, notLent(err)
		}
		if s, err = g.chainSubject(ctx, c, parent.ID); err != nil {
			return nil, err
		}
	}
	s.statements = append(s.statements, st)
	s.lend = func(tx *audit.Tx) error {
		link, err := g.countersign(tx, signed, key)
		if err != nil {
			return err
		}
		d, _, err := g.Lending.Lend(tx, c.ws, link)
		if err != nil {
			return err
		}
		if d.StatusAt(tx.Now()) != lending.Active { // somebody recorded and ended it since we looked
			return fault.New(fault.Denied, "delegation_ended", "the delegation has ended")
		}
		doc := evidence.ContentOf([]byte(d.Link.String())) // what later events of its chain name
		tx.Keep(doc)
		tx.Event().What = &evidence.What{Delegation: d.ID, Link: doc.Digest}
		return nil
	}
	return s, nil
}

// tokenSubject is an access token of the lender: it needs exactly one live delegation under its own to the caller.
func (g *Guard) tokenSubject(ctx context.Context, c *Client, raw string) (*subject, error) {
	claims, err := token.Verify(raw, g.issuerKey(ctx), token.Want{Issuer: g.Issuer, AnyAudience: true, Now: g.Now(), Leeway: skew})
	if err != nil {
		return nil, err
	}
	if claims.Workspace != c.ws || claims.Delegation.IsZero() {
		return nil, fault.New(fault.Denied, "not_lent", "the subject token rests on no delegation in this workspace")
	}
	if ended, err := g.Tickets.Ended(ctx, c.ws, claims.ID); err != nil {
		return nil, err
	} else if ended {
		return nil, fault.New(fault.Denied, "delegation_ended", "the subject token was revoked")
	}
	under, err := g.Lending.List(ctx, c.ws, lending.Query{Delegator: lenderOf(claims), Delegate: c.agent.String(), Parent: claims.Delegation, Limit: 200})
	if err != nil {
		return nil, err
	}
	under = slices.DeleteFunc(under, func(d lending.Delegation) bool { return d.StatusAt(g.Now()) != lending.Active })
	switch len(under) {
	case 0:
		return nil, fault.New(fault.Denied, "not_lent", "the subject token's holder has lent nothing to this agent").Try("have it lend: attorn lend %s", c.agent)
	case 1:
		s, err := g.chainSubject(ctx, c, under[0].ID)
		if err == nil {
			s.limit = claims.Permissions()
		}
		return s, err
	}
	return nil, fault.New(fault.Conflict, "ambiguous_delegation", "the subject token's holder has lent several times to this agent").Try("name one: exchange the delegation itself")
}

// fits demands that the chain leads to this caller and that everybody on it may act.
func (g *Guard) fits(ctx context.Context, c *Client, s *subject) error {
	last := s.statements[len(s.statements)-1]
	if last.Issuer != g.Issuer || last.Workspace != c.ws {
		return fault.New(fault.Denied, "not_lent", "the delegation is of another server or workspace")
	}
	if last.Delegate.Agent != c.agent || !last.Delegate.Instance.IsZero() && last.Delegate.Instance != c.instance {
		return fault.New(fault.Denied, "not_lent", "the delegation lends to another agent or instance")
	}
	switch now := g.Now().Unix(); { // of one that is not recorded yet, too
	case now < last.NotBefore:
		return fault.New(fault.Denied, "delegation_not_yet", "the delegation has not begun")
	case now >= last.ExpiresAt:
		return fault.New(fault.Denied, "delegation_expired", "the delegation has expired")
	}
	if len(s.links) > 0 {
		if err := lending.Live(s.links, g.Now()); err != nil {
			return err
		}
	}
	for i, st := range s.statements {
		if i == 0 {
			p, err := g.People.Person(ctx, c.ws, st.Delegator.User)
			if err != nil {
				return err
			}
			if err := p.Live(); err != nil {
				return err
			}
			continue
		}
		if _, _, err := g.Agents.Live(ctx, st.Delegator.Instance, g.Now()); err != nil {
			return err
		}
	}
	return nil
}

// actors nests the chain: the caller outermost (RFC 8693 §4.1).
func (s *subject) actors(c *Client) *token.Actor {
	var act *token.Actor
	for _, st := range s.statements[1:] {
		act = &token.Actor{Sub: st.Delegator.Agent, Instance: st.Delegator.Instance, Act: act}
	}
	return &token.Actor{Sub: c.agent, Instance: c.instance, Act: act}
}

func (s *subject) depends() (ids []string) {
	for _, st := range s.statements {
		ids = append(ids, st.ID.String(), st.Delegator.User.String(), st.Delegator.Agent.String(), st.Delegator.Instance.String())
	}
	return slices.DeleteFunc(ids, func(s string) bool { return s == "" })
}

func notLent(cause error) error {
	if fault.Code(cause) == "not_found" {
		return fault.New(fault.Denied, "not_lent", "the delegation is not recorded here")
	}
	return cause
}

// resource finds the permission prefix of an audience: attorn's API, an MCP server, a registered service (RFC 8707).
func (g *Guard) resource(ctx context.Context, ws id.Workspace, aud string) (prefix, audience string, err error) {
	if aud == "" || aud == g.API(ws) {
		return "attorn:", g.API(ws), nil
	}
	unknown := fault.New(fault.Invalid, "unknown_resource", "no resource of this workspace has that URL").Try("ask for a registered MCP server or service")
	if name, ok := strings.CutPrefix(aud, g.MCP(ws, "")); ok {
		s, err := g.server(ctx, ws, name)
		if err != nil {
			return "", "", unknown
		}
		return "tool:" + s.Name + ":", aud, nil
	}
	s, err := g.Clients.ByResource(ctx, ws, aud)
	if fault.Code(err) == "not_found" {
		return "", "", unknown
	} else if err != nil {
		return "", "", err
	}
	return s.Prefix + ":", aud, nil
}

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
	key, err := g.Ring.Current(keyring.ForTokens)
	if err != nil {
		return Issued{}, err
	}
	now := g.Now()
	claims.Issuer, claims.Audience, claims.ClientID = g.Issuer, aud, c.id
	claims.ID, claims.IssuedAt, claims.Expires = newJTI(), now.Unix(), g.expiry(now, sub)
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
	s := &standing{who: evidence.Who{Sub: c.Sub(), Instance: c.instance, Proof: &c.proof}, content: []evidence.Content{doc}}
	d := s.draft(&c.Caller, evidence.TokenIssued)
	d.Outcome, d.Target = evidence.OK, aud
	d.Under = &evidence.Under{
		Token:      &evidence.TokenRef{ID: claims.ID, Kid: key.Kid, Expires: claims.Expires, SHA256: doc.Digest},
		Delegation: claims.Delegation, Task: claims.Task,
	}
	d.Task, d.Why = claims.Task, &evidence.Why{AsOf: c.asOf}
	d.Depends = append(d.Depends, c.Sub(), c.instance.String(), c.key.String())
	if sub != nil {
		d.Depends = append(d.Depends, sub.depends()...)
		d.Person = sub.statements[0].Delegator.User
	}
	got, err := g.Log.Record(ctx, d, lend)
	if errors.Is(err, audit.ErrStale) {
		return Issued{}, g.refuseToken(ctx, c, fault.New(fault.Denied, "delegation_ended", "what the token would rest on has just ended"))
	}
	if f := fault.Of(err); f != nil && f.Kind != fault.Unavailable {
		return Issued{}, g.refuseToken(ctx, c, err)
	}
	if err != nil {
		return Issued{}, err
	}
	if got.Outcome == evidence.Deny {
		return Issued{}, replayed(got.Seen)
	}
	return Issued{Token: raw, Expires: time.Unix(claims.Expires, 0).Sub(now), Permissions: ps, Delegation: claims.Delegation}, nil
}

// expiry is min(ttl, delegation).
func (g *Guard) expiry(now time.Time, sub *subject) int64 {
	end := now.Add(g.TokenTTL).Unix()
	if sub != nil {
		for _, st := range sub.statements {
			end = min(end, st.ExpiresAt)
		}
	}
	return end
}

// refuseToken records that a token was refused, and gives the refusal back. It spends the proofs: they were used.
func (g *Guard) refuseToken(ctx context.Context, c *Client, cause error) error {
	f := fault.Of(cause)
	if f == nil || f.Kind == fault.Internal || f.Kind == fault.Unavailable {
		return cause
	}
	ws := c.ws
	if ws.IsZero() {
		ws = id.Server
	}
	s := &standing{who: evidence.Who{Sub: c.Sub(), Instance: c.instance, Proof: &c.proof}}
	if s.who.Sub == "" {
		s.who.Sub = c.id
	}
	d := s.draft(&c.Caller, evidence.TokenRefused)
	d.Workspace, d.Outcome, d.Why = ws, evidence.Deny, &evidence.Why{Code: f.Code, Reason: f.Reason}
	got, err := g.Log.Record(ctx, d, nil)
	if err != nil {
		return err
	}
	if got.Code != "" {
		return replayed(got.Seen)
	}
	return cause
}

func newJTI() string {
	var b [16]byte
	readRandom(b[:])
	return jose.EncodeBase64(b[:])
}

// lenderOf is who holds the token: the current actor.
func lenderOf(c token.Claims) string {
	if c.Act != nil {
		return c.Act.Sub.String()
	}
	return c.Subject
}
