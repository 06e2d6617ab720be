package guard

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/attorn/attorn/dpop"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/clients"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

// Client is who a request at the authorization server was proved to come from: an agent's instance, a person's own key, a service, or an app with a key.
type Client struct {
	Caller
	id     string         // client_id
	owner  id.User        // the agent's
	aud    string         // a service's resource
	proven id.Key         // that signed
	app    clients.App    // that it is; zero for others
	jwk    jose.PublicKey // an app's DPoP key; zero: it showed none
	fresh  bool           // that key is no instance yet
	unborn bool           // the app's agent is not there yet: who is refused is nobody
	brings bool           // something that is spent whatever is wrong: its refusal is recorded with that
	asOf   int64          // the log's position before the client was last read
	rests  []string       // what the agent's instance rested on then
	line   id.Key         // the first key of its running copy
	marks  int64          // up to where tokens of the client, or of its workspace's agents, were ended
}

// ID is the client_id.
func (c *Client) ID() string { return c.id }

// Key is the key that the client proved to hold.
func (c *Client) Key() id.Key { return c.proven }

// who the client is, in the event's terms.
func (c *Client) who() evidence.Who {
	sub := cmp.Or(c.Sub(), c.id)
	if c.Sub() == "" && c.app.ID != "" { // an app is nobody before it is somebody's
		sub = evidence.ServerSub
	}
	return evidence.Who{Sub: sub, Instance: c.instance, Owner: c.owner, Proof: &c.proof}
}

// ClientProof is what a client sends to prove itself: a client assertion (RFC 7523) and, for tokens, a DPoP proof by the same key.
type ClientProof struct {
	Method, URL string
	ClientID    string // as sent, "" when absent
	Assertion   string
	DPoP        []string
	NeedDPoP    bool
	IP          string
}

// invalidClient is the one text for an unknown client, a wrong key, a wrong audience and a replay: it tells a stranger nothing.
// A failure of the store is not the client's.
func invalidClient(cause error) error {
	if f := fault.Of(cause); cause != nil && (f == nil || f.Kind == fault.Internal || f.Kind == fault.Unavailable) {
		return cause
	}
	return fault.Wrap(cause, fault.Unauthenticated, "invalid_client", "client authentication failed").
		Try("sign a new assertion with the enrolled key: iss and sub are the client_id, aud is the issuer")
}

// replayed is the refusal of a request whose proofs had been seen: of the assertion, or of the DPoP proof alone.
func replayed(kind string) error {
	if kind == "dpop" {
		return fault.New(fault.Unauthenticated, "dpop_replayed", "the DPoP proof was used before; each one is accepted once").Try("make a proof for each request")
	}
	if kind == seenIdentity {
		return fault.New(fault.Denied, "assertion_spent", "the identity assertion was used before; each one is accepted once").Try("have the provider issue another one")
	}
	return invalidClient(nil)
}

// recheck notes where the log stands and reads once more that the client may act: whatever ends after this makes the grant's commit stale, so no
// token follows the end of what it rests on.
func (g *Guard) recheck(ctx context.Context, c *Client) (err error) {
	if c.asOf, err = g.memory.asOf(ctx, c.ws); err != nil {
		return err
	}
	if !c.service.IsZero() {
		_, err := g.Clients.Client(ctx, c.service)
		return err
	}
	if c.agent.IsZero() {
		if _, _, err := g.People.PersonByKey(ctx, c.key); err != nil {
			return err
		}
		p, err := g.People.Person(ctx, c.ws, c.person)
		if err == nil {
			err = p.Live()
		}
		c.marks = p.TokensFrom
		return err
	}
	ends, err := g.endsAsOf(ctx, c.ws, c.asOf)
	if err != nil {
		return err
	}
	if err := ends.Live(); err != nil {
		return err
	}
	is, err := g.actingAsOf(ctx, c.ws, c.asOf, c.instance)
	c.rests, c.line, c.marks = append(slices.Clone(is.Rests), is.Agent.Owner.String()), is.Instance.Line, max(ends.TokensFrom, is.Agent.TokensFrom, is.Instance.TokensFrom)
	if err == nil {
		err = is.Agent.Accountable(g.Now())
	}
	return err
}

