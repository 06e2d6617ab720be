package console_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/console"
	"github.com/attorn/attorn/internal/guard"
)

// chromium is a real browser, each of its pages with a virtual authenticator of its own.
type chromium struct{ *node }

func startChromium(t testing.TB) *chromium {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("there is no chromium; run: apt-get install -y chromium")
	}
	return &chromium{startNode(t, "chromium.mjs", program)}
}

// do is one command (see testdata/browser/chromium.mjs); out may be nil.
func (c *chromium) do(verb, page string, out any, more ...string) {
	c.t.Helper()
	command := map[string]string{"do": verb, "page": page}
	for i := 0; i < len(more); i += 2 {
		command[more[i]] = more[i+1]
	}
	reply := struct {
		OK    any    `json:"ok"`
		Error string `json:"error"`
	}{OK: out}
	if err := json.Unmarshal([]byte(c.tell(command)), &reply); err != nil {
		c.t.Fatal(err)
	}
	if reply.Error != "" {
		c.shot(page, "failed")
		c.t.Fatalf("%s\nthe page says: %s\nand complains of: %q", reply.Error, c.read(page, "body"), c.problems())
	}
}

func (c *chromium) open(page string)       { c.t.Helper(); c.do("open", page, nil) }
func (c *chromium) visit(page, url string) { c.t.Helper(); c.do("goto", page, nil, "to", url) }
func (c *chromium) click(page, at string)  { c.t.Helper(); c.do("click", page, nil, "at", at) }
func (c *chromium) fill(page, at, text string) {
	c.t.Helper()
	c.do("fill", page, nil, "at", at, "to", text)
}

func (c *chromium) arrive(page, path string) { c.t.Helper(); c.do("arrive", page, nil, "to", path) }

func (c *chromium) read(page, at string) (text string) {
	c.t.Helper()
	c.do("read", page, &text, "at", at)
	return text
}

func (c *chromium) problems() (all []string) {
	c.t.Helper()
	c.do("problems", "", &all)
	return all
}

// says demands that a part of the page has a text.
func (c *chromium) says(page, at, want string) {
	c.t.Helper()
	if got := c.read(page, at); !strings.Contains(got, want) {
		c.t.Errorf("%s says %q, want %q", at, got, want)
	}
}

// shot keeps a picture, where ATTORN_TEST_SHOTS names a directory.
func (c *chromium) shot(page, name string) {
	c.t.Helper()
	if dir := os.Getenv("ATTORN_TEST_SHOTS"); dir != "" {
		c.do("shot", page, nil, "to", filepath.Join(dir, name+".png"))
	}
}

// cookie is one of the page's.
type cookie struct {
	Name     string `json:"name"`
	Value    string `json:"value"`
	HTTPOnly bool   `json:"httpOnly"`
	SameSite string `json:"sameSite"`
}

func (c *chromium) cookie(page, name string) (found cookie) {
	c.t.Helper()
	var all []cookie
	c.do("cookies", page, &all)
	for _, k := range all {
		if k.Name == name {
			found = k
		}
	}
	return found
}

