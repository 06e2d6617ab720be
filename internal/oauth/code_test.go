package oauth_test

import (
	"crypto/sha512"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/jose"
)

// TestCode: an app that a person consented to gets a token of the person's, through the agent that it became, bound to its key, and the next one by a refresh token.
func TestCode(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		f := startFlow(t, dsn)
		got := f.good(f.redeem(f.code(f.query("scope", "openid tool:files:read", "nonce", "n1"))))
		c, key := f.claims(got), f.signer.Public().Thumbprint()
		if c.Subject != f.user.String() || c.Audience != filesURL || c.ClientID != f.app || c.JKT != key || c.Act.Sub.IsZero() || c.Act.Instance != key || c.Act.Act != nil ||
			c.Scope != "tool:files:read" || c.Delegation.IsZero() || c.Expires-c.IssuedAt > 300 || c.AuthTime == 0 || got.text("token_type") != "DPoP" ||
			!strings.HasPrefix(got.text("refresh_token"), "attorn_rt_") || len(got.text("refresh_token")) != 53 || got.body["delegation"] != nil {
			t.Errorf("%+v\n%s", c, got.raw)
		}
		if err := f.call(got); err != nil {
			t.Errorf("the token is not good: %v", err)
		}
		enrolled, issued := f.newest(evidence.InstanceEnrolled), f.newest(evidence.TokenIssued)
		if enrolled.What.Instance != key || enrolled.What.Agent != c.Act.Sub || enrolled.What.Status != string(agents.Device) || enrolled.What.Client != f.app || enrolled.Rev != issued.Rev-1 ||
			issued.Who.Sub != c.Act.Sub.String() || issued.Who.Instance != key || len(issued.Who.Chain) != 2 {
			t.Errorf("%s\n%s", enrolled.Body, issued.Body)
		}
		f.idToken(got, "n1")

		f.pass(time.Minute)
		again := f.good(f.refresh(got.text("refresh_token")))
		if d := f.claims(again); d.Delegation != c.Delegation || d.JKT != key || again.text("refresh_token") == got.text("refresh_token") || again.text("refresh_token") == "" || again.body["id_token"] != nil {
			t.Errorf("%s", again.raw)
		}
		second := f.good(f.redeem(f.code(f.query())))
		if d := f.claims(second); d.Act.Sub != c.Act.Sub || d.Delegation == c.Delegation {
			t.Errorf("the same app is another agent: %+v", d)
		}
		if e := f.newest(evidence.InstanceEnrolled); e.ID != enrolled.ID {
			t.Errorf("the same key was enrolled again: %s", e.Body)
		}
	})
}

// idToken verifies an ID token as a client does (OpenID Connect Core §3.1.3.7).
func (f *flow) idToken(a answer, nonce string) {
	f.t.Helper()
	j, err := jose.Parse(a.text("id_token"), 0)
	f.ok(err)
	kid, err := id.ParseKey(j.Header.Kid)
	f.ok(err)
	key, _ := keysOf(f.t, f.serve(0, "GET", "/oauth/jwks", "", nil).raw)(kid)
	f.ok(j.Verify(key))
	var c struct {
		Issuer   string `json:"iss"`
		Subject  string `json:"sub"`
		Audience string `json:"aud"`
		Nonce    string `json:"nonce"`
		Expires  int64  `json:"exp"`
		IssuedAt int64  `json:"iat"`
		AuthTime int64  `json:"auth_time"`
		ACR      string `json:"acr"`
		Hash     string `json:"at_hash"`
	}
	f.ok(json.Unmarshal(j.Payload, &c))
	sum := sha512.Sum512([]byte(a.text("access_token"))) // §3.1.3.6, of Ed25519
	if access := f.claims(a); c.Hash != jose.EncodeBase64(sum[:32]) || c.ACR != access.ACR || c.AuthTime != access.AuthTime || c.Subject != access.Subject || strings.Contains(string(j.Payload), "sid") {
		f.t.Errorf("%s beside %+v", j.Payload, access)
	}
	if c.Issuer != flowIssuer || c.Subject != f.user.String() || c.Audience != f.app || c.Nonce != nonce || c.Expires-c.IssuedAt != 300 || c.IssuedAt != f.now().Unix() || c.AuthTime == 0 {
		f.t.Errorf("%s", j.Payload)
	}
}

