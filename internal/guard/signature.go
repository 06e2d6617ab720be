package guard

import (
	"context"
	"strings"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/httpsig"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/jose"
)

// seenSignature is the kind of single-use value that the nonce of a message signature is.
const seenSignature = "httpsig"

// hasSignature reports whether there is anything to look for a message signature in: it may be somebody else's.
func (cr Credentials) hasSignature() bool {
	return cr.Header != nil && (len(cr.Header("signature-input")) > 0 || len(cr.Header("signature")) > 0)
}

// Signed is the Accept-Signature field (RFC 9421 §5.1) that asks who sent cr for a message signature.
func (cr Credentials) Signed() string { return httpsig.Challenge(len(cr.Authorization) > 0) }

// bySignature proves who sent a request by its message signature alone: an instance that acts for nobody. Whether it may act is looked at when something is
// decided; its body must be held to the digest before that. It is new authority, as a token is, and not for an agent that nobody answers for. Codes: those of package
// httpsig, agent_ownerless, token_missing where nothing was signed for us.
func (g *Guard) bySignature(ctx context.Context, cr Credentials, audience string, now time.Time) (*Caller, error) {
	c := &Caller{ip: address(cr.IP), face: cr.Face}
	var signer agents.Agent
	s, err := g.signature(cr, audience, now, func(kid id.Key) (jose.PublicKey, error) {
		i, err := g.Agents.Instance(ctx, kid)
		if err != nil {
			return jose.PublicKey{}, unless(err, "instance_unknown")
		}
		a, err := g.Agents.Anywhere(ctx, i.Agent)
		if err != nil {
			return jose.PublicKey{}, unless(err, "not_found")
		}
		if audience != g.API(a.Workspace) && !strings.HasPrefix(audience, g.MCP(a.Workspace, "")) {
			return jose.PublicKey{}, nil // of another workspace: not known here
		}
		signer, c.ws, c.agent, c.instance = a, a.Workspace, a.ID, i.Key
		return i.JWK, nil
	})
	if err != nil {
		return nil, err
	}
	if s == nil {
		return nil, tokenMissing()
	}
	if err := signer.Accountable(now); err != nil {
		return nil, err
	}
	if err := g.noApp(ctx, c.ws, c.agent); err != nil {
		return nil, err
	}
	c.by(s)
	g.used.note(c.instance, now)
	return c, nil
}

// alsoSigned checks the message signature of a request that came with a token, by the key that the token is bound to, if there is one.
func (g *Guard) alsoSigned(c *Caller, cr Credentials, audience string, key jose.PublicKey, now time.Time) error {
	s, err := g.signature(cr, audience, now, func(id.Key) (jose.PublicKey, error) { return key, nil }) // another keyid is not this key's
	if s != nil {
		c.by(s)
	}
	return err
}

// signature verifies the request's message signature; nil where it has none that is meant for us.
func (g *Guard) signature(cr Credentials, audience string, now time.Time, key func(id.Key) (jose.PublicKey, error)) (*httpsig.Signature, error) {
	if !cr.hasSignature() {
		return nil, nil
	}
	s, err := httpsig.VerifyHead(httpsig.Request{Method: cr.Method, TargetURI: cr.URL, Header: cr.Header},
		httpsig.Want{Audience: audience, Now: now, Leeway: skew, Key: key})
	if fault.Code(err) == "signature_required" { // all of them are somebody else's
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &s, nil
}

// by makes s the proof of the request, beside what else it has to spend.
func (c *Caller) by(s *httpsig.Signature) {
	record := []byte(s.Record())
	c.signed = s
	c.proof, c.proofRaw = evidence.ProofRef{Type: "httpsig", SHA256: id.Sum(record)}, record
	c.once = append(c.once, evidence.Nonce{
		Kind: seenSignature, Key: s.KeyID.String(), ID: id.Sum([]byte(s.Nonce)), Expires: s.Expires.Add(2 * skew),
	})
}
