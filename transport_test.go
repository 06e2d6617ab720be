package attorn_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/dpop"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

// repo is somebody's resource server, which verifies tokens and proofs as its own code would, with a nonce that it demands.
type repo struct {
	*httptest.Server
	w        *world
	mu       sync.Mutex
	demand   string // nonce
	restless bool   // no nonce is good enough
	refuse   int    // so many tokens, before it takes one
	bodies   []string
	proofs   map[string]bool
	tokens   map[string]bool
	redirect string
}

func (w *world) repo() *repo {
	w.t.Helper()
	r := &repo{w: w, proofs: map[string]bool{}, tokens: map[string]bool{}}
	r.Server = httptest.NewServer(r)
	w.t.Cleanup(r.Close)
	must[api.Service](w.t)(w.priya.AddService(w.t.Context(), api.NewService{
		Name: "repo", Resource: r.URL + "/api", Prefix: "repo:acme", JWK: newSigner(w.t).Public(),
	}))
	return r
}

func (r *repo) ServeHTTP(out http.ResponseWriter, q *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	body, _ := io.ReadAll(q.Body)
	if !strings.HasPrefix(q.URL.Path, "/api") {
		fmt.Fprint(out, "plain "+q.Header.Get("Authorization")+q.Header.Get("DPoP"))
		return
	}
	refuse := func(code string) {
		if r.demand != "" {
			out.Header().Set("DPoP-Nonce", r.demand)
		}
		out.Header().Add("WWW-Authenticate", `Bearer error="invalid_token"`)
		out.Header().Add("WWW-Authenticate", `DPoP algs="EdDSA", error="`+code+`"`)
		out.WriteHeader(http.StatusUnauthorized)
	}
	raw := strings.TrimPrefix(q.Header.Get("Authorization"), "DPoP ")
	claims, err := token.Verify(raw, r.w.keys, token.Want{Issuer: r.w.URL, Audience: r.URL + "/api", Now: time.Now(), Leeway: time.Minute})
	if err != nil {
		refuse("invalid_token")
		return
	}
	p, err := dpop.Verify(q.Header.Get("DPoP"), dpop.Want{Method: q.Method, URL: r.URL + q.URL.EscapedPath(), AccessToken: raw, Key: claims.JKT, Now: time.Now()})
	switch {
	case err != nil || r.proofs[p.JTI]:
		refuse("invalid_dpop_proof")
	case p.Nonce != r.demand || r.restless:
		r.proofs[p.JTI] = true
		refuse("use_dpop_nonce")
	case r.refuse > 0:
		r.proofs[p.JTI] = true
		r.refuse--
		refuse("invalid_token")
	case r.redirect != "":
		http.Redirect(out, q, r.redirect, http.StatusTemporaryRedirect)
	default:
		r.proofs[p.JTI], r.tokens[claims.ID] = true, true
		r.bodies = append(r.bodies, string(body))
		fmt.Fprint(out, "done")
	}
}

// keys are the issuer's, from its published set.
func (w *world) keys(kid id.Key) (jose.PublicKey, bool) {
	res, err := http.Get(w.URL + "/oauth/jwks")
	if err != nil {
		return jose.PublicKey{}, false
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return jose.PublicKey{}, false
	}
	var set struct {
		Keys []struct {
			Kty string `json:"kty"`
			Crv string `json:"crv"`
			X   string `json:"x"`
		} `json:"keys"`
	}
	if jose.DecodeForeign(raw, &set, jose.Limits{}) != nil {
		return jose.PublicKey{}, false
	}
	for _, k := range set.Keys {
		key, err := jose.ParseJWK([]byte(`{"crv":"` + k.Crv + `","kty":"` + k.Kty + `","x":"` + k.X + `"}`))
		if err == nil && key.Thumbprint() == kid {
			return key, true
		}
	}
	return jose.PublicKey{}, false
}

