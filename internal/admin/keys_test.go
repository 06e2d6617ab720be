package admin_test

import (
	"testing"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/id"
)

var keyChecks = map[string]check{
	"Keys": {
		func(t *testing.T, w *world) {
			all, err := w.priya.Keys(w.ctx)
			w.ok(err)
			uses := map[string]int{}
			for _, k := range all.Items {
				uses[k.Use]++
				if k.Status != "current" || k.Published != (k.Use == "token") || k.Key != k.JWK.Thumbprint() || (k.Log == "") != (k.Use == "token") {
					t.Errorf("%+v", k)
				}
			}
			if uses["token"] != 1 || uses["log"] != 2 {
				t.Errorf("keys for %v", uses)
			}
		},
		func(w *world) {
			w.refusal("the server's keys", "no_permit", w.noor.User(), func() error { return only(w.noor.Keys(w.ctx)) })
		},
	},
	"RotateKey": {
		func(t *testing.T, w *world) {
			next, err := w.priya.RotateKey(w.ctx, api.RotateKey{})
			w.ok(err)
			now, err := w.priya.RotateKey(w.ctx, api.RotateKey{Now: true, Reason: "drill"})
			w.ok(err)
			if next.Status != "next" || !next.Published || now.Status != "current" || now.Event.IsZero() || now.Rev <= next.Rev {
				t.Errorf("published %+v, and at once %+v", next, now)
			}
			w.ok(only(w.priya.Me(w.ctx))) // with the token of before
			last, err := w.priya.RotateKey(w.ctx, api.RotateKey{Compromised: true, Reason: "INC-212"})
			w.ok(err)
			w.ok(only(w.priya.Me(w.ctx))) // with another
			if last.Status != "current" || last.Key == now.Key {
				t.Errorf("after a compromise: %+v", last)
			}
		},
		func(w *world) {
			w.refusal("by a stranger", "no_permit", w.noor.User(), func() error { return only(w.noor.RotateKey(w.ctx, api.RotateKey{})) })
			for _, in := range []api.RotateKey{{Now: true}, {Compromised: true}} {
				w.refusal("without a reason", "reason_missing", id.User{}, func() error { return only(w.priya.RotateKey(w.ctx, in)) })
			}
			w.refusal("a reason of two lines", "malformed", id.User{}, func() error {
				return only(w.priya.RotateKey(w.ctx, api.RotateKey{Now: true, Reason: "a\nb"}))
			})
			w.ok(only(w.priya.RotateKey(w.ctx, api.RotateKey{})))
			w.refusal("a second next key", "key_published", w.priya.User(), func() error { return only(w.priya.RotateKey(w.ctx, api.RotateKey{})) })
		},
	},
}
