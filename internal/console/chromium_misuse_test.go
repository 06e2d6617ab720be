package console_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/clients"
)

// What is unusual about a question is said where it is decided: a bearer app, letters that look like others, somebody who was let in again.
func TestChromiumConsentStates(t *testing.T) {
	c := startChromium(t)
	i := newIssuer(t)
	r := newRig(t, i.upstream("acme"))
	priya := r.firstOwner("Priya Nair")
	r.pass(time.Second)
	maya := priya.invite("Maya Chen")
	priya.addFiles(rulesOfTheStory)
	const foreignAt = "https://xn--ntes-vqa.example/client.json"
	r.apps[foreignAt] = `{"client_id":"` + foreignAt + `","client_name":"Notes","redirect_uris":["https://xn--ntes-vqa.example/callback"]}`
	r.notesCallsItself("Notes")
	_, _, err := r.SetClientRule(t.Context(), priya.caller(), clients.Rule{Workspace: id.Default, Client: foreignAt, Allow: true, Bearer: true})
	r.ok(err)
	c.open("maya")
	c.do("session", "maya", nil, "to", maya.cookie(), "at", r.url)
	a := r.asksFor("tool:files:read_file", "tool:files:write_file")
	a.Client, a.Redirect = foreignAt, "https://xn--ntes-vqa.example/callback"
	c.visit("maya", r.url+r.begin(a))
	c.says("maya", "main", "whoever holds one of its tokens can use it")
	c.says("maya", ".ask h1", "xn--ntes-vqa.example")
	c.says("maya", "main", "Elsewhere it may look just like one that you know")
	c.looks("maya", "consent-bearer")

	// Who was let in again lends nothing for a day, and hears so before they choose.
	secret, err := r.Recover(t.Context(), priya.caller(), maya.id, "lost it")
	r.ok(err)
	again := r.join(secret, "")
	c.open("again")
	c.do("session", "again", nil, "to", again.cookie(), "at", r.url)
	path := r.begin(r.asksFor("tool:files:read_file"))
	c.visit("again", r.url+path)
	c.says("again", ".act", "You can refuse.")
	c.looks("again", "consent-recovered")
	if body := again.page(path); strings.Contains(body, `value="allow"`) {
		t.Error("a yes is offered to who cannot give it")
	}

	// Somebody from a provider, without a passkey, of whom a client wants a better sign-in.
	b, got := r.signInAt(i, "acme", "noor-1", nil)
	if got.status != http.StatusSeeOther {
		t.Fatal(got.body)
	}
	c.open("noor")
	c.do("session", "noor", nil, "to", b.cookie(), "at", r.url)
	c.visit("noor", r.url+r.begin(r.asksFor("tool:files:read_file")))
	c.says("noor", "main", "You have no passkey")
	c.looks("noor", "consent-upstream")
	q := r.asksFor("tool:files:read_file")
	q.ACR = []string{"urn:attorn:acr:2"}
	c.visit("noor", r.url+r.begin(q))
	c.says("noor", "main", "Sign in again with acme")
	c.looks("noor", "consent-stepup")

	// The name or what it asks has changed since.
	first := r.asksFor("tool:files:read_file")
	path = r.begin(first)
	st, answered := priya.proposeLend(path, picked{Keep: []int{0}, TTL: 3600})
	if answered.status != http.StatusOK || priya.give(path, st).status != http.StatusOK {
		t.Fatal(answered.body)
	}
	r.pass(2 * time.Hour)
	priya.signIn()
	r.notesCallsItself("Nоtes Pro")
	c.open("priya")
	c.do("session", "priya", nil, "to", priya.cookie(), "at", r.url)
	c.visit("priya", r.url+r.begin(r.asksFor("tool:files:read_file", "tool:files:wipe")))
	c.says("priya", "main", "Since you last allowed it")
	c.looks("priya", "consent-changed")
	if all := c.problems(); len(all) > 0 {
		t.Errorf("the browser complains: %q", all)
	}
}

// A question is answered once, by the person it is tied to, on a page of ours that is nobody else's frame.
func TestChromiumConsentMisuse(t *testing.T) {
	c := startChromium(t)
	r, priya, maya := newAsk(t)
	omar := priya.withoutPasskey("Omar Said")
	redirect, answered := client(t, "")
	c.open("omar")
	c.do("session", "omar", nil, "to", omar.cookie(), "at", r.url)
	c.do("open", "tab", nil, "beside", "omar")

	// Twice: in two tabs, by going back, and by pressing twice.
	path := r.begin(r.ask(redirect))
	c.visit("omar", r.url+path)
	c.visit("tab", r.url+path)
	c.click("omar", "button[value=allow]")
	c.arrive("omar", "/callback")
	r.with(t, <-answered, "")
	c.click("tab", "button[value=allow]")
	c.do("click", "tab", nil, "at", "text=This question is over")
	c.do("back", "omar", nil) // not to the question: the answer took its place
	c.visit("omar", r.url+path)
	c.says("omar", "h1", "This question is over")
	c.looks("omar", "consent-over")

	// Everything struck out.
	path = r.begin(r.ask(redirect))
	c.visit("omar", r.url+path)
	c.click("omar", "input[name=keep0]")
	c.click("omar", "input[name=keep1]")
	c.click("omar", "button[value=allow]")
	c.says("omar", "#error:not([hidden])", "Nothing is left")
	c.looks("omar", "consent-nothing-left")

	// Signed out in another tab: one signs in and is back at the question.
	c.visit("tab", r.url+"/")
	c.click("tab", "form[action='/signout'] button")
	c.arrive("tab", "/signin")
	c.click("omar", "input[name=keep0]")
	c.click("omar", "button[value=allow]")
	c.arrive("omar", "/signin")
	c.says("omar", "main", "Sign in")
	if _, _, err := r.Session(t.Context(), omar.cookie(), id.Default, ""); err == nil {
		t.Error("the session goes on")
	}
	// Somebody else at the same browser is told nothing of it.
	c.do("session", "omar", nil, "to", maya.cookie(), "at", r.url)
	c.visit("omar", r.url+path)
	c.says("omar", "h1", "This question is not for you")

	// Another site's page: its form changes nothing, and it cannot show the question in a frame.
	path = r.begin(r.ask(redirect))
	maya.page(path)
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<!doctype html><title>evil</title><link rel=icon href=data:,><main>evil<form method=post action="%s"><input type=hidden name=verdict value=refuse><button>win</button></form><iframe src="%[1]s"></iframe></main>`, r.url+path)
	}))
	t.Cleanup(evil.Close)
	c.visit("omar", evil.URL)
	var frames []string
	c.do("frames", "omar", &frames)
	if text := strings.Join(frames, "\n"); strings.Contains(text, "asks to act in your name") || !strings.Contains(text, "evil") {
		t.Errorf("the frames say %q", frames)
	}
	c.click("omar", "button")
	c.says("omar", "main", "another site's page")
	c.looks("omar", "cross-origin")
	contains(t, maya.page(path), `value="allow"`) // it is still open
	for _, p := range c.problems() {
		if !strings.Contains(p, "frame-ancestors") && !strings.Contains(p, "403 (Forbidden)") && !strings.Contains(p, "409 (Conflict)") && !strings.Contains(p, "410 (Gone)") && !strings.Contains(p, "401 (Unauthorized)") {
			t.Error("the browser complains:", p)
		}
	}
}
