package admin_test

import (
	"slices"
	"testing"
	"time"

	"github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

var lendingChecks = map[string]check{
	"Lend": {
		func(t *testing.T, w *world) {
			a := w.agent("bot")
			link := w.lend(a)
			again, err := w.priya.Lend(w.ctx, link.Signed)
			w.ok(err)
			if again.String() != link.String() {
				t.Error("the same statement again has another link")
			}
			var warned []api.Warning
			instance, from := a.Instance(), time.Now().Add(time.Hour).Truncate(time.Second)
			full, err := w.priya.Delegate(w.ctx, "bot", attorn.Lend{
				Permissions: []delegation.Permission{{Permission: "tool:none:write"}, {Permission: "repo:acme:read"}}, From: from, TTL: time.Minute, Uses: 7, Depth: 2,
				Task: "REL-1", Purpose: "try it", Instance: instance, Warned: func(w api.Warning) { warned = append(warned, w) },
			})
			w.ok(err)
			st := full.Statement
			if st.NotBefore != from.Unix() || st.ExpiresAt != from.Unix()+60 || *st.MaxUses != 7 || st.MaxDepth != 2 || st.Task != "REL-1" || st.Purpose != "try it" || st.Delegate.Instance != instance {
				t.Errorf("lent %+v", st)
			}
			if len(warned) != 1 || warned[0].Code != "unknown_server" || warned[0].Permission != "tool:none:write" {
				t.Errorf("warned of %+v", warned)
			}
		},
		func(w *world) {
			a, other := w.agent("bot"), w.agent("other")
			link := w.lend(a)
			w.refusal("somebody else's statement", "not_delegator", w.noor.User(), func() error { return only(w.noor.Lend(w.ctx, link.Signed)) })
			changed := link.Signed
			changed.Statement.MaxDepth = 5
			w.refusal("a statement changed after signing", "signature_invalid", w.priya.User(), func() error { return only(w.priya.Lend(w.ctx, changed)) })
			elsewhere := link.Statement
			elsewhere.ID, elsewhere.Issuer = id.New[id.Delegation](time.Now()), "https://other.example"
			w.refusal("another server's", "statement_invalid", w.priya.User(), func() error { return only(w.priya.Lend(w.ctx, w.sign(elsewhere))) })
			foreign := link.Statement
			foreign.ID, foreign.Workspace = id.New[id.Delegation](time.Now()), workspace(w.t, "other")
			w.refusal("another workspace's", "workspace_mismatch", w.priya.User(), func() error { return only(w.priya.Lend(w.ctx, w.sign(foreign))) })
			nobody := link.Statement
			nobody.ID, nobody.Delegate.Agent = id.New[id.Delegation](time.Now()), id.New[id.Agent](time.Now())
			w.refusal("to nobody", "not_found", w.priya.User(), func() error { return only(w.priya.Lend(w.ctx, w.sign(nobody))) })
			w.refusal("more than was lent", "widens", id.User{}, func() error {
				return only(a.Delegate(w.ctx, "other", attorn.Lend{Permissions: []delegation.Permission{{Permission: "tool:*"}}, Parent: link.Statement.ID.String()}))
			})
			w.refusal("by whom it was not lent to", "no_permit", id.User{}, func() error {
				return only(other.Delegate(w.ctx, "bot", attorn.Lend{Permissions: link.Statement.Permissions, Parent: link.Statement.ID.String()}))
			})
		},
	},
	"Delegations": {
		func(t *testing.T, w *world) {
			a := w.agent("bot")
			first, second := w.lend(a), w.lend(a)
			page, err := w.priya.Delegations(w.ctx, attorn.DelegationQuery{Delegator: "me", Page: attorn.Page{Limit: 1}})
			w.ok(err)
			rest, err := w.priya.Delegations(w.ctx, attorn.DelegationQuery{Delegator: "me", Page: attorn.Page{After: page.Next}})
			w.ok(err)
			if len(page.Items) != 1 || page.Items[0].ID != second.Statement.ID || len(rest.Items) != 1 || rest.Items[0].ID != first.Statement.ID {
				t.Errorf("pages %+v and %+v", page, rest)
			}
			none, err := w.noor.Delegations(w.ctx, attorn.DelegationQuery{Delegator: "me"})
			w.ok(err)
			if len(none.Items) != 0 {
				t.Errorf("Noor lent %+v", none)
			}
			w.ok(only(w.priya.RevokeDelegation(w.ctx, first.Statement.ID, "")))
			for status, want := range map[string]id.Delegation{"active": second.Statement.ID, "revoked": first.Statement.ID} {
				some, err := w.priya.Delegations(w.ctx, attorn.DelegationQuery{Delegate: a.ID().String(), Status: status})
				w.ok(err)
				if len(some.Items) != 1 || some.Items[0].ID != want || some.Items[0].DelegateName != "bot" || some.Items[0].DelegatorName != "Priya Nair" {
					t.Errorf("%s: %+v", status, some)
				}
			}
			lent, err := a.Lent(w.ctx)
			w.ok(err)
			if len(lent) != 0 {
				t.Errorf("the agent lent %+v", lent)
			}
		},
		func(w *world) {
			w.refusal("everybody's", "no_permit", w.noor.User(), func() error { return only(w.noor.Delegations(w.ctx, attorn.DelegationQuery{})) })
			w.refusal("a status that is none", "malformed", id.User{}, func() error {
				return only(w.priya.Delegations(w.ctx, attorn.DelegationQuery{Status: "paused"}))
			})
			w.refusal("another's", "no_permit", w.noor.User(), func() error {
				return only(w.noor.Delegations(w.ctx, attorn.DelegationQuery{Delegator: w.priya.User().String()}))
			})
		},
	},
	"Delegation": {
		func(t *testing.T, w *world) {
			link := w.lend(w.agent("bot"))
			d, err := w.priya.Delegation(w.ctx, link.Statement.ID)
			w.ok(err)
			if d.Link.String() != link.String() || d.Status != "active" || d.Root != d.ID || !d.Parent.IsZero() {
				t.Errorf("read %+v", d)
			}
		},
		func(w *world) {
			link := w.lend(w.agent("bot"))
			w.refusal("another's", "no_permit", w.noor.User(), func() error { return only(w.noor.Delegation(w.ctx, link.Statement.ID)) })
			w.refusal("none", "not_found", w.priya.User(), func() error { return only(w.priya.Delegation(w.ctx, id.New[id.Delegation](time.Now()))) })
		},
	},
	"Chain": {
		func(t *testing.T, w *world) {
			a, b := w.agent("bot"), w.agent("deployer")
			root := w.lend(a)
			child, err := a.Delegate(w.ctx, b.ID().String(), attorn.Lend{Permissions: root.Statement.Permissions, Parent: root.Statement.ID.String()})
			w.ok(err)
			links, err := w.priya.Chain(w.ctx, child.Statement.ID)
			w.ok(err)
			if len(links) != 2 || links[0].String() != root.String() || links[1].String() != child.String() {
				t.Errorf("the chain is %v", links)
			}
		},
		func(w *world) {
			link := w.lend(w.agent("bot"))
			w.refusal("another's", "no_permit", w.noor.User(), func() error { return only(w.noor.Chain(w.ctx, link.Statement.ID)) })
		},
	},
	"Tree": {
		func(t *testing.T, w *world) {
			a, b := w.agent("bot"), w.agent("deployer")
			root := w.lend(a)
			child, err := a.Delegate(w.ctx, b.ID().String(), attorn.Lend{Permissions: root.Statement.Permissions, Parent: root.Statement.ID.String()})
			w.ok(err)
			for name, read := range map[string]func() (api.Tree, error){
				"who lent it":         func() (api.Tree, error) { return w.priya.Tree(w.ctx, root.Statement.ID) },
				"whom it was lent to": func() (api.Tree, error) { return a.Tree(w.ctx, root.Statement.ID) },
			} {
				tree, err := read()
				w.ok(err)
				if len(tree.Items) != 2 || tree.Items[0].ID != root.Statement.ID || tree.Items[1].ID != child.Statement.ID || tree.Items[1].Parent != root.Statement.ID || tree.More {
					t.Fatalf("%s reads %+v", name, tree)
				}
				if i := tree.Items; i[0].DelegateName != "bot" || i[1].DelegatorName != "bot" || i[1].DelegateName != "deployer" || (i[0].DelegatorName == "Priya Nair") != (name == "who lent it") {
					t.Errorf("%s reads the names %q %q %q %q", name, i[0].DelegatorName, i[0].DelegateName, i[1].DelegatorName, i[1].DelegateName)
				}
			}
			leaf, err := b.Tree(w.ctx, child.Statement.ID)
			w.ok(err)
			if len(leaf.Items) != 1 {
				t.Errorf("the leaf's tree is %+v", leaf)
			}
		},
		func(w *world) {
			a, b := w.agent("bot"), w.agent("deployer")
			root := w.lend(a)
			_, err := a.Delegate(w.ctx, b.ID().String(), attorn.Lend{Permissions: root.Statement.Permissions, Parent: root.Statement.ID.String()})
			w.ok(err)
			w.refusal("another's", "no_permit", w.noor.User(), func() error { return only(w.noor.Tree(w.ctx, root.Statement.ID)) })
			w.refusal("what is above one's own", "no_permit", id.User{}, func() error { return only(b.Tree(w.ctx, root.Statement.ID)) })
			w.refusal("none", "not_found", w.priya.User(), func() error { return only(w.priya.Tree(w.ctx, id.New[id.Delegation](time.Now()))) })
		},
	},
	"Replace": {
		func(t *testing.T, w *world) {
			a, b := w.agent("bot"), w.agent("deployer")
			root := w.lend(a)
			child, err := a.Delegate(w.ctx, b.ID().String(), attorn.Lend{Permissions: root.Statement.Permissions, Parent: root.Statement.ID.String()})
			w.ok(err)
			d := root.Statement.ID
			would, err := w.priya.Narrow(w.ctx, d, attorn.Narrowing{Depth: new(0), DryRun: true})
			w.ok(err)
			if would.How != "narrowed" || len(would.Delegations) != 2 || !would.Event.IsZero() || would.Link.String() != "" {
				t.Errorf("a dry run answers %+v", would)
			}
			if found, err := w.priya.Delegation(w.ctx, d); err != nil || found.Status != "active" {
				t.Errorf("after a dry run it is %s, %v", found.Status, err)
			}
			got, err := w.priya.Narrow(w.ctx, d, attorn.Narrowing{
				Depth: new(0), Uses: 5, TTL: time.Minute, Task: "REL-1", Purpose: "less", Instance: a.Instance(),
			})
			w.ok(err)
			st := got.Link.Statement
			if got.ID != st.ID || st.MaxDepth != 0 || *st.MaxUses != 5 || st.ExpiresAt >= root.Statement.ExpiresAt || st.Task != "REL-1" || st.Purpose != "less" || st.Delegate.Instance != a.Instance() {
				t.Errorf("narrowed to %+v", st)
			}
			for _, ended := range []id.Delegation{d, child.Statement.ID} {
				found, err := w.priya.Delegation(w.ctx, ended)
				w.ok(err)
				if found.Status != "revoked" || found.EndedWhy != "narrowed as "+got.ID.String() || found.EndedByName != "Priya Nair" || !slices.Contains(got.Delegations, ended) {
					t.Errorf("afterwards %+v", found)
				}
			}
			again, err := w.priya.Replace(w.ctx, d, api.Replace{Signed: got.Link.Signed})
			w.ok(err)
			if again.Link.String() != got.Link.String() || len(again.Delegations) != 0 {
				t.Errorf("the same statement again: %+v", again)
			}
			renewed, err := w.priya.Renew(w.ctx, got.ID, attorn.Renewal{TTL: time.Hour})
			w.ok(err)
			now, err := w.priya.Delegation(w.ctx, renewed.ID)
			w.ok(err)
			if renewed.How != "renewed" || now.Replaces != got.ID || now.Status != "active" || now.Statement.ExpiresAt <= st.ExpiresAt || *now.Statement.MaxUses != 5 {
				t.Errorf("renewed: %+v, %+v", renewed, now)
			}
		},
		func(w *world) {
			a, b := w.agent("bot"), w.agent("deployer")
			root := w.lend(a)
			child, err := a.Delegate(w.ctx, b.ID().String(), attorn.Lend{Permissions: root.Statement.Permissions, Parent: root.Statement.ID.String()})
			w.ok(err)
			d := root.Statement.ID
			narrow := func(n attorn.Narrowing) func() error {
				return func() error { return only(w.priya.Narrow(w.ctx, d, n)) }
			}
			w.refusal("somebody else's", "not_delegator", w.noor.User(), func() error { return only(w.noor.Replace(w.ctx, d, api.Replace{Signed: root.Signed})) })
			w.refusal("by whom it was lent to", "not_delegator", id.User{}, func() error { return only(b.Narrow(w.ctx, child.Statement.ID, attorn.Narrowing{TTL: time.Minute})) })
			w.refusal("to more", "widens", w.priya.User(), narrow(attorn.Narrowing{Permissions: []delegation.Permission{{Permission: "tool:*"}}}))
			w.refusal("to deeper", "widens", w.priya.User(), narrow(attorn.Narrowing{Depth: new(5)}))
			if err := narrow(attorn.Narrowing{TTL: 48 * time.Hour})(); fault.Code(err) != "widens" { // before it is signed
				w.t.Errorf("longer: %v", err)
			}
			longer := root.Statement
			longer.ID, longer.ExpiresAt, longer.MaxDepth = id.New[id.Delegation](time.Now()), longer.ExpiresAt+86400, 0
			w.refusal("longer, and less", "widens", w.priya.User(), func() error { return only(w.priya.Replace(w.ctx, d, api.Replace{Signed: w.sign(longer)})) })
			w.refusal("of nothing", "not_found", w.priya.User(), func() error {
				return only(w.priya.Replace(w.ctx, id.New[id.Delegation](time.Now()), api.Replace{Signed: root.Signed}))
			})
			for code, drop := range map[string]string{"nothing_dropped": "tool:mail:send", "nothing_left": "tool:files:*"} {
				if err := narrow(attorn.Narrowing{Drop: []delegation.Permission{{Permission: drop}}})(); fault.Code(err) != code {
					w.t.Errorf("dropping %s: %v", drop, err)
				}
			}
			wide, err := w.priya.Delegate(w.ctx, "bot", attorn.Lend{Permissions: []delegation.Permission{{Permission: "tool:files:*"}, {Permission: "tool:files:write"}}})
			w.ok(err)
			if _, err := w.priya.Narrow(w.ctx, wide.Statement.ID, attorn.Narrowing{Drop: []delegation.Permission{{Permission: "tool:files:write"}}}); fault.Code(err) != "still_covered" {
				w.t.Errorf("an exception: %v", err)
			}
		},
	},
	"RevokeDelegation": {
		func(t *testing.T, w *world) {
			a := w.agent("bot")
			link := w.lend(a)
			got, err := a.Revoke(w.ctx, link.Statement.ID, "done")
			w.ok(err)
			if len(got.Delegations) != 1 || got.Delegations[0] != link.Statement.ID {
				t.Errorf("ended %+v", got)
			}
			d, err := w.priya.Delegation(w.ctx, link.Statement.ID)
			w.ok(err)
			if d.Status != "revoked" || d.EndedBy != a.ID().String() || d.EndedWhy != "done" {
				t.Errorf("afterwards %+v", d)
			}
		},
		func(w *world) {
			link := w.lend(w.agent("bot"))
			w.refusal("another's", "no_permit", w.noor.User(), func() error { return only(w.noor.RevokeDelegation(w.ctx, link.Statement.ID, "")) })
			w.refusal("none", "not_found", w.priya.User(), func() error { return only(w.priya.RevokeDelegation(w.ctx, id.New[id.Delegation](time.Now()), "")) })
		},
	},
}

func (w *world) sign(st delegation.Statement) delegation.Signed {
	w.t.Helper()
	signed, err := delegation.Sign(st, w.priya.signer)
	w.ok(err)
	return signed
}

func workspace(t testing.TB, name string) id.Workspace {
	t.Helper()
	ws, err := id.ParseWorkspace(name)
	if err != nil {
		t.Fatal(err)
	}
	return ws
}
