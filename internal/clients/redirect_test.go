package clients_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/clients"
)

func TestCheckRedirect(t *testing.T) {
	t.Parallel()
	for uri, host := range map[string]string{
		"https://app.example.com/cb": "app.example.com", "https://app.example.com": "app.example.com", "https://app.example.com:8443/cb?a=b": "app.example.com:8443",
		"https://app.example.com/a/../b": "app.example.com", "https://192.0.2.1/cb": "192.0.2.1", "https://[2001:db8::1]/cb": "[2001:db8::1]",
		"http://127.0.0.1/cb": "127.0.0.1", "http://127.0.0.1:3000/cb": "127.0.0.1:3000", "http://[::1]:3000/cb": "[::1]:3000", "http://localhost:3000/oauth/callback": "localhost:3000",
		"com.example.app:/cb": "com.example.app:", "com.example.app://host/cb": "com.example.app:", "com.example.app:/": "com.example.app:", "com.ex-1.app:/cb?x=%20": "com.ex-1.app:",
	} {
		if err := clients.CheckRedirect(uri); err != nil {
			t.Errorf("%q: %v", uri, err)
		}
		if got := clients.RedirectHost(uri); got != host {
			t.Errorf("%q goes to %q, want %q", uri, got, host)
		}
		if got := clients.LoopbackRedirect(uri); got != (strings.Contains(host, "127.0.0.1") || strings.Contains(host, "::1]") && !strings.Contains(host, "db8") || strings.Contains(host, "localhost")) {
			t.Errorf("%q on loopback: %v", uri, got)
		}
	}
	for _, uri := range []string{
		"", "/cb", "cb", "//app.example.com/cb", "https:", "https:///cb", "https:app.example.com", "HTTPS://app.example.com/cb", "https://App.example.com/cb",
		"https://app.example.com/cb#", "https://app.example.com/cb#x", "https://user@app.example.com/cb", "https://user:pw@app.example.com", "https://@app.example.com/cb",
		"https://app.example.com:/cb", "https://app.example.com:0/cb", "https://app.example.com:99999/cb", "https://app.example.com:x/cb", "https://*.example.com/cb",
		"https://app.example.com\\@evil.example/cb", "https://app.example.com/c b", "https://app.example.com/cb\n", "https://app.example.com/\x00", "https://bücher.example/cb",
		"https://app_1.example.com/cb", "https://app.example.com./cb", "https://[::1%25eth0]/cb", "https://[0:0::1]/cb",
		"https://app.example.com/cb?code=1", "https://app.example.com/cb?a=b&state=x", "https://app.example.com/cb?iss=x", "https://app.example.com/cb?error=x", "https://app.example.com/cb?%63ode=1",
		"https://app.example.com/cb?a=%zz", "https://app.example.com/cb?a;b",
		"http://app.example.com/cb", "http://127.0.0.1.example.com/cb", "http://localhost.example.com/cb", "http://0.0.0.0/cb", "http://192.168.0.1/cb", "http://127.0.0.1@evil.example/cb",
		"http://127.0.0.1:80@evil.example/cb", "http://2130706433/cb", "http://0x7f.1/cb",
		"javascript:alert(1)", "javascript://app.example.com/%0aalert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd", "blob:https://x/y", "about:blank", "ftp://x/y", "ws://localhost/x",
		"intent://x/#Intent;end", "mailto:a@b", "urn:ietf:wg:oauth:2.0:oob", "cursor://callback", "myapp:/cb", "com.example.app:cb", "com.example.app:", "com.example.app", "com..app:/cb",
		"com.example.app://user@host/cb", "Com.Example.App:/cb", "com.example.app:/cb#x", ".com:/x", "https://app.example.com/" + strings.Repeat("x", 1024),
	} {
		if err := clients.CheckRedirect(uri); fault.Code(err) != "redirect_invalid" {
			t.Errorf("%q: %v", uri, err)
		}
		if clients.RedirectHost(uri) != "" || clients.LoopbackRedirect(uri) || clients.MatchRedirect(uri, uri) {
			t.Errorf("%q is somewhere", uri)
		}
	}
}