// NoteRefused records that somebody who claimed to be a client of this server did not prove it: in the log of the client's workspace, as an act
// of nobody's. For a client that does not exist there is no such log. Nothing is spent.
func (g *Guard) NoteRefused(ctx context.Context, claimed string, p ClientProof, cause error) error {
	f := fault.Of(cause)
	if f == nil {
		return nil
	}
	d := evidence.Draft{Target: claimed}
	d.Kind, d.Outcome, d.Where.Face, d.Who.Sub = evidence.TokenRefused, evidence.Deny, "oauth", evidence.ServerSub
	d.Why = &evidence.Why{Code: f.Code, Reason: f.Reason}
	if inner := fault.Of(f.Unwrap()); inner != nil { // what a stranger is not told
		d.Why.Reason = inner.Reason
	}
	if known, err := g.about(ctx, &d, claimed); err != nil || !known {
		return err
	}
	return g.recordFrom(ctx, &d, claimed, p.IP)
}

// about puts a draft into the log of whom it is about. It reports false for somebody who does not exist.
func (g *Guard) about(ctx context.Context, d *evidence.Draft, claimed string) (bool, error) {
	if agent, err := id.Parse[id.Agent](claimed); err == nil {
		a, err := g.Agents.Anywhere(ctx, agent)
		if err != nil {
			return false, unless(err, "not_found")
		}
		d.Workspace, d.Agent = a.Workspace, a.ID
		return true, nil
	}
	if service, err := id.Parse[id.Service](claimed); err == nil {
		s, err := g.Clients.Client(ctx, service)
		if err != nil {
			return false, unless(err, "not_found")
		}
		d.Workspace = s.Workspace
		return true, nil
	}
	if user, err := id.Parse[id.User](claimed); err == nil {
		in, err := g.People.Workspaces(ctx, user)
		if err != nil || len(in) == 0 {
			return false, err
		}
		d.Workspace, d.Also, d.Person = in[0], in[1:], user
		return true, nil
	}
	return false, nil
}

// recordFrom records a draft that changes nothing, with the address that it came from, sealed.
func (g *Guard) recordFrom(ctx context.Context, d *evidence.Draft, subject, ip string) error {
	if ip != "" {
		if err := seal(d, &d.Where.IP, subject, "ip", ip); err != nil {
			return err
		}
	}
	_, err := g.Log.Record(ctx, *d, nil)
	return err
}

// unless is err, or nil where its code is the one given.
func unless(err error, code string) error {
	if fault.Code(err) == code {
		return nil
	}
	return err
}

// AuthenticateClient proves a client. The DPoP nonce is demanded before anything else can be spent. Nothing is spent yet: the grant's commit
// does that. Codes: invalid_client, and those of package dpop.
func (g *Guard) AuthenticateClient(ctx context.Context, p ClientProof) (*Client, error) {
	return g.authenticateClient(ctx, p, p.NeedDPoP)
}

// authenticateClient may know an agent's instance from memory where a token is asked for: the token's commit is refused if it ended meanwhile.
func (g *Guard) authenticateClient(ctx context.Context, p ClientProof, remembered bool) (*Client, error) {
	now := g.Now()
	a, j, err := token.ParseAssertion(p.Assertion, g.Issuer, now, g.headers.Of(p.Assertion))
	if err != nil {
		return nil, invalidClient(err)
	}
	if p.ClientID != "" && p.ClientID != a.Subject {
		return nil, invalidClient(nil)
	}
	c := &Client{id: a.Subject, proven: a.Kid}
	c.ip, c.face = address(p.IP), "oauth"
	key, err := g.clientKey(ctx, c, a.Kid, now, remembered)
	if err != nil {
		return nil, err
	}
	if err := j.Verify(key); err != nil {
		return nil, invalidClient(err)
	}
	g.headers.Keep(j.Header)
	c.once = []evidence.Nonce{{
		Kind: "assertion", Key: a.Kid.String(), ID: id.Sum([]byte(a.JTI)), Expires: a.Expires.Add(skew),
	}}
	if !p.NeedDPoP {
		c.proofIs("jws", a.Raw)
		return c, nil
	}
	if clients.IsApp(c.id) { // its DPoP key is another one, and it gets tokens for its agents alone (ProveApp)
		return nil, invalidClient(nil)
	}
	return c, g.clientDPoP(c, p, key, now)
}

