package guard

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	gojose "github.com/go-jose/go-jose/v4"
	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/jose"
)

// Fetcher gets other issuers' documents. It promises that only addresses that may be asked are asked, also where a name changes its address; that
// it follows no redirect, sends nothing of ours, and gives up after a few seconds and at agents.MaxKeySet bytes.
type Fetcher interface {
	// Fetch gets a document of type JSON by its URL, and how long its sender says that it is good for (0: it does not say). private lets it ask
	// addresses of private networks, too.
	Fetch(ctx context.Context, url string, private bool) (body []byte, maxAge time.Duration, err error)
	// Metadata gets what an app says about itself, by an address that a stranger named: at most clients.MaxMetadata bytes, and never from an address of a
	// private network, but in development from this machine.
	Metadata(ctx context.Context, url string) (body []byte, maxAge time.Duration, err error)
}

// How long fetched keys are believed, whatever their sender says, and how often an unknown kid has them fetched again.
const (
	minKeyAge  = 5 * time.Minute
	maxKeyAge  = 24 * time.Hour
	refetch    = time.Minute
	maxIssuers = 200
)

// issuers keeps the keys of others' issuers for as long as they say. Failures are not kept. One request at a time asks an issuer.
type issuers struct {
	mu   sync.Mutex
	held map[string]*issuerKeys
}

type issuerKeys struct {
	turn  chan struct{} // holds one value while somebody asks
	tries atomic.Int64  // how often somebody asked
	err   error         // of the last time; nil: it was answered
	keys  []gojose.JSONWebKey
	asked time.Time
	until time.Time
}

func (s *issuers) of(name string) *issuerKeys {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == nil || len(s.held) >= maxIssuers && s.held[name] == nil {
		s.held = map[string]*issuerKeys{}
	}
	if s.held[name] == nil {
		s.held[name] = &issuerKeys{turn: make(chan struct{}, 1)}
	}
	return s.held[name]
}

// good reports whether what is held answers for kid. A clock that was set back is no reason to believe keys for longer.
func (k *issuerKeys) good(kid string, now time.Time) bool {
	if !now.Before(k.until) || now.Before(k.asked) {
		return false
	}
	return now.Sub(k.asked) < refetch || kid == "" || slices.ContainsFunc(k.keys, func(j gojose.JSONWebKey) bool { return j.KeyID == kid })
}

// discovered are the keys of an issuer that publishes them. Code: issuer_unreachable.
func (g *Guard) discovered(ctx context.Context, r agents.TrustRule, kid string) ([]gojose.JSONWebKey, error) {
	name := r.Issuer
	if r.AllowPrivate {
		name += " private"
	}
	return g.heldKeys(ctx, name, kid, func() ([]gojose.JSONWebKey, time.Duration, error) { return g.discover(ctx, r) })
}

// heldKeys are the keys that are held under a name, or what ask gets where they are too old, or lack the one that is looked for.
func (g *Guard) heldKeys(ctx context.Context, name, kid string, ask func() ([]gojose.JSONWebKey, time.Duration, error)) ([]gojose.JSONWebKey, error) {
	k := g.issuers.of(name)
	before := k.tries.Load()
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	now := g.Now()
	if k.good(kid, now) {
		return k.keys, nil
	}
	if k.err != nil && k.tries.Load() > before { // who waited while somebody asked gets the same answer: an issuer that is slow to fail holds nobody for longer than once
		return nil, k.err
	}
	keys, age, err := ask()
	k.err = err
	if ctx.Err() != nil { // whoever asked has left; that says nothing of the issuer
		k.err = nil
	}
	k.tries.Add(1)
	if err != nil {
		return nil, err
	}
	k.keys, k.asked, k.until = keys, now, now.Add(min(max(age, minKeyAge), maxKeyAge))
	return keys, nil
}

func unreachableIssuer(cause error) error {
	return fault.Wrap(cause, fault.Unavailable, "issuer_unreachable", "the keys of the assertion's issuer cannot be had").Try("try again later")
}

