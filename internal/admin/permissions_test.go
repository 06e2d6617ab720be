package admin_test

import (
	"slices"
	"testing"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
)

var permissionChecks = map[string]check{
	"Permissions": {
		func(t *testing.T, w *world) {
			_, err := w.priya.CreateGroup(w.ctx, api.NewGroup{Name: "crew"})
			w.ok(err)
			noor := w.noor.User().String()
			w.ok(only(w.priya.AddToGroup(w.ctx, "crew", api.Membership{Member: noor})))
			for principal, role := range map[string]string{"group:crew": "lead", noor: "approver"} {
				w.ok(only(w.priya.Bind(w.ctx, api.Binding{Principal: principal, Role: role})))
			}
			w.ok(only(w.priya.Publish(w.ctx, api.Publish{Files: []api.PolicyFile{
				{Path: "roles/lead.yaml", Text: "inherits: [approver]\npermissions: [\"tool:words:*\", \"tool:files:read\"]\ndeny: [\"tool:words:*\"]\nclass: read\n"},
			}})))
			mine, err := w.noor.Permissions(w.ctx, "me")
			w.ok(err)
			want := []api.EffectivePermission{
				{Permission: "attorn:approval:read", Role: "approver", Path: []string{"approver"}},
				{Permission: "attorn:approval:vote", Role: "approver", Path: []string{"approver"}},
				{Permission: "attorn:approval:read", Role: "approver", Path: []string{"lead", "approver"}, Group: "crew"},
				{Permission: "attorn:approval:vote", Role: "approver", Path: []string{"lead", "approver"}, Group: "crew"},
				{Permission: "tool:files:read", Class: "read", Role: "lead", Path: []string{"lead"}, Group: "crew"},
				{Permission: "tool:words:*", Deny: true, Role: "lead", Path: []string{"lead"}, Group: "crew"},
				{Permission: "tool:words:*", Class: "read", Role: "lead", Path: []string{"lead"}, Group: "crew", DeniedBy: "lead"},
			}
			if !slices.EqualFunc(mine.Items, want, same) {
				t.Errorf("Noor has %+v", mine.Items)
			}
			others, err := w.priya.Permissions(w.ctx, noor)
			w.ok(err)
			if !slices.EqualFunc(others.Items, want, same) {
				t.Errorf("Priya is told %+v", others.Items)
			}
			crew, err := w.priya.Permissions(w.ctx, "group:crew")
			w.ok(err)
			if len(crew.Items) != 5 || crew.Items[0].Group != "" {
				t.Errorf("the group has %+v", crew.Items)
			}
			if none, err := w.maya.Permissions(w.ctx, w.maya.User().String()); err != nil || len(none.Items) != 0 {
				t.Errorf("Maya has %+v, %v", none, err)
			}
		},
		func(w *world) {
			ask := func(c person, principal string) func() error {
				return func() error { return only(c.Permissions(w.ctx, principal)) }
			}
			w.refusal("of somebody else", "no_permit", w.noor.User(), ask(w.noor, w.priya.User().String()))
			for principal, code := range map[string]string{"group:none": "not_found", "agt_06h0mgvgc9ohr6djtqf58qme4s": "not_found", "crew": "malformed"} {
				if _, err := w.priya.Permissions(w.ctx, principal); fault.Code(err) != code {
					w.t.Errorf("of %s: %v", principal, err)
				}
			}
		},
	},
}

func same(a, b api.EffectivePermission) bool {
	return a.Permission == b.Permission && a.Deny == b.Deny && a.Class == b.Class && a.Scope == b.Scope && a.Role == b.Role && slices.Equal(a.Path, b.Path) && a.Group == b.Group && a.DeniedBy == b.DeniedBy
}