// TestAgentPushes: an agent's request is pushed, its code is bound to the key that pushed it, and beside the token it gets the delegation, by which it gets more.
func TestAgentPushes(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		f := startFlow(t, dsn)
		bot, s := f.agent("release-bot")
		push := func(s jose.Signer, changes ...string) answer {
			q := f.query(append([]string{"client_id", bot.String(), "redirect_uri", "https://bot.example/cb", "client_assertion_type", assertionType, "client_assertion", f.assertion(s, bot.String())}, changes...)...)
			return f.serve(0, "POST", "/oauth/par", q.Encode(), nil)
		}
		got := push(s)
		uri := got.text("request_uri")
		if got.status != 201 || got.body["expires_in"] != 90.0 || !strings.HasPrefix(uri, "urn:ietf:params:oauth:request_uri:") || got.header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%d %s", got.status, got.raw)
		}
		open := url.Values{"client_id": {bot.String()}, "request_uri": {uri}, "redirect_uri": {"https://evil.example"}}
		handle := f.asks(open)
		if got := f.serve(0, "GET", "/oauth/authorize?"+open.Encode(), "", nil); got.status != 400 || got.header.Get("Location") != "" {
			t.Errorf("opened twice: %d %v", got.status, got.header)
		}
		to, err := url.Parse(f.resume(0, f.consents(handle), f.cookie).header.Get("Location"))
		f.ok(err)
		if to.Host != "bot.example" {
			t.Errorf("sent to %s", to)
		}
		form := func(s jose.Signer) url.Values {
			return f.redeem(to.Query().Get("code"), "client_id", bot.String(), "redirect_uri", "https://bot.example/cb", "client_assertion_type", assertionType, "client_assertion", f.assertion(s, bot.String()))
		}
		tok := f.token(0, form(s), f.proof(s, tokenPath))
		if tok.status != 200 || tok.body["refresh_token"] != nil {
			t.Fatalf("%d %s", tok.status, tok.raw)
		}
		link, err := delegation.ParseLink(tok.text("delegation"))
		if err != nil || link.Statement.Delegate.Agent != bot || link.Statement.Delegator.User != f.user || f.claims(tok).Delegation != link.Statement.ID {
			t.Errorf("%+v, %v", link, err)
		}
		ex := f.token(0, url.Values{
			"grant_type": {grantExchange}, "subject_token": {tok.text("delegation")}, "subject_token_type": {typeDelegation}, "resource": {filesURL},
			"client_assertion_type": {assertionType}, "client_assertion": {f.assertion(s, bot.String())},
		}, f.proof(s, tokenPath))
		if ex.status != 200 {
			t.Errorf("exchanged: %d %s", ex.status, ex.raw)
		}
		if got := f.serve(0, "GET", "/oauth/authorize?"+f.query("client_id", bot.String()).Encode(), "", nil); got.status != 400 || got.header.Get("Location") != "" {
			t.Errorf("not pushed: %d %v", got.status, got.header)
		}
		for name, got := range map[string]answer{
			"another key":          push(newSigner(t)),
			"another agent's key":  push(s, "client_id", id.New[id.Agent](f.now()).String()),
			"no redirect":          push(s, "redirect_uri", ""),
			"a bad redirect":       push(s, "redirect_uri", "http://bot.example/"),
			"another dpop_jkt":     push(s, "dpop_jkt", newSigner(t).Public().Thumbprint().String()),
			"a request_uri":        push(s, "request_uri", uri),
			"plain":                push(s, "code_challenge_method", "plain"),
			"an unknown resource":  push(s, "resource", "https://else.example"),
			"prompt none":          push(s, "prompt", "none"),
			"a resource elsewhere": push(s, "resource", flowIssuer+"/w/acme/api"),
		} {
			if got.status/100 != 4 || got.text("error") == "" || got.body["request_uri"] != nil {
				t.Errorf("%s: %d %s", name, got.status, got.raw)
			}
		}
	})
}

