package guard

import "context"

// Again is the same request received once more, as a thief would send it.
func Again(c *Caller) *Caller {
	return &Caller{
		ws: c.ws, agent: c.agent, instance: c.instance, person: c.person, key: c.key, acr: c.acr, authTime: c.authTime, claims: c.claims, raw: c.raw,
		proof: c.proof, proofRaw: c.proofRaw, once: c.once, ip: c.ip, face: c.face,
	}
}

// Rests is what a permit for c would depend on.
func (g *Guard) Rests(ctx context.Context, c *Caller) ([]string, error) {
	s, err := g.resolve(ctx, c)
	if err != nil {
		return nil, err
	}
	return s.depends, nil
}
