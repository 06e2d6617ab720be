package dpop_test

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/attorn/attorn/dpop"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/jose"
)

var at = time.Unix(1795427523, 0)

const seed = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A" // RFC 8037 A.1

// A proof passes for the request that it was made for, and for no request that differs in one part.
func TestProofFitsOneRequest(t *testing.T) {
	s := signer(t, seed)
	text := rapid.StringMatching(`[A-Za-z0-9._~-]{1,40}`)
	rapid.Check(t, func(t *rapid.T) {
		c := dpop.Claims{
			Method:      rapid.SampledFrom([]string{"GET", "POST", "DELETE"}).Draw(t, "method"),
			URL:         "https://" + strings.ToLower(rapid.StringMatching(`[a-z0-9]{1,9}\.example`).Draw(t, "host")) + "/" + text.Draw(t, "path"),
			JTI:         text.Draw(t, "jti"),
			Nonce:       rapid.OneOf(rapid.Just(""), text).Draw(t, "nonce"),
			AccessToken: rapid.OneOf(rapid.Just(""), text).Draw(t, "token"),
			IssuedAt:    at,
		}
		raw, err := dpop.Sign(s, c)
		if err != nil {
			t.Fatal(err)
		}
		want := dpop.Want{Method: c.Method, URL: c.URL, AccessToken: c.AccessToken, Key: s.Public().Thumbprint(), Now: at}
		p, err := dpop.Verify(raw, want)
		if err != nil || p.JTI != c.JTI || p.Nonce != c.Nonce || p.Key != s.Public() || !p.IssuedAt.Equal(at) {
			t.Fatalf("%+v, %v", p, err)
		}
		for name, change := range map[string]func(*dpop.Want){
			"method": func(w *dpop.Want) { w.Method += "X" },
			"url":    func(w *dpop.Want) { w.URL += "x" },
			"token":  func(w *dpop.Want) { w.AccessToken += "x" },
			"key":    func(w *dpop.Want) { w.Key = other(t).Public().Thumbprint() },
			"late":   func(w *dpop.Want) { w.Now = at.Add(61 * time.Second) },
			"early":  func(w *dpop.Want) { w.Now = at.Add(-31 * time.Second) },
		} {
			w := want
			change(&w)
			if _, err := dpop.Verify(raw, w); err == nil {
				t.Errorf("passed with another %s", name)
			}
		}
	})
}

func other(t *rapid.T) jose.Signer {
	var b [32]byte
	rand.Read(b[:])
	s, err := newSigner(b[:])
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWindowsAreTheCallers(t *testing.T) {
	raw, err := dpop.Sign(signer(t, seed), dpop.Claims{Method: "GET", URL: "https://a.example/", JTI: "j", IssuedAt: at})
	if err != nil {
		t.Fatal(err)
	}
	for age, code := range map[time.Duration]string{5 * time.Second: "", 6 * time.Second: "dpop_time", -2 * time.Second: "", -3 * time.Second: "dpop_time"} {
		_, err := dpop.Verify(raw, dpop.Want{Method: "GET", URL: "https://a.example/", Now: at.Add(age), Past: 5 * time.Second, Future: 2 * time.Second})
		if fault.Code(err) != code {
			t.Errorf("age %s: %v", age, err)
		}
	}
}

// A request without a usable URL of its own is our mistake, not the client's.
func TestURLOfOurOwn(t *testing.T) {
	raw, err := dpop.Sign(signer(t, seed), dpop.Claims{Method: "GET", URL: "https://a.example/", JTI: "j", IssuedAt: at})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dpop.Verify(raw, dpop.Want{Method: "GET", Now: at}); fault.Code(err) != "internal" {
		t.Error(err)
	}
}

// A client whose proof carries its private key is told so, and the answer does not repeat it.
func TestPrivateKeyIsNamedNotRepeated(t *testing.T) {
	header := `{"alg":"EdDSA","jwk":{"crv":"Ed25519","d":"` + seed + `","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},"typ":"dpop+jwt"}`
	_, err := dpop.Verify(jose.EncodeBase64([]byte(header))+".e30.AAAA", dpop.Want{Method: "GET", URL: "https://a.example/", Now: at})
	f := fault.Of(err)
	if fault.Code(err) != "dpop_malformed" || !strings.Contains(f.Reason, "private part") || f.Remedy == "" {
		t.Errorf("%+v", f)
	}
	if strings.Contains(f.Reason+f.Remedy, seed) {
		t.Error("the refusal repeats the key")
	}
}

func FuzzVerify(f *testing.F) {
	s := signer(f, seed)
	raw, err := dpop.Sign(s, dpop.Claims{Method: "GET", URL: "https://a.example/", JTI: "j", IssuedAt: at})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw, "https://a.example/")
	f.Add("a.b.c", "http://[::1]:80?x")
	f.Fuzz(func(t *testing.T, text, url string) {
		p, err := dpop.Verify(text, dpop.Want{Method: "GET", URL: "https://a.example/", Now: at})
		if err == nil && text != raw {
			t.Errorf("a proof that was not made passed: %q, %+v", text, p)
		}
		if err != nil && fault.Code(err)[:5] != "dpop_" {
			t.Errorf("code %q of %v", fault.Code(err), err)
		}
		n, err := dpop.NormalURL(url)
		if err != nil {
			return
		}
		if again, err := dpop.NormalURL(n); err != nil || again != n {
			t.Errorf("NormalURL(%q) = %q, then %q, %v", url, n, again, err)
		}
	})
}

func BenchmarkSign(b *testing.B) {
	s := signer(b, seed)
	for b.Loop() {
		if _, err := dpop.Sign(s, dpop.Claims{Method: "GET", URL: "https://a.example/", JTI: "j", IssuedAt: at}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	raw, err := dpop.Sign(signer(b, seed), dpop.Claims{Method: "GET", URL: "https://a.example/", JTI: "j", AccessToken: "t", IssuedAt: at})
	if err != nil {
		b.Fatal(err)
	}
	want := dpop.Want{Method: "GET", URL: "https://a.example/", AccessToken: "t", Now: at}
	for b.Loop() {
		if _, err := dpop.Verify(raw, want); err != nil {
			b.Fatal(err)
		}
	}
}
