package guard

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/clients"
	"github.com/attorn/attorn/internal/people"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/policy"
	"github.com/attorn/attorn/token"
)

// IdentityAssertion is the typ of an Identity Assertion JWT Authorization Grant (a draft: draft-ietf-oauth-identity-assertion-authz-grant §3).
const IdentityAssertion = "oauth-id-jag+jwt"

const (
	seenIdentity = "jag"
	maxAsserted  = time.Hour // an identity assertion's life
	maxAssertJTI = 256       // bytes
)

// Asserter is a provider, of those that people sign in with, whose identity assertions lend.
type Asserter struct {
	Issuer   string
	Passkeys bool // for people with a passkey, too, who could sign what they lend themselves
}

// asserted is what a provider asserts of a person and a client, once it is verified.
type asserted struct {
	vouched
	person   people.Person
	passkeys bool                    // it may assert of those, too
	lends    []delegation.Permission // that its scope names
	details  []token.Detail          // that its authorization_details name
	resource []string                // that it is for; nil: not said
	tenant   string                  // the workspace that it is for; "": not said
	authTime int64
	jti      string
}

// IdentityToken lends from a person to the client, an agent or an app with a key, what the person's provider says, for as long as it says, and issues a token for
// that in the same transaction; there is no other. An app becomes an agent of the person's, where a rule of the workspace allows it. Each assertion is good once.
// Codes: grant_not_allowed, untrusted_issuer, identity_unknown, identity_ended, principal_inactive, passkey_needed, not_lent, unknown_resource, client_denied, and
// those of become and of a token that is refused.
func (g *Guard) IdentityToken(ctx context.Context, c *Client, assertion string, r TokenRequest) (Grant, error) {
	switch {
	case c.app.ID != "" && !c.app.Proves: // draft §8.1: confidential clients alone
		return Grant{}, g.refuseToken(ctx, c, fault.New(fault.Denied, "grant_not_allowed", "identity assertions are for clients that prove themselves by a key").
			Try("publish keys in the app's metadata, or send the person to the authorization endpoint"))
	case c.app.ID != "" && !c.app.Uses(clients.GrantAssertion): // RFC 7591 §2
		return Grant{}, g.refuseToken(ctx, c, fault.New(fault.Denied, "grant_not_allowed", "the app's metadata does not say that it uses this grant").
			Try("list %s in its grant_types", clients.GrantAssertion))
	case c.app.ID == "" && c.agent.IsZero():
		return Grant{}, g.refuseToken(ctx, c, fault.New(fault.Denied, "grant_not_allowed", "identity assertions lend to agents and apps"))
	}
	a, err := g.readAsserted(ctx, c, assertion)
	if err != nil {
		return Grant{}, g.refuseToken(ctx, c, err)
	}
	c.once = append(slices.Clip(c.once), evidence.Nonce{Kind: seenIdentity, Key: a.issuer, ID: id.Sum([]byte(a.jti)), Expires: a.expires.Add(skew)})
	got, err := settled(func() (Issued, error) { return g.identityToken(ctx, c, a, r) })
	return Grant{Issued: got, Bearer: err == nil && c.instance.IsZero()}, err
}

// readAsserted verifies an assertion: of a provider that may, for this server and this client alone, of somebody who is known by that provider's name for them, never
// by an address. Codes: untrusted_issuer, identity_unknown, identity_ended.
func (g *Guard) readAsserted(ctx context.Context, c *Client, raw string) (a asserted, err error) {
	if a.vouched, err = parseTyped(raw, IdentityAssertion, g.Issuer, g.Now()); err != nil {
		return a, unbelieved(err)
	}
	i := slices.IndexFunc(g.Asserting, func(by Asserter) bool { return by.Issuer == a.issuer })
	if i < 0 {
		return a, unbelieved(notAcceptable("its issuer is none whose identity assertions lend"))
	}
	a.passkeys = g.Asserting[i].Passkeys
	keys, err := g.discovered(ctx, agents.TrustRule{Issuer: a.issuer, Keys: agents.Discovery, AllowPrivate: true}, a.kid) // the configuration names it
	if err != nil {
		return a, err
	}
	if err := a.verify(keys); err != nil {
		return a, unbelieved(err)
	}
	if err := a.read(c, g.Now()); err != nil {
		return a, unbelieved(err)
	}
	if a.person, err = g.People.PersonByIdentity(ctx, a.issuer, a.subject); err != nil {
		return a, err
	}
	if own, err := a.text("aud_sub"); err != nil || own != "" && own != a.person.ID.String() {
		return a, unbelieved(notAcceptable("its aud_sub is somebody else than its iss and sub"))
	}
	return a, nil
}

// unbelieved is the one text for an assertion that is not acceptable; why is for the server's own log.
func unbelieved(cause error) error {
	return fault.Wrap(cause, fault.Unauthenticated, "untrusted_issuer", "the identity assertion is not trusted here").
		Try("have an administrator look whether the provider has identity_assertions, and that it names this server in aud and the client in client_id")
}