// TestBearer: a workspace that says so gives an app a token without a key; the rule is read at each use, and every event says what it was.
func TestBearer(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		f := startFlow(t, dsn)
		got := f.token(0, f.redeem(f.code(f.query())), "")
		refuses(t, got, 400, "unauthorized_client", "bearer_not_allowed")
		f.bearer(true)
		got = f.token(0, f.redeem(f.code(f.query())), "")
		if got.status != 200 || got.text("token_type") != "Bearer" {
			t.Fatalf("%d %s", got.status, got.raw)
		}
		c := f.claims(got)
		if !c.JKT.IsZero() || !c.Act.Instance.IsZero() {
			t.Errorf("%+v", c)
		}
		if err := f.call(got); err != nil {
			t.Errorf("the token is not good: %v", err)
		}
		e := f.newest(evidence.TokenIssued)
		if e.Who.Proof == nil || e.Who.Proof.Type != "bearer" || !e.Who.Instance.IsZero() || e.Who.Chain[1].Sub != c.Act.Sub.String() || !e.Who.Chain[1].Instance.IsZero() {
			t.Errorf("%s", e.Body)
		}
		if _, err := f.nodes[0].log.Content(t.Context(), e.Under.Token.SHA256); err == nil {
			t.Error("the bearer token is kept")
		}
		bound := f.good(f.redeem(f.code(f.query())))
		swapped := func(a answer, kind string) answer {
			return answer{body: map[string]any{"access_token": a.text("access_token"), "token_type": kind}}
		}
		for name, a := range map[string]answer{"a bound one as Bearer": swapped(bound, "Bearer"), "a bearer one as DPoP": swapped(got, "DPoP")} {
			if err := f.call(a); fault.Code(err) != "invalid_token" {
				t.Errorf("%s: %v", name, err)
			}
		}
		f.pass(time.Second)
		rt := f.token(0, f.refresh(got.text("refresh_token")), "")
		if rt.status != 200 || rt.text("token_type") != "Bearer" {
			t.Errorf("%d %s", rt.status, rt.raw)
		}
		refuses(t, f.bound(f.refresh(rt.text("refresh_token"))), 400, "invalid_grant", "binding") // no key of anybody's is put on it
		f.bearer(false)
		if err := f.call(got); fault.Code(err) != "bearer_not_allowed" {
			t.Errorf("after the rule was taken away: %v", err)
		}
	})
}

// TestCodeRefused: a code is for one client, redirect URI, verifier and key, once; whatever is wrong, it is spent.
func TestCodeRefused(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		f := startFlow(t, dsn)
		other := f.register(desktopApp)
		stranger := newSigner(t)
		for name, x := range map[string]struct {
			query, change []string
			by            jose.Signer
			error, reason string
		}{
			"code injection: another client":   {nil, []string{"client_id", other}, f.signer, "invalid_grant", "binding"},
			"code injection: another verifier": {nil, []string{"code_verifier", strings.Repeat("a", 43)}, f.signer, "invalid_grant", "binding"},
			"another redirect URI":             {nil, []string{"redirect_uri", "http://127.0.0.1:1/callback"}, f.signer, "invalid_grant", "binding"},
			"another resource":                 {nil, []string{"resource", flowIssuer + "/mcp/wiki"}, f.signer, "invalid_target", "unknown_resource"},
			"another workspace's resource":     {nil, []string{"resource", flowIssuer + "/w/acme/mcp/files"}, f.signer, "invalid_target", "unknown_resource"},
			"another key than dpop_jkt":        {[]string{"dpop_jkt", f.signer.Public().Thumbprint().String()}, nil, stranger, "invalid_grant", "binding"},
			"no key where dpop_jkt was":        {[]string{"dpop_jkt", f.signer.Public().Thumbprint().String()}, nil, nil, "invalid_grant", "binding"},
			"the challenge for the verifier":   {nil, []string{"code_verifier", codeS256}, f.signer, "invalid_grant", "binding"},
		} {
			f.pass(2 * time.Second)
			code := f.code(f.query(x.query...))
			proof := ""
			if x.by != nil {
				proof = f.proof(x.by, tokenPath)
			}
			got := f.token(0, f.redeem(code, x.change...), proof)
			if got.status != 400 || got.text("error") != x.error || got.text("reason") != x.reason || got.text("event") == "" {
				t.Errorf("%s: %d %s", name, got.status, got.raw)
			}
			if got := f.bound(f.redeem(code)); got.text("error") != "invalid_grant" || got.text("reason") != "spent" {
				t.Errorf("%s: then rightly: %d %s", name, got.status, got.raw)
			}
		}
		for name, x := range map[string]struct {
			form          url.Values
			proof         string
			status        int
			error, reason string
		}{
			"no verifier":       {f.redeem("x", "code_verifier", ""), "", 400, "invalid_request", "pkce_required"},
			"a short verifier":  {f.redeem("x", "code_verifier", "a"), "", 400, "invalid_request", "pkce_required"},
			"no code":           {f.redeem(""), "", 400, "invalid_request", "malformed"},
			"unknown":           {f.redeem("x"), f.proof(f.signer, tokenPath), 400, "invalid_grant", "unknown"},
			"no client":         {f.redeem("x", "client_id", ""), "", 401, "invalid_client", ""},
			"unknown client":    {f.redeem("x", "client_id", "app_x"), "", 401, "invalid_client", ""},
			"a secret":          {f.redeem("x", "client_secret", "y"), "", 401, "invalid_client", ""},
			"mixed":             {f.redeem("x", "client_assertion", "y", "client_assertion_type", assertionType, "client_secret", "z"), "", 400, "invalid_request", "malformed"},
			"an old proof":      {f.redeem("x"), f.proofAt(f.signer, "POST", tokenPath, "", ""), 400, "use_dpop_nonce", ""},
			"a refresh unknown": {f.refresh("attorn_rt_x"), f.proof(f.signer, tokenPath), 400, "invalid_grant", "unknown"},
		} {
			got := f.token(0, x.form, x.proof)
			if got.status != x.status || got.text("error") != x.error || got.text("reason") != x.reason {
				t.Errorf("%s: %d %s", name, got.status, got.raw)
			}
		}
		late := f.code(f.query())
		f.pass(time.Minute)
		refuses(t, f.bound(f.redeem(late)), 400, "invalid_grant", "expired")
	})
}

