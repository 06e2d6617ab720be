package console_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/lending"
)

// How the pages of a consent look, and that whoever cannot see them finds their way.
func TestChromiumConsentLooks(t *testing.T) {
	c := startChromium(t)
	r, priya, maya := newAsk(t)
	c.open("priya")
	c.do("session", "priya", nil, "to", priya.cookie(), "at", r.url)
	a := r.asksFor("tool:files:read_file", "tool:files:write_file", "tool:files:wipe")
	a.Permissions[1].Where = map[string]delegation.Constraint{"path": prefix("notes/")}
	a.Task = guard.TaskAsk{Purpose: "To keep your meeting notes in order.", ExpiresIn: 8 * 3600, MaxUses: 100, MaxDepth: 1}
	path := r.begin(a)
	c.visit("priya", r.url+path)
	c.click("priya", "input[name=keep2]")
	c.looks("priya", "consent")
	c.do("open", "maya", nil, "js", "off")
	c.do("session", "maya", nil, "to", maya.cookie(), "at", r.url)
	c.visit("maya", r.url+path)
	c.looks("maya", "consent-other")
	a = r.asksFor()
	a.Client, a.Redirect = r.registered("Claude Desktop"), desktop
	c.visit("maya", r.url+r.begin(a))
	c.looks("maya", "consent-registered")
	omar := priya.withoutPasskey("Omar Said")
	c.do("session", "maya", nil, "to", omar.cookie(), "at", r.url)
	a = r.asksFor("tool:files:read_file")
	c.visit("maya", r.url+r.begin(a))
	c.looks("maya", "consent-attested")
	r.pass(time.Minute)
	a.Prompt = []string{"login"}
	c.visit("priya", r.url+r.begin(a))
	c.looks("priya", "consent-again")
	for _, p := range c.problems() {
		if !strings.Contains(p, "403 (Forbidden)") { // of the question that is another's
			t.Error("the browser complains:", p)
		}
	}
}

// client is a program of somebody else's that takes answers at a loopback address; with on it sends the browser on to another address of its own.
func client(t *testing.T, on string) (redirect string, answered chan url.Values) {
	t.Helper()
	answered = make(chan url.Values, 8)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path != "/callback" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		answered <- q.URL.Query()
		if on != "" {
			http.Redirect(w, q, on, http.StatusSeeOther)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<!doctype html><title>client</title><link rel=icon href=data:,><main>the client has its answer</main>")
	}))
	t.Cleanup(server.Close)
	return server.URL + "/callback", answered
}

// press presses a key until what has the focus begins so, or, with "", once.
func (c *chromium) press(page, key, until string) {
	c.t.Helper()
	var now string
	for range 60 {
		if c.do("press", page, &now, "to", key); strings.HasPrefix(now, until) {
			return
		}
	}
	c.t.Fatalf("%s never reaches %q; the last was %q", key, until, now)
}

// ask is a question of an app at a loopback address, about two tools.
func (r *rig) ask(redirect string) guard.AuthRequest {
	a := r.asksFor("tool:files:read_file", "tool:files:write_file")
	a.Client, a.Redirect = r.registered("Desktop"), redirect
	a.Task.Purpose = "to tidy up"
	return a
}

// authorize is the address that an app opens in the browser to ask for the same (RFC 6749 §4.1.1).
func (r *rig) authorize(a guard.AuthRequest) string {
	var scope []string
	for _, p := range a.Permissions {
		scope = append(scope, p.Permission)
	}
	q := url.Values{
		"response_type": {"code"}, "client_id": {a.Client}, "redirect_uri": {a.Redirect}, "state": {a.State}, "code_challenge": {a.Challenge}, "code_challenge_method": {"S256"},
		"resource": a.Resources, "scope": {strings.Join(scope, " ")}, "authorization_details": {`[{"type":"attorn_task","purpose":"` + a.Task.Purpose + `"}]`},
	}
	return r.url + "/oauth/authorize?" + q.Encode()
}

// lately is what the person lent last.
func (r *rig) lately(by id.User) lending.Delegation {
	r.t.Helper()
	lent, err := r.Lending.LentBy(r.t.Context(), id.Default, by, r.now(), r.now(), 1)
	r.ok(err)
	if len(lent.Live) == 0 {
		r.t.Fatal("nothing is lent")
	}
	return lent.Live[0]
}

// with demands that a client's answer brought a code, for what it asked and by this server (RFC 9207), or the person's no.
func (r *rig) with(t *testing.T, answer url.Values, refused string) {
	t.Helper()
	if answer.Get("state") != "s" || answer.Get("iss") != r.url || answer.Get("error") != refused || (len(answer.Get("code")) == 43) != (refused == "") {
		t.Errorf("the client's answer is %v", answer)
	}
}

