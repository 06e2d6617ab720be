package guard

import (
	"context"
	"strings"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/clients"
	"github.com/attorn/attorn/token"
)

// proofBearer is the proof of a request that came with a token bound to no key: none but that whoever sent it had the token.
const proofBearer = "bearer"

// bearerOf takes a token of the scheme Bearer from the one Authorization header (RFC 6750 §2.1).
func bearerOf(cr Credentials) (string, bool) {
	if len(cr.Authorization) != 1 {
		return "", false
	}
	scheme, raw, ok := strings.Cut(cr.Authorization[0], " ")
	return raw, ok && strings.EqualFold(scheme, "Bearer")
}

// byBearer proves that a request came with a token of an app's agent that is bound to no key. That the workspace allows the app to have such is asked at each use,
// as everything that the token rests on (resolveToken). Codes: invalid_token, those of package token.
func (g *Guard) byBearer(ctx context.Context, cr Credentials, raw, audience string, now time.Time) (*Caller, error) {
	claims, err := token.Verify(raw, g.issuerKey(ctx), token.Want{Issuer: g.Issuer, Audience: audience, Now: now, Leeway: skew})
	if err != nil {
		return nil, err
	}
	if !claims.JKT.IsZero() || claims.Act == nil || !clients.IsApp(claims.ClientID) {
		return nil, fault.New(fault.Unauthenticated, "invalid_token", "the access token is bound to a key; it is not a bearer token").
			Try("send it as Authorization: DPoP, with a proof in the DPoP header")
	}
	if len(cr.DPoP) > 0 || cr.hasSignature() {
		return nil, fault.New(fault.Unauthenticated, "invalid_token", "a bearer token is bound to no key, and the request is signed with one").
			Try("send it without a proof, or get a token that is bound to the key")
	}
	c := &Caller{
		ws: claims.Workspace, claims: claims, raw: raw, ip: address(cr.IP), face: cr.Face, proof: evidence.ProofRef{Type: proofBearer},
		acr: acrOf(claims.ACR), authTime: claims.AuthTime,
	}
	return c, c.identify(claims)
}

// acting is the instance that acts, with its agent; for a bearer token the agent alone.
func (g *Guard) acting(ctx context.Context, c *Caller, now time.Time) (agents.Standing, error) {
	if !c.instance.IsZero() || c.raw == "" || c.claims.Act == nil || !c.claims.JKT.IsZero() {
		return g.Agents.Acting(ctx, c.instance, now)
	}
	a, err := g.Agents.Agent(ctx, c.ws, c.agent)
	if err == nil {
		err = a.Live(now)
	}
	return agents.Standing{Agent: a}, err
}