// NonceFirst: who has to make the proof again with a nonce has spent neither the code nor the refresh token.
func TestNonceFirstOfCodes(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		f := startFlow(t, dsn)
		code := f.code(f.query())
		got := f.token(0, f.redeem(code), f.proofAt(f.signer, "POST", tokenPath, "", ""))
		refuses(t, got, 400, "use_dpop_nonce", "")
		got = f.token(0, f.redeem(code), f.proofAt(f.signer, "POST", tokenPath, got.header.Get("DPoP-Nonce"), ""))
		if got.status != 200 {
			t.Fatalf("%d %s", got.status, got.raw)
		}
		rt := got.text("refresh_token")
		refuses(t, f.token(0, f.refresh(rt), f.proofAt(f.signer, "POST", tokenPath, "", "")), 400, "use_dpop_nonce", "")
		f.good(f.refresh(rt))
	})
}

// Cascade: a code or refresh token that is used twice ends the delegation, what was lent under it, and every token of either.
func TestReuseEndsTheFamily(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		f := startFlow(t, dsn)
		q := f.query("authorization_details", `[{"type":"attorn_task","max_depth":1}]`)
		code := f.code(q)
		got := f.good(f.redeem(code))
		c := f.claims(got)
		child := f.lendOn(c.Delegation, c.Act.Sub)
		f.pass(time.Second)
		refuses(t, f.bound(f.redeem(code)), 400, "invalid_grant", "spent")
		e := f.newest(evidence.DelegationRevoked)
		if f.live(c.Delegation) || f.live(child) || e.What.Delegation != c.Delegation || len(e.What.Ended) != 1 || e.What.Ended[0] != child.String() || e.Rev != f.newest(evidence.TokenRefused).Rev-1 {
			t.Errorf("what it led to goes on: %s", e.Body)
		}
		if err := f.call(got); fault.Code(err) != "delegation_revoked" {
			t.Errorf("the token: %v", err)
		}
		refuses(t, f.bound(f.refresh(got.text("refresh_token"))), 400, "invalid_grant", "delegation_ended")

		got = f.good(f.redeem(f.code(f.query())))
		rt, c := got.text("refresh_token"), f.claims(got)
		f.pass(time.Second)
		next := f.good(f.refresh(rt))
		f.pass(9 * time.Second)
		refuses(t, f.bound(f.refresh(rt)), 400, "invalid_grant", "concurrent")
		if !f.live(c.Delegation) {
			t.Error("a race ended the family")
		}
		next = f.good(f.refresh(next.text("refresh_token")))
		refuses(t, f.token(0, f.refresh(rt), f.proof(newSigner(t), tokenPath)), 400, "invalid_grant", "spent")
		if f.live(c.Delegation) || f.call(next) == nil {
			t.Error("a thief's use ended nothing")
		}

		got = f.good(f.redeem(f.code(f.query())))
		rt, c = got.text("refresh_token"), f.claims(got)
		f.good(f.refresh(rt))
		f.pass(11 * time.Second)
		refuses(t, f.bound(f.refresh(rt)), 400, "invalid_grant", "spent")
		if f.live(c.Delegation) {
			t.Error("late reuse ended nothing")
		}
	})
}