func TestMatchRedirect(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		registered, asked string
		want              bool
	}{
		{"https://a.example/cb", "https://a.example/cb", true},
		{"https://a.example/cb", "https://a.example/cb/", false},
		{"https://a.example/cb", "https://a.example/cb?x=1", false},
		{"https://a.example/cb", "https://a.example/CB", false},
		{"https://a.example/cb", "https://a.example/%63b", false},
		{"https://a.example/cb", "https://a.example:443/cb", false},
		{"https://a.example:8443/cb", "https://a.example:9443/cb", false},
		{"https://a.example/cb", "https://a.example.evil.example/cb", false},
		{"https://a.example/cb", "https://sub.a.example/cb", false},
		{"https://a.example/", "https://a.example/cb", false},
		{"https://localhost:1/cb", "https://localhost:2/cb", false}, // a port is free over http alone (RFC 8252 §7.3)
		{"http://127.0.0.1/cb", "http://127.0.0.1:51004/cb", true},
		{"http://127.0.0.1:3000/cb", "http://127.0.0.1:51004/cb", true},
		{"http://127.0.0.1:3000/cb", "http://127.0.0.1/cb", true},
		{"http://[::1]/cb", "http://[::1]:51004/cb", true},
		{"http://localhost/cb", "http://localhost:51004/cb", true},
		{"http://localhost/cb", "http://127.0.0.1:51004/cb", false},
		{"http://127.0.0.1/cb", "http://[::1]/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.2/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:1/cb/x", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:1/", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:1/cb?x=1", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:1@evil.example/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:1/cb#x", false},
		{"http://127.0.0.1/cb", "https://127.0.0.1/cb", false},
		{"http://127.0.0.1", "http://127.0.0.1:1", true},
		{"http://127.0.0.1", "http://127.0.0.1:1/", false},
		{"com.example.app:/cb", "com.example.app:/cb", true},
		{"com.example.app:/cb", "com.example.app://cb", false},
		{"com.example.app://h:1/cb", "com.example.app://h:2/cb", false},
		{"", "", false},
	} {
		if got := clients.MatchRedirect(c.registered, c.asked); got != c.want {
			t.Errorf("%q for %q: %v", c.asked, c.registered, got)
		}
	}
	a := clients.App{Redirects: []string{"https://a.example/cb", "http://127.0.0.1/cb"}}
	for uri, want := range map[string]string{"https://a.example/cb": "", "http://127.0.0.1:9/cb": "", "https://a.example/": "redirect_unregistered", "": "redirect_unregistered"} {
		if err := a.Redirect(uri); fault.Code(err) != want {
			t.Errorf("%q: %v", uri, err)
		}
	}
}

// Whatever is accepted goes where a browser, too, would go with it, and matches itself alone: no other host than the registered one ever matches.
func FuzzRedirect(f *testing.F) {
	for _, s := range []string{"https://a.example/cb", "http://127.0.0.1:1/cb", "http://127.0.0.1:1@evil.example/cb", "com.example.app:/cb", "javascript:alert(1)", "http://[::1]/x?y=z"} {
		f.Add("http://127.0.0.1/cb", s)
	}
	f.Fuzz(func(t *testing.T, registered, asked string) {
		if clients.CheckRedirect(asked) != nil {
			if clients.MatchRedirect(registered, asked) {
				t.Errorf("%q was refused, and matches", asked)
			}
			return
		}
		u, err := url.Parse(asked)
		if err != nil || u.String() != asked || u.User != nil || u.Fragment != "" || strings.ContainsAny(asked, " #\\\r\n\x00") {
			t.Fatalf("%q passed", asked)
		}
		if u.Scheme != "https" && u.Scheme != "http" && !strings.Contains(u.Scheme, ".") || u.Query().Has("code") {
			t.Errorf("%q passed", asked)
		}
		if !clients.MatchRedirect(asked, asked) {
			t.Errorf("%q is not itself", asked)
		}
		if clients.MatchRedirect(registered, asked) && registered != asked {
			r, err := url.Parse(registered)
			if err != nil || u.Scheme != "http" || r.Scheme != "http" || r.Hostname() != u.Hostname() || r.RequestURI() != u.RequestURI() || !clients.LoopbackRedirect(asked) {
				t.Errorf("%q matches %q", asked, registered)
			}
		}
	})
}