// discover asks the issuer for its metadata (OpenID Connect Discovery 1.0 §4), and by it for its keys.
func (g *Guard) discover(ctx context.Context, r agents.TrustRule) ([]gojose.JSONWebKey, time.Duration, error) {
	if g.Fetch == nil {
		return nil, 0, unreachableIssuer(nil)
	}
	raw, _, err := g.Fetch.Fetch(ctx, strings.TrimSuffix(r.Issuer, "/")+"/.well-known/openid-configuration", r.AllowPrivate)
	if err != nil {
		return nil, 0, unreachableIssuer(err)
	}
	var doc struct {
		Issuer string `json:"issuer"`
		JWKS   string `json:"jwks_uri"`
	}
	if err := jose.DecodeForeign(raw, &doc, jose.Limits{Bytes: agents.MaxKeySet}); err != nil {
		return nil, 0, unreachableIssuer(err)
	}
	if doc.Issuer != r.Issuer { // §4.3: or one issuer could speak for another
		return nil, 0, unreachableIssuer(notAcceptable("the metadata at the issuer's address is of another issuer"))
	}
	set, age, err := g.Fetch.Fetch(ctx, doc.JWKS, r.AllowPrivate)
	if err != nil {
		return nil, 0, unreachableIssuer(err)
	}
	keys, err := readKeySet(set, agents.MaxKeySet)
	if err != nil {
		return nil, 0, unreachableIssuer(err)
	}
	return keys, age, nil
}

// verifyVouched holds an assertion's signature to the keys that a rule trusts. Codes: assertion_invalid, issuer_unreachable.
func (g *Guard) verifyVouched(ctx context.Context, f vouched, r agents.TrustRule) error {
	switch r.Keys {
	case agents.JWKS:
		keys, err := readKeySet(r.KeySet, agents.MaxKeySet)
		if err != nil {
			return err
		}
		return f.verify(keys)
	case agents.SPIFFE:
		return f.verifySVID(r)
	}
	keys, err := g.discovered(ctx, r, f.kid)
	if err != nil {
		return err
	}
	return f.verify(keys)
}

// verifySVID holds a JWT-SVID to a trust bundle (SPIFFE JWT-SVID §2, §3): sub is an id of the bundle's trust domain, kid names a key of it.
func (f *vouched) verifySVID(r agents.TrustRule) error {
	bundle, err := trustBundle(r)
	if err != nil {
		return err
	}
	who, err := spiffeid.FromString(f.subject)
	if err != nil || !who.MemberOf(bundle.TrustDomain()) {
		return notAcceptable("its sub is no SPIFFE id of the trust domain %s", bundle.TrustDomain())
	}
	authority, ok := bundle.FindJWTAuthority(f.kid)
	if f.kid == "" || !ok {
		return notAcceptable("the trust bundle has no key with its kid")
	}
	if f.alg == gojose.EdDSA { // §2.1
		return notAcceptable("a JWT-SVID is not signed with its alg")
	}
	return f.verify([]gojose.JSONWebKey{{Key: authority, KeyID: f.kid}})
}

// trustBundle reads a rule's SPIFFE bundle; only its keys for JWT-SVIDs are used. Code: rule_invalid.
func trustBundle(r agents.TrustRule) (*spiffebundle.Bundle, error) {
	domain, err := spiffeid.TrustDomainFromString(r.Issuer)
	if err != nil {
		return nil, fault.New(fault.Invalid, "rule_invalid", "the issuer is no SPIFFE trust domain: %v", err)
	}
	bundle, err := spiffebundle.Parse(domain, r.KeySet)
	if err != nil {
		return nil, fault.New(fault.Invalid, "rule_invalid", "the key set is no SPIFFE trust bundle: %v", err)
	}
	if bundle.JWTBundle().Empty() {
		return nil, fault.New(fault.Invalid, "rule_invalid", "the trust bundle has no key for JWT-SVIDs (use: jwt-svid)")
	}
	return bundle, nil
}
