package admin_test

import (
	"testing"
	"time"

	"github.com/attorn/attorn"
	"github.com/attorn/attorn/delegation"
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
		},
		func(w *world) {
			w.refusal("everybody's", "no_permit", w.noor.User(), func() error { return only(w.noor.Delegations(w.ctx, attorn.DelegationQuery{})) })
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
