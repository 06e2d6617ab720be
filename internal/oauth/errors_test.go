package oauth

import (
	"html/template"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/guard"
)

// Errors: each row of oauth.md §13 has its status, its reasons, and an explanation where error_uri leads.
func TestErrors(t *testing.T) {
	f := &face{Config: Config{Issuer: "https://auth.example", Log: slog.New(slog.DiscardHandler)}}
	for _, row := range []struct {
		error  string
		status int
		kind   fault.Kind
		codes  map[string]string // code: reason
	}{
		{"invalid_request", 400, fault.Invalid, map[string]string{
			"malformed": "malformed", "duplicate_parameter": "duplicate_parameter", "query_not_allowed": "query_not_allowed", "pkce_required": "pkce_required",
			"ambiguous_delegation": "ambiguous_delegation",
		}},
		{"invalid_request", 413, fault.TooLarge, map[string]string{"too_large": "too_large"}},
		{"invalid_client", 401, fault.Unauthenticated, map[string]string{"invalid_client": ""}},
		{"unauthorized_client", 400, fault.Denied, map[string]string{"grant_not_allowed": "grant_not_allowed", "bearer_not_allowed": "bearer_not_allowed"}},
		{"invalid_grant", 400, fault.Unauthenticated, map[string]string{
			"ticket_unknown": "unknown", "grant_expired": "expired", "ticket_spent": "spent", "concurrent": "concurrent", "grant_binding": "binding", "not_lent": "not_lent",
			"delegation_revoked": "delegation_ended", "agent_suspended": "principal_inactive", "untrusted_issuer": "untrusted_issuer",
		}},
		{"invalid_scope", 400, fault.Denied, map[string]string{"not_covered": "not_covered"}},
		{"invalid_target", 400, fault.Invalid, map[string]string{"unknown_resource": "unknown_resource"}},
		{"invalid_authorization_details", 400, fault.Invalid, map[string]string{"details_not_covered": "not_covered"}},
		{"invalid_dpop_proof", 400, fault.Unauthenticated, map[string]string{
			"dpop_malformed": "malformed", "dpop_binding": "binding", "dpop_time": "time", "dpop_replayed": "replayed",
			"key_in_use": "binding",
		}},
		{"use_dpop_nonce", 400, fault.Unauthenticated, map[string]string{"dpop_nonce_required": ""}},
		{"authorization_pending", 400, fault.Conflict, map[string]string{"authorization_pending": ""}},
		{"slow_down", 400, fault.Limited, map[string]string{"slow_down": ""}},
		{"access_denied", 400, fault.Denied, map[string]string{"access_denied": ""}},
		{"expired_token", 400, fault.Unauthenticated, map[string]string{"expired_token": ""}},
		{"temporarily_unavailable", 503, fault.Unavailable, map[string]string{"storage_busy": "storage_busy"}},
		{"server_error", 500, fault.Internal, map[string]string{"": ""}},
	} {
		for code, reason := range row.codes {
			x := &exchange{face: f, r: httptest.NewRequest(http.MethodPost, "/oauth/token", nil)}
			out := x.refusalOf(fault.New(row.kind, code, "because"))
			if out.Error != row.error || out.status != row.status || out.Reason != reason {
				t.Errorf("%s: %+v", code, out)
			}
			w := httptest.NewRecorder()
			f.render(w, out)
			_, fragment, _ := strings.Cut(w.Body.String(), `"error_uri":"https://auth.example/docs/errors/`)
			fragment, _, _ = strings.Cut(fragment, `"`)
			if _, explained := api.ErrorPageOf(fragment); row.status != 500 && !explained || strings.TrimSuffix(row.error+"."+reason, ".") != fragment && row.status < 500 {
				t.Errorf("%s: error_uri %q", code, fragment)
			}
			if (w.Header().Get("WWW-Authenticate") != "") != (row.status == 401) || row.status == 503 && w.Header().Get("Retry-After") == "" {
				t.Errorf("%s: %v", code, w.Header())
			}
		}
	}
}

