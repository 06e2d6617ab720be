package attorn_test

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/dpop"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

// guarded is somebody's service behind a Verifier; its handler says who called.
type guarded struct {
	*httptest.Server
	*attorn.Verifier
	service  id.Service
	resource string
	ahead    atomic.Int64 // of its clock, nanoseconds
	mu       sync.Mutex
	calls    []attorn.Caller
}

// guarded registers a service with the product and starts it; change is made to its configuration.
func (w *world) guarded(change func(*attorn.VerifierConfig)) *guarded {
	w.t.Helper()
	return w.guardedAs(newSigner(w.t), func(_ *guarded, cfg *attorn.VerifierConfig) {
		if change != nil {
			change(cfg)
		}
	})
}

func (w *world) guardedAs(signer jose.Signer, change func(*guarded, *attorn.VerifierConfig)) *guarded {
	w.t.Helper()
	g := &guarded{}
	g.Server = httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		g.Middleware(http.HandlerFunc(g.answer)).ServeHTTP(out, r)
	}))
	w.t.Cleanup(g.Server.Close)
	g.resource = g.URL + "/api"
	s := must[api.Service](w.t)(w.priya.AddService(w.t.Context(), api.NewService{Name: "guarded", Resource: g.resource, Prefix: "repo:acme", JWK: signer.Public()}))
	g.service = s.ID
	cfg := attorn.VerifierConfig{Issuer: w.URL, Resource: g.resource, Now: func() time.Time { return time.Now().Add(time.Duration(g.ahead.Load())) }}
	change(g, &cfg)
	g.Verifier = must[*attorn.Verifier](w.t)(attorn.NewVerifier(cfg))
	w.t.Cleanup(g.Verifier.Close)
	return g
}

func (g *guarded) answer(w http.ResponseWriter, r *http.Request) {
	c, ok := attorn.CallerOf(r)
	body, err := io.ReadAll(r.Body)
	if !ok || err != nil {
		http.Error(w, "nobody", http.StatusTeapot)
		return
	}
	g.mu.Lock()
	g.calls = append(g.calls, c)
	g.mu.Unlock()
	fmt.Fprintf(w, "%s %s", c.Sub(), body)
}

// send sends a request and reads the answer: the status, the code of a refusal, the body.
func (g *guarded) send(t testing.TB, method, path, body string, header map[string]string) (int, string, http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, g.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		for one := range strings.SplitSeq(value, "\n") {
			r.Header.Add(name, one)
		}
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode == http.StatusOK {
		return res.StatusCode, string(got), res.Header
	}
	var p api.Problem
	if err := json.Unmarshal(got, &p); err != nil || p.Code == "" || p.Detail == "" || p.Status != res.StatusCode {
		t.Errorf("the refusal is not a problem: %s", got)
	}
	return res.StatusCode, p.Code, res.Header
}

// proof makes a DPoP proof for GET of a path, changed.
func (g *guarded) proof(t testing.TB, s jose.Signer, path, raw string, change func(*dpop.Claims)) string {
	t.Helper()
	c := dpop.Claims{Method: "GET", URL: g.URL + path, JTI: rand.Text(), AccessToken: raw, IssuedAt: time.Now()}
	if change != nil {
		change(&c)
	}
	return must[string](t)(dpop.Sign(s, c))
}

