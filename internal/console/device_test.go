package console_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/dpop"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/tickets"
	"github.com/attorn/attorn/jose"
)

// laptop is a key that asks for somebody to confirm it.
type laptop struct {
	*rig
	signer jose.Signer
	codes  guard.DeviceCodes
}

func (r *rig) laptop(purpose tickets.Purpose, name string) *laptop {
	r.t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	r.ok(err)
	l := &laptop{rig: r}
	l.signer, err = jose.NewSigner(key)
	r.ok(err)
	l.codes, err = r.AskDevice(r.t.Context(), guard.DeviceAsk{Workspace: id.Default, Purpose: purpose, Name: name}, l.credentials("/oauth/device"))
	r.ok(err)
	return l
}

func (l *laptop) credentials(path string) guard.Credentials {
	l.t.Helper()
	proof, err := dpop.Sign(l.signer, dpop.Claims{Method: "POST", URL: l.url + path, JTI: rand.Text(), Nonce: l.Challenge(), IssuedAt: l.now()})
	l.ok(err)
	return guard.Credentials{Method: "POST", URL: l.url + path, DPoP: []string{proof}, IP: "203.0.113.7", Face: "oauth"}
}

func (l *laptop) key() string { return l.signer.Public().Thumbprint().String() }

func (l *laptop) collect() (guard.DeviceMade, error) {
	_, made, err := l.DeviceToken(l.t.Context(), l.codes.Device, l.credentials("/oauth/token"))
	return made, err
}

// A person who comes with the link, not signed in yet, comes back to it after signing in, sees what asks, and makes a new agent of it.
func TestDevicePage(t *testing.T) {
	r := newRig(t)
	priya := r.firstOwner("Priya Nair")
	l := r.laptop(tickets.ForAgent, "coder")
	link := strings.TrimPrefix(l.codes.PageWithCode, r.url)

	got := newBrowser(t, r.url).get(link)
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "/signin?next=%2Fdevice%3Fuser_code%3D"+l.codes.User {
		t.Fatalf("not signed in: %d %s", got.status, got.header.Get("Location"))
	}
	contains(t, newBrowser(t, r.url).page(got.header.Get("Location")), `data-next="/device?user_code=`+l.codes.User+`"`)
	for _, evil := range []string{"/device?user_code=BCDF-GHJK&x=1", "/device?user_code=%22", "//evil.example", "/device?next=/"} {
		contains(t, newBrowser(t, r.url).page("/signin?next="+strings.ReplaceAll(strings.ReplaceAll(evil, "&", "%26"), "?", "%3F")), `data-next="/"`)
	}

	page := priya.page(link)
	contains(t, page, l.codes.User, l.key(), "attorn-cli", "203.0.113.7", "coder", `name="agent" value="new" checked`, `name="name" value="coder"`, "only if you started this yourself, just now",
		`<button class="btn pri" name="verdict" value="confirm">`, `formnovalidate>Refuse`)
	contains(t, priya.page("/device"), `name="user_code"`, `method="get"`)

	got = priya.form("/device", "user_code", strings.ToLower(l.codes.User), "agent", "new", "name", " coder ", "verdict", "confirm")
	if got.status != http.StatusOK {
		t.Fatal(got.status, got.body)
	}
	contains(t, got.body, "Confirmed", l.key(), "coder")
	made, err := l.collect()
	r.ok(err)
	if made.Name != "coder" || made.Agent.Owner != priya.id {
		t.Errorf("%+v", made)
	}

	// The next one is offered as one more instance of that agent, and takes the name of none that is taken.
	l = r.laptop(tickets.ForAgent, "coder")
	link = "/device?user_code=" + l.codes.User
	contains(t, priya.page(link), `name="agent" value="`+made.Agent.ID.String()+`" checked`, `name="name" value=""`)
	got = priya.form("/device", "user_code", l.codes.User, "agent", "new", "name", "coder", "verdict", "confirm")
	if got.status != http.StatusConflict {
		t.Errorf("a name that is taken: %d", got.status)
	}
	contains(t, got.body, "had, an agent named coder", l.key())
	got = priya.form("/device", "user_code", l.codes.User, "agent", made.Agent.ID.String(), "name", "", "verdict", "confirm")
	contains(t, got.body, "Confirmed", made.Agent.ID.String())
	if again, err := l.collect(); err != nil || again.Agent.ID != made.Agent.ID {
		t.Errorf("%+v %v", again, err)
	}
}

