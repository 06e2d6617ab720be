package guard

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/people"
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

// asserted is what a provider asserts of a person and a client, once it is verified.
type asserted struct {
	vouched
	person   people.Person
	lends    []delegation.Permission // that its scope names
	resource []string                // that it is for; nil: not said
	authTime int64
	jti      string
}

// IdentityToken lends from a person to the client, an agent, what the person's provider says, for as long as it says, and issues a token for that in the same
// transaction; there is no other. Each assertion is good once. Codes: grant_not_allowed, untrusted_issuer, identity_unknown, identity_ended, not_lent,
// unknown_resource, and those of a token that is refused.
func (g *Guard) IdentityToken(ctx context.Context, c *Client, assertion string, r TokenRequest) (Issued, error) {
	if c.agent.IsZero() {
		return Issued{}, g.refuseToken(ctx, c, fault.New(fault.Denied, "grant_not_allowed", "identity assertions lend to agents"))
	}
	a, err := g.readAsserted(ctx, c, assertion)
	if err != nil {
		return Issued{}, g.refuseToken(ctx, c, err)
	}
	c.once = append(slices.Clip(c.once), evidence.Nonce{Kind: seenIdentity, Key: a.issuer, ID: id.Sum([]byte(a.jti)), Expires: a.expires.Add(skew)})
	return settled(func() (Issued, error) { return g.identityToken(ctx, c, a, r) })
}

// readAsserted verifies an assertion: of a provider that may, for this server and this client alone, of somebody who is known by that provider's name for them, never
// by an address. Codes: untrusted_issuer, identity_unknown, identity_ended.
func (g *Guard) readAsserted(ctx context.Context, c *Client, raw string) (a asserted, err error) {
	if a.vouched, err = parseTyped(raw, IdentityAssertion, g.Issuer, g.Now()); err != nil {
		return a, unbelieved(err)
	}
	if !slices.Contains(g.Asserting, a.issuer) {
		return a, unbelieved(notAcceptable("its issuer is none whose identity assertions lend"))
	}
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
	a.person, err = g.People.PersonByIdentity(ctx, a.issuer, a.subject)
	return a, err
}

// unbelieved is the one text for an assertion that is not acceptable; why is for the server's own log.
func unbelieved(cause error) error {
	return fault.Wrap(cause, fault.Unauthenticated, "untrusted_issuer", "the identity assertion is not trusted here").
		Try("have an administrator look whether the provider has identity_assertions, and that it names this server in aud and the agent in client_id")
}

// read reads the claims of §3.1 beside those of every assertion.
func (a *asserted) read(c *Client, now time.Time) error {
	client, err := a.text("client_id")
	if err != nil {
		return err
	}
	if a.jti, err = a.text("jti"); err != nil {
		return err
	}
	scope, err := a.text("scope")
	if err != nil {
		return err
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
	case !said || a.expires.Sub(issued) > maxAsserted || a.expires.Sub(now) > maxAsserted+skew:
		return notAcceptable("it has no iat, or is good for more than %s", maxAsserted)
	}
	if a.authTime = issued.Unix(); !signedIn.IsZero() && signedIn.Before(issued) {
		a.authTime = signedIn.Unix()
	}
	switch v := a.claims["resource"]; v.Kind() {
	case '"':
		a.resource = make([]string, 1)
		err = json.Unmarshal(v, &a.resource[0])
	case '[':
		err = json.Unmarshal(v, &a.resource)
	default:
		if v != nil {
			err = notAcceptable("its resource is no URL")
		}
	}
	if err != nil {
		return notAcceptable("its resource is no URL")
	}
	for item := range strings.FieldsSeq(scope) {
		if _, err := delegation.ParsePermission(item); err == nil { // what is none is nothing here, such as openid
			a.lends = append(a.lends, delegation.Permission{Permission: item})
		}
	}
	return nil
}

func (g *Guard) identityToken(ctx context.Context, c *Client, a asserted, r TokenRequest) (Issued, error) {
	refuse := func(err error) (Issued, error) { return Issued{}, g.refuseToken(ctx, c, err) }
	if err := g.recheck(ctx, c); err != nil {
		return refuse(err)
	}
	prefix, aud, err := g.resource(ctx, c.ws, r.Resource)
	if err != nil {
		return refuse(err)
	}
	if aud == g.API(c.ws) {
		return refuse(fault.New(fault.Invalid, "unknown_resource", "identity assertions lend tools and services, and not attorn's own API").Try("name one in resource"))
	}
	if a.resource != nil && !slices.Contains(a.resource, aud) {
		return refuse(fault.New(fault.Invalid, "unknown_resource", "the assertion is for another resource").Try("ask for the resource that it names"))
	}
	lends := within(a.lends, prefix)
	if len(lends) == 0 {
		return refuse(fault.New(fault.Denied, "not_covered", "the assertion's scope has nothing for this resource"))
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
		what := *tx.Event().What
		what.Delegation = st.ID
		tx.Event().What = &what
		_, err := g.lendIn(tx, c.ws, signed, key)
		return err
	})
}

// mayAssert asks policy what it is asked when the person lends themselves; who was recovered just now lends nothing.
func (g *Guard) mayAssert(ctx context.Context, c *Client, sub *subject) error {
	st := sub.statements[0]
	lender := &Caller{ws: c.ws, person: st.Delegator.User, ip: c.ip, face: c.face}
	s, err := g.resolve(ctx, lender)
	if err != nil {
		return err
	}
	if err := s.person.Settled(s.now); err != nil {
		return err
	}
	sub.rests = s.depends
	ans, err := g.decide(ctx, lender, s, lendAct(st).question(c.ws), nil)
	if err == nil && ans.Outcome != policy.Permit {
		err = fault.New(fault.Denied, "not_lent", "policy does not let the person lend this: %s", ans.Message)
	}
	return err
}
