package guard

import (
	"context"
	"time"

	"github.com/attorn/attorn/internal/agents"
)

// Again is the same request received once more, as a thief would send it.
func Again(c *Caller) *Caller {
	again := &Caller{
		ws: c.ws, agent: c.agent, instance: c.instance, person: c.person, key: c.key, acr: c.acr, authTime: c.authTime, claims: c.claims, raw: c.raw,
		proof: c.proof, proofRaw: c.proofRaw, signed: c.signed, once: c.once, ip: c.ip, face: c.face,
	}
	again.held.Store(c.held.Load())
	return again
}

// Rests is what a permit for c would depend on.
func (g *Guard) Rests(ctx context.Context, c *Caller) ([]string, error) {
	s, err := g.resolve(ctx, c)
	if err != nil {
		return nil, err
	}
	return s.depends, nil
}

// VerifyVouched reads an assertion of another issuer's and holds it to a key set.
func VerifyVouched(raw, audience string, now time.Time, set []byte) error {
	f, err := parseVouched(raw, audience, now)
	if err != nil {
		return err
	}
	keys, err := readKeySet(set, agents.MaxKeySet)
	if err != nil {
		return err
	}
	return f.verify(keys)
}
