package guard

import (
	"sync/atomic"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/httpsig"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/clients"
	"github.com/attorn/attorn/token"
)

// Caller is who a request was proved to come from. It is opaque to faces: what it may do is asked of the Guard, each time anew.
type Caller struct {
	ws       id.Workspace
	agent    id.Agent   // zero for a person
	instance id.Key     // the agent's
	person   id.User    // who acts, or at the root of the chain; zero for an agent that acts for nobody
	key      id.Key     // the person's registered key; zero for a console session
	session  id.Digest  // the console session; zero for who shows a token
	openedBy string     // the passkey or key that the session was opened with
	acr      int64      // how well the person signed in (policy.Auth)
	authTime int64      // and when, seconds
	service  id.Service // a resource server, which acts for nobody
	claims   token.Claims
	raw      string // the token
	proof    evidence.ProofRef
	proofRaw []byte
	signed   *httpsig.Signature // of the request; nil: none
	held     atomic.Bool        // that its body was held to what was signed
	once     []evidence.Nonce
	spent    atomic.Bool
	ip       string
	face     string
	dry      bool // it rehearses
	goesOn   bool // it was permitted, and is only looked at again
}

// rehearsing is c, whose proofs are spent, for finding out what would become of its acts: they are decided, tried and undone, and nothing is recorded.
func (c *Caller) rehearsing() *Caller {
	return &Caller{
		ws: c.ws, agent: c.agent, instance: c.instance, person: c.person, key: c.key, session: c.session, acr: c.acr, authTime: c.authTime, claims: c.claims, raw: c.raw,
		proof: c.proof, proofRaw: c.proofRaw, ip: c.ip, face: c.face, dry: true,
	}
}

// Workspace is where the caller acts.
func (c *Caller) Workspace() id.Workspace { return c.ws }

// Sub is who acts now: an agent's, a person's or a service's identifier.
func (c *Caller) Sub() string {
	if !c.agent.IsZero() {
		return c.agent.String()
	}
	if !c.service.IsZero() {
		return c.service.String()
	}
	return c.person.String()
}

// Agent is the agent that acts; zero for a person.
func (c *Caller) Agent() id.Agent { return c.agent }

// Instance is the key of the instance that acts; zero for a person.
func (c *Caller) Instance() id.Key { return c.instance }

// App reports whether the token was given to an app, which a person consented to.
func (c *Caller) App() bool { return clients.IsApp(c.claims.ClientID) }

// SignedIn is when the person signed in; the zero time's second where that is not known.
func (c *Caller) SignedIn() time.Time { return time.Unix(c.authTime, 0) }

// Person is the person who acts, or for whom the agent acts; zero for nobody.
func (c *Caller) Person() id.User { return c.person }

// ClientKey is a stable text for this caller on this chain, to bind sealed state and sessions to.
func (c *Caller) ClientKey() string {
	return c.ws.String() + " " + c.Sub() + " " + c.instance.String() + " " + c.claims.Delegation.String() + " " + c.person.String()
}

// CheckBody holds the body of a signed request to what was signed, which for other requests is nothing. Nothing is decided for who sent a signed request
// before this returned nil. Codes: digest_mismatch.
func (c *Caller) CheckBody(body []byte) error {
	if c.signed == nil {
		return nil
	}
	if err := c.signed.CheckBody(body); err != nil {
		return err
	}
	c.held.Store(true)
	return nil
}

// bodyHeld is an error of ours where a face forgot CheckBody.
func (c *Caller) bodyHeld() error {
	if c.signed != nil && !c.held.Load() {
		return fault.New(fault.Internal, "", "the body of a signed request was not held to its digest")
	}
	return nil
}

// nonces are the single-use values that the next commit must spend.
func (c *Caller) nonces() []evidence.Nonce {
	if c.spent.Load() {
		return nil
	}
	return c.once
}

// used notes that a commit spent the proofs. One that found them used before spent nothing: whatever follows in this request is refused as well.
func (c *Caller) used(got *evidence.Receipt) {
	switch {
	case got.Code != "replayed":
		c.spent.Store(true)
	case got.Seen == seenSignature:
		got.Code = fault.Code(httpsig.Replayed())
	}
}

// where the request came in.
func (c *Caller) where() evidence.Where { return evidence.Where{Face: c.face} }
