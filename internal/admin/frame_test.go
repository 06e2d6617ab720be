package admin_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// Whoever is not proved to ask learns nothing and changes nothing, at every route that takes a token.
func TestAuthentication(t *testing.T) {
	w := start(t)
	w.server("files")
	token, other := w.token(w.priya, ""), w.token(w.priya, w.URL+"/mcp/files")
	noor := w.token(w.noor, "")
	invite := request{method: "POST", path: "/v1/users", body: `{"name":"x"}`, token: token}
	with := func(change func(*request)) request { q := invite; change(&q); return q }
	used := with(func(q *request) { q.proof = w.proof(w.priya.signer, *q) })
	if res, p, _ := w.send(w.priya.signer, used); res.StatusCode != 201 {
		t.Fatalf("the first use: %+v", p)
	}
	for _, c := range []struct {
		name, code, challenge string
		by                    jose.Signer
		q                     request
	}{
		{"no token", "token_missing", "", nil, with(func(q *request) { q.token = "" })},
		{"bearer", "invalid_token", "invalid_token", w.priya.signer, with(func(q *request) { q.header = http.Header{"Authorization": {"Bearer " + token}} })},
		{"two tokens", "invalid_token", "invalid_token", w.priya.signer, with(func(q *request) { q.header = http.Header{"Authorization": {"DPoP " + token, "DPoP " + noor}} })},
		{"no JWT", "token_malformed", "invalid_token", w.priya.signer, with(func(q *request) { q.token = "x" })},
		{"a forged one", "token_signature", "invalid_token", w.priya.signer, with(func(q *request) { q.token = forge(token) })},
		{"of another audience", "token_audience", "invalid_token", w.priya.signer, with(func(q *request) { q.token = other })},
		{"of another workspace", "token_audience", "invalid_token", w.priya.signer, with(func(q *request) { q.path = "/w/other" + q.path })},
		{"no proof", "dpop_malformed", "invalid_dpop_proof", nil, invite},
		{"two proofs", "dpop_malformed", "invalid_dpop_proof", w.priya.signer, with(func(q *request) {
			q.header = http.Header{"Dpop": {w.proof(w.priya.signer, *q), w.proof(w.priya.signer, *q)}}
		})},
		{"by another key", "dpop_binding", "invalid_dpop_proof", w.noor.signer, invite},
		{"for another URL", "dpop_binding", "invalid_dpop_proof", w.priya.signer, with(func(q *request) { q.proofURL = w.URL + "/v1/agents" })},
		{"for another method", "dpop_binding", "invalid_dpop_proof", w.priya.signer, with(func(q *request) {
			q.proof = w.proof(w.priya.signer, request{method: "GET", path: q.path, token: q.token})
		})},
		{"for another token", "dpop_binding", "invalid_dpop_proof", w.priya.signer, with(func(q *request) {
			q.proof = w.proof(w.priya.signer, request{method: q.method, path: q.path, token: other})
		})},
		{"replayed", "replayed", "invalid_dpop_proof", w.priya.signer, used},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := w.state()
			res, p, _ := w.send(c.by, c.q)
			want := `DPoP algs="Ed25519 EdDSA ES256", resource_metadata="` + w.URL + `/.well-known/oauth-protected-resource` + strings.TrimSuffix(c.q.path, "/v1/users") + `/api"`
			if c.challenge != "" {
				want += `, error="` + c.challenge + `"`
			}
			if res.StatusCode != 401 || p.Code != c.code || res.Header.Get("WWW-Authenticate") != want || res.Header.Get("DPoP-Nonce") == "" {
				t.Errorf("got %d %s %q, want %s %q", res.StatusCode, p.Code, res.Header.Get("WWW-Authenticate"), c.code, want)
			}
			if w.state() != before {
				t.Error("it changed something")
			}
		})
	}
}

// forge changes the last character but one of a token's signature.
func forge(token string) string {
	c := byte('A')
	if token[len(token)-2] == 'A' {
		c = 'B'
	}
	return token[:len(token)-2] + string(c) + token[len(token)-1:]
}