// lendOn lends what the app's agent was lent to another agent, by the app's key.
func (f *flow) lendOn(parent id.Delegation, by id.Agent) id.Delegation {
	f.t.Helper()
	to, s := f.agent("deployer")
	up, err := f.nodes[0].Lending.Get(f.t.Context(), id.Default, parent)
	f.ok(err)
	digest, err := up.Link.Statement.Digest()
	f.ok(err)
	st := up.Link.Statement
	st.ID, st.Parent, st.MaxDepth = id.New[id.Delegation](f.now()), &digest, 0
	st.Delegator, st.Delegate = delegation.Delegator{Agent: by, Instance: f.signer.Public().Thumbprint()}, delegation.Delegate{Agent: to}
	signed, err := delegation.Sign(st, f.signer)
	f.ok(err)
	raw, err := delegation.Encode(signed)
	f.ok(err)
	got := f.token(0, url.Values{
		"grant_type": {grantExchange}, "subject_token": {raw}, "subject_token_type": {typeDelegation}, "resource": {filesURL},
		"client_assertion_type": {assertionType}, "client_assertion": {f.assertion(s, to.String())},
	}, f.proof(s, tokenPath))
	if got.status != 200 {
		f.t.Fatalf("%d %s", got.status, got.raw)
	}
	return st.ID
}

// TestRefresh: it is for the client and key that it was issued to, never widens, ends with what it rests on, and after three idle days.
func TestRefresh(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		f := startFlow(t, dsn)
		one := func(q ...string) string {
			f.pass(time.Second)
			return f.good(f.redeem(f.code(f.query(q...)))).text("refresh_token")
		}
		all := []string{"scope", "tool:files:read tool:files:write"}
		got := f.good(f.refresh(one(all...), "scope", "tool:files:read"))
		if f.claims(got).Scope != "tool:files:read" {
			t.Errorf("narrowed: %s", got.raw)
		}
		f.pass(time.Second)
		if got = f.good(f.refresh(got.text("refresh_token"))); f.claims(got).Scope != "tool:files:read tool:files:write" {
			t.Errorf("the narrowing stays: %s", got.raw)
		}
		refuses(t, f.bound(f.refresh(one(), "scope", "tool:files:write")), 400, "invalid_scope", "not_covered")
		f.pass(time.Second)
		got = f.good(f.redeem(f.code(f.query())))
		refused := got.text("refresh_token")
		refuses(t, f.bound(f.refresh(refused, "scope", "tool:files:write")), 400, "invalid_scope", "not_covered")
		for _, wait := range []time.Duration{0, time.Minute} { // it brought nobody anything: there are no two who have what it brought
			f.pass(wait)
			refuses(t, f.bound(f.refresh(refused)), 400, "invalid_grant", "spent")
		}
		if !f.live(f.claims(got).Delegation) {
			t.Error("a refusal that was asked for again ended the family")
		}
		refuses(t, f.bound(f.refresh(one(), "resource", flowIssuer+"/mcp/wiki")), 400, "invalid_target", "unknown_resource")
		refuses(t, f.token(0, f.refresh(one()), f.proof(newSigner(t), tokenPath)), 400, "invalid_grant", "binding")
		refuses(t, f.token(0, f.refresh(one()), ""), 400, "invalid_grant", "binding")
		refuses(t, f.bound(f.refresh(one(), "client_id", f.register(desktopApp))), 400, "invalid_grant", "binding")
		idle := one()
		rt := one("authorization_details", `[{"type":"attorn_task","expires_in":600}]`)
		f.pass(10 * time.Minute)
		if got := f.bound(f.refresh(rt)); got.status != 400 || got.text("reason") != "expired" {
			t.Errorf("after the delegation: %d %s", got.status, got.raw)
		}
		idleApp := f.app
		plain := f.register(`{"client_name":"Plain","redirect_uris":["http://127.0.0.1/callback"]}`)
		own := f.signer
		f.app, f.signer = plain, newSigner(t) // a key is one agent's
		if got := f.good(f.redeem(f.code(f.query()))); got.body["refresh_token"] != nil {
			t.Errorf("nobody asked for it: %s", got.raw)
		}
		f.pass(time.Second)
		if got := f.good(f.redeem(f.code(f.query("scope", "tool:files:read offline_access")))); got.body["refresh_token"] == nil {
			t.Errorf("offline_access: %s", got.raw)
		}
		f.app, f.signer = idleApp, own
		f.pass(72*time.Hour - 11*time.Minute)
		idle = f.good(f.refresh(idle)).text("refresh_token")
		f.pass(72 * time.Hour)
		refuses(t, f.bound(f.refresh(idle)), 400, "invalid_grant", "expired")
	})
}

