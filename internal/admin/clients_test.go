package admin_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/id"
)

const appAddress = "https://app.example.com/client.json"

// registers registers an app by an invitation, and returns its id.
func (w *world) registers() id.App {
	w.t.Helper()
	in, err := w.priya.InviteApp(w.ctx)
	w.ok(err)
	r, err := http.NewRequestWithContext(w.ctx, "POST", w.URL+"/oauth/register", strings.NewReader(`{"client_name":"App","redirect_uris":["http://127.0.0.1/cb"]}`))
	w.ok(err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+in.Token)
	res, err := http.DefaultClient.Do(r)
	w.ok(err)
	defer res.Body.Close()
	l, err := w.priya.Events(w.ctx, attorn.EventQuery{Kind: "client.registered"})
	w.ok(err)
	if res.StatusCode != 201 || len(l.Items) != 1 {
		w.t.Fatalf("%s, %d events", res.Status, len(l.Items))
	}
	_, rest, _ := strings.Cut(string(l.Items[0].Body), `"client":"`)
	text, _, _ := strings.Cut(rest, `"`)
	app, err := id.Parse[id.App](text)
	w.ok(err)
	return app
}

var clientChecks = map[string]check{
	"Apps": {
		func(t *testing.T, w *world) {
			for _, person := range []string{"", "me", w.noor.User().String()} {
				if l, err := w.priya.Apps(w.ctx, "", person, attorn.Page{Limit: 5}); err != nil || l.Items == nil || len(l.Items) != 0 {
					t.Errorf("%q: %+v, %v", person, l, err)
				}
			}
			if _, err := w.noor.Apps(w.ctx, "", "me", attorn.Page{}); err != nil {
				t.Error(err)
			}
		},
		func(w *world) {
			w.refusal("who may not", "no_permit", w.noor.User(), func() error { return only(w.noor.Apps(w.ctx, "", "", attorn.Page{})) })
			w.refusal("another's", "no_permit", w.noor.User(), func() error { return only(w.noor.Apps(w.ctx, "", w.priya.User().String(), attorn.Page{})) })
			w.refusal("nobody's", "malformed", id.User{}, func() error { return only(w.priya.Apps(w.ctx, "", "x", attorn.Page{})) })
		},
	},
	"App": {
		func(t *testing.T, w *world) {
			app := w.registers()
			if a, err := w.priya.App(w.ctx, app.String()); err != nil || a.Name != "App" || !a.Allow || a.Bearer || a.Problem != "" || len(a.Redirects) != 1 || a.Created == "" || a.Rule != "" {
				t.Errorf("%+v, %v", a, err)
			}
			if a, err := w.priya.App(w.ctx, "http://localhost:9/client.json"); err != nil || a.Problem == "" || !a.Allow || a.Redirects == nil {
				t.Errorf("%+v, %v", a, err)
			}
		},
		func(w *world) {
			w.refusal("who may not", "no_permit", w.noor.User(), func() error { return only(w.noor.App(w.ctx, appAddress)) })
			w.refusal("no app's", "client_unknown", id.User{}, func() error { return only(w.priya.App(w.ctx, "attorn-cli")) })
		},
	},
	"InviteApp": {
		func(t *testing.T, w *world) {
			if got, err := w.priya.InviteApp(w.ctx); err != nil || len(got.Token) != 43 || got.ExpiresIn != 24*3600 {
				t.Errorf("%+v, %v", got, err)
			}
			w.registers()
		},
		func(w *world) {
			w.refusal("who may not", "no_permit", w.noor.User(), func() error { return only(w.noor.InviteApp(w.ctx)) })
		},
	},
	"RemoveApp": {
		func(t *testing.T, w *world) {
			app := w.registers()
			w.ok(only(w.priya.RemoveApp(w.ctx, app)))
			if a, err := w.priya.App(w.ctx, app.String()); err != nil || a.Problem == "" {
				t.Errorf("%+v, %v", a, err)
			}
		},
		func(w *world) {
			app := w.registers()
			w.refusal("who may not", "no_permit", w.noor.User(), func() error { return only(w.noor.RemoveApp(w.ctx, app)) })
			w.refusal("none", "not_found", w.priya.User(), func() error { return only(w.priya.RemoveApp(w.ctx, id.New[id.App](w.now()))) })
		},
	},
	"SetClientRule": {
		func(t *testing.T, w *world) {
			w.ok(only(w.priya.SetClientRule(w.ctx, api.ClientRule{Client: "https://app.example.com/*", Allow: true, Bearer: true, Reason: "a trial"})))
			w.ok(only(w.priya.SetClientRule(w.ctx, api.ClientRule{Client: "*"})))
			if a, err := w.priya.App(w.ctx, appAddress); err != nil || !a.Allow || !a.Bearer || a.Rule != "https://app.example.com/*" {
				t.Errorf("%+v, %v", a, err)
			}
			if l, err := w.priya.ClientRules(w.ctx, attorn.Page{}); err != nil || len(l.Items) != 2 || l.Items[1].Reason != "a trial" || l.Items[1].By != w.priya.User().String() || l.Items[0].Client != "*" || l.Items[0].Allow {
				t.Errorf("%+v, %v", l, err)
			}
		},
		func(w *world) {
			set := func(who person, r api.ClientRule) func() error {
				return func() error { return only(who.SetClientRule(w.ctx, r)) }
			}
			w.refusal("who may not", "no_permit", w.noor.User(), set(w.noor, api.ClientRule{Client: "*", Allow: true, Bearer: true}))
			w.refusal("no pattern", "rule_invalid", w.priya.User(), set(w.priya, api.ClientRule{Client: "https://*", Allow: true}))
			w.refusal("bearer without leave", "rule_invalid", w.priya.User(), set(w.priya, api.ClientRule{Client: "*", Bearer: true}))
			w.refusal("by another", "malformed", id.User{}, set(w.priya, api.ClientRule{Client: "*", By: "x"}))
		},
	},
	"ClientRules": {
		func(t *testing.T, w *world) {
			for _, client := range []string{"https://a.example/*", "https://b.example/*"} {
				w.ok(only(w.priya.SetClientRule(w.ctx, api.ClientRule{Client: client, Allow: true})))
			}
			one, err := w.priya.ClientRules(w.ctx, attorn.Page{Limit: 1})
			w.ok(err)
			two, err := w.priya.ClientRules(w.ctx, attorn.Page{After: one.Next})
			w.ok(err)
			if len(one.Items) != 1 || len(two.Items) != 1 || two.Items[0].Client != "https://b.example/*" {
				t.Errorf("%+v %+v", one, two)
			}
		},
		func(w *world) {
			w.refusal("who may not", "no_permit", w.noor.User(), func() error { return only(w.noor.ClientRules(w.ctx, attorn.Page{})) })
		},
	},
	"RemoveClientRule": {
		func(t *testing.T, w *world) {
			w.ok(only(w.priya.SetClientRule(w.ctx, api.ClientRule{Client: "*"})))
			w.ok(only(w.priya.RemoveClientRule(w.ctx, api.ClientRef{Client: "*"})))
			if l, err := w.priya.ClientRules(w.ctx, attorn.Page{}); err != nil || len(l.Items) != 0 {
				t.Errorf("%+v, %v", l, err)
			}
		},
		func(w *world) {
			w.ok(only(w.priya.SetClientRule(w.ctx, api.ClientRule{Client: "*"})))
			remove := func(who person, client string) func() error {
				return func() error { return only(who.RemoveClientRule(w.ctx, api.ClientRef{Client: client})) }
			}
			w.refusal("who may not", "no_permit", w.noor.User(), remove(w.noor, "*"))
			w.refusal("none", "not_found", w.priya.User(), remove(w.priya, appAddress))
			w.refusal("no pattern", "rule_invalid", w.priya.User(), remove(w.priya, ""))
		},
	},
}
