package admin_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/jose"
)

// meddler changes requests on their way, after they were signed, and keeps the last answer.
type meddler struct {
	change func(r *http.Request)
	got    *http.Response
	body   []byte
}

func (m *meddler) RoundTrip(r *http.Request) (*http.Response, error) {
	if m.change != nil {
		m.change(r)
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err == nil {
		m.got = res
		m.body, _ = io.ReadAll(res.Body)
		res.Body = io.NopCloser(bytes.NewReader(m.body))
	}
	return res, err
}

// sendSigned sends one request signed by the agent, beside a token and a proof by s where that is given, and gives the answer's code: "" for a good one.
func (w *world) sendSigned(a *attorn.Agent, s jose.Signer, m *meddler, method, path, body string) string {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.ctx, method, w.URL+path, strings.NewReader(body))
	w.ok(err)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if s != nil {
		access := w.agentToken(a)
		r.Header.Set("Authorization", "DPoP "+access)
		r.Header.Set("DPoP", w.proof(s, request{method: method, path: path, token: access}))
	}
	res, err := a.Signed(m, w.URL+"/api").RoundTrip(r)
	w.ok(err)
	defer res.Body.Close()
	if res.StatusCode/100 == 2 {
		return ""
	}
	b, err := io.ReadAll(res.Body)
	w.ok(err)
	var p api.Problem
	w.ok(jose.Decode(b, &p, jose.Limits{}))
	return p.Code
}

// The API takes a signed request, with its query and body, as proof of an instance that acts for nobody, and beside a token; whatever was changed on the way is
// refused before anything is done, and the answer says how to sign.
func TestSignedRequests(t *testing.T) {
	w := start(t)
	made, err := w.priya.CreateAgent(w.ctx, api.NewAgent{Name: "bot"})
	w.ok(err)
	offer, err := w.priya.OfferEnrolment(w.ctx, made.ID)
	w.ok(err)
	file := filepath.Join(t.TempDir(), "bot.jwk")
	bot, err := attorn.Enrol(w.ctx, attorn.EnrolConfig{Server: w.URL, Token: offer.Token, KeyFile: file})
	w.ok(err)
	key, err := attorn.OpenKeyFile(file)
	w.ok(err)
	_, err = w.priya.Bind(w.ctx, api.Binding{Principal: bot.ID().String(), Role: "admin"})
	w.ok(err)
	body := func(s string) func(*http.Request) {
		return func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader(s)), int64(len(s)) }
	}
	for _, token := range []bool{false, true} {
		name, signer := "alone", jose.Signer(nil)
		if token {
			name, signer = "beside", key
		}
		// The first call of all gets the token, which the log says; the refusals after it leave nothing, in whatever order they come.
		if code := w.sendSigned(bot, signer, &meddler{}, "GET", "/v1/me", ""); code != "" {
			t.Fatal(code)
		}
		for what, c := range map[string]struct {
			method, path, body string
			change             func(r *http.Request)
			code               string
		}{
			"me":                {method: "GET", path: "/v1/me"},
			"a query":           {method: "GET", path: "/v1/agents?limit=1"},
			"a body":            {method: "POST", path: "/v1/agents", body: `{"name":"made-` + name + `","owner":"` + w.priya.User().String() + `"}`},
			"another query":     {method: "GET", path: "/v1/agents?limit=1", change: func(r *http.Request) { r.URL.RawQuery = "limit=9" }, code: "signature_invalid"},
			"no query":          {method: "GET", path: "/v1/agents?limit=1", change: func(r *http.Request) { r.URL.RawQuery = "" }, code: "signature_invalid"},
			"another body":      {method: "POST", path: "/v1/agents", body: `{"name":"good"}`, change: body(`{"name":"evil"}`), code: "digest_mismatch"},
			"no body":           {method: "POST", path: "/v1/agents", body: `{"name":"good"}`, change: body(``), code: "digest_mismatch"},
			"a longer body":     {method: "POST", path: "/v1/agents", body: `{"name":"good"}`, change: body(`{"name":"good"} `), code: "digest_mismatch"},
			"another digest":    {method: "POST", path: "/v1/agents", body: `{"name":"good"}`, change: func(r *http.Request) { r.Header.Set("Content-Digest", "sha-256=:AAAA:") }, code: "signature_malformed"},
			"another audience":  {method: "GET", path: "/v1/me", change: func(r *http.Request) { r.Header.Set("Attorn-Audience", "x") }, code: "signature_invalid"},
			"an added call":     {method: "GET", path: "/v1/me", change: func(r *http.Request) { r.Header.Set("Attorn-Call-Digest", "x") }, code: "signature_coverage"},
			"a second audience": {method: "GET", path: "/v1/me", change: func(r *http.Request) { r.Header.Add("Attorn-Audience", "x") }, code: "signature_malformed"},
		} {
			m := &meddler{change: c.change}
			before := w.rev()
			if code := w.sendSigned(bot, signer, m, c.method, c.path, c.body); code != c.code {
				t.Errorf("%s, %s: %q, want %q: %s", name, what, code, c.code, m.body)
			}
			if c.code != "" && strings.HasPrefix(c.code, "digest") && w.rev() != before {
				t.Errorf("%s, %s: something was recorded", name, what)
			}
			if accept := m.got.Header.Get("Accept-Signature"); (accept != "") != (m.got.StatusCode == 401) || strings.Contains(accept, "authorization") && !token {
				t.Errorf("%s, %s: %d with Accept-Signature %q", name, what, m.got.StatusCode, accept)
			}
		}
		// Once: the same request again, whatever becomes of its DPoP proof.
		var kept *http.Request
		m := &meddler{change: func(r *http.Request) { kept = r.Clone(context.Background()) }}
		if code := w.sendSigned(bot, signer, m, "GET", "/v1/me", ""); code != "" {
			t.Fatal(code)
		}
		res, err := http.DefaultTransport.RoundTrip(kept)
		w.ok(err)
		var p api.Problem
		w.ok(json.UnmarshalRead(res.Body, &p))
		res.Body.Close()
		if want := map[bool]string{false: "signature_replayed", true: "replayed"}[token]; res.StatusCode != 401 || p.Code != want {
			t.Errorf("%s, again: %+v", name, p)
		}
	}
	if res, p, _ := w.send(nil, request{method: "GET", path: "/v1/me"}); p.Code != "token_missing" || !strings.Contains(res.Header.Get("Accept-Signature"), `tag="attorn-action"`) {
		t.Errorf("nothing: %+v", p)
	}
}

