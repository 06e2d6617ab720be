package oauth_test

import (
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/dpop"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

const typeChain = "urn:attorn:params:oauth:token-type:delegation-chain"

// partners are two servers: home, where the agent bot is, acting for Priya there, and away, which trusts home for bot.
type partners struct {
	t          *testing.T
	home, away *world
	bot        *party // at home
	guest      *party // as whom bot acts at away
	lent       *delegation.Link
	ceiling    *delegation.Link
	rule       api.TrustedIssuer
}

// across makes the first server lend bot repo:acme:* of the second one, which lends guest at most what ceiling says.
func across(t *testing.T, home, away *world, ceiling ...string) *partners {
	t.Helper()
	p := &partners{t: t, home: home, away: away}
	home.service("away", away.URL, newSigner(t))
	p.bot, p.guest = home.agentNamed("bot"), away.agentNamed("guest-"+strings.ToLower(rand.Text()[:6]))
	p.lent = home.priya.lend(p.bot, terms{depth: 1}, bare("away:acme:repo:acme:*", "repo:acme:*")...)
	p.ceiling = away.priya.lend(p.guest, terms{}, bare(ceiling...)...)
	p.rule = p.trust(p.bot.agent)
	return p
}

func (p *partners) trust(agents ...id.Agent) api.TrustedIssuer {
	p.t.Helper()
	var rule api.TrustedIssuer
	p.away.priya.api("POST", "/v1/issuers", api.NewTrustedIssuer{
		Issuer: p.home.URL, Prefix: "away:acme", Agents: agents, Agent: p.guest.agent, Delegation: p.ceiling.Statement.ID,
	}, &rule)
	return rule
}

// word is a token of home's for away.
func (p *partners) word(fields ...string) string {
	p.t.Helper()
	return p.bot.issued(append([]string{
		"grant_type", grantExchange, "subject_token", p.lent.String(), "subject_token_type", typeDelegation, "resource", p.away.URL,
	}, fields...)...).text("access_token")
}

// show shows a word at a server, with a proof by a key.
func (w *world) show(key jose.Signer, word string, fields ...string) answer {
	w.t.Helper()
	form := fieldsOf(append([]string{"grant_type", grantJWTBearer, "assertion", word, "resource", resource}, fields...))
	return (&party{world: w, signer: key}).foreign(form)
}

func (p *party) foreign(form map[string][]string) answer {
	p.t.Helper()
	return p.post("/oauth/token", form, p.proof("/oauth/token", p.nonce()))
}

func (w *world) showChain(key jose.Signer, links []string, fields ...string) answer {
	w.t.Helper()
	chain, err := json.Marshal(links)
	w.ok(err)
	form := fieldsOf(append([]string{"grant_type", grantExchange, "subject_token", string(chain), "subject_token_type", typeChain, "resource", resource}, fields...))
	return (&party{world: w, signer: key}).foreign(form)
}

func refusedAs(t *testing.T, what string, got answer, name, reason string) {
	t.Helper()
	if got.text("error") != name || got.text("reason") != reason {
		t.Errorf("%s: %d %s", what, got.status, got.raw)
	}
}

func twoServers(t *testing.T) (a, b *world) { return start(t, ""), start(t, "") }

func TestPartnerToken(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		a, b := start(t, ""), start(t, dsn)
		for _, way := range []struct{ home, away *world }{{a, b}, {b, a}} {
			p := across(t, way.home, way.away, "repo:acme:read", "wiki:acme:*")
			got := p.away.show(p.bot.signer, p.word())
			if got.status != 200 {
				t.Fatalf("%d %s", got.status, got.raw)
			}
			c := p.away.claims(got)
			switch {
			case c.Subject != p.away.priya.sub, c.Act.Sub != p.guest.agent, c.JKT != p.bot.signer.Public().Thumbprint(), c.Delegation != p.ceiling.Statement.ID:
				t.Errorf("the token is of others: %+v", c)
			case c.Scope != "repo:acme:read":
				t.Errorf("scope %q", c.Scope)
			case c.Via == nil || c.Via.Issuer != p.home.URL || c.Via.Sub != p.home.priya.user || !slices.Equal(c.Via.Actors, []id.Agent{p.bot.agent}):
				t.Errorf("via %+v", c.Via)
			case got.text("agent") != p.guest.sub || got.text("instance") != c.JKT.String():
				t.Errorf("it says %s", got.raw)
			}
			seen := p.away.repo.introspected(got.text("access_token"))
			if via, _ := seen["via"].(map[string]any); seen["active"] != true || via["iss"] != p.home.URL || via["sub"] != p.home.priya.sub ||
				!slices.Equal(via["act"].([]any), []any{p.bot.sub}) || via["sha256"] == "" {
				t.Errorf("introspection: %v", seen)
			}
			again := p.away.show(p.bot.signer, p.word(), "client_id", p.guest.sub, "scope", "repo:acme:read")
			if again.status != 200 {
				t.Errorf("again: %s", again.raw)
			}

			var removed api.Done
			p.away.priya.api("DELETE", "/v1/issuers/"+p.rule.ID.String(), nil, &removed)
			if seen := p.away.repo.introspected(got.text("access_token")); seen["active"] != false {
				t.Errorf("after its rule: %v", seen)
			}
			refusedAs(t, "without a rule", p.away.show(p.bot.signer, p.word()), "invalid_grant", "untrusted_issuer")
			p.trust(p.bot.agent)
			if back := p.away.show(p.bot.signer, p.word()); back.status != 200 {
				t.Errorf("by another rule: %s", back.raw)
			}
			if seen := p.away.repo.introspected(got.text("access_token")); seen["active"] != false {
				t.Errorf("what had ended is back: %v", seen)
			}
		}
	})
}

