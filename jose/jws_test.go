package jose_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/jose"
)

func edSigner(t testing.TB) jose.Signer {
	t.Helper()
	_, priv, _ := ed25519.GenerateKey(rand.Reader)
	s, err := jose.NewSigner(priv)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func ecSigner(t testing.TB) jose.Signer {
	t.Helper()
	priv, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	s, err := jose.NewES256Signer(priv)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSignedIsVerifiedByItsKeyAlone(t *testing.T) {
	for _, s := range []jose.Signer{edSigner(t), ecSigner(t)} {
		compact, err := jose.Sign("x+jwt", []byte(`{"a":1}`), s)
		if err != nil {
			t.Fatal(err)
		}
		j, err := jose.Parse(compact, 0)
		if err != nil {
			t.Fatal(err)
		}
		if j.Header.Kid != s.Public().Thumbprint().String() || j.Header.Typ != "x+jwt" || string(j.Payload) != `{"a":1}` {
			t.Errorf("%+v", j)
		}
		if err := j.Verify(s.Public()); err != nil {
			t.Error(err)
		}
		if err := j.Verify(edSigner(t).Public()); err == nil {
			t.Error("another key verified it")
		}
		if err := j.Verify(jose.PublicKey{}); err == nil {
			t.Error("no key verified it")
		}
		embedded, err := jose.SignEmbedded("x+jwt", []byte(`{"a":1}`), s)
		if err != nil {
			t.Fatal(err)
		}
		if j, err = jose.Parse(embedded, 0); err != nil || j.Header.JWK != s.Public() || j.Verify(j.Header.JWK) != nil {
			t.Errorf("embedded key: %+v, %v", j, err)
		}
	}
}

func TestSignerShowsNoPrivateKey(t *testing.T) {
	pub, priv, _ := ed25519.GenerateKey(rand.Reader)
	s, err := jose.NewSigner(priv)
	if err != nil {
		t.Fatal(err)
	}
	seed := priv.Seed()
	for _, form := range []string{"%v", "%+v", "%#v", "%x", "%s"} {
		out := fmt.Sprintf(form, s)
		if strings.Contains(out, fmt.Sprintf("%x", seed)) || strings.Contains(out, strings.Trim(fmt.Sprint(seed), "[]")) {
			t.Errorf("%s prints the private key", form)
		}
	}
	other := append(append(ed25519.PrivateKey{}, seed...), pub...)
	other[40] ^= 1
	if _, err := jose.NewSigner(other); fault.Code(err) != "malformed" {
		t.Errorf("a key whose halves do not belong together: %v", err)
	}
}