// A signed MCP call is what a policy can ask for; through the gateway the SDK makes one beside its token, and one for an agent that acts for nobody.
func TestSignedCalls(t *testing.T) {
	w := start(t)
	s, bot := w.server("files"), w.agent("bot")
	_, err := w.priya.Publish(w.ctx, api.Publish{Files: []api.PolicyFile{{Path: "policies/release.cedar", Text: `
@id("signed") @stepup("proof=httpsig") @reason("Writing wants a signed request.") forbid (principal, action == Action::"tool:files:write", resource);`}}})
	w.ok(err)
	for _, who := range []string{bot.ID().String(), w.priya.User().String()} {
		_, err := w.priya.Bind(w.ctx, api.Binding{Principal: who, Role: "tool-user"})
		w.ok(err)
	}
	lent := attorn.TokenRequest{Delegation: w.lend(bot).Statement.ID.String()}
	for name, c := range map[string]struct {
		rt      http.RoundTripper
		refused bool
	}{
		"by a DPoP proof": {bot.Transport(nil, s.Resource, lent), true},
		"beside a token":  {bot.Transport(bot.Signed(nil, s.Resource), s.Resource, lent), false},
		"alone":           {bot.Signed(nil, s.Resource), false},
	} {
		session, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil).
			Connect(w.ctx, &mcp.StreamableClientTransport{Endpoint: s.Resource, HTTPClient: &http.Client{Transport: c.rt, Timeout: 20 * time.Second}}, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := session.CallTool(w.ctx, &mcp.CallToolParams{Name: "write", Arguments: map[string]any{"path": "a"}})
		w.ok(err)
		text, _ := got.Content[0].(*mcp.TextContent)
		if got.IsError != c.refused || c.refused && !strings.Contains(text.Text, "Writing wants a signed request") {
			t.Errorf("%s: %+v", name, text)
		}
		session.Close()
	}
	m := &meddler{change: func(r *http.Request) {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)), 40
	}}
	r, err := http.NewRequestWithContext(w.ctx, "POST", s.Resource, strings.NewReader(`{"jsonrpc":"2.0","id":2,"method":"ping"}`))
	w.ok(err)
	r.Header.Set("Content-Type", "application/json")
	res, err := bot.Signed(m, s.Resource).RoundTrip(r)
	w.ok(err)
	res.Body.Close()
	if !strings.Contains(string(m.body), "digest_mismatch") {
		t.Errorf("a call that was changed on its way: %d %s", res.StatusCode, m.body)
	}
}
