package server

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
)

// atHTTPS is a fetcher for which every name is on this machine and port 443 is another port, and that trusts whoever trust does.
func atHTTPS(t *testing.T, port string, trust *tls.Config) *fetcher {
	t.Helper()
	f := resolved(true, names(t, "127.0.0.1"))
	f.dev = false
	transport := f.public.Transport.(*http.Transport)
	dial := transport.DialContext
	transport.TLSClientConfig = trust
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		return dial(ctx, network, net.JoinHostPort(host, port))
	}
	return f
}

// An app that nobody registered asks by the https address of what it says about itself: that is fetched once, over TLS that is verified, and kept; an answer that
// cannot be used is not kept, and leads nowhere else (draft-ietf-oauth-client-id-metadata-document §4, §6).
func TestAppAtItsAddress(t *testing.T) {
	const host = "https://example.com"
	says := map[string]http.HandlerFunc{}
	asked := map[string]int{}
	app := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked[r.URL.Path]++ // one request at a time comes
		if says[r.URL.Path] != nil {
			says[r.URL.Path](w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"client_id":%q,"client_name":"Desk","redirect_uris":["https://example.com/back"]}`, host+r.URL.Path)
	}))
	app.Config.ErrorLog = log.New(io.Discard, "", 0)
	app.StartTLS()
	defer app.Close()
	_, port, err := net.SplitHostPort(app.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), Config{Dev: true, Data: filepath.Join(t.TempDir(), "d"), Node: "n"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	trusted := app.Client().Transport.(*http.Transport).TLSClientConfig
	authorize := func(path string) (status int, to string) {
		q := url.Values{
			"response_type": {"code"}, "client_id": {host + path}, "redirect_uri": {host + "/back"}, "state": {"s"}, "code_challenge": {strings.Repeat("a", 43)},
			"code_challenge_method": {"S256"}, "resource": {s.URL() + "/api"}, "scope": {"attorn:agent:read"},
		}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", s.URL()+"/oauth/authorize?"+q.Encode(), nil))
		return w.Code, w.Header().Get("Location")
	}
	refused := func(what, path string) {
		t.Helper()
		if status, to := authorize(path); status != http.StatusBadRequest || to != "" {
			t.Errorf("%s: %d, to %q", what, status, to)
		}
	}

	s.guard.Fetch = atHTTPS(t, port, nil)
	refused("an authority that nobody trusts", "/app")
	other := trusted.Clone()
	other.ServerName = "attorn.example"
	s.guard.Fetch = atHTTPS(t, port, other)
	refused("another's certificate", "/app")
	if asked["/app"] != 0 {
		t.Errorf("asked %d times in spite of the certificate", asked["/app"])
	}
	s.guard.Fetch = atHTTPS(t, port, trusted)
	for range 3 {
		if status, to := authorize("/app"); status != http.StatusSeeOther || !strings.Contains(to, "/consent/") {
			t.Errorf("%d, to %q", status, to)
		}
	}
	if asked["/app"] != 1 {
		t.Errorf("asked %d times for one document", asked["/app"])
	}

	says["/gone"] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }
	refused("not found", "/gone")
	refused("not found again", "/gone")
	if asked["/gone"] != 2 {
		t.Errorf("asked %d times: the error was kept", asked["/gone"])
	}
	says["/gone"] = nil
	if status, _ := authorize("/gone"); status != http.StatusSeeOther {
		t.Errorf("mended: %d", status)
	}
	says["/moved"] = func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }
	refused("a redirect", "/moved")
	says["/other"] = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"client_id":%q,"client_name":"Desk","redirect_uris":["https://example.com/back"]}`, host+"/app")
	}
	refused("another's document", "/other")
	if asked["/elsewhere"] != 0 {
		t.Error("a redirect was followed")
	}
}