// A proof is good once for reads too, and for what was refused.
func TestReplays(t *testing.T) {
	w := start(t)
	for name, q := range map[string]request{
		"a read":           {method: "GET", path: "/v1/me"},
		"a list":           {method: "GET", path: "/v1/users"},
		"a refused change": {method: "POST", path: "/v1/bindings", body: `{"principal":"everybody","role":"x"}`},
		"an offer":         {method: "GET", path: "/v1/agents/nobody"},
	} {
		q.token = w.token(w.priya, "")
		q.proof = w.proof(w.priya.signer, q)
		if _, p, _ := w.send(w.priya.signer, q); p.Code == "replayed" {
			t.Errorf("%s at first: %+v", name, p)
		}
		if res, p, _ := w.send(w.priya.signer, q); p.Code != "replayed" || res.StatusCode != 401 {
			t.Errorf("%s again: %d %+v", name, res.StatusCode, p)
		}
	}
}

func TestOldTokensAndProofs(t *testing.T) {
	w := start(t)
	q := request{method: "GET", path: "/v1/me", token: w.token(w.priya, "")}
	q.proof = w.proof(w.priya.signer, q)
	w.pass(91 * time.Second)
	if _, p, _ := w.send(w.priya.signer, q); p.Code != "dpop_time" {
		t.Errorf("an old proof: %+v", p)
	}
	w.pass(6 * time.Minute)
	q.proof = ""
	if _, p, _ := w.send(w.priya.signer, q); p.Code != "token_expired" {
		t.Errorf("an old token: %+v", p)
	}
}

// The two routes for keys that nobody knows yet demand a nonce before they spend anything.
func TestOpenRoutesDemandNonce(t *testing.T) {
	w := start(t)
	u, err := w.priya.Invite(w.ctx, api.NewUser{Name: "Omar"})
	w.ok(err)
	_, secret, _ := strings.Cut(u.Link, "#")
	for path, body := range map[string]string{"/v1/signin": `{"secret":"` + secret + `"}`, "/v1/enrol": `{"token":"x"}`} {
		res, p, _ := w.send(newSigner(t), request{method: "POST", path: path, body: body})
		if res.StatusCode != 401 || p.Code != "dpop_nonce_required" || !strings.HasSuffix(res.Header.Get("WWW-Authenticate"), `error="use_dpop_nonce"`) {
			t.Errorf("%s without a nonce: %+v", path, p)
		}
		if _, p, _ := w.send(nil, request{method: "POST", path: path, body: body}); p.Code != "dpop_malformed" {
			t.Errorf("%s without a proof: %+v", path, p)
		}
		if res, p, _ := w.send(newSigner(t), request{method: "POST", path: "/w/other" + path, body: body}); res.StatusCode != 404 {
			t.Errorf("%s of a workspace: %+v", path, p)
		}
	}
	w.signIn(u.Link, "")
}

