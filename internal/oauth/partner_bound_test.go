package oauth_test

import (
	"slices"
	"testing"
	"time"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/jose"
)

// What is revoked at the other server ends here with its word, and not before: that server gives no new word for it, and the old one, with all that came by it, is over
// when it expires. Both directions.
func TestPartnerRevokedThere(t *testing.T) {
	a, b := twoServers(t)
	for _, way := range []struct{ home, away *world }{{a, b}, {b, a}} {
		p := across(t, way.home, way.away, "repo:acme:read")
		pass := func(d time.Duration) {
			a.pass(d)
			b.pass(d)
		}
		word := p.word()
		got := p.away.show(p.bot.signer, word)
		ends := p.home.claims(answer{body: map[string]any{"access_token": word}}).Expires
		if c := p.away.claims(got); c.Expires > ends {
			t.Errorf("the token outlives the word by %d s", c.Expires-ends)
		}
		p.home.priya.api("POST", "/v1/delegations/"+p.lent.Statement.ID.String()+"/revoke", api.Reason{}, nil)
		refusedAs(t, "a new word", p.bot.exchange(p.lent.String(), typeDelegation, "resource", p.away.URL), "invalid_grant", "delegation_ended")
		left := time.Unix(ends, 0).Sub(p.away.now())
		if left > 5*time.Minute {
			t.Errorf("the word is good for %s", left)
		}
		pass(left - time.Second)
		late := p.away.show(p.bot.signer, word)
		if late.status != 200 || p.away.repo.introspected(got.text("access_token"))["active"] != true {
			t.Errorf("before the word ends: %s", late.raw)
		}
		if c := p.away.claims(late); c.Expires > ends {
			t.Errorf("a late token outlives the word by %d s", c.Expires-ends)
		}
		pass(time.Second)
		if got := p.away.show(p.bot.signer, word); got.status != 400 || got.text("error") != "invalid_grant" {
			t.Errorf("when the word ends: %s", got.raw)
		}
		pass(30 * time.Second) // which clocks may differ by
		for _, token := range []answer{got, late} {
			if seen := p.away.repo.introspected(token.text("access_token")); seen["active"] != false {
				t.Errorf("after the word: %v", seen)
			}
		}
		pass(5 * time.Minute)
	}
}

// A chain tells nothing of an end either, so what its last statement lends is short: its server accepts no other under what has ended.
func TestPartnerChainIsShort(t *testing.T) {
	a, b := twoServers(t)
	for _, way := range []struct{ home, away *world }{{a, b}, {b, a}} {
		p := across(t, way.home, way.away, "repo:acme:*")
		worker := p.home.agentNamed("worker")
		p.trust(worker.agent)
		root := p.home.priya.lend(p.bot, terms{depth: 1, ttl: 30 * 24 * time.Hour}, bare("away:acme:repo:acme:*")...)
		bound := func(ttl time.Duration) []string {
			link := p.bot.lend(worker, terms{under: root, ttl: ttl, edit: func(st *delegation.Statement) { st.Delegate.Instance = worker.signer.Public().Thumbprint() }}, bare("away:acme:repo:acme:read")...)
			return []string{root.String(), link.String()}
		}
		refusedAs(t, "a week", p.away.showChain(worker.signer, bound(7*24*time.Hour)), "invalid_grant", "untrusted_issuer")
		day := bound(24 * time.Hour)
		got := p.away.showChain(worker.signer, day)
		if got.status != 200 {
			t.Fatalf("a day: %s", got.raw)
		}
		p.home.priya.api("POST", "/v1/delegations/"+root.Statement.ID.String()+"/revoke", api.Reason{}, nil)
		a.pass(24 * time.Hour)
		b.pass(24 * time.Hour)
		refusedAs(t, "after a day", p.away.showChain(worker.signer, day), "invalid_grant", "untrusted_issuer")
		if seen := p.away.repo.introspected(got.text("access_token")); seen["active"] != false {
			t.Errorf("%v", seen)
		}
	}
}

// Keys that were given are all that count until the rule is made again; a server that is down lets nobody in, and says so.
func TestPartnerKeysAndOutage(t *testing.T) {
	a, b := twoServers(t)
	p := across(t, a, b, "repo:acme:read")
	b.priya.api("DELETE", "/v1/issuers/"+p.rule.ID.String(), nil, nil)
	set := a.send("GET", "/oauth/jwks", "", nil)
	pinned := api.NewTrustedIssuer{Issuer: a.URL, Prefix: "away:acme", Agents: slices.Clone(p.rule.Agents), Agent: p.guest.agent, Delegation: p.ceiling.Statement.ID, KeySet: set.raw}
	b.priya.api("POST", "/v1/issuers", pinned, &p.rule)
	if got := b.show(p.bot.signer, p.word()); got.status != 200 {
		t.Fatalf("%s", got.raw)
	}
	old := p.word()
	a.priya.api("POST", "/v1/keys/rotate", map[string]any{"now": true, "reason": "a test"}, nil)
	refusedAs(t, "by a key that was not given", b.show(p.bot.signer, p.word()), "invalid_grant", "untrusted_issuer")
	if got := b.show(p.bot.signer, old); got.status != 200 {
		t.Errorf("by one that was: %s", got.raw)
	}
	b.priya.api("DELETE", "/v1/issuers/"+p.rule.ID.String(), nil, nil)
	refusedAs(t, "without its rule", b.show(p.bot.signer, old), "invalid_grant", "untrusted_issuer")

	q := across2(t, a, b, time.Hour)
	word := q.wordNow()
	key := jose.Signer(q.bot.signer)
	a.Stop()
	began := time.Now()
	got := b.show(key, word)
	if got.status != 503 || got.text("error") != "temporarily_unavailable" || got.text("reason") != "issuer_unreachable" || got.header.Get("Retry-After") == "" {
		t.Errorf("while it is down: %d %s", got.status, got.raw)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
}
