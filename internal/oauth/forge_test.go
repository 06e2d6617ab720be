package oauth_test

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/jose"
)

func unmarshal(text string, v any) error { return json.Unmarshal([]byte(text), v) }

// renamed signs a JWS anew under another alg, header and payload otherwise as they are.
func renamed(t testing.TB, s jose.Signer, raw, alg string) string {
	t.Helper()
	return resigned(t, s, raw, func(h map[string]any) { h["alg"] = alg }, nil)
}

// resigned signs a JWS anew with an edited header and payload.
func resigned(t testing.TB, s jose.Signer, raw string, header, payload func(map[string]any)) string {
	t.Helper()
	parts := strings.Split(raw, ".")
	for i, edit := range []func(map[string]any){header, payload} {
		if edit == nil {
			continue
		}
		b, err := jose.DecodeBase64(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		var m map[string]any
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		edit(m)
		if b, err = json.Marshal(m); err != nil {
			t.Fatal(err)
		}
		parts[i] = jose.EncodeBase64(b)
	}
	sig, err := s.Sign([]byte(parts[0] + "." + parts[1]))
	if err != nil {
		t.Fatal(err)
	}
	return parts[0] + "." + parts[1] + "." + jose.EncodeBase64(sig)
}

func marshal(t testing.TB, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