// The first administrator, passkeys, a sign-in through the certified provider, and a vote, as people do them: in Chromium, which complains of nothing.
func TestChromium(t *testing.T) {
	l := listen(t)
	home := "http://localhost:" + portOf(l)
	acme := startProvider(t, home+"/signin/oidc/acme/callback", "hush", "RS256", false, map[string]account{
		"noor": {map[string]any{"name": "Noor Haddad", "groups": []string{"Platform Team"}}, "", []string{"pwd", "otp", "mfa"}},
	})
	r := newLiveRig(t, l, console.Upstream{
		Name: "acme", Issuer: acme.issuer, ClientID: "attorn", Secret: "hush", Scopes: []string{"openid", "profile"}, Create: true, Workspace: id.Default,
		GroupsClaim: "groups", Groups: map[string]string{"Platform Team": "platform"}, MFA: []string{"mfa"},
	})
	r.makeGroups("platform")
	secret, err := r.BootstrapLink(t.Context())
	r.ok(err)
	c := startChromium(t)

	// The first administrator's link, a name, a passkey.
	c.open("ada")
	c.visit("ada", r.Link(secret))
	c.shot("ada", "link")
	c.click("ada", "#link button")
	c.fill("ada", "#name", "Ada Lovelace")
	c.click("ada", "#link button")
	c.arrive("ada", "/passkey")
	c.shot("ada", "passkey")
	c.click("ada", "#register")
	c.arrive("ada", "/")
	c.says("ada", ".me", "Ada Lovelace")
	c.says("ada", ".me", "owner")
	c.shot("ada", "overview")
	if k := c.cookie("ada", "attorn-dev"); !k.HTTPOnly || k.SameSite != "Lax" {
		t.Errorf("the session's cookie is %+v", k)
	}

	// Signed out, and in with the passkey.
	before := c.cookie("ada", "attorn-dev").Value
	c.click("ada", "form[action='/signout'] button")
	c.arrive("ada", "/signin")
	c.shot("ada", "signin")
	c.says("ada", "main", "Sign in with acme")
	c.click("ada", "#signin")
	c.arrive("ada", "/")
	if c.cookie("ada", "attorn-dev").Value == before {
		t.Error("the session is the one of before")
	}

	// A second passkey, on another authenticator; then either signs in.
	c.visit("ada", home+"/passkey")
	c.do("authenticator", "ada", nil)
	c.click("ada", "#register")
	c.arrive("ada", "/")
	c.visit("ada", home+"/passkey")
	if n := strings.Count(c.read("ada", "main ul.rows"), "made"); n != 2 {
		t.Errorf("%d passkeys are listed, want 2", n)
	}
	c.shot("ada", "passkeys")
	c.click("ada", "form[action='/signout'] button")
	c.arrive("ada", "/signin")
	c.click("ada", "#signin")
	c.arrive("ada", "/")

	// Somebody new, through the provider: the form's policy lets the browser go there, and its cookie comes back from another site.
	c.open("noor")
	c.visit("noor", home+"/passkey")
	c.arrive("noor", "/signin")
	c.click("noor", "text=Sign in with acme")
	c.fill("noor", "input[name=user]", "noor")
	c.shot("noor", "provider")
	c.click("noor", "button")
	c.arrive("noor", "/passkey")
	c.says("noor", ".me", "Noor Haddad")
	c.says("noor", ".me", "no role")
	s, p, err := r.People.Session(t.Context(), c.cookie("noor", "attorn-dev").Value, r.now())
	if err != nil || s.ACR != 2 || r.groupsOf(p.ID) != "platform" || c.cookie("noor", "attorn-dev-trip").Value != "" {
		t.Errorf("%+v %+v %v", s, p, err)
	}
	c.click("noor", "#register") // right after signing in
	c.arrive("noor", "/")
	c.visit("noor", home+"/account")
	c.click("noor", "text=Accounts at other providers")
	c.arrive("noor", "/account/upstream")
	c.says("noor", "main", "noor")
	c.says("noor", "main", "An account is added within five minutes of signing in with a passkey")
	c.shot("noor", "accounts")
	c.click("noor", "form[action='/signout'] button")
	c.arrive("noor", "/signin")
	c.click("noor", "#signin")
	c.arrive("noor", "/")
	c.says("noor", ".me", "Noor Haddad")

	// A vote: what is signed is what the page shows.
	story := newStory(t)
	_, secret, err = story.Invite(t.Context(), story.priya.caller(), "Omar Said")
	r.ok(err)
	c.open("omar")
	c.visit("omar", story.Link(secret))
	c.click("omar", "#link button")
	c.arrive("omar", "/passkey")
	c.click("omar", "#register")
	c.arrive("omar", "/")
	_, omar, err := story.People.Session(t.Context(), c.cookie("omar", "attorn-dev").Value, story.now())
	r.ok(err)
	_, _, err = story.Bind(t.Context(), story.priya.caller(), guard.NewBinding{Principal: omar.ID.String(), Role: "release-manager"})
	r.ok(err)
	c.visit("omar", story.ApprovalURL(story.asked))
	c.shot("omar", "approval")
	c.click("omar", "#vote button[value=approve]")
	c.do("click", "omar", nil, "at", "text=Approved")
	voted := story.events(id.Default, evidence.ApprovalVoted)
	if len(voted) != 1 || voted[0].Who.Sub != omar.ID.String() || voted[0].What.Status != "approved" {
		t.Errorf("%+v", voted)
	}
	c.shot("omar", "approved")
	if all := c.problems(); len(all) > 0 {
		t.Errorf("the browser complains: %q", all)
	}

	// A provider that is out of reach says so on a page of ours.
	down := newRig(t, console.Upstream{Name: "gone", Issuer: "http://127.0.0.1:9", ClientID: "attorn", Workspace: id.Default})
	c.open("lost")
	c.visit("lost", down.url+"/signin")
	c.click("lost", "text=Sign in with gone")
	c.says("lost", "main", "gone cannot be reached")
	c.shot("lost", "down")
	if res, err := http.Get(down.url + "/signin/oidc/gone/callback"); err != nil || res.StatusCode != http.StatusUnauthorized {
		t.Errorf("%v %v", res, err)
	}
}
