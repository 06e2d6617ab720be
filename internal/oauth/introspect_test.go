package oauth_test

import (
	"testing"
	"time"

	"github.com/attorn/attorn/api"
)

const introspectPath = "/oauth/introspect"

func (p *party) introspect(token string) answer {
	p.t.Helper()
	return p.post(introspectPath, p.with("token", token, "token_type_hint", "access_token"))
}

// active asks for what must be so.
func (p *party) active(token string, want bool) answer {
	p.t.Helper()
	got := p.introspect(token)
	if got.status != 200 || got.body["active"] != want {
		p.t.Errorf("introspected by %s: %d %s, want active %v", p.sub, got.status, got.raw, want)
	}
	if !want && len(got.body) != 1 {
		p.t.Errorf("an inactive token is described: %s", got.raw)
	}
	return got
}

// A service with a P-256 key sees tokens for its resource, with the whole chain; others see nothing.
func TestIntrospect(t *testing.T) {
	w := start(t, "")
	bot, deployer := w.agentNamed("release-bot"), w.agentNamed("deployer")
	root := w.priya.lend(bot, terms{depth: 1}, bare("repo:acme:*")...)
	leaf := bot.lend(deployer, terms{under: root}, bare("repo:acme:write")...)
	issued := deployer.under(leaf)
	token, claims := issued.text("access_token"), w.claims(issued)

	got := w.repo.active(token, true)
	for member, want := range map[string]any{
		"iss": w.URL, "sub": w.priya.sub, "aud": resource, "client_id": deployer.sub, "scope": "repo:acme:write", "token_type": "DPoP", "jti": claims.ID,
		"dlg": leaf.Statement.ID.String(), "ws": "default", "exp": float64(claims.Expires), "iat": float64(claims.IssuedAt),
	} {
		if got.body[member] != want {
			t.Errorf("%s is %v, want %v", member, got.body[member], want)
		}
	}
	if got.body["cnf"].(map[string]any)["jkt"] != deployer.signer.Public().Thumbprint().String() {
		t.Errorf("cnf: %s", got.raw)
	}
	act := got.body["act"].(map[string]any)
	if act["sub"] != deployer.sub || act["act"].(map[string]any)["sub"] != bot.sub {
		t.Errorf("act: %s", got.raw)
	}
	var chain []any
	for _, hop := range got.body["chain"].([]any) {
		chain = append(chain, hop.(map[string]any)["sub"])
	}
	if len(chain) != 3 || chain[0] != w.priya.sub || chain[1] != bot.sub || chain[2] != deployer.sub {
		t.Errorf("chain: %s", got.raw)
	}

	deployer.active(token, true) // its own
	bot.active(token, false)     // not its own, though it is on the chain
	w.wiki.active(token, false)  // for another resource
	w.priya.active(token, false) // she lent, but it is not hers
	w.repo.active(token[:len(token)-4]+"AAAA", false)
	w.repo.active("x", false)
	w.repo.active(resigned(t, newSigner(t), token, nil, nil), false)
	w.repo.active(leaf.String(), false)

	person := w.priya.personAsk("resource", resource).text("access_token")
	if got := w.repo.active(person, true); got.body["sub"] != w.priya.sub || got.body["act"] != nil || got.body["sid"] != w.priya.signer.Public().Thumbprint().String() {
		t.Errorf("a person's own token: %s", got.raw)
	}
	w.priya.active(person, true)

	w.pass(6 * time.Minute)
	w.repo.active(token, false)
}

func TestIntrospectRefused(t *testing.T) {
	w := start(t, "")
	stranger := &party{world: w, signer: newSigner(t), sub: w.repo.sub}
	once := w.repo.with("token", "x")
	refuseEach(t, w, []refusalCase{
		{"no token", func() answer { return w.post(introspectPath, w.repo.with()) }, 400, "invalid_request", "malformed", ""},
		{"no client", func() answer { return w.post(introspectPath, fieldsOf([]string{"token", "x"})) }, 401, "invalid_client", "", ""},
		{"another key", func() answer { return stranger.introspect("x") }, 401, "invalid_client", "", "invalid_client"},
		{"GET", func() answer { return w.send("GET", introspectPath, "", nil) }, 405, "invalid_request", "malformed", ""},
		{"Ed25519 where the key is P-256", func() answer {
			f := w.repo.with("token", "x")
			f.Set("client_assertion", renamed(t, w.repo.signer, f.Get("client_assertion"), "EdDSA"))
			return w.post(introspectPath, f)
		}, 401, "invalid_client", "", "invalid_client"},
		{"kid of another key", func() answer {
			f := w.repo.with("token", "x")
			f.Set("client_assertion", resigned(t, w.repo.signer, f.Get("client_assertion"), func(h map[string]any) { h["kid"] = w.wiki.signer.Public().Thumbprint().String() }, nil))
			return w.post(introspectPath, f)
		}, 401, "invalid_client", "", "invalid_client"},
		{"replayed", func() answer {
			once = w.repo.with("token", "x")
			if got := w.post(introspectPath, once); got.status != 200 {
				t.Fatalf("%d %s", got.status, got.raw)
			}
			return w.post(introspectPath, once)
		}, 401, "invalid_client", "", ""},
	})
}

// What ends, ends at once for who asks.
func TestIntrospectAfterTheEnd(t *testing.T) {
	w := start(t, "")
	maya := w.invite("Maya Chen")
	for name, end := range map[string]func(bot *party){
		"agent suspended": func(bot *party) { w.priya.api("POST", "/v1/agents/"+bot.sub+"/suspend", api.Reason{}, nil) },
		"agent revoked":   func(bot *party) { w.priya.api("POST", "/v1/agents/"+bot.sub+"/revoke", api.Reason{}, nil) },
		"instance revoked": func(bot *party) {
			w.priya.api("POST", "/v1/instances/"+bot.signer.Public().Thumbprint().String()+"/revoke", api.Reason{}, nil)
		},
		"person suspended": func(*party) { w.priya.api("POST", "/v1/users/"+maya.sub+"/suspend", api.Reason{}, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			bot, deployer := w.agentNamed("bot-"+name[:5]+name[len(name)-3:]), w.agentNamed("dep-"+name[:5]+name[len(name)-3:])
			root := maya.lend(bot, terms{depth: 1}, bare("repo:acme:*")...)
			leaf := bot.lend(deployer, terms{under: root}, bare("repo:acme:*")...)
			own, below := bot.under(root).text("access_token"), deployer.under(leaf).text("access_token")
			w.repo.active(own, true)
			w.repo.active(below, true)
			end(bot)
			w.repo.active(own, false)
			w.repo.active(below, false)
			if name == "person suspended" {
				w.priya.api("POST", "/v1/users/"+maya.sub+"/resume", api.Reason{}, nil)
				w.repo.active(own, false) // what ended stays ended
				maya.access = ""          // hers, too
			}
		})
	}
}
