package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/attorn/attorn/dpop"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

// program is somebody's app: it says what it is at an address of its own, and holds a key and what it was given.
type program struct {
	id, refresh, nonce string
	key                jose.Signer // nil: its tokens are bound to none
	prover             jose.Signer // by which it authenticates; nil: it does not
	given              map[string]any
}

// app asks, in the browser, to act in the person's name, is allowed all of it, and collects its tokens. It prints the answer.
func (s *stage) app(args []string) {
	s.atLeast(args, 2)
	if s.program == nil {
		s.program = s.newProgram(nil)
	}
	verifier := rand.Text() + rand.Text()
	sum := sha256.Sum256([]byte(verifier))
	callback := "http://127.0.0.1:5173/callback"
	q := url.Values{
		"response_type": {"code"}, "client_id": {s.program.id}, "redirect_uri": {callback}, "code_challenge": {jose.EncodeBase64(sum[:])}, "code_challenge_method": {"S256"},
		"resource": {s.address(args[0])}, "scope": {args[1]}, "state": {"s"},
	}
	answer := url.Values{"verdict": {"allow"}, "ttl": {"3600"}}
	if details := s.Getenv("DETAILS"); details != "" {
		q.Set("authorization_details", details)
	}
	if s.Getenv("FURTHER") != "" {
		answer.Set("further", "1")
	}
	page := s.leads("GET", s.Getenv("URL")+"/oauth/authorize?"+q.Encode(), nil)
	if len(args) > 2 {
		answer.Set("verdict", args[2])
	}
	for i := range strings.Fields(args[1]) {
		answer.Set("keep"+string(rune('0'+i)), "1")
	}
	back, err := url.Parse(s.leads("GET", s.Getenv("URL")+pathOf(s.leads("POST", page, answer)), nil))
	s.Check(err)
	if back.Query().Get("iss") != s.Getenv("URL") || back.Query().Get("state") != "s" {
		s.Fatalf("the answer is %s", back)
	}
	if e := back.Query().Get("error"); e != "" {
		io.WriteString(s.Stdout(), e+"\n")
		return
	}
	s.collects(url.Values{"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")}, "redirect_uri": {callback}, "code_verifier": {verifier}})
}

// renews collects tokens by the refresh token that the app was given first.
func (s *stage) renews(args []string) {
	s.atLeast(args, 0)
	s.collects(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {s.program.refresh}})
}

// hands writes the app's token into a file.
func (s *stage) hands(args []string) {
	s.atLeast(args, 1)
	access, _ := s.program.given["access_token"].(string)
	s.Check(os.WriteFile(s.MkAbs(args[0]), []byte(access+"\n"), 0o600))
}

// address is a path at the server, or an address itself.
func (s *stage) address(at string) string {
	if strings.HasPrefix(at, "/") {
		return s.Getenv("URL") + at
	}
	return at
}

func (s *stage) forgets([]string) { s.program = nil }

func pathOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Path
}

// newProgram serves an app's metadata, with the key by which it authenticates, if it does.
func (s *stage) newProgram(prover jose.Signer) *program {
	key, err := s.programKey()
	s.Check(err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	s.Check(err)
	p := &program{id: "http://" + l.Addr().String() + "/client.json", key: key, prover: prover}
	says := map[string]any{
		"client_id": p.id, "client_name": "Desk", "redirect_uris": []string{"http://127.0.0.1/callback"}, "grant_types": []string{"authorization_code", "refresh_token"},
	}
	if prover != nil {
		says["grant_types"], says["token_endpoint_auth_method"] = []string{"authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:jwt-bearer"}, "private_key_jwt"
		says["jwks"] = map[string]any{"keys": []jose.PublicKey{prover.Public()}}
	}
	document, err := json.Marshal(says)
	s.Check(err)
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(document)
	})}
	go func() { _ = server.Serve(l) }()
	s.Defer(func() { server.Close() })
	return p
}

// programKey is as $APPKEY says: Ed25519, P-256, or none.
func (s *stage) programKey() (jose.Signer, error) {
	switch s.Getenv("APPKEY") {
	case "none":
		return nil, nil
	case "P-256":
		priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		return jose.NewES256Signer(priv)
	}
	_, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	return jose.NewSigner(priv)
}