func (p *party) introspected(access string) map[string]any {
	p.t.Helper()
	return p.post("/oauth/introspect", p.with("token", access)).body
}

func TestPartnerRefused(t *testing.T) {
	a, b := twoServers(t)
	p := across(t, a, b, "repo:acme:read")
	key := p.bot.signer
	other := a.agentNamed("other")
	refused := func(what string, got answer) {
		t.Helper()
		refusedAs(t, what, got, "invalid_grant", "untrusted_issuer")
	}

	link := a.priya.lend(other, terms{}, bare("away:acme:*")...)
	word := other.issued("grant_type", grantExchange, "subject_token", link.String(), "subject_token_type", typeDelegation, "resource", b.URL).text("access_token")
	refused("another agent of the partner's", b.show(other.signer, word))
	refused("another key", b.show(newSigner(t), p.word()))
	refused("another agent's key", b.show(other.signer, p.word()))
	refused("a token for another audience", b.show(key, p.bot.issued("grant_type", grantExchange, "subject_token", p.lent.String(),
		"subject_token_type", typeDelegation, "resource", resource).text("access_token")))
	refused("an agent that acts for nobody", b.show(key, p.bot.issued("grant_type", "client_credentials", "resource", b.URL).text("access_token")))
	refused("another workspace", b.show(key, p.word(), "workspace", "elsewhere"))
	refused("its own server's", b.show(p.guest.signer, p.guest.issued("grant_type", "client_credentials").text("access_token")))
	flipped := []byte(p.word())
	flipped[len(flipped)-10] ^= 1
	refused("a forged one", b.show(key, string(flipped)))

	refusedAs(t, "wider than the ceiling", b.show(key, p.word(), "scope", "repo:acme:write"), "invalid_scope", "not_covered")
	refusedAs(t, "wider than the word", b.show(key, p.word("scope", "away:acme:repo:acme:write")), "invalid_scope", "not_covered")
	refusedAs(t, "attorn's own API", b.post("/oauth/token", fieldsOf([]string{"grant_type", grantJWTBearer, "assertion", p.word()}),
		(&party{world: b, signer: key}).proof("/oauth/token", b.nonce())), "invalid_target", "unknown_resource")

	third := start(t, "")
	q := across(t, third, b, "repo:acme:read")
	b.priya.api("DELETE", "/v1/issuers/"+q.rule.ID.String(), nil, nil)
	refused("a third server", b.show(q.bot.signer, q.word()))

	late := p.word()
	a.pass(6 * time.Minute)
	b.pass(6 * time.Minute)
	refused("an expired one", b.show(key, late))
	if got := b.show(key, p.word()); got.status != 200 {
		t.Errorf("a new one: %s", got.raw)
	}
}

