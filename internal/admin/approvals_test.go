package admin_test

import (
	"testing"
	"time"

	"github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
)

var approvalChecks = map[string]check{
	"Approvals": {
		func(t *testing.T, w *world) {
			_, call := w.gated()
			asked := w.ask(call, "a")
			for who, want := range map[*attorn.Client]int{w.priya.Client: 1, w.maya.Client: 1, w.noor.Client: 0} {
				l, err := who.Approvals(w.ctx, "", attorn.Page{})
				w.ok(err)
				if len(l.Items) != want || want == 1 && l.Items[0] != asked {
					t.Errorf("%s sees %+v", who.User(), l)
				}
			}
		},
		func(w *world) {
			w.refusal("of no status", "malformed", id.User{}, func() error { return only(w.priya.Approvals(w.ctx, "lost", attorn.Page{})) })
		},
	},
	"Approval": {
		func(t *testing.T, w *world) {
			bot, call := w.gated()
			asked := w.ask(call, "a")
			own, err := bot.Approval(w.ctx, asked.ID, 0)
			w.ok(err)
			if own != asked || asked.Arguments != `{"path":"a"}` || asked.URL != w.URL+"/approvals/"+asked.ID.String() || asked.Subject != w.priya.User() {
				t.Errorf("read %+v, listed %+v", own, asked)
			}
			still, err := bot.Approval(w.ctx, asked.ID, 50*time.Millisecond)
			w.ok(err)
			if still.Status != "pending" {
				t.Errorf("undecided, but %s", still.Status)
			}
			if still, err = bot.Approval(w.ctx, asked.ID, time.Nanosecond); err != nil || still.Status != "pending" { // over before anything is read
				t.Errorf("%s, %v", still.Status, err)
			}
			begun := time.Now()
			got := make(chan api.Approval, 1)
			go func() {
				a, err := bot.Approval(w.ctx, asked.ID, 45*time.Second)
				if err != nil {
					t.Error(err)
				}
				got <- a
			}()
			w.ok(only(w.maya.Vote(w.ctx, asked, evidence.Approve, "")))
			if a := <-got; a.Status != "approved" && a.Status != "spent" || time.Since(begun) > 20*time.Second {
				t.Errorf("after %s: %s", time.Since(begun), a.Status)
			}
		},
		func(w *world) {
			_, call := w.gated()
			asked := w.ask(call, "a")
			w.refusal("by a stranger", "not_found", w.noor.User(), func() error { return only(w.noor.Approval(w.ctx, asked.ID, 0)) })
			w.refusal("none", "not_found", id.User{}, func() error { return only(w.priya.Approval(w.ctx, id.New[id.Approval](time.Now()), 0)) })
			w.refusal("for a minute", "malformed", id.User{}, func() error { return only(w.priya.Approval(w.ctx, asked.ID, time.Minute)) })
		},
	},
	"ProposeVote": {
		func(t *testing.T, w *world) {
			_, call := w.gated()
			asked := w.ask(call, "a")
			v, err := w.maya.ProposeVote(w.ctx, asked.ID, evidence.Refuse, "not today")
			w.ok(err)
			if v.Voter != w.maya.User() || v.Vote != evidence.Refuse || len(v.Asks) != 1 || v.Asks[0].Object != asked.Digest || v.Nonce == "" {
				t.Errorf("proposed %+v", v)
			}
		},
		func(w *world) {
			_, call := w.gated()
			asked := w.ask(call, "a")
			w.refusal("by a stranger", "not_found", w.noor.User(), func() error { return only(w.noor.ProposeVote(w.ctx, asked.ID, evidence.Approve, "")) })
			w.refusal("maybe", "vote_invalid", id.User{}, func() error { return only(w.maya.ProposeVote(w.ctx, asked.ID, "maybe", "")) })
		},
	},
	"Vote": {
		func(t *testing.T, w *world) {
			_, call := w.gated()
			after, err := w.maya.Vote(w.ctx, w.ask(call, "a"), evidence.Approve, "fine")
			w.ok(err)
			if after.Status != "approved" || after.UseBy == "" {
				t.Errorf("after the vote %+v", after)
			}
			denied, err := w.maya.Vote(w.ctx, w.ask(call, "b"), evidence.Refuse, "no")
			w.ok(err)
			if denied.Status != "denied" {
				t.Errorf("after the vote %+v", denied)
			}
		},
		func(w *world) {
			_, call := w.gated()
			asked, other := w.ask(call, "a"), w.ask(call, "b")
			w.refusal("for one's own chain", "four_eyes", w.priya.User(), func() error { return only(w.priya.Vote(w.ctx, asked, evidence.Approve, "")) })
			v, err := w.maya.ProposeVote(w.ctx, asked.ID, evidence.Approve, "")
			w.ok(err)
			signed, err := evidence.SignVote(v, w.maya.signer)
			w.ok(err)
			w.refusal("another's vote", "four_eyes", w.noor.User(), func() error { return only(w.noor.CastVote(w.ctx, asked.ID, signed)) })
			cast := func(a id.Approval, sv evidence.SignedVote) func() error {
				return func() error { return only(w.maya.CastVote(w.ctx, a, sv)) }
			}
			changed := signed
			changed.Vote.Reason = "changed"
			w.refusal("changed after signing", "signature_invalid", w.maya.User(), cast(asked.ID, changed))
			forged, err := evidence.SignVote(v, newSigner(w.t))
			w.ok(err)
			w.refusal("by another key", "key_unknown", w.maya.User(), cast(asked.ID, forged))
			w.refusal("on another approval", "vote_invalid", w.maya.User(), cast(other.ID, signed))
			w.refusal("whose nonce that spent", "ticket_spent", w.maya.User(), cast(asked.ID, signed))
			w.ok(only(w.maya.Vote(w.ctx, asked, evidence.Approve, "")))
			w.refusal("on what is decided", "decided", w.maya.User(), func() error { return only(w.maya.Vote(w.ctx, asked, evidence.Refuse, "")) })
		},
	},
	"CancelApproval": {
		func(t *testing.T, w *world) {
			_, call := w.gated()
			after, err := w.priya.CancelApproval(w.ctx, w.ask(call, "a").ID)
			w.ok(err)
			if after.Status != "cancelled" {
				t.Errorf("afterwards %+v", after)
			}
		},
		func(w *world) {
			_, call := w.gated()
			asked := w.ask(call, "a")
			w.refusal("by a stranger", "no_permit", w.noor.User(), func() error { return only(w.noor.CancelApproval(w.ctx, asked.ID)) })
			w.ok(only(w.priya.CancelApproval(w.ctx, asked.ID)))
			w.refusal("a second time", "withdrawn", w.priya.User(), func() error { return only(w.priya.CancelApproval(w.ctx, asked.ID)) })
		},
	},
}

