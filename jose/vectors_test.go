package jose_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/vectors"
)

// text is a case's input: text, or bytes where they are not UTF-8.
type text struct {
	Text   string `json:"text"`
	Base64 string `json:"base64"`
}

func (x text) bytes(t *testing.T) []byte {
	if x.Base64 == "" {
		return []byte(x.Text)
	}
	b, err := jose.DecodeBase64(x.Base64)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// probe is the format that the cases of op decode are read into.
type probe struct {
	Name   string   `json:"name,omitzero"`
	Count  int64    `json:"count,omitzero"`
	List   []string `json:"list,omitzero"`
	Nested *probe   `json:"nested,omitzero"`
}

// runJose answers one case of kind jose: what op makes of in, as the ok of a case has it.
func runJose(t *testing.T, raw jsontext.Value) (any, error) {
	var in struct {
		text
		Op      string         `json:"op"`
		JWS     vectors.JWS    `json:"jws"`
		Key     jsontext.Value `json:"key"`
		Foreign bool           `json:"foreign"`
		Limits  struct {
			Bytes  int `json:"bytes"`
			Depth  int `json:"depth"`
			Values int `json:"values"`
		} `json:"limits"`
	}
	if err := vectors.Decode(raw, &in); err != nil {
		t.Fatal(err)
	}
	switch in.Op {
	case "jwk":
		k, err := jose.ParseJWK(in.bytes(t))
		return map[string]string{"type": k.Type(), "thumbprint": k.Thumbprint().String(), "jwk": string(k.JWK())}, err
	case "jws":
		key, err := jose.ParseJWK(in.Key)
		if err != nil {
			t.Fatal(err)
		}
		compact, err := in.JWS.Text()
		if err != nil {
			t.Fatal(err)
		}
		j, err := jose.Parse(compact, 0)
		if err != nil {
			return nil, err
		}
		return map[string]string{"typ": j.Header.Typ, "kid": j.Header.Kid, "payload": string(j.Payload)}, j.Verify(key)
	case "base64":
		b, err := jose.DecodeBase64(in.Text)
		return hex.EncodeToString(b), err
	case "decode":
		var p probe
		if in.Foreign {
			return &p, jose.DecodeForeign(in.bytes(t), &p, jose.Limits(in.Limits))
		}
		return &p, jose.Decode(in.bytes(t), &p, jose.Limits(in.Limits))
	}
	t.Fatalf("unknown op %q", in.Op)
	return nil, nil
}

// runJCS answers one case of kind jcs: the canonical text, with the number rule that the case names.
func runJCS(t *testing.T, raw jsontext.Value) (any, error) {
	var in struct {
		text
		Numbers string `json:"numbers"`
	}
	if err := vectors.Decode(raw, &in); err != nil {
		t.Fatal(err)
	}
	switch in.Numbers {
	case "double":
		b, err := jose.CanonicalRaw(in.bytes(t), jose.Limits{})
		return string(b), err
	case "integer":
		b, err := jose.Canonical(jsontext.Value(in.bytes(t)))
		return string(b), err
	}
	t.Fatalf("unknown number rule %q", in.Numbers)
	return nil, nil
}

func TestVectors(t *testing.T) {
	for kind, run := range map[string]func(*testing.T, jsontext.Value) (any, error){"jose": runJose, "jcs": runJCS, "object": runObject} {
		cases, err := vectors.Load(kind)
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
}
