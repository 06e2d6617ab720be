package oauth_test

import (
	"net/http"
	"strings"
	"testing"
)

// A service gets a token of its own for the feed of attorn's API, and for nothing else.
func TestServiceFollows(t *testing.T) {
	w := start(t, "")
	token := w.wiki.issued("grant_type", "client_credentials")
	if c := w.claims(token); c.Subject != w.wiki.sub || c.Scope != "attorn:feed:read" || c.Audience != w.URL+"/api" || c.JKT != w.wiki.signer.Public().Thumbprint() || c.Act != nil {
		t.Errorf("claims %+v", c)
	}
	refuses(t, w.wiki.ask("grant_type", "client_credentials", "scope", "attorn:*"), 400, "invalid_scope", "not_covered")
	get := func(path string) (int, string) {
		access := token.text("access_token")
		got := w.send("GET", path, "", http.Header{"Authorization": {"DPoP " + access}, "Dpop": {w.wiki.prove("GET", path, w.nonce(), access)}})
		return got.status, string(got.raw)
	}
	if status, body := get("/v1/feed"); status != http.StatusOK || !strings.Contains(body, `"ended":[]`) {
		t.Errorf("the feed: %d %s", status, body)
	}
	for _, path := range []string{"/v1/me", "/v1/agents", "/v1/log", "/v1/confirmations", "/v1/events"} {
		if status, body := get(path); status != http.StatusForbidden || !strings.Contains(body, `"feed_only"`) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}
