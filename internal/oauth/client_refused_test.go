package oauth_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/dpop"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// Each rule of client authentication (oauth.md §2), broken alone.
func TestClientRefused(t *testing.T) {
	w := start(t, "")
	bot, other := w.agentNamed("release-bot"), w.agentNamed("deployer")
	suspended, revoked, gone := w.agentNamed("suspended"), w.agentNamed("revoked"), w.agentNamed("gone")
	w.priya.api("POST", "/v1/agents/"+suspended.sub+"/suspend", api.Reason{}, nil)
	w.priya.api("POST", "/v1/agents/"+revoked.sub+"/revoke", api.Reason{}, nil)
	w.priya.api("POST", "/v1/instances/"+gone.signer.Public().Thumbprint().String()+"/revoke", api.Reason{}, nil)
	stranger := &party{world: w, signer: newSigner(t), sub: bot.sub, agent: bot.agent} // the same name and another key
	nobody := &party{world: w, signer: newSigner(t), sub: id.New[id.Agent](w.now()).String()}
	mixed := &party{world: w, signer: other.signer, sub: bot.sub} // another agent's key

	credentials := func(p *party) func() answer {
		return func() answer { return p.ask("grant_type", "client_credentials") }
	}
	form := func(edit func(url.Values), header ...string) func() answer {
		return func() answer {
			f := bot.with("grant_type", "client_credentials")
			edit(f)
			h := http.Header{"Dpop": {bot.proof(tokenPath, w.nonce())}}
			for i := 0; i < len(header); i += 2 {
				h[header[i]] = []string{header[i+1]}
			}
			return w.send("POST", tokenPath, f.Encode(), h)
		}
	}
	forged := func(header, payload func(map[string]any)) func() answer {
		return form(func(f url.Values) {
			f.Set("client_assertion", resigned(t, bot.signer, f.Get("client_assertion"), header, payload))
		})
	}
	set := func(member string, value any) func(map[string]any) {
		return func(m map[string]any) { m[member] = value }
	}
	del := func(member string) func(map[string]any) { return func(m map[string]any) { delete(m, member) } }
	failed := func(name string, do func() answer, event string) refusalCase {
		return refusalCase{name, do, 401, "invalid_client", "", event}
	}
	bad := func(name string, do func() answer) refusalCase {
		return refusalCase{name, do, 400, "invalid_request", "malformed", ""}
	}
	none := func(f url.Values) { f.Del("client_assertion"); f.Del("client_assertion_type") }
	keep := func(url.Values) {}
	replayed := func() func() answer {
		var f url.Values
		return func() answer {
			f = bot.with("grant_type", "client_credentials")
			if got := w.post(tokenPath, f, bot.proof(tokenPath, w.nonce())); got.status != 200 {
				t.Fatalf("%d %s", got.status, got.raw)
			}
			return w.post(tokenPath, f, bot.proof(tokenPath, w.nonce()))
		}
	}
	now := w.now
	refuseEach(t, w, []refusalCase{
		failed("nothing", form(none), ""),
		failed("client_id alone", form(func(f url.Values) { none(f); f.Set("client_id", bot.sub) }), ""),
		failed("Basic", form(none, "Authorization", "Basic "+jose.EncodeBase64([]byte(bot.sub+":x"))), ""),
		failed("Bearer", form(none, "Authorization", "Bearer x"), ""),
		failed("client_secret", form(func(f url.Values) { none(f); f.Set("client_secret", "x") }), ""),
		failed("assertion type alone", form(func(f url.Values) { f.Del("client_assertion") }), ""),
		bad("assertion and Basic", form(keep, "Authorization", "Basic eDp5")),
		bad("assertion and client_secret", form(func(f url.Values) { f.Set("client_secret", "x") })),
		bad("Basic and client_secret", form(func(f url.Values) { none(f); f.Set("client_secret", "x") }, "Authorization", "Basic eDp5")),
		bad("assertion of another type", form(func(f url.Values) {
			f.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer")
		})),
		bad("assertion without type", form(func(f url.Values) { f.Del("client_assertion_type") })),
		failed("other client_id", form(func(f url.Values) { f.Set("client_id", other.sub) }), "invalid_client"),
		failed("not a JWS", form(func(f url.Values) { f.Set("client_assertion", "x") }), ""),
		failed("unknown agent", credentials(nobody), ""),
		failed("same name, another key", credentials(stranger), "invalid_client"),
		failed("another agent's key", credentials(mixed), "invalid_client"),
		failed("suspended agent", credentials(suspended), "invalid_client"),
		failed("revoked agent", credentials(revoked), "invalid_client"),
		failed("revoked instance", credentials(gone), "invalid_client"),
		failed("replayed", replayed(), "replayed"),
		failed("iss is not sub", forged(nil, set("iss", other.sub)), "invalid_client"),
		failed("aud of another server", forged(nil, set("aud", "https://other.example")), "invalid_client"),
		failed("aud is the endpoint", forged(nil, set("aud", w.URL+tokenPath)), "invalid_client"),
		failed("aud of two", forged(nil, func(m map[string]any) { m["aud"] = []string{w.URL, "https://other.example"} }), "invalid_client"),
		failed("no aud", forged(nil, del("aud")), "invalid_client"),
		failed("no jti", forged(nil, del("jti")), "invalid_client"),
		failed("no exp", forged(nil, del("exp")), "invalid_client"),
		failed("expired", forged(nil, func(m map[string]any) { m["iat"], m["exp"] = now().Unix()-200, now().Unix()-31 }), "invalid_client"),
		failed("long-lived", forged(nil, func(m map[string]any) { m["exp"] = now().Unix() + 331 }), "invalid_client"),
		failed("from the future", forged(nil, func(m map[string]any) { m["iat"], m["exp"] = now().Unix()+31, now().Unix()+60 }), "invalid_client"),
		failed("member twice in other case", forged(nil, func(m map[string]any) { m["SUB"] = m["sub"]; delete(m, "sub") }), ""),
		failed("typ of a proof", forged(set("typ", "dpop+jwt"), nil), "invalid_client"),
		failed("alg none", forged(set("alg", "none"), nil), ""),
		failed("alg of another key type", forged(set("alg", "ES256"), nil), "invalid_client"),
		failed("crit", forged(set("crit", []string{"exp"}), nil), ""),
		failed("no kid", forged(del("kid"), nil), "invalid_client"),
		failed("own key in the header", forged(func(h map[string]any) {
			var jwk map[string]any
			w.ok(unmarshal(string(bot.signer.Public().JWK()), &jwk))
			h["jwk"] = jwk
		}, nil), "invalid_client"),
		failed("kid of another agent", forged(set("kid", other.signer.Public().Thumbprint().String()), nil), "invalid_client"),
	})
	got := form(none, "Authorization", "Basic eDp5")()
	if want := `Basic realm="` + w.URL + `"`; got.header.Get("WWW-Authenticate") != want {
		t.Errorf("challenge %q, want %q", got.header.Get("WWW-Authenticate"), want)
	}
	_, e := w.refused()
	if e.Who.Sub != "server" || e.Where.Face != "oauth" || !strings.Contains(string(credentials(stranger)().raw), "client authentication failed") {
		t.Errorf("the event of a failed authentication says who it was: %+v", e)
	}
}