// The key of another server's agent does nothing here but with a token for its word.
func TestPartnerInstance(t *testing.T) {
	a, b := twoServers(t)
	p := across(t, a, b, "repo:acme:read", "attorn:*")
	got := b.show(p.bot.signer, p.word())
	if got.status != 200 {
		t.Fatalf("%s", got.raw)
	}
	here := &party{world: b, signer: p.bot.signer, sub: p.guest.sub, agent: p.guest.agent}
	refusedAs(t, "client credentials", here.ask("grant_type", "client_credentials"), "invalid_client", "")
	refusedAs(t, "the whole ceiling", here.exchange(p.ceiling.String(), typeDelegation, "resource", resource), "invalid_client", "")
	third := b.agentNamed("third")
	st := here.statement(third, terms{under: p.ceiling}, bare("repo:acme:read")...)
	refusedAs(t, "lending on", third.exchange(here.sign(st), typeDelegation, "resource", resource), "invalid_grant", "unknown")
	keys := b.send("GET", "/oauth/agents/"+p.guest.sub+"/jwks", "", nil)
	if n := len(keys.body["keys"].([]any)); n != 1 {
		t.Errorf("the agent has %d published keys: %s", n, keys.raw)
	}
	kid := p.bot.signer.Public().Thumbprint().String()
	if found := b.send("GET", "/.well-known/http-message-signatures-directory?keyid="+kid, "", nil); len(found.body["keys"].([]any)) != 0 {
		t.Errorf("the directory has it: %s", found.raw)
	}
	for _, end := range []struct{ what, path string }{
		{"the delegation", "/v1/delegations/" + p.ceiling.Statement.ID.String() + "/revoke"}, {"the agent", "/v1/agents/" + p.guest.sub + "/suspend"},
	} {
		b.priya.api("POST", end.path, api.Reason{}, nil)
		if seen := b.repo.introspected(got.text("access_token")); seen["active"] != false {
			t.Errorf("after the end of %s: %v", end.what, seen)
		}
	}
}

func TestPartnerChain(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		a, b := start(t, ""), start(t, dsn)
		p := across(t, a, b, "repo:acme:*")
		worker := a.agentNamed("worker")
		bind := func(to jose.Signer) func(*delegation.Statement) {
			return func(st *delegation.Statement) { st.Delegate.Instance = to.Public().Thumbprint() }
		}
		first := p.lent
		last := p.bot.lend(worker, terms{under: first, edit: bind(worker.signer)}, bare("away:acme:repo:acme:read")...)
		chain := []string{first.String(), last.String()}
		refusedAs(t, "the agent is not named", b.showChain(worker.signer, chain), "invalid_grant", "untrusted_issuer")
		rule := p.trust(worker.agent)

		a.priya.api("POST", "/v1/keys/rotate", map[string]any{"now": true, "reason": "a test"}, nil) // the chain is older than the keys of now
		a.pass(2 * time.Hour)
		b.pass(2 * time.Hour)
		got := b.showChain(worker.signer, chain)
		if got.status != 200 {
			t.Fatalf("%s", got.raw)
		}
		c := b.claims(got)
		if c.Scope != "repo:acme:read" || c.Act.Sub != p.guest.agent || c.Via == nil || !slices.Equal(c.Via.Actors, []id.Agent{worker.agent, p.bot.agent}) || c.Via.Sub != a.priya.user {
			t.Errorf("%+v via %+v", c, c.Via)
		}
		if got.text("issued_token_type") != typeAccessToken {
			t.Errorf("%s", got.raw)
		}

		refused := func(what string, got answer) {
			t.Helper()
			refusedAs(t, what, got, "invalid_grant", "untrusted_issuer")
		}
		loose := p.bot.lend(worker, terms{under: first}, bare("away:acme:repo:acme:read")...)
		uses := int64(3)
		counted := p.bot.lend(worker, terms{under: first, edit: func(st *delegation.Statement) { bind(worker.signer)(st); st.MaxUses = &uses }}, bare("away:acme:repo:acme:read")...)
		short := p.bot.lend(worker, terms{under: first, ttl: time.Minute, edit: bind(worker.signer)}, bare("away:acme:repo:acme:read")...)
		refused("another key", b.showChain(newSigner(t), chain))
		refused("a link left out", b.showChain(worker.signer, chain[1:]))
		refused("another order", b.showChain(worker.signer, []string{chain[1], chain[0]}))
		refused("no instance", b.showChain(worker.signer, []string{first.String(), loose.String()}))
		refused("a limit of uses", b.showChain(worker.signer, []string{first.String(), counted.String()}))
		forged := p.statementOf(worker)
		refused("countersigned by nobody", b.showChain(worker.signer, []string{first.String(), forged}))
		refused("no chain", b.showChain(worker.signer, nil))
		a.pass(2 * time.Minute)
		b.pass(2 * time.Minute)
		refused("expired", b.showChain(worker.signer, []string{first.String(), short.String()}))

		got = b.showChain(worker.signer, chain)
		if b.repo.introspected(got.text("access_token"))["active"] != true {
			t.Errorf("%s", got.raw)
		}
		b.priya.api("DELETE", "/v1/issuers/"+rule.ID.String(), nil, nil)
		refused("without its rule", b.showChain(worker.signer, chain))
		if seen := b.repo.introspected(got.text("access_token")); seen["active"] != false {
			t.Errorf("after its rule: %v", seen)
		}
	})
}

