package people_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/audit/audittest"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/people"
)

func (r rig) linkIdentity(person id.User, issuer, subject string) error {
	return r.Do(id.Default, func(tx *audit.Tx) error {
		return r.LinkIdentity(tx, people.Identity{Issuer: issuer, Subject: subject, Person: person, Provider: "acme"})
	})
}

const acme = "https://login.acme.example"

// An identity is of one person for ever: the issuer and the subject together, byte for byte.
func TestIdentities(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		p, q := r.person(t, "Priya", id.Default), r.person(t, "Maya", id.Default)
		whose := func(issuer, subject string) string {
			found, err := r.PersonByIdentity(t.Context(), issuer, subject)
			if err != nil {
				return fault.Code(err)
			}
			return found.Name
		}
		for _, c := range []struct {
			person          id.User
			issuer, subject string
			want            string
		}{
			{p.ID, acme, "1", ""},
			{p.ID, acme, "1", "identity_in_use"},
			{q.ID, acme, "1", "identity_in_use"},
			{q.ID, acme + "/", "1", ""},
			{q.ID, acme, "1 ", ""},
			{q.ID, acme, "é", ""},
			{q.ID, acme, "", "identity_invalid"},
			{q.ID, "", "1", "identity_invalid"},
			{q.ID, acme, "a\x00b", "identity_invalid"},
			{q.ID, acme, "\xff", "identity_invalid"},
			{q.ID, acme, strings.Repeat("s", 256), "identity_invalid"},
			{q.ID, strings.Repeat("i", 501), "1", "identity_invalid"},
			{id.New[id.User](r.Now()), acme, "2", "not_found"},
		} {
			if err := r.linkIdentity(c.person, c.issuer, c.subject); fault.Code(err) != c.want {
				t.Errorf("%q %q: %v, want %q", c.issuer, c.subject, err, c.want)
			}
		}
		for _, c := range [][3]string{
			{acme, "1", "Priya"},
			{acme + "/", "1", "Maya"},
			{acme, "1 ", "Maya"},
			{acme, "E", "identity_unknown"},
			{"https://LOGIN.acme.example", "1", "identity_unknown"},
			{acme, "' OR 1=1 --", "identity_unknown"},
		} {
			if got := whose(c[0], c[1]); got != c[2] {
				t.Errorf("%q %q is of %s, want %s", c[0], c[1], got, c[2])
			}
		}
		unlink := func(person id.User, subject string) error {
			return r.Do(id.Default, func(tx *audit.Tx) error { return r.UnlinkIdentity(tx, person, acme, subject) })
		}
		if err := unlink(q.ID, "1"); fault.Code(err) != "not_found" {
			t.Errorf("another's: %v", err)
		}
		if err := unlink(p.ID, "1"); err != nil {
			t.Error(err)
		}
		if err := unlink(p.ID, "1"); fault.Code(err) != "not_found" {
			t.Errorf("twice: %v", err)
		}
		if got := whose(acme, "1"); got != "identity_ended" {
			t.Error(got)
		}
		if err := r.linkIdentity(q.ID, acme, "1"); fault.Code(err) != "identity_in_use" {
			t.Errorf("one that was another's: %v", err)
		}
		if err := r.linkIdentity(p.ID, acme, "1"); err != nil || whose(acme, "1") != "Priya" {
			t.Errorf("one's own again: %v, of %s", err, whose(acme, "1"))
		}

		// What an identity opened ends with it, and a recovery ends them all.
		open := func(name string) string {
			var secret string
			if err := r.Do(id.Default, func(tx *audit.Tx) (err error) {
				secret, _, err = r.OpenSessionAt(tx, p.ID, 2, people.Identity{Issuer: acme, Subject: name}.Name(), r.Now())
				return err
			}); err != nil {
				t.Fatal(err)
			}
			return secret
		}
		if err := r.linkIdentity(p.ID, acme, "9"); err != nil {
			t.Fatal(err)
		}
		one, nine := open("1"), open("9")
		if err := unlink(p.ID, "9"); err != nil || r.signedIn(t, nine) || !r.signedIn(t, one) {
			t.Errorf("%v: a session outlives the identity that opened it, or another's end", err)
		}
		if err := r.linkIdentity(p.ID, acme, "9"); err != nil {
			t.Fatal(err)
		}
		var ended []string
		if err := r.Do(id.Default, func(tx *audit.Tx) (err error) { ended, err = r.Recover(tx, p.ID, q.ID); return err }); err != nil || len(ended) != 2 {
			t.Errorf("recovery ended %v, %v", ended, err)
		}
		if whose(acme, "1") != "identity_ended" || whose(acme, "9") != "identity_ended" || r.signedIn(t, one) {
			t.Error("an identity or a session outlives a recovery")
		}
		if has, err := r.IdentitiesOf(t.Context(), q.ID); err != nil || len(has) != 3 || has[0].Provider != "acme" || has[0].CreatedAt.IsZero() {
			t.Errorf("%+v %v", has, err)
		}
		if _, err := r.suspend(id.Default, q.ID); err != nil {
			t.Fatal(err)
		}
		if found, err := r.PersonByIdentity(t.Context(), acme, "1 "); err != nil || fault.Code(found.Live()) != "person_suspended" {
			t.Errorf("%+v %v", found, err)
		}
		if err := r.linkIdentity(q.ID, acme, "3"); fault.Code(err) != "person_suspended" {
			t.Error(err)
		}
	})
}

