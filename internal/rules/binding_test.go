package rules_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/rules"
	"github.com/attorn/attorn/policy"
)

func (g *rig) bind(ws id.Workspace, b rules.Binding) error {
	return g.Do(id.Default, func(tx *audit.Tx) error {
		_, err := g.Bind(tx, ws, b)
		return err
	})
}

func TestBindings(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		g := open(t, dsn)
		maya, priya, bot := id.New[id.User](start).String(), id.New[id.User](start).String(), id.New[id.Agent](start).String()
		bind := func(ws id.Workspace, p, role string) error {
			return g.bind(ws, rules.Binding{Principal: p, Role: role, BoundBy: "server", Reason: "because"})
		}
		unbind := func(ws id.Workspace, p, role string) error {
			return g.Do(id.Default, func(tx *audit.Tx) error { return g.Unbind(tx, ws, p, rules.Grant{Role: role}) })
		}
		for _, b := range []struct{ p, role string }{{maya, "release-manager"}, {maya, "owner"}, {priya, "release-manager"}, {bot, "tool-user"}} {
			if err := bind(id.Default, b.p, b.role); err != nil {
				t.Fatal(err)
			}
		}
		if err := bind(acme(), maya, "tool-user"); err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]struct{ code, p, role string }{
			"again":            {"already_bound", maya, "owner"},
			"a group":          {"principal_invalid", "grp_x", "owner"},
			"nobody":           {"principal_invalid", "", "owner"},
			"a delegation":     {"principal_invalid", id.New[id.Delegation](start).String(), "owner"},
			"an upper case id": {"principal_invalid", strings.ToUpper(maya), "owner"},
			"no role":          {"role_invalid", priya, ""},
			"upper case":       {"role_invalid", priya, "Owner"},
			"a hyphen first":   {"role_invalid", priya, "-x"},
			"a quote":          {"role_invalid", priya, `x"`},
			"a scope":          {"role_invalid", priya, "owner@prod"},
			"too long":         {"role_invalid", priya, strings.Repeat("x", 65)},
		} {
			err := bind(id.Default, c.p, c.role)
			t.Log(name, err)
			wantCode(t, err, c.code)
		}
		for _, reason := range []string{"a\x00", "\xff", strings.Repeat("x", 501)} {
			err := g.bind(id.Default, rules.Binding{Principal: priya, Role: "x", BoundBy: "server", Reason: reason})
			wantCode(t, err, "reason_invalid")
		}
		all, err := g.Bindings(t.Context(), id.Default)
		if err != nil || len(all) != 4 || all[0].BoundBy != "server" || all[0].Reason != "because" || !all[0].CreatedAt.Equal(start) {
			t.Errorf("%+v, %v", all, err)
		}
		holders, err := g.Holders(t.Context(), id.Default, start, "release-manager")
		want := []string{maya, priya}
		slices.Sort(want)
		if err != nil || !slices.Equal(holders, want) {
			t.Errorf("%v, %v", holders, err)
		}
		if holders, err = g.Holders(t.Context(), acme(), start, "release-manager"); err != nil || len(holders) != 0 {
			t.Errorf("another workspace: %v, %v", holders, err)
		}
		wantCode(t, unbind(id.Default, priya, "owner"), "not_found")
		wantCode(t, unbind(acme(), priya, "release-manager"), "not_found")
		if err := bind(acme(), bot, "owner"); err != nil {
			t.Fatal(err)
		}
		wantCode(t, unbind(id.Default, maya, "owner"), "lockout")
		if err := bind(id.Default, priya, "owner"); err != nil {
			t.Fatal(err)
		}
		if err := unbind(id.Default, maya, "owner"); err != nil {
			t.Error(err)
		}
		wantCode(t, unbind(id.Default, priya, "owner"), "lockout")
		if err := unbind(id.Default, priya, "release-manager"); err != nil {
			t.Error(err)
		}
	})
}

// The entities are what policy needs: with them, a built-in role permits and a role of a gate makes its holder eligible.
func TestEntitiesDecide(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		g := open(t, dsn)
		maya, bot := id.New[id.User](start).String(), id.New[id.Agent](start).String()
		for _, b := range []rules.Binding{{Principal: maya, Role: "tool-user"}, {Principal: bot, Role: "tool-user"}, {Principal: maya, Role: "release-manager"}} {
			if err := g.bind(id.Default, b); err != nil {
				t.Fatal(err)
			}
		}
		if err := g.publish(id.Default, bundle(t, `@id("gate") @approve("1 of release-manager") forbid (principal, action == Action::"tool:deploy:run", resource);`), id.Digest{}); err != nil {
			t.Fatal(err)
		}
		live, err := g.Live(t.Context(), id.Default)
		if err != nil {
			t.Fatal(err)
		}
		set, err := g.Load(t.Context(), id.Default, live)
		if err != nil {
			t.Fatal(err)
		}
		decide := func(ws id.Workspace, action string) policy.Decision {
			t.Helper()
			entities, err := g.Entities(t.Context(), ws, start, nil, bot, maya)
			if err != nil {
				t.Fatal(err)
			}
			return policy.Decide(set, nil, policy.Facts{
				Principals: []policy.UID{{Type: policy.TypeAgent, ID: bot}, {Type: policy.TypeUser, ID: maya}}, Action: action, ActionParents: policy.ActionParents(action, "write"),
				Resource: policy.UID{Type: "Tool", ID: "x"}, Now: start.UnixMicro(), Entities: entities,
			}, nil)
		}
		if d := decide(id.Default, "tool:files:read"); d.Outcome != policy.Permit {
			t.Errorf("%+v", d)
		}
		if d := decide(acme(), "tool:files:read"); d.Outcome != policy.Deny || d.Code != policy.CodeNoPermit {
			t.Errorf("with another workspace's roles: %+v", d)
		}
		d := decide(id.Default, "tool:deploy:run")
		if d.Outcome != policy.Ask || len(d.Obligations) != 1 {
			t.Fatalf("%+v", d)
		}
		voters, err := g.Entities(t.Context(), id.Default, start, nil, maya)
		if err != nil {
			t.Fatal(err)
		}
		if err := policy.Eligible(set, d.Obligations[0], voters[0], nil); err != nil {
			t.Error(err)
		}
		_, err = g.Entities(t.Context(), id.Default, start, nil, "Role")
		wantCode(t, err, "principal_invalid")
	})
}
