package admin_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

func ptr[T any](v T) *T { return &v }

func (w *world) named(name string) api.Agent {
	w.t.Helper()
	a, err := w.priya.Agent(w.ctx, name)
	w.ok(err)
	return a
}

// outcomes are what became of many agents, by name: what was done, or the code of the refusal.
func outcomes(all []api.AgentOutcome) map[string]string {
	got := map[string]string{}
	for _, o := range all {
		got[o.Name] = o.Done + o.Code
	}
	return got
}

// manyChecks are of the routes that change agents, one or many.
var manyChecks = map[string]check{
	"ChangeAgent": {
		func(t *testing.T, w *world) {
			a := w.agent("bot")
			end := time.Now().Add(time.Hour).UTC().Truncate(time.Second).Format(time.RFC3339)
			got, err := w.priya.ChangeAgent(w.ctx, a.ID(), api.AgentChange{
				Description: ptr("d"), Framework: ptr("f"), Model: ptr("m"), Expires: &end, Tags: map[string]string{"env": "prod", "team": "a b"},
			})
			w.ok(err)
			if got.Description != "d" || got.Framework != "f" || got.Model != "m" || got.Expires != end || got.Tags["env"] != "prod" || got.Tags["team"] != "a b" {
				t.Errorf("changed to %+v", got)
			}
			got, err = w.priya.ChangeAgent(w.ctx, a.ID(), api.AgentChange{Expires: ptr("never"), Untag: []string{"team", "none"}})
			w.ok(err)
			if got.Description != "d" || got.Expires != "" || len(got.Tags) != 1 || !maps.Equal(w.named("bot").Tags, got.Tags) {
				t.Errorf("changed again to %+v", got)
			}
		},
		func(w *world) {
			a := w.agent("bot")
			change := func(c person, ch api.AgentChange) func() error {
				return func() error { return only(c.ChangeAgent(w.ctx, a.ID(), ch)) }
			}
			w.refusal("another's", "no_permit", w.noor.User(), change(w.noor, api.AgentChange{Model: ptr("m")}))
			w.refusal("a tag by a stranger", "no_permit", w.noor.User(), change(w.noor, api.AgentChange{Tags: map[string]string{"env": "prod"}}))
			for what, ch := range map[string]api.AgentChange{
				"a bad tag":      {Tags: map[string]string{"Env": "x"}},
				"an empty tag":   {Tags: map[string]string{"env": ""}},
				"a past end":     {Expires: ptr("2020-01-01T00:00:00Z")},
				"a long model":   {Model: ptr(strings.Repeat("m", 101))},
				"lines":          {Description: ptr("a\nb")},
				"too many tags":  {Tags: manyTags(33)},
				"a long tag":     {Tags: map[string]string{"env": strings.Repeat("x", 129)}},
				"a hostile name": {Tags: map[string]string{"env\x1b": "x"}},
			} {
				w.refusal(what, "agent_invalid", w.priya.User(), change(w.priya, ch))
			}
			w.refusal("no time", "malformed", id.User{}, change(w.priya, api.AgentChange{Expires: ptr("soon")}))
			_, err := w.priya.RevokeAgent(w.ctx, a.ID(), "")
			w.ok(err)
			w.refusal("after its end", "wrong_state", w.priya.User(), change(w.priya, api.AgentChange{Model: ptr("m")}))
		},
	},
	"HandOver": {
		func(t *testing.T, w *world) {
			a := w.agent("bot")
			give := func(c person, to person, assign bool) api.Agent {
				got, err := c.HandOver(w.ctx, a.ID(), api.NewOwner{Owner: to.User(), Assign: assign})
				w.ok(err)
				return got
			}
			if got := give(w.priya, w.noor, false); got.Owner != w.priya.User() || got.Offered != w.noor.User() {
				t.Errorf("offered: %+v", got)
			}
			if got := give(w.priya, w.priya, false); got.Owner != w.priya.User() || !got.Offered.IsZero() {
				t.Errorf("taken back: %+v", got)
			}
			give(w.priya, w.noor, false)
			if got := give(w.noor, w.noor, false); got.Owner != w.noor.User() || !got.Offered.IsZero() {
				t.Errorf("accepted: %+v", got)
			}
			if got := give(w.noor, w.maya, false); got.Owner != w.noor.User() || got.Offered != w.maya.User() { // an owner without any role
				t.Errorf("offered on: %+v", got)
			}
			if got := give(w.priya, w.priya, true); got.Owner != w.priya.User() || !got.Offered.IsZero() {
				t.Errorf("assigned: %+v", got)
			}
		},
		func(w *world) {
			a := w.agent("bot")
			give := func(c person, to id.User, assign bool) func() error {
				return func() error {
					return only(c.HandOver(w.ctx, a.ID(), api.NewOwner{Owner: to, Assign: assign}))
				}
			}
			w.refusal("taking what is not offered", "no_permit", w.noor.User(), give(w.noor, w.noor.User(), false))
			w.refusal("taking it at once", "no_permit", w.noor.User(), give(w.noor, w.noor.User(), true))
			w.refusal("offering another's", "no_permit", w.noor.User(), give(w.noor, w.maya.User(), false))
			w.refusal("to a stranger", "not_found", w.priya.User(), give(w.priya, id.New[id.User](time.Now()), true))
			w.refusal("to whom it is", "unchanged", w.priya.User(), give(w.priya, w.priya.User(), true))
			w.ok(give(w.priya, w.noor.User(), false)())
			w.refusal("what was offered to another", "no_permit", w.maya.User(), give(w.maya, w.maya.User(), false))
			_, err := w.priya.SuspendUser(w.ctx, w.maya.User(), "")
			w.ok(err)
			w.refusal("to somebody suspended", "person_suspended", w.priya.User(), give(w.priya, w.maya.User(), true))
			if got := w.named("bot"); got.Owner != w.priya.User() || got.Offered != w.noor.User() {
				w.t.Errorf("it is %+v", got)
			}
		},
	},
	"ApproveAgent": {
		func(t *testing.T, w *world) {
			a, err := w.noor.CreateAgent(w.ctx, api.NewAgent{Name: "bot", Propose: true})
			w.ok(err)
			if a.Status != "pending" {
				t.Errorf("proposed: %+v", a)
			}
			if a, err = w.priya.ApproveAgent(w.ctx, a.ID, "fine"); err != nil || a.Status != "active" {
				t.Errorf("approved: %+v, %v", a, err)
			}
		},
		func(w *world) {
			a, err := w.noor.CreateAgent(w.ctx, api.NewAgent{Name: "bot", Propose: true})
			w.ok(err)
			w.refusal("by its owner", "no_permit", w.noor.User(), func() error { return only(w.noor.ApproveAgent(w.ctx, a.ID, "")) })
			w.refusal("resumed instead", "wrong_state", w.noor.User(), func() error { return only(w.noor.ResumeAgent(w.ctx, a.ID, "")) })
			w.ok(only(w.priya.ApproveAgent(w.ctx, a.ID, "")))
			w.refusal("again", "wrong_state", w.priya.User(), func() error { return only(w.priya.ApproveAgent(w.ctx, a.ID, "")) })
			w.refusal("of nobody", "not_found", w.priya.User(), func() error { return only(w.priya.ApproveAgent(w.ctx, id.New[id.Agent](time.Now()), "")) })
		},
	},
	"BulkAgents": {
		func(t *testing.T, w *world) {
			for i := range 5 {
				_, err := w.priya.CreateAgent(w.ctx, api.NewAgent{Name: fmt.Sprintf("bot-%d", i)})
				w.ok(err)
			}
			_, err := w.priya.SuspendAgent(w.ctx, w.named("bot-3").ID, "")
			w.ok(err)
			b := api.AgentBulk{Filter: &api.AgentFilter{Q: "bot-"}, Limit: 3, Do: "suspend", DryRun: true}
			want := map[string]string{"bot-0": "would", "bot-1": "would", "bot-2": "would", "bot-3": "wrong_state", "bot-4": "would"}
			for _, done := range []string{"would", "done"} {
				all := map[string]string{}
				b.After = id.Agent{}
				for {
					got, err := w.priya.BulkAgents(w.ctx, b)
					w.ok(err)
					maps.Copy(all, outcomes(got.Items))
					if got.Next == "" {
						break
					}
					b.After, err = id.Parse[id.Agent](got.Next)
					w.ok(err)
				}
				for name := range want {
					if name != "bot-3" {
						want[name] = done
					}
				}
				if !maps.Equal(all, want) {
					t.Errorf("dry run %v: %v", b.DryRun, all)
				}
				for name, was := range map[string]string{"bot-0": map[bool]string{true: "active", false: "suspended"}[b.DryRun], "bot-3": "suspended"} {
					if got := w.named(name).Status; got != was {
						t.Errorf("dry run %v: %s is %s", b.DryRun, name, got)
					}
				}
				b.DryRun = false
			}
			ids := []id.Agent{w.named("bot-0").ID, w.named("bot-1").ID, w.named("bot-0").ID, id.New[id.Agent](time.Now())}
			got, err := w.priya.BulkAgents(w.ctx, api.AgentBulk{IDs: ids, Do: "change", Change: &api.AgentChange{Tags: map[string]string{"env": "prod"}}})
			w.ok(err)
			if !maps.Equal(outcomes(got.Items), map[string]string{"bot-0": "done", "bot-1": "done", "": "not_found"}) || len(got.Items) != 3 {
				t.Errorf("tagged %+v", got.Items)
			}
			found, err := w.priya.Agents(w.ctx, attorn.AgentQuery{AgentFilter: api.AgentFilter{Tag: "env=prod"}})
			w.ok(err)
			if len(found.Items) != 2 {
				t.Errorf("found by tag: %+v", found.Items)
			}
			got, err = w.priya.BulkAgents(w.ctx, api.AgentBulk{Filter: &api.AgentFilter{Tag: "env=prod"}, Do: "owner", Owner: &api.NewOwner{Owner: w.noor.User(), Assign: true}})
			w.ok(err)
			if len(got.Items) != 2 || w.named("bot-1").Owner != w.noor.User() {
				t.Errorf("handed over %+v", got.Items)
			}
			mine := api.AgentBulk{Filter: &api.AgentFilter{Owner: "me"}, Do: "resume"}
			if got, err = w.noor.BulkAgents(w.ctx, mine); err != nil || !maps.Equal(outcomes(got.Items), map[string]string{"bot-0": "done", "bot-1": "done"}) {
				t.Errorf("one's own: %+v, %v", got, err)
			}
			mine.Do, mine.Change = "change", &api.AgentChange{Untag: []string{"env"}}
			if got, err = w.noor.BulkAgents(w.ctx, mine); err != nil || !maps.Equal(outcomes(got.Items), map[string]string{"bot-0": "no_permit", "bot-1": "no_permit"}) {
				t.Errorf("tags of one's own: %+v, %v", got, err)
			}
		},
		func(w *world) {
			a := w.agent("bot").ID()
			bulk := func(c person, b api.AgentBulk) func() error {
				return func() error { return only(c.BulkAgents(w.ctx, b)) }
			}
			w.refusal("all by somebody who may not see them", "no_permit", w.noor.User(), bulk(w.noor, api.AgentBulk{Filter: &api.AgentFilter{}, Do: "suspend"}))
			w.refusal("each by somebody who may not", "no_permit", w.noor.User(), func() error {
				got, err := w.noor.BulkAgents(w.ctx, api.AgentBulk{IDs: []id.Agent{a}, Do: "suspend"})
				if err == nil && len(got.Items) == 1 {
					err = fault.New(fault.Denied, got.Items[0].Code, "%s", got.Items[0].Reason)
				}
				return err
			})
			many := make([]id.Agent, 201)
			for i := range many {
				many[i] = id.New[id.Agent](time.Now())
			}
			w.refusal("too many", "too_large", id.User{}, bulk(w.priya, api.AgentBulk{IDs: many, Do: "suspend"}))
			for what, b := range map[string]api.AgentBulk{
				"of nobody":     {Do: "suspend"},
				"of both":       {IDs: many[:1], Filter: &api.AgentFilter{}, Do: "suspend"},
				"nothing known": {IDs: many[:1], Do: "dance"},
				"no change":     {IDs: many[:1], Do: "change"},
				"a change less": {IDs: many[:1], Do: "suspend", Change: &api.AgentChange{Model: ptr("m")}},
				"no owner":      {IDs: many[:1], Do: "owner"},
			} {
				w.refusal(what, "malformed", id.User{}, bulk(w.priya, b))
			}
		},
	},
	"ImportAgents": {
		func(t *testing.T, w *world) {
			in := api.AgentImport{DryRun: true, Agents: []api.NewAgent{
				{Name: "a", Tags: map[string]string{"env": "prod"}, Framework: "f"},
				{Name: "b", Owner: w.noor.User()},
				{Name: "Bad!"},
				{Name: "a"},
				{Name: "c", Expires: "tomorrow"},
				{Name: "d", Tags: map[string]string{"Env": "x"}},
			}}
			want := []string{"would", "would", "agent_invalid", "name_taken", "malformed", "agent_invalid"}
			for _, round := range []string{"would", "created", "there"} {
				got, err := w.priya.ImportAgents(w.ctx, in)
				w.ok(err)
				want[0], want[1] = round, round
				for i, o := range got {
					if o.Name != in.Agents[i].Name || o.Done+o.Code != want[i] {
						t.Errorf("%s: %d is %+v", round, i, o)
					}
				}
				in.DryRun = false
				if _, err := w.priya.Agent(w.ctx, "a"); (fault.Code(err) == "not_found") != (round == "would") {
					t.Errorf("%s: %v", round, err)
				}
			}
			if a := w.named("b"); a.Owner != w.noor.User() {
				t.Errorf("%+v", a)
			}
		},
		func(w *world) {
			w.agent("bot")
			imports := func(c person, n api.NewAgent) func() error {
				return func() error {
					got, err := c.ImportAgents(w.ctx, api.AgentImport{Agents: []api.NewAgent{n}})
					if err == nil && got[0].Code != "" {
						err = fault.New(fault.Denied, got[0].Code, "%s", got[0].Reason)
					}
					return err
				}
			}
			w.refusal("for another person", "no_permit", w.noor.User(), imports(w.noor, api.NewAgent{Name: "b", Owner: w.priya.User()}))
			w.refusal("tags of one's own", "no_permit", w.noor.User(), imports(w.noor, api.NewAgent{Name: "b", Tags: map[string]string{"env": "prod"}}))
			w.refusal("a name that another has", "name_taken", id.User{}, imports(w.noor, api.NewAgent{Name: "bot"}))
			w.refusal("too many", "too_large", id.User{}, func() error {
				return only(w.priya.ImportAgents(w.ctx, api.AgentImport{Agents: make([]api.NewAgent, 201)}))
			})
		},
	},
}

func manyTags(n int) map[string]string {
	tags := map[string]string{}
	for i := range n {
		tags[fmt.Sprintf("t%d", i)] = "v"
	}
	return tags
}
