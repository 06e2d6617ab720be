package oauth_test

import (
	"testing"
	"time"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/id"
)

// replaces signs and hands in what takes the place of a link.
func (p *party) replaces(old *delegation.Link, edit func(*delegation.Statement)) (*delegation.Link, answer) {
	p.t.Helper()
	st := old.Statement
	st.ID = id.New[id.Delegation](p.now())
	edit(&st)
	signed, err := delegation.Sign(st, p.signer)
	p.ok(err)
	path := "/v1/delegations/" + old.Statement.ID.String() + "/replace"
	p.api("GET", "/v1/me", nil, nil) // which renews the token
	got := p.json("POST", path, api.Replace{Signed: signed}, p.prove("POST", path, "", p.access), p.access)
	var out api.Replaced
	if got.status == 200 {
		p.decode(got, &out)
	}
	return &out.Link, got
}

func (p *partners) ruleNow() api.TrustedIssuer {
	p.t.Helper()
	var r api.TrustedIssuer
	p.away.priya.api("GET", "/v1/issuers/"+p.rule.ID.String(), nil, &r)
	return r
}

// A rule goes on with what its delegation is narrowed or renewed to, and with nothing else.
func TestPartnerFollowsTheCeiling(t *testing.T) {
	a, b := twoServers(t)
	p := across(t, a, b, "repo:acme:*")
	first := b.show(p.bot.signer, p.word())
	narrower, _ := b.priya.replaces(p.ceiling, func(st *delegation.Statement) { st.Permissions = bare("repo:acme:read") })
	if seen := b.repo.introspected(first.text("access_token")); seen["active"] != false {
		t.Errorf("a token under what was narrowed: %v", seen)
	}
	got := b.show(p.bot.signer, p.word())
	if got.status != 200 {
		t.Fatalf("%s", got.raw)
	}
	if c := b.claims(got); c.Delegation != narrower.Statement.ID || c.Scope != "repo:acme:read" || c.Via == nil {
		t.Errorf("%+v", c)
	}
	refusedAs(t, "what it was before", b.show(p.bot.signer, p.word(), "scope", "repo:acme:write"), "invalid_scope", "not_covered")
	if r := p.ruleNow(); r.Delegation != p.ceiling.Statement.ID || r.Stands != narrower.Statement.ID || r.Closed != "" {
		t.Errorf("%+v", r)
	}

	// Nobody widens it: not its delegator, not by a renewal of what it was, not by lending beside.
	for what, edit := range map[string]func(*delegation.Statement){
		"permissions": func(st *delegation.Statement) { st.Permissions = bare("repo:acme:*") },
		"both":        func(st *delegation.Statement) { st.Permissions = bare("repo:acme:*"); st.ExpiresAt += 60 },
		"depth":       func(st *delegation.Statement) { st.MaxDepth = 1 },
	} {
		if _, got := b.priya.replaces(narrower, edit); got.status != 403 || got.text("code") != "widens" {
			t.Errorf("%s: %d %s", what, got.status, got.raw)
		}
	}
	if _, got := b.priya.replaces(p.ceiling, func(st *delegation.Statement) { st.ExpiresAt += 60 }); got.text("code") != "delegation_revoked" {
		t.Errorf("a second one in its place: %d %s", got.status, got.raw)
	}
	b.priya.lend(p.guest, terms{}, bare("repo:acme:*")...)
	if c := b.claims(b.show(p.bot.signer, p.word())); c.Delegation != narrower.Statement.ID {
		t.Errorf("what was lent beside: %+v", c)
	}

	renewed, _ := b.priya.replaces(narrower, func(st *delegation.Statement) { st.ExpiresAt += 3600 })
	if c := b.claims(b.show(p.bot.signer, p.word())); c.Delegation != renewed.Statement.ID || c.Scope != "repo:acme:read" {
		t.Errorf("renewed: %+v", c)
	}
	b.priya.api("POST", "/v1/delegations/"+renewed.Statement.ID.String()+"/revoke", api.Reason{}, nil)
	refusedAs(t, "its end", b.show(p.bot.signer, p.word()), "invalid_grant", "delegation_ended")
	if r := p.ruleNow(); r.Closed != "delegation_revoked" {
		t.Errorf("%+v", r)
	}
	b.priya.lend(p.guest, terms{}, bare("repo:acme:read")...)
	refusedAs(t, "what was lent anew", b.show(p.bot.signer, p.word()), "invalid_grant", "delegation_ended")
}

