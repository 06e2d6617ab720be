package guard

import (
	"context"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/keyring"
	"github.com/attorn/attorn/jose"
)

// inJWKS is how long a retired key stays among the published ones: every token that it signed has ended by then (oauth.md §10).
const inJWKS = 61 * time.Minute

// PublishedKeys are the issuer's keys that verify tokens which may be live, and the one that will sign next, oldest first.
func (g *Guard) PublishedKeys(ctx context.Context) ([]jose.PublicKey, error) {
	all, err := g.Ring.All(ctx, keyring.ForTokens)
	if err != nil {
		return nil, err
	}
	keys := []jose.PublicKey{}
	for _, k := range all {
		if Published(k, g.Now()) {
			keys = append(keys, k.Public)
		}
	}
	return keys, nil
}

// FormerKeys are all keys that the issuer signs or ever signed tokens and countersignatures with, oldest first, but those that somebody else may have.
func (g *Guard) FormerKeys(ctx context.Context) ([]jose.PublicKey, error) {
	all, err := g.Ring.All(ctx, keyring.ForTokens)
	keys := []jose.PublicKey{}
	for _, k := range all {
		if k.Status == keyring.Current || k.Status == keyring.Retired && !k.SignsFrom.After(k.Ended) {
			keys = append(keys, k.Public)
		}
	}
	return keys, err
}

// Published reports whether a key of the issuer is in its JWKS.
func Published(k keyring.State, now time.Time) bool {
	switch {
	case k.Purpose != keyring.ForTokens:
		return false
	case k.Status == keyring.Retired:
		return !k.SignsFrom.After(k.Ended) && now.Sub(k.Ended) <= inJWKS // one that never signed verifies nothing
	}
	return k.Status != keyring.Compromised
}

// Signer is the issuer's key that signs now.
func (g *Guard) Signer(ctx context.Context) (jose.Signer, error) {
	k, err := g.Ring.Current(ctx, keyring.ForTokens)
	if err != nil {
		return nil, err
	}
	return k.Signer(), nil
}

// issuerKey finds one of the issuer's keys, wherever in its life: what it signed stays verifiable. Whether a token may be by it, tokenKey says.
func (g *Guard) issuerKey(ctx context.Context) func(id.Key) (jose.PublicKey, bool) {
	return func(kid id.Key) (jose.PublicKey, bool) {
		k, err := g.Ring.Find(ctx, kid)
		if err != nil || k.Purpose != keyring.ForTokens {
			return jose.PublicKey{}, false
		}
		return k.Public, true
	}
}

// tokenKey demands that the key under a token, whose signature held, is one that signed when the token was issued (seconds), and that nobody else may have
// it. It reads the key's state anew, so the end of a key is known to every node at once. Code: token_signature.
func (g *Guard) tokenKey(ctx context.Context, kid id.Key, issued int64) error {
	k, err := g.Ring.State(ctx, kid)
	if err != nil {
		return err
	}
	switch at := time.Unix(issued, 0); {
	case k.Status == keyring.Current: // since when, is not asked: after a clock that was ahead nobody could rotate it
	case k.Status == keyring.Retired && !at.Before(k.SignsFrom.Add(-skew)) && !at.After(k.Ended.Add(skew)):
	default:
		return fault.New(fault.Unauthenticated, "token_signature", "the access token is signed with a key that the issuer does not sign with").Try("get a new token")
	}
	return nil
}
