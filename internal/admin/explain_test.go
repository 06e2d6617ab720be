package admin_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/policy"
)

// refusedInvite makes an event that refuses Noor.
func (w *world) refusedInvite() id.Event {
	w.t.Helper()
	if _, err := w.noor.Invite(w.ctx, api.NewUser{Name: "Omar"}); err == nil {
		w.t.Fatal("Noor invites")
	}
	l, err := w.priya.Events(w.ctx, attorn.EventQuery{Refused: true, Page: attorn.Page{Limit: 1}})
	w.ok(err)
	return l.Items[0].ID
}

// explainer is somebody who may explain and read, but not simulate.
func (w *world) explainer() person {
	w.t.Helper()
	p := w.invite("Eve")
	_, err := w.priya.Bind(w.ctx, api.Binding{Principal: p.User().String(), Role: "developer"})
	w.ok(err)
	return p
}

var letInvite = []api.PolicyFile{{Path: "policies/new.cedar", Text: `@id("new") permit (principal is User, action == Action::"attorn:user:invite", resource);`}}

var explainChecks = map[string]check{
	"Explain": {
		func(t *testing.T, w *world) {
			e := w.refusedInvite()
			x, err := w.priya.Explain(w.ctx, e)
			w.ok(err)
			if x.Event.ID != e || x.Event.Code != "no_permit" || x.Code != "no_permit" || x.Event.Page != w.URL+"/docs/errors/no_permit" || x.Event.Other || len(x.Principals) != 1 || x.Names[w.noor.User().String()] != "Noor Haddad" {
				t.Fatalf("%+v", x)
			}
			near := x.Principals[0].Nearest
			if len(near) == 0 || near[0].First.Words != "needs the role admin" || !strings.HasPrefix(near[0].File, "attorn/") || near[0].Line == 0 {
				t.Errorf("nearest: %+v", near)
			}
			own, err := w.noor.Explain(w.ctx, e) // whom it names
			w.ok(err)
			if own.Code != x.Code {
				t.Errorf("%+v", own)
			}
			_, err = w.priya.Publish(w.ctx, api.Publish{Files: letInvite})
			w.ok(err)
			then, err := w.priya.Explain(w.ctx, e)
			w.ok(err)
			now, err := w.priya.ExplainBy(w.ctx, e, "live")
			w.ok(err)
			if then.Outcome != "deny" || then.Bundle != x.Bundle || now.Outcome != "permit" || !now.Event.Other || now.Principals[0].Policies[0].ID != "new" {
				t.Errorf("then %+v, now %+v", then, now)
			}
		},
		func(w *world) {
			e := w.refusedInvite()
			other := w.invite("Omar")
			w.refusal("another's", "not_found", other.User(), func() error { return only(other.Explain(w.ctx, e)) })
			w.refusal("none", "not_found", id.User{}, func() error { return only(w.priya.Explain(w.ctx, id.New[id.Event](time.Now()))) })
			w.refusal("by live policies, of oneself", "not_found", w.noor.User(), func() error { return only(w.noor.ExplainBy(w.ctx, e, "live")) })
			eve := w.explainer()
			w.ok(only(eve.Explain(w.ctx, e)))
			w.refusal("by live policies, without leave to simulate", "not_found", eve.User(), func() error { return only(eve.ExplainBy(w.ctx, e, "live")) })
			w.refusal("by policies that never were", "not_found", id.User{}, func() error { return only(w.priya.ExplainBy(w.ctx, e, "AAAAAAAAAA")) })
		},
	},
	"ExplainWith": {
		func(t *testing.T, w *world) {
			e := w.refusedInvite()
			x, err := w.priya.ExplainWith(w.ctx, e, api.ExplainWith{Files: letInvite})
			w.ok(err)
			live, err := w.priya.Policy(w.ctx)
			w.ok(err)
			if x.Outcome != "permit" || !x.Event.Other || x.Bundle == live.Digest {
				t.Errorf("%+v", x)
			}
		},
		func(w *world) {
			e := w.refusedInvite()
			eve := w.explainer()
			w.refusal("without leave to simulate", "not_found", eve.User(), func() error { return only(eve.ExplainWith(w.ctx, e, api.ExplainWith{Files: letInvite})) })
			w.refusal("with what does not compile", "policy_invalid", id.User{}, func() error {
				return only(w.priya.ExplainWith(w.ctx, e, api.ExplainWith{Files: []api.PolicyFile{{Path: "policies/x.cedar", Text: "permit"}}}))
			})
			w.refusal("with what commands made", "bad_path", id.User{}, func() error {
				return only(w.priya.ExplainWith(w.ctx, e, api.ExplainWith{Files: []api.PolicyFile{{Path: "store/types/x.yaml", Text: "permit"}}}))
			})
		},
	},
	"Simulate": {
		func(t *testing.T, w *world) {
			w.gated()
			ask := api.Simulation{Actor: "bot", For: w.priya.User().String(), Call: "tool:files:write", Args: jsontext.Value(`{"path": "a"}`)}
			outcome := func(change func(*api.Simulation)) string {
				t.Helper()
				q := ask
				change(&q)
				x, err := w.priya.Simulate(w.ctx, q)
				w.ok(err)
				return x.Outcome + x.Code
			}
			before := w.rev()
			for want, change := range map[string]func(*api.Simulation){
				"ask":           func(*api.Simulation) {},
				"denyno_permit": func(s *api.Simulation) { s.For = w.noor.User().String() },
				"denyschema":    func(s *api.Simulation) { s.Args = jsontext.Value(`{"path":3}`) },
				"permit": func(s *api.Simulation) {
					s.Files = []api.PolicyFile{{Path: "policies/x.cedar", Text: `permit (principal, action == Action::"tool:files:write", resource) when { context.args.path == "a" && context.facts.risk == 7 && context.facts.now < datetime("2001-01-01") };`}}
					s.Facts = api.SimulatedFacts{Risk: 7, Now: "2000-01-01T00:00:00Z"}
				},
				"denyunmeetable": func(s *api.Simulation) {
					s.Files = []api.PolicyFile{{Path: "policies/x.cedar", Text: `@id("g") @approve("2 of release-manager") forbid (principal, action, resource);`}}
				},
			} {
				if got := outcome(change); got != want {
					t.Errorf("%s, not %s", got, want)
				}
			}
			if got := outcome(func(s *api.Simulation) { // Noor, given the role for the question
				s.For, s.Roles = w.noor.User().String(), map[string][]string{"for": {"tool-user"}}
			}); got != "ask" {
				t.Errorf("with the role: %s", got)
			}
			a, err := w.priya.Agents(w.ctx, attorn.AgentQuery{})
			w.ok(err)
			own := api.Simulation{Actor: "me", Call: "attorn:agent:revoke", On: "agent:" + a.Items[0].ID.String()}
			ask = own
			if got := outcome(func(*api.Simulation) {}); got != "permit" {
				t.Errorf("of one's own agent: %s", got)
			}
			if got := outcome(func(s *api.Simulation) { s.Actor = w.noor.User().String() }); got != "denyno_permit" {
				t.Errorf("of another's agent: %s", got)
			}
			if after := w.rev(); after != before {
				t.Errorf("%d events were recorded", after-before)
			}
		},
		func(w *world) {
			w.gated()
			ask := api.Simulation{Actor: "bot", Call: "tool:files:write"}
			w.stranger(func(p person) error { return only(p.Simulate(w.ctx, ask)) })
			eve := w.explainer()
			w.refusal("by who may only explain", "no_permit", eve.User(), func() error { return only(eve.Simulate(w.ctx, ask)) })
			for what, c := range map[string]struct {
				code   string
				change func(*api.Simulation)
			}{
				"of nobody":                    {"malformed", func(s *api.Simulation) { s.Actor = "" }},
				"of somebody unknown":          {"not_found", func(s *api.Simulation) { s.Actor = "nobody" }},
				"for somebody unknown":         {"not_found", func(s *api.Simulation) { s.For = id.New[id.User](time.Now()).String() }},
				"of a person for another":      {"malformed", func(s *api.Simulation) { s.Actor, s.For = w.noor.User().String(), w.priya.User().String() }},
				"with a pattern":               {"malformed", func(s *api.Simulation) { s.Call = "tool:files:*" }},
				"of a tool that there is not":  {"unknown_tool", func(s *api.Simulation) { s.Call = "tool:files:none" }},
				"of a server there is not":     {"unknown_server", func(s *api.Simulation) { s.Call = "tool:none:none" }},
				"of a service's action":        {"malformed", func(s *api.Simulation) { s.Call = "repo:write" }},
				"with an address that is none": {"malformed", func(s *api.Simulation) { s.Facts.IP = "x" }},
				"with roles for another":       {"malformed", func(s *api.Simulation) { s.Roles = map[string][]string{"owner": {"owner"}} }},
				"with policies that are none":  {"policy_invalid", func(s *api.Simulation) { s.Files = []api.PolicyFile{{Path: "policies/x.cedar", Text: "permit"}} }},
			} {
				q := ask
				c.change(&q)
				w.refusal(what, c.code, id.User{}, func() error { return only(w.priya.Simulate(w.ctx, q)) })
			}
		},
	},
}

