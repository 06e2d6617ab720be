package jose_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"reflect"
	"strconv"
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

// No byte of a JWS can be changed: what verifies is what was signed, in the one text that it has.
func TestEveryByteCounts(t *testing.T) {
	for _, s := range []jose.Signer{edSigner(t), ecSigner(t)} {
		compact, err := jose.Sign("x+jws", []byte(`{"a":1}`), s)
		if err != nil {
			t.Fatal(err)
		}
		for i := range compact {
			for _, c := range []byte("A-_.z0=\n") {
				changed := []byte(compact)
				if changed[i] == c {
					continue
				}
				changed[i] = c
				if j, err := jose.Parse(string(changed), 0); err == nil && j.Verify(s.Public()) == nil {
					t.Errorf("byte %d changed to %q verifies", i, c)
				}
			}
		}
	}
}

func TestSignRefuses(t *testing.T) {
	s := edSigner(t)
	for _, typ := range []string{"", `x"`, "x y", "x\n", "ü"} {
		if _, err := jose.Sign(typ, []byte("x"), s); fault.Code(err) != "malformed" {
			t.Errorf("typ %q: %v", typ, err)
		}
	}
	if _, err := jose.Sign("x", nil, s); fault.Code(err) != "malformed" {
		t.Errorf("no payload: %v", err)
	}
}

func TestIs(t *testing.T) {
	j := &jose.JWS{Header: jose.Header{Typ: "a+jwt"}}
	if err := j.Is("b+jwt", "a+jwt"); err != nil {
		t.Error(err)
	}
	for _, accepted := range [][]string{nil, {""}, {"A+jwt"}, {"a+jwt "}, {"application/a+jwt"}} {
		if err := j.Is(accepted...); fault.Code(err) != "typ_wrong" {
			t.Errorf("%q: %v", accepted, err)
		}
	}
	if err := (&jose.JWS{}).Is("", "JWT"); err != nil {
		t.Error(err)
	}
}

func TestParseLimit(t *testing.T) {
	compact, err := jose.Sign("x", []byte(strings.Repeat("a", 100)), edSigner(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := jose.Parse(compact, len(compact)); err != nil {
		t.Error(err)
	}
	if _, err := jose.Parse(compact, len(compact)-1); fault.Code(err) != "too_large" {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	s, err := jose.NewSigner(ed25519.NewKeyFromSeed(make([]byte, 32)))
	if err != nil {
		f.Fatal(err)
	}
	kid, err := jose.Sign("x+jws", []byte(`{"a":1}`), s)
	if err != nil {
		f.Fatal(err)
	}
	embedded, err := jose.SignEmbedded("x+jws", []byte(`{"a":1}`), s)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(kid, s.Public().JWK())
	f.Add(embedded, []byte(`{"kty":"EC","crv":"P-256","x":"AA","y":"AA","d":null}`))
	seen, err := jose.Parse(embedded, 0)
	if err != nil {
		f.Fatal(err)
	}
	codes := " malformed too_large alg_unsupported private_key weak_key "
	f.Fuzz(func(t *testing.T, compact string, jwk []byte) {
		j, err := jose.Parse(compact, 0)
		if err != nil && !strings.Contains(codes, " "+fault.Code(err)+" ") {
			t.Errorf("code %q of %v", fault.Code(err), err)
		}
		// Who saw a header before reads the same.
		if again, errAgain := seen.Header.Parse(compact, 0); fault.Code(errAgain) != fault.Code(err) || err == nil && !reflect.DeepEqual(again, j) {
			t.Errorf("%+v, %v; with a header that was seen %+v, %v", j, err, again, errAgain)
		}
		if err == nil && j.Verify(s.Public()) == nil && compact != kid && compact != embedded {
			t.Errorf("%q was not signed and verifies", compact)
		}
		k, err := jose.ParseJWK(jwk)
		if err != nil {
			if !strings.Contains(codes, " "+fault.Code(err)+" ") {
				t.Errorf("code %q of %v", fault.Code(err), err)
			}
			return
		}
		if again, err := jose.ParseJWK(k.JWK()); err != nil || again != k {
			t.Errorf("%s is not read back: %v", k.JWK(), err)
		}
		if b, err := jose.DecodeBase64(compact); err == nil && jose.EncodeBase64(b) != compact {
			t.Errorf("%q is not the base64url of its bytes", compact)
		}
	})
}

func benchSign(b *testing.B, s jose.Signer) {
	for b.Loop() {
		if _, err := jose.Sign("x+jws", []byte(`{"a":1}`), s); err != nil {
			b.Fatal(err)
		}
	}
}

func benchVerify(b *testing.B, s jose.Signer) {
	compact, err := jose.Sign("x+jws", []byte(`{"a":1}`), s)
	if err != nil {
		b.Fatal(err)
	}
	k := s.Public()
	for b.Loop() {
		j, err := jose.Parse(compact, 0)
		if err != nil || j.Verify(k) != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSign(b *testing.B)        { benchSign(b, edSigner(b)) }
func BenchmarkVerify(b *testing.B)      { benchVerify(b, edSigner(b)) }
func BenchmarkSignES256(b *testing.B)   { benchSign(b, ecSigner(b)) }
func BenchmarkVerifyES256(b *testing.B) { benchVerify(b, ecSigner(b)) }

// A header that is remembered parses to what it parsed to before, however many others came since; another one is none of it.
func TestHeadersAreWhatWasRead(t *testing.T) {
	var h jose.Headers
	s := edSigner(t)
	for _, sign := range []func(string, []byte, jose.Signer) (string, error){jose.Sign, jose.SignEmbedded} {
		raw, err := sign("a+jwt", []byte(`{"n":1}`), s)
		if err != nil {
			t.Fatal(err)
		}
		next, err := sign("a+jwt", []byte(`{"n":2}`), s)
		if err != nil {
			t.Fatal(err)
		}
		if h.Of(next) != (jose.Header{}) {
			t.Error("a header is known that nobody kept")
		}
		j, err := jose.Parse(raw, 0)
		if err != nil {
			t.Fatal(err)
		}
		h.Keep(j.Header)
		if h.Of(next) != j.Header || h.Of("x"+next) != (jose.Header{}) || h.Of(next[1:]) != (jose.Header{}) {
			t.Error("the next one is not known by its header alone")
		}
		again, err := h.Of(next).Parse(next, 0)
		if err != nil || again.Header != j.Header || string(again.Payload) != `{"n":2}` || again.Verify(s.Public()) != nil {
			t.Errorf("%+v, %v", again, err)
		}
	}
	h.Keep(jose.Header{})
	if h.Of("") != (jose.Header{}) || h.Of(".e30.AA") != (jose.Header{}) {
		t.Error("no header is known")
	}
	for i := range 5000 { // more than are remembered
		raw, err := jose.Sign("a+jwt"+strconv.Itoa(i), []byte(`{}`), s)
		if err != nil {
			t.Fatal(err)
		}
		j, err := jose.Parse(raw, 0)
		if err != nil {
			t.Fatal(err)
		}
		if h.Keep(j.Header); h.Of(raw) != j.Header || h.Len() > 4096 {
			t.Fatalf("%d: %d remembered", i, h.Len())
		}
	}
}
