package console_test

import (
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/attorn/attorn/attorntest"
	"github.com/attorn/attorn/internal/console"
)

// The table of console.md §1, on every answer of the whole product's console: pages, errors, redirects, JSON, files.
func TestHeaders(t *testing.T) {
	server := attorntest.Start(t, attorntest.Config{})
	b := newBrowser(t, server.URL)
	if got := b.form("/signin/link", "secret", server.Link, "name", "Priya"); got.status != http.StatusSeeOther {
		t.Fatal(got.body)
	}
	b.makePasskey()
	cross := func(r *http.Request) {
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		r.Header.Set("Origin", "https://evil.example")
	}
	for _, c := range []struct {
		name   string
		got    answer
		status int
		kind   string
		cache  string
	}{
		{"first page", b.get("/"), 200, "text/html; charset=utf-8", "no-store"},
		{"passkeys", b.get("/passkey"), 200, "text/html; charset=utf-8", "no-store"},
		{"sign-in, signed in", b.get("/signin"), 303, "", "no-store"},
		{"sign-in", newBrowser(t, server.URL).get("/signin"), 200, "text/html; charset=utf-8", "no-store"},
		{"not signed in", newBrowser(t, server.URL).get("/passkey"), 303, "", "no-store"},
		{"no such page", b.get("/nowhere"), 404, "text/html; charset=utf-8", "no-store"},
		{"no such approval", b.get("/approvals/x"), 404, "text/html; charset=utf-8", "no-store"},
		{"what is lent", b.get("/lent"), 200, "text/html; charset=utf-8", "no-store"},
		{"JSON", b.post("/passkey/begin", struct{}{}, nil), 200, "application/json", "no-store"},
		{"a problem", b.post("/passkey/finish", struct{}{}, nil), 400, "application/problem+json", "no-store"},
		{"a form where JSON belongs", b.form("/passkey/begin"), 415, "application/problem+json", "no-store"},
		{"from another site", b.post("/passkey/begin", struct{}{}, nil, cross), 403, "text/html; charset=utf-8", "no-store"},
		{"style sheet", b.get("/static/app.css"), 200, "text/css; charset=utf-8", "public, max-age=3600"},
		{"script", b.get("/static/app.js"), 200, "text/javascript; charset=utf-8", "public, max-age=3600"},
		{"font", b.get("/static/inter.woff2"), 200, "font/woff2", "public, max-age=3600"},
		{"no such file", b.get("/static/../doc.go"), 307, "", ""},
		{"no such file of ours", b.get("/static/layout.html"), 404, "text/html; charset=utf-8", "no-store"},
	} {
		if c.got.status != c.status || c.kind != "" && c.got.header.Get("Content-Type") != c.kind || c.cache != "" && c.got.header.Get("Cache-Control") != c.cache {
			t.Errorf("%s: %d %v", c.name, c.got.status, c.got.header)
		}
		if c.cache == "" {
			continue
		}
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; " +
				"form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
			"Referrer-Policy": "same-origin", "X-Content-Type-Options": "nosniff", "Cross-Origin-Opener-Policy": "same-origin",
			"Permissions-Policy": "publickey-credentials-get=(self), publickey-credentials-create=(self)",
		} {
			if got := c.got.header.Values(name); len(got) != 1 || got[0] != want {
				t.Errorf("%s: %s: %q", c.name, name, got)
			}
		}
	}
	for _, m := range regexp.MustCompile(`/static/[\w.]+\?v=[\w-]+`).FindAllString(b.page("/"), -1) {
		if got := b.get(m); got.header.Get("Cache-Control") != "public, max-age=31536000, immutable" {
			t.Errorf("%s: %v", m, got.header)
		}
	}
	if got := b.get("/healthz"); got.body != "ok\n" {
		t.Error("the console hides what others answer")
	}
}

