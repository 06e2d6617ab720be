package console_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A provider that is down, or is none, keeps nobody from starting the server, says so on a page, and is asked again later.
func TestUpstreamDown(t *testing.T) {
	i := newIssuer(t)
	for name, c := range map[string]func(){
		"broken":          func() { i.serve[discovery] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) } },
		"no JSON":         func() { i.serve[discovery] = func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") } },
		"another issuer":  func() { i.change = func(m map[string]any) { m["issuer"] = "https://evil.example" } },
		"plain endpoints": func() { i.change = func(m map[string]any) { m["token_endpoint"] = "http://evil.example/token" } },
		"no endpoint":     func() { i.change = func(m map[string]any) { delete(m, "authorization_endpoint") } },
		"not a web page":  func() { i.change = func(m map[string]any) { m["authorization_endpoint"] = "javascript:alert(1)" } },
		"redirected": func() {
			i.serve[discovery] = func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }
		},
		"endless": func() {
			i.serve[discovery] = func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat(" ", 600<<10)) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			i.serve, i.change = map[string]http.HandlerFunc{}, nil
			r := newRig(t, i.upstream("acme"))
			b := newBrowser(t, r.url)
			contains(t, b.page("/signin"), "Sign in with acme")
			c()
			got := b.form("/signin/oidc/acme")
			if got.status != http.StatusServiceUnavailable || got.code() != "provider_down" || !strings.Contains(got.body, "acme cannot be reached") {
				t.Errorf("%d %s", got.status, said(got.body))
			}
			lacks(t, got.body, "evil.example", i.url)
			i.serve, i.change = map[string]http.HandlerFunc{}, nil
			if got := b.form("/signin/oidc/acme"); got.code() != "provider_down" {
				t.Errorf("it was asked again at once: %d", got.status)
			}
			r.pass(6 * time.Second)
			if got := r.depart(b, i, "acme").whole(nil); got.code() != "provider_answer" { // no claims at all
				t.Errorf("%d %s", got.status, said(got.body))
			}
			// Once known, it is not needed for a while, and longer where it is out of reach.
			r.pass(2 * time.Hour)
			c()
			r.depart(b, i, "acme")
		})
	}
}

const discovery = "/.well-known/openid-configuration"
