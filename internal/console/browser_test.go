package console_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/attorntest"
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/jose"
)

// browser is a browser with a passkey in it, as far as the console needs one.
type browser struct {
	t    testing.TB
	base string
	http *http.Client
	key  *attorntest.SoftPasskey
}

func newBrowser(t testing.TB, url string) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t, url, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, attorntest.NewSoftPasskey(key)}
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// send sends a request as a page of the console would.
func (b *browser) send(method, path, kind, body string, change ...func(*http.Request)) answer {
	b.t.Helper()
	r, err := http.NewRequest(method, b.base+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if method == http.MethodPost {
		r.Header.Set("Origin", b.base)
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	for _, c := range change {
		c(r)
	}
	got, err := b.http.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer got.Body.Close()
	all, err := io.ReadAll(got.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{got.StatusCode, got.Header, string(all)}
}

func (b *browser) get(path string, change ...func(*http.Request)) answer {
	b.t.Helper()
	return b.send(http.MethodGet, path, "", "", change...)
}

// page is a page that is there.
func (b *browser) page(path string) string {
	b.t.Helper()
	got := b.get(path)
	if got.status != http.StatusOK {
		b.t.Fatalf("GET %s: %d %s %s", path, got.status, got.header.Get("Location"), got.body)
	}
	return got.body
}

func (b *browser) form(path string, fields ...string) answer {
	b.t.Helper()
	v := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		v.Add(fields[i], fields[i+1])
	}
	return b.send(http.MethodPost, path, "application/x-www-form-urlencoded", v.Encode())
}

// post does what app.js does; out may be nil.
func (b *browser) post(path string, in any, out any, change ...func(*http.Request)) answer {
	b.t.Helper()
	body, raw := in.([]byte)
	if !raw {
		var err error
		if body, err = json.Marshal(in); err != nil {
			b.t.Fatal(err)
		}
	}
	got := b.send(http.MethodPost, path, "application/json", string(body), change...)
	if out != nil {
		if got.status != http.StatusOK {
			b.t.Fatalf("POST %s: %d %s", path, got.status, got.body)
		}
		if err := json.Unmarshal([]byte(got.body), out); err != nil {
			b.t.Fatal(err)
		}
	}
	return got
}

// code is the problem's, or the status's text where there is none.
func (a answer) code() string {
	var p api.Problem
	if err := json.Unmarshal([]byte(a.body), &p); err == nil && p.Code != "" {
		return p.Code
	}
	if m := regexp.MustCompile(`<p class="note"><code>([a-z_]+)</code> · <code>req_`).FindStringSubmatch(a.body); m != nil {
		return m[1]
	}
	return http.StatusText(a.status)
}

func (b *browser) cookie() string {
	b.t.Helper()
	u, err := url.Parse(b.base)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, c := range b.http.Jar.Cookies(u) {
		if c.Name == "attorn-dev" {
			return c.Value
		}
	}
	return ""
}

// options are those of either ceremony.
type options struct {
	Challenge delegation.Bytes `json:"challenge"`
	User      struct {
		ID delegation.Bytes `json:"id"`
	} `json:"user"`
	RPID string `json:"rpId"`
	RP   struct {
		ID string `json:"id"`
	} `json:"rp"`
	Exclude []struct {
		ID string `json:"id"`
	} `json:"excludeCredentials"`
	Allow []struct {
		ID string `json:"id"`
	} `json:"allowCredentials"`
}

// makePasskey registers the browser's passkey.
func (b *browser) makePasskey() {
	b.t.Helper()
	var o options
	b.post("/passkey/begin", struct{}{}, &o)
	b.key.UserHandle = o.User.ID
	b.post("/passkey/finish", b.key.Register(o.Challenge, o.RP.ID, b.base), &struct{}{})
}

func (b *browser) signIn() answer {
	b.t.Helper()
	var o options
	b.post("/signin/begin", struct{}{}, &o)
	return b.post("/signin/finish", b.key.SignIn(o.Challenge, o.RPID, b.base), nil)
}

// proposal is what a vote would sign.
type proposal struct {
	Statement string  `json:"statement"`
	Options   options `json:"options"`
}

func (b *browser) propose(a id.Approval, vote, reason string) (p proposal, got answer) {
	b.t.Helper()
	got = b.post("/approvals/"+a.String()+"/challenge", map[string]string{"vote": vote, "reason": reason}, nil)
	if got.status == http.StatusOK {
		if err := json.Unmarshal([]byte(got.body), &p); err != nil {
			b.t.Fatal(err)
		}
	}
	return p, got
}

// ballot is what app.js hands in.
type ballot struct {
	Statement string               `json:"statement"`
	Assertion delegation.Assertion `json:"assertion"`
}

func (b *browser) sign(statement string) ballot {
	digest := id.Sum([]byte(statement)).Bytes()
	return ballot{statement, b.key.Assert(digest[:], "localhost", b.base)}
}

func (b *browser) cast(a id.Approval, v ballot) answer {
	b.t.Helper()
	return b.post("/approvals/"+a.String()+"/vote", v, nil)
}

func (b *browser) vote(a id.Approval, vote, reason string) answer {
	b.t.Helper()
	p, got := b.propose(a, vote, reason)
	if got.status != http.StatusOK {
		return got
	}
	return b.cast(a, b.sign(p.Statement))
}

// person is somebody at a browser.
type person struct {
	*rig
	*browser
	t  testing.TB
	id id.User
}

func (r *rig) at(b *browser) *person {
	r.t.Helper()
	_, p, err := r.Session(r.t.Context(), b.cookie(), id.Default, "")
	r.ok(err)
	return &person{r, b, r.t, p.ID}
}

// caller is the person at the door, by the browser's session.
func (p *person) caller() *guard.Caller {
	p.t.Helper()
	c, _, err := p.Session(p.t.Context(), p.cookie(), id.Default, "127.0.0.1")
	p.ok(err)
	return c
}

// firstOwner signs the first administrator in.
func (r *rig) firstOwner(name string) *person {
	r.t.Helper()
	secret, err := r.BootstrapLink(r.t.Context())
	r.ok(err)
	return r.join(secret, name)
}

// join uses a link and makes a passkey.
func (r *rig) join(secret, name string) *person {
	r.t.Helper()
	b := newBrowser(r.t, r.url)
	fields := []string{"secret", secret}
	if name != "" {
		fields = append(fields, "name", name)
	}
	if got := b.form("/signin/link", fields...); got.status != http.StatusSeeOther || got.header.Get("Location") != "/passkey" {
		r.t.Fatalf("the link: %d %s", got.status, got.body)
	}
	b.makePasskey()
	return r.at(b)
}

func (p *person) invite(name string, roles ...string) *person {
	p.t.Helper()
	_, secret, err := p.Invite(p.t.Context(), p.caller(), name)
	p.ok(err)
	other := p.join(secret, "")
	for _, role := range roles {
		_, _, err := p.Bind(p.t.Context(), p.caller(), guard.NewBinding{Principal: other.id.String(), Role: role})
		p.ok(err)
	}
	return other
}

func base64(b []byte) string { return jose.EncodeBase64(b) }

func contains(t testing.TB, body string, wanted ...string) {
	t.Helper()
	for _, w := range wanted {
		if !strings.Contains(body, w) {
			t.Errorf("the page does not have %q:\n%s", w, indent(body))
		}
	}
}

func lacks(t testing.TB, body string, unwanted ...string) {
	t.Helper()
	for _, w := range unwanted {
		if strings.Contains(body, w) {
			t.Errorf("the page has %q", w)
		}
	}
}

func indent(body string) string {
	return string(bytes.ReplaceAll([]byte(body), []byte("\n"), []byte("\n\t")))
}
