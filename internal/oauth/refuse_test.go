package oauth_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/dpop"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// refusal is a request that must be refused: how, and with which event in the log ("": none, for no authority was attempted).
type refusalCase struct {
	name   string
	do     func() answer
	status int
	error  string
	reason string
	event  string
}

// refuseEach runs the cases on one world. Each leaves nothing behind but the event that it names.
func refuseEach(t *testing.T, w *world, cases []refusalCase) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w.pass(61 * time.Second) // the limits forget
			_, before := w.refused()
			got := c.do()
			refuses(t, got, c.status, c.error, c.reason)
			_, after := w.refused()
			switch {
			case c.event == "" && after.ID != before.ID:
				t.Errorf("an event was written: %+v", after.Why)
			case c.event != "" && (after.ID == before.ID || after.Why == nil || after.Why.Code != c.event):
				t.Errorf("the newest refusal in the log is %s %+v, want %s", after.Kind, after.Why, c.event)
			case c.event != "" && after.Why.Reason == "":
				t.Errorf("the event gives no reason: %+v", after)
			}
		})
	}
}

const tokenPath = "/oauth/token"

// Each rule of the form (oauth.md §12), broken alone.
func TestFormRefused(t *testing.T) {
	w := start(t, "")
	bot := w.agentNamed("release-bot")
	good := func() string { return bot.with("grant_type", "client_credentials").Encode() }
	send := func(path, body string, header ...string) func() answer {
		return func() answer {
			h := http.Header{"Dpop": {bot.proof(tokenPath, w.nonce())}}
			for i := 0; i < len(header); i += 2 {
				h[header[i]] = append(h[header[i]], header[i+1])
			}
			return w.send("POST", path, good()+body, h)
		}
	}
	kind := "application/x-www-form-urlencoded"
	bad := func(name string, do func() answer, reason string) refusalCase {
		return refusalCase{name, do, 400, "invalid_request", reason, ""}
	}
	tooBig := func(name string, do func() answer) refusalCase {
		return refusalCase{name, do, 413, "invalid_request", "too_large", ""}
	}
	fields := func(n int) (s string) {
		for i := range n {
			s += fmt.Sprintf("&f%d=1", i)
		}
		return s
	}
	if got := send(tokenPath, fields(61), "Content-Type", kind+"; charset=UTF-8")(); got.status != 200 { // 61 and 3 of its own
		t.Fatalf("64 fields: %d %s", got.status, got.raw)
	}
	if got := send(tokenPath, "&&x=&", "Content-Type", kind)(); got.status != 200 {
		t.Fatalf("empty fields: %d %s", got.status, got.raw)
	}
	refuseEach(t, w, []refusalCase{
		bad("JSON", send(tokenPath, "", "Content-Type", "application/json"), "malformed"),
		bad("multipart", send(tokenPath, "", "Content-Type", "multipart/form-data; boundary=x"), "malformed"),
		bad("two media types", send(tokenPath, "", "Content-Type", kind, "Content-Type", kind), "malformed"),
		bad("malformed media type", send(tokenPath, "", "Content-Type", kind+"; ="), "malformed"),
		bad("other charset", send(tokenPath, "", "Content-Type", kind+"; charset=latin1"), "malformed"),
		bad("content coding", send(tokenPath, "", "Content-Encoding", "gzip"), "malformed"),
		bad("query", send(tokenPath+"?grant_type=client_credentials", ""), "query_not_allowed"),
		bad("empty query", send(tokenPath+"?", ""), "query_not_allowed"),
		bad("parameter twice", send(tokenPath, "&scope=a:b&scope=a:b"), "duplicate_parameter"),
		bad("parameter twice, encoded", send(tokenPath, "&scope=a:b&sc%6Fpe=a:b"), "duplicate_parameter"),
		bad("parameter twice, once empty", send(tokenPath, "&grant_type="), "duplicate_parameter"),
		bad("parameter twice, at first empty", send(tokenPath, "&scope=&scope=attorn:a:b"), "duplicate_parameter"),
		bad("unknown parameter twice", send(tokenPath, "&x=1&x=2"), "duplicate_parameter"),
		bad("two resources", send(tokenPath, "&resource="+resource+"&resource="+otherResource), "duplicate_parameter"),
		bad("value not UTF-8", send(tokenPath, "&x=%ff"), "malformed"),
		bad("value overlong", send(tokenPath, "&x=%c0%80"), "malformed"),
		bad("name not UTF-8", send(tokenPath, "&%ff=x"), "malformed"),
		bad("raw bytes", send(tokenPath, "&x=\xff"), "malformed"),
		bad("NUL", send(tokenPath, "&x=a%00b"), "malformed"),
		bad("percent alone", send(tokenPath, "&x=%"), "malformed"),
		bad("percent and no hex", send(tokenPath, "&x=%zz"), "malformed"),
		tooBig("64 KiB", send(tokenPath, "&x="+strings.Repeat("a", 64<<10))),
		tooBig("65 fields", send(tokenPath, fields(62))),
		bad("no grant type", func() answer { return w.post(tokenPath, bot.with()) }, "malformed"),
		{"GET", func() answer { return w.send("GET", tokenPath, "", nil) }, 405, "invalid_request", "malformed", ""},
		{"PUT", func() answer { return w.send("PUT", tokenPath, good(), nil) }, 405, "invalid_request", "malformed", ""},
	})
	var unsupported []refusalCase
	for _, grant := range []string{"password", "authorization_code", "refresh_token", "implicit", "Client_Credentials", "client_credentials "} {
		unsupported = append(unsupported, refusalCase{grant, func() answer { return bot.ask("grant_type", grant) }, 400, "unsupported_grant_type", "", ""})
	}
	refuseEach(t, w, unsupported)
	if got := w.send("OPTIONS", tokenPath, "", http.Header{"Origin": {"https://app.example"}, "Access-Control-Request-Method": {"POST"}}); got.status != 204 ||
		got.header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(got.header.Get("Access-Control-Allow-Headers"), "DPoP") {
		t.Errorf("preflight: %d %v", got.status, got.header)
	}
}

