package oauth_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/keyring"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

// proving is an app that proves itself by a key of its own.
func (f *flow) proving(by jose.Signer) string {
	return f.register(fmt.Sprintf(`{"client_name":"Desktop","redirect_uris":["http://127.0.0.1/callback"],"grant_types":["authorization_code","refresh_token"],
		"token_endpoint_auth_method":"private_key_jwt","jwks":{"keys":[%s]}}`, by.Public().JWK()))
}

// introspect asks as an app with a key, or with by zero as who it says it is.
func (f *flow) introspect(app string, by jose.Signer, raw string, accept ...string) answer {
	f.t.Helper()
	form := url.Values{"client_id": {app}, "token": {raw}, "token_type_hint": {"refresh_token"}}
	if by != nil {
		form.Set("client_assertion_type", assertionType)
		form.Set("client_assertion", f.assertion(by, app))
	}
	return f.serve(0, "POST", introspectPath, form.Encode(), http.Header{"Accept": accept})
}

// TestIntrospectRefresh: an app reads its own refresh token, as often as it likes; nobody else does, and what ends it for a refresh ends it here.
func TestIntrospectRefresh(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		f := startFlow(t, dsn)
		own, foreign := newSigner(t), newSigner(t)
		f.app = f.proving(own)
		other := f.proving(foreign)
		asApp := func() []string {
			return []string{"client_assertion_type", assertionType, "client_assertion", f.assertion(own, f.app)}
		}
		began := f.now()
		got := f.good(f.redeem(f.code(f.query("authorization_details", `[{"type":"attorn_task","task":"T-1"}]`)), asApp()...))
		c, raw := f.claims(got), got.text("refresh_token")
		inactive := func(what string, a answer) {
			t.Helper()
			if a.status != 200 || string(a.raw) != `{"active":false}` {
				t.Errorf("%s: %d %s", what, a.status, a.raw)
			}
		}
		for range 2 { // reading spends nothing
			seen := f.introspect(f.app, own, raw)
			want := map[string]any{
				"active": true, "iss": flowIssuer, "sub": f.user.String(), "client_id": f.app, "scope": "tool:files:read", "iat": float64(began.Unix()),
				"exp": float64(began.Add(72 * time.Hour).Unix()), "dlg": c.Delegation.String(), "ws": "default", "task": "T-1", "token_type": nil, "jti": nil, "aud": nil,
			}
			for member, value := range want {
				if seen.body[member] != value {
					t.Errorf("%s is %v, want %v", member, seen.body[member], value)
				}
			}
			if seen.status != 200 || len(seen.body["chain"].([]any)) != 2 || seen.body["cnf"].(map[string]any)["jkt"] != f.signer.Public().Thumbprint().String() ||
				seen.body["act"].(map[string]any)["sub"] != c.Act.Sub.String() || seen.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%d %s", seen.status, seen.raw)
			}
		}
		inactive("another app", f.introspect(other, foreign, raw))
		inactive("unknown", f.introspect(f.app, own, "attorn_rt_"+strings.Repeat("A", 43)))
		inactive("without its prefix", f.introspect(f.app, own, strings.TrimPrefix(raw, "attorn_rt_")))
		refuses(t, f.introspect(f.app, nil, raw), 401, "invalid_client", "")
		refuses(t, f.introspect(f.app, foreign, raw), 401, "invalid_client", "")
		refuses(t, f.introspect(other, own, raw), 401, "invalid_client", "")

		next := f.good(f.refresh(raw, asApp()...)).text("refresh_token") // what was read so often is still good, once
		inactive("spent", f.introspect(f.app, own, raw))
		if !f.live(c.Delegation) {
			t.Error("reading a spent refresh token ended its family")
		}
		if a := f.introspect(f.app, own, next); a.body["active"] != true {
			t.Errorf("the next: %s", a.raw)
		}
		f.pass(72 * time.Hour)
		inactive("idle for too long", f.introspect(f.app, own, next))
	})
}

// TestIntrospectRefreshEnds: what a refresh token is of ends, and so does it.
func TestIntrospectRefreshEnds(t *testing.T) {
	f := startFlow(t, dbtest.SQLite(t))
	own := newSigner(t)
	f.app = f.proving(own)
	asApp := func() []string {
		return []string{"client_assertion_type", assertionType, "client_assertion", f.assertion(own, f.app)}
	}
	for name, end := range map[string]func(token.Claims){
		"the app is not allowed any more": func(token.Claims) { f.deny() },
		"delegation revoked": func(c token.Claims) {
			_, _, err := f.nodes[0].Revoke(t.Context(), f.priya, c.Delegation, "")
			f.ok(err)
		},
		"agent suspended": func(c token.Claims) {
			_, _, _, err := f.nodes[0].EndAgent(t.Context(), f.priya, c.Act.Sub, "suspend", "")
			f.ok(err)
		},
	} {
		got := f.good(f.redeem(f.code(f.query()), asApp()...))
		if a := f.introspect(f.app, own, got.text("refresh_token")); a.body["active"] != true {
			t.Fatalf("%s, before: %d %s", name, a.status, a.raw)
		}
		end(f.claims(got))
		if a := f.introspect(f.app, own, got.text("refresh_token")); string(a.raw) != `{"active":false}` {
			t.Errorf("%s: %d %s", name, a.status, a.raw)
		}
		f.pass(time.Second)
		f.signer = newSigner(t)
		own = newSigner(t)
		f.app = f.proving(own) // another agent
	}
}