var logChecks = map[string]check{
	"Events": {
		func(t *testing.T, w *world) {
			w.agent("a")
			w.agent("b")
			q := attorn.EventQuery{Kind: "agent.registered", Page: attorn.Page{Limit: 1}}
			first, err := w.priya.Events(w.ctx, q)
			w.ok(err)
			q.After = first.Next
			second, err := w.priya.Events(w.ctx, q)
			w.ok(err)
			if len(first.Items) != 1 || len(second.Items) != 1 || first.Items[0].Rev <= second.Items[0].Rev {
				t.Errorf("pages %+v and %+v", first, second)
			}
			mine, err := w.noor.Events(w.ctx, attorn.EventQuery{Person: "me"})
			w.ok(err)
			for _, e := range mine.Items {
				parsed, err := evidence.ParseEvent(e.Body)
				w.ok(err)
				if parsed.Who.Sub != w.noor.User().String() {
					t.Errorf("Noor's own: %s", e.Body)
				}
			}
			if len(mine.Items) == 0 {
				t.Error("Noor has no events of her own")
			}
		},
		func(w *world) {
			w.refusal("everybody's", "no_permit", w.noor.User(), func() error { return only(w.noor.Events(w.ctx, attorn.EventQuery{})) })
			w.refusal("another's", "no_permit", w.noor.User(), func() error {
				return only(w.noor.Events(w.ctx, attorn.EventQuery{Person: w.priya.User().String()}))
			})
			for _, q := range []attorn.EventQuery{{Kind: "nothing.known"}, {Agent: "agt_x"}, {Person: "x"}, {Thread: "evt_"}, {Page: attorn.Page{After: "0"}}, {Page: attorn.Page{After: "x"}}} {
				w.refusal("a bad query", "malformed", id.User{}, func() error { return only(w.priya.Events(w.ctx, q)) })
			}
		},
	},
	"Event": {
		func(t *testing.T, w *world) {
			e := w.event()
			got, err := w.priya.Event(w.ctx, e.ID)
			w.ok(err)
			if string(got.Body) != string(e.Body) || got.Rev != e.Rev {
				t.Errorf("read %s, listed %s", got.Body, e.Body)
			}
			mine, err := w.noor.Events(w.ctx, attorn.EventQuery{Person: "me"})
			w.ok(err)
			w.ok(only(w.noor.Event(w.ctx, mine.Items[0].ID)))
		},
		func(w *world) {
			e := w.event()
			w.refusal("another's", "not_found", w.noor.User(), func() error { return only(w.noor.Event(w.ctx, e.ID)) })
			w.refusal("none, for a stranger", "not_found", w.noor.User(), func() error { return only(w.noor.Event(w.ctx, id.New[id.Event](time.Now()))) })
			w.refusal("none", "not_found", id.User{}, func() error { return only(w.priya.Event(w.ctx, id.New[id.Event](time.Now()))) })
		},
	},
	"Why": {
		func(t *testing.T, w *world) {
			e := w.event()
			a, err := w.priya.Why(w.ctx, e.ID)
			w.ok(err)
			if a.Event != e.ID || a.Report == nil || !a.Report.OK() || len(a.Chain) != 1 || a.Chain[0].Name != "Priya Nair" {
				t.Errorf("why: %+v", a)
			}
		},
		func(w *world) {
			e := w.event()
			w.refusal("another's", "not_found", w.noor.User(), func() error { return only(w.noor.Why(w.ctx, e.ID)) })
			w.refusal("none", "not_found", id.User{}, func() error { return only(w.priya.Why(w.ctx, id.New[id.Event](time.Now()))) })
		},
	},
	"Pack": {
		func(t *testing.T, w *world) {
			pack, err := w.priya.Pack(w.ctx, w.event().ID)
			w.ok(err)
			trust, err := w.priya.Trust(w.ctx)
			w.ok(err)
			if report, err := evidence.Verify(pack, trust); err != nil || !report.OK() {
				t.Errorf("%v\n%s", err, report.Tree())
			}
		},
		func(w *world) {
			e := w.event()
			w.refusal("another's", "not_found", w.noor.User(), func() error { return only(w.noor.Pack(w.ctx, e.ID)) })
		},
	},
	"Head": {
		func(t *testing.T, w *world) {
			h, err := w.noor.Head(w.ctx)
			w.ok(err)
			key, err := evidence.ParseVKey(h.VKey)
			w.ok(err)
			c, err := evidence.OpenCheckpoint([]byte(h.Checkpoint), key)
			w.ok(err)
			if c.Origin != h.Origin || c.Size != h.Rev {
				t.Errorf("head %+v of %+v", h, c)
			}
		},
		func(w *world) {
			if _, p, _ := w.send(nil, request{method: "GET", path: "/v1/log"}); p.Code != "token_missing" {
				w.t.Errorf("without a token: %+v", p)
			}
		},
	},
	"Trust": {
		func(t *testing.T, w *world) {
			res, _, body := w.send(nil, request{method: "GET", path: "/v1/trust"})
			if _, err := evidence.ParseTrust(body); err != nil || res.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
				t.Errorf("%v: %s", err, body)
			}
		},
		func(w *world) {
			if _, p, _ := w.send(nil, request{method: "GET", path: "/v1/trust?x=1"}); p.Code != "malformed" {
				w.t.Errorf("with a query: %+v", p)
			}
		},
	},
}

// event is one of Priya's.
func (w *world) event() api.Event {
	w.t.Helper()
	l, err := w.priya.Events(w.ctx, attorn.EventQuery{Kind: "user.added", Page: attorn.Page{Limit: 1}})
	w.ok(err)
	return l.Items[0]
}