// TestRevokeByApp: an app's token of either kind, revoked, ends what it is of; another client ends nothing, and is told nothing.
func TestRevokeByApp(t *testing.T) {
	f := startFlow(t, dbtest.SQLite(t))
	for _, kind := range []string{"refresh_token", "access_token"} {
		f.pass(time.Second)
		got := f.good(f.redeem(f.code(f.query())))
		c := f.claims(got)
		revoke := func(client string) answer {
			return f.serve(0, "POST", "/oauth/revoke", url.Values{"token": {got.text(kind)}, "client_id": {client}}.Encode(), nil)
		}
		if a := revoke(f.register(desktopApp)); a.status != 200 || string(a.raw) != `{"revoked":[]}` || !f.live(c.Delegation) {
			t.Errorf("by another: %d %s", a.status, a.raw)
		}
		if a := revoke(f.app); a.status != 200 || string(a.raw) != `{"revoked":["`+c.Delegation.String()+`"]}` || f.live(c.Delegation) {
			t.Errorf("%s: %d %s", kind, a.status, a.raw)
		}
		if f.call(got) == nil || f.bound(f.refresh(got.text("refresh_token"))).status != 400 {
			t.Errorf("%s: something goes on", kind)
		}
	}
}

// Token substitution: a token that came by a code is good at its resource alone, in its workspace, by its key, and opens nothing at the token endpoint.
func TestTokenSubstitution(t *testing.T) {
	f := startFlow(t, dbtest.SQLite(t))
	got := f.good(f.redeem(f.code(f.query())))
	raw := got.text("access_token")
	for name, x := range map[string]struct {
		audience string
		by       jose.Signer
		want     string
	}{
		"another resource":     {flowIssuer + "/mcp/wiki", f.signer, "token_audience"},
		"attorn's own API":     {flowIssuer + "/api", f.signer, "token_audience"},
		"another workspace's":  {flowIssuer + "/w/acme/mcp/files", f.signer, "token_audience"},
		"by another key":       {filesURL, newSigner(t), "dpop_binding"},
		"as it was issued for": {filesURL, f.signer, ""},
	} {
		path := strings.TrimPrefix(x.audience, flowIssuer)
		_, err := f.nodes[0].Authenticate(t.Context(), guard.Credentials{
			Method: "POST", URL: x.audience, Authorization: []string{"DPoP " + raw}, DPoP: []string{f.proofAt(x.by, "POST", path, "", raw)}, Face: "gateway",
		}, x.audience)
		if fault.Code(err) != x.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, form := range map[string]url.Values{
		"an access token for a code":          f.redeem(raw),
		"an access token for a refresh token": f.refresh(raw),
		"a refresh token for a code":          f.redeem(strings.TrimPrefix(got.text("refresh_token"), "attorn_rt_")),
	} {
		if a := f.bound(form); a.status != 400 || a.text("reason") != "unknown" {
			t.Errorf("%s: %d %s", name, a.status, a.raw)
		}
	}
	if !f.live(f.claims(got).Delegation) {
		t.Error("a mistake ended the delegation")
	}
}
