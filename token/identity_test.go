package token_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

// seeded is a key that is the same in every run.
func seeded(t testing.TB, b byte) jose.Signer {
	t.Helper()
	seed := make([]byte, ed25519.SeedSize)
	seed[0] = b
	s, err := jose.NewSigner(ed25519.NewKeyFromSeed(seed))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func anIdentity(t testing.TB) token.Identity {
	t.Helper()
	agent, err := id.Parse[id.Agent]("agt_rrrrrrrrrrrrrrrrrrrrrrrrr0")
	if err != nil {
		t.Fatal(err)
	}
	i := token.Identity{
		Issuer: "https://id.example", ID: agent, AsOf: 2000, Status: "active", Registered: 1000, Suspended: []token.Span{{From: 1500, Until: 1600}},
	}
	for n := range byte(3) {
		k := seeded(t, n+1).Public()
		i.Keys = append(i.Keys, token.IdentityKey{Kid: k.Thumbprint(), JWK: k, Trust: "enrolled", Status: "active", From: 1000 + 100*int64(n)})
	}
	i.Keys[1].Until, i.Keys[1].Status = 1800, "revoked"
	i.Keys[2].Suspended = []token.Span{{From: 1900}}
	slices.SortFunc(i.Keys, func(a, b token.IdentityKey) int { return strings.Compare(a.Kid.String(), b.Kid.String()) })
	return i
}

func knows(s jose.Signer) func(id.Key) (jose.PublicKey, bool) {
	return func(kid id.Key) (jose.PublicKey, bool) { return s.Public(), kid == s.Public().Thumbprint() }
}

func TestIdentity(t *testing.T) {
	server := seeded(t, 99)
	raw, err := token.SignIdentity(anIdentity(t), server)
	if err != nil {
		t.Fatal(err)
	}
	i, err := token.VerifyIdentity(raw, "https://id.example", knows(server))
	if err != nil {
		t.Fatal(err)
	}
	kid := func(n byte) id.Key { return seeded(t, n).Public().Thumbprint() }
	for _, c := range []struct {
		kid  id.Key
		at   int64
		want string
	}{
		{kid(1), 999, "key_not_live"},
		{kid(1), 1000, ""},
		{kid(1), 1499, ""},
		{kid(1), 1500, "key_not_live"},
		{kid(1), 1599, "key_not_live"},
		{kid(1), 1600, ""},
		{kid(1), 2000, ""},
		{kid(1), 2001, "key_not_live"}, // after it was signed
		{kid(2), 1799, ""},
		{kid(2), 1800, "key_not_live"},
		{kid(3), 1199, "key_not_live"},
		{kid(3), 1899, ""},
		{kid(3), 1900, "key_not_live"},
		{kid(99), 1700, "key_unknown"},
	} {
		if k, err := i.KeyAt(c.kid, c.at); fault.Code(err) != c.want || err == nil && k.Thumbprint() != c.kid {
			t.Errorf("%s at %d: %v", c.kid.Short(), c.at, err)
		}
	}
}

func TestIdentityRefused(t *testing.T) {
	server, other := seeded(t, 99), seeded(t, 98)
	sign := func(typ, payload string, by jose.Signer) string {
		raw, err := jose.Sign(typ, []byte(payload), by)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	good, err := token.SignIdentity(anIdentity(t), server)
	if err != nil {
		t.Fatal(err)
	}
	body, err := base64.RawURLEncoding.DecodeString(strings.Split(good, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	payload := string(body)
	const typ = "attorn-identity+jws"
	swap := func(old, new string) string {
		if !strings.Contains(payload, old) {
			t.Fatalf("%s is not in %s", old, payload)
		}
		return sign(typ, strings.Replace(payload, old, new, 1), server)
	}
	embedded, err := jose.SignEmbedded(typ, body, server)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ raw, want string }{
		"as signed":          {good, ""},
		"another type":       {sign("attorn-key+jws", payload, server), "identity_malformed"},
		"another's":          {sign(typ, payload, other), "identity_signature"},
		"a key in it":        {embedded, "identity_malformed"},
		"another issuer":     {swap(`"https://id.example"`, `"https://id.evil"`), "identity_issuer"},
		"a member more":      {swap(`{"as_of"`, `{"aa":1,"as_of"`), "identity_malformed"},
		"other case":         {swap(`"status":"active","suspended"`, `"STATUS":"active","suspended"`), "identity_malformed"},
		"not canonical":      {swap(`"as_of":2000`, `"as_of": 2000`), "identity_malformed"},
		"a status of none":   {swap(`"status":"active","suspended":[{"from":1500`, `"status":"fine","suspended":[{"from":1500`), "identity_malformed"},
		"unsigned form":      {swap(`"as_of":2000,`, ``), "identity_malformed"},
		"from the future":    {swap(`"registered":1000`, `"registered":2001`), "identity_malformed"},
		"a span backwards":   {swap(`"until":1600`, `"until":1400`), "identity_malformed"},
		"a negative time":    {swap(`"until":1800`, `"until":-1`), "identity_malformed"},
		"no keys":            {sign(typ, `{"as_of":2000,"id":"agt_rrrrrrrrrrrrrrrrrrrrrrrrr0","issuer":"https://id.example","registered":1000,"status":"active"}`, server), "identity_malformed"},
		"null keys":          {sign(typ, `{"as_of":2000,"id":"agt_rrrrrrrrrrrrrrrrrrrrrrrrr0","issuer":"https://id.example","keys":null,"registered":1000,"status":"active"}`, server), "identity_malformed"},
		"no JWS":             {"x", "identity_malformed"},
		"cut":                {good[:len(good)-2], "identity_signature"},
		"the empty identity": {sign(typ, `{}`, server), "identity_malformed"},
	} {
		if _, err := token.VerifyIdentity(c.raw, "https://id.example", knows(server)); fault.Code(err) != c.want {
			t.Errorf("%s: %v (%s)", name, err, fault.Code(err))
		}
	}
	i := anIdentity(t)
	i.Keys[0], i.Keys[1] = i.Keys[1], i.Keys[0]
	if _, err := token.SignIdentity(i, server); fault.Code(err) != "identity_malformed" {
		t.Errorf("keys in another order: %v", err)
	}
	i = anIdentity(t)
	i.Keys[0].Kid = i.Keys[1].Kid
	if _, err := token.SignIdentity(i, server); fault.Code(err) != "identity_malformed" {
		t.Errorf("a key under another's name: %v", err)
	}
	i = anIdentity(t)
	i.Keys = append(i.Keys, i.Keys[2])
	if _, err := token.SignIdentity(i, server); fault.Code(err) != "identity_malformed" {
		t.Errorf("a key twice: %v", err)
	}
}

func FuzzVerifyIdentity(f *testing.F) {
	server := seeded(f, 99)
	good, err := token.SignIdentity(anIdentity(f), server)
	if err != nil {
		f.Fatal(err)
	}
	body, _ := base64.RawURLEncoding.DecodeString(strings.Split(good, ".")[1])
	f.Add(body)
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		raw, err := jose.Sign("attorn-identity+jws", payload, server)
		if err != nil {
			return
		}
		i, err := token.VerifyIdentity(raw, "https://id.example", knows(server))
		if err != nil {
			if fault.Of(err) == nil {
				t.Errorf("%q: %v", payload, err)
			}
			return
		}
		again, err := token.SignIdentity(i, server)
		if err != nil || again != raw {
			t.Errorf("%q is accepted and not written so: %v", payload, err)
		}
	})
}
