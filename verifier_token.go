package attorn

import (
	"context"
	"crypto/sha256"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/attorn/attorn/dpop"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

// The windows of a proof's time, and how far clocks may differ (oauth.md §5).
const (
	proofPast   = 60 * time.Second
	proofFuture = 30 * time.Second
	clockSkew   = 30 * time.Second
)

// bound proves a request with a token that is bound to a key, and returns that key.
func (v *Verifier) bound(r *http.Request, raw string) (*Caller, jose.PublicKey, error) {
	none := jose.PublicKey{}
	t, err := v.token(r.Context(), raw)
	if err != nil {
		return nil, none, err
	}
	if t.jkt.IsZero() { // or a proof by any key would do
		return nil, none, fault.New(fault.Unauthenticated, "invalid_token", "the access token is bound to no key")
	}
	proofs := r.Header["Dpop"]
	if len(proofs) != 1 {
		return nil, none, fault.New(fault.Unauthenticated, "dpop_malformed", "the request has %d DPoP headers, not one", len(proofs)).
			Try("sign a proof for this request with the key that the token is bound to")
	}
	want := dpop.Want{Method: r.Method, URL: v.url(r), AccessToken: raw, Key: t.jkt, Now: v.now(), Past: proofPast, Future: proofFuture}
	seen := t.header.Load()
	if seen != nil {
		want.Seen = *seen
	}
	p, err := dpop.Verify(proofs[0], want)
	if err != nil {
		return nil, none, err
	}
	if seen == nil {
		t.header.Store(&p.Header)
	}
	if err := v.cfg.Replay.Once(r.Context(), p.Thumbprint, "dpop "+p.JTI, p.IssuedAt.Add(proofPast+proofFuture+clockSkew)); err != nil {
		return nil, none, err
	}
	return t.caller, p.Key, nil
}

// bearer accepts a token by itself, if it is bound to no key. A proof beside it would be by any key: who sends one takes the token for a bound one.
func (v *Verifier) bearer(r *http.Request, raw string) (*Caller, error) {
	t, err := v.token(r.Context(), raw)
	switch {
	case err != nil:
		return nil, err
	case !t.jkt.IsZero():
		return nil, fault.New(fault.Unauthenticated, "invalid_token", "the access token is bound to a key; it is not a bearer token").
			Try("send it as Authorization: DPoP, with a proof in the DPoP header")
	case len(r.Header["Dpop"]) > 0 || len(r.Header["Signature-Input"]) > 0:
		return nil, fault.New(fault.Unauthenticated, "invalid_token", "a bearer token is bound to no key, and the request is signed with one").
			Try("send it without a proof, or get a token that is bound to the key")
	}
	return t.caller, nil
}

// seenToken is a token whose signature and claims held.
type seenToken struct {
	caller  *Caller // shared by all requests with the token, never changed
	jkt     id.Key
	issued  int64 // seconds
	expires int64
	rests   []string // on what
	known   uint64   // the place among ends up to which it is known to be live
	ended   bool     // the issuer said so: for ever

	header *atomic.Pointer[jose.Header] // of the first proof by its key
}

func (t *seenToken) within(now time.Time) bool {
	return now.Add(-clockSkew).Before(time.Unix(t.expires, 0)) && !now.Add(clockSkew).Before(time.Unix(t.issued, 0))
}

// token verifies an access token, or remembers that it did. Where the service follows what ends, one that rests on something which ended or changed
// is asked about.
func (v *Verifier) token(ctx context.Context, raw string) (*seenToken, error) {
	now := v.now()
	hash := sha256.Sum256([]byte(raw))
	t, fresh := v.tokens.get(hash), false
	if t == nil || !t.within(now) {
		var err error
		if t, err = v.read(ctx, raw, now); err != nil {
			return nil, err
		}
		fresh = true
	}
	if v.follows() {
		if err := v.contact(ctx); err != nil {
			return nil, err
		}
		if !t.ended && !v.ends.sure(t.rests, t.issued, t.known) {
			again := *t
			again.known = v.ends.now()
			active, err := v.introspect(ctx, raw)
			if err != nil {
				return nil, err
			}
			again.ended = !active
			t, fresh = &again, true
		}
	}
	if fresh {
		v.tokens.put(hash, t)
	}
	if t.ended {
		return nil, fault.New(fault.Unauthenticated, "token_ended", "the access token, or something that it rests on, has ended").Try("get a new token, if you still may")
	}
	return t, nil
}

// read verifies a token by its signature and claims.
func (v *Verifier) read(ctx context.Context, raw string, now time.Time) (*seenToken, error) {
	var failed error
	find := func(kid id.Key) (jose.PublicKey, bool) {
		key, ok, err := v.keys.find(ctx, kid, now)
		failed = err
		return key, ok
	}
	claims, err := token.Verify(raw, find, token.Want{Issuer: v.cfg.Issuer, Audience: v.cfg.Resource, Now: now, Leeway: clockSkew})
	if failed != nil {
		return nil, failed
	}
	if err != nil {
		return nil, err
	}
	if claims.Workspace != v.workspace { // a resource is one workspace's
		return nil, fault.New(fault.Unauthenticated, "invalid_token", "the access token is of another workspace than the service").
			Try("get a token in the workspace %s", v.workspace)
	}
	c, ok := callerOf(claims)
	if !ok {
		return nil, fault.New(fault.Unauthenticated, "invalid_token", "the token does not say who acts")
	}
	c.Proofs = []string{"dpop"}
	if claims.JKT.IsZero() {
		c.Proofs = []string{"bearer"}
	}
	return &seenToken{caller: &c, jkt: claims.JKT, issued: claims.IssuedAt, expires: claims.Expires, rests: restsOn(claims), header: &atomic.Pointer[jose.Header]{}}, nil
}

// seenTokens are the tokens that were verified, by their hash: at most two generations of maxSeen, the older of which is dropped whole.
type seenTokens struct {
	mu          sync.RWMutex
	now, before map[[32]byte]*seenToken
}

const maxSeen = 8192

func newSeenTokens() *seenTokens {
	return &seenTokens{now: map[[32]byte]*seenToken{}, before: map[[32]byte]*seenToken{}}
}

func (s *seenTokens) get(hash [32]byte) *seenToken {
	s.mu.RLock()
	t, old := s.now[hash], false
	if t == nil {
		t = s.before[hash]
		old = t != nil
	}
	s.mu.RUnlock()
	if old {
		s.put(hash, t)
	}
	return t
}

func (s *seenTokens) put(hash [32]byte, t *seenToken) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.now) >= maxSeen {
		s.before, s.now = s.now, make(map[[32]byte]*seenToken, maxSeen)
	}
	s.now[hash] = t
}
