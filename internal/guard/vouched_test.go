package guard_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"strings"
	"testing"
	"time"

	gojose "github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/guard"
)

const platform = "https://platform.example"

var vouchedAt = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

// vouch signs a good assertion with whichever key and algorithm.
func vouch(t testing.TB, alg gojose.SignatureAlgorithm, key any, kid string) string {
	t.Helper()
	s, err := gojose.NewSigner(gojose.SigningKey{Algorithm: alg, Key: key}, (&gojose.SignerOptions{}).WithType("JWT").WithHeader("kid", kid))
	if err != nil {
		t.Fatal(err)
	}
	claims := fmt.Sprintf(`{"iss":%q,"sub":"s","aud":%q,"iat":%d,"exp":%d.5}`, platform, issuer, vouchedAt.Unix(), vouchedAt.Unix()+60)
	j, err := s.Sign([]byte(claims))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := j.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func keySet(t testing.TB, keys ...gojose.JSONWebKey) []byte {
	t.Helper()
	raw, err := json.Marshal(gojose.JSONWebKeySet{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// Every algorithm that is accepted, with the key that it is for; with any other key, or a key that is too weak, none is.
func TestVouchedAlgorithms(t *testing.T) {
	rsaKey := func(bits int) *rsa.PrivateKey {
		k, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	ecKey := func(c elliptic.Curve) *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	_, ed, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	r, p256, p384, p521 := rsaKey(2048), ecKey(elliptic.P256()), ecKey(elliptic.P384()), ecKey(elliptic.P521())
	signers := map[gojose.SignatureAlgorithm]any{
		gojose.RS256: r, gojose.RS384: r, gojose.RS512: r, gojose.PS256: r, gojose.PS384: r, gojose.PS512: r,
		gojose.ES256: p256, gojose.ES384: p384, gojose.ES512: p521, gojose.EdDSA: ed,
	}
	public := map[string]any{"RSA": r.Public(), "P-256": p256.Public(), "P-384": p384.Public(), "P-521": p521.Public(), "Ed25519": ed.Public()}
	for alg, key := range signers {
		raw := vouch(t, alg, key, "k")
		good := 0
		for _, pub := range public {
			for _, named := range []string{"", string(alg), "RS257"} {
				err := guard.VerifyVouched(raw, issuer, vouchedAt, keySet(t, gojose.JSONWebKey{Key: pub, KeyID: "k", Algorithm: named, Use: "sig"}))
				if err == nil {
					good++
					if named == "RS257" {
						t.Errorf("%s by a key for another algorithm", alg)
					}
				}
			}
		}
		if good != 2 {
			t.Errorf("%s verifies with %d keys, want its own with and without alg", alg, good)
		}
		if err := guard.VerifyVouched(raw, issuer, vouchedAt, keySet(t, gojose.JSONWebKey{Key: signers[alg], KeyID: "k"})); err == nil {
			t.Errorf("%s by a private key", alg)
		}
	}
	weak := rsaKey(1024)
	if err := guard.VerifyVouched(vouch(t, gojose.RS256, weak, "k"), issuer, vouchedAt, keySet(t, gojose.JSONWebKey{Key: weak.Public(), KeyID: "k"})); err == nil {
		t.Error("an RSA key of 1024 bits")
	}
	raw := vouch(t, gojose.RS256, r, "k")
	other := gojose.JSONWebKey{Key: rsaKey(2048).Public(), KeyID: "k"}
	own := gojose.JSONWebKey{Key: r.Public(), KeyID: "k"}
	for what, c := range map[string]struct {
		set []byte
		ok  bool
	}{
		"two keys of one kid":     {keySet(t, other, own), true},
		"for encryption":          {keySet(t, gojose.JSONWebKey{Key: r.Public(), KeyID: "k", Use: "enc"}), false},
		"another kid":             {keySet(t, gojose.JSONWebKey{Key: r.Public(), KeyID: "K"}), false},
		"a key that is unknown":   {[]byte(`{"keys":[{"kty":"new","kid":"k"},` + strings.TrimPrefix(string(keySet(t, own)), `{"keys":[`)), true},
		"a shared secret":         {[]byte(`{"keys":[{"kty":"oct","kid":"k","k":"AAAA"}]}`), false},
		"a key with a name twice": {[]byte(`{"keys":[{"kty":"RSA","kty":"RSA"},` + strings.TrimPrefix(string(keySet(t, own)), `{"keys":[`)), false},
		"no keys":                 {[]byte(`{}`), false},
		"no object":               {[]byte(`[]`), false},
	} {
		if err := guard.VerifyVouched(raw, issuer, vouchedAt, c.set); (err == nil) != c.ok {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func FuzzVouched(f *testing.F) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		f.Fatal(err)
	}
	raw := vouch(f, gojose.EdDSA, key, "k")
	set := keySet(f, gojose.JSONWebKey{Key: key.Public(), KeyID: "k"})
	if err := guard.VerifyVouched(raw, issuer, vouchedAt, set); err != nil {
		f.Fatal(err)
	}
	f.Add(raw, string(set))
	f.Add("e30.e30.AA", `{"keys":[]}`)
	f.Fuzz(func(t *testing.T, text, keys string) {
		err := guard.VerifyVouched(text, issuer, vouchedAt, []byte(keys))
		if err == nil && keys == string(set) && text != raw {
			t.Errorf("it accepts %q", text)
		}
		if fault.Code(err) == "internal" {
			t.Errorf("%q: %v", text, err)
		}
	})
}
