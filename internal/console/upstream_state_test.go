package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
)

// A state is good once, in the browser that left with it, from the provider that it left for, for ten minutes.
func TestUpstreamState(t *testing.T) {
	i, other := newIssuer(t), newIssuer(t)
	r := newRig(t, i.upstream("acme"), other.upstream("other"))

	b := newBrowser(t, r.url)
	trip := r.depart(b, i, "acme")
	if got := trip.backAt(newBrowser(t, r.url), "state", trip.asked.Get("state"), "code", trip.code(trip.claims("x")), "iss", i.url); got.code() != "wrong_browser" {
		t.Errorf("another browser: %s", got.code())
	}
	// An attacker lets the victim's browser finish what the attacker's began (login CSRF), while the victim signs in, too.
	victim, attacker := newBrowser(t, r.url), newBrowser(t, r.url)
	r.depart(victim, i, "acme")
	trip = r.depart(attacker, i, "acme")
	if got := trip.backAt(victim, "state", trip.asked.Get("state"), "code", trip.code(trip.claims("attacker")), "iss", i.url); got.code() != "wrong_browser" || victim.cookie() != "" {
		t.Errorf("login CSRF: %s", got.code())
	}
	if i.tokens != 0 {
		t.Error("a code was redeemed for a browser that did not leave")
	}
	// Mix-up: the browser left for one provider, and the answer comes to the other's callback.
	trip = r.depart(b, i, "acme")
	trip.name = "other"
	if got := trip.whole(trip.claims("x")); got.code() != "wrong_provider" || other.tokens != 0 {
		t.Errorf("mix-up: %s", got.code())
	}
	trip = r.depart(b, i, "acme")
	r.pass(10*time.Minute + time.Second)
	if got := trip.whole(trip.claims("x")); got.code() != "ticket_expired" {
		t.Errorf("late: %s", got.code())
	}
	// A code for another browser's challenge is worth nothing: its verifier stays with that browser.
	mine, theirs := r.depart(b, i, "acme"), r.depart(newBrowser(t, r.url), i, "acme")
	if got := mine.back("state", mine.asked.Get("state"), "code", theirs.code(theirs.claims("theirs")), "iss", i.url); got.code() != "provider_answer" || !strings.Contains(got.body, "invalid_grant") {
		t.Errorf("another's code: %s", got.code())
	}
	trip = r.depart(b, i, "acme")
	again := r.depart(b, i, "acme")
	if got := trip.whole(trip.claims("x")); got.code() != "wrong_browser" {
		t.Errorf("the window before: %s", got.code())
	}
	for name, state := range map[string]string{"none": "", "short": "x", "unknown": base64(make([]byte, 32))} {
		if got := again.back("state", state, "code", "x", "iss", i.url); got.status == http.StatusSeeOther || got.code() != "provider_answer" && got.code() != "ticket_unknown" {
			t.Errorf("state %s: %d %s", name, got.status, got.code())
		}
	}
	if got := again.whole(again.claims("x")); got.status != http.StatusSeeOther {
		t.Errorf("%d %s", got.status, said(got.body))
	}
	if got := again.whole(again.claims("x")); got.code() != "wrong_browser" && got.code() != "ticket_spent" {
		t.Errorf("replayed: %s", got.code())
	}
	if got := b.form("/signin/oidc/nobody"); got.status != http.StatusNotFound {
		t.Errorf("a provider that is not: %d", got.status)
	}
	if got := b.get("/signin/oidc/acme"); got.status != http.StatusNotFound && got.status != http.StatusMethodNotAllowed {
		t.Errorf("a GET begins: %d", got.status)
	}
	cross := func(q *http.Request) {
		q.Header.Set("Sec-Fetch-Site", "cross-site")
		q.Header.Set("Origin", "https://evil.example")
	}
	if got := b.send(http.MethodPost, "/signin/oidc/acme", "application/x-www-form-urlencoded", "", cross); got.status != http.StatusForbidden {
		t.Errorf("another site's page begins: %d", got.status)
	}
}

// Of many that come back with one state at once, one signs in; and of many first sign-ins of one subject, one makes the account.
func TestUpstreamAtOnce(t *testing.T) {
	i := newIssuer(t)
	r := newRig(t, i.upstream("acme"))
	const callers = 64
	b := newBrowser(t, r.url)
	one := r.depart(b, i, "acme")
	u, err := url.Parse(r.url)
	r.ok(err)
	cookies := b.http.Jar.Cookies(u)
	var in sync.Map
	var wg sync.WaitGroup
	for n := range callers {
		code := one.code(one.claims("x"))
		copied := newBrowser(t, r.url)
		copied.http.Jar.SetCookies(u, cookies)
		wg.Go(func() {
			got := one.backAt(copied, "state", one.asked.Get("state"), "code", code, "iss", i.url)
			if got.status == http.StatusSeeOther {
				in.Store(n, true)
			} else if c := got.code(); c != "ticket_spent" && c != "too_many" {
				t.Errorf("%d %s", got.status, c)
			}
		})
	}
	wg.Wait()
	n := 0
	in.Range(func(any, any) bool { n++; return true })
	if n != 1 || i.tokens != 1 {
		t.Errorf("%d signed in, %d codes were redeemed", n, i.tokens)
	}

	r.pass(2 * time.Minute)
	var trips []*trip
	for range 16 {
		b := newBrowser(t, r.url)
		trips = append(trips, r.depart(b, i, "acme"))
	}
	for _, each := range trips {
		wg.Go(func() {
			if got := each.whole(each.claims("newcomer")); got.status != http.StatusSeeOther {
				t.Errorf("%d %s", got.status, got.code())
			}
		})
	}
	wg.Wait()
	for _, each := range trips {
		if r.at(each.browser).id != r.at(trips[0].browser).id {
			t.Error("one subject became two people")
		}
	}
	if n := len(r.events(id.Default, evidence.UserAdded)); n != 2 {
		t.Errorf("%d people were added, want 2", n)
	}
}
