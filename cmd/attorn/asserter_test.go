package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/attorntest"
	"github.com/attorn/attorn/jose"
)

// asserter starts a sign-in provider that also asserts of its people, and puts its issuer into a configuration file; with an algorithm it signs with its key of
// that from now on.
func (s *stage) asserter(args []string) {
	s.atLeast(args, 1)
	if s.platform != nil {
		s.kid = s.kids[args[0]]
		return
	}
	s.platform, s.kids = attorntest.NewPlatform(s.tb), map[string]string{}
	for _, alg := range []string{"EdDSA", "ES256", "RS256"} {
		s.kid = s.platform.AddKey(alg)
		s.kids[alg] = s.kid
	}
	s.platform.Respond((&signsIn{platform: s.platform, given: map[string]url.Values{}}).answer)
	config := s.MkAbs(args[0])
	text, err := os.ReadFile(config)
	s.Check(err)
	s.Check(os.WriteFile(config, bytes.ReplaceAll(text, []byte("ISSUER"), []byte(s.platform.Issuer)), 0o600))
}

// signsIn is the part of a provider by which people sign in (OpenID Connect Core §3.1), whoever they say they are.
type signsIn struct {
	platform *attorntest.Platform
	mu       sync.Mutex
	given    map[string]url.Values // authorization requests, by code
}

func (p *signsIn) answer(w http.ResponseWriter, r *http.Request) bool {
	at := p.platform.Issuer
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"issuer":%q,"authorization_endpoint":%q,"token_endpoint":%q,"jwks_uri":%q,"response_types_supported":["code"],"subject_types_supported":["public"],
			"id_token_signing_alg_values_supported":["RS256","ES256","EdDSA"]}`, at, at+"/authorize", at+"/token", at+"/keys")
	case "/authorize":
		if r.Method == http.MethodGet {
			fmt.Fprint(w, `<form method="post"><input name="user"></form>`)
			return true
		}
		q, code := r.URL.Query(), rand.Text()
		q.Set("user", r.PostFormValue("user"))
		p.mu.Lock()
		p.given[code] = q
		p.mu.Unlock()
		http.Redirect(w, r, q.Get("redirect_uri")+"?"+url.Values{"code": {code}, "state": {q.Get("state")}}.Encode(), http.StatusSeeOther)
	case "/token":
		p.mu.Lock()
		q := p.given[r.PostFormValue("code")]
		p.mu.Unlock()
		now := time.Now().Unix()
		idToken := p.platform.Token(map[string]any{
			"iss": at, "sub": q.Get("user"), "aud": q.Get("client_id"), "nonce": q.Get("nonce"), "iat": now, "exp": now + 300, "auth_time": now, "name": q.Get("user"),
		})
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token":"x","token_type":"Bearer","expires_in":300,"id_token":%q}`, idToken)
	default:
		return false
	}
	return true
}

// asserts writes what the provider asserts: for $URL, of somebody, for a client.
func (s *stage) asserts(args []string) {
	s.atLeast(args, 3)
	now := time.Now().Unix()
	claims := map[string]any{
		"iss": s.platform.Issuer, "sub": args[1], "aud": s.Getenv("URL"), "client_id": args[2], "jti": rand.Text(), "iat": now, "exp": now + 300, "scope": "openid tool:words:says",
		"resource": s.Getenv("URL") + "/mcp/words",
	}
	for _, c := range args[3:] {
		name, value, _ := strings.Cut(c, "=")
		if claims[name] = value; value == "" {
			delete(claims, name)
		}
	}
	raw, err := json.Marshal(claims, json.Deterministic(true))
	s.Check(err)
	alg, _, _ := strings.Cut(s.kid, "-")
	signed := s.platform.Sign(s.kid, map[string]any{"alg": alg, "kid": s.kid, "typ": "oauth-id-jag+jwt"}, raw)
	s.Check(os.WriteFile(s.MkAbs(args[0]), []byte(signed), 0o600))
}

// proves makes the script's app one that authenticates with a key of its own; $CLIENT is its client_id.
func (s *stage) proves([]string) {
	_, priv, err := ed25519.GenerateKey(rand.Reader)
	s.Check(err)
	prover, err := jose.NewSigner(priv)
	s.Check(err)
	s.program = s.newProgram(prover)
	s.Setenv("CLIENT", s.program.id)
}

// shows has the app show an assertion to the token endpoint.
func (s *stage) shows(args []string) {
	s.atLeast(args, 1)
	s.collects(url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {s.ReadFile(args[0])}})
}
