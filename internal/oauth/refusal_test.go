package oauth

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/fault"
)

// Rows of oauth.md §13 that no request reaches by itself, and what holds for all of them.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		err                 error
		status              int
		error, reason, text string
	}{
		{fault.New(fault.Unavailable, "storage_down", "the log is closed"), 503, "temporarily_unavailable", "storage_down", "the log is closed"},
		{fault.New(fault.Unavailable, "overloaded", "too much"), 503, "temporarily_unavailable", "overloaded", "too much"},
		{fault.New(fault.Limited, "whatever", "too many"), 429, "temporarily_unavailable", "rate_limited", "too many"},
		{fault.New(fault.TooLarge, "whatever", "too big"), 413, "invalid_request", "too_large", "too big"},
		{fault.New(fault.Denied, "bearer_not_allowed", "x"), 400, "unauthorized_client", "bearer_not_allowed", "x"},
		{fault.New(fault.Denied, "unheard_of", "x"), 400, "invalid_grant", "unknown", "x"},
		{fault.New(fault.Invalid, "unheard_of", "x"), 400, "invalid_request", "malformed", "x"},
		{fault.New(fault.Conflict, "delegation_exhausted", "x"), 400, "invalid_grant", "delegation_ended", "x"},
		{fault.New(fault.Invalid, "malformed", "a \"quoted\" back\\slash, é and\nline"), 400, "invalid_request", "malformed", "a 'quoted' back/slash, ? and?line"},
		{limited{1500 * time.Millisecond}, 429, "temporarily_unavailable", "rate_limited", "too many requests"},
	} {
		x := &exchange{face: &face{Config: Config{Log: slog.New(slog.DiscardHandler)}}, r: httptest.NewRequest("POST", "/oauth/token", nil)}
		w := httptest.NewRecorder()
		x.fail(w, c.err)
		body := w.Body.String()
		for _, part := range []string{`"error":"` + c.error + `"`, `"reason":"` + c.reason + `"`, `"error_description":"` + c.text + `"`} {
			if !strings.Contains(body, part) {
				t.Errorf("%v: %s has no %s", c.err, body, part)
			}
		}
		if wait := w.Header().Get("Retry-After"); c.error == "temporarily_unavailable" && c.text == "too many requests" && !strings.Contains(body, "in "+wait+" seconds") {
			t.Errorf("%s does not say to wait for %q", body, wait)
		}
		if w.Code != c.status || (c.status == 429 || c.status == 503) != (w.Header().Get("Retry-After") != "") {
			t.Errorf("%v: %d %v", c.err, w.Code, w.Header())
		}
	}
}

// An unknown error, and a panic, leave with nothing but a reference, under which the log has the rest.
func TestOpaque(t *testing.T) {
	for name, run := range map[string]endpoint{
		"error": func(*exchange) (any, error) { return nil, errors.New("the secret is swordfish") },
		"internal": func(*exchange) (any, error) {
			return nil, fault.New(fault.Internal, "swordfish", "the secret is swordfish")
		},
		"panic": func(*exchange) (any, error) { panic("the secret is swordfish") },
		"value": func(*exchange) (any, error) { return func() {}, nil },
	} {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			mux := http.NewServeMux()
			f := &face{Config: Config{Log: slog.New(slog.NewTextHandler(&log, nil))}}
			f.get(mux, "/x", run)
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, httptest.NewRequest("GET", "/x", nil))
			body := w.Body.String()
			_, ref, _ := strings.Cut(body, "internal error ")
			ref = strings.TrimRight(ref, `"}`)
			if w.Code != 500 || !strings.Contains(body, `"error":"server_error"`) || strings.Contains(body, "swordfish") || len(ref) != 10 {
				t.Errorf("%d %s", w.Code, body)
			}
			if !strings.Contains(log.String(), ref) || name != "value" && !strings.Contains(log.String(), "swordfish") {
				t.Errorf("the log has %s", log.String())
			}
			if w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("headers %v", w.Header())
			}
		})
	}
}

func TestIssuerPath(t *testing.T) {
	for issuer, want := range map[string]string{
		"https://attorn.example": "", "https://attorn.example/tenant": "/tenant", "https://attorn.example:8443/a/b": "/a/b", "http://localhost:7070": "",
	} {
		if got := issuerPath(issuer); got != want {
			t.Errorf("%s: %q", issuer, got)
		}
	}
}

func TestNetwork(t *testing.T) {
	for peer, want := range map[string]string{
		"192.0.2.7:1": "192.0.2.7", "[::ffff:192.0.2.7]:1": "192.0.2.7", "[2001:db8:1:2:3:4:5:6]:1": "2001:db8:1:2::/64", "[fe80::1%eth0]:1": "fe80::/64", "@": "",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = peer
		r.Header.Set("X-Forwarded-For", "203.0.113.1")
		if got := network(r); got != want {
			t.Errorf("%s: %q", peer, got)
		}
	}
}
