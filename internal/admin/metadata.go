package admin

import (
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
)

const (
	wellKnown = "/.well-known/oauth-protected-resource"
	proofAlgs = "Ed25519 EdDSA ES256"
)

// resourceMetadata is RFC 9728 §2 of the API of one workspace, as far as it is true of it.
type resourceMetadata struct {
	Resource string   `json:"resource"`
	Servers  []string `json:"authorization_servers"`
	Scopes   []string `json:"scopes_supported"`
	Name     string   `json:"resource_name"`
	Bearer   []string `json:"bearer_methods_supported"`
	DPoPAlgs []string `json:"dpop_signing_alg_values_supported"`
}

// metadata answers GET for the API's protected resource metadata (RFC 9728 §3). It depends on the URL's shape alone: strangers learn nothing about which workspaces
// there are.
func (f *face) metadata(w http.ResponseWriter, r *http.Request) {
	ws, err := workspaceOf(r)
	if err != nil {
		f.refuse(w, r, err)
		return
	}
	body, err := json.Marshal(resourceMetadata{
		Resource: f.Guard.API(ws), Servers: []string{f.Issuer}, Scopes: []string{"attorn:*"}, Name: "attorn", Bearer: []string{"header"}, DPoPAlgs: strings.Fields(proofAlgs),
	})
	if err != nil {
		f.refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "max-age=3600")
	w.Header().Set("Access-Control-Allow-Origin", "*") // it is public, and programs in browsers read it first
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(body) // the client is gone: nothing to do
}

// described is where the metadata of the API that a request is for is (RFC 9728 §3.1).
func (f *face) described(r *http.Request) string {
	ws, err := workspaceOf(r)
	if err != nil {
		return ""
	}
	return f.Issuer + wellKnown + strings.TrimPrefix(f.Guard.API(ws), f.Issuer)
}
