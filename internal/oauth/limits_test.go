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
