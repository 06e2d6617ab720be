package guard

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"github.com/attorn/attorn/dpop"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/token"
)

// The windows of a DPoP proof's iat (oauth.md §5), and how long a spent one is remembered beyond them.
const (
	dpopPast   = 60 * time.Second
	dpopFuture = 30 * time.Second
	skew       = 30 * time.Second
)

// Authenticate proves who sent a request for audience (authority.md §5, step 0). With an access token: it is ours, live and for this audience, and the DPoP
// proof was made for this request by the key that the token is bound to; a message signature beside them must hold as well, by the same key. A token of an app that
// is bound to no key goes as Bearer, and no other one does. Without a
// token a message signature proves an instance, which acts for nobody. Nothing is spent yet, and of a signed request the body is still to be held to
// the digest (Caller.CheckBody). Codes: token_missing, invalid_token, those of packages token, dpop and httpsig.
func (g *Guard) Authenticate(ctx context.Context, cr Credentials, audience string) (*Caller, error) {
	now := g.Now()
	if len(cr.Authorization) == 0 && cr.hasSignature() {
		return g.bySignature(ctx, cr, audience, now)
	}
	if raw, ok := bearerOf(cr); ok {
		return g.byBearer(ctx, cr, raw, audience, now)
	}
	raw, err := tokenOf(cr)
	if err != nil {
		return nil, err
	}
	claims, err := token.Verify(raw, g.issuerKey(ctx), token.Want{Issuer: g.Issuer, Audience: audience, Now: now, Leeway: skew})
	if err != nil {
		return nil, err
	}
	if claims.JKT.IsZero() { // or a proof by any key would do
		return nil, fault.New(fault.Unauthenticated, "invalid_token", "the access token is bound to no key").
			Try("get a token with a DPoP proof: it is then bound to the key of the proof")
	}
	proof, err := g.proof(cr, raw, claims.JKT, now)
	if err != nil {
		return nil, err
	}
	c := &Caller{
		ws: claims.Workspace, claims: claims, raw: raw, ip: address(cr.IP), face: cr.Face,
		proof: evidence.ProofRef{Type: "dpop", SHA256: id.Sum([]byte(proof.Raw))}, proofRaw: []byte(proof.Raw),
		once: []evidence.Nonce{dpopNonce(proof, now)}, acr: acrOf(claims.ACR), authTime: claims.AuthTime,
	}
	if err := c.identify(claims); err != nil {
		return nil, err
	}
	if err := g.alsoSigned(c, cr, audience, proof.Key, now); err != nil {
		return nil, err
	}
	g.used.note(c.instance, now)
	return c, nil
}

// tokenOf takes the token from the one Authorization header: scheme DPoP, for our tokens are bound to a key (RFC 9449 §7.1).
func tokenOf(cr Credentials) (string, error) {
	if len(cr.Authorization) == 0 {
		return "", tokenMissing()
	}
	if len(cr.Authorization) > 1 {
		return "", fault.New(fault.Unauthenticated, "invalid_token", "the request has %d Authorization headers, not one", len(cr.Authorization)).
			Try("send the access token once")
	}
	scheme, raw, ok := strings.Cut(cr.Authorization[0], " ")
	if !ok || !strings.EqualFold(scheme, "DPoP") {
		return "", fault.New(fault.Unauthenticated, "invalid_token", "the access token is bound to a key; it is not a bearer token").
			Try("send it as Authorization: DPoP, with a proof in the DPoP header")
	}
	return raw, nil
}

func tokenMissing() error {
	return fault.New(fault.Unauthenticated, "token_missing", "the request has no access token").
		Try("get a token for this resource and send it as Authorization: DPoP, with a proof in the DPoP header; or sign the request as an instance that acts for nobody")
}

// proof checks the one DPoP header of a request.
func (g *Guard) proof(cr Credentials, raw string, jkt id.Key, now time.Time) (dpop.Proof, error) {
	if len(cr.DPoP) != 1 {
		return dpop.Proof{}, fault.New(fault.Unauthenticated, "dpop_malformed", "the request has %d DPoP headers, not one", len(cr.DPoP)).
			Try("sign a proof for this request with the key that the token is bound to")
	}
	return g.verifyProof(cr.DPoP[0], dpop.Want{
		Method: cr.Method, URL: cr.URL, AccessToken: raw, Key: jkt, Now: now, Past: dpopPast, Future: dpopFuture,
	})
}

// verifyProof is dpop.Verify of a proof by a key that is known. Its header is the same each time, and read once.
func (g *Guard) verifyProof(raw string, want dpop.Want) (dpop.Proof, error) {
	want.Seen = g.headers.Of(raw)
	proof, err := dpop.Verify(raw, want)
	if err == nil {
		g.headers.Keep(proof.Header)
	}
	return proof, err
}

func dpopNonce(p dpop.Proof, now time.Time) evidence.Nonce {
	return evidence.Nonce{
		Kind: "dpop", Key: p.Thumbprint.String(), ID: id.Sum([]byte(p.JTI)),
		Expires: p.IssuedAt.Add(dpopPast + dpopFuture + skew),
	}
}

// identify reads who the token says acts. The sub of an agent or service that acts for nobody is itself; a person's own token has sid.
func (c *Caller) identify(claims token.Claims) error {
	bad := fault.New(fault.Unauthenticated, "invalid_token", "the token does not say who acts").Try("get a new access token from the issuer")
	switch {
	case claims.Act != nil:
		c.agent, c.instance = claims.Act.Sub, claims.JKT
	case claims.Session != "":
		c.key = claims.JKT
	default:
		if s, err := id.Parse[id.Service](claims.Subject); err == nil {
			c.service, c.key = s, claims.JKT
			return nil
		}
		a, err := id.Parse[id.Agent](claims.Subject)
		if err != nil {
			return bad
		}
		c.agent, c.instance = a, claims.JKT
		return nil
	}
	u, err := id.Parse[id.User](claims.Subject)
	if err != nil {
		return bad
	}
	c.person = u
	return nil
}

// address is an IP address in its shortest form, as facts hold it; "" for what is none.
func address(s string) string {
	ip, err := netip.ParseAddr(s)
	if err != nil {
		return ""
	}
	return ip.Unmap().WithZone("").String()
}

// acrOf reads `urn:attorn:acr:<n>`; anything else is 0, unknown.
func acrOf(s string) int64 {
	n, ok := strings.CutPrefix(s, "urn:attorn:acr:")
	if !ok || len(n) != 1 || n[0] < '0' || n[0] > '3' {
		return 0
	}
	return int64(n[0] - '0')
}