// Nothing that another site's page can make a browser send changes anything.
func TestCrossSiteRequests(t *testing.T) {
	s := newStory(t)
	secret, _, err := s.newLink()
	s.ok(err)
	cookies := s.maya.cookie()
	for name, change := range map[string]func(*http.Request){
		"fetch metadata": func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site"); r.Header.Del("Origin") },
		"same site": func(r *http.Request) {
			r.Header.Set("Sec-Fetch-Site", "same-site")
			r.Header.Set("Origin", "http://localhost:1")
		},
		"origin":    func(r *http.Request) { r.Header.Del("Sec-Fetch-Site"); r.Header.Set("Origin", "https://evil.example") },
		"no origin": func(r *http.Request) { r.Header.Del("Sec-Fetch-Site"); r.Header.Set("Origin", "null") },
	} {
		for _, path := range []string{
			"/signin/link", "/signin/begin", "/signin/finish", "/passkey/begin", "/passkey/finish", "/signout",
			"/approvals/" + s.asked.String() + "/challenge", "/approvals/" + s.asked.String() + "/vote", "/lent/" + s.root.Statement.ID.String() + "/revoke",
		} {
			got := s.maya.send("POST", path, "application/x-www-form-urlencoded", "secret="+secret, change)
			if got.status != http.StatusForbidden || got.code() != "cross_origin" {
				t.Errorf("%s: POST %s: %d %s", name, path, got.status, got.code())
			}
		}
	}
	if s.maya.cookie() != cookies || !s.maya.signedIn() {
		t.Error("somebody was signed out, or in, by another site")
	}
	if got := newBrowser(t, s.url).form("/signin/link", "secret", secret); got.status != http.StatusSeeOther {
		t.Errorf("the link was used up by another site: %d", got.status)
	}
	for _, path := range []string{"/signout", "/signin/begin", "/passkey/begin", "/approvals/" + s.asked.String() + "/vote"} {
		if got := s.maya.get(path); got.status != http.StatusNotFound {
			t.Errorf("GET %s: %d", path, got.status)
		}
	}
	if !s.maya.signedIn() {
		t.Error("a GET signed out")
	}
}

func (s *story) newLink() (secret string, name string, err error) {
	p, secret, err := s.Invite(s.t.Context(), s.priya.caller(), "Lena")
	return secret, p.Name, err
}

func TestForms(t *testing.T) {
	r := newRig(t)
	secret, err := r.BootstrapLink(t.Context())
	r.ok(err)
	b := newBrowser(t, r.url)
	for name, c := range map[string]struct {
		kind, body string
		status     int
	}{
		"JSON":           {"application/json", `{"secret":"` + secret + `"}`, 415},
		"no type":        {"", "secret=" + secret, 415},
		"twice":          {"application/x-www-form-urlencoded", "secret=" + secret + "&secret=x&name=P", 400},
		"another field":  {"application/x-www-form-urlencoded", "secret=" + secret + "&name=P&admin=1", 400},
		"no form":        {"application/x-www-form-urlencoded", "secret=%zz", 400},
		"too large":      {"application/x-www-form-urlencoded", "secret=" + strings.Repeat("x", 9<<10), 413},
		"semicolons":     {"application/x-www-form-urlencoded", "secret=" + secret + ";name=P", 400},
		"in the address": {"application/x-www-form-urlencoded", "", 401},
	} {
		if got := b.send("POST", "/signin/link?secret="+secret+"&name=P", c.kind, c.body); got.status != c.status || b.cookie() != "" {
			t.Errorf("%s: %d", name, got.status)
		}
	}
	b.form("/signin/link", "secret", secret, "name", "Priya")
	if got := b.post("/passkey/finish", []byte(strings.Repeat("x", 65<<10)), nil); got.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a large body: %d", got.status)
	}
}