// TestSignedIntrospection is RFC 9701 §5: who asks for it gets the same answer as a JWT of our key, for them alone.
func TestSignedIntrospection(t *testing.T) {
	const kind = "application/token-introspection+jwt"
	f := startFlow(t, dbtest.SQLite(t))
	own := newSigner(t)
	f.app = f.proving(own)
	got := f.good(f.redeem(f.code(f.query()), "client_assertion_type", assertionType, "client_assertion", f.assertion(own, f.app)))
	for name, raw := range map[string]string{"access": got.text("access_token"), "refresh": got.text("refresh_token"), "unknown": "x"} {
		plain := f.introspect(f.app, own, raw, "application/json, "+kind+";q=0")
		if plain.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %v", name, plain.header)
		}
		signed := f.introspect(f.app, own, raw, "text/plain;q=0.1, Application/Token-Introspection+JWT")
		if signed.status != 200 || signed.header.Get("Content-Type") != kind || signed.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v", name, signed.status, signed.header)
		}
		j := f.ours(string(signed.raw))
		var c map[string]any
		f.ok(json.Unmarshal(j.Payload, &c))
		inner, err := json.Marshal(c["token_introspection"], json.Deterministic(true))
		f.ok(err)
		outer, err := json.Marshal(plain.body, json.Deterministic(true))
		f.ok(err)
		if j.Header.Typ != "token-introspection+jwt" || len(c) != 4 || c["iss"] != flowIssuer || c["aud"] != f.app || c["iat"] != float64(f.now().Unix()) || string(inner) != string(outer) {
			t.Errorf("%s: %s %s", name, j.Header.Typ, j.Payload)
		}
	}
	if a := f.introspect(f.app, newSigner(t), got.text("access_token"), kind); a.status != 401 || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("a stranger: %d %v", a.status, a.header)
	}
}

// ours is a JWS that one of the published keys signed.
func (f *flow) ours(raw string) *jose.JWS {
	f.t.Helper()
	j, err := jose.Parse(raw, 0)
	f.ok(err)
	kid, err := id.ParseKey(j.Header.Kid)
	f.ok(err)
	key, _ := keysOf(f.t, f.serve(0, "GET", "/oauth/jwks", "", nil).raw)(kid)
	f.ok(j.Verify(key))
	return j
}

// TestNoOtherJWTIsAnAccessToken: the very claims of a good access token, signed by the very key, in a JWT of another type, open nothing anywhere; and neither do
// the other JWTs that this server signs.
func TestNoOtherJWTIsAnAccessToken(t *testing.T) {
	f := startFlow(t, dbtest.SQLite(t))
	own := newSigner(t)
	f.app = f.proving(own)
	got := f.good(f.redeem(f.code(f.query("scope", "tool:files:read openid")), "client_assertion_type", assertionType, "client_assertion", f.assertion(own, f.app)))
	good := got.text("access_token")
	key, err := f.nodes[0].Ring.Current(t.Context(), keyring.ForTokens)
	f.ok(err)
	parsed := f.ours(good)
	bot, botKey := f.agent("bot")
	if f.call(got) != nil || f.introspect(f.app, own, good).body["active"] != true {
		t.Fatal("the token itself is not good")
	}
	jwts := map[string]string{
		"an ID token":          got.text("id_token"),
		"its introspection":    string(f.introspect(f.app, own, good, "application/token-introspection+jwt").raw),
		"the agent's identity": string(f.serve(0, "GET", "/oauth/agents/"+f.claims(got).Act.Sub.String()+"/identity.jws", "", nil).raw),
	}
	for _, typ := range []string{"token-introspection+jwt", "JWT", "jwt", "AT+JWT", "application/at+jwt", "attorn-delegation+jws", "client-authentication+jwt", "dpop+jwt", "oauth-id-jag+jwt"} {
		if jwts["typ "+typ], err = jose.Sign(typ, parsed.Payload, key.Signer()); err != nil {
			t.Fatal(err)
		}
	}
	keys := keysOf(t, f.serve(0, "GET", "/oauth/jwks", "", nil).raw)
	for name, raw := range jwts {
		if _, err := token.Verify(raw, keys, token.Want{Issuer: flowIssuer, AnyAudience: true, Now: f.now()}); err == nil {
			t.Errorf("%s: token.Verify takes it", name)
		}
		for _, aud := range []string{filesURL, flowIssuer + "/api"} {
			for _, scheme := range []string{"DPoP", "Bearer"} {
				cr := guard.Credentials{Method: "POST", URL: filesURL, Authorization: []string{scheme + " " + raw}, Face: "gateway"}
				if scheme == "DPoP" {
					cr.DPoP = []string{f.proofAt(f.signer, "POST", "/mcp/files", "", raw)}
				}
				if _, err := f.nodes[0].Authenticate(t.Context(), cr, aud); err == nil {
					t.Errorf("%s: %s takes it as %s", name, aud, scheme)
				}
			}
		}
		if a := f.introspect(f.app, own, raw); string(a.raw) != `{"active":false}` {
			t.Errorf("%s: introspected: %d %s", name, a.status, a.raw)
		}
		form := url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {raw}, "subject_token_type": {typeAccessToken}, "resource": {filesURL},
			"client_assertion_type": {assertionType}, "client_assertion": {f.assertion(botKey, bot.String())},
		}
		if a := f.token(0, form, f.proof(botKey, tokenPath)); a.status != 400 || a.text("reason") == "not_lent" {
			t.Errorf("%s: exchanged: %d %s", name, a.status, a.raw)
		}
	}
}
