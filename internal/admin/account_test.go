package admin_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

// keyOf is the thumbprint of the person's key.
func (p person) keyOf() string { return p.signer.Public().Thumbprint().String() }

// another signs the person in with another key.
func (w *world) another(p person) person {
	w.t.Helper()
	l, err := p.NewLink(w.ctx, "me")
	w.ok(err)
	return w.signIn(l.Link, "")
}

// in is the person as a client of another workspace.
func (w *world) in(p person, ws string) person {
	w.t.Helper()
	name, err := id.ParseWorkspace(ws)
	w.ok(err)
	c, err := attorn.NewClient(attorn.ClientConfig{Server: w.URL, Workspace: name, User: p.User(), Signer: p.signer})
	w.ok(err)
	return person{c, p.signer}
}

func (w *world) workspace(name string) person {
	w.t.Helper()
	ws, err := id.ParseWorkspace(name)
	w.ok(err)
	_, err = w.priya.CreateWorkspace(w.ctx, api.NewWorkspace{Name: ws})
	w.ok(err)
	return w.in(w.priya, name)
}

func (w *world) group(name string) {
	w.t.Helper()
	_, err := w.priya.CreateGroup(w.ctx, api.NewGroup{Name: name, Description: "for a test"})
	w.ok(err)
}

var accountChecks = map[string]check{
	"UserKeys": {
		func(t *testing.T, w *world) {
			laptop := w.another(w.noor)
			l, err := w.noor.UserKeys(w.ctx, "me")
			w.ok(err)
			if len(l.Items) != 2 || l.Items[0].Kind != "key" || !l.Items[0].This || l.Items[1].This || l.Items[1].Key != laptop.keyOf() || l.Items[0].Used == "" {
				t.Errorf("keys %+v", l)
			}
			l, err = w.priya.UserKeys(w.ctx, w.noor.User().String())
			w.ok(err)
			if len(l.Items) != 2 || l.Items[0].This {
				t.Errorf("an administrator sees %+v", l)
			}
		},
		func(w *world) {
			w.refusal("another's", "no_permit", w.noor.User(), func() error { return only(w.noor.UserKeys(w.ctx, w.maya.User().String())) })
			w.refusal("nobody's", "not_found", w.priya.User(), func() error { return only(w.priya.UserKeys(w.ctx, id.New[id.User](time.Now()).String())) })
		},
	},
	"EndUserKey": {
		func(t *testing.T, w *world) {
			laptop := w.another(w.noor)
			w.ok(only(laptop.Me(w.ctx)))
			w.ok(only(w.noor.EndUserKey(w.ctx, "me", laptop.keyOf())))
			if err := only(laptop.Me(w.ctx)); err == nil {
				t.Errorf("the laptop: %v", err)
			}
			w.ok(only(w.noor.Me(w.ctx)))
			w.ok(only(w.priya.EndUserKey(w.ctx, w.noor.User().String(), w.noor.keyOf())))
			if err := only(w.noor.Me(w.ctx)); err == nil {
				t.Errorf("ended by an administrator: %v", err)
			}
		},
		func(w *world) {
			w.refusal("one's last", "lockout", w.noor.User(), func() error { return only(w.noor.EndUserKey(w.ctx, "me", w.noor.keyOf())) })
			w.refusal("another's", "no_permit", w.noor.User(), func() error { return only(w.noor.EndUserKey(w.ctx, w.maya.User().String(), w.maya.keyOf())) })
			w.refusal("none", "not_found", w.noor.User(), func() error { return only(w.noor.EndUserKey(w.ctx, "me", "x")) })
		},
	},
	"SignOutEverywhere": {
		func(t *testing.T, w *world) {
			laptop := w.another(w.noor)
			w.ok(only(laptop.Me(w.ctx)))
			got, err := w.noor.SignOutEverywhere(w.ctx, "me", "lost the laptop")
			w.ok(err)
			if got.Keys != 1 || got.Event.IsZero() {
				t.Errorf("signed out: %+v", got)
			}
			if err := only(laptop.Me(w.ctx)); err == nil {
				t.Error("the laptop is still signed in")
			}
			w.ok(only(w.noor.Me(w.ctx)))
		},
		func(w *world) {
			w.refusal("another", "no_permit", w.noor.User(), func() error { return only(w.noor.SignOutEverywhere(w.ctx, w.maya.User().String(), "")) })
			w.refusal("nobody", "not_found", w.priya.User(), func() error {
				return only(w.priya.SignOutEverywhere(w.ctx, id.New[id.User](time.Now()).String(), ""))
			})
			w.refusal("a long reason", "malformed", id.User{}, func() error { return only(w.noor.SignOutEverywhere(w.ctx, "me", strings.Repeat("x", 501))) })
		},
	},
	"Recover": {
		func(t *testing.T, w *world) {
			l, err := w.priya.Recover(w.ctx, w.noor.User(), "lost everything")
			w.ok(err)
			w.ok(only(w.noor.Me(w.ctx)))
			again := w.signIn(l.Link, "")
			if again.User() != w.noor.User() {
				t.Errorf("recovered as %s", again.User())
			}
			if err := only(w.noor.Me(w.ctx)); err == nil {
				t.Error("the old key still signs in")
			}
			w.ok(only(again.Me(w.ctx)))
		},
		func(w *world) {
			w.refusal("oneself", "yourself", w.priya.User(), func() error { return only(w.priya.Recover(w.ctx, w.priya.User(), "")) })
			w.refusal("by who may not", "no_permit", w.noor.User(), func() error { return only(w.noor.Recover(w.ctx, w.maya.User(), "")) })
			w.refusal("nobody", "not_found", w.priya.User(), func() error { return only(w.priya.Recover(w.ctx, id.New[id.User](time.Now()), "")) })
			w.ok(only(w.priya.Bind(w.ctx, api.Binding{Principal: w.noor.User().String(), Role: "admin"})))
			w.refusal("an owner, by an administrator", "escalation", w.noor.User(), func() error { return only(w.noor.Recover(w.ctx, w.priya.User(), "")) })
		},
	},
	"AddMember": {
		func(t *testing.T, w *world) {
			acme := w.workspace("acme")
			u, err := acme.AddMember(w.ctx, w.noor.User())
			w.ok(err)
			if u.ID != w.noor.User() || u.Name != "Noor Haddad" || u.Link != "" {
				t.Errorf("added %+v", u)
			}
			me, err := w.in(w.noor, "acme").Me(w.ctx)
			w.ok(err)
			if me.Workspace.String() != "acme" || len(me.Roles) != 0 {
				t.Errorf("Noor in acme: %+v", me)
			}
		},
		func(w *world) {
			acme := w.workspace("acme")
			w.ok(only(acme.AddMember(w.ctx, w.noor.User())))
			if err := only(acme.AddMember(w.ctx, w.noor.User())); fault.Code(err) != "already_member" {
				w.t.Error(err)
			}
			if err := only(acme.AddMember(w.ctx, id.New[id.User](time.Now()))); fault.Code(err) != "not_found" {
				w.t.Error(err)
			}
			if err := only(w.in(w.noor, "acme").AddMember(w.ctx, w.maya.User())); fault.Code(err) != "no_permit" {
				w.t.Error(err)
			}
		},
	},
	"RemoveMember": {
		func(t *testing.T, w *world) {
			acme := w.workspace("acme")
			w.ok(only(acme.AddMember(w.ctx, w.noor.User())))
			w.ok(only(acme.RemoveMember(w.ctx, w.noor.User(), "project over")))
			if err := only(w.in(w.noor, "acme").Me(w.ctx)); err == nil {
				t.Error("still a member")
			}
			w.ok(only(w.noor.Me(w.ctx)))
		},
		func(w *world) {
			w.refusal("by who may not", "no_permit", w.noor.User(), func() error { return only(w.noor.RemoveMember(w.ctx, w.maya.User(), "")) })
			w.refusal("nobody", "not_found", w.priya.User(), func() error { return only(w.priya.RemoveMember(w.ctx, id.New[id.User](time.Now()), "")) })
			w.refusal("the last owner", "lockout", w.priya.User(), func() error { return only(w.priya.RemoveMember(w.ctx, w.priya.User(), "")) })
		},
	},
	"CreateGroup": {
		func(t *testing.T, w *world) {
			g, err := w.priya.CreateGroup(w.ctx, api.NewGroup{Name: "ops", Description: "who runs it"})
			w.ok(err)
			if g.Name != "ops" || g.Description != "who runs it" || g.Created == "" {
				t.Errorf("made %+v", g)
			}
		},
		func(w *world) {
			w.group("ops")
			w.refusal("again", "group_exists", w.priya.User(), func() error { return only(w.priya.CreateGroup(w.ctx, api.NewGroup{Name: "ops"})) })
			w.refusal("a bad name", "group_invalid", w.priya.User(), func() error { return only(w.priya.CreateGroup(w.ctx, api.NewGroup{Name: "No Name"})) })
			w.refusal("by who may not", "no_permit", w.noor.User(), func() error { return only(w.noor.CreateGroup(w.ctx, api.NewGroup{Name: "x"})) })
		},
	},
	"Groups": {
		func(t *testing.T, w *world) {
			w.group("b")
			w.group("a")
			l, err := w.priya.Groups(w.ctx)
			w.ok(err)
			if len(l.Items) != 2 || l.Items[0].Name != "a" {
				t.Errorf("groups %+v", l)
			}
		},
		func(w *world) {
			w.refusal("by who may not", "no_permit", w.noor.User(), func() error { return only(w.noor.Groups(w.ctx)) })
		},
	},
	"Group": {
		func(t *testing.T, w *world) {
			w.group("ops")
			w.ok(only(w.priya.AddToGroup(w.ctx, "ops", api.Membership{Member: w.noor.User().String()})))
			w.ok(only(w.priya.Bind(w.ctx, api.Binding{Principal: "group:ops", Role: "developer"})))
			g, err := w.priya.Group(w.ctx, "ops")
			w.ok(err)
			if len(g.Members) != 1 || g.Members[0].Member != w.noor.User().String() || !slices.Equal(g.Roles, []string{"developer"}) {
				t.Errorf("group %+v", g)
			}
			all, err := w.priya.Bindings(w.ctx)
			w.ok(err)
			if !slices.ContainsFunc(all.Items, func(b api.Binding) bool { return b.Principal == "group:ops" }) {
				t.Errorf("bindings %+v", all)
			}
			me, err := w.noor.Me(w.ctx)
			w.ok(err)
			if !slices.Equal(me.Roles, []string{"developer"}) {
				t.Errorf("Noor is %+v", me)
			}
		},
		func(w *world) {
			w.refusal("nobody's", "not_found", id.User{}, func() error { return only(w.priya.Group(w.ctx, "none")) })
			w.refusal("by who may not", "no_permit", w.noor.User(), func() error { return only(w.noor.Group(w.ctx, "none")) })
		},
	},
	"DeleteGroup": {
		func(t *testing.T, w *world) {
			w.group("ops")
			w.ok(only(w.priya.DeleteGroup(w.ctx, "ops", "no more")))
			l, err := w.priya.Groups(w.ctx)
			w.ok(err)
			if len(l.Items) != 0 {
				t.Errorf("groups %+v", l)
			}
		},
		func(w *world) {
			w.group("ops")
			w.refusal("none", "not_found", w.priya.User(), func() error { return only(w.priya.DeleteGroup(w.ctx, "none", "")) })
			w.refusal("by who may not", "no_permit", w.noor.User(), func() error { return only(w.noor.DeleteGroup(w.ctx, "ops", "")) })
		},
	},
	"AddToGroup": {
		func(t *testing.T, w *world) {
			w.group("ops")
			a := w.agent("bot")
			for _, m := range []string{w.noor.User().String(), a.ID().String()} {
				w.ok(only(w.priya.AddToGroup(w.ctx, "ops", api.Membership{Member: m, Reason: "on call"})))
			}
			g, err := w.priya.Group(w.ctx, "ops")
			w.ok(err)
			if len(g.Members) != 2 {
				t.Errorf("group %+v", g)
			}
		},
		func(w *world) {
			w.group("ops")
			add := func(c person, group, member string) func() error {
				return func() error { return only(c.AddToGroup(w.ctx, group, api.Membership{Member: member})) }
			}
			w.refusal("to none", "not_found", w.priya.User(), add(w.priya, "none", w.noor.User().String()))
			w.refusal("nobody", "not_found", w.priya.User(), add(w.priya, "ops", id.New[id.User](time.Now()).String()))
			w.refusal("what is neither", "malformed", w.priya.User(), add(w.priya, "ops", "Noor"))
			w.refusal("by who may not", "no_permit", w.noor.User(), add(w.noor, "ops", w.noor.User().String()))
		},
	},
	"RemoveFromGroup": {
		func(t *testing.T, w *world) {
			w.group("ops")
			m := api.Membership{Member: w.noor.User().String()}
			w.ok(only(w.priya.AddToGroup(w.ctx, "ops", m)))
			w.ok(only(w.priya.RemoveFromGroup(w.ctx, "ops", m)))
			g, err := w.priya.Group(w.ctx, "ops")
			w.ok(err)
			if len(g.Members) != 0 {
				t.Errorf("group %+v", g)
			}
		},
		func(w *world) {
			w.group("ops")
			m := api.Membership{Member: w.noor.User().String()}
			w.refusal("who is not in it", "not_found", w.priya.User(), func() error { return only(w.priya.RemoveFromGroup(w.ctx, "ops", m)) })
			w.refusal("by who may not", "no_permit", w.noor.User(), func() error { return only(w.noor.RemoveFromGroup(w.ctx, "ops", m)) })
		},
	},
	"CreateWorkspace": {
		func(t *testing.T, w *world) {
			acme := w.workspace("acme")
			me, err := acme.Me(w.ctx)
			w.ok(err)
			if me.Workspace.String() != "acme" || !slices.Equal(me.Roles, []string{"owner"}) {
				t.Errorf("in acme: %+v", me)
			}
			a, err := acme.CreateAgent(w.ctx, api.NewAgent{Name: "bot"})
			w.ok(err)
			if err := only(w.priya.Agent(w.ctx, a.ID.String())); fault.Code(err) != "not_found" {
				t.Errorf("acme's agent from default: %v", err)
			}
			h, err := acme.Head(w.ctx)
			w.ok(err)
			if h.Checkpoint == "" {
				t.Errorf("acme's log: %+v", h)
			}
		},
		func(w *world) {
			make := func(c person, name string) func() error {
				return func() error {
					ws, err := id.ParseWorkspace(name)
					w.ok(err)
					return only(c.CreateWorkspace(w.ctx, api.NewWorkspace{Name: ws}))
				}
			}
			w.refusal("the server's", "workspace_invalid", w.priya.User(), make(w.priya, "server"))
			w.refusal("the first", "workspace_exists", w.priya.User(), make(w.priya, "default"))
			w.refusal("by who may not", "no_permit", w.noor.User(), make(w.noor, "acme"))
		},
	},
	"Workspaces": {
		func(t *testing.T, w *world) {
			w.workspace("acme")
			l, err := w.priya.Workspaces(w.ctx)
			w.ok(err)
			if len(l.Items) != 2 || l.Items[0].Name.String() != "acme" || l.Items[0].PublishOwner != "id" || l.Items[0].Created == "" || l.Items[1].Created != "" {
				t.Errorf("workspaces %+v", l)
			}
			if l, err = w.noor.Workspaces(w.ctx); err != nil || len(l.Items) != 1 {
				t.Errorf("Noor sees %+v, %v", l, err)
			}
		},
		func(w *world) {
			_, p, _ := w.send(newSigner(w.t), request{method: "GET", path: "/v1/workspaces", token: w.token(w.noor, "")})
			if p.Status != 401 {
				w.t.Errorf("with another key: %+v", p)
			}
		},
	},
	"Workspace": {
		func(t *testing.T, w *world) {
			got, err := w.noor.Workspace(w.ctx, id.Default)
			w.ok(err)
			if got.Name != id.Default || got.PublishOwner == "" {
				t.Errorf("%+v", got)
			}
		},
		func(w *world) {
			w.workspace("acme")
			acme, err := id.ParseWorkspace("acme")
			w.ok(err)
			none, err := id.ParseWorkspace("none")
			w.ok(err)
			theirs, nobodys := only(w.noor.Workspace(w.ctx, acme)), only(w.noor.Workspace(w.ctx, none))
			if fault.Code(theirs) != "not_found" || theirs.Error() != nobodys.Error() {
				w.t.Errorf("acme: %v; none: %v", theirs, nobodys)
			}
		},
	},
	"SetWorkspace": {
		func(t *testing.T, w *world) {
			acme := w.workspace("acme")
			w.ok(only(acme.SetWorkspace(w.ctx, api.WorkspaceSettings{PublishOwner: "name"})))
			ws, err := id.ParseWorkspace("acme")
			w.ok(err)
			got, err := acme.Workspace(w.ctx, ws)
			w.ok(err)
			if got.PublishOwner != "name" {
				t.Errorf("%+v", got)
			}
		},
		func(w *world) {
			w.refusal("by who may not", "no_permit", w.noor.User(), func() error { return only(w.noor.SetWorkspace(w.ctx, api.WorkspaceSettings{PublishOwner: "none"})) })
			w.refusal("what there is not", "workspace_invalid", w.priya.User(), func() error { return only(w.priya.SetWorkspace(w.ctx, api.WorkspaceSettings{PublishOwner: "all"})) })
		},
	},
}