// statementOf is a link that a key of nobody's countersigned.
func (p *partners) statementOf(worker *party) string {
	p.t.Helper()
	st := p.bot.statement(worker, terms{under: p.lent}, bare("away:acme:repo:acme:*")...)
	st.Delegate.Instance = worker.signer.Public().Thumbprint()
	signed, err := delegation.Sign(st, p.bot.signer)
	p.home.ok(err)
	l, err := delegation.Countersign(signed, delegation.DelegatorKey{JWK: p.bot.signer.Public()}, p.home.now(), 1, newSigner(p.t))
	p.home.ok(err)
	return l.String()
}

// A proof is spent with the first answer, whatever it is.
func TestPartnerProofOnce(t *testing.T) {
	a, b := twoServers(t)
	p := across(t, a, b, "repo:acme:read")
	word := p.word()
	form := fieldsOf([]string{"grant_type", grantJWTBearer, "assertion", word, "resource", resource})
	proof, err := dpop.Sign(p.bot.signer, dpop.Claims{Method: http.MethodPost, URL: b.URL + "/oauth/token", JTI: rand.Text(), Nonce: b.nonce(), IssuedAt: b.now()})
	b.ok(err)
	if got := b.post("/oauth/token", form, proof); got.status != 200 {
		t.Fatalf("%s", got.raw)
	}
	refusedAs(t, "the same proof", b.post("/oauth/token", form, proof), "invalid_dpop_proof", "replayed")
	form.Set("client_id", b.priya.sub)
	refusedAs(t, "no agent", (&party{world: b, signer: p.bot.signer}).foreign(form), "invalid_request", "malformed")
	if _, err := token.Verify(word, func(id.Key) (jose.PublicKey, bool) { return jose.PublicKey{}, false }, token.Want{}); err == nil {
		t.Error("no key verifies it")
	}
}

// A token lives no longer than the word that it was given for; a key that the other server signs with from now on is asked for, and one that it no longer
// answers for is believed no more.
func TestPartnerTimes(t *testing.T) {
	a, b := twoServers(t)
	p := across(t, a, b, "repo:acme:read")
	pass := func(d time.Duration) {
		a.pass(d)
		b.pass(d)
	}
	word := p.word()
	pass(200 * time.Second)
	got := b.show(p.bot.signer, word)
	if c := b.claims(got); c.Expires-b.now().Unix() > 100 {
		t.Errorf("it lives for %d s", c.Expires-b.now().Unix())
	}
	a.priya.api("POST", "/v1/keys/rotate", map[string]any{"now": true, "reason": "a test"}, nil)
	pass(61 * time.Second)
	if got := b.show(p.bot.signer, p.word()); got.status != 200 {
		t.Errorf("by the next key: %s", got.raw)
	}
	word = p.word()
	a.priya.api("POST", "/v1/keys/rotate", map[string]any{"now": true, "compromised": true, "reason": "a test"}, nil)
	pass(61 * time.Second)
	if got := b.show(p.bot.signer, p.word()); got.status != 200 { // and with it the keys are asked for again
		t.Errorf("by the one after: %s", got.raw)
	}
	refusedAs(t, "by an exposed key", b.show(p.bot.signer, word), "invalid_grant", "untrusted_issuer")
	pass(25 * time.Hour)
	refusedAs(t, "after the delegation", b.show(p.bot.signer, p.wordOf(p.home.priya.lend(p.bot, terms{}, bare("away:acme:*")...))), "invalid_grant", "untrusted_issuer")
}

func (p *partners) wordOf(link *delegation.Link) string {
	p.t.Helper()
	return p.bot.issued("grant_type", grantExchange, "subject_token", link.String(), "subject_token_type", typeDelegation, "resource", p.away.URL).text("access_token")
}
