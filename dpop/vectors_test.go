package dpop_test

import (
	"crypto/ed25519"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/attorn/attorn/dpop"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/vectors"
)

// verified is the ok of a case with op verify.
type verified struct {
	Method     string `json:"method"`
	URL        string `json:"url"`
	JTI        string `json:"jti"`
	Nonce      string `json:"nonce,omitzero"`
	ATH        string `json:"ath,omitzero"`
	IAT        int64  `json:"iat"`
	Thumbprint id.Key `json:"thumbprint"`
}

// run answers one case: op verify gives the proof's members, url the normal form, nonce the nonce to issue now if the one in the case passes,
// sign the proof.
func run(t *testing.T, raw jsontext.Value) (any, error) {
	var in struct {
		Op      string      `json:"op"`
		Proof   vectors.JWS `json:"proof"`
		Method  string      `json:"method"`
		URL     string      `json:"url"`
		JTI     string      `json:"jti"`
		Token   string      `json:"token"`
		Key     id.Key      `json:"key"`
		Now     int64       `json:"now"`
		Nonce   string      `json:"nonce"`
		Secret  string      `json:"secret"`
		Ed25519 string      `json:"ed25519"`
	}
	if err := vectors.Decode(raw, &in); err != nil {
		t.Fatal(err)
	}
	now := time.Unix(in.Now, 0)
	switch in.Op {
	case "verify":
		text, err := in.Proof.Text()
		if err != nil {
			t.Fatal(err)
		}
		want := dpop.Want{Method: in.Method, URL: in.URL, AccessToken: in.Token, Key: in.Key, Now: now}
		p, err := dpop.Verify(text, want)
		for _, seen := range []jose.Header{p.Header, seenHeader(t)} { // to have seen a header changes nothing
			want.Seen = seen
			if again, errAgain := dpop.Verify(text, want); fault.Code(errAgain) != fault.Code(err) || again != p {
				t.Errorf("%+v, %v; with a header that was seen %+v, %v", p, err, again, errAgain)
			}
		}
		if err == nil && (p.Raw != text || p.Key.Thumbprint() != p.Thumbprint) {
			t.Errorf("the proof does not say what was verified: %+v", p)
		}
		return verified{p.Method, p.URL, p.JTI, p.Nonce, p.ATH, p.IssuedAt.Unix(), p.Thumbprint}, err
	case "url":
		return dpop.NormalURL(in.URL)
	case "nonce":
		key, err := jose.DecodeBase64(in.Secret)
		if err != nil {
			t.Fatal(err)
		}
		n := dpop.Nonces{Key: key}
		err = n.Demand(dpop.Proof{Nonce: in.Nonce}, now)
		if n.Check(in.Nonce, now) != (err == nil) {
			t.Error("Check and Demand disagree")
		}
		return n.Issue(now), err
	case "sign":
		return dpop.Sign(signer(t, in.Ed25519), dpop.Claims{
			Method: in.Method, URL: in.URL, JTI: in.JTI, Nonce: in.Nonce, AccessToken: in.Token, IssuedAt: now,
		})
	}
	t.Fatalf("unknown op %q", in.Op)
	return nil, nil
}

func signer(t testing.TB, seed string) jose.Signer {
	t.Helper()
	b, err := jose.DecodeBase64(seed)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSigner(b)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newSigner(seed []byte) (jose.Signer, error) { return jose.NewSigner(ed25519.NewKeyFromSeed(seed)) }

// seenHeader is that of a proof by the key of RFC 8037.
func seenHeader(t *testing.T) jose.Header {
	t.Helper()
	raw, err := dpop.Sign(signer(t, seed), dpop.Claims{Method: "GET", URL: "https://a.example/", JTI: "j", IssuedAt: at})
	if err != nil {
		t.Fatal(err)
	}
	p, err := dpop.Verify(raw, dpop.Want{Method: "GET", URL: "https://a.example/", Now: at})
	if err != nil {
		t.Fatal(err)
	}
	return p.Header
}

func TestVectors(t *testing.T) {
	cases, err := vectors.Load("dpop")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.ID, func(t *testing.T) {
			got, err := run(t, c.In)
			if code := fault.Code(err); code != c.Want.Error {
				t.Fatalf("%s: got code %q (%v), want %q", c.Comment, code, err, c.Want.Error)
			}
			if err != nil {
				if f := fault.Of(err); f.Reason == "" || f.Remedy == "" || strings.HasSuffix(f.Reason, ": ") {
					t.Errorf("%s: %q does not say what failed, or what mends it", c.Comment, f.Reason)
				}
				return
			}
			have, err := jose.Canonical(got)
			if err != nil {
				t.Fatal(err)
			}
			want, err := jose.Canonical(c.Want.OK)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), string(have)); d != "" {
				t.Error(d)
			}
		})
	}
}