// What a request is made of: each rule broken alone.
func TestForm(t *testing.T) {
	w := start(t)
	post := func(body string) request { return request{method: "POST", path: "/v1/agents", body: body} }
	typed := func(kind ...string) request {
		q := post(`{"name":"bot"}`)
		q.header = http.Header{"Content-Type": kind}
		return q
	}
	get := func(path string) request { return request{method: "GET", path: path} }
	coded := post(`{"name":"bot"}`)
	coded.header = http.Header{"Content-Encoding": {"gzip"}}
	body := get("/v1/me")
	body.body = "{}"
	for _, c := range []struct {
		name   string
		q      request
		status int
		code   string
	}{
		{"no JSON", post(`name=bot`), 400, "malformed"},
		{"cut off", post(`{"name":"bot"`), 400, "malformed"},
		{"more after it", post(`{"name":"bot"}{}`), 400, "malformed"},
		{"a list", post(`[]`), 400, "malformed"},
		{"another type", post(`{"name":1}`), 400, "malformed"},
		{"an unknown member", post(`{"name":"bot","admin":true}`), 400, "malformed"},
		{"a member in another case", post(`{"Name":"bot"}`), 400, "malformed"},
		{"a member twice", post(`{"name":"bot","name":"bit"}`), 400, "malformed"},
		{"a byte order mark", post("\xef\xbb\xbf{\"name\":\"bot\"}"), 400, "malformed"},
		{"no UTF-8", post("{\"name\":\"b\xff\"}"), 400, "malformed"},
		{"a null character", post(`{"name":"bot","description":"a\u0000b"}`), 400, "malformed"},
		{"an identifier that is none", post(`{"name":"bot","owner":"priya"}`), 400, "malformed"},
		{"too deep", post(`{"name":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}`), 413, "too_large"},
		{"too large", post(`{"name":"` + strings.Repeat("b", 1<<20) + `"}`), 413, "too_large"},
		{"no media type", typed(), 415, "media_type"},
		{"another media type", typed("text/plain"), 415, "media_type"},
		{"two media types", typed("application/json", "application/json"), 415, "media_type"},
		{"another character set", typed("application/json; charset=latin1"), 415, "media_type"},
		{"a content coding", coded, 415, "media_type"},
		{"a body where none is", body, 400, "malformed"},
		{"an unknown parameter", get("/v1/me?x=1"), 400, "malformed"},
		{"a parameter twice", get("/v1/agents?limit=1&limit=2"), 400, "malformed"},
		{"no query", get("/v1/agents?%zz"), 400, "malformed"},
		{"a control character", get("/v1/events?target=a%0ab"), 400, "malformed"},
		{"a query that is no UTF-8", get("/v1/events?target=%ff"), 400, "malformed"},
		{"a long parameter", get("/v1/events?target=" + strings.Repeat("a", 1025)), 400, "malformed"},
		{"a path that is no UTF-8", get("/v1/agents/%ff"), 400, "malformed"},
		{"a null character in the path", get("/v1/agents/%00"), 400, "malformed"},
		{"an id of another kind", get("/v1/delegations/" + id.New[id.Agent](time.Now()).String()), 400, "malformed"},
		{"an id in another case", get("/v1/delegations/" + strings.ToUpper(id.New[id.Delegation](time.Now()).String())), 400, "malformed"},
		{"a limit of none", get("/v1/agents?limit=0"), 400, "malformed"},
		{"a limit in words", get("/v1/agents?limit=all"), 400, "malformed"},
		{"another method", request{method: "PATCH", path: "/v1/agents"}, 405, "method_not_allowed"},
		{"an unknown path", get("/v1/nothing"), 404, "not_found"},
		{"the API's root", get("/v1/"), 404, "not_found"},
		{"the default workspace by name", get("/w/default/v1/me"), 404, "not_found"},
		{"the server's workspace", get("/w/server/v1/me"), 404, "not_found"},
		{"a tool's path without its end", request{method: "POST", path: "/v1/servers/files/tools/write", body: "{}"}, 404, "not_found"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := w.state()
			c.q.token = w.token(w.priya, "")
			res, p, _ := w.send(w.priya.signer, c.q)
			if res.StatusCode != c.status || p.Code != c.code {
				t.Errorf("got %d %+v, want %d %s", res.StatusCode, p, c.status, c.code)
			}
			if c.status == 405 && res.Header.Get("Allow") != "GET, POST" {
				t.Errorf("Allow is %q", res.Header.Get("Allow"))
			}
			if w.state() != before {
				t.Error("it changed something")
			}
		})
	}
}

// Nothing of a body is read before it is known who sends it.
func TestBodyComesAfterToken(t *testing.T) {
	w := start(t)
	_, p, _ := w.send(nil, request{method: "POST", path: "/v1/agents", body: strings.Repeat("x", 2<<20)})
	if p.Code != "token_missing" {
		t.Errorf("a body of a stranger: %+v", p)
	}
}

// Times are RFC 3339 in UTC, lists are never null, a path may hold a slash of a tool's name escaped or not.
func TestAnswers(t *testing.T) {
	w := start(t)
	tool := w.server("files").Tools[0]
	for _, path := range []string{"/v1/delegations?delegator=me", "/v1/approvals", "/v1/agents"} {
		_, _, b := w.send(w.priya.signer, request{method: "GET", path: path, token: w.token(w.priya, "")})
		if string(b) != `{"items":[]}` {
			t.Errorf("%s: %s", path, b)
		}
	}
	_, _, b := w.send(w.priya.signer, request{method: "GET", path: "/v1/users?limit=1", token: w.token(w.priya, "")})
	if !bytes.Contains(b, []byte(`Z"`)) {
		t.Errorf("no time in UTC: %s", b)
	}
	for _, path := range []string{"prompts%2Fx", "prompts/x"} {
		_, p, _ := w.send(w.priya.signer, request{
			method: "POST", path: "/v1/servers/files/tools/" + path + "/pin", token: w.token(w.priya, ""),
			body: `{"pin":"` + tool.Pin.String() + `","class":"read"}`,
		})
		if p.Code != "unknown_tool" {
			t.Errorf("%s: %+v", path, p)
		}
	}
}
