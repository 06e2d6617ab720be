package oauth_test

import (
	"testing"
	"time"

	"github.com/attorn/attorn/delegation"
)

// A key that the other server took back as exposed is believed for as long as that server said that its keys are good, five minutes, and no longer, though nothing else has its keys
// asked for again: neither a token that it signed nor a chain. Both directions.
func TestPartnerExposedKey(t *testing.T) {
	a, b := twoServers(t)
	for _, way := range []struct{ home, away *world }{{a, b}, {b, a}} {
		p := across(t, way.home, way.away, "repo:acme:read")
		pass := func(d time.Duration) {
			a.pass(d)
			b.pass(d)
		}
		key := p.bot.signer
		link := p.home.priya.lend(p.bot, terms{edit: func(st *delegation.Statement) { st.Delegate.Instance = key.Public().Thumbprint() }}, bare("away:acme:repo:acme:*")...)
		chain := []string{link.String()}
		pass(10 * time.Minute) // whatever keys are held are too old
		if got := p.away.showChain(key, chain); got.status != 200 {
			t.Fatalf("%s", got.raw)
		}
		pass(4*time.Minute + 59*time.Second)
		word := p.wordNow()
		p.home.priya.api("POST", "/v1/keys/rotate", map[string]any{"compromised": true, "reason": "a test"}, nil)
		p.home.priya.access = "" // her own is by that key, too
		if got := p.away.showChain(key, chain); got.status != 200 {
			t.Errorf("a chain within five minutes: %s", got.raw)
		}
		got := p.away.show(key, word)
		if got.status != 200 {
			t.Errorf("a token within five minutes: %s", got.raw)
		}
		pass(time.Second)
		refusedAs(t, "a token by the exposed key", p.away.show(key, word), "invalid_grant", "untrusted_issuer")
		refusedAs(t, "a chain by the exposed key", p.away.showChain(key, chain), "invalid_grant", "untrusted_issuer")
		if got := p.away.show(key, p.wordNow()); got.status != 200 {
			t.Errorf("by the key after: %s", got.raw)
		}
	}
}