// lent is an agent with a client for the repo, under what Priya lent.
func (w *world) lent(r *repo) (*attorn.Agent, *http.Client, delegation.Link) {
	w.t.Helper()
	bot := w.agent("bot")
	link := must[delegation.Link](w.t)(w.priya.Delegate(w.t.Context(), "bot", attorn.Lend{
		Permissions: []delegation.Permission{{Permission: "repo:acme:write"}, {Permission: "repo:acme:read"}},
	}))
	return bot, &http.Client{Transport: bot.Transport(nil, r.URL+"/api", attorn.TokenRequest{Delegation: link.String()})}, link
}

func post(t *testing.T, c *http.Client, url, body string) (string, error) {
	t.Helper()
	res, err := c.Post(url, "text/plain", strings.NewReader(body))
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %d", res.StatusCode)
	}
	return string(b), err
}

func TestTransport(t *testing.T) {
	w := start(t)
	r := w.repo()
	_, c, _ := w.lent(r)
	for _, path := range []string{"/api", "/api/", "/api/deep/er?q=1", "/api/a%2Fb"} {
		if got := must[string](t)(post(t, c, r.URL+path, path)); got != "done" {
			t.Errorf("%s: %s", path, got)
		}
	}
	r.demand = "first"
	if got := must[string](t)(post(t, c, r.URL+"/api", "nonce")); got != "done" {
		t.Error(got)
	}
	r.demand = "second"
	must[string](t)(post(t, c, r.URL+"/api", "another nonce"))
	if len(r.tokens) != 1 {
		t.Errorf("%d tokens for one resource", len(r.tokens))
	}
	r.refuse = 1
	must[string](t)(post(t, c, r.URL+"/api", "another token"))
	if len(r.tokens) != 2 {
		t.Errorf("%d tokens after one was refused", len(r.tokens))
	}
	if want := "/api|/api/|/api/deep/er?q=1|/api/a%2Fb|nonce|another nonce|another token"; strings.Join(r.bodies, "|") != want {
		t.Errorf("the resource got %q", r.bodies)
	}
	r.refuse = 2 // once is answered with a new token; twice is an answer
	if _, err := post(t, c, r.URL+"/api", "x"); err == nil || err.Error() != "status 401" {
		t.Error(err)
	}
	r.refuse, r.restless = 0, true
	before := len(r.proofs)
	if _, err := post(t, c, r.URL+"/api", "x"); err == nil || err.Error() != "status 401" || len(r.proofs) != before+2 {
		t.Errorf("after %d tries: %v", len(r.proofs)-before, err)
	}
}

func TestTransportKeepsWithin(t *testing.T) {
	w := start(t)
	r := w.repo()
	_, c, _ := w.lent(r)
	if got := must[string](t)(post(t, c, r.URL+"/elsewhere", "")); got != "plain " {
		t.Errorf("outside the resource went %q", got)
	}
	if _, err := post(t, c, r.URL+"/api-not", ""); err == nil || err.Error() != "status 401" {
		t.Error("a path that only begins like the resource was signed:", err)
	}
	seen := 0
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { seen++ }))
	defer other.Close()
	_, err := post(t, c, other.URL+"/api", "")
	refused(t, "foreign_origin", err)
	r.redirect = other.URL + "/api"
	_, err = post(t, c, r.URL+"/api", "secret")
	refused(t, "foreign_origin", err)
	if seen != 0 {
		t.Error("another origin was reached")
	}
	r.redirect = ""

	q, _ := http.NewRequest("POST", r.URL+"/api", io.NopCloser(strings.NewReader("once")))
	closed := false
	q.Body = closer{strings.NewReader("once"), &closed}
	_, err = c.Do(q)
	refused(t, "body_not_replayable", err)
	if !closed || len(r.bodies) != 0 {
		t.Error("a body that cannot be sent again was sent, or left open")
	}
	q, _ = http.NewRequest("POST", r.URL+"/api", bytes.NewReader([]byte("x")))
	header := q.Header.Clone()
	if _, err := c.Transport.RoundTrip(q); err != nil || fmt.Sprint(q.Header) != fmt.Sprint(header) {
		t.Errorf("the caller's request was changed: %v, %v", q.Header, err)
	}
}

