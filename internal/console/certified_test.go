package console_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/console"
)

// walk goes on from a provider's authorization endpoint as somebody at a browser does: it signs in where it is asked to, and stops at our own
// callback, whose address it gives.
func walk(t testing.TB, jar http.CookieJar, at, user, home string) string {
	t.Helper()
	hc := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	var form url.Values
	for range 12 {
		if strings.HasPrefix(at, home) {
			return strings.TrimPrefix(at, home)
		}
		var res *http.Response
		var err error
		if form != nil {
			res, err = hc.PostForm(at, form)
		} else {
			res, err = hc.Get(at)
		}
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		to, err := res.Location()
		switch {
		case err == nil:
			at, form = to.String(), nil
		case res.StatusCode == http.StatusOK && strings.Contains(string(body), `name="user"`):
			form = url.Values{"user": {user}}
		default:
			t.Fatalf("%s: %d %s", at, res.StatusCode, body)
		}
	}
	t.Fatal("the provider goes round in circles")
	return ""
}

// signInWith goes all the way through the provider.
func (r *rig) signInWith(jar http.CookieJar, name, user string, fields ...string) (*browser, answer) {
	r.t.Helper()
	b := newBrowser(r.t, r.url)
	got := b.form("/signin/oidc/"+name, fields...)
	to := refresh.FindStringSubmatch(got.header.Get("Refresh"))
	if to == nil {
		r.t.Fatalf("%d %s", got.status, said(got.body))
	}
	return b, b.get(walk(r.t, jar, to[1], user, r.url))
}

func newJar(t testing.TB) http.CookieJar {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return jar
}

// Through other people's certified provider: confidential and with claims at UserInfo, and public with an Ed25519 key and claims in the ID token.
func TestCertifiedProvider(t *testing.T) {
	l := listen(t)
	home := "http://localhost:" + portOf(l)
	noor := account{map[string]any{"name": "Noor Haddad", "email": "noor@acme.example", "email_verified": true, "groups": []string{"Platform Team", "All"}}, "urn:acme:mfa", []string{"pwd", "otp"}}
	maya := account{map[string]any{"name": "Maya <b>Chen</b>"}, "", []string{"pwd"}}
	users := map[string]account{"noor": noor, "maya": maya}
	acme := startProvider(t, home+"/signin/oidc/acme/callback", "a secret/of+this?server", "RS256", false, users)
	other := startProvider(t, home+"/signin/oidc/other/callback", "", "EdDSA", true, map[string]account{"noor": {map[string]any{"name": "Another Noor"}, "", []string{"hwk"}}})
	up := func(name string, c *certified, secret string) console.Upstream {
		return console.Upstream{
			Name: name, Issuer: c.issuer, ClientID: "attorn", Secret: secret, Scopes: []string{"openid", "profile", "email"}, Create: true, Workspace: id.Default,
			GroupsClaim: "groups", Groups: map[string]string{"Platform Team": "platform"}, ACR: map[string]int{"urn:acme:mfa": 2}, MFA: []string{"mfa", "hwk"},
		}
	}
	r := newLiveRig(t, l, up("acme", acme, "a secret/of+this?server"), up("other", other, ""))
	r.makeGroups("platform")

	jar := newJar(t)
	b, got := r.signInWith(jar, "acme", "noor", "next", "/passkey")
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "/passkey" {
		t.Fatalf("%d %s", got.status, said(got.body))
	}
	first := r.at(b).id
	s, p, err := r.People.Session(t.Context(), b.cookie(), r.now())
	if err != nil || p.Name != "Noor Haddad" || s.ACR != 2 || s.AuthTime.Unix() == 0 || r.groupsOf(first) != "platform" {
		t.Errorf("%+v %+v %v, groups %q", s, p, err, r.groupsOf(first))
	}
	if a := r.events(id.Default, evidence.UserSignedIn)[0].What.Auth; a.ACR != "urn:acme:mfa" || strings.Join(a.AMR, " ") != "pwd otp" {
		t.Errorf("%+v", a)
	}

	// The provider still knows her, so nothing is asked there; her group was taken from her meanwhile.
	noor.Claims["groups"] = []string{"All"}
	acme.setUsers(users)
	again, got := r.signInWith(jar, "acme", "nobody")
	if got.status != http.StatusSeeOther || r.at(again).id != first || r.groupsOf(first) != "" {
		t.Errorf("%d %s; groups %q", got.status, said(got.body), r.groupsOf(first))
	}
	// To prove anew who one is, one is asked, however well the provider knows one.
	fresh, got := r.signInWith(jar, "acme", "noor", "fresh", "1", "next", "/passkey")
	if got.status != http.StatusSeeOther || r.at(fresh).id != first {
		t.Fatalf("%d %s", got.status, said(got.body))
	}
	fresh.makePasskey()

	// The same subject of another issuer is somebody else.
	b, got = r.signInWith(newJar(t), "other", "noor")
	if got.status != http.StatusSeeOther || r.at(b).id == first {
		t.Errorf("%d %s", got.status, said(got.body))
	}
	if s, p, err := r.People.Session(t.Context(), b.cookie(), r.now()); err != nil || s.ACR != 2 || p.Name != "Another Noor" {
		t.Errorf("%+v %+v %v", s, p, err)
	}
	b, got = r.signInWith(newJar(t), "acme", "maya")
	if got.status != http.StatusSeeOther {
		t.Fatalf("%d %s", got.status, said(got.body))
	}
	if s, _, err := r.People.Session(t.Context(), b.cookie(), r.now()); err != nil || s.ACR != 1 {
		t.Errorf("%+v %v", s, err)
	}
	lacks(t, b.page("/"), "<b>Chen")
	if b, got := r.signInWith(newJar(t), "acme", "mallory"); got.code() != "provider_answer" || !strings.Contains(got.body, "access_denied") || b.cookie() != "" {
		t.Errorf("%d %s", got.status, said(got.body))
	}

	// Mix-up: what one provider answers means nothing at the other's callback; and its code is good once.
	b = newBrowser(t, r.url)
	to := refresh.FindStringSubmatch(b.form("/signin/oidc/acme").header.Get("Refresh"))[1]
	back := walk(t, newJar(t), to, "noor", r.url)
	if got := b.get(strings.Replace(back, "/oidc/acme/", "/oidc/other/", 1)); got.code() != "wrong_provider" {
		t.Errorf("%d %s", got.status, got.code())
	}
	if got := b.get(back); got.code() != "ticket_spent" {
		t.Errorf("%d %s", got.status, got.code())
	}
	q, err := url.ParseQuery(back[strings.IndexByte(back, '?')+1:])
	r.ok(err)
	to = refresh.FindStringSubmatch(b.form("/signin/oidc/acme").header.Get("Refresh"))[1]
	u, err := url.Parse(to)
	r.ok(err)
	if got := b.get("/signin/oidc/acme/callback?" + url.Values{"state": {u.Query().Get("state")}, "code": q["code"], "iss": q["iss"]}.Encode()); got.code() != "provider_answer" || !strings.Contains(got.body, "invalid_grant") {
		t.Errorf("a code of another trip: %d %s", got.status, said(got.body))
	}
}