// A person signs in, strikes out, shortens and signs, with the keyboard alone; the statement is what the page showed, and the client hears of it.
func TestChromiumConsent(t *testing.T) {
	c := startChromium(t)
	r, priya, _ := newAsk(t)
	omar, secret, err := r.Invite(t.Context(), priya.caller(), "Omar Said")
	r.ok(err)
	c.open("omar")
	c.visit("omar", r.Link(secret))
	c.click("omar", "#link button")
	c.arrive("omar", "/passkey")
	c.click("omar", "#register")
	c.arrive("omar", "/")
	c.click("omar", "form[action='/signout'] button")
	c.arrive("omar", "/signin")

	redirect, answered := client(t, "")
	c.visit("omar", r.authorize(r.ask(redirect)))
	c.arrive("omar", "/signin")
	c.press("omar", "Tab", "button signin")
	c.do("press", "omar", nil, "to", "Enter")
	c.says("omar", ".ask h1", "An app without an address")
	c.press("omar", "Tab", "input  keep1")
	c.do("press", "omar", nil, "to", "Space")
	c.press("omar", "Tab", "select ttl")
	c.do("press", "omar", nil, "to", "1") // the first that begins so: 1 day
	c.press("omar", "Tab", "input uses")
	c.do("press", "omar", nil, "to", "5")
	c.do("press", "omar", nil, "to", "Enter") // answers nothing
	c.says("omar", ".hop .cut", "tool:files:write_file")
	c.press("omar", "Tab", "button  verdict allow")
	c.do("press", "omar", nil, "to", "Enter")
	c.arrive("omar", "/callback")
	c.says("omar", "main", "the client has its answer")
	r.with(t, <-answered, "")
	lent := r.lately(omar.ID)
	st := lent.Link.Statement
	if lent.Link.Delegator.Passkey == nil || len(st.Permissions) != 1 || st.Permissions[0].Permission != "tool:files:read_file" || st.ExpiresAt-st.NotBefore != 24*3600 || *st.MaxUses != 5 {
		t.Errorf("%+v", st)
	}
	c.visit("omar", r.url+"/lent")
	c.says("omar", "main", lent.ID.String())
	c.looks("omar", "lent-app")

	// What the server would have signed is not what the page shows: nothing is signed.
	path := r.begin(r.ask(redirect))
	c.visit("omar", r.url+path)
	for what, change := range map[string]string{
		"further": `"max_depth":0=>"max_depth":3`, "another tool": "read_file=>wipe", "another person's": `"user":"usr_=>"user":"usr_0`, "another purpose": "to tidy up=>to tidy",
		"one member more": `"max_depth":0=>"max_depth":0,"max_uses":9`, "another agent": `"agent":"agt_0=>"agent":"agt_1`, "another workspace": `"ws":"default"=>"ws":"acme"`,
	} {
		c.do("tamper", "omar", nil, "at", "**/propose", "to", change)
		c.click("omar", "button[value=allow]")
		c.do("click", "omar", nil, "at", "#error:not([hidden])")
		if got := c.read("omar", "#error"); got != "This request has changed. Reload to see it." {
			t.Errorf("%s: %q", what, got)
		}
		c.visit("omar", r.url+path)
	}
	c.shot("omar", "consent-before")
	c.click("omar", "input[name=keep0]")
	c.click("omar", "input[name=keep1]")
	c.click("omar", "button[value=allow]")
	c.says("omar", "#error", "Nothing is left")
	c.shot("omar", "consent-nothing")
	c.click("omar", "button[value=refuse]")
	c.arrive("omar", "/callback")
	r.with(t, <-answered, "access_denied")

	// A client may ask for a sign-in first: it is back at the same question after it.
	a := r.ask(redirect)
	a.Prompt = []string{"login"}
	r.pass(time.Minute)
	path = r.begin(a)
	r.pass(time.Second)
	c.visit("omar", r.url+path)
	c.says("omar", "main", "Sign in again first")
	c.click("omar", "#signin")
	c.do("click", "omar", nil, "at", "button[value=allow]:not([disabled])")
	c.arrive("omar", "/callback")
	r.with(t, <-answered, "")
	if all := c.problems(); len(all) > 0 {
		t.Errorf("the browser complains: %q", all)
	}
}

// Who has no passkey answers by a form, without JavaScript, too: the page's policy lets the browser go on to the client.
func TestChromiumConsentByForm(t *testing.T) {
	c := startChromium(t)
	r, priya, _ := newAsk(t)
	omar := priya.withoutPasskey("Omar Said")
	c.do("open", "plain", nil, "js", "off")
	c.do("session", "plain", nil, "to", omar.cookie(), "at", r.url)
	redirect, answered := client(t, "")
	c.visit("plain", r.url+r.begin(r.ask(redirect)))
	c.click("plain", "input[name=keep0]")
	c.fill("plain", "input[name=task]", "T-1")
	c.do("press", "plain", nil, "to", "Enter") // shows the page once more, as it is
	c.says("plain", ".hop .cut", "tool:files:read_file")
	c.click("plain", "button[value=allow]")
	c.arrive("plain", "/callback")
	r.with(t, <-answered, "")
	lent := r.lately(omar.id)
	if st := lent.Link.Statement; lent.Link.Delegator.Attested == nil || len(st.Permissions) != 1 || st.Permissions[0].Permission != "tool:files:write_file" || st.Task != "T-1" {
		t.Errorf("%+v", st)
	}
	c.visit("plain", r.url+r.begin(r.ask(redirect)))
	c.click("plain", "button[value=refuse]")
	c.arrive("plain", "/callback")
	r.with(t, <-answered, "access_denied")

	// With JavaScript the browser goes on by itself, also where the client sends it further.
	last, _ := client(t, "")
	redirect, answered = client(t, strings.Replace(last, "127.0.0.1", "localhost", 1))
	c.open("omar")
	c.do("session", "omar", nil, "to", omar.cookie(), "at", r.url)
	c.visit("omar", r.url+r.begin(r.ask(redirect)))
	c.click("omar", "button[value=allow]")
	c.arrive("omar", "/callback")
	c.says("omar", "main", "the client has its answer")
	r.with(t, <-answered, "")
	if all := c.problems(); len(all) > 0 {
		t.Errorf("the browser complains: %q", all)
	}
}
