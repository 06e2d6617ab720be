package token_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/token"
)

const steadFrom = 1795427523

// onBehalf is a person's statement that says who else may act, and the claims of a token for all that it lends.
func onBehalf(ps ...delegation.Permission) (delegation.Statement, token.Claims) {
	person, app, bot := id.Must[id.User]("usr_06h0fkepn1o010000000000004"), id.Must[id.Agent]("agt_06h0fkepn1o01000000000000c"), id.Must[id.Agent]("agt_06h0fkepn1o010000000000008")
	key := id.KeyOf(id.Sum([]byte("the app's key")))
	st := delegation.Statement{
		Version: 1, ID: id.Must[id.Delegation]("dlg_06h0fkepn1o01000000000000g"), Issuer: "https://attorn.example", Workspace: id.Default,
		Delegator: delegation.Delegator{User: person}, Delegate: delegation.Delegate{Agent: app}, Permissions: ps,
		NotBefore: steadFrom - 60, ExpiresAt: steadFrom + 3600, MaxUses: new(int64(5)), MaxDepth: 2, Task: "REL-481", Purpose: "Ship it", MayAct: bot,
	}
	c := token.Claims{
		Issuer: st.Issuer, Subject: person.String(), Audience: "https://attorn.example/mcp/files", ClientID: "https://app.example/client", Act: &token.Actor{Sub: app, Instance: key},
		JKT: key, ID: "t-1", IssuedAt: steadFrom, Expires: steadFrom + 300, Delegation: st.ID, Task: st.Task, ACR: "urn:attorn:acr:3", AuthTime: steadFrom - 90,
		Workspace: id.Default, MayAct: bot,
	}
	c.SetPermissions(ps)
	return st, c
}

// What is lent in a stead is what token and parent say, the same each time, and nothing of it where one of them says otherwise.
func TestInStead(t *testing.T) {
	all := []delegation.Permission{{Permission: "tool:files:*"}, {Permission: "tool:notes:write", Where: map[string]delegation.Constraint{"n": {Max: new(int64(4))}}}}
	parent, c := onBehalf(all...)
	st, at, err := c.InStead("a token", parent)
	if err != nil {
		t.Fatal(err)
	}
	again, _, _ := c.InStead("a token", parent)
	one, two := mustDigest(t, st), mustDigest(t, again)
	if one != two || st.ID != c.SteadID("a token") || !st.InStead() {
		t.Errorf("%s %s", one, two)
	}
	if other := c.SteadID("another token"); other == st.ID || other.String()[:12] != st.ID.String()[:12] { // the time comes first
		t.Errorf("%s %s", other, st.ID)
	}
	if st.Delegate.Agent != c.MayAct || st.NotBefore != c.IssuedAt || st.ExpiresAt != c.Expires || st.MaxDepth != 0 || st.Task != parent.Task || len(st.Permissions) != 2 {
		t.Errorf("%+v", st)
	}
	if at.AuthTime != c.AuthTime || at.ACR != c.ACR || at.Token.ID != c.ID || at.Token.SHA256 != id.Sum([]byte("a token")) || at.Token.JKT != c.JKT {
		t.Errorf("%+v", at)
	}
	other := id.Must[id.Agent]("agt_06h0fkepn1o01000000000000o")
	for name, change := range map[string]func(st *delegation.Statement, c *token.Claims){
		"the token names nobody":   func(_ *delegation.Statement, c *token.Claims) { c.MayAct = id.Agent{} },
		"the token names another":  func(_ *delegation.Statement, c *token.Claims) { c.MayAct = other },
		"the parent names nobody":  func(st *delegation.Statement, _ *token.Claims) { st.MayAct = id.Agent{} },
		"the parent names another": func(st *delegation.Statement, _ *token.Claims) { st.MayAct = other },
		"another parent": func(_ *delegation.Statement, c *token.Claims) {
			c.Delegation = id.Must[id.Delegation]("dlg_06h0fkepn1o01000000000000o")
		},
		"another person":               func(_ *delegation.Statement, c *token.Claims) { c.Subject = "usr_06h0fkepn1o01000000000000o" },
		"another actor":                func(_ *delegation.Statement, c *token.Claims) { c.Act = &token.Actor{Sub: other} },
		"no actor":                     func(_ *delegation.Statement, c *token.Claims) { c.Act = nil },
		"another task":                 func(_ *delegation.Statement, c *token.Claims) { c.Task = "" },
		"the parent binds another key": func(st *delegation.Statement, _ *token.Claims) { st.Delegate.Instance = id.KeyOf(id.Sum(nil)) },
	} {
		st, c := onBehalf(all...)
		change(&st, &c)
		if _, _, err := c.InStead("a token", st); fault.Code(err) != "not_lent" {
			t.Errorf("%s: %v", name, err)
		}
	}
	long, wide := c, c
	long.Expires = parent.ExpiresAt + 1
	wide.Scope += " tool:other:read"
	for _, c := range []token.Claims{long, wide} {
		if _, _, err := c.InStead("a token", parent); fault.Code(err) != "widens" {
			t.Errorf("%v", err)
		}
	}
}

// No widening: whatever the parent lends and the token permits, what is lent in a stead is within both.
func TestInSteadNeverWidens(t *testing.T) {
	patterns := []string{"tool:*", "tool:files:*", "tool:files:read*", "tool:files:read", "tool:files:write", "tool:notes:*", "tool:notes:read"}
	actions := []string{"tool:files:read", "tool:files:read_all", "tool:files:write", "tool:notes:read", "tool:notes:write"}
	lent, refused := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) (all []delegation.Permission) {
			for range rapid.IntRange(1, 3).Draw(t, label) {
				p := delegation.Permission{Permission: rapid.SampledFrom(patterns).Draw(t, "pattern")}
				if n := rapid.Int64Range(0, 4).Draw(t, "max"); n > 0 {
					p.Where = map[string]delegation.Constraint{"n": {Max: &n}}
				}
				all = append(all, p)
			}
			return all
		}
		parent, c := onBehalf(draw("lent")...)
		ps := draw("token")
		if rapid.Bool().Draw(t, "of the parent's") {
			ps = append(parent.Permissions[:1:1], parent.Permissions[rapid.IntRange(0, len(parent.Permissions)-1).Draw(t, "n")])
		}
		c.SetPermissions(ps)
		st, _, err := c.InStead("a token", parent)
		if err != nil {
			if refused++; fault.Code(err) != "widens" || delegation.CoversAll(parent.Permissions, ps) {
				t.Fatalf("refused: %v", err)
			}
			return
		}
		lent++
		for _, action := range actions {
			for n := range 6 {
				args, err := delegation.DecodeArgs([]byte(`{"n":` + string(rune('0'+n)) + `}`))
				if err != nil {
					t.Fatal(err)
				}
				if delegation.Allows(st.Permissions, action, args) && (!delegation.Allows(parent.Permissions, action, args) || !delegation.Allows(ps, action, args)) {
					t.Fatalf("%s n=%d: %+v of %+v and %+v", action, n, st.Permissions, parent.Permissions, ps)
				}
			}
		}
	})
	if lent == 0 || refused == 0 {
		t.Errorf("%d were lent, %d refused", lent, refused)
	}
}

func mustDigest(t *testing.T, st delegation.Statement) id.Digest {
	t.Helper()
	d, err := st.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d
}