// The cookie is for this host alone over https, and can be kept by a browser on http://localhost; no script reads it.
func TestCookies(t *testing.T) {
	for issuer, want := range map[string]string{
		"https://attorn.example": `__Host-attorn=\S{43}; Path=/; Max-Age=28800; HttpOnly; Secure; SameSite=Lax`,
		"":                       `attorn-dev=\S{43}; Path=/; Max-Age=28800; HttpOnly; SameSite=Lax`,
	} {
		r := newRig(t)
		mux := http.NewServeMux()
		if issuer == "" {
			issuer = r.url
		}
		console.Mount(mux, console.Config{Issuer: issuer, Guard: r.Guard, Explain: r.explain, Now: r.now, Log: slog.New(slog.DiscardHandler)})
		secret, err := r.BootstrapLink(t.Context())
		r.ok(err)
		q := httptest.NewRequest("POST", "/signin/link", strings.NewReader("name=Priya&secret="+secret))
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		q.Header.Set("Sec-Fetch-Site", "same-origin")
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, q)
		if got := w.Header().Values("Set-Cookie"); len(got) != 1 || !regexp.MustCompile("^"+want+"$").MatchString(got[0]) {
			t.Errorf("%s: %d %q", issuer, w.Code, got)
		}
	}
}

// Everything comes from this server, and nothing is written where the policy would refuse it: no page has a style= or an on…= attribute, an inline
// script, or an address elsewhere; no file but its own is asked for.
func TestPagesKeepToTheirPolicy(t *testing.T) {
	attribute := regexp.MustCompile(`<[^>]*\s(style|on\w+)\s*=`)
	inline := regexp.MustCompile(`(?s)<script[^>]*>[^<]|<style|javascript:`)
	address := regexp.MustCompile(`(?:src|href|action)="([^"]*)"`)
	all, err := fs.Glob(os.DirFS("testdata"), "*.html")
	if err != nil || len(all) < 20 {
		t.Fatal(all, err)
	}
	for _, name := range all {
		page, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if got := attribute.FindString(string(page)); got != "" {
			t.Errorf("%s: %s", name, got)
		}
		if got := inline.FindString(string(page)); got != "" {
			t.Errorf("%s: %s", name, got)
		}
		for _, m := range address.FindAllStringSubmatch(string(page), -1) {
			if to := m[1]; !strings.HasPrefix(to, "/") && !strings.HasPrefix(to, "#") && !strings.HasPrefix(to, "http://localhost:7070/") || strings.HasPrefix(to, "//") {
				t.Errorf("%s leads to %s", name, to)
			}
		}
	}
	sheet, err := os.ReadFile("static/app.css")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`url\(([^)]*)\)|@import`).FindAllStringSubmatch(string(sheet), -1) {
		if m[1] != "inter.woff2" && m[1] != "mono.woff2" {
			t.Errorf("the sheet loads %s", m[0])
		}
	}
	_, rest, _ := strings.Cut(string(sheet), "\n*{")
	if got := regexp.MustCompile(`#[0-9a-fA-F]{3,8}\b|rgb\(|light-dark\(`).FindString(rest); got != "" {
		t.Errorf("a colour outside :root: %s", got)
	}
}

// The budgets of console.md §9.
func TestBudgets(t *testing.T) {
	size := func(name string) (n int) {
		for _, f := range strings.Fields(name) {
			info, err := os.Stat(f)
			if err != nil {
				t.Fatal(err)
			}
			n += int(info.Size())
		}
		return n
	}
	for name, most := range map[string]int{
		"static/app.css": 20 << 10, "static/app.js": 20 << 10, "testdata/approval-voter.html": 20 << 10, "testdata/event-permitted.html": 20 << 10,
		"static/app.css static/app.js static/icon.svg static/inter.woff2 static/mono.woff2 testdata/overview-after.html": 160 << 10,
	} {
		if n := size(name); n > most {
			t.Errorf("%s: %d bytes, the budget is %d", name, n, most)
		}
	}
	script, err := os.ReadFile("static/app.js")
	if err != nil || strings.Count(string(script), "\n") > 400 {
		t.Error("app.js has more than 400 lines", err)
	}
}