// read reads the claims of §3.1 beside those of every assertion.
func (a *asserted) read(c *Client, now time.Time) error {
	var client, tenant, scope string
	for claim, into := range map[string]*string{"client_id": &client, "jti": &a.jti, "scope": &scope, "aud_tenant": &a.tenant, "tenant": &tenant} {
		var err error
		if *into, err = a.text(claim); err != nil {
			return err
		}
	}
	issued, said, err := a.time("iat")
	if err != nil {
		return err
	}
	signedIn, _, err := a.time("auth_time")
	switch {
	case err != nil:
		return err
	case client != c.id:
		return notAcceptable("its client_id is another client's than asks")
	case a.jti == "" || len(a.jti) > maxAssertJTI:
		return notAcceptable("its jti has 1 to %d bytes", maxAssertJTI)
	case a.claims["tenant"] != nil: // people are known here by iss and sub alone, which another tenant may give to somebody else (draft §6.3)
		return notAcceptable("its issuer has tenants, in which its sub may be of several people")
	case !said || a.expires.Sub(issued) > maxAsserted || a.expires.Sub(now) > maxAsserted+skew:
		return notAcceptable("it has no iat, or is good for more than %s", maxAsserted)
	}
	if a.authTime = issued.Unix(); !signedIn.IsZero() && signedIn.Before(issued) {
		a.authTime = signedIn.Unix()
	}
	if err := a.confirms(c); err != nil {
		return err
	}
	if a.resource, err = a.oneOrMany("resource"); err != nil {
		return err
	}
	for item := range strings.FieldsSeq(scope) {
		if _, err := delegation.ParsePermission(item); err == nil { // what is none is nothing here, such as openid
			a.lends = append(a.lends, delegation.Permission{Permission: item})
		}
	}
	return a.readDetails()
}

// confirms holds the assertion to the key of the request's DPoP proof, where it names one (draft §8.6).
func (a *asserted) confirms(c *Client) error {
	v := a.claims["cnf"]
	if v == nil {
		return nil
	}
	var cnf struct {
		JKT string `json:"jkt"`
	}
	if err := jose.DecodeForeign(v, &cnf, jose.Limits{}); err != nil || cnf.JKT == "" || cnf.JKT != c.proven.String() {
		return notAcceptable("its cnf is not the key of the request's DPoP proof")
	}
	return nil
}

func (a *asserted) oneOrMany(claim string) (all []string, err error) {
	switch v := a.claims[claim]; v.Kind() {
	case '"':
		all = make([]string, 1)
		err = json.Unmarshal(v, &all[0])
	case '[':
		err = json.Unmarshal(v, &all)
	default:
		if v != nil {
			err = notAcceptable("")
		}
	}
	if err != nil {
		return nil, notAcceptable("its %s is no URL", claim)
	}
	return all, nil
}

// readDetails reads authorization_details (RFC 9396 §2), of which attorn_permission lends; other types are of others, and are left out (draft §4.4.1). What is
// constrained here and bare in scope would have no constraint: such an assertion does not say what it means.
func (a *asserted) readDetails() error {
	v := a.claims["authorization_details"]
	if v == nil {
		return nil
	}
	var each []jsontext.Value
	if err := jose.DecodeForeign(v, &each, jose.Limits{Bytes: maxVouched}); err != nil {
		return notAcceptable("its authorization_details are no list: %v", err)
	}
	for _, raw := range each {
		var kind struct {
			Type string `json:"type"`
		}
		if err := jose.DecodeForeign(raw, &kind, jose.Limits{}); err != nil || kind.Type == "" {
			return notAcceptable("one of its authorization_details has no type")
		}
		if kind.Type != token.DetailType {
			continue
		}
		var d token.Detail
		if err := jose.Decode(raw, &d, jose.Limits{}); err != nil {
			return notAcceptable("one of its authorization_details is not acceptable: %v", err)
		}
		p := delegation.Permission{Permission: d.Permission, Where: d.Where}
		if err := p.Check(); err != nil {
			return notAcceptable("one of its authorization_details is not acceptable: %v", err)
		}
		bare := delegation.Permission{Permission: d.Permission}
		if slices.ContainsFunc(a.lends, func(s delegation.Permission) bool { return delegation.Covers(s, bare) || delegation.Covers(bare, s) }) {
			return notAcceptable("%s is in its authorization_details and in its scope", d.Permission)
		}
		a.details = append(a.details, d)
	}
	return nil
}

// at is what the assertion lends at a resource with a prefix.
func (a *asserted) at(aud, prefix string) []delegation.Permission {
	all := slices.Clone(a.lends)
	for _, d := range a.details {
		if len(d.Locations) == 0 || slices.Contains(d.Locations, aud) {
			all = append(all, delegation.Permission{Permission: d.Permission, Where: d.Where})
		}
	}
	return within(all, prefix)
}

