package attorn_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/attorntest"
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/jose"
)

// following is a service that follows what ends.
func (w *world) following() *guarded {
	w.t.Helper()
	signer := newSigner(w.t)
	return w.guardedAs(signer, func(g *guarded, cfg *attorn.VerifierConfig) { cfg.Service, cfg.Signer = g.service, signer })
}

// until asks again until the answer is what is wanted: the service hears of an end within two seconds, on a machine that has time for it.
func (g *guarded) until(t testing.TB, want string, ask func() string) {
	t.Helper()
	last := ""
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		if last = ask(); last == want {
			return
		}
	}
	t.Fatalf("it stays %s, want %s", last, want)
}

// get sends one request with a token and a proof of its own.
func (g *guarded) get(t testing.TB, key jose.Signer, raw string) string {
	t.Helper()
	status, code, _ := g.send(t, "GET", "/api", "", map[string]string{"Authorization": "DPoP " + raw, "DPoP": g.proof(t, key, "/api", raw, nil)})
	if status == http.StatusOK {
		return "ok"
	}
	return code
}

// Whatever a token rests on ends it at a service that follows, and it stays ended when that is resumed.
func TestVerifierHearsOfEnds(t *testing.T) {
	w := start(t)
	g := w.following()
	ctx := t.Context()
	maya := w.person("Maya Chen")
	bot, key := w.agentWithKey("bot")
	other, otherKey := w.agentWithKey("other")
	bind := must[api.Bound](t)
	bind(w.priya.Bind(ctx, api.Binding{Principal: maya.User().String(), Role: "developer", Reason: "x"}))
	lend := func(by *attorn.Client) delegation.Link {
		return must[delegation.Link](t)(by.Delegate(ctx, "bot", attorn.Lend{Permissions: []delegation.Permission{{Permission: "repo:acme:read"}}, Depth: 1}))
	}
	token := func(a *attorn.Agent, under string) string {
		t.Helper()
		a2 := must[*attorn.Agent](t)(attorn.Open(ctx, attorn.AgentConfig{Server: w.URL, ID: a.ID(), Signer: map[bool]jose.Signer{true: key, false: otherKey}[a == bot]})) // without tokens of before
		return must[attorn.Token](t)(a2.Token(ctx, g.resource, attorn.TokenRequest{Delegation: under})).AccessToken
	}
	end := must[api.Ended](t)
	for _, c := range []struct {
		name  string
		under func() string
		end   func()
		undo  func()
	}{
		{"agent", func() string { return "" }, func() { end(w.priya.SuspendAgent(ctx, bot.ID(), "")) }, func() { end(w.priya.ResumeAgent(ctx, bot.ID(), "")) }},
		{"instance", func() string { return "" }, func() { end(w.priya.SuspendInstance(ctx, bot.Instance(), "")) }, func() { end(w.priya.ResumeInstance(ctx, bot.Instance(), "")) }},
		{"person", func() string { return lend(maya).String() }, func() { end(w.priya.SuspendUser(ctx, maya.User(), "")) }, func() { end(w.priya.ResumeUser(ctx, maya.User(), "")) }},
	} {
		raw := token(bot, c.under())
		if got := g.get(t, key, raw); got != "ok" {
			t.Fatalf("%s: %s", c.name, got)
		}
		spare := token(other, "")
		c.end()
		g.until(t, "token_ended", func() string { return g.get(t, key, raw) })
		if got := g.get(t, otherKey, spare); got != "ok" {
			t.Errorf("%s: another's token: %s", c.name, got)
		}
		c.undo()
		again := token(bot, c.under())
		g.until(t, "ok", func() string { return g.get(t, key, again) })
		if got := g.get(t, key, raw); got != "token_ended" {
			t.Errorf("%s: the old token came back: %s", c.name, got)
		}
	}
	// A delegation in the middle: priya → bot → other
	root := lend(w.priya)
	leaf := must[delegation.Link](t)(bot.Delegate(ctx, "other", attorn.Lend{Parent: root.String(), Permissions: []delegation.Permission{{Permission: "repo:acme:read"}}}))
	raw := token(other, leaf.String())
	if got := g.get(t, otherKey, raw); got != "ok" {
		t.Fatal(got)
	}
	end(w.priya.RevokeDelegation(ctx, root.Statement.ID, ""))
	g.until(t, "token_ended", func() string { return g.get(t, otherKey, raw) })
	// A key that signs without a token
	signed := func() string {
		c := &http.Client{Transport: other.Signed(nil, g.resource)}
		res, err := c.Get(g.resource)
		if got := codeOf(t, res, err); !strings.HasPrefix(got, other.ID().String()) {
			return got
		}
		return "ok"
	}
	if got := signed(); got != "ok" {
		t.Fatal(got)
	}
	end(w.priya.RevokeInstance(ctx, other.Instance(), ""))
	g.until(t, "signature_key_unknown", signed)
}

// Everything stops with the workspace, and the service is one of those that confirm it.
func TestVerifierHearsOfAHalt(t *testing.T) {
	w := start(t)
	g := w.following()
	bot, key := w.agentWithKey("bot")
	raw := must[attorn.Token](t)(bot.Token(t.Context(), g.resource, attorn.TokenRequest{})).AccessToken
	if got := g.get(t, key, raw); got != "ok" {
		t.Fatal(got)
	}
	killed := must[api.Killed](t)(w.priya.Kill(t.Context(), api.Kill{Kind: "all", Reason: "drill"}))
	g.until(t, "token_ended", func() string { return g.get(t, key, raw) })
	g.until(t, "confirmed", func() string {
		l := must[api.List[api.Confirmation]](t)(w.priya.Confirmations(t.Context(), killed.Rev))
		if slices.ContainsFunc(l.Items, func(c api.Confirmation) bool { return c.Kind == "service" && c.ID == g.service.String() && c.Confirmed }) {
			return "confirmed"
		}
		return fmt.Sprint(l.Items)
	})
}

// A service that does not hear of its issuer believes nothing, and believes again when it does.
func TestVerifierRefusesWhenItHearsNothing(t *testing.T) {
	w := start(t)
	g := w.following()
	bot, key := w.agentWithKey("bot")
	raw := must[attorn.Token](t)(bot.Token(t.Context(), g.resource, attorn.TokenRequest{})).AccessToken
	if got := g.get(t, key, raw); got != "ok" {
		t.Fatal(got)
	}
	signed := func() string {
		res, err := (&http.Client{Transport: bot.Signed(nil, g.resource)}).Get(g.resource)
		return codeOf(t, res, err)
	}
	if got := signed(); got != bot.ID().String()+" " {
		t.Fatal(got)
	}
	w.Stop()
	g.until(t, "stale", func() string { return g.get(t, key, raw) })
	if got := signed(); got != "stale" { // by a key that was asked about a moment ago
		t.Errorf("a signature alone: %s", got)
	}
	attorntest.Start(t, attorntest.Config{URL: w.URL, Data: w.Data})
	g.until(t, "ok", func() string { return g.get(t, key, raw) })
}
