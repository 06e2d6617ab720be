package guard

// Again is the same request received once more, as a thief would send it.
func Again(c *Caller) *Caller {
	return &Caller{
		ws: c.ws, agent: c.agent, instance: c.instance, person: c.person, key: c.key, acr: c.acr, authTime: c.authTime, claims: c.claims, raw: c.raw,
		proof: c.proof, proofRaw: c.proofRaw, once: c.once, ip: c.ip, face: c.face,
	}
}