type closer struct {
	io.Reader
	closed *bool
}

func (c closer) Close() error { *c.closed = true; return nil }

// Many at once get one token, and each request a proof of its own.
func TestTransportConcurrently(t *testing.T) {
	w := start(t)
	r := w.repo()
	_, c, _ := w.lent(r)
	var all sync.WaitGroup
	for i := range 32 {
		all.Go(func() {
			if got, err := post(t, c, r.URL+"/api", fmt.Sprint(i)); got != "done" {
				t.Error(got, err)
			}
		})
	}
	all.Wait()
	if len(r.bodies) != 32 || len(r.tokens) != 1 || len(r.proofs) != 32 {
		t.Errorf("%d requests, %d tokens, %d proofs", len(r.bodies), len(r.tokens), len(r.proofs))
	}
}

func TestToken(t *testing.T) {
	w := start(t)
	r := w.repo()
	bot, c, link := w.lent(r)
	ctx := t.Context()
	aud := r.URL + "/api"
	whole := must[attorn.Token](t)(bot.Token(ctx, aud, attorn.TokenRequest{Delegation: link.Statement.ID.String()}))
	if again := must[attorn.Token](t)(bot.Token(ctx, aud, attorn.TokenRequest{Delegation: link.Statement.ID.String()})); again.AccessToken != whole.AccessToken {
		t.Error("the token was not kept")
	}
	claims := must[token.Claims](t)(token.Verify(whole.AccessToken, w.keys, token.Want{Issuer: w.URL, Audience: aud, Now: time.Now()}))
	if claims.Subject != w.priya.User().String() || claims.Act == nil || claims.Act.Sub != bot.ID() || claims.JKT != bot.Instance() {
		t.Errorf("claims %+v", claims)
	}
	if len(whole.Permissions) != 2 || time.Until(whole.Expires) > 5*time.Minute || time.Until(whole.Expires) < 4*time.Minute {
		t.Errorf("token %+v", whole)
	}
	part := must[attorn.Token](t)(bot.Token(ctx, aud, attorn.TokenRequest{Delegation: link.String(), Permissions: []delegation.Permission{{Permission: "repo:acme:read"}}}))
	if len(part.Permissions) != 1 || part.Permissions[0].Permission != "repo:acme:read" {
		t.Errorf("less than all: %+v", part)
	}
	own := must[attorn.Token](t)(bot.Token(ctx, aud, attorn.TokenRequest{}))
	claims = must[token.Claims](t)(token.Verify(own.AccessToken, w.keys, token.Want{Issuer: w.URL, Audience: aud, Now: time.Now()}))
	if claims.Subject != bot.ID().String() || claims.Act != nil {
		t.Errorf("in its own right: %+v", claims)
	}

	prefix := "src/"
	narrow := []delegation.Permission{{Permission: "repo:acme:write", Where: map[string]delegation.Constraint{"path": {Prefix: &prefix}}}}
	if got := must[attorn.Token](t)(bot.Token(ctx, aud, attorn.TokenRequest{Delegation: link.String(), Permissions: narrow})); len(got.Permissions) != 1 || len(got.Permissions[0].Where) != 1 {
		t.Errorf("under constraints: %+v", got)
	}

	for code, q := range map[string]attorn.TokenRequest{
		"not_covered": {Delegation: link.String(), Permissions: []delegation.Permission{{Permission: "repo:acme:delete"}}},
		"malformed":   {Delegation: "release"},
		"not_found":   {Delegation: id.New[id.Delegation](time.Now()).String()},
	} {
		_, err := bot.Token(ctx, aud, q)
		refused(t, code, err)
	}
	_, err := bot.Token(ctx, "https://nobody.example", attorn.TokenRequest{})
	refused(t, "unknown_resource", err)
	_, err = w.agent("other").Token(ctx, aud, attorn.TokenRequest{Delegation: link.String()})
	refused(t, "not_lent", err)

	must[api.Ended](t)(w.priya.RevokeDelegation(ctx, link.Statement.ID, ""))
	_, err = bot.Token(ctx, aud, attorn.TokenRequest{Delegation: link.String(), Permissions: []delegation.Permission{{Permission: "repo:acme:write"}}})
	refused(t, "delegation_ended", err)
	if _, err := post(t, c, r.URL+"/api", "x"); err == nil {
		t.Error("a new client still gets a token")
	}
}

