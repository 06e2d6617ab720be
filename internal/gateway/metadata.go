package gateway

import (
	"net/http"
	"strings"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/httpsig"
)

const dpopAlgs = "Ed25519 EdDSA ES256"

// serveMetadata answers with OAuth protected resource metadata (RFC 9728 §2, §3). It depends on the URL's shape alone: strangers learn nothing
// about which servers there are.
func (g *Gateway) serveMetadata(w http.ResponseWriter, r *http.Request) {
	p, ok := g.placeOf(r)
	if !ok {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	list := func(values ...string) []byte {
		b := []byte{'['}
		for i, v := range values {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendText(b, v)
		}
		return append(b, ']')
	}
	body := (&object{}).text("resource", p.url).
		raw("authorization_servers", list(g.Issuer)).
		raw("scopes_supported", list(p.scope())).
		raw("bearer_methods_supported", list("header")).
		raw("dpop_signing_alg_values_supported", list(strings.Fields(dpopAlgs)...)).end()
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "max-age=3600")
	w.Header().Set("Access-Control-Allow-Origin", "*") // it is public, and programs in browsers read it first
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(body) // the client is gone: nothing to do
}

func (p place) scope() string { return "tool:" + p.server + ":*" }

// challenge sets the WWW-Authenticate lines (RFC 6750 §3, RFC 9449 §7.1, RFC 9728 §5.1): Bearer first, since a client in wide use looks at
// the first line only. code is the error of the Bearer line; "" when no token came.
func (g *Gateway) challenge(h http.Header, p place, scope, code, dpopCode string) {
	params := `resource_metadata="` + g.Issuer + "/.well-known/oauth-protected-resource" + p.path + `", scope="` + scope + `"`
	line := func(scheme, first, code string) string {
		out := scheme + " " + first + params
		if code != "" {
			out += `, error="` + code + `"`
		}
		return out
	}
	h["Www-Authenticate"] = []string{line("Bearer", "", code), line("DPoP", `algs="`+dpopAlgs+`", `, dpopCode)}
	h.Set("DPoP-Nonce", g.Guard.Challenge())
}

// unauthenticated answers 401. err is nil when neither token nor signature came.
func (g *Gateway) unauthenticated(w http.ResponseWriter, p place, token bool, err error) {
	code, dpopCode := "", ""
	reason, name, remedy := "This MCP server needs an access token", "token_missing", "get a token from the authorization server for this resource"
	if f := fault.Of(err); f != nil {
		code, dpopCode, reason, name, remedy = "invalid_token", "invalid_token", f.Reason, f.Code, f.Remedy
		switch {
		case f.Code == "dpop_nonce_required" || f.Code == "use_dpop_nonce":
			dpopCode = "use_dpop_nonce"
		case strings.HasPrefix(f.Code, "signature_"): // the token, if there was one, is not what is wrong
			code, dpopCode = "", ""
		case strings.HasPrefix(f.Code, "dpop_") || f.Code == "replayed":
			dpopCode = "invalid_dpop_proof"
		case f.Code == "token_missing":
			code, dpopCode = "", ""
		}
	}
	g.challenge(w.Header(), p, p.scope(), code, dpopCode)
	w.Header().Set("Accept-Signature", httpsig.Challenge(token))
	writeJSON(w, http.StatusUnauthorized, encodeError(nil, (&rpcError{
		Code: codeUnauthenticated, Message: reason, Data: refusalBody{Code: name, Reason: reason, Remedy: remedy}.encode(),
	}).object()))
}

// stepUp answers 403 with the scopes that would mend the refusal (RFC 6750 §3.1).
func (g *Gateway) stepUp(x *exchange, b refusalBody, scopes []string) {
	g.challenge(x.w.Header(), x.place, strings.Join(scopes, " "), "insufficient_scope", "insufficient_scope")
	x.out.fail(&rpcError{Status: http.StatusForbidden, Code: codeForbidden, Message: b.Reason, Data: b.encode()})
}

func writeJSON(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client is gone: nothing to do
}