// chunked hides its length.
type chunked struct{ *strings.Reader }

func TestBodyOfUnknownLength(t *testing.T) {
	w := start(t, "")
	r, err := http.NewRequest("POST", w.URL+tokenPath, chunked{strings.NewReader("x=" + strings.Repeat("a", 64<<10))})
	w.ok(err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(r)
	w.ok(err)
	defer res.Body.Close()
	if res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d", res.StatusCode)
	}
}

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
	refuses(t, w.repo.ask("grant_type", "client_credentials"), 400, "unauthorized_client", "grant_not_allowed")
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
		bad("private key inside", with(forged(func(h map[string]any) { h["jwk"].(map[string]any)["d"] = "AAAA" }, nil)), "malformed"),
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

// What is asked for.
func TestAskedRefused(t *testing.T) {
	w := start(t, "")
	bot := w.agentNamed("release-bot")
	ask := func(fields ...string) func() answer {
		return func() answer { return bot.ask(append([]string{"grant_type", "client_credentials"}, fields...)...) }
	}
	scope := func(name, s string) refusalCase {
		return refusalCase{name, ask("scope", s), 400, "invalid_scope", "malformed", ""}
	}
	target := func(name, s string) refusalCase {
		return refusalCase{name, ask("resource", s), 400, "invalid_target", "unknown_resource", "unknown_resource"}
	}
	refuseEach(t, w, []refusalCase{
		scope("two spaces", "attorn:a:b  attorn:c:d"), scope("space in front", " attorn:a:b"), scope("tab", "attorn:a:b\tattorn:c:d"),
		scope("stars", "attorn:**"), scope("quotation", `attorn:"x"`), scope("not ASCII", "attorn:é"),
		{"long scope", ask("scope", strings.Repeat("attorn:a:b ", 400)), 413, "invalid_request", "too_large", ""},
		{"other prefix", ask("scope", "tool:files:read"), 400, "invalid_scope", "not_covered", "not_covered"},
		{"everything", ask("scope", "*"), 400, "invalid_scope", "not_covered", "not_covered"},
		{"prefix of another service", ask("resource", resource, "scope", "wiki:acme:read"), 400, "invalid_scope", "not_covered", "not_covered"},
		{"prefix without end", ask("resource", resource, "scope", "repo:acmes:read"), 400, "invalid_scope", "not_covered", "not_covered"},
		target("unknown", "https://nowhere.example"), target("not a URL", "x"), target("other case", strings.ToUpper(resource)),
		target("slash at the end", resource+"/"), target("fragment", resource+"#x"), target("query", resource+"?x"),
		target("the issuer itself", w.URL), target("unknown MCP server", w.URL+"/mcp/none"), target("no MCP server", w.URL+"/mcp/"),
		target("odd MCP server", w.URL+"/mcp/../api"), target("API of another workspace", w.URL+"/w/other/api"),
	})
}