// RoundTrip sends a request with the app's token.
func (p *program) RoundTrip(r *http.Request) (*http.Response, error) {
	access, _ := p.given["access_token"].(string)
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+access)
	if p.key != nil {
		proof, err := dpop.Sign(p.key, dpop.Claims{Method: r.Method, URL: r.URL.String(), JTI: rand.Text(), AccessToken: access, IssuedAt: time.Now()})
		if err != nil {
			return nil, err
		}
		r.Header.Set("Authorization", "DPoP "+access)
		r.Header.Set("DPoP", proof)
	}
	return http.DefaultTransport.RoundTrip(r)
}

// uses calls a tool as the app does, by the official MCP client, and prints its answer or the refusal.
func (s *stage) uses(args []string) {
	s.atLeast(args, 2)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	arguments := map[string]any{}
	for _, a := range args[2:] {
		name, value, _ := strings.Cut(a, "=")
		arguments[name] = value
	}
	session, err := mcp.NewClient(&mcp.Implementation{Name: "desk", Version: "1"}, nil).Connect(ctx, &mcp.StreamableClientTransport{
		Endpoint: s.address(args[0]), HTTPClient: &http.Client{Transport: s.program}, DisableStandaloneSSE: true,
	}, nil)
	var result *mcp.CallToolResult
	if err == nil {
		defer session.Close()
		result, err = session.CallTool(ctx, &mcp.CallToolParams{Name: args[1], Arguments: arguments})
	}
	if err != nil {
		io.WriteString(s.Stdout(), "refused: "+err.Error()+"\n")
		return
	}
	for _, c := range result.Content {
		if t, ok := c.(*mcp.TextContent); ok {
			io.WriteString(s.Stdout(), t.Text+"\n")
		}
	}
}

// asks sends a GET with the app's token to an address, and prints the status and the answer.
func (s *stage) asks(args []string) {
	s.atLeast(args, 1)
	r, err := http.NewRequest(http.MethodGet, args[0], nil)
	s.Check(err)
	res, err := s.program.RoundTrip(r)
	s.Check(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	s.Check(err)
	fmt.Fprintf(s.Stdout(), "%d %s\n", res.StatusCode, body)
}

// leads is where the browser is sent.
func (s *stage) leads(method, address string, form url.Values) string {
	r, err := http.NewRequest(method, address, strings.NewReader(form.Encode()))
	s.Check(err)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", s.Getenv("URL"))
	}
	res, err := s.web.Do(r)
	s.Check(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	s.Check(err)
	to, err := res.Location()
	if res.StatusCode != http.StatusSeeOther || err != nil {
		s.Fatalf("%s %s: %d %s", method, address, res.StatusCode, body)
	}
	return to.String()
}

// collects asks the token endpoint, a second time with its nonce, and prints the answer.
func (s *stage) collects(form url.Values) {
	p, at := s.program, s.Getenv("URL")+"/oauth/token"
	form.Set("client_id", p.id)
	for range 2 {
		if p.prover != nil {
			own, err := token.SignAssertion(p.prover, p.id, s.Getenv("URL"), rand.Text(), time.Now(), time.Minute)
			s.Check(err)
			form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
			form.Set("client_assertion", own)
		}
		r, err := http.NewRequest(http.MethodPost, at, strings.NewReader(form.Encode()))
		s.Check(err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if p.key != nil {
			proof, err := dpop.Sign(p.key, dpop.Claims{Method: "POST", URL: at, JTI: rand.Text(), Nonce: p.nonce, IssuedAt: time.Now()})
			s.Check(err)
			r.Header.Set("DPoP", proof)
		}
		res, err := http.DefaultClient.Do(r)
		s.Check(err)
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		s.Check(err)
		p.nonce, p.given = res.Header.Get("DPoP-Nonce"), map[string]any{}
		s.Check(json.Unmarshal(body, &p.given))
		if p.given["error"] == "use_dpop_nonce" {
			continue
		}
		if next, ok := p.given["refresh_token"].(string); ok && p.refresh == "" {
			p.refresh = next
		}
		_, err = s.Stdout().Write(append(body, '\n'))
		s.Check(err)
		return
	}
}
