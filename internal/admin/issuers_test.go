package admin_test

import (
	"testing"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/id"
)

const elsewhere = "https://attorn.partner.example"

// partnered is a rule that lets an agent of another server act as one of ours.
func (w *world) partnered(name string) api.NewTrustedIssuer {
	w.t.Helper()
	a := w.agent(name)
	return api.NewTrustedIssuer{
		Issuer: elsewhere, Prefix: "acme", Agents: []id.Agent{id.New[id.Agent](w.now())}, Agent: a.ID(), Delegation: w.lend(a).Statement.ID,
	}
}

func (w *world) trusted(name string) api.TrustedIssuer {
	w.t.Helper()
	r, err := w.priya.TrustIssuer(w.ctx, w.partnered(name))
	w.ok(err)
	return r
}

var issuerChecks = map[string]check{
	"TrustIssuer": {
		func(t *testing.T, w *world) {
			n := w.partnered("guest")
			r, err := w.priya.TrustIssuer(w.ctx, n)
			w.ok(err)
			d, err := w.priya.Delegation(w.ctx, n.Delegation)
			w.ok(err)
			if r.Issuer != elsewhere || r.Agent != n.Agent || len(r.Agents) != 1 || r.Expires != d.Link.Statement.ExpiresAt || r.MadeBy != w.priya.User().String() || r.Digest.IsZero() {
				t.Errorf("%+v", r)
			}
		},
		func(w *world) {
			n := w.partnered("guest")
			add := func(who person, change func(*api.NewTrustedIssuer)) func() error {
				c := n
				if change != nil {
					change(&c)
				}
				return func() error { return only(who.TrustIssuer(w.ctx, c)) }
			}
			w.refusal("who may not", "no_permit", w.noor.User(), add(w.noor, nil))
			other := w.agent("other")
			for what, c := range map[string]struct {
				code   string
				change func(*api.NewTrustedIssuer)
			}{
				"ourselves":          {"issuer_invalid", func(n *api.NewTrustedIssuer) { n.Issuer = w.URL }},
				"http":               {"issuer_invalid", func(n *api.NewTrustedIssuer) { n.Issuer = "http://partner.example" }},
				"our own names":      {"issuer_invalid", func(n *api.NewTrustedIssuer) { n.Prefix = "tool:files" }},
				"no agents":          {"issuer_invalid", func(n *api.NewTrustedIssuer) { n.Agents = nil }},
				"keys that are none": {"issuer_invalid", func(n *api.NewTrustedIssuer) { n.KeySet = []byte(`{"keys":[{"kty":"new"}]}`) }},
				"longer than a year": {"issuer_invalid", func(n *api.NewTrustedIssuer) { n.Expires = 4_000_000_000 }},
				"lent to another":    {"not_lent", func(n *api.NewTrustedIssuer) { n.Agent = other.ID() }},
				"lent to nobody":     {"not_lent", func(n *api.NewTrustedIssuer) { n.Delegation = id.New[id.Delegation](w.now()) }},
				"no agent of ours":   {"not_found", func(n *api.NewTrustedIssuer) { n.Agent = id.New[id.Agent](w.now()) }},
			} {
				w.refusal(what, c.code, w.priya.User(), add(w.priya, c.change))
			}
			_, err := w.priya.TrustIssuer(w.ctx, n)
			w.ok(err)
			w.refusal("twice", "issuer_trusted", w.priya.User(), add(w.priya, nil))
			_, err = w.priya.RevokeDelegation(w.ctx, n.Delegation, "")
			w.ok(err)
			w.refusal("what has ended", "delegation_revoked", w.priya.User(), add(w.priya, func(n *api.NewTrustedIssuer) { n.Issuer += "/x" }))
		},
	},
	"TrustedIssuers": {
		func(t *testing.T, w *world) {
			one, two := w.trusted("one"), w.trusted("two")
			all, err := w.priya.TrustedIssuers(w.ctx, attorn.Page{Limit: 1})
			w.ok(err)
			rest, err := w.priya.TrustedIssuers(w.ctx, attorn.Page{After: all.Next})
			w.ok(err)
			if len(all.Items) != 1 || len(rest.Items) != 1 || all.Items[0].ID != one.ID || rest.Items[0].ID != two.ID || rest.Next != "" {
				t.Errorf("%+v %+v", all, rest)
			}
		},
		func(w *world) {
			w.refusal("who may not", "no_permit", w.noor.User(), func() error { return only(w.noor.TrustedIssuers(w.ctx, attorn.Page{})) })
		},
	},
	"TrustedIssuer": {
		func(t *testing.T, w *world) {
			r := w.trusted("guest")
			if got, err := w.priya.TrustedIssuer(w.ctx, r.ID); err != nil || got.Digest != r.Digest || got.Prefix != "acme" {
				t.Errorf("%+v, %v", got, err)
			}
		},
		func(w *world) {
			r := w.trusted("guest")
			w.refusal("who may not", "no_permit", w.noor.User(), func() error { return only(w.noor.TrustedIssuer(w.ctx, r.ID)) })
			w.refusal("one that there is not", "not_found", id.User{}, func() error { return only(w.priya.TrustedIssuer(w.ctx, id.New[id.Issuer](w.now()))) })
		},
	},
	"RemoveIssuer": {
		func(t *testing.T, w *world) {
			r := w.trusted("guest")
			got, err := w.priya.RemoveIssuer(w.ctx, r.ID)
			w.ok(err)
			if l, err := w.priya.TrustedIssuers(w.ctx, attorn.Page{}); err != nil || len(l.Items) != 0 || got.Rev == 0 {
				t.Errorf("%+v, %v", l, err)
			}
		},
		func(w *world) {
			r := w.trusted("guest")
			w.refusal("who may not", "no_permit", w.noor.User(), func() error { return only(w.noor.RemoveIssuer(w.ctx, r.ID)) })
			w.refusal("one that there is not", "not_found", w.priya.User(), func() error { return only(w.priya.RemoveIssuer(w.ctx, id.New[id.Issuer](w.now()))) })
		},
	},
}