func TestDevicePageRefuses(t *testing.T) {
	r := newRig(t)
	priya := r.firstOwner("Priya Nair")
	maya := priya.invite("Maya Chen")
	theirs := priya.register("theirs", "")
	l := r.laptop(tickets.ForAgent, "")
	code := l.codes.User

	for _, c := range []struct {
		what   string
		got    answer
		status int
		text   string
	}{
		{"a wrong code", maya.get("/device?user_code=BCDF-GHJK"), http.StatusNotFound, `name="user_code"`},
		{"no verdict", maya.form("/device", "user_code", code, "agent", "new", "name", "x"), http.StatusBadRequest, "neither confirm nor deny"},
		{"no agent", maya.form("/device", "user_code", code, "verdict", "confirm"), http.StatusBadRequest, "is confirmed for one agent"},
		{"what is no agent", maya.form("/device", "user_code", code, "agent", "x", "verdict", "confirm"), http.StatusBadRequest, "names no agent"},
		{"another's agent", maya.form("/device", "user_code", code, "agent", theirs.id.String(), "verdict", "confirm"), http.StatusForbidden, code},
		{"a field too many", maya.form("/device", "user_code", code, "verdict", "confirm", "workspace", "default"), http.StatusBadRequest, ""},
		{"another site", maya.send(http.MethodPost, "/device", "application/x-www-form-urlencoded", "user_code="+code+"&agent=new&name=x&verdict=confirm", func(q *http.Request) {
			q.Header.Set("Sec-Fetch-Site", "cross-site")
			q.Header.Set("Origin", "https://evil.example")
		}), http.StatusForbidden, "another site"},
		{"nobody", newBrowser(t, r.url).form("/device", "user_code", code, "agent", "new", "name", "x", "verdict", "confirm"), http.StatusSeeOther, ""},
	} {
		if c.got.status != c.status || !strings.Contains(c.got.body, c.text) {
			t.Errorf("%s: %d %s", c.what, c.got.status, c.got.body)
		}
	}
	if _, err := l.collect(); err == nil || err.Error() != "nobody has confirmed the code yet" {
		t.Errorf("%v", err)
	}
	contains(t, maya.form("/device", "user_code", code, "verdict", "deny").body, "Refused")
	if _, err := l.collect(); err == nil || err.Error() != "the person refused" {
		t.Errorf("%v", err)
	}
	if got := maya.form("/device", "user_code", code, "agent", "new", "name", "x", "verdict", "confirm"); got.status != http.StatusNotFound {
		t.Errorf("confirmed after it was refused: %d", got.status)
	}
	// The sixth wrong code of a minute is not even looked up.
	for range 5 {
		maya.get("/device?user_code=BCDF-GHJK")
	}
	l = r.laptop(tickets.ForAgent, "")
	if got := maya.get("/device?user_code=" + l.codes.User); got.status != http.StatusTooManyRequests {
		t.Errorf("after five wrong codes: %d", got.status)
	}
}

// A person's own key takes a sign-in of now.
func TestDevicePageForAPerson(t *testing.T) {
	r := newRig(t)
	priya := r.firstOwner("Priya Nair")
	l := r.laptop(tickets.ForPerson, "")
	link := "/device?user_code=" + l.codes.User
	page := priya.page(link)
	contains(t, page, "whoever holds it acts as you", l.key(), "It is mine: add the key")
	lacks(t, page, `name="agent"`, "more than five minutes ago")
	r.pass(5*time.Minute + time.Second)
	contains(t, priya.page(link), "more than five minutes ago", `value="confirm" disabled`)
	got := priya.form("/device", "user_code", l.codes.User, "verdict", "confirm")
	if got.status != http.StatusForbidden {
		t.Errorf("an old session: %d %s", got.status, got.body)
	}
	priya.form("/signout")
	priya.signIn()
	contains(t, priya.form("/device", "user_code", l.codes.User, "verdict", "confirm").body, "one of your own", l.key(), priya.id.String())
	made, err := l.collect()
	r.ok(err)
	if made.User != priya.id || made.Name != "Priya Nair" {
		t.Errorf("%+v", made)
	}
}

// What a device proposes is a name or nothing, and the page is our markup alone.
func TestDevicePageIsHarmless(t *testing.T) {
	r := newRig(t)
	priya := r.firstOwner(hidden + "<b>")
	l := r.laptop(tickets.ForAgent, "coder")
	harmless(t, "the page", priya.page("/device?user_code="+l.codes.User))
	harmless(t, "a wrong code", priya.get("/device?user_code="+`%22%3E%3Cscript%3E`).body)
	harmless(t, "a wrong name", priya.form("/device", "user_code", l.codes.User, "agent", "new", "name", tags+hidden, "verdict", "confirm").body)
	harmless(t, "confirmed", priya.form("/device", "user_code", l.codes.User, "agent", "new", "name", "x", "verdict", "confirm").body)
	own := r.laptop(tickets.ForPerson, "")
	harmless(t, "a person's", priya.form("/device", "user_code", own.codes.User, "verdict", "confirm").body)
}
