package oauth_test

import (
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/api"
)

// Too many failures by one key stop that key, and too many keys that fail the client that they claim to be of; from one network, for a minute, nobody else.
func TestLimits(t *testing.T) {
	w := start(t, "")
	bot, other := w.agentNamed("release-bot"), w.agentNamed("deployer")
	stranger := func() *party { return &party{world: w, signer: newSigner(t), sub: bot.sub} }
	limited := func(p *party) {
		t.Helper()
		got := p.ask("grant_type", "client_credentials")
		refuses(t, got, 429, "temporarily_unavailable", "rate_limited")
		if got.header.Get("Retry-After") != "60" {
			t.Errorf("Retry-After %q", got.header.Get("Retry-After"))
		}
	}
	w.pass(time.Minute)
	first := stranger()
	for range 10 {
		refuses(t, first.ask("grant_type", "client_credentials"), 401, "invalid_client", "")
	}
	limited(first)
	bot.issued("grant_type", "client_credentials")
	for range 9 {
		refuses(t, stranger().ask("grant_type", "client_credentials"), 401, "invalid_client", "")
	}
	for _, p := range []*party{first, stranger(), bot} {
		limited(p)
	}
	other.issued("grant_type", "client_credentials")
	w.pass(time.Minute)
	before, _ := w.refused()
	for range 12 {
		refuses(t, w.post(tokenPath, bot.with("grant_type", "client_credentials"), other.proof(tokenPath, w.nonce())), 400, "invalid_dpop_proof", "binding")
	}
	if n, _ := w.refused(); n-before != 10 {
		t.Errorf("a flood of refusals wrote %d events", n-before)
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

// A person's key that ended fails for itself alone: the same person's other key goes on from the same network.
func TestAStaleKeyHoldsUpNoOther(t *testing.T) {
	w := start(t, "")
	maya := w.invite("Maya")
	var made api.Link
	maya.api("POST", "/v1/users/"+maya.sub+"/link", struct{}{}, &made)
	_, secret, _ := strings.Cut(made.Link, "#")
	phone := &party{world: w, signer: newSigner(t), sub: maya.sub, user: maya.user}
	phone.open("/v1/signin", api.SignIn{Secret: secret}, nil)
	maya.api("DELETE", "/v1/users/"+maya.sub+"/keys/"+phone.signer.Public().Thumbprint().String(), nil, nil)
	w.pass(time.Minute)
	for range 10 {
		refuses(t, phone.personAsk(), 400, "invalid_grant", "")
	}
	refuses(t, phone.personAsk(), 429, "temporarily_unavailable", "rate_limited")
	if got := maya.personAsk(); got.status != 200 {
		t.Errorf("%d %s", got.status, got.raw)
	}
}

// Behind one address there may be a whole cluster: a workload whose assertions are refused holds up itself, and only one that tries key after key the others.
func TestAWorkloadThatIsRefusedHoldsUpNoOther(t *testing.T) {
	w := start(t, "")
	c := w.cluster(nil)
	wrong := func() string { return c.Token(c.pod(map[string]any{"aud": "https://elsewhere.example"})) }
	w.pass(time.Minute)
	stray, good := w.key(), w.key()
	for range 10 {
		refuses(t, stray.shows(wrong()), 400, "invalid_grant", "untrusted_issuer")
	}
	refuses(t, stray.shows(wrong()), 429, "temporarily_unavailable", "rate_limited")
	if got := good.shows(c.Token(c.pod(nil))); got.status != 200 {
		t.Errorf("another workload: %d %s", got.status, got.raw)
	}
	for range 9 {
		refuses(t, w.key().shows(wrong()), 400, "invalid_grant", "untrusted_issuer")
	}
	refuses(t, w.key().shows(c.Token(c.pod(nil))), 429, "temporarily_unavailable", "rate_limited")
	w.pass(time.Minute)
	if got := w.key().shows(c.Token(c.pod(nil))); got.status != 200 {
		t.Errorf("a minute later: %d %s", got.status, got.raw)
	}
}