// forOne is the resource of the token: as asked for, or the only one that the assertion is for. Code: unknown_resource.
func (a *asserted) forOne(asked string) (string, error) {
	if asked == "" && len(a.resource) == 1 {
		return a.resource[0], nil
	}
	if asked == "" || a.resource != nil && !slices.Contains(a.resource, asked) {
		return "", fault.New(fault.Invalid, "unknown_resource", "the assertion is not for the resource that is asked for").Try("send the resource that it names")
	}
	return asked, nil
}

func (g *Guard) identityToken(ctx context.Context, c *Client, a asserted, r TokenRequest) (Issued, error) {
	refuse := func(err error) (Issued, error) { return Issued{}, g.refuseToken(ctx, c, err) }
	aud, err := a.forOne(r.Resource)
	if err != nil {
		return refuse(err)
	}
	to, err := g.assertedTo(ctx, c, a, aud)
	if err != nil {
		return refuse(err)
	}
	if a.tenant != "" && a.tenant != c.ws.String() {
		return refuse(unbelieved(notAcceptable("its aud_tenant is another workspace")))
	}
	prefix, aud, err := g.resource(ctx, c.ws, aud)
	if err != nil {
		return refuse(err)
	}
	if aud == g.API(c.ws) {
		return refuse(fault.New(fault.Invalid, "unknown_resource", "identity assertions lend tools and services, and not attorn's own API").Try("name one in resource"))
	}
	lends := a.at(aud, prefix)
	if len(lends) == 0 {
		return refuse(fault.New(fault.Denied, "not_covered", "the assertion has nothing for this resource in scope or authorization_details"))
	}
	if err := g.signsThemselves(ctx, a); err != nil {
		return refuse(err)
	}
	now := g.Now()
	st := delegation.Statement{
		Version: 1, ID: id.New[id.Delegation](now), Issuer: g.Issuer, Workspace: c.ws, Delegator: delegation.Delegator{User: a.person.ID},
		Delegate: delegation.Delegate{Agent: c.agent, Instance: c.instance}, Permissions: lends, NotBefore: now.Unix(), ExpiresAt: a.expires.Unix(),
	}
	if err := st.Check(); err != nil {
		return refuse(err)
	}
	sub := &subject{statements: []delegation.Statement{st}, told: a.raw}
	if err := g.fits(ctx, c, sub); err != nil {
		if fault.Code(err) == "not_found" {
			err = fault.New(fault.Denied, "principal_inactive", "the person is no member of the workspace")
		}
		return refuse(err)
	}
	if err := g.mayAssert(ctx, c, sub); err != nil {
		return refuse(err)
	}
	signed := delegation.Signed{Statement: st, Signature: delegation.Signature{Type: delegation.ByAttested}}
	key := delegation.DelegatorKey{Attested: &delegation.Attestation{Method: "id-jag", Issuer: a.issuer, AuthTime: a.authTime}}
	claims := token.Claims{Subject: a.person.ID.String(), Workspace: c.ws, Delegation: st.ID, Act: sub.actors(c)}
	return g.issue(ctx, c, aud, r, lends, claims, sub, func(tx *audit.Tx) error {
		if err := people.Running(tx, c.ws); err != nil {
			return err
		}
		if err := g.People.IdentityLives(tx, people.Identity{Issuer: a.issuer, Subject: a.subject, Person: a.person.ID}); err != nil {
			return err
		}
		if err := g.assertedApp(tx, c, a, to); err != nil {
			return err
		}
		what := *tx.Event().What
		what.Delegation = st.ID
		tx.Event().What = &what
		_, err := g.lendIn(tx, c.ws, signed, key)
		return err
	})
}

// signsThemselves refuses to lend in the name of somebody who has a passkey, with which they sign what they lend (authority.md §3), unless the provider may.
// Code: passkey_needed.
func (g *Guard) signsThemselves(ctx context.Context, a asserted) error {
	if a.passkeys {
		return nil
	}
	has, err := g.People.PasskeysOf(ctx, a.person.ID)
	if err == nil && len(has) > 0 {
		err = fault.New(fault.Denied, "passkey_needed", "the person has a passkey, and signs with it what is lent in their name").
			Try("send the person to the authorization endpoint, or have them lend: attorn lend")
	}
	return err
}

// mayAssert asks policy what it is asked when the person, in whose name the last statement is, lends themselves; who was recovered just now lends nothing.
func (g *Guard) mayAssert(ctx context.Context, c *Client, sub *subject) error {
	st := sub.statements[len(sub.statements)-1]
	lender := &Caller{ws: c.ws, person: st.Delegator.User, ip: c.ip, face: c.face}
	s, err := g.resolve(ctx, lender)
	if err != nil {
		return err
	}
	if err := s.person.Settled(s.now); err != nil {
		return err
	}
	sub.rests = append(sub.rests, s.depends...)
	ans, err := g.decide(ctx, lender, s, lendAct(st).question(c.ws), nil)
	if err == nil && ans.Outcome != policy.Permit {
		err = fault.New(fault.Denied, "not_lent", "policy does not let the person lend this: %s", ans.Message)
	}
	return err
}
