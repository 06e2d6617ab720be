package guard

import (
	"context"
	"crypto/ed25519"
	"net/url"
	"slices"
	"time"

	gojose "github.com/go-jose/go-jose/v4"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/lending"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

// foreignKeySet reads the keys of a server like this one: Ed25519, of which a kid is the thumbprint whatever the set says.
func foreignKeySet(set []byte) ([]jose.PublicKey, error) {
	all, err := readKeySet(set, lending.MaxIssuerKeys)
	if err != nil {
		return nil, err
	}
	return ed25519Keys(all)
}

func ed25519Keys(all []gojose.JSONWebKey) ([]jose.PublicKey, error) {
	var keys []jose.PublicKey
	for _, k := range all {
		if raw, ok := k.Key.(ed25519.PublicKey); ok {
			if key, err := jose.Ed25519Key(raw); err == nil {
				keys = append(keys, key)
			}
		}
	}
	if len(keys) == 0 {
		return nil, fault.New(fault.Invalid, "key_set_invalid", "the key set has no Ed25519 key")
	}
	return keys, nil
}

// prove completes another server's word with the keys that signed it, out of those that the rule has or the server publishes. For what was signed long ago the
// server's former keys are good, too. Code: issuer_unreachable; a key that is not found is the signature's to miss.
func (g *Guard) proveForeign(ctx context.Context, f token.Foreign, r lending.Issuer) (token.Foreign, error) {
	var kids []id.Key
	if f.Token != "" {
		if j, err := jose.Parse(f.Token, 0); err == nil {
			if kid, err := id.ParseKey(j.Header.Kid); err == nil {
				kids = append(kids, kid)
			}
		}
	}
	for _, l := range f.Chain {
		if !slices.Contains(kids, l.Kid()) {
			kids = append(kids, l.Kid())
		}
	}
	missing := kids
	take := func(known []jose.PublicKey) {
		var still []id.Key
		for _, kid := range missing {
			if i := slices.IndexFunc(known, func(k jose.PublicKey) bool { return k.Thumbprint() == kid }); i >= 0 {
				f.Keys = append(f.Keys, known[i])
			} else {
				still = append(still, kid)
			}
		}
		missing = still
	}
	if len(r.KeySet) > 0 {
		known, err := foreignKeySet(r.KeySet)
		take(known)
		return f, err
	}
	for _, former := range []bool{false, true} {
		if len(missing) == 0 || former && f.Token != "" {
			break
		}
		known, err := g.publishedBy(ctx, r, former, missing[0])
		if err != nil {
			return f, err
		}
		take(known)
	}
	return f, nil
}

// publishedBy are the keys that another server publishes: those of now, or all that it ever signed with.
func (g *Guard) publishedBy(ctx context.Context, r lending.Issuer, former bool, kid id.Key) ([]jose.PublicKey, error) {
	name := "server " + r.URL
	if former {
		name = "former " + r.URL
	}
	if r.AllowPrivate {
		name += " private"
	}
	all, err := g.heldKeys(ctx, name, kid.String(), func() ([]gojose.JSONWebKey, time.Duration, error) { return g.askServer(ctx, r, former) })
	if err != nil {
		return nil, err
	}
	keys, err := ed25519Keys(all)
	if err != nil {
		return nil, unreachableIssuer(err)
	}
	return keys, nil
}

// askServer asks a server for its metadata (RFC 8414 §3), and by it for its keys.
func (g *Guard) askServer(ctx context.Context, r lending.Issuer, former bool) ([]gojose.JSONWebKey, time.Duration, error) {
	if g.Fetch == nil {
		return nil, 0, unreachableIssuer(nil)
	}
	u, err := url.Parse(r.URL)
	if err != nil {
		return nil, 0, unreachableIssuer(err)
	}
	known := u.Scheme + "://" + u.Host + "/.well-known/oauth-authorization-server" + u.EscapedPath() // §3.1
	raw, _, err := g.Fetch.Fetch(ctx, known, r.AllowPrivate)
	if err != nil {
		return nil, 0, unreachableIssuer(err)
	}
	var doc struct {
		Issuer  string `json:"issuer"`
		JWKS    string `json:"jwks_uri"`
		History string `json:"attorn_key_history_uri"`
	}
	if err := jose.DecodeForeign(raw, &doc, jose.Limits{Bytes: lending.MaxIssuerKeys}); err != nil {
		return nil, 0, unreachableIssuer(err)
	}
	if doc.Issuer != r.URL { // §3.3: or one server could speak for another
		return nil, 0, unreachableIssuer(notAcceptable("the metadata at the server's address is of another server"))
	}
	from := doc.JWKS
	if former && doc.History != "" {
		from = doc.History
	}
	set, age, err := g.Fetch.Fetch(ctx, from, r.AllowPrivate)
	if err != nil {
		return nil, 0, unreachableIssuer(err)
	}
	keys, err := readKeySet(set, lending.MaxIssuerKeys)
	if err != nil {
		return nil, 0, unreachableIssuer(err)
	}
	return keys, age, nil
}
