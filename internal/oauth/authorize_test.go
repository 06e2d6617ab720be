package oauth_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
)

// open sends a request to the authorization endpoint as its query is.
func (f *flow) open(raw string) answer { return f.serve(0, "GET", "/oauth/authorize?"+raw, "", nil) }

// TestAuthorizeShowsAPage: while client and redirect URI are unproven nobody is sent anywhere (no open redirector), and the page is bare.
func TestAuthorizeShowsAPage(t *testing.T) {
	f := startFlow(t, dbtest.SQLite(t))
	for name, raw := range map[string]string{
		"nothing":                 "",
		"no client":               f.query("client_id", "").Encode(),
		"unknown app":             f.query("client_id", "app_06h0fd6g41s3t3ncndvpjh70kk").Encode(),
		"an app elsewhere":        f.query("client_id", "https://evil.example/client.json").Encode(),
		"a service":               f.query("client_id", "svc_06h0fd6g41s3t3ncndvpjh70kk").Encode(),
		"first party":             f.query("client_id", "attorn-cli").Encode(),
		"no redirect":             f.query("redirect_uri", "").Encode(),
		"open redirect":           f.query("redirect_uri", "https://evil.example/").Encode(),
		"another path":            f.query("redirect_uri", callback+"/x").Encode(),
		"a query":                 f.query("redirect_uri", callback+"?x=1").Encode(),
		"a fragment":              f.query("redirect_uri", callback+"#x").Encode(),
		"another loopback":        f.query("redirect_uri", "http://localhost:5173/callback").Encode(),
		"a port where none may":   f.query("redirect_uri", "https://app.example:8443/cb?x=1").Encode(),
		"userinfo":                f.query("redirect_uri", "http://127.0.0.1@evil.example/callback").Encode(),
		"client twice":            f.query().Encode() + "&client_id=" + f.app,
		"redirect twice":          f.query().Encode() + "&redirect_uri=" + url.QueryEscape(callback),
		"request_uri twice":       f.query("request_uri", "x").Encode() + "&request_uri=y",
		"not UTF-8":               f.query().Encode() + "&x=%ff",
		"nul":                     f.query().Encode() + "&x=%00",
		"percent":                 f.query().Encode() + "&x=%zz",
		"oversize":                f.query("x", strings.Repeat("a", 64<<10)).Encode(),
		"65 fields":               f.query().Encode() + strings.Repeat("&a=b", 65),
		"a request_uri elsewhere": f.query("request_uri", "https://evil.example/request").Encode(),
		"an unknown request_uri":  f.query("request_uri", "urn:ietf:params:oauth:request_uri:"+strings.Repeat("A", 43)).Encode(),
	} {
		f.pass(2 * time.Second)
		got := f.open(raw)
		h := got.header
		if got.status != 400 || h.Get("Location") != "" || h.Get("Content-Type") != "text/html; charset=utf-8" || h.Get("Cache-Control") != "no-store" ||
			h.Get("Referrer-Policy") != "no-referrer" || !strings.Contains(h.Get("Content-Security-Policy"), "frame-ancestors 'none'") || h.Get("X-Frame-Options") != "DENY" ||
			h.Get("Access-Control-Allow-Origin") != "" || strings.Contains(string(got.raw), "evil.example") {
			t.Errorf("%s: %d %v %s", name, got.status, h, got.raw)
		}
	}
	for name, got := range map[string]answer{
		"POST with a query": f.serve(0, "POST", "/oauth/authorize?client_id="+f.app, f.query().Encode(), nil),
		"POST of JSON":      f.serve(0, "POST", "/oauth/authorize", "{}", http.Header{"Content-Type": {"application/json"}}),
	} {
		if got.status != 400 || got.header.Get("Location") != "" {
			t.Errorf("%s: %d %v", name, got.status, got.header)
		}
	}
	if got := f.serve(0, "PUT", "/oauth/authorize", "", nil); got.status != 405 {
		t.Errorf("PUT: %d", got.status)
	}
	if got := f.serve(0, "POST", "/oauth/authorize", f.query().Encode(), nil); got.status != 303 || !strings.HasPrefix(got.header.Get("Location"), flowIssuer+"/consent/") {
		t.Errorf("POST: %d %v", got.status, got.header)
	}
}

