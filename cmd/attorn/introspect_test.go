package main

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

// introspects asks about a token that the script's app has: as the app, or as a service with its key. With signed it wants a JWT, and prints what is in it.
func (s *stage) introspects(args []string) {
	const kind = "application/token-introspection+jwt"
	signed := len(args) > 0 && args[len(args)-1] == "signed"
	if signed {
		args = args[:len(args)-1]
	}
	if len(args) != 1 && len(args) != 3 || args[0] != "access_token" && args[0] != "refresh_token" {
		s.Fatalf("usage: introspects access_token|refresh_token [KEYFILE SVC] [signed]")
	}
	who, by := s.program.id, s.program.prover
	if len(args) == 3 {
		key, err := attorn.OpenKeyFile(s.MkAbs(args[1]))
		s.Check(err)
		who, by = args[2], key
	}
	assertion, err := token.SignAssertion(by, who, s.Getenv("URL"), rand.Text(), time.Now(), time.Minute)
	s.Check(err)
	raw, _ := s.program.given[args[0]].(string)
	form := url.Values{
		"token": {raw}, "client_id": {who}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {assertion},
	}
	r, err := http.NewRequest(http.MethodPost, s.Getenv("URL")+"/oauth/introspect", strings.NewReader(form.Encode()))
	s.Check(err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	want := "application/json"
	if signed {
		want = kind
		r.Header.Set("Accept", kind)
	}
	res, err := http.DefaultClient.Do(r)
	s.Check(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	s.Check(err)
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != want || res.Header.Get("Cache-Control") != "no-store" {
		s.Fatalf("%s %v %s", res.Status, res.Header, body)
	}
	if signed {
		body = s.unpacked(string(body), who)
	}
	fmt.Fprintf(s.Stdout(), "%s\n", body)
}

// unpacked is the token_introspection of a JWT that one of the server's published keys signed for somebody (RFC 9701 §5).
func (s *stage) unpacked(raw, audience string) []byte {
	j, err := jose.Parse(raw, 0)
	s.Check(err)
	kid, err := id.ParseKey(j.Header.Kid)
	s.Check(err)
	res, err := http.Get(s.Getenv("URL") + "/oauth/jwks")
	s.Check(err)
	defer res.Body.Close()
	var set struct {
		Keys []jsontext.Value `json:"keys"`
	}
	s.Check(json.UnmarshalRead(res.Body, &set))
	verified := false
	for _, k := range set.Keys {
		var jwk struct{ Kty, Crv, X string }
		s.Check(json.Unmarshal(k, &jwk, json.MatchCaseInsensitiveNames(true)))
		key, err := jose.ParseJWK(fmt.Appendf(nil, `{"kty":%q,"crv":%q,"x":%q}`, jwk.Kty, jwk.Crv, jwk.X))
		s.Check(err)
		verified = verified || key.Thumbprint() == kid && j.Verify(key) == nil
	}
	var c struct {
		Issuer   string         `json:"iss"`
		Audience string         `json:"aud"`
		IssuedAt int64          `json:"iat"`
		Answer   jsontext.Value `json:"token_introspection"`
	}
	s.Check(json.Unmarshal(j.Payload, &c, json.RejectUnknownMembers(true)))
	if !verified || j.Header.Typ != "token-introspection+jwt" || c.Issuer != s.Getenv("URL") || c.Audience != audience || time.Since(time.Unix(c.IssuedAt, 0)).Abs() > time.Minute {
		s.Fatalf("%s: verified: %v, %s", j.Header.Typ, verified, j.Payload)
	}
	return c.Answer
}
