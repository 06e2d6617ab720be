package oauth_test

import (
	"fmt"
	"testing"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/delegation"
)

// An actor token says no more than what the client has proved already, and is refused where it says something else (RFC 8693 §2.1).
func TestActorToken(t *testing.T) {
	w := start(t, "")
	bot, other := w.agentNamed("bot"), w.agentNamed("other")
	second := &party{world: w, sub: bot.sub, agent: bot.agent, signer: w.instance(bot)}
	root := w.priya.lend(bot, terms{}, bare("repo:acme:*")...)
	own := func(p *party) string {
		return p.issued("grant_type", "client_credentials").text("access_token")
	}
	with := func(actor string) answer {
		return bot.exchange(root.String(), typeDelegation, "resource", resource, "actor_token", actor, "actor_token_type", typeAccessToken)
	}
	if got := with(own(bot)); got.status != 200 || w.claims(got).Act.Sub != bot.agent || got.text("scope") != "repo:acme:*" {
		t.Fatalf("%s", got.raw)
	}
	refusedAs(t, "another agent's", with(own(other)), "invalid_grant", "binding")
	refusedAs(t, "another key's", with(own(second)), "invalid_grant", "binding")
	refusedAs(t, "one that acts for somebody", with(bot.under(root).text("access_token")), "invalid_grant", "binding")
	refusedAs(t, "a person's", with(w.priya.personAsk().text("access_token")), "invalid_grant", "binding")
	refusedAs(t, "the subject's statement", with(root.String()), "invalid_request", "malformed")
	ended := own(bot)
	bot.post("/oauth/revoke", bot.with("token", ended))
	refusedAs(t, "one that was revoked", with(ended), "invalid_grant", "delegation_ended")
	late := own(bot)
	w.pass(6 * 60e9)
	refusedAs(t, "an expired one", with(late), "invalid_grant", "expired")
}

// A person's own token is nobody's to exchange: what they lend, they sign.
func TestExchangePersonsToken(t *testing.T) {
	w := start(t, "")
	bot := w.agentNamed("bot")
	w.priya.lend(bot, terms{}, bare("repo:acme:*")...)
	refusedAs(t, "a person's", bot.exchange(w.priya.personAsk().text("access_token"), typeAccessToken, "resource", resource), "invalid_grant", "not_lent")
}

// Eight agents act through one another, each under a delegation of the one before; a ninth cannot be lent to.
func TestExchangeDepth(t *testing.T) {
	w := start(t, "")
	by := w.agentNamed("agent1")
	link := w.priya.lend(by, terms{depth: delegation.MaxDepth}, bare("repo:acme:*")...)
	for n := 2; n <= delegation.MaxLinks; n++ {
		to := w.agentNamed(fmt.Sprintf("agent%d", n))
		next := by.lend(to, terms{under: link, depth: link.Statement.MaxDepth - 1}, bare("repo:acme:*")...)
		subject := by.under(link).text("access_token")
		got := to.exchange(subject, typeAccessToken, "resource", resource) // the same by the lender's token
		if got.status != 200 {
			t.Fatalf("%d: %s", n, got.raw)
		}
		if c := w.claims(got); len(c.Actors()) != n || c.Subject != w.priya.sub || c.Actors()[0].Sub != to.agent || c.Delegation != next.Statement.ID {
			t.Errorf("%d: %+v", n, c)
		}
		by, link = to, next
	}
	ninth := w.agentNamed("agent9")
	st := by.statement(ninth, terms{under: link, depth: 0, edit: func(st *delegation.Statement) { st.MaxDepth = 0 }}, bare("repo:acme:*")...)
	if link.Statement.MaxDepth < 1 {
		t.Fatalf("the eighth may lend on %d more", link.Statement.MaxDepth)
	}
	refusedAs(t, "a ninth", ninth.exchange(by.sign(st), typeDelegation, "resource", resource), "invalid_grant", "not_lent")
	signed, err := delegation.Sign(st, by.signer)
	w.ok(err)
	by.access = by.issued("grant_type", "client_credentials").text("access_token")
	got := by.json("POST", "/v1/delegations", api.Lend{Signed: signed}, by.prove("POST", "/v1/delegations", "", by.access), by.access)
	if got.text("code") != "delegation_too_deep" {
		t.Errorf("handed in: %s", got.raw)
	}
}