func TestMiddlewareHandsOnWhoCalls(t *testing.T) {
	w := start(t)
	g := w.guarded(nil)
	bot := w.agent("bot")
	own := &http.Client{Transport: bot.Transport(nil, g.resource, attorn.TokenRequest{})}
	res := must[*http.Response](t)(own.Post(g.resource+"/repos?x=1", "text/plain", strings.NewReader("hello")))
	if got, _ := io.ReadAll(res.Body); res.StatusCode != 200 || string(got) != bot.ID().String()+" hello" {
		t.Fatalf("%d %s", res.StatusCode, got)
	}
	res.Body.Close()
	link := must[delegation.Link](t)(w.priya.Delegate(t.Context(), "bot", attorn.Lend{
		Permissions: []delegation.Permission{{Permission: "repo:acme:read"}}, TTL: time.Hour, Task: "REL-1",
	}))
	lent := &http.Client{Transport: bot.Transport(nil, g.resource, attorn.TokenRequest{Delegation: link.String()})}
	for range 3 {
		res = must[*http.Response](t)(lent.Get(g.resource + "/repos/%2e%2e/a%2fb"))
		if res.Body.Close(); res.StatusCode != 200 {
			t.Fatal(res.Status)
		}
	}
	first, last := g.calls[0], g.calls[3]
	if first.Agent != bot.ID() || first.Instance != bot.Instance() || !first.Person.IsZero() || len(first.Chain) != 0 || first.Workspace != id.Default ||
		!first.Allows("repo:acme:read", nil) || first.Allows("tool:x:y", nil) {
		t.Errorf("%+v", first)
	}
	if last.Agent != bot.ID() || last.Person != w.priya.User() || len(last.Chain) != 1 || last.Chain[0].Sub != bot.ID() || last.Task != "REL-1" ||
		last.Delegation != link.Statement.ID || !last.Allows("repo:acme:read", nil) || last.Allows("repo:acme:write", nil) || last.TokenID == "" {
		t.Errorf("%+v", last)
	}
	if fmt.Sprint(last.Proofs) != "[dpop]" {
		t.Error(last.Proofs)
	}
}

// Everything that is not exactly this token with a fresh proof by its key for this request is refused, and says which part failed.
func TestVerifierRefuses(t *testing.T) {
	w := start(t)
	g := w.guarded(nil)
	bot, key := w.agentWithKey("bot")
	ctx := t.Context()
	raw := must[attorn.Token](t)(bot.Token(ctx, g.resource, attorn.TokenRequest{})).AccessToken
	elsewhere := must[attorn.Token](t)(bot.Token(ctx, "", attorn.TokenRequest{})).AccessToken
	ok := func(change func(*dpop.Claims)) string { return g.proof(t, key, "/api", raw, change) }
	used := ok(nil)
	if status, body, _ := g.send(t, "GET", "/api", "", map[string]string{"Authorization": "DPoP " + raw, "DPoP": used}); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	claims := must[token.Claims](t)(token.Verify(raw, w.keys, token.Want{Issuer: w.URL, Audience: g.resource, Now: time.Now()}))
	forged := must[string](t)(token.Issue(claims, newSigner(t)))
	part := strings.Split(raw, ".")
	for name, c := range map[string]struct {
		path, auth, proof string
		code              string
	}{
		"nothing":             {"/api", "", "", "token_missing"},
		"no proof":            {"/api", "DPoP " + raw, "", "dpop_malformed"},
		"as bearer":           {"/api", "Bearer " + raw, ok(nil), "invalid_token"},
		"basic":               {"/api", "Basic eDp5", "", "invalid_token"},
		"two authorizations":  {"/api", "DPoP " + raw + "\nDPoP " + raw, ok(nil), "invalid_token"},
		"two proofs":          {"/api", "DPoP " + raw, ok(nil) + "\n" + ok(nil), "dpop_malformed"},
		"used proof":          {"/api", "DPoP " + raw, used, "replayed"},
		"other key":           {"/api", "DPoP " + raw, g.proof(t, newSigner(t), "/api", raw, nil), "dpop_binding"},
		"other path":          {"/api/b", "DPoP " + raw, ok(nil), "dpop_binding"},
		"other host":          {"/api", "DPoP " + raw, ok(func(c *dpop.Claims) { c.URL = "https://other.example/api" }), "dpop_binding"},
		"other method":        {"/api", "DPoP " + raw, ok(func(c *dpop.Claims) { c.Method = "POST" }), "dpop_binding"},
		"no token in proof":   {"/api", "DPoP " + raw, ok(func(c *dpop.Claims) { c.AccessToken = "" }), "dpop_binding"},
		"other token":         {"/api", "DPoP " + raw, ok(func(c *dpop.Claims) { c.AccessToken = elsewhere }), "dpop_binding"},
		"old proof":           {"/api", "DPoP " + raw, ok(func(c *dpop.Claims) { c.IssuedAt = time.Now().Add(-62 * time.Second) }), "dpop_time"},
		"early proof":         {"/api", "DPoP " + raw, ok(func(c *dpop.Claims) { c.IssuedAt = time.Now().Add(33 * time.Second) }), "dpop_time"},
		"other audience":      {"/api", "DPoP " + elsewhere, g.proof(t, key, "/api", elsewhere, nil), "token_audience"},
		"not the issuer's":    {"/api", "DPoP " + forged, g.proof(t, key, "/api", forged, nil), "token_signature"},
		"changed claims":      {"/api", "DPoP " + part[0] + "." + part[1][:len(part[1])-4] + "AAAA." + part[2], ok(nil), "token_signature"},
		"the assertion's alg": {"/api", "DPoP eyJhbGciOiJub25lIn0." + part[1] + ".", ok(nil), "token_malformed"},
	} {
		header := map[string]string{}
		if c.auth != "" {
			header["Authorization"] = c.auth
		}
		if c.proof != "" {
			header["DPoP"] = c.proof
		}
		status, code, answer := g.send(t, "GET", c.path, "", header)
		if status != http.StatusUnauthorized || code != c.code {
			t.Errorf("%s: %d %s, want %s", name, status, code, c.code)
		}
		if !strings.HasPrefix(answer.Get("WWW-Authenticate"), "DPoP ") {
			t.Errorf("%s: challenge %q", name, answer.Get("WWW-Authenticate"))
		}
	}
	if len(g.calls) != 1 {
		t.Errorf("%d requests passed", len(g.calls))
	}
}