// TestAuthorizeTellsTheClient: what is wrong with a request whose client and redirect URI are proven is told to the client, with state and iss (RFC 9207 §2).
func TestAuthorizeTellsTheClient(t *testing.T) {
	f := startFlow(t, dbtest.SQLite(t))
	pushes := f.register(`{"client_name":"Pushes","redirect_uris":["http://127.0.0.1/callback"],"require_pushed_authorization_requests":true}`)
	details := func(s string) string { return f.query("authorization_details", s).Encode() }
	for name, x := range map[string]struct{ raw, error string }{
		"no response type":          {f.query("response_type", "").Encode(), "invalid_request"},
		"token":                     {f.query("response_type", "token").Encode(), "unsupported_response_type"},
		"hybrid":                    {f.query("response_type", "code id_token").Encode(), "unsupported_response_type"},
		"fragment":                  {f.query("response_mode", "fragment").Encode(), "invalid_request"},
		"a request object":          {f.query("request", "e30.e30.").Encode(), "request_not_supported"},
		"PKCE downgrade: none":      {f.query("code_challenge", "", "code_challenge_method", "").Encode(), "invalid_request"},
		"PKCE downgrade: plain":     {f.query("code_challenge_method", "plain").Encode(), "invalid_request"},
		"PKCE downgrade: no method": {f.query("code_challenge_method", "").Encode(), "invalid_request"},
		"PKCE: a short challenge":   {f.query("code_challenge", "abc").Encode(), "invalid_request"},
		"scope twice":               {f.query().Encode() + "&scope=x", "invalid_request"},
		"no resource":               {f.query("resource", "").Encode(), "invalid_target"},
		"unknown resource":          {f.query("resource", "https://else.example").Encode(), "invalid_target"},
		"another workspace's":       {f.query("resource", flowIssuer+"/w/acme/mcp/files").Encode(), "invalid_target"},
		"resource twice the same":   {f.query().Encode() + "&resource=" + url.QueryEscape(filesURL), "invalid_target"},
		"scope of another resource": {f.query("scope", "tool:wiki:read").Encode(), "invalid_scope"},
		"scope of all":              {f.query("scope", "*").Encode(), "invalid_scope"},
		"malformed scope":           {f.query("scope", "tool:files:read  x").Encode(), "invalid_scope"},
		"dpop_jkt":                  {f.query("dpop_jkt", "x").Encode(), "invalid_request"},
		"prompt none":               {f.query("prompt", "none").Encode(), "consent_required"},
		"prompt none and login":     {f.query("prompt", "none login").Encode(), "invalid_request"},
		"another prompt":            {f.query("prompt", "create").Encode(), "invalid_request"},
		"max_age":                   {f.query("max_age", "-1").Encode(), "invalid_request"},
		"long nonce":                {f.query("nonce", strings.Repeat("n", 256)).Encode(), "invalid_request"},
		"details: no JSON":          {details("x"), "invalid_authorization_details"},
		"details: another type":     {details(`[{"type":"payment"}]`), "invalid_authorization_details"},
		"details: a member more":    {details(`[{"type":"attorn_permission","permission":"tool:files:write","x":1}]`), "invalid_authorization_details"},
		"details: another location": {details(`[{"type":"attorn_permission","permission":"tool:files:write","locations":["https://else.example"]}]`), "invalid_authorization_details"},
		"details: scope without":    {details(`[{"type":"attorn_permission","permission":"tool:files:read","where":{"a":{"max":1}}}]`), "invalid_authorization_details"},
		"details: twice":            {details(`[{"type":"attorn_permission","permission":"tool:files:write","where":{"a":{"max":1}}},{"type":"attorn_permission","permission":"tool:files:write"}]`), "invalid_authorization_details"},
		"details: two tasks":        {details(`[{"type":"attorn_task","task":"a"},{"type":"attorn_task","task":"b"}]`), "invalid_authorization_details"},
		"details: an empty task":    {details(`[{"type":"attorn_task"}]`), "invalid_authorization_details"},
		"details: a deep task":      {details(`[{"type":"attorn_task","max_depth":9}]`), "invalid_authorization_details"},
		"details: a mixed task":     {details(`[{"type":"attorn_task","task":"a","permission":"tool:files:read"}]`), "invalid_authorization_details"},
		"details: a delegate":       {details(`[{"type":"attorn_task","delegate":"agt_06h0f8hig1trbdb8pp98kvu4bk"}]`), "invalid_authorization_details"},
		"details too large":         {details(strings.Repeat("x", 4097)), "invalid_request"},
		"not pushed, but always is": {f.query("client_id", pushes).Encode(), "invalid_request"},
	} {
		f.pass(2 * time.Second)
		got := f.open(x.raw)
		to, err := url.Parse(got.header.Get("Location"))
		f.ok(err)
		q := to.Query()
		if got.status != 303 || !strings.HasPrefix(to.String(), callback+"?") || q.Get("error") != x.error || q.Get("iss") != flowIssuer || q.Get("state") != "s t&=ä" || q.Has("code") ||
			got.header.Get("Cache-Control") != "no-store" || got.header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: %d %s", name, got.status, to)
		}
	}
	got := f.open(f.query().Encode() + "&state=b")
	if to, _ := url.Parse(got.header.Get("Location")); to.Query().Get("error") != "invalid_request" || to.Query().Has("state") {
		t.Errorf("state twice: %s", to)
	}
	got = f.open(f.query("redirect_uri", "https://app.example/cb?x=1", "prompt", "none").Encode())
	if !strings.HasPrefix(got.header.Get("Location"), "https://app.example/cb?x=1&") {
		t.Errorf("a redirect URI with a query: %s", got.header.Get("Location"))
	}
}

