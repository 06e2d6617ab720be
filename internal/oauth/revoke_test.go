package oauth_test

import (
	"testing"

	"github.com/attorn/attorn/api"
)

const revokePath = "/oauth/revoke"

func (p *party) revoke(token string) answer {
	p.t.Helper()
	return p.post(revokePath, p.with("token", token))
}

// ended demands which delegations a revocation ended.
func (p *party) ended(token string, want ...string) {
	p.t.Helper()
	got := p.revoke(token)
	list, ok := got.body["revoked"].([]any)
	if got.status != 200 || !ok || len(list) != len(want) || len(got.body) != 1 {
		p.t.Errorf("revoked by %s: %d %s, want %v", p.sub, got.status, got.raw, want)
		return
	}
	for _, w := range want {
		found := false
		for _, have := range list {
			found = found || have == w
		}
		if !found {
			p.t.Errorf("revoked by %s: %s, want %v", p.sub, got.raw, want)
		}
	}
}

// Cascade: a statement ends with all that descends from it, in one call, and with it every token under it.
func TestRevokeDelegation(t *testing.T) {
	w := start(t, "")
	bot, deployer, canary := w.agentNamed("release-bot"), w.agentNamed("deployer"), w.agentNamed("canary")
	root := w.priya.lend(bot, terms{depth: 2}, bare("repo:acme:*")...)
	middle := bot.lend(deployer, terms{under: root, depth: 1}, bare("repo:acme:*")...)
	leaf := deployer.lend(canary, terms{under: middle}, bare("repo:acme:*")...)
	var tokens []string
	for _, a := range []answer{bot.under(root), deployer.under(middle), canary.under(leaf)} {
		tokens = append(tokens, a.text("access_token"))
	}
	live := func(want ...bool) {
		t.Helper()
		for i, token := range tokens {
			w.repo.active(token, want[i])
		}
	}

	for name, p := range map[string]*party{"a service": w.repo, "another service": w.wiki, "an agent below": canary} {
		t.Log(name)
		p.ended(middle.String())
		p.ended(root.String())
	}
	bot.ended("x")
	bot.ended(resigned(t, newSigner(t), leaf.String(), nil, func(m map[string]any) { m["rev"] = 1 }))
	live(true, true, true)

	deployer.ended(middle.String(), middle.Statement.ID.String(), leaf.Statement.ID.String()) // it was lent this one
	live(true, false, false)
	refuses(t, canary.exchange(leaf.String(), typeDelegation, "resource", resource), 400, "invalid_grant", "delegation_ended")
	deployer.ended(middle.String()) // again: nothing is left to end
	w.priya.ended(root.String(), root.Statement.ID.String())
	live(false, false, false)

	var list api.List[api.Event]
	w.priya.api("GET", "/v1/events?kind=delegation.revoked&target="+middle.Statement.ID.String(), nil, &list)
	if len(list.Items) == 0 {
		t.Error("the revocation is not in the log")
	}
}

func TestRevokeToken(t *testing.T) {
	w := start(t, "")
	bot, other := w.agentNamed("release-bot"), w.agentNamed("deployer")
	root := w.priya.lend(bot, terms{depth: 1}, bare("repo:acme:*")...)
	bot.lend(other, terms{under: root}, bare("repo:acme:*")...)
	first, second := bot.under(root).text("access_token"), bot.under(root).text("access_token")

	other.ended(first)
	w.repo.ended(first)
	w.priya.ended(first)
	w.repo.active(first, true)
	bot.ended(first)
	w.repo.active(first, false)
	w.repo.active(second, true) // its delegation lives on
	refuses(t, other.exchange(first, typeAccessToken, "resource", resource), 400, "invalid_grant", "delegation_ended")
	bot.ended(first)

	own := bot.issued("grant_type", "client_credentials", "resource", resource).text("access_token")
	bot.ended(own)
	w.repo.active(own, false)

	refuses(t, w.post(revokePath, bot.with()), 400, "invalid_request", "malformed")
	refuses(t, w.post(revokePath, fieldsOf([]string{"token", second})), 401, "invalid_client", "")
	once := bot.with("token", second)
	if got := w.post(revokePath, once); got.status != 200 {
		t.Errorf("%d %s", got.status, got.raw)
	}
	w.repo.active(second, false)
	once.Set("token", root.String())
	refuses(t, w.post(revokePath, once), 401, "invalid_client", "")
}

// A revoked token opens nothing at the API either.
func TestRevokedTokenAtTheAPI(t *testing.T) {
	w := start(t, "")
	token := w.priya.personAsk().text("access_token")
	call := func() int {
		return w.priya.json("GET", "/v1/me", nil, w.priya.prove("GET", "/v1/me", "", token), token).status
	}
	if got := call(); got != 200 {
		t.Fatal(got)
	}
	w.priya.ended(token)
	if got := call(); got != 401 {
		t.Errorf("status %d with a revoked token", got)
	}
}