// The grants that are not the client's.
func TestGrantRefused(t *testing.T) {
	w := start(t, "")
	bot := w.agentNamed("release-bot")
	link := w.priya.lend(bot, terms{}, bare("repo:acme:*")...).String()
	not := func(name string, do func() answer) refusalCase {
		return refusalCase{name, do, 400, "unauthorized_client", "grant_not_allowed", ""}
	}
	seen := func(c refusalCase) refusalCase { c.event = "grant_not_allowed"; return c }
	refuseEach(t, w, []refusalCase{
		not("a person's client credentials", func() answer { return w.priya.ask("grant_type", "client_credentials") }), // in the log of no workspace
		seen(not("a service's client credentials", func() answer { return w.wiki.ask("grant_type", "client_credentials") })),
		not("a person's exchange", func() answer { return w.priya.exchange(link, typeDelegation) }),
		seen(not("a service's exchange", func() answer { return w.wiki.exchange(link, typeDelegation) })),
		seen(not("an agent's own key as a person's", func() answer { return bot.personAsk() })),
		seen(not("in a workspace that is not its own", func() answer { return bot.personAsk("workspace", "server") })),
	})
}

// A person's own key.
func TestPersonRefused(t *testing.T) {
	w := start(t, "")
	maya := w.invite("Maya Chen")
	stranger := &party{world: w, signer: newSigner(t), sub: maya.sub, user: maya.user}
	nobody := &party{world: w, signer: newSigner(t), sub: id.New[id.User](w.now()).String()}
	asPriya := &party{world: w, signer: maya.signer, sub: w.priya.sub}
	form := func(edit func(url.Values)) func() answer {
		return func() answer {
			f := fieldsOf([]string{"grant_type", grantJWTBearer, "assertion", maya.assertion()})
			edit(f)
			return w.post(tokenPath, f, maya.proof(tokenPath, w.nonce()))
		}
	}
	field := func(name, value string) func() answer { return form(func(f url.Values) { f.Set(name, value) }) }
	failed := func(name string, do func() answer, event string) refusalCase {
		return refusalCase{name, do, 400, "invalid_grant", "", event}
	}
	bad := func(name string, do func() answer) refusalCase {
		return refusalCase{name, do, 400, "invalid_request", "malformed", ""}
	}
	refuseEach(t, w, []refusalCase{
		bad("no assertion", form(func(f url.Values) { f.Del("assertion") })),
		bad("client assertion too", field("client_assertion", maya.assertion())),
		bad("client assertion type too", field("client_assertion_type", assertionType)),
		bad("client_secret too", field("client_secret", "x")),
		bad("Basic too", func() answer {
			f := fieldsOf([]string{"grant_type", grantJWTBearer, "assertion", maya.assertion()})
			return w.send("POST", tokenPath, f.Encode(), http.Header{"Dpop": {maya.proof(tokenPath, w.nonce())}, "Authorization": {"Basic eDp5"}})
		}),
		bad("workspace is no name", field("workspace", "Not A Name")),
		{"unknown workspace", field("workspace", "other"), 400, "invalid_grant", "principal_inactive", ""},
		{"server workspace", field("workspace", "server"), 400, "invalid_grant", "principal_inactive", ""},
		failed("other client_id", field("client_id", w.priya.sub), "invalid_client"),
		failed("not a JWS", field("assertion", "x"), ""),
		failed("another key", func() answer { return stranger.personAsk() }, "invalid_client"),
		failed("another person's key", func() answer { return asPriya.personAsk() }, "invalid_client"),
		failed("unknown person", func() answer { return nobody.personAsk() }, ""),
		failed("replayed", func() answer {
			once := maya.assertion()
			if got := field("assertion", once)(); got.status != 200 {
				t.Fatalf("%d %s", got.status, got.raw)
			}
			return field("assertion", once)()
		}, "replayed"),
		{"proof by another key", func() answer {
			f := fieldsOf([]string{"grant_type", grantJWTBearer, "assertion", maya.assertion()})
			return w.post(tokenPath, f, w.priya.proof(tokenPath, w.nonce()))
		}, 400, "invalid_dpop_proof", "binding", "dpop_binding"},
		{"no nonce", func() answer {
			return w.post(tokenPath, fieldsOf([]string{"grant_type", grantJWTBearer, "assertion", maya.assertion()}), maya.proof(tokenPath, ""))
		}, 400, "use_dpop_nonce", "", ""},
		{"more than the API has", field("scope", "tool:files:read"), 400, "invalid_scope", "not_covered", "not_covered"},
	})
	w.priya.api("POST", "/v1/users/"+maya.sub+"/suspend", api.Reason{}, nil)
	refuseEach(t, w, []refusalCase{failed("suspended", func() answer { return maya.personAsk() }, "invalid_client")})
}