// A token that was seen is remembered no longer than it lives, to the leeway of 30 s and not beyond.
func TestVerifierForgetsExpiredTokens(t *testing.T) {
	w := start(t)
	g := w.guarded(nil)
	bot, key := w.agentWithKey("bot")
	got := must[attorn.Token](t)(bot.Token(t.Context(), g.resource, attorn.TokenRequest{}))
	claims := must[token.Claims](t)(token.Verify(got.AccessToken, w.keys, token.Want{Issuer: w.URL, Audience: g.resource, Now: time.Now()}))
	for _, c := range []struct {
		at   time.Duration // after exp
		code string
	}{{-time.Minute, ""}, {28 * time.Second, ""}, {32 * time.Second, "token_expired"}} {
		now := time.Unix(claims.Expires, 0).Add(c.at)
		g.ahead.Store(int64(time.Until(now)))
		_, code, _ := g.send(t, "GET", "/api", "", map[string]string{
			"Authorization": "DPoP " + got.AccessToken, "DPoP": g.proof(t, key, "/api", got.AccessToken, func(p *dpop.Claims) { p.IssuedAt = now }),
		})
		if c.code != "" && code != c.code || c.code == "" && !strings.HasPrefix(code, bot.ID().String()) {
			t.Errorf("%s after the end: %s", c.at, code)
		}
	}
}

// Of 64 senders of one proof, one is let in.
func TestVerifierTakesAProofOnce(t *testing.T) {
	w := start(t)
	g := w.guarded(nil)
	bot, key := w.agentWithKey("bot")
	raw := must[attorn.Token](t)(bot.Token(t.Context(), g.resource, attorn.TokenRequest{})).AccessToken
	header := map[string]string{"Authorization": "DPoP " + raw, "DPoP": g.proof(t, key, "/api", raw, nil)}
	var passed atomic.Int64
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			if status, code, _ := g.send(t, "GET", "/api", "", header); status == 200 {
				passed.Add(1)
			} else if code != "replayed" {
				t.Error(code)
			}
		})
	}
	if all.Wait(); passed.Load() != 1 {
		t.Errorf("%d passed", passed.Load())
	}
}

// Without the issuer's keys nothing is believed, and its being away is no reason to refuse what was believed a minute ago.
func TestVerifierWithoutItsIssuer(t *testing.T) {
	w := start(t)
	g := w.guarded(nil)
	bot, key := w.agentWithKey("bot")
	raw := must[attorn.Token](t)(bot.Token(t.Context(), g.resource, attorn.TokenRequest{})).AccessToken
	call := func() (int, string) {
		status, code, _ := g.send(t, "GET", "/api", "", map[string]string{"Authorization": "DPoP " + raw, "DPoP": g.proof(t, key, "/api", raw, nil)})
		return status, code
	}
	fresh := must[*attorn.Verifier](t)(attorn.NewVerifier(attorn.VerifierConfig{Issuer: w.URL, Resource: g.resource}))
	if status, code := call(); status != 200 {
		t.Fatal(status, code)
	}
	w.Stop()
	if status, code := call(); status != 200 {
		t.Fatal(status, code)
	}
	g.Verifier = fresh
	if status, code := call(); status != http.StatusServiceUnavailable || code != "issuer_unreachable" {
		t.Error(status, code)
	}
}