// Of 64 at once, on every node: one identity gets one person, one person eight, and one invitation one.
func TestIdentitiesAtOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		all := audittest.Nodes(t, dsn, open)
		p := all[0].person(t, "Priya", id.Default)
		codes := audittest.Together(t, all, 64, func(r rig, n int) error { return r.linkIdentity(p.ID, acme, fmt.Sprint(n)) })
		if codes[""] != people.MaxIdentities || codes["too_many_identities"] != 64-people.MaxIdentities {
			t.Errorf("%v", codes)
		}
		var many []id.User
		for n := range 8 {
			many = append(many, all[0].person(t, fmt.Sprint("P", n), id.Default).ID)
		}
		codes = audittest.Together(t, all, 64, func(r rig, n int) error { return r.linkIdentity(many[n%8], acme, "one") })
		if codes[""] != 1 || codes["identity_in_use"] != 63 {
			t.Errorf("%v", codes)
		}
		email := id.Sum([]byte("noor"))
		codes = audittest.Together(t, all, 64, func(r rig, n int) error {
			return r.Do(id.Default, func(tx *audit.Tx) error { return r.AwaitEmail(tx, id.Default, email, many[n%8]) })
		})
		if codes[""] != 1 || codes["already_invited"] != 63 {
			t.Errorf("%v", codes)
		}
		who, err := all[0].Awaited(t.Context(), id.Default, email, all[0].Now())
		if err != nil {
			t.Fatal(err)
		}
		codes = audittest.Together(t, all, 64, func(r rig, n int) error {
			return r.Do(id.Default, func(tx *audit.Tx) error { return r.Arrive(tx, id.Default, email, who) })
		})
		if codes[""] != 1 || codes["not_found"] != 63 {
			t.Errorf("%v", codes)
		}
	})
}

func TestInvitations(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		r := open(t, dsn)
		p, q := r.person(t, "Priya", id.Default, other), r.person(t, "Maya", id.Default)
		email := id.Sum([]byte("priya"))
		await := func(ws id.Workspace, person id.User) string {
			return fault.Code(r.Do(id.Default, func(tx *audit.Tx) error { return r.AwaitEmail(tx, ws, email, person) }))
		}
		arrive := func(ws id.Workspace, person id.User) string {
			return fault.Code(r.Do(id.Default, func(tx *audit.Tx) error { return r.Arrive(tx, ws, email, person) }))
		}
		awaited := func(ws id.Workspace) id.User {
			found, err := r.Awaited(t.Context(), ws, email, r.Now())
			if err != nil && fault.Code(err) != "not_found" {
				t.Fatal(err)
			}
			return found
		}
		if await(id.Default, p.ID) != "" || await(id.Default, q.ID) != "already_invited" || await(other, q.ID) != "" {
			t.Error("one address is awaited once in each workspace")
		}
		if awaited(id.Default) != p.ID || awaited(other) != q.ID {
			t.Error("an invitation is seen from another workspace")
		}
		if arrive(id.Default, q.ID) != "not_found" || arrive(id.Default, p.ID) != "" || arrive(id.Default, p.ID) != "not_found" || !awaited(id.Default).IsZero() {
			t.Error("an invitation is of one person, once")
		}
		r.Pass(14*24*time.Hour + time.Second)
		if !awaited(other).IsZero() || arrive(other, q.ID) != "not_found" || await(other, p.ID) != "" || awaited(other) != p.ID {
			t.Error("an invitation ends, and then another takes its place")
		}
		if err := r.Do(id.Default, func(tx *audit.Tx) error { return r.Arrived(tx, p.ID) }); err != nil || !awaited(other).IsZero() {
			t.Error("who has arrived is awaited no more")
		}
	})
}

func FuzzFitName(f *testing.F) {
	f.Add("Noor Haddad")
	f.Add(strings.Repeat("é", 80) + "\x00\xff \u202e")
	f.Fuzz(func(t *testing.T, s string) {
		got := people.FitName(s)
		if got != "" && (len(got) > 100 || strings.TrimSpace(got) != got || strings.ContainsAny(got, "\x00\n\x7f")) {
			t.Errorf("%q", got)
		}
		if again := people.FitName(got); again != got {
			t.Errorf("%q, again %q", got, again)
		}
	})
}
