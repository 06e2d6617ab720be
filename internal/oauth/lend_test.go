package oauth_test

import (
	"time"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
)

// terms are what is lent, beside the permissions; zero is a day, for nobody to lend on.
type terms struct {
	under *delegation.Link
	ttl   time.Duration
	depth int
	edit  func(*delegation.Statement)
}

func (p *party) statement(to *party, l terms, permissions ...delegation.Permission) delegation.Statement {
	p.t.Helper()
	now := p.now()
	st := delegation.Statement{
		Version: 1, ID: id.New[id.Delegation](now), Issuer: p.URL, Workspace: id.Default, Delegate: delegation.Delegate{Agent: to.agent},
		NotBefore: now.Unix() - 1, ExpiresAt: now.Add(24 * time.Hour).Unix(), MaxDepth: l.depth, Permissions: permissions,
	}
	if l.ttl != 0 {
		st.ExpiresAt = now.Add(l.ttl).Unix()
	}
	if p.agent.IsZero() {
		st.Delegator.User = p.user
	} else {
		st.Delegator = delegation.Delegator{Agent: p.agent, Instance: p.signer.Public().Thumbprint()}
	}
	if l.under != nil {
		parent, err := l.under.Statement.Digest()
		p.ok(err)
		st.Parent, st.NotBefore = &parent, max(st.NotBefore, l.under.Statement.NotBefore)
		st.ExpiresAt = min(st.ExpiresAt, l.under.Statement.ExpiresAt)
	}
	if l.edit != nil {
		l.edit(&st)
	}
	return st
}

// sign makes the compact form that an agent hands on itself.
func (p *party) sign(st delegation.Statement) string {
	p.t.Helper()
	signed, err := delegation.Sign(st, p.signer)
	p.ok(err)
	raw, err := delegation.Encode(signed)
	p.ok(err)
	return raw
}

// lend lends and records.
func (p *party) lend(to *party, l terms, permissions ...delegation.Permission) *delegation.Link {
	p.t.Helper()
	signed, err := delegation.Sign(p.statement(to, l, permissions...), p.signer)
	p.ok(err)
	var out api.Lent
	p.api("POST", "/v1/delegations", api.Lend{Signed: signed}, &out)
	return &out.Link
}

func bare(patterns ...string) (all []delegation.Permission) {
	for _, p := range patterns {
		all = append(all, delegation.Permission{Permission: p})
	}
	return all
}

// exchange asks for a token under a delegation.
func (p *party) exchange(subject, kind string, fields ...string) answer {
	p.t.Helper()
	return p.ask(append([]string{"grant_type", grantExchange, "subject_token", subject, "subject_token_type", kind}, fields...)...)
}

// under is exchange for the resource, where a token must come.
func (p *party) under(link *delegation.Link) answer {
	p.t.Helper()
	got := p.exchange(link.String(), typeDelegation, "resource", resource)
	if got.status != 200 {
		p.t.Fatalf("%d %s", got.status, got.raw)
	}
	return got
}

// refused is the newest event of a refusal, and how many there are.
func (w *world) refused() (n int, newest evidence.Event) {
	w.t.Helper()
	var list api.List[api.Event]
	w.priya.api("GET", "/v1/events?refused=true&limit=200", nil, &list)
	if len(list.Items) > 0 {
		var err error
		newest, err = evidence.ParseEvent(list.Items[0].Body)
		w.ok(err)
	}
	return len(list.Items), newest
}