// Whatever policy decided is explained to the same outcome, from the log alone.
func TestExplanationsOfALog(t *testing.T) {
	w := start(t)
	_, call := w.gated()
	asked := w.ask(call, "a")
	w.ok(only(w.maya.Vote(w.ctx, asked, evidence.Approve, "")))
	refused := w.refusedInvite()
	finished := false
	for i := 0; i < 500 && !finished; i++ { // the call goes on by itself
		l, err := w.priya.Events(w.ctx, attorn.EventQuery{Kind: "tool.finished"})
		w.ok(err)
		if finished = len(l.Items) > 0; !finished {
			time.Sleep(10 * time.Millisecond) // as ask waits for it
		}
	}
	if !finished {
		t.Fatal("the approved call did not finish")
	}
	l, err := w.priya.Events(w.ctx, attorn.EventQuery{Page: attorn.Page{Limit: 100}})
	w.ok(err)
	seen := map[string]int{}
	for _, item := range l.Items {
		e, err := evidence.ParseEvent(item.Body)
		w.ok(err)
		x, err := w.priya.Explain(w.ctx, item.ID)
		w.ok(err)
		if x.Unasked != "" {
			if e.Why != nil && !e.Why.Facts.IsZero() {
				t.Errorf("%s: %s", e.Kind, x.Unasked)
			}
			seen["unasked"]++
			continue
		}
		want := x.Event.Outcome // of the event, or of the start of what it finishes
		if want == "ok" {
			want = "permit"
		}
		if x.Outcome != want || x.Code != x.Event.Code || e.Kind == evidence.ToolStarted && !slices.Equal(x.Waived, e.Why.Waived) {
			t.Errorf("%s %s: explained as %s %s", e.Kind, want, x.Outcome, x.Code)
		}
		if len(x.Principals) == 0 || strings.Contains(item.ID.String(), refused.String()) && len(x.Principals[0].Nearest) == 0 {
			t.Errorf("%s: %+v", e.Kind, x)
		}
		seen[string(e.Kind)]++
		if e.Kind == evidence.ToolStarted && !slices.ContainsFunc(x.Principals[0].Policies, func(h policy.Heard) bool {
			return h.Lifted && h.Effect == policy.EffectGate && h.Needs == "approval by 1 of release-manager"
		}) {
			t.Errorf("the gate: %+v", x.Principals)
		}
	}
	for _, kind := range []string{"unasked", "tool.started", "tool.finished", "approval.asked", "user.added"} {
		if seen[kind] == 0 {
			t.Errorf("there is no event %s: %v", kind, seen)
		}
	}
}