// A service is of one workspace: what is proved in another is nothing to it.
func TestVerifierKnowsItsWorkspace(t *testing.T) {
	w := start(t)
	signer := newSigner(t)
	acme := must[id.Workspace](t)(id.ParseWorkspace("acme"))
	ada := newSigner(t)
	u := must[api.User](t)(w.priya.Invite(t.Context(), api.NewUser{Name: "Ada"}))
	must[api.SignedIn](t)(attorn.SignIn(t.Context(), attorn.SignInConfig{Server: w.URL, Secret: u.Link, Signer: ada}))
	must[api.Bound](t)(w.priya.Bind(t.Context(), api.Binding{Principal: u.ID.String(), Role: "owner", Reason: "x"}))
	in := func(ws id.Workspace) *attorn.Client {
		return must[*attorn.Client](t)(attorn.NewClient(attorn.ClientConfig{Server: w.URL, Workspace: ws, User: u.ID, Signer: ada}))
	}
	must[api.Workspace](t)(in(id.Default).CreateWorkspace(t.Context(), api.NewWorkspace{Name: acme}))
	w.priya = in(acme)
	bot, key := w.agentWithKey("bot")
	g := w.guardedAs(signer, func(_ *guarded, cfg *attorn.VerifierConfig) { cfg.Workspace = acme })
	raw := must[attorn.Token](t)(bot.Token(t.Context(), g.resource, attorn.TokenRequest{})).AccessToken
	signed := func() string {
		res, err := (&http.Client{Transport: bot.Signed(nil, g.resource)}).Get(g.resource)
		return codeOf(t, res, err)
	}
	if a, b := g.get(t, key, raw), signed(); a != "ok" || b != bot.ID().String()+" " {
		t.Fatal(a, b)
	}
	g.Verifier = must[*attorn.Verifier](t)(attorn.NewVerifier(attorn.VerifierConfig{Issuer: w.URL, Resource: g.resource}))
	if a, b := g.get(t, key, raw), signed(); a != "invalid_token" || b != "signature_key_unknown" {
		t.Error(a, b)
	}
}

func TestVerifierConfigIsChecked(t *testing.T) {
	for name, cfg := range map[string]attorn.VerifierConfig{
		"no issuer":          {Resource: "https://api.example"},
		"no resource":        {Issuer: "https://attorn.example"},
		"plain http":         {Issuer: "http://attorn.example", Resource: "https://api.example"},
		"final slash":        {Issuer: "https://attorn.example/", Resource: "https://api.example"},
		"query":              {Issuer: "https://attorn.example", Resource: "https://api.example?x"},
		"base":               {Issuer: "https://attorn.example", Resource: "https://api.example", Base: "api.example"},
		"signer alone":       {Issuer: "https://attorn.example", Resource: "https://api.example", Signer: newSigner(t)},
		"service alone":      {Issuer: "https://attorn.example", Resource: "https://api.example", Service: id.New[id.Service](time.Now())},
		"user in the issuer": {Issuer: "https://u@attorn.example", Resource: "https://api.example"},
	} {
		_, err := attorn.NewVerifier(cfg)
		if refused(t, "verifier_invalid", err); err == nil {
			t.Error(name)
		}
	}
}

// edit changes a request on its way, as somebody between could.
type edit struct {
	change func(*http.Request)
}

func (e edit) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	e.change(r)
	return http.DefaultTransport.RoundTrip(r)
}

// codeOf is the code of a problem, or the body of an answer that is none.
func codeOf(t testing.TB, res *http.Response, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body := must[[]byte](t)(io.ReadAll(res.Body))
	var p api.Problem
	if res.StatusCode == http.StatusOK {
		return string(body)
	}
	if err := json.Unmarshal(body, &p); err != nil {
		t.Errorf("%s: %s", res.Status, body)
	}
	return p.Code
}