// TestAuthorizeKeepsAllThatWasAsked: what the client asked for is what the person is asked.
func TestAuthorizeKeepsAllThatWasAsked(t *testing.T) {
	f := startFlow(t, dbtest.SQLite(t))
	q := f.query(
		"scope", "openid offline_access tool:files:read", "nonce", "n", "prompt", "login consent", "max_age", "60", "acr_values", "urn:attorn:acr:3 x", "login_hint", "priya",
		"dpop_jkt", f.signer.Public().Thumbprint().String(),
		"authorization_details", `[{"type":"attorn_permission","permission":"tool:wiki:write","where":{"path":{"prefix":"a"}},"locations":["`+flowIssuer+`/mcp/wiki"]},{"type":"attorn_task","task":"T","purpose":"p","expires_in":60,"max_uses":3,"max_depth":1}]`)
	q.Add("resource", flowIssuer+"/mcp/wiki")
	x, err := f.nodes[0].Consent(t.Context(), f.priya, f.asks(q))
	f.ok(err)
	r := x.Request
	if r.Client != f.app || r.Redirect != callback || r.State != "s t&=ä" || r.Challenge != codeS256 || len(r.Resources) != 2 || len(r.Permissions) != 2 || r.Permissions[1].Where["path"].Prefix == nil ||
		!r.OpenID || !r.Offline || r.Nonce != "n" || len(r.Prompt) != 2 || *r.MaxAge != 60 || len(r.ACR) != 2 || r.LoginHint != "priya" || r.JKT != f.signer.Public().Thumbprint() ||
		r.Task != (guard.TaskAsk{Task: "T", Purpose: "p", ExpiresIn: 60, MaxUses: 3, MaxDepth: 1}) || !x.StepUp || x.TTL != time.Minute || len(x.Lend) != 2 || len(x.Lend[1].Permissions) != 1 {
		t.Errorf("%+v", x)
	}
}

