package gateway

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

// The metadata of each server is at the well-known path put before its own, says its URL byte for byte, and nothing empty (RFC 9728 §2, §3).
func TestResourceMetadata(t *testing.T) {
	r := newRig(t)
	a := r.agent("bot", "tool-user")
	for _, path := range []string{"/mcp/files", "/w/acme/mcp/files"} {
		at := r.http.URL + "/.well-known/oauth-protected-resource" + path
		got := a.send("GET", at, "", "")
		if got.status != http.StatusOK || got.header.Get("Content-Type") != "application/json" || got.header.Get("Access-Control-Allow-Origin") != "*" || got.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Fatalf("%s: %d %v", path, got.status, got.header)
		}
		var body map[string]any
		if err := json.Unmarshal([]byte(got.body), &body); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if u, err := url.Parse(r.http.URL + path); err != nil || body["resource"] != u.String() || u.Fragment != "" || u.RawQuery != "" {
			t.Errorf("%s: resource %v", path, body["resource"])
		}
		for member, value := range body {
			list, isList := value.([]any)
			if value == nil || value == "" || isList && len(list) == 0 {
				t.Errorf("%s: %s has nothing in it", path, member)
			}
			for _, v := range list {
				if v == "none" {
					t.Errorf("%s: %s has none", path, member)
				}
			}
		}
		if got := a.send("POST", at, "", ""); got.status != http.StatusMethodNotAllowed {
			t.Errorf("%s: POST: %d", path, got.status)
		}
		for _, other := range []string{at + "/", strings.Replace(at, "/.well-known/oauth-protected-resource", "", 1) + "/.well-known/oauth-protected-resource"} {
			if got := a.send("GET", other, "", ""); got.status == http.StatusOK {
				t.Errorf("%s answers too", other)
			}
		}
	}
}