// A renewal makes a rule no longer than its maker said; where they said longer than what was lent, renewals under it count.
func TestPartnerRuleEnds(t *testing.T) {
	a, b := twoServers(t)
	pass := func(d time.Duration) {
		a.pass(d)
		b.pass(d)
	}
	short, long := across(t, a, b, "repo:acme:read"), across2(t, a, b, 72*time.Hour)
	for _, p := range []*partners{short, long} {
		p.ceiling, _ = b.priya.replaces(p.ceiling, func(st *delegation.Statement) { st.ExpiresAt += 7 * 24 * 3600 })
	}
	pass(24*time.Hour - 100*time.Second)
	word := short.wordNow()
	got := b.show(short.bot.signer, word, "client_id", short.guest.sub)
	if c := b.claims(got); c.Expires > short.rule.Expires {
		t.Errorf("it outlives its rule by %d s", c.Expires-short.rule.Expires)
	}
	pass(100 * time.Second)
	refusedAs(t, "after its rule", b.show(short.bot.signer, word, "client_id", short.guest.sub), "invalid_grant", "untrusted_issuer")
	if seen := b.repo.introspected(got.text("access_token")); seen["active"] != false {
		t.Errorf("after its rule: %v", seen)
	}
	if r := short.ruleNow(); r.Closed != "rule_expired" {
		t.Errorf("%+v", r)
	}
	if got := b.show(long.bot.signer, long.wordNow(), "client_id", long.guest.sub); got.status != 200 {
		t.Errorf("within its rule: %s", got.raw)
	}
	pass(48 * time.Hour)
	refusedAs(t, "after its longer rule", b.show(long.bot.signer, long.wordNow(), "client_id", long.guest.sub), "invalid_grant", "untrusted_issuer")

	// What is narrowed to one running copy of the agent lets no visitor in.
	q := across2(t, a, b, time.Hour)
	b.priya.replaces(q.ceiling, func(st *delegation.Statement) { st.Delegate.Instance = q.guest.signer.Public().Thumbprint() })
	refusedAs(t, "one instance alone", b.show(q.bot.signer, q.wordNow(), "client_id", q.guest.sub), "invalid_grant", "not_lent")
	if r := q.ruleNow(); r.Closed != "not_lent" {
		t.Errorf("%+v", r)
	}
}

// across2 is across for one more agent of two servers that know each other, by a rule for so long.
func across2(t *testing.T, home, away *world, lasts time.Duration) *partners {
	t.Helper()
	name := "more-" + id.New[id.Event](home.now()).String()[20:]
	p := &partners{t: t, home: home, away: away, bot: home.agentNamed(name), guest: away.agentNamed(name)}
	p.lent = home.priya.lend(p.bot, terms{depth: 1}, bare("away:acme:repo:acme:*")...)
	p.ceiling = away.priya.lend(p.guest, terms{}, bare("repo:acme:read")...)
	away.priya.api("POST", "/v1/issuers", api.NewTrustedIssuer{
		Issuer: home.URL, Prefix: "away:acme", Agents: []id.Agent{p.bot.agent}, Agent: p.guest.agent, Delegation: p.ceiling.Statement.ID, Expires: home.now().Add(lasts).Unix(),
	}, &p.rule)
	return p
}

// wordNow is a word under what was lent just now.
func (p *partners) wordNow() string {
	p.t.Helper()
	return p.wordOf(p.home.priya.lend(p.bot, terms{}, bare("away:acme:repo:acme:*")...))
}