// Beside a token, the signature is by the token's key and binds the body as well; each part of it that is changed on the way is noticed.
func TestVerifierHoldsSignedRequestsToTheirBody(t *testing.T) {
	w := start(t)
	g := w.guarded(func(cfg *attorn.VerifierConfig) { cfg.Signed, cfg.MaxBody = true, 1000 })
	bot := w.agent("bot")
	send := func(path, body string, change func(*http.Request)) string {
		t.Helper()
		c := &http.Client{Transport: bot.Transport(bot.Signed(edit{change}, g.resource), g.resource, attorn.TokenRequest{})}
		res, err := c.Post(g.URL+path, "text/plain", strings.NewReader(body))
		return codeOf(t, res, err)
	}
	as := func(*http.Request) {}
	for path, body := range map[string]string{"/api/x?y=z&%2F": "hello", "/api": "", "/api?": "x", "/api/ü": strings.Repeat("x", 1000)} {
		if got := send(path, body, as); got != bot.ID().String()+" "+body {
			t.Errorf("%s: %s", path, got)
		}
	}
	if last := g.calls[len(g.calls)-1]; fmt.Sprint(last.Proofs) != "[dpop httpsig]" || last.Instance != bot.Instance() {
		t.Errorf("%+v", last)
	}
	passed := len(g.calls)
	for name, c := range map[string]struct {
		code   string
		change func(*http.Request)
	}{
		"body": {"digest_mismatch", func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("HELLO")) }},
		"digest": {"signature_invalid", func(r *http.Request) {
			r.Header.Set("Content-Digest", "sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:")
		}},
		"query":         {"signature_invalid", func(r *http.Request) { r.URL.RawQuery = "x=2" }},
		"audience":      {"signature_invalid", func(r *http.Request) { r.Header.Set("Attorn-Audience", "https://other.example") }},
		"no signature":  {"signature_required", func(r *http.Request) { r.Header.Del("Signature-Input"); r.Header.Del("Signature") }},
		"no input":      {"signature_required", func(r *http.Request) { r.Header.Del("Signature-Input") }},
		"cut signature": {"signature_malformed", func(r *http.Request) { r.Header.Set("Signature", "attorn=:AAAA:") }},
		"added digest":  {"signature_coverage", func(r *http.Request) { r.Header.Set("Attorn-Call-Digest", "x") }},
		"two of them": {"signature_malformed", func(r *http.Request) {
			r.Header.Add("Signature-Input", strings.Replace(r.Header.Get("Signature-Input"), "attorn=", "again=", 1))
		}},
	} {
		want := c.code
		if got := send("/api?x=1", "hello", c.change); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if got := send("/api", strings.Repeat("x", 1001), as); got != "too_large" {
		t.Error(got)
	}
	if len(g.calls) != passed {
		t.Errorf("%d passed", len(g.calls)-passed)
	}
	// another agent's signature beside this agent's token
	other := w.agent("other")
	mixed := &http.Client{Transport: bot.Transport(other.Signed(nil, g.resource), g.resource, attorn.TokenRequest{})}
	res, err := mixed.Get(g.resource)
	if got := codeOf(t, res, err); got != "signature_key_unknown" {
		t.Error(got)
	}
	if res.Header.Get("Accept-Signature") == "" {
		t.Error("no Accept-Signature")
	}
}

// A request that was recorded whole is good once.
func TestVerifierTakesASignatureOnce(t *testing.T) {
	w := start(t)
	g := w.guarded(nil)
	bot := w.agent("bot")
	var copied *http.Request
	var body []byte
	c := &http.Client{Transport: bot.Transport(bot.Signed(edit{func(r *http.Request) {
		body, _ = io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		copied = r.Clone(t.Context())
	}}, g.resource), g.resource, attorn.TokenRequest{})}
	res, err := c.Post(g.resource, "text/plain", strings.NewReader("hello"))
	if got := codeOf(t, res, err); got != bot.ID().String()+" hello" {
		t.Fatal(got)
	}
	copied.Body = io.NopCloser(strings.NewReader(string(body)))
	res, err = http.DefaultTransport.RoundTrip(copied)
	if got := codeOf(t, res, err); got != "replayed" {
		t.Error(got)
	}
}
