package admin_test

import (
	"testing"
	"time"

	"github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/attorntest"
	"github.com/attorn/attorn/id"
)

// trusting is a rule for the pods of a platform to become instances of an agent of Priya's.
func (w *world) trusting(name string) (*attorntest.Platform, api.NewTrustRule) {
	w.t.Helper()
	a, err := w.priya.CreateAgent(w.ctx, api.NewAgent{Name: name})
	w.ok(err)
	p := attorntest.NewPlatform(w.t)
	return p, api.KubernetesTrust(a.ID, p.Issuer, "prod", "app")
}

func (w *world) pod(p *attorntest.Platform, namespace string) string {
	return p.Token(map[string]any{
		"iss": p.Issuer, "sub": "system:serviceaccount:prod:app", "aud": w.URL, "iat": w.now().Unix(), "exp": w.now().Add(time.Hour).Unix(),
		"kubernetes.io": map[string]any{"namespace": namespace, "serviceaccount": map[string]any{"name": "app"}},
	})
}

var trustChecks = map[string]check{
	"AddTrustRule": {
		func(t *testing.T, w *world) {
			_, n := w.trusting("bot")
			r, err := w.priya.AddTrustRule(w.ctx, n)
			w.ok(err)
			if r.Agent != n.Agent || r.Issuer != n.Issuer || r.InstanceTTL != 3600 || r.MaxInstances != 10 || r.KeysPerAssertion != 1 || r.Digest.IsZero() || r.Created == "" || len(r.Match) != 3 {
				t.Errorf("%+v", r)
			}
			l, err := w.priya.Events(w.ctx, attorn.EventQuery{Kind: "agent.changed", Target: n.Agent.String()})
			w.ok(err)
			if len(l.Items) != 1 {
				t.Errorf("%d events", len(l.Items))
			}
		},
		func(w *world) {
			p, n := w.trusting("bot")
			add := func(who person, change func(*api.NewTrustRule)) func() error {
				c := n
				if change != nil {
					change(&c)
				}
				return func() error { return only(who.AddTrustRule(w.ctx, c)) }
			}
			w.refusal("who may not", "no_permit", w.noor.User(), add(w.noor, nil))
			w.refusal("no sub", "rule_invalid", w.priya.User(), add(w.priya, func(r *api.NewTrustRule) { r.Match = map[string]string{"email": "x"} }))
			w.refusal("GitHub by name", "rule_invalid", w.priya.User(), add(w.priya, func(r *api.NewTrustRule) {
				r.Issuer, r.Match = api.GitHubIssuer, map[string]string{"sub": "repo:octo/app:*", "ref": "refs/heads/main"}
			}))
			w.refusal("our own tokens", "rule_invalid", w.priya.User(), add(w.priya, func(r *api.NewTrustRule) { r.Issuer = w.URL }))
			w.refusal("keys that are none", "key_set_invalid", w.priya.User(), add(w.priya, func(r *api.NewTrustRule) { r.Keys, r.KeySet = "jwks", []byte(`{"keys":[{"kty":"new"}]}`) }))
			w.refusal("a bundle that is none", "rule_invalid", w.priya.User(), add(w.priya, func(r *api.NewTrustRule) {
				*r = api.SPIFFETrust(r.Agent, "example.org", "spiffe://example.org/x", p.KeySet("x509-svid"))
			}))
			ended, err := w.priya.CreateAgent(w.ctx, api.NewAgent{Name: "ended"})
			w.ok(err)
			_, err = w.priya.RevokeAgent(w.ctx, ended.ID, "")
			w.ok(err)
			w.refusal("an agent that has ended", "wrong_state", w.priya.User(), add(w.priya, func(r *api.NewTrustRule) { r.Agent = ended.ID }))
			w.refusal("an agent that there is not", "not_found", w.priya.User(), add(w.priya, func(r *api.NewTrustRule) { r.Agent = id.New[id.Agent](w.now()) }))
		},
	},
	"TrustRules": {
		func(t *testing.T, w *world) {
			_, one := w.trusting("one")
			_, two := w.trusting("two")
			for _, n := range []api.NewTrustRule{one, two} {
				_, err := w.priya.AddTrustRule(w.ctx, n)
				w.ok(err)
			}
			all, err := w.priya.TrustRules(w.ctx, id.Agent{}, attorn.Page{Limit: 1})
			w.ok(err)
			rest, err := w.priya.TrustRules(w.ctx, id.Agent{}, attorn.Page{After: all.Next})
			w.ok(err)
			own, err := w.priya.TrustRules(w.ctx, two.Agent, attorn.Page{})
			w.ok(err)
			if len(all.Items) != 1 || len(rest.Items) != 1 || len(own.Items) != 1 || own.Items[0].Agent != two.Agent || rest.Next != "" {
				t.Errorf("%+v %+v %+v", all, rest, own)
			}
		},
		func(w *world) {
			w.refusal("who may not", "no_permit", w.noor.User(), func() error { return only(w.noor.TrustRules(w.ctx, id.Agent{}, attorn.Page{})) })
		},
	},
	"TrustRule": {
		func(t *testing.T, w *world) {
			_, n := w.trusting("bot")
			r, err := w.priya.AddTrustRule(w.ctx, n)
			w.ok(err)
			if got, err := w.priya.TrustRule(w.ctx, r.ID); err != nil || got.Digest != r.Digest || got.Issuer != r.Issuer || len(got.Match) != len(r.Match) {
				t.Errorf("%+v, %v", got, err)
			}
		},
		func(w *world) {
			_, n := w.trusting("bot")
			r, err := w.priya.AddTrustRule(w.ctx, n)
			w.ok(err)
			w.refusal("who may not", "no_permit", w.noor.User(), func() error { return only(w.noor.TrustRule(w.ctx, r.ID)) })
			w.refusal("one that there is not", "not_found", id.User{}, func() error { return only(w.priya.TrustRule(w.ctx, id.New[id.TrustRule](w.now()))) })
		},
	},
	"RemoveTrustRule": {
		func(t *testing.T, w *world) {
			_, n := w.trusting("bot")
			r, err := w.priya.AddTrustRule(w.ctx, n)
			w.ok(err)
			got, err := w.priya.RemoveTrustRule(w.ctx, r.ID)
			w.ok(err)
			if l, err := w.priya.TrustRules(w.ctx, id.Agent{}, attorn.Page{}); err != nil || len(l.Items) != 0 || got.Rev == 0 {
				t.Errorf("%+v, %v", l, err)
			}
		},
		func(w *world) {
			_, n := w.trusting("bot")
			r, err := w.priya.AddTrustRule(w.ctx, n)
			w.ok(err)
			w.refusal("who may not", "no_permit", w.noor.User(), func() error { return only(w.noor.RemoveTrustRule(w.ctx, r.ID)) })
			w.refusal("one that there is not", "not_found", w.priya.User(), func() error { return only(w.priya.RemoveTrustRule(w.ctx, id.New[id.TrustRule](w.now()))) })
		},
	},
	"TestTrust": {
		func(t *testing.T, w *world) {
			p, n := w.trusting("bot")
			r, err := w.priya.AddTrustRule(w.ctx, n)
			w.ok(err)
			got, err := w.priya.TestTrust(w.ctx, w.pod(p, "prod"))
			w.ok(err)
			if len(got.Rules) != 1 || !got.Rules[0].Trusted || got.Rules[0].Rule != r.ID || got.Problem != "" {
				t.Errorf("%+v", got)
			}
			if got, err = w.priya.TestTrust(w.ctx, w.pod(p, "dev")); err != nil || got.Rules[0].Trusted || got.Rules[0].Claim != "/kubernetes.io/namespace" || got.Rules[0].Pattern != "prod" {
				t.Errorf("%+v, %v", got, err)
			}
			if got, err = w.priya.TestTrust(w.ctx, w.pod(attorntest.NewPlatform(t), "prod")); err != nil || len(got.Rules) != 0 || got.Problem == "" {
				t.Errorf("%+v, %v", got, err)
			}
			for _, text := range []string{"", "x", "a.b.c"} {
				if got, err = w.priya.TestTrust(w.ctx, text); err != nil || got.Problem == "" {
					t.Errorf("%+v, %v", got, err)
				}
			}
		},
		func(w *world) {
			w.refusal("who may not", "no_permit", w.noor.User(), func() error { return only(w.noor.TestTrust(w.ctx, "x")) })
		},
	},
}
