package console_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/people"
)

// TestAccountPage: a person sees what they sign in with, removes a passkey after showing one, keeps the last, and signs out everywhere.
func TestAccountPage(t *testing.T) {
	r := newRig(t)
	priya := r.firstOwner("Priya Nair")
	second := *priya
	second.browser = newBrowser(t, r.url)
	secret, err := r.NewLink(t.Context(), priya.caller(), priya.id)
	r.ok(err)
	if got := second.form("/signin/link", "secret", secret); got.status != http.StatusSeeOther {
		t.Fatal(got.body)
	}
	second.makePasskey()
	golden(t, "account", priya.page("/account"))
	all, err := r.People.PasskeysOf(t.Context(), priya.id)
	if err != nil || len(all) != 2 {
		t.Fatalf("%d passkeys, %v", len(all), err)
	}
	remove := func(b *person, credential string) answer { return b.form("/account/remove", "key", credential) }

	r.pass(6 * time.Minute)
	contains(t, priya.page("/account"), "data-prove", "Your passkey is asked for first.")
	if got := remove(priya, all[0].Credential); got.status != http.StatusForbidden {
		t.Errorf("with an old sign-in: %d", got.status)
	}
	priya.signIn()
	has, err := r.KeysOf(t.Context(), priya.caller(), priya.id)
	r.ok(err)
	mine, other := has.This, all[0].Credential
	if other == mine {
		other = all[1].Credential
	}
	lacks(t, priya.page("/account"), "data-prove")
	if got := remove(priya, other); got.status != http.StatusSeeOther {
		t.Errorf("with a fresh one: %d %s", got.status, got.body)
	}
	if got := remove(priya, mine); got.status != http.StatusConflict {
		t.Errorf("the last one: %d", got.status)
	}
	if got := remove(priya, "x"); got.status != http.StatusNotFound {
		t.Errorf("none: %d", got.status)
	}

	phone := newBrowser(t, r.url)
	secret, err = r.NewLink(t.Context(), priya.caller(), priya.id)
	r.ok(err)
	if got := phone.form("/signin/link", "secret", secret); got.status != http.StatusSeeOther || !phone.signedIn() {
		t.Fatal(got.body)
	}
	if got := priya.form("/account/signout"); got.status != http.StatusSeeOther || got.header.Get("Location") != "/signin" {
		t.Errorf("signing out everywhere: %d %s", got.status, got.body)
	}
	if priya.signedIn() || phone.signedIn() {
		t.Error("a session is left")
	}
	priya.signIn()
	if !priya.signedIn() {
		t.Error("the passkey is gone too")
	}
}

// TestRecoveryIsTold: on the account of who was recovered, and to everybody who votes.
func TestRecoveryIsTold(t *testing.T) {
	s := newStory(t)
	ada := s.priya.invite("Ada", "owner", "release-manager")
	secret, err := s.Recover(t.Context(), ada.caller(), s.maya.id, "lost it")
	s.ok(err)
	b := newBrowser(t, s.url)
	if got := b.form("/signin/link", "secret", secret); got.status != http.StatusSeeOther {
		t.Fatal(got.body)
	}
	if s.maya.signedIn() {
		t.Error("the old session goes on")
	}
	contains(t, b.page("/account"), "You were let in again", "Ada")
	path := "/approvals/" + s.asked.String()
	contains(t, ada.page(path), "Maya Chen", "was let in again", "the two count as one")
	p, err := s.People.Person(t.Context(), id.Default, s.maya.id)
	s.ok(err)
	if p.RecoveredBy != ada.id {
		t.Errorf("%+v", p)
	}
}

// TestAMemberOfAnotherWorkspace has an account and pages, those of that workspace.
func TestAMemberOfAnotherWorkspace(t *testing.T) {
	s := newStory(t)
	acme, err := id.ParseWorkspace("acme")
	s.ok(err)
	_, err = s.CreateWorkspace(t.Context(), s.priya.caller(), people.Workspace{Name: acme, PublishOwner: "id"})
	s.ok(err)
	c, _, err := s.Session(t.Context(), s.priya.cookie(), acme, "")
	s.ok(err)
	p, secret, err := s.Invite(t.Context(), c, "Zoe")
	s.ok(err)
	b := newBrowser(t, s.url)
	if got := b.form("/signin/link", "secret", secret); got.status != http.StatusSeeOther {
		t.Fatal(got.body)
	}
	b.makePasskey()
	contains(t, b.page("/account"), "Your account", p.ID.String()[:4])
	page := b.page("/")
	contains(t, page, ">acme<")
	lacks(t, page, s.asked.String(), "deployer", "Maya Chen")
	if got := b.get("/approvals/" + s.asked.String()); got.status != http.StatusNotFound {
		t.Errorf("default's approval: %d", got.status)
	}
}
