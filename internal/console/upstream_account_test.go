package console_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/guard"
)

// Who is not known gets no account where the provider may not make one, unless they are awaited by an address that the provider verified: once.
func TestUpstreamInvitation(t *testing.T) {
	i := newIssuer(t)
	known := i.upstream("acme")
	known.Create = false
	r := newRig(t, known)
	owner := r.firstOwner("Priya")
	if _, got := r.signInAt(i, "acme", "noor-1", nil); got.code() != "identity_unknown" {
		t.Errorf("%d %s", got.status, got.code())
	}
	noor, made, err := r.InviteEmail(t.Context(), owner.caller(), "Noor", "Noor@Acme.example")
	r.ok(err)
	for _, bad := range []string{"noor", "@acme.example", "noor@", "a@b@c", "noor@acme.example\n", "nöör@acme.example", strings.Repeat("n", 250) + "@acme.example"} {
		if _, _, err := r.InviteEmail(t.Context(), owner.caller(), "Noor", bad); fault.Code(err) != "email_invalid" {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, _, err := r.InviteEmail(t.Context(), owner.caller(), "Another", "noor@acme.example"); fault.Code(err) != "already_invited" {
		t.Errorf("%v", err)
	}
	for name, email := range map[string]map[string]any{
		"not verified":           {"email": "noor@acme.example"},
		"said not to be":         {"email": "noor@acme.example", "email_verified": false},
		"a text":                 {"email": "noor@acme.example", "email_verified": "true"},
		"another":                {"email": "maya@acme.example", "email_verified": true},
		"a look-alike":           {"email": "noor@аcme.example", "email_verified": true},
		"two":                    {"email": []string{"noor@acme.example"}, "email_verified": true},
		"in capitals, the claim": {"Email": "noor@acme.example", "email_verified": true},
	} {
		if _, got := r.signInAt(i, "acme", "noor-1", func(c map[string]any) {
			for k, v := range email {
				c[k] = v
			}
		}); got.code() != "identity_unknown" {
			t.Errorf("%s: %d %s", name, got.status, got.code())
		}
	}
	verified := func(c map[string]any) { c["email"], c["email_verified"] = "noor@acme.EXAMPLE", true }
	b, got := r.signInAt(i, "acme", "noor-1", verified)
	if got.status != http.StatusSeeOther || r.at(b).id != noor.ID {
		t.Fatalf("%d %s", got.status, said(got.body))
	}
	if _, _, _, err := r.SignInPage(t.Context(), made, "", ""); fault.Code(err) != "ticket_spent" { // or whoever made it would become her
		t.Errorf("the link, after she has arrived: %v", err)
	}
	changed := r.events(id.Default, evidence.UserChanged)
	if len(changed) != 1 || changed[0].What.User != noor.ID || changed[0].Who.Proof.Type != "oidc" {
		t.Errorf("%+v", changed)
	}
	if _, got := r.signInAt(i, "acme", "thief", verified); got.code() != "identity_unknown" {
		t.Errorf("the invitation again: %d %s", got.status, got.code())
	}
	if _, got := r.signInAt(i, "acme", "noor-1", nil); got.status != http.StatusSeeOther { // by the subject from now on
		t.Errorf("%d %s", got.status, said(got.body))
	}

	r.pass(time.Minute) // the limit forgets

	// Who used the link is not awaited any more, and an invitation ends.
	_, link, err := r.InviteEmail(t.Context(), owner.caller(), "Maya", "maya@acme.example")
	r.ok(err)
	r.join(link, "")
	mayas := func(c map[string]any) { c["email"], c["email_verified"] = "maya@acme.example", true }
	if _, got := r.signInAt(i, "acme", "maya-1", mayas); got.code() != "identity_unknown" {
		t.Errorf("after the link: %d %s", got.status, got.code())
	}
	_, _, err = r.InviteEmail(t.Context(), r.owner(owner), "Omar", "omar@acme.example")
	r.ok(err)
	r.pass(15 * 24 * time.Hour)
	if _, got := r.signInAt(i, "acme", "omar-1", func(c map[string]any) { c["email"], c["email_verified"] = "omar@acme.example", true }); got.code() != "identity_unknown" {
		t.Errorf("after its end: %d %s", got.status, got.code())
	}
}

// owner signs in again and is the caller.
func (r *rig) owner(p *person) *guard.Caller {
	r.t.Helper()
	if got := p.signIn(); got.status != http.StatusOK {
		r.t.Fatal(said(got.body))
	}
	return p.caller()
}

// To change how one signs in, one has just proved anew who one is; and another account is added by who signed in with a passkey.
func TestUpstreamStepUpAndLink(t *testing.T) {
	i := newIssuer(t)
	r := newRig(t, i.upstream("acme"))
	b, got := r.signInAt(i, "acme", "noor-1", func(c map[string]any) { c["auth_time"] = r.now().Unix() - 3600 })
	if got.status != http.StatusSeeOther {
		t.Fatal(said(got.body))
	}
	contains(t, b.page("/passkey"), "Sign in again with acme", `name="fresh" value="1"`)
	if got := b.post("/passkey/begin", struct{}{}, nil); got.code() != "sign_in_old" {
		t.Errorf("an hour after signing in: %s", got.code())
	}
	for name, change := range map[string]func(map[string]any){
		"not said": func(c map[string]any) { delete(c, "auth_time") },
		"old":      func(c map[string]any) { c["auth_time"] = r.now().Unix() - 31 },
		"a text":   func(c map[string]any) { c["auth_time"] = "now" },
	} {
		trip := r.depart(b, i, "acme", "fresh", "1", "next", "/passkey")
		if trip.asked.Get("prompt") != "login" || trip.asked.Get("max_age") != "0" {
			t.Errorf("asked for %v", trip.asked)
		}
		c := trip.claims("noor-1")
		change(c)
		if got := trip.whole(c); got.code() != "provider_answer" || !strings.Contains(got.body, "(auth_time)") {
			t.Errorf("%s: %d %s", name, got.status, said(got.body))
		}
	}
	before := b.cookie()
	trip := r.depart(b, i, "acme", "fresh", "1", "next", "/passkey")
	c := trip.claims("noor-1")
	c["auth_time"] = r.now().Unix()
	if got := trip.whole(c); got.status != http.StatusSeeOther || got.header.Get("Location") != "/passkey" {
		t.Fatalf("%d %s", got.status, said(got.body))
	}
	if b.cookie() == before {
		t.Error("the session is the one of before the step-up")
	}
	lacks(t, b.page("/passkey"), "Sign in again with acme")
	b.makePasskey()
	noor := r.at(b).id

	// Not by the upstream sign-in, however fresh.
	if got := b.form("/signin/oidc/acme", "link", "1"); got.code() != "passkey_needed" {
		t.Errorf("%s", got.code())
	}
	if got := newBrowser(t, r.url).form("/signin/oidc/acme", "link", "1"); got.code() != "session_unknown" {
		t.Errorf("nobody links: %s", got.code())
	}
	if got := b.signIn(); got.status != http.StatusOK {
		t.Fatal(said(got.body))
	}
	contains(t, b.page("/account/upstream"), "noor-1", "Add your account at acme")
	trip = r.depart(b, i, "acme", "link", "1")
	if got := trip.whole(trip.claims("noor-at-home")); got.status != http.StatusSeeOther || got.header.Get("Location") != "/account/upstream" {
		t.Fatalf("%d %s", got.status, said(got.body))
	}
	contains(t, b.page("/account/upstream"), "noor-at-home")
	home, got := r.signInAt(i, "acme", "noor-at-home", nil)
	if got.status != http.StatusSeeOther || r.at(home).id != noor {
		t.Errorf("%d %s", got.status, said(got.body))
	}
	// What is somebody's is nobody else's, and what was begun is finished by who began it.
	_, got = r.signInAt(i, "acme", "maya-1", nil)
	if got.status != http.StatusSeeOther {
		t.Fatal(said(got.body))
	}
	trip = r.depart(b, i, "acme", "link", "1")
	if got := trip.whole(trip.claims("maya-1")); got.code() != "identity_in_use" {
		t.Errorf("another's account: %s", got.code())
	}
	trip = r.depart(b, i, "acme", "link", "1")
	if got := b.form("/signout"); got.status != http.StatusSeeOther {
		t.Fatal(said(got.body))
	}
	if got := trip.whole(trip.claims("noor-3")); got.code() != "session_unknown" {
		t.Errorf("signed out meanwhile: %d %s", got.status, got.code())
	}
	if got := b.signIn(); got.status != http.StatusOK {
		t.Fatal(said(got.body))
	}
	r.pass(6 * time.Minute)
	if got := b.form("/signin/oidc/acme", "link", "1"); got.code() != "sign_in_old" {
		t.Errorf("six minutes after: %s", got.code())
	}
	remove := func() answer { return b.form("/account/upstream/remove", "issuer", i.url, "subject", "noor-at-home") }
	if got := remove(); got.code() != "sign_in_old" {
		t.Errorf("removed six minutes after: %s", got.code())
	}
	if got := b.signIn(); got.status != http.StatusOK {
		t.Fatal(said(got.body))
	}
	if got := remove(); got.status != http.StatusSeeOther {
		t.Errorf("%d %s", got.status, said(got.body))
	}
	if got := remove(); got.status != http.StatusNotFound {
		t.Errorf("removed twice: %d", got.status)
	}
	lacks(t, b.page("/account/upstream"), "noor-at-home")
	if _, got := r.signInAt(i, "acme", "noor-at-home", nil); got.code() != "identity_ended" {
		t.Errorf("after it was removed: %d %s", got.status, got.code())
	}
	// The last way in stays.
	lone, got := r.signInAt(i, "acme", "lone", nil)
	if got.status != http.StatusSeeOther {
		t.Fatal(said(got.body))
	}
	if got := lone.form("/account/upstream/remove", "issuer", i.url, "subject", "lone"); got.code() != "lockout" {
		t.Errorf("%d %s", got.status, got.code())
	}
	if got := lone.form("/account/upstream/remove", "issuer", i.url, "subject", "noor-1"); got.code() != "lockout" && got.status != http.StatusNotFound {
		t.Errorf("another's account was removed: %d", got.status)
	}
}
