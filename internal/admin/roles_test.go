package admin_test

import (
	"testing"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/id"
)

var rolesChecks = map[string]check{
	"Activate": {
		func(t *testing.T, w *world) {
			w.ok(only(w.priya.Bind(w.ctx, api.Binding{Principal: w.noor.User().String(), Role: "security-auditor", State: "eligible"})))
			done, err := w.noor.Activate(w.ctx, api.Activation{Role: "security-auditor", TTL: 60, Reason: "incident"})
			w.ok(err)
			l, err := w.noor.BindingsOf(w.ctx, "me")
			w.ok(err)
			if len(l.Items) != 1 || l.Items[0].State != "eligible" || len(l.Items[0].Activations) != 1 || l.Items[0].Activations[0].Expires != done.Expires || done.Expires == "" {
				t.Errorf("activated %+v, bound %+v", done, l)
			}
			w.ok(only(w.noor.Bindings(w.ctx)))
		},
		func(w *world) {
			w.refusal("what is not theirs", "activation_unknown", w.noor.User(), func() error { return only(w.noor.Activate(w.ctx, api.Activation{Role: "admin", Reason: "x"})) })
			w.refusal("for less than no time", "malformed", id.User{}, func() error { return only(w.noor.Activate(w.ctx, api.Activation{Role: "admin", TTL: -1})) })
		},
	},
	"Deactivate": {
		func(t *testing.T, w *world) {
			w.ok(only(w.priya.Bind(w.ctx, api.Binding{Principal: w.noor.User().String(), Role: "security-auditor", State: "eligible"})))
			w.ok(only(w.noor.Activate(w.ctx, api.Activation{Role: "security-auditor", Reason: "incident"})))
			w.ok(only(w.noor.Deactivate(w.ctx, api.Activation{Role: "security-auditor"})))
			w.refusal("afterwards", "no_permit", w.noor.User(), func() error { return only(w.noor.Bindings(w.ctx)) })
		},
		func(w *world) {
			w.refusal("nothing", "not_found", w.noor.User(), func() error { return only(w.noor.Deactivate(w.ctx, api.Activation{Role: "admin"})) })
		},
	},
	"Duties": {
		func(t *testing.T, w *world) {
			w.ok(only(w.priya.SetDuties(w.ctx, "pay", api.SetDuties{Roles: []string{"payer", "auditor"}, Doc: "who pays does not audit"})))
			l, err := w.priya.Duties(w.ctx)
			w.ok(err)
			if len(l.Items) != 1 || l.Items[0].Max != 1 || l.Items[0].Roles[0] != "auditor" || l.Items[0].By != w.priya.User().String() || len(l.Items[0].Over) != 0 {
				t.Errorf("sets %+v", l)
			}
		},
		func(w *world) {
			w.refusal("by a stranger", "no_permit", w.noor.User(), func() error { return only(w.noor.Duties(w.ctx)) })
		},
	},
	"SetDuties": {
		func(t *testing.T, w *world) {
			w.ok(only(w.priya.SetDuties(w.ctx, "pay", api.SetDuties{Roles: []string{"payer", "auditor"}})))
			w.ok(only(w.priya.Bind(w.ctx, api.Binding{Principal: w.noor.User().String(), Role: "payer"})))
			w.refusal("both", "sod_conflict", w.priya.User(), func() error {
				return only(w.priya.Bind(w.ctx, api.Binding{Principal: w.noor.User().String(), Role: "auditor"}))
			})
		},
		func(w *world) {
			w.refusal("one role", "sod_invalid", w.priya.User(), func() error { return only(w.priya.SetDuties(w.ctx, "pay", api.SetDuties{Roles: []string{"payer"}})) })
			w.refusal("by a stranger", "no_permit", w.noor.User(), func() error {
				return only(w.noor.SetDuties(w.ctx, "pay", api.SetDuties{Roles: []string{"payer", "auditor"}}))
			})
		},
	},
	"RemoveDuties": {
		func(t *testing.T, w *world) {
			w.ok(only(w.priya.SetDuties(w.ctx, "pay", api.SetDuties{Roles: []string{"payer", "auditor"}})))
			w.ok(only(w.priya.RemoveDuties(w.ctx, "pay")))
			if l, err := w.priya.Duties(w.ctx); err != nil || len(l.Items) != 0 {
				t.Errorf("afterwards %+v, %v", l, err)
			}
		},
		func(w *world) {
			w.refusal("none", "not_found", w.priya.User(), func() error { return only(w.priya.RemoveDuties(w.ctx, "pay")) })
			w.refusal("by a stranger", "no_permit", w.noor.User(), func() error { return only(w.noor.RemoveDuties(w.ctx, "pay")) })
		},
	},
}
