package oauth_test

import (
	"testing"
	"time"
)

// Too many failures of one client from one network stop that client there, for a minute; nobody else.
func TestLimits(t *testing.T) {
	w := start(t, "")
	bot, other := w.agentNamed("release-bot"), w.agentNamed("deployer")
	stranger := &party{world: w, signer: newSigner(t), sub: bot.sub}
	w.pass(time.Minute)
	for range 10 {
		refuses(t, stranger.ask("grant_type", "client_credentials"), 401, "invalid_client", "")
	}
	for _, p := range []*party{stranger, bot} {
		got := p.ask("grant_type", "client_credentials")
		refuses(t, got, 429, "temporarily_unavailable", "rate_limited")
		if got.header.Get("Retry-After") != "60" {
			t.Errorf("Retry-After %q", got.header.Get("Retry-After"))
		}
	}
	other.issued("grant_type", "client_credentials")
	w.pass(time.Minute)
	first, _ := w.refused()
	for range 12 {
		refuses(t, w.post(tokenPath, bot.with("grant_type", "client_credentials"), other.proof(tokenPath, w.nonce())), 400, "invalid_dpop_proof", "binding")
	}
	if n, _ := w.refused(); n-first != 10 {
		t.Errorf("a flood of refusals wrote %d events", n-first)
	}
	for range 50 {
		bot.issued("grant_type", "client_credentials")
	}
	got := bot.ask("grant_type", "client_credentials")
	refuses(t, got, 429, "temporarily_unavailable", "rate_limited")
	if got.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After %q", got.header.Get("Retry-After"))
	}
	other.issued("grant_type", "client_credentials")
	w.pass(time.Second)
	bot.issued("grant_type", "client_credentials")
}
