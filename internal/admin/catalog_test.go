package admin_test

import (
	"slices"
	"testing"
	"time"

	"github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

var catalogChecks = map[string]check{
	"AddServer": {
		func(t *testing.T, w *world) {
			s := w.server("files")
			if s.Resource != w.URL+"/mcp/files" || s.Status != "active" || s.Transport != "http" || len(s.Tools) != 1 {
				t.Fatalf("added %+v", s)
			}
			l, err := w.priya.Tools(w.ctx, "files")
			w.ok(err)
			if len(l.Items) != 1 || l.Items[0] != s.Tools[0] || l.Items[0].Permission != "tool:files:write" || l.Items[0].Status != "accepted" {
				t.Errorf("tools %+v, when it was added %+v", l, s.Tools)
			}
		},
		func(w *world) {
			add := func(c person, in api.NewServer) func() error {
				return func() error { return only(c.AddServer(w.ctx, in)) }
			}
			w.server("files")
			w.refusal("a name again", "server_exists", w.priya.User(), add(w.priya, api.NewServer{Name: "files", URL: w.mcp(), AllowPrivate: true}))
			w.refusal("by a stranger", "no_permit", w.noor.User(), add(w.noor, api.NewServer{Name: "x", URL: w.mcp(), AllowPrivate: true}))
			w.refusal("a command by a stranger", "no_permit", w.noor.User(), add(w.noor, api.NewServer{Name: "x", Command: []string{"true"}}))
			w.refusal("a private address", "server_invalid", id.User{}, add(w.priya, api.NewServer{Name: "x", URL: w.mcp()}))
			w.refusal("both ways", "server_invalid", id.User{}, add(w.priya, api.NewServer{Name: "x", URL: w.mcp(), AllowPrivate: true, Command: []string{"true"}}))
			w.refusal("the product's name", "server_invalid", id.User{}, add(w.priya, api.NewServer{Name: "attorn", URL: w.mcp(), AllowPrivate: true}))
			err := add(w.priya, api.NewServer{Name: "x", Command: []string{"/nonexistent"}})()
			if f := fault.Of(err); f == nil || f.Kind != fault.Unavailable {
				w.t.Errorf("a command that does not run: %v", err)
			}
		},
	},
	"Servers": {
		func(t *testing.T, w *world) {
			w.server("files")
			l, err := w.noor.Servers(w.ctx)
			w.ok(err)
			if len(l.Items) != 1 || l.Items[0].Name != "files" || l.Items[0].Tools != nil {
				t.Errorf("servers %+v", l)
			}
		},
		func(w *world) {
			token := w.token(w.noor, "")
			w.ok(only(w.priya.SuspendUser(w.ctx, w.noor.User(), "")))
			if _, p, _ := w.send(w.noor.signer, request{method: "GET", path: "/v1/servers", token: token}); p.Code != "person_suspended" {
				w.t.Errorf("a suspended person: %+v", p)
			}
		},
	},
	"Server": {
		func(t *testing.T, w *world) {
			added := w.server("files")
			s, err := w.noor.Server(w.ctx, "files")
			w.ok(err)
			if s.Resource != added.Resource {
				t.Errorf("read %+v", s)
			}
		},
		func(w *world) {
			for _, name := range []string{"none", "a/b", "No Name", "\u202e"} {
				w.refusal("server "+name, "unknown_server", id.User{}, func() error { return only(w.priya.Server(w.ctx, name)) })
			}
		},
	},
	"RemoveServer": {
		func(t *testing.T, w *world) {
			w.server("files")
			w.ok(only(w.priya.RemoveServer(w.ctx, "files")))
			if l, err := w.priya.Servers(w.ctx); err != nil || len(l.Items) != 0 {
				t.Errorf("afterwards %+v, %v", l, err)
			}
			w.server("files")
		},
		func(w *world) {
			w.server("files")
			w.refusal("by a stranger", "no_permit", w.noor.User(), func() error { return only(w.noor.RemoveServer(w.ctx, "files")) })
			w.refusal("none", "unknown_server", w.priya.User(), func() error { return only(w.priya.RemoveServer(w.ctx, "none")) })
		},
	},
	"Tools": {
		func(t *testing.T, w *world) {
			w.server("files")
			l, err := w.priya.Tools(w.ctx, "files")
			w.ok(err)
			if len(l.Items) != 1 || l.Items[0].Name != "write" || l.Items[0].Pin.IsZero() || l.Items[0].Pin != l.Items[0].SeenPin {
				t.Errorf("tools %+v", l)
			}
		},
		func(w *world) {
			w.server("files")
			w.refusal("by a stranger", "no_permit", w.noor.User(), func() error { return only(w.noor.Tools(w.ctx, "files")) })
			w.refusal("none", "unknown_server", id.User{}, func() error { return only(w.priya.Tools(w.ctx, "none")) })
		},
	},
	"PinTool": {
		func(t *testing.T, w *world) {
			tool := w.server("files").Tools[0]
			w.ok(only(w.priya.PinTool(w.ctx, "files", "write", api.Pin{Pin: tool.SeenPin, Class: "write"})))
			l, err := w.priya.Tools(w.ctx, "files")
			w.ok(err)
			if l.Items[0].Class != "write" {
				t.Errorf("afterwards %+v", l)
			}
		},
		func(w *world) {
			tool := w.server("files").Tools[0]
			pin := func(c person, name string, in api.Pin) func() error {
				return func() error { return only(c.PinTool(w.ctx, "files", name, in)) }
			}
			w.refusal("by a stranger", "no_permit", w.noor.User(), pin(w.noor, "write", api.Pin{Pin: tool.SeenPin, Class: "read"}))
			w.refusal("another pin", "pin_changed", w.priya.User(), pin(w.priya, "write", api.Pin{Pin: id.Sum([]byte("x")), Class: "read"}))
			w.refusal("no class", "malformed", w.priya.User(), pin(w.priya, "write", api.Pin{Pin: tool.SeenPin, Class: "safe"}))
			for _, name := range []string{"none", "prompts/none", "a/pin"} {
				w.refusal("tool "+name, "unknown_tool", w.priya.User(), pin(w.priya, name, api.Pin{Pin: tool.SeenPin, Class: "read"}))
			}
		},
	},
	"AddService": {
		func(t *testing.T, w *world) {
			key := newSigner(t).Public()
			s, err := w.priya.AddService(w.ctx, api.NewService{Name: "repo", Resource: "https://repo.example/api", Prefix: "repo:acme", JWK: key})
			w.ok(err)
			if s.ID.IsZero() || s.Key != key.Thumbprint() || s.Resource != "https://repo.example/api" {
				t.Errorf("registered %+v", s)
			}
		},
		func(w *world) {
			key := newSigner(w.t).Public()
			add := func(c person, resource string, key jose.PublicKey) func() error {
				return func() error {
					return only(c.AddService(w.ctx, api.NewService{Name: "repo", Resource: resource, Prefix: "repo:acme", JWK: key}))
				}
			}
			w.refusal("by a stranger", "no_permit", w.noor.User(), add(w.noor, "https://repo.example/api", key))
			w.refusal("our own URL", "resource_invalid", w.priya.User(), add(w.priya, w.URL+"/api", key))
			w.ok(add(w.priya, "https://repo.example/api", key)())
			w.refusal("a name again", "name_taken", w.priya.User(), add(w.priya, "https://other.example/api", key))
		},
	},
	"Services": {
		func(t *testing.T, w *world) {
			s, err := w.priya.AddService(w.ctx, api.NewService{Name: "repo", Resource: "https://repo.example/api", Prefix: "repo:acme", JWK: newSigner(t).Public()})
			w.ok(err)
			l, err := w.priya.Services(w.ctx, attorn.Page{})
			w.ok(err)
			if len(l.Items) != 1 || l.Items[0] != s {
				t.Errorf("services %+v", l)
			}
		},
		func(w *world) {
			w.refusal("by a stranger", "no_permit", w.noor.User(), func() error { return only(w.noor.Services(w.ctx, attorn.Page{})) })
		},
	},
	"RemoveService": {
		func(t *testing.T, w *world) {
			for _, by := range []func(api.Service) string{func(s api.Service) string { return s.ID.String() }, func(s api.Service) string { return s.Name }} {
				s, err := w.priya.AddService(w.ctx, api.NewService{Name: "repo", Resource: "https://repo.example/api", Prefix: "repo:acme", JWK: newSigner(t).Public()})
				w.ok(err)
				w.ok(only(w.priya.RemoveService(w.ctx, by(s))))
				if l, err := w.priya.Services(w.ctx, attorn.Page{}); err != nil || len(l.Items) != 0 {
					t.Errorf("afterwards %+v, %v", l, err)
				}
			}
		},
		func(w *world) {
			s, err := w.priya.AddService(w.ctx, api.NewService{Name: "repo", Resource: "https://repo.example/api", Prefix: "repo:acme", JWK: newSigner(w.t).Public()})
			w.ok(err)
			w.refusal("by a stranger", "no_permit", w.noor.User(), func() error { return only(w.noor.RemoveService(w.ctx, s.ID.String())) })
			for _, text := range []string{"none", "svc_0", "\u202e"} {
				w.refusal("service "+text, "not_found", w.priya.User(), func() error { return only(w.priya.RemoveService(w.ctx, text)) })
			}
		},
	},
}

var rulesChecks = map[string]check{
	"Publish": {
		func(t *testing.T, w *world) {
			in := api.Publish{Files: []api.PolicyFile{{Path: "policies/release.cedar", Text: gate}}}
			b, err := w.priya.Publish(w.ctx, in)
			w.ok(err)
			live, err := w.priya.Policy(w.ctx)
			w.ok(err)
			if live.Digest != b.Digest || b.Digest.IsZero() {
				t.Errorf("published %s, live is %s", b.Digest, live.Digest)
			}
			in.Base = b.Digest
			w.ok(only(w.priya.Publish(w.ctx, in)))
		},
		func(w *world) {
			publish := func(c person, in api.Publish) func() error { return func() error { return only(c.Publish(w.ctx, in)) } }
			w.refusal("by a stranger", "no_permit", w.noor.User(), publish(w.noor, api.Publish{}))
			w.refusal("nonsense", "policy_invalid", w.priya.User(), publish(w.priya, api.Publish{Files: []api.PolicyFile{{Path: "policies/x.cedar", Text: "permit everything"}}}))
			w.refusal("a built-in file", "policy_invalid", w.priya.User(), publish(w.priya, api.Publish{Files: []api.PolicyFile{{Path: "attorn/own.cedar", Text: gate}}}))
			w.refusal("on another base", "stale_base", w.priya.User(), publish(w.priya, api.Publish{Base: id.Sum([]byte("x"))}))
		},
	},
	"Rollback": {
		func(t *testing.T, w *world) {
			b, err := w.priya.Publish(w.ctx, api.Publish{Files: []api.PolicyFile{{Path: "policies/release.cedar", Text: gate}}, Message: "a gate"})
			w.ok(err)
			back, err := w.priya.Rollback(w.ctx, api.Rollback{Bundle: "previous", Base: b.Digest, Message: "not yet"})
			w.ok(err)
			if back.Digest != b.Base || back.Base != b.Digest || back.Rev <= b.Rev || back.Event == b.Event {
				t.Errorf("%+v after %+v", back, b)
			}
		},
		func(w *world) {
			rollback := func(c person, in api.Rollback) func() error {
				return func() error { return only(c.Rollback(w.ctx, in)) }
			}
			w.refusal("by a stranger", "no_permit", w.noor.User(), rollback(w.noor, api.Rollback{Bundle: "previous"}))
			w.refusal("to nothing", "not_found", w.priya.User(), rollback(w.priya, api.Rollback{Bundle: "previous"}))
			w.refusal("from another", "stale_base", w.priya.User(), rollback(w.priya, api.Rollback{Bundle: "previous", Base: id.Sum([]byte("x"))}))
			if _, p, _ := w.send(w.priya.signer, request{method: "POST", path: "/v1/policy/rollback", token: w.token(w.priya, ""), body: `{"bundle":"previous"}`}); p.Code != "signature_needed" || p.Status != 403 {
				w.t.Errorf("not signed: %+v", p)
			}
		},
	},
	"Bundle": {
		func(t *testing.T, w *world) {
			b, err := w.priya.Publish(w.ctx, api.Publish{Files: []api.PolicyFile{{Path: "policies/release.cedar", Text: gate}}})
			w.ok(err)
			for ref, want := range map[string]id.Digest{"live": b.Digest, "previous": b.Base, b.Digest.String(): b.Digest, b.Base.String()[:7]: b.Base} {
				if got, err := w.priya.Bundle(w.ctx, ref); err != nil || got.Digest != want || len(got.Files) < 2 {
					t.Errorf("%s is %s, not %s; %v", ref, got.Digest, want, err)
				}
			}
		},
		func(w *world) {
			w.refusal("by a stranger", "no_permit", w.noor.User(), func() error { return only(w.noor.Bundle(w.ctx, "live")) })
			for _, ref := range []string{"previous", "none", "aaaaaaaaaa", "%%%%%%%", "\u202e"} {
				if err := only(w.priya.Bundle(w.ctx, ref)); fault.Code(err) != "not_found" {
					w.t.Errorf("%q: %v", ref, err)
				}
			}
		},
	},
	"PolicyLog": {
		func(t *testing.T, w *world) {
			b, err := w.priya.Publish(w.ctx, api.Publish{Files: []api.PolicyFile{{Path: "policies/release.cedar", Text: gate}}, Message: "a gate"})
			w.ok(err)
			l, err := w.priya.PolicyLog(w.ctx, attorn.Page{Limit: 1})
			w.ok(err)
			if p := l.Items[0]; len(l.Items) != 1 || p.Bundle != b.Digest || p.Base != b.Base || p.Message != "a gate" || p.Name != "Priya Nair" || p.Event != b.Event || !p.Live || p.Act != "attorn:policy:publish" {
				t.Errorf("%+v", l.Items)
			}
			if l, err = w.priya.PolicyLog(w.ctx, attorn.Page{After: l.Next}); err != nil || len(l.Items) == 0 || l.Items[0].Bundle != b.Base || l.Items[0].Live {
				t.Errorf("%+v, %v", l.Items, err)
			}
		},
		func(w *world) {
			w.refusal("by a stranger", "no_permit", w.noor.User(), func() error { return only(w.noor.PolicyLog(w.ctx, attorn.Page{})) })
			w.refusal("no place", "malformed", id.User{}, func() error { return only(w.priya.PolicyLog(w.ctx, attorn.Page{After: "0"})) })
		},
	},
	"Policy": {
		func(t *testing.T, w *world) {
			b, err := w.priya.Policy(w.ctx)
			w.ok(err)
			if !slices.ContainsFunc(b.Files, func(f api.PolicyFile) bool { return f.Path == "attorn/own.cedar" && f.Text != "" }) {
				t.Errorf("live %+v", b)
			}
		},
		func(w *world) {
			w.refusal("by a stranger", "no_permit", w.noor.User(), func() error { return only(w.noor.Policy(w.ctx)) })
		},
	},
	"Bind": {
		func(t *testing.T, w *world) {
			w.ok(only(w.priya.Bind(w.ctx, api.Binding{Principal: w.noor.User().String(), Role: "developer", Reason: "joined"})))
			l, err := w.priya.Bindings(w.ctx)
			w.ok(err)
			if len(l.Items) != 2 || l.Items[0].Principal != w.noor.User().String() && l.Items[1].Principal != w.noor.User().String() {
				t.Errorf("bindings %+v", l)
			}
		},
		func(w *world) {
			bind := func(c person, principal, role string) func() error {
				return func() error { return only(c.Bind(w.ctx, api.Binding{Principal: principal, Role: role})) }
			}
			noor := w.noor.User().String()
			w.refusal("by oneself", "no_permit", w.noor.User(), bind(w.noor, noor, "owner"))
			w.refusal("to nobody", "not_found", w.priya.User(), bind(w.priya, id.New[id.Agent](time.Now()).String(), "admin"))
			w.refusal("to no principal", "malformed", w.priya.User(), bind(w.priya, "everybody", "admin"))
			w.refusal("no role", "role_invalid", w.priya.User(), bind(w.priya, noor, "Not A Role"))
		},
	},
	"Unbind": {
		func(t *testing.T, w *world) {
			b := api.Binding{Principal: w.noor.User().String(), Role: "developer"}
			w.ok(only(w.priya.Bind(w.ctx, b)))
			w.ok(only(w.priya.Unbind(w.ctx, b)))
			if l, err := w.priya.Bindings(w.ctx); err != nil || len(l.Items) != 1 {
				t.Errorf("afterwards %+v, %v", l, err)
			}
		},
		func(w *world) {
			own := api.Binding{Principal: w.priya.User().String(), Role: "owner"}
			w.refusal("by a stranger", "no_permit", w.noor.User(), func() error { return only(w.noor.Unbind(w.ctx, own)) })
			w.refusal("the last owner", "lockout", w.priya.User(), func() error { return only(w.priya.Unbind(w.ctx, own)) })
		},
	},
	"Bindings": {
		func(t *testing.T, w *world) {
			l, err := w.priya.Bindings(w.ctx)
			w.ok(err)
			if len(l.Items) != 1 || l.Items[0].Role != "owner" || l.Items[0].By != "server" {
				t.Errorf("bindings %+v", l)
			}
		},
		func(w *world) {
			w.refusal("by a stranger", "no_permit", w.noor.User(), func() error { return only(w.noor.Bindings(w.ctx)) })
		},
	},
}

var replayChecks = map[string]check{
	"Replay": {
		func(t *testing.T, w *world) {
			since := time.Now().Add(-time.Hour * 24 * 365 * 10).UTC().Format(time.RFC3339)
			w.ok(only(w.priya.Publish(w.ctx, api.Publish{})))
			heard := 0
			got, err := w.priya.Replay(w.ctx, api.Replay{Since: since, Bundle: "live"}, func(api.ReplayStarted, int64) { heard++ })
			w.ok(err)
			if o := got.Outlook; o.Events == 0 || len(o.Flips)+o.Unexplained+o.Lacking != 0 || heard < 2 || got.Started.Candidate != got.Started.Live {
				t.Errorf("the bundle of record, told %d times: %+v", heard, got)
			}
			in := api.Replay{Since: since, Files: []api.PolicyFile{{Path: "policies/a.cedar", Text: `@id("no") forbid (principal, action == Action::"attorn:policy:publish", resource) when { context.facts.risk == 0 };`}}}
			got, err = w.priya.Replay(w.ctx, in, nil)
			w.ok(err)
			if o := got.Outlook; o.Denied != 1 || o.Flips[0].Action != "attorn:policy:publish" || o.Flips[0].Reasons[0] != "no" || len(got.Started.Difference.Policies) != 1 {
				t.Errorf("%+v", got)
			}
		},
		func(w *world) {
			replay := func(c person, in api.Replay) func() error {
				return func() error { return only(c.Replay(w.ctx, in, nil)) }
			}
			since := time.Now().UTC().Format(time.RFC3339)
			w.refusal("by a stranger", "no_permit", w.noor.User(), replay(w.noor, api.Replay{Since: since, Bundle: "live"}))
			w.refusal("of nonsense", "policy_invalid", w.priya.User(), replay(w.priya, api.Replay{Since: since, Files: []api.PolicyFile{{Path: "policies/x.cedar", Text: "permit everything"}}}))
			w.refusal("of nothing", "not_found", w.priya.User(), replay(w.priya, api.Replay{Since: since, Bundle: "previous"}))
			w.refusal("since whenever", "malformed", id.User{}, replay(w.priya, api.Replay{Since: "soon", Bundle: "live"}))
		},
	},
}