// TestResume: a decision is taken to the client once, in the session that decided it, and by nobody else.
func TestResume(t *testing.T) {
	f := startFlow(t, dbtest.SQLite(t))
	g := f.nodes[0]
	handle := f.consents(f.asks(f.query()))
	for name, got := range map[string]answer{
		"no cookie":      f.serve(0, "GET", "/oauth/resume/"+handle, "", nil),
		"another cookie": f.resume(0, handle, strings.Repeat("A", 43)),
		"two cookies":    f.serve(0, "GET", "/oauth/resume/"+handle, "", http.Header{"Cookie": {"attorn-dev=" + f.cookie + "; attorn-dev=" + f.cookie}}),
		"a query":        f.serve(0, "GET", "/oauth/resume/"+handle+"?x=1", "", http.Header{"Cookie": {"attorn-dev=" + f.cookie}}),
		"another handle": f.resume(0, strings.Repeat("A", 43), f.cookie),
		"no handle":      f.resume(0, "x", f.cookie),
		"POST":           f.serve(0, "POST", "/oauth/resume/"+handle, "", http.Header{"Cookie": {"attorn-dev=" + f.cookie}}),
	} {
		if got.status/100 != 4 || got.header.Get("Location") != "" {
			t.Errorf("%s: %d %v", name, got.status, got.header)
		}
	}
	if got := f.resume(0, handle, f.cookie); got.status != 303 || !strings.Contains(got.header.Get("Location"), "code=") || got.header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("%d %v", got.status, got.header)
	}
	if got := f.resume(0, handle, f.cookie); got.status != 400 || !strings.Contains(string(got.raw), "opened before") || strings.Contains(string(got.raw), "Nothing was granted") ||
		!strings.Contains(string(got.raw), flowIssuer+"/lent") {
		t.Errorf("again: %d %s", got.status, got.raw)
	}
	refused, err := g.RefuseConsent(t.Context(), f.priya, f.asks(f.query()))
	f.ok(err)
	to, _ := url.Parse(f.resume(0, refused, f.cookie).header.Get("Location"))
	if q := to.Query(); q.Get("error") != "access_denied" || q.Get("iss") != flowIssuer || q.Get("state") != "s t&=ä" || q.Has("code") {
		t.Errorf("a refusal: %s", to)
	}
	_, secret, err := g.Invite(t.Context(), f.priya, "Maya Chen")
	f.ok(err)
	maya, _, _, err := g.SignInPage(t.Context(), secret, "Maya Chen", "")
	f.ok(err)
	handle = f.consents(f.asks(f.query()))
	if got := f.resume(0, handle, maya); got.status != 400 || got.header.Get("Location") != "" {
		t.Errorf("another person: %d %v", got.status, got.header)
	}
	if got := f.resume(0, handle, f.cookie); got.status != 400 {
		t.Errorf("what another person brought stays good: %d", got.status)
	}
	handle = f.consents(f.asks(f.query()))
	f.pass(time.Minute)
	if got := f.resume(0, handle, f.cookie); got.status != 400 {
		t.Errorf("too late: %d", got.status)
	}
}

// Once: of 64 who bring one single-use thing to all nodes at once, one is served.
func TestOnceFlow(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		f := startFlow(t, dsn)
		together := func(bring func(n int) answer) (good []answer, all map[string]int) {
			got := make([]answer, 64)
			var ready, done sync.WaitGroup
			ready.Add(len(got))
			for n := range got {
				done.Go(func() {
					ready.Done()
					ready.Wait()
					got[n] = bring(n)
				})
			}
			done.Wait()
			all = map[string]int{}
			for _, a := range got {
				if a.status == 200 || a.status == 303 {
					good = append(good, a)
				}
				all[fmt.Sprint(a.status, " ", a.text("error"), " ", a.text("reason"))]++
			}
			return good, all
		}
		push := f.serve(0, "POST", "/oauth/par", f.query().Encode(), nil)
		open := url.Values{"client_id": {f.app}, "request_uri": {push.text("request_uri")}}.Encode()
		if good, all := together(func(n int) answer { return f.serve(n, "GET", "/oauth/authorize?"+open, "", nil) }); len(good) != 1 {
			t.Errorf("par: %v", all)
		}
		f.pass(61 * time.Second)
		handle := f.consents(f.asks(f.query()))
		if good, all := together(func(n int) answer { return f.resume(n, handle, f.cookie) }); len(good) != 1 {
			t.Errorf("resume: %v", all)
		}
		f.pass(61 * time.Second)
		code := f.code(f.query())
		proofs := make([]string, 64)
		fresh := func() {
			for n := range proofs {
				proofs[n] = f.proof(f.signer, tokenPath)
			}
		}
		fresh()
		good, all := together(func(n int) answer { return f.token(n, f.redeem(code), proofs[n]) })
		if len(good) != 1 {
			t.Fatalf("code: %v", all)
		}
		if f.live(f.claims(good[0]).Delegation) {
			t.Error("a code that was used 64 times ended nothing")
		}
		f.pass(2 * time.Second)
		rt := f.good(f.redeem(f.code(f.query()))).text("refresh_token")
		f.pass(2 * time.Second)
		fresh()
		good, all = together(func(n int) answer { return f.token(n, f.refresh(rt), proofs[n]) })
		if len(good) != 1 || all["400 invalid_grant concurrent"] == 0 {
			t.Fatalf("refresh: %v", all)
		}
		if !f.live(f.claims(good[0]).Delegation) {
			t.Error("a client that asked 64 times at once was taken for a thief")
		}
	})
}