// A server that cannot be reached, or is none of ours, is said to be so; a context that ended says that itself.
func TestStrangeServers(t *testing.T) {
	for _, url := range []string{"", "localhost:7070", "http://attorn.example", "https://attorn.example/", "https://a@attorn.example", "https://attorn.example?x", "ftp://localhost"} {
		_, err := attorn.NewClient(attorn.ClientConfig{Server: url, User: id.New[id.User](time.Now()), Signer: newSigner(t)})
		refused(t, "server_url", err)
	}
	client := func(url string) *attorn.Client {
		return must[*attorn.Client](t)(attorn.NewClient(attorn.ClientConfig{Server: url, User: id.New[id.User](time.Now()), Signer: newSigner(t)}))
	}
	answers := map[string]http.HandlerFunc{
		"page":    func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
		"gateway": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) },
		"bearer": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"access_token":"x","token_type":"Bearer","expires_in":300}`)
		},
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		},
		"nonces": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(400)
			fmt.Fprint(w, `{"error":"use_dpop_nonce"}`)
		},
	}
	want := map[string]string{"nonces": "use_dpop_nonce"}
	for name, answer := range answers {
		s := httptest.NewServer(answer)
		_, err := client(s.URL).Me(t.Context())
		if code := want[name]; code != "" {
			refused(t, code, err)
		} else {
			refused(t, "bad_answer", err)
		}
		s.Close()
		_, err = client(s.URL).Me(t.Context())
		refused(t, "unreachable", err)
	}
	held := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // a server learns only then that its client went
		<-r.Context().Done()
	}))
	defer held.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := client(held.URL).Me(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

// What the server proposes to sign must be what was shown.
func TestVoteIsOnWhatWasShown(t *testing.T) {
	w := start(t)
	maya := w.person("Maya Chen")
	_, err := maya.Vote(t.Context(), api.Approval{ID: id.New[id.Approval](time.Now())}, "approve", "")
	refused(t, "not_found", err)

	var proposal string
	s := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/oauth/token":
			fmt.Fprint(out, `{"access_token":"x","token_type":"DPoP","expires_in":300}`)
		case strings.HasSuffix(r.URL.Path, "/proposal"):
			fmt.Fprint(out, proposal)
		default:
			t.Errorf("%s was sent", r.URL.Path)
		}
	}))
	defer s.Close()
	user := id.New[id.User](time.Now())
	c := must[*attorn.Client](t)(attorn.NewClient(attorn.ClientConfig{Server: s.URL, User: user, Signer: newSigner(t)}))
	shown := api.Approval{ID: id.New[id.Approval](time.Now()), Digest: id.Sum([]byte("shown")), Role: "release-manager"}
	other := id.Sum([]byte("another"))
	proposal = `{"v":1,"typ":"attorn-vote","iss":"` + s.URL + `","ws":"default","asks":[{"id":"` + shown.ID.String() + `","stage":"release-manager","object":"` + other.String() +
		`"}],"vote":"approve","reuse":"once","voter":"` + user.String() + `","for":null,"reason":"","at":1,"expires_at":2,"nonce":"n"}`
	_, err = c.Vote(t.Context(), shown, "approve", "")
	refused(t, "vote_differs", err)
}
