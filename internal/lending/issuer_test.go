package lending_test

import (
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/lending"
)

func rule() lending.Issuer {
	return lending.Issuer{
		ID: id.New[id.Issuer](start), Workspace: id.Default, URL: "https://attorn.partner.example", Prefix: "acme", Agents: []id.Agent{id.New[id.Agent](start)},
		Agent: id.New[id.Agent](start), Delegation: id.New[id.Delegation](start), ExpiresAt: start.Add(time.Hour).Unix(), MadeBy: "usr_x",
	}
}

func TestIssuerCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*lending.Issuer)
		ok     bool
	}{
		{"as it is", func(*lending.Issuer) {}, true},
		{"a path", func(r *lending.Issuer) { r.URL += "/attorn" }, true},
		{"loopback", func(r *lending.Issuer) { r.URL = "http://localhost:7070" }, true},
		{"a longer prefix", func(r *lending.Issuer) { r.Prefix = "partners:acme" }, true},
		{"keys of its own", func(r *lending.Issuer) { r.KeySet = []byte(`{"keys": []}`) }, true},
		{"private", func(r *lending.Issuer) { r.AllowPrivate = true }, true},

		{"no URL", func(r *lending.Issuer) { r.URL = "" }, false},
		{"http", func(r *lending.Issuer) { r.URL = "http://attorn.partner.example" }, false},
		{"a final slash", func(r *lending.Issuer) { r.URL += "/" }, false},
		{"a query", func(r *lending.Issuer) { r.URL += "?x" }, false},
		{"an empty query", func(r *lending.Issuer) { r.URL += "?" }, false},
		{"a fragment", func(r *lending.Issuer) { r.URL += "#x" }, false},
		{"a user", func(r *lending.Issuer) { r.URL = "https://u@attorn.partner.example" }, false},
		{"capitals in the scheme", func(r *lending.Issuer) { r.URL = "HTTPS://attorn.partner.example" }, false},
		{"a long URL", func(r *lending.Issuer) { r.URL += "/" + strings.Repeat("x", 255) }, false},
		{"no prefix", func(r *lending.Issuer) { r.Prefix = "" }, false},
		{"any prefix", func(r *lending.Issuer) { r.Prefix = "*" }, false},
		{"a prefix that goes on", func(r *lending.Issuer) { r.Prefix = "ac*" }, false},
		{"tools", func(r *lending.Issuer) { r.Prefix = "tool" }, false},
		{"attorn's own", func(r *lending.Issuer) { r.Prefix = "attorn:agent" }, false},
		{"no agents", func(r *lending.Issuer) { r.Agents = nil }, false},
		{"too many agents", func(r *lending.Issuer) { r.Agents = make([]id.Agent, 51) }, false},
		{"an agent without an id", func(r *lending.Issuer) { r.Agents = append(r.Agents, id.Agent{}) }, false},
		{"as nobody", func(r *lending.Issuer) { r.Agent = id.Agent{} }, false},
		{"under nothing", func(r *lending.Issuer) { r.Delegation = id.Delegation{} }, false},
		{"private with keys", func(r *lending.Issuer) { r.AllowPrivate, r.KeySet = true, []byte(`{"keys":[]}`) }, false},
		{"keys that are no JSON", func(r *lending.Issuer) { r.KeySet = []byte(`{"keys":`) }, false},
		{"a name twice", func(r *lending.Issuer) { r.KeySet = []byte(`{"keys":[],"keys":[]}`) }, false},
	} {
		r := rule()
		c.change(&r)
		if err := r.Check(); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		} else if !c.ok {
			wantCode(t, err, "issuer_invalid")
		}
	}
	r := rule()
	r.Agents = append([]id.Agent{id.New[id.Agent](start.Add(time.Second))}, r.Agents[0], r.Agents[0])
	if err := r.Check(); err != nil || len(r.Agents) != 2 || r.Agents[0].String() > r.Agents[1].String() {
		t.Errorf("the agents are %v, %v", r.Agents, err)
	}
}

func TestIssuerHere(t *testing.T) {
	t.Parallel()
	r := rule()
	stem := "x/"
	where := map[string]delegation.Constraint{"path": {Prefix: &stem}}
	got := r.Here([]delegation.Permission{
		{Permission: "acme:tool:files:*", Where: where}, {Permission: "acme:*"}, {Permission: "acme"}, {Permission: "acme2:tool:x"}, {Permission: "tool:files:read"}, {Permission: "*"}, {Permission: "ac*:x"},
	})
	if len(got) != 2 || got[0].Permission != "tool:files:*" || len(got[0].Where) != 1 || got[1].Permission != "*" {
		t.Errorf("%+v", got)
	}
}

func TestTrustIssuer(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		g := open(t, dsn)
		r := rule()
		trust := func(r lending.Issuer) error {
			return g.Do(id.Default, func(tx *audit.Tx) error { return g.TrustIssuer(tx, r) })
		}
		if err := trust(r); err != nil {
			t.Fatal(err)
		}
		again := rule()
		again.ID = id.New[id.Issuer](start.Add(time.Second)) // the ids of one millisecond have no order
		again.Agent, again.Agents = r.Agent, append(again.Agents, r.Agents...)
		wantCode(t, trust(again), "issuer_trusted")
		again.Agent = rule().Agent // the same agent of theirs, as another one of ours
		if err := trust(again); err != nil {
			t.Error(err)
		}
		found, err := g.IssuersOf(t.Context(), id.Default, r.URL)
		if err != nil || len(found) != 2 || found[0].ID != r.ID || found[0].Agents[0] != r.Agents[0] || found[0].CreatedAt.IsZero() {
			t.Errorf("%+v, %v", found, err)
		}
		other, _ := id.ParseWorkspace("other")
		if found, err := g.IssuersOf(t.Context(), other, r.URL); err != nil || len(found) != 0 {
			t.Errorf("in another workspace: %+v, %v", found, err)
		}
		_, err = g.Issuer(t.Context(), other, r.ID)
		wantCode(t, err, "not_found")
		page, err := g.Issuers(t.Context(), id.Default, r.ID, 1)
		if err != nil || len(page) != 1 || page[0].ID != again.ID {
			t.Errorf("%+v, %v", page, err)
		}
		lives := func(r lending.Issuer) error {
			return g.Do(id.Default, func(tx *audit.Tx) error { return g.IssuerLives(tx, r) })
		}
		if err := lives(r); err != nil {
			t.Error(err)
		}
		r.ExpiresAt = start.Unix()
		wantCode(t, lives(r), "rule_expired")
		remove := func(ws id.Workspace) error {
			return g.Do(ws, func(tx *audit.Tx) error { return g.RemoveIssuer(tx, ws, r.ID) })
		}
		if err := remove(id.Default); err != nil {
			t.Error(err)
		}
		wantCode(t, remove(id.Default), "not_found")
		wantCode(t, lives(r), "rule_removed")
		if err := trust(again); err == nil {
			t.Error("one rule twice")
		}
	})
}