// Where error_uri and the type of a problem lead: a page without scripts for browsers, Markdown for others.
func TestErrorPages(t *testing.T) {
	mux := http.NewServeMux()
	Mount(mux, Config{Issuer: "https://auth.example", Guard: &guard.Guard{}, Log: slog.New(slog.DiscardHandler)})
	get := func(method, path, accept string) *httptest.ResponseRecorder {
		r, w := httptest.NewRequest(method, "https://auth.example"+path, nil), httptest.NewRecorder()
		r.Header.Set("Accept", accept)
		mux.ServeHTTP(w, r)
		return w
	}
	for _, g := range api.ErrorGroups() {
		for _, p := range g.Pages {
			if p.Means == "" || len(p.Means)+len(p.Remedy) > 300 || strings.Trim(p.Code, "abcdefghijklmnopqrstuvwxyz0123456789_.") != "" {
				t.Errorf("%+v", p)
			}
			html, text := get("GET", "/docs/errors/"+p.Code, "text/html,*/*;q=0.8"), get("GET", "/docs/errors/"+p.Code, "*/*")
			if html.Code != 200 || !strings.Contains(html.Body.String(), ">"+p.Code+"</code>") || !strings.Contains(html.Body.String(), template.HTMLEscapeString(p.Means)) {
				t.Errorf("%s: %d %s", p.Code, html.Code, html.Body)
			}
			if text.Code != 200 || !strings.Contains(text.Body.String(), p.Means) || !strings.Contains(text.Body.String(), p.Remedy) {
				t.Errorf("%s: %d %s", p.Code, text.Code, text.Body)
			}
		}
	}
	for _, c := range []struct {
		method, path, accept string
		status               int
		kind, has            string
	}{
		{"GET", "/docs/errors", "text/html", 200, "text/html; charset=utf-8", `<a href="https://auth.example/docs/errors/not_lent">`},
		{"GET", "/docs/errors", "text/markdown", 200, "text/markdown; charset=utf-8", "## Delegations"},
		{"GET", "/docs/errors/not_lent", "", 200, "text/plain; charset=utf-8", "# Not lent\n"},
		{"GET", "/docs/errors/not_lent", "text/html;q=0, text/markdown", 200, "text/markdown; charset=utf-8", "attorn lend"},
		{"GET", "/docs/errors/%3Cscript%3E", "text/html", 404, "text/html; charset=utf-8", "no such error"},
		{"GET", "/docs/errors/no_such_code", "*/*", 404, "text/plain; charset=utf-8", "https://auth.example/docs/errors"},
		{"POST", "/docs/errors/not_lent", "*/*", 405, "", ""},
	} {
		w := get(c.method, c.path, c.accept)
		if w.Code != c.status || w.Header().Get("Content-Type") != c.kind || !strings.Contains(w.Body.String(), c.has) || strings.Contains(w.Body.String(), "<script") {
			t.Errorf("%s %s %s: %d %v %s", c.method, c.path, c.accept, w.Code, w.Header(), w.Body)
		}
		if h := w.Header(); !strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'none'") || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s: %v", c.path, h)
		}
	}
}

// The metadata is at every well-known address that the issuer's path makes (RFC 8414 §3.1, OpenID Connect Discovery §4), and nothing reads a cookie there.
func TestMetadataForms(t *testing.T) {
	mux := http.NewServeMux()
	f := Config{Issuer: "https://auth.example/tenant", Guard: &guard.Guard{}, Log: slog.New(slog.DiscardHandler)}
	Mount(mux, f)
	var first string
	for _, path := range []string{
		"/.well-known/oauth-authorization-server", "/.well-known/oauth-authorization-server/tenant", "/.well-known/openid-configuration", "/.well-known/openid-configuration/tenant",
		"/tenant/.well-known/openid-configuration",
	} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if first == "" {
			first = w.Body.String()
		}
		if w.Code != 200 || w.Body.String() != first || !strings.Contains(first, `"issuer":"https://auth.example/tenant"`) {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}
