package attorn

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// objectAge is how old a signed object may be where nobody remembers longer what was seen (replaySpan).
const objectAge = 5 * time.Minute

// Sign signs a JSON object for one audience, for what is no HTTP request: a message, an item of a queue, a commit. It is good for ttl; 0 is 5 minutes.
// Codes: those of jose.SignObject.
func (a *Agent) Sign(object []byte, audience string, ttl time.Duration) (string, error) {
	if ttl == 0 {
		ttl = objectAge
	}
	var nonce [16]byte
	rand.Read(nonce[:]) // never fails (crypto/rand)
	now := time.Now()
	return jose.SignObject(object, jose.ObjectClaims{
		Issuer: a.id.String(), Audience: audience, Nonce: jose.EncodeBase64(nonce[:]), IssuedAt: now, Expires: now.Add(ttl),
	}, a.door.keys.key())
}

// Open proves who signed an object for an audience, "" being the service's Resource, and returns the object in RFC 8785 form. The agent acts for nobody. An object is good until it says,
// at most five minutes where Replay is the process's own memory, and once. Codes: those of jose.OpenObject, replayed; Unavailable: issuer_unreachable,
// stale, overloaded.
func (v *Verifier) Open(ctx context.Context, compact, audience string) ([]byte, Caller, error) {
	if audience == "" {
		audience = v.cfg.Resource
	}
	now := v.now()
	var holder agentKey
	o, err := jose.OpenObject(compact, jose.ObjectWant{
		Audience: audience, Now: now, Past: objectAge,
		Key: func(issuer string, kid id.Key) (jose.PublicKey, error) {
			var err error
			if holder, err = v.holder(ctx, kid, "", now); err != nil || holder.caller == nil || holder.caller.Agent.String() != issuer {
				return jose.PublicKey{}, err
			}
			if holder.caller.Workspace != v.workspace { // not known here
				return jose.PublicKey{}, nil
			}
			return holder.key, nil
		},
	})
	if err != nil {
		return nil, Caller{}, err
	}
	end := o.Expires
	if end.IsZero() {
		end = o.IssuedAt.Add(objectAge)
	}
	if v.forgets && end.After(now.Add(objectAge+clockSkew)) {
		return nil, Caller{}, fault.New(fault.Unauthenticated, "object_time", "the signed object is good for longer than this service remembers what it has seen").
			Try("sign it for %s at most", objectAge)
	}
	if err := v.cfg.Replay.Once(ctx, o.Key.Thumbprint(), "object "+o.Nonce, end.Add(2*clockSkew)); err != nil {
		return nil, Caller{}, err
	}
	c := *holder.caller
	c.Proofs = []string{"object"}
	return o.Object, c, nil
}