// What has another type of key: agents sign with Ed25519 only, services also with ES256.
func TestES256(t *testing.T) {
	w := start(t, "")
	refuses(t, w.repo.ask("grant_type", "client_credentials", "resource", resource), 400, "unauthorized_client", "grant_not_allowed")
	var offer api.Enrolment
	bot := w.agentNamed("release-bot")
	w.priya.api("POST", "/v1/agents/"+bot.sub+"/enrolment", struct{}{}, &offer)
	n := &party{world: w, signer: newES256(t)}
	if got := n.json("POST", "/v1/enrol", api.Enrol{Token: offer.Token}, n.prove("POST", "/v1/enrol", w.nonce(), ""), ""); got.status/100 == 2 {
		t.Error("a P-256 key is an instance")
	}
}

// Each rule of the DPoP proof (RFC 9449 §4.3, oauth.md §7), broken alone.
func TestProofRefused(t *testing.T) {
	w := start(t, "")
	bot, other := w.agentNamed("release-bot"), w.agentNamed("deployer")
	second := &party{world: w, signer: w.instance(bot), sub: bot.sub, agent: bot.agent} // another instance of the same agent
	with := func(proofs ...func() string) func() answer {
		return func() answer {
			var all []string
			for _, p := range proofs {
				all = append(all, p())
			}
			return w.post(tokenPath, bot.with("grant_type", "client_credentials"), all...)
		}
	}
	good := func() string { return bot.proof(tokenPath, w.nonce()) }
	claims := func(edit func(*dpop.Claims)) func() string {
		return func() string {
			c := dpop.Claims{Method: "POST", URL: w.URL + tokenPath, JTI: "j" + w.now().String(), Nonce: w.nonce(), IssuedAt: w.now()}
			edit(&c)
			raw, err := dpop.Sign(bot.signer, c)
			w.ok(err)
			return raw
		}
	}
	forged := func(header, payload func(map[string]any)) func() string {
		return func() string { return resigned(t, bot.signer, good(), header, payload) }
	}
	bad := func(name string, do func() answer, reason string) refusalCase {
		return refusalCase{name, do, 400, "invalid_dpop_proof", reason, "dpop_" + reason}
	}
	refuseEach(t, w, []refusalCase{
		bad("none", with(), "malformed"),
		bad("two", with(good, good), "malformed"),
		bad("not a JWS", with(func() string { return "x" }), "malformed"),
		bad("other method", with(claims(func(c *dpop.Claims) { c.Method = "GET" })), "binding"),
		bad("method in lower case", with(claims(func(c *dpop.Claims) { c.Method = "post" })), "binding"),
		bad("other path", with(claims(func(c *dpop.Claims) { c.URL = w.URL + "/oauth/introspect" })), "binding"),
		bad("other server", with(claims(func(c *dpop.Claims) { c.URL = "https://other.example" + tokenPath })), "binding"),
		bad("for an access token", with(claims(func(c *dpop.Claims) { c.AccessToken = "x" })), "binding"),
		bad("another agent's key", with(func() string { return other.proof(tokenPath, w.nonce()) }), "binding"),
		bad("another instance's key", with(func() string { return second.proof(tokenPath, w.nonce()) }), "binding"),
		bad("old", with(claims(func(c *dpop.Claims) { c.IssuedAt = w.now().Add(-61 * time.Second) })), "time"),
		bad("ahead", with(claims(func(c *dpop.Claims) { c.IssuedAt = w.now().Add(31 * time.Second) })), "time"),
		bad("typ", with(forged(func(h map[string]any) { h["typ"] = "JWT" }, nil)), "malformed"),
		bad("kid instead of jwk", with(forged(func(h map[string]any) { h["kid"] = bot.signer.Public().Thumbprint().String(); delete(h, "jwk") }, nil)), "malformed"),
		{"private key inside", with(forged(func(h map[string]any) { h["jwk"].(map[string]any)["d"] = "AAAA" }, nil)), 400, "invalid_dpop_proof", "private_key", "private_key"},
		bad("no jti", with(forged(nil, func(m map[string]any) { delete(m, "jti") })), "malformed"),
		bad("long jti", with(forged(nil, func(m map[string]any) { m["jti"] = strings.Repeat("a", 129) })), "malformed"),
		bad("no iat", with(forged(nil, func(m map[string]any) { delete(m, "iat") })), "malformed"),
		bad("changed after signing", with(func() string {
			parts := strings.Split(good(), ".")
			return parts[0] + "." + strings.Split(claims(func(c *dpop.Claims) { c.JTI = "other" })(), ".")[1] + "." + parts[2]
		}), "malformed"),
		{"replayed", func() answer {
			once := good()
			if got := with(func() string { return once })(); got.status != 200 {
				t.Fatalf("%d %s", got.status, got.raw)
			}
			return with(func() string { return once })()
		}, 400, "invalid_dpop_proof", "replayed", "replayed"},
	})
}
