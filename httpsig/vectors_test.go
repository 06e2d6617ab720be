package httpsig_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/httpsig"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/vectors"
)

// message is a request as the cases have it; names of fields are in lower case.
type message struct {
	Method string              `json:"method"`
	Target string              `json:"target"`
	Header map[string][]string `json:"header"`
	Body   string              `json:"body"`
}

func (m message) request() httpsig.Request {
	return httpsig.Request{
		Method: m.Method, TargetURI: m.Target, Header: func(name string) []string { return m.Header[name] }, Body: []byte(m.Body),
	}
}

// verified is the ok of a case with op verify.
type verified struct {
	Method   string   `json:"method"`
	Target   string   `json:"target"`
	Audience string   `json:"audience"`
	KeyID    id.Key   `json:"keyid"`
	Nonce    string   `json:"nonce"`
	Created  int64    `json:"created"`
	Expires  int64    `json:"expires"`
	Covered  []string `json:"covered"`
	Base     string   `json:"base"`
}

// input is what the cases have. Where sign is there, the runner signs base and adds the Signature field under its label; more adds lines to fields.
type input struct {
	Op      string  `json:"op"`
	Request message `json:"request"`
	Member  string  `json:"member"`
	Sign    *struct {
		Label   string `json:"label"`
		Base    string `json:"base"`
		Ed25519 string `json:"ed25519"`
	} `json:"sign"`
	More          map[string][]string `json:"more"`
	Keys          []jose.PublicKey    `json:"keys"`
	Audience      string              `json:"audience"`
	Now           int64               `json:"now"`
	Ed25519       string              `json:"ed25519"`
	Base          string              `json:"base"`
	Nonce         string              `json:"nonce"`
	Lifetime      int64               `json:"lifetime"`
	Cover         []string            `json:"cover"`
	Lines         []string            `json:"lines"`
	Body          string              `json:"body"`
	Hex           string              `json:"hex"` // the body where it is no text
	Authorization bool                `json:"authorization"`
}

// run answers one case: op base gives the signature base of an inner list whatever the profile says of it, signature the bytes of a signature, digest the
// Content-Digest that we make of a body whose own holds, verify what was verified, sign the fields to send, challenge the Accept-Signature field.
func run(t *testing.T, raw jsontext.Value) (any, error) {
	var in input
	if err := vectors.Decode(raw, &in); err != nil {
		t.Fatal(err)
	}
	switch in.Op {
	case "base":
		return httpsig.BaseOf(in.Request.request(), in.Member)
	case "signature":
		sig, err := signer(t, in.Ed25519).Sign([]byte(in.Base))
		return base64.StdEncoding.EncodeToString(sig), err
	case "digest":
		body := []byte(in.Body)
		if in.Hex != "" {
			var err error
			if body, err = hex.DecodeString(in.Hex); err != nil {
				t.Fatal(err)
			}
		}
		return httpsig.ContentDigest(body), httpsig.CheckDigest(in.Lines, body)
	case "verify":
		return in.verify(t)
	case "sign":
		h, err := httpsig.Sign(signer(t, in.Ed25519), in.Request.request(), httpsig.Params{
			Audience: in.Audience, Created: time.Unix(in.Now, 0), Lifetime: time.Duration(in.Lifetime) * time.Second, Nonce: in.Nonce, Cover: in.Cover,
		})
		return map[string]string{"attorn-audience": h.Audience, "content-digest": h.Digest, "signature-input": h.Input, "signature": h.Signature}, err
	case "challenge":
		return httpsig.Challenge(in.Authorization), nil
	}
	t.Fatalf("unknown op %q", in.Op)
	return nil, nil
}

func (in input) verify(t *testing.T) (any, error) {
	header := in.Request.Header
	if in.Sign != nil {
		sig, err := signer(t, in.Sign.Ed25519).Sign([]byte(in.Sign.Base))
		if err != nil {
			t.Fatal(err)
		}
		header["signature"] = append(header["signature"], in.Sign.Label+"=:"+base64.StdEncoding.EncodeToString(sig)+":")
	}
	for name, lines := range in.More {
		header[name] = append(header[name], lines...)
	}
	want := httpsig.Want{Audience: in.Audience, Now: time.Unix(in.Now, 0), Key: known(in.Keys...)}
	r := in.Request.request()
	s, err := httpsig.Verify(r, want)
	if head, headErr := httpsig.VerifyHead(r, want); fault.Code(err) != "digest_mismatch" && fault.Code(headErr) != fault.Code(err) {
		t.Errorf("VerifyHead: %v, Verify: %v", headErr, err)
	} else if headErr == nil && fault.Code(head.CheckBody(r.Body)) != fault.Code(err) {
		t.Errorf("CheckBody and Verify disagree: %v", err)
	}
	if err != nil {
		return nil, err
	}
	again, err := httpsig.VerifyRecord(s.Record(), want)
	if err != nil || again.Record() != s.Record() || again.TargetURI != s.TargetURI || again.Method != s.Method || again.Authorization != s.Authorization {
		t.Errorf("its record does not say the same: %+v, %v", again, err)
	}
	return verified{s.Method, s.TargetURI, s.Audience, s.KeyID, s.Nonce, s.Created.Unix(), s.Expires.Unix(), s.Covered, string(s.Base)}, nil
}

func known(keys ...jose.PublicKey) func(id.Key) (jose.PublicKey, error) {
	return func(kid id.Key) (jose.PublicKey, error) {
		for _, k := range keys {
			if k.Thumbprint() == kid {
				return k, nil
			}
		}
		return jose.PublicKey{}, nil
	}
}

func signer(t testing.TB, seed string) jose.Signer {
	t.Helper()
	b, err := jose.DecodeBase64(seed)
	if err != nil {
		t.Fatal(err)
	}
	s, err := jose.NewSigner(ed25519.NewKeyFromSeed(b))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestVectors(t *testing.T) {
	cases, err := vectors.Load("httpsig")
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