// The subject token, and everybody on its chain.
func TestSubjectRefused(t *testing.T) {
	w := start(t, "")
	maya := w.invite("Maya Chen")
	bot, deployer, canary := w.agentNamed("release-bot"), w.agentNamed("deployer"), w.agentNamed("canary")
	second := &party{world: w, signer: w.instance(canary), sub: canary.sub, agent: canary.agent}
	root := w.priya.lend(bot, terms{depth: 2, ttl: 48 * time.Hour}, bare("repo:acme:*")...)
	middle := bot.lend(deployer, terms{under: root, depth: 1, ttl: 48 * time.Hour}, bare("repo:acme:read", "repo:acme:write")...)
	flat := w.priya.lend(bot, terms{ttl: 48 * time.Hour}, bare("repo:acme:*")...)

	exchange := func(p *party, subject, kind string) func() answer {
		return func() answer { return p.exchange(subject, kind, "resource", resource) }
	}
	delegated := func(p *party, subject string) func() answer { return exchange(p, subject, typeDelegation) }
	// handed is a statement that deployer signs for canary, edited.
	handed := func(edit func(*delegation.Statement)) func() answer {
		return func() answer {
			return canary.exchange(deployer.sign(deployer.statement(canary, terms{under: middle, edit: edit}, bare("repo:acme:read")...)), typeDelegation, "resource", resource)
		}
	}
	bad := func(name string, do func() answer, reason, event string) refusalCase {
		return refusalCase{name, do, 400, "invalid_grant", reason, event}
	}
	form := func(name string, fields ...string) refusalCase {
		return refusalCase{name, func() answer { return bot.ask(append([]string{"grant_type", grantExchange}, fields...)...) }, 400, "invalid_request", "malformed", ""}
	}
	two := []string{"subject_token", root.String(), "subject_token_type", typeDelegation}
	refuseEach(t, w, []refusalCase{
		form("no subject token", two[2:]...), form("no type", two[:2]...),
		form("other type", "subject_token", root.String(), "subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
		form("refresh token asked for", append(two, "requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token")...),
		form("actor token", append(two, "actor_token", "x", "actor_token_type", typeAccessToken)...),
		form("actor token type alone", append(two, "actor_token_type", typeAccessToken)...),
		{"audience", func() answer { return bot.exchange(root.String(), typeDelegation, "audience", resource) }, 400, "invalid_target", "unknown_resource", ""},
		{"not a JWS", delegated(bot, "x"), 400, "invalid_request", "malformed", "malformed"},
		{"as an access token", exchange(bot, root.String(), typeAccessToken), 400, "invalid_request", "malformed", "token_malformed"},
		{"long", delegated(bot, strings.Repeat("a", 17<<10)), 413, "invalid_request", "too_large", "too_large"},

		bad("for another agent", delegated(deployer, root.String()), "not_lent", "not_lent"),
		bad("by nobody here", handed(func(st *delegation.Statement) { d := id.Sum([]byte("x")); st.Parent = &d }), "not_lent", "not_lent"),
		bad("of another server", handed(func(st *delegation.Statement) { st.Issuer = "https://other.example" }), "not_lent", "not_lent"),
		bad("of another workspace", handed(func(st *delegation.Statement) { st.Workspace = workspace(t, "other") }), "not_lent", "not_lent"),
		bad("for another instance", handed(func(st *delegation.Statement) { st.Delegate.Instance = second.signer.Public().Thumbprint() }), "not_lent", "not_lent"),
		bad("wider permissions", handed(func(st *delegation.Statement) { st.Permissions = bare("repo:acme:*") }), "not_lent", "widens"),
		bad("longer", handed(func(st *delegation.Statement) { st.ExpiresAt = root.Statement.ExpiresAt + 1 }), "not_lent", "widens"),
		bad("deeper", handed(func(st *delegation.Statement) { st.MaxDepth = 1 }), "not_lent", "widens"),
		bad("expired", handed(func(st *delegation.Statement) { st.ExpiresAt = w.now().Unix() }), "expired", "delegation_expired"),
		bad("not begun", handed(func(st *delegation.Statement) { st.NotBefore = w.now().Unix() + 60 }), "delegation_ended", "delegation_not_yet"),
		bad("under one that may not be lent on", func() answer {
			return deployer.exchange(bot.sign(bot.statement(deployer, terms{under: flat}, bare("repo:acme:read")...)), typeDelegation, "resource", resource)
		}, "not_lent", "widens"),
		bad("signed by another key", func() answer {
			st := deployer.statement(canary, terms{under: middle}, bare("repo:acme:read")...)
			st.Delegator.Instance = second.signer.Public().Thumbprint()
			return canary.exchange(second.sign(st), typeDelegation, "resource", resource)
		}, "binding", "key_mismatch"),
		bad("signature changed", func() answer {
			raw := deployer.sign(deployer.statement(canary, terms{under: middle}, bare("repo:acme:read")...))
			other := deployer.sign(deployer.statement(canary, terms{under: middle}, bare("repo:acme:read")...))
			return canary.exchange(raw[:strings.LastIndexByte(raw, '.')]+other[strings.LastIndexByte(other, '.'):], typeDelegation, "resource", resource)
		}, "binding", "signature_invalid"),
		bad("countersigned by a stranger", func() answer {
			return bot.exchange(resigned(t, newSigner(t), root.String(), nil, nil), typeDelegation)
		}, "binding", "signature_invalid"),
		bad("countersigned by another server", func() answer {
			s := newSigner(t)
			return bot.exchange(resigned(t, s, root.String(), func(h map[string]any) { h["kid"] = s.Public().Thumbprint().String() }, nil), typeDelegation)
		}, "untrusted_issuer", "key_unknown"),
		bad("access token of another server", func() answer {
			s := newSigner(t)
			raw := bot.under(root).text("access_token")
			return deployer.exchange(resigned(t, s, raw, nil, nil), typeAccessToken)
		}, "untrusted_issuer", "token_signature"),
		{"nothing lent for the resource", func() answer { return deployer.exchange(middle.String(), typeDelegation, "resource", otherResource) }, 400, "invalid_scope", "not_covered", "not_covered"},
		{"more than was lent", func() answer {
			return deployer.exchange(middle.String(), typeDelegation, "resource", resource, "scope", "repo:acme:read repo:acme:delete")
		}, 400, "invalid_scope", "not_covered", "not_covered"},
	})

	// Whatever ends on the chain ends the exchange.
	fromMaya := maya.lend(bot, terms{ttl: 48 * time.Hour}, bare("repo:acme:*")...)
	w.priya.api("POST", "/v1/users/"+maya.sub+"/suspend", api.Reason{}, nil)
	bound := w.priya.lend(canary, terms{ttl: 48 * time.Hour, edit: func(st *delegation.Statement) { st.Delegate.Instance = second.signer.Public().Thumbprint() }}, bare("repo:acme:*")...)
	short := w.priya.lend(bot, terms{ttl: time.Minute}, bare("repo:acme:*")...)
	ended := w.priya.lend(bot, terms{ttl: 48 * time.Hour, depth: 1}, bare("repo:acme:*")...)
	below := bot.lend(deployer, terms{under: ended, ttl: 48 * time.Hour}, bare("repo:acme:*")...)
	w.priya.api("POST", "/v1/delegations/"+ended.Statement.ID.String()+"/revoke", api.Reason{}, nil)
	if got := second.exchange(bound.String(), typeDelegation, "resource", resource); got.status != 200 {
		t.Errorf("the instance that it is lent to: %d %s", got.status, got.raw)
	}
	botToken := bot.under(root).text("access_token")
	w.priya.api("POST", "/v1/agents/"+bot.sub+"/suspend", api.Reason{}, nil)
	refuseEach(t, w, []refusalCase{
		bad("suspended middle agent", delegated(deployer, middle.String()), "principal_inactive", "agent_suspended"),
		bad("new statement under a suspended agent", handed(nil), "principal_inactive", "agent_suspended"),
		bad("access token of a suspended agent", exchange(deployer, botToken, typeAccessToken), "principal_inactive", "agent_suspended"),
	})
	w.priya.api("POST", "/v1/agents/"+bot.sub+"/resume", api.Reason{}, nil)
	refuseEach(t, w, []refusalCase{
		bad("suspended person", delegated(bot, fromMaya.String()), "principal_inactive", "person_suspended"),
		bad("for another instance of the agent", delegated(canary, bound.String()), "not_lent", "not_lent"),
		bad("expired record", delegated(bot, short.String()), "expired", "delegation_expired"),
		bad("revoked", delegated(bot, ended.String()), "delegation_ended", "delegation_revoked"),
		bad("revoked above", delegated(deployer, below.String()), "delegation_ended", "delegation_revoked"),
		{"resumed, and all is well", func() answer { return deployer.exchange(middle.String(), typeDelegation) }, 400, "invalid_scope", "not_covered", "not_covered"},
	})
	if got := deployer.exchange(middle.String(), typeDelegation, "resource", resource); got.status != 200 {
		t.Errorf("after resuming: %d %s", got.status, got.raw)
	}
}

func workspace(t testing.TB, name string) id.Workspace {
	t.Helper()
	ws, err := id.ParseWorkspace(name)
	if err != nil {
		t.Fatal(err)
	}
	return ws
}