// clientKey finds the live key that the assertion names: an instance's, a person's, a service's.
func (g *Guard) clientKey(ctx context.Context, c *Client, kid id.Key, now time.Time, remembered bool) (jose.PublicKey, error) {
	none := jose.PublicKey{}
	if want, err := id.Parse[id.Agent](c.id); err == nil {
		is, known := agents.Standing{}, false
		if remembered {
			is, known = g.remembersActing(ctx, kid)
		}
		a, i := is.Agent, is.Instance
		if !known {
			a, i, err = g.Agents.Live(ctx, kid, now)
		}
		if err == nil {
			err = notPartner(i)
		}
		if err == nil && a.ID == want {
			err = g.noApp(ctx, a.Workspace, a.ID)
		}
		if err != nil || a.ID != want {
			return none, invalidClient(err)
		}
		c.ws, c.agent, c.instance, c.owner = a.Workspace, a.ID, i.Key, a.Owner
		return i.JWK, nil
	}
	if want, err := id.Parse[id.User](c.id); err == nil {
		p, k, err := g.People.PersonByKey(ctx, kid)
		if err != nil || p.ID != want {
			return none, invalidClient(err)
		}
		c.person, c.key = p.ID, k.Key
		return k.JWK, nil
	}
	if want, err := id.Parse[id.Service](c.id); err == nil {
		s, err := g.Clients.Client(ctx, want)
		if err != nil || s.Key.Thumbprint() != kid {
			return none, invalidClient(err)
		}
		c.ws, c.service, c.aud, c.key = s.Workspace, s.ID, s.Resource, kid
		return s.Key, nil
	}
	if clients.IsApp(c.id) {
		_, key, err := g.appKey(ctx, c.id, kid)
		c.key = kid
		return key, err
	}
	return none, invalidClient(nil)
}

func (g *Guard) clientDPoP(c *Client, p ClientProof, key jose.PublicKey, now time.Time) error {
	if len(p.DPoP) != 1 {
		return fault.New(fault.Unauthenticated, "dpop_malformed", "the request has %d DPoP headers, not one", len(p.DPoP)).
			Try("sign a proof for this request with the key that signs the assertion")
	}
	proof, err := g.verifyProof(p.DPoP[0], dpop.Want{
		Method: p.Method, URL: p.URL, Key: key.Thumbprint(), Now: now, Past: dpopPast, Future: dpopFuture,
	})
	if err != nil {
		return err
	}
	if err := g.nonces.Demand(proof, now); err != nil {
		return err
	}
	c.once = append(c.once, dpopNonce(proof, now))
	c.proofIs("dpop", proof.Raw)
	return nil
}

// proofIs notes which proof the client's events name.
func (c *Client) proofIs(kind, raw string) {
	c.proofRaw = []byte(raw)
	c.proof = evidence.ProofRef{Type: kind, SHA256: id.Sum(c.proofRaw)}
}

// AuthenticateKey proves that a request was signed by the holder of a key that need not be known yet: for enrolment and first sign-in.
func (g *Guard) AuthenticateKey(cr Credentials) (jose.PublicKey, []evidence.Nonce, []byte, error) {
	now := g.Now()
	if len(cr.DPoP) != 1 {
		return jose.PublicKey{}, nil, nil, fault.New(fault.Unauthenticated, "dpop_malformed", "the request has %d DPoP headers, not one", len(cr.DPoP)).
			Try("sign a DPoP proof for this request with the key that is to be registered")
	}
	proof, err := dpop.Verify(cr.DPoP[0], dpop.Want{Method: cr.Method, URL: cr.URL, Now: now, Past: dpopPast, Future: dpopFuture})
	if err != nil {
		return jose.PublicKey{}, nil, nil, err
	}
	if err := g.nonces.Demand(proof, now); err != nil {
		return jose.PublicKey{}, nil, nil, err
	}
	return proof.Key, []evidence.Nonce{dpopNonce(proof, now)}, []byte(proof.Raw), nil
}
