package main

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/attorntest"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

// A kept identity of several pages is whole or nothing: whoever takes a page out of it would hide whose the keys on it were.
func TestPagesOfAnIdentity(t *testing.T) {
	t.Parallel()
	server, agent := attorntest.NewSigner(t), id.New[id.Agent](time.Now())
	known := map[id.Key]jose.PublicKey{server.Public().Thumbprint(): server.Public()}
	var keys []token.IdentityKey
	for range 6 {
		k := attorntest.NewSigner(t).Public()
		keys = append(keys, token.IdentityKey{Kid: k.Thumbprint(), JWK: k, Trust: "enrolled", Status: "active", From: 1})
	}
	slices.SortFunc(keys, func(a, b token.IdentityKey) int { return cmp.Compare(a.Kid.String(), b.Kid.String()) })
	page := func(of id.Agent, from, to int, asOf int64) string {
		i := token.Identity{Issuer: "https://id.example", ID: of, AsOf: asOf, Status: "active", Registered: 1, Keys: keys[from:to]}
		if from > 0 {
			i.After = keys[from-1].Kid
		}
		if to < len(keys) {
			i.Next = keys[to-1].Kid
		}
		raw, err := token.SignIdentity(i, server)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	first, second, third := page(agent, 0, 2, 10), page(agent, 2, 4, 11), page(agent, 4, 6, 12)
	got, err := openIdentity(strings.Join([]string{first, second, third, ""}, "\n"), "https://id.example", known)
	if err != nil || len(got.Keys) != len(keys) || got.AsOf != 10 {
		t.Errorf("%d keys as of %d, %v", len(got.Keys), got.AsOf, err)
	}
	for name, pages := range map[string][]string{
		"none": nil, "without the first": {second, third}, "without the second": {first, third}, "without the last": {first, second}, "the last alone": {third},
		"another order": {first, third, second}, "one twice": {first, second, second, third}, "the first again": {first, second, third, first},
		"one of another agent": {first, page(id.New[id.Agent](time.Now()), 2, 4, 11), third}, "one of before": {first, page(agent, 2, 4, 9), third},
	} {
		if _, err := openIdentity(strings.Join(pages, "\n"), "https://id.example", known); fault.Code(err) != "identity_malformed" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
