package admin_test

import (
	"testing"
	"time"

	"github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

func (w *world) kill(by person, kind, what string, edits ...func(*api.Kill)) (api.Killed, error) {
	in := api.Kill{Kind: kind, ID: what, Reason: "odd"}
	for _, edit := range edits {
		edit(&in)
	}
	return by.Kill(w.ctx, in)
}

var killChecks = map[string]check{
	"Kill": {
		func(t *testing.T, w *world) {
			a := w.agent("bot")
			would, err := w.kill(w.priya, "agent", a.ID().String(), func(k *api.Kill) { k.DryRun = true })
			w.ok(err)
			w.ok(only(a.Delegations(w.ctx)))
			got, err := w.kill(w.priya, "agent", a.ID().String())
			w.ok(err)
			if would.Rev != 0 || !would.Event.IsZero() || got.Rev == 0 || len(got.Ended.Instances) != 1 || len(would.Ended.Instances) != 1 ||
				got.Ended.Instances[0] != a.Instance() || got.Ended.Tokens != 1 || got.Undo != "attorn agent resume "+a.ID().String() {
				t.Errorf("would %+v, did %+v", would, got)
			}
			if only(a.Delegations(w.ctx)) == nil {
				t.Error("it still acts")
			}
		},
		func(w *world) {
			a := w.agent("bot")
			kill := func(by person, kind, what string, edits ...func(*api.Kill)) func() error {
				return func() error { return only(w.kill(by, kind, what, edits...)) }
			}
			revoke := func(k *api.Kill) { k.Revoke = true }
			w.refusal("by a stranger", "no_permit", w.noor.User(), kill(w.noor, "agent", a.ID().String()))
			w.refusal("all, by a stranger", "no_permit", w.noor.User(), kill(w.noor, "all", ""))
			w.refusal("nothing", "order_invalid", id.User{}, kill(w.priya, "thing", "x"))
			w.refusal("a name", "order_invalid", id.User{}, kill(w.priya, "agent", "bot"))
			w.refusal("all of something", "order_invalid", id.User{}, kill(w.priya, "all", "x"))
			w.refusal("all for ever", "order_invalid", id.User{}, kill(w.priya, "all", "", revoke))
			w.refusal("a tool for ever", "order_invalid", id.User{}, kill(w.priya, "tool", "x:y", revoke))
			w.refusal("no tool", "unknown_server", w.priya.User(), kill(w.priya, "tool", "x:y"))
			w.refusal("nobody", "not_found", w.priya.User(), kill(w.priya, "agent", id.New[id.Agent](time.Now()).String()))
			w.refusal("the last owner", "lockout", w.priya.User(), kill(w.priya, "user", w.priya.User().String()))
		},
	},
	"ResumeTool": {
		func(t *testing.T, w *world) {
			w.server("files")
			suspended := func() (n int) {
				l, err := w.priya.Tools(w.ctx, "files")
				w.ok(err)
				s, err := w.priya.Server(w.ctx, "files")
				w.ok(err)
				for _, is := range []bool{l.Items[0].Suspended, s.Suspended} {
					if n *= 2; is {
						n++
					}
				}
				return n
			}
			for i, what := range []string{"files", "files:write"} {
				w.ok(only(w.kill(w.priya, "tool", what)))
				if suspended() != i+1 {
					t.Errorf("%s is not suspended", what)
				}
				in := api.ToolReason{Server: "files"}
				if i == 1 {
					in.Tool = "write"
				}
				w.ok(only(w.priya.ResumeTool(w.ctx, in)))
				if suspended() != 0 {
					t.Errorf("%s is still suspended", what)
				}
			}
		},
		func(w *world) {
			w.server("files")
			resume := func(by person, in api.ToolReason) func() error {
				return func() error { return only(by.ResumeTool(w.ctx, in)) }
			}
			w.refusal("what was not suspended", "wrong_state", w.priya.User(), resume(w.priya, api.ToolReason{Server: "files"}))
			w.refusal("no server", "unknown_server", w.priya.User(), resume(w.priya, api.ToolReason{Server: "none"}))
			w.refusal("no tool", "unknown_tool", w.priya.User(), resume(w.priya, api.ToolReason{Server: "files", Tool: "none"}))
			w.ok(only(w.kill(w.priya, "tool", "files:write")))
			w.refusal("by a stranger", "no_permit", w.noor.User(), resume(w.noor, api.ToolReason{Server: "files", Tool: "write"}))
		},
	},
	"ResumeWorkspace": {
		func(t *testing.T, w *world) {
			a := w.agent("bot")
			w.ok(only(a.Delegations(w.ctx)))
			w.ok(only(w.kill(w.priya, "all", "")))
			if err := only(a.Delegations(w.ctx)); fault.Code(err) == "" {
				t.Error("an agent acts in a halted workspace")
			}
			w.ok(only(w.priya.Me(w.ctx)))
			w.ok(only(w.priya.ResumeWorkspace(w.ctx, "over")))
			w.ok(only(a.Delegations(w.ctx)))
		},
		func(w *world) {
			resume := func(by person) func() error { return func() error { return only(by.ResumeWorkspace(w.ctx, "")) } }
			w.refusal("what was not halted", "wrong_state", w.priya.User(), resume(w.priya))
			w.ok(only(w.kill(w.priya, "all", "")))
			w.refusal("by a stranger", "no_permit", w.noor.User(), resume(w.noor))
		},
	},
	"Feed": {
		func(t *testing.T, w *world) {
			a := w.agent("bot")
			f, err := w.priya.Feed(w.ctx, attorn.FeedAfter{})
			w.ok(err)
			after := attorn.FeedAfter{Began: true, Rev: f.Rev, Server: f.Server}
			got, err := w.kill(w.priya, "agent", a.ID().String())
			w.ok(err)
			f, err = w.priya.Feed(w.ctx, after)
			w.ok(err)
			if len(f.Ended) != 1 || f.Ended[0].Rev != got.Rev || f.Rev < got.Rev {
				t.Fatalf("the feed says %+v, the agent ended at #%d", f, got.Rev)
			}
			if c := w.confirmations(got.Rev)["user"]; c.Confirmed {
				t.Errorf("confirmed before it was asked after: %+v", c)
			}
			began := time.Now()
			if f, err = w.priya.Feed(w.ctx, attorn.FeedAfter{Began: true, Rev: f.Rev, Server: f.Server}); err != nil || len(f.Ended) != 0 || time.Since(began) > 5*time.Second {
				t.Errorf("nothing more: %+v, %v", f, err)
			}
			if c := w.confirmations(got.Rev)["user"]; !c.Confirmed || c.Name != w.priya.User().String() {
				t.Errorf("not confirmed: %+v", c)
			}
		},
		func(w *world) {
			follow := func(by person, after attorn.FeedAfter) func() error {
				return func() error { return only(by.Feed(w.ctx, after)) }
			}
			w.refusal("by a stranger", "no_permit", w.noor.User(), follow(w.noor, attorn.FeedAfter{}))
			w.refusal("a process of no name", "malformed", id.User{}, follow(w.priya, attorn.FeedAfter{Process: "a b"}))
			w.gap("what is to come", attorn.FeedAfter{Began: true, Rev: 1 << 40})
		},
	},
	"Confirmations": {
		func(t *testing.T, w *world) {
			got, err := w.kill(w.priya, "agent", w.agent("bot").ID().String())
			w.ok(err)
			var all map[string]api.Confirmation
			for end := time.Now().Add(10 * time.Second); time.Now().Before(end) && !all["node"].Confirmed; {
				all = w.confirmations(got.Rev)
			}
			if c := all["node"]; !c.Confirmed || c.Gone || c.Name == "" || c.ConfirmedAt == "" {
				t.Errorf("the server's process: %+v", c)
			}
		},
		func(w *world) {
			got, err := w.kill(w.priya, "agent", w.agent("bot").ID().String())
			w.ok(err)
			w.refusal("by a stranger", "no_permit", w.noor.User(), func() error { return only(w.noor.Confirmations(w.ctx, got.Rev)) })
		},
	},
}

func (w *world) gap(what string, after attorn.FeedAfter) {
	w.t.Helper()
	if err := only(w.priya.Feed(w.ctx, after)); fault.Code(err) != "feed_gap" {
		w.t.Errorf("%s: %v", what, err)
	}
}

// confirmations are who confirmed, by kind.
func (w *world) confirmations(rev int64) map[string]api.Confirmation {
	w.t.Helper()
	l, err := w.priya.Confirmations(w.ctx, rev)
	w.ok(err)
	all := map[string]api.Confirmation{}
	for _, c := range l.Items {
		all[c.Kind] = c
	}
	return all
}
