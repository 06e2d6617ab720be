package admin_test

import (
	"net/http"
	"testing"

	"github.com/go-json-experiment/json"
)

// The API of each workspace has metadata at the well-known path put before its own, which says its URL byte for byte (RFC 9728 §2, §3).
func TestResourceMetadata(t *testing.T) {
	w := start(t)
	for path, status := range map[string]int{"/api": 200, "/w/acme/api": 200, "/w/default/api": 404, "/w/server/api": 404, "/w/A/api": 404, "/api/": 404, "": 404} {
		res, err := http.Get(w.URL + "/.well-known/oauth-protected-resource" + path)
		w.ok(err)
		var body struct {
			Resource string   `json:"resource"`
			Servers  []string `json:"authorization_servers"`
			Scopes   []string `json:"scopes_supported"`
			DPoPAlgs []string `json:"dpop_signing_alg_values_supported"`
		}
		if res.StatusCode != status {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
		if res.StatusCode == 200 {
			w.ok(json.UnmarshalRead(res.Body, &body))
			if body.Resource != w.URL+path || len(body.Servers) != 1 || body.Servers[0] != w.URL || len(body.Scopes) != 1 || len(body.DPoPAlgs) != 3 || res.Header.Get("Content-Type") != "application/json" ||
				res.Header.Get("Access-Control-Allow-Origin") != "*" || res.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s: %+v %v", path, body, res.Header)
			}
		}
		res.Body.Close()
	}
}
