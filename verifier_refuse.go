package attorn

import (
	"crypto/rand"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
)

// refuse answers a request whose sender was not proved. What was not foreseen is opaque outside.
func (v *Verifier) refuse(w http.ResponseWriter, r *http.Request, err error) {
	f := fault.Of(err)
	if f == nil || f.Kind == fault.Internal {
		f = fault.New(fault.Internal, "internal", "the service could not verify the request")
	}
	p := api.Problem{
		Type: "about:blank", Status: statusOf(f.Kind), Code: f.Code, Detail: f.Reason, Remedy: f.Remedy,
		RequestID: "req_" + strings.ToLower(rand.Text()[:20]),
	}
	p.Title = http.StatusText(p.Status)
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if p.Status == http.StatusUnauthorized {
		v.challenge(h, f, len(r.Header["Authorization"]) > 0)
	}
	if p.Status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "2")
	}
	body, err := json.Marshal(p, json.Deterministic(true))
	if err != nil {
		body = nil
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // the caller is gone: nothing to do
}

// challenge says what a 401 wants instead (RFC 9110 §11.6.1, RFC 9449 §7.1, RFC 9421 §5.1).
func (v *Verifier) challenge(h http.Header, f *fault.Error, token bool) {
	code := "invalid_token"
	switch {
	case f.Code == "token_missing":
		code = ""
	case strings.HasPrefix(f.Code, "dpop_"), f.Code == "replayed":
		code = "invalid_dpop_proof"
	}
	line := `DPoP algs="EdDSA Ed25519 ES256", resource="` + v.cfg.Resource + `"`
	if code != "" {
		line = `DPoP error="` + code + `", error_description="` + printable(f.Reason) + `", algs="EdDSA Ed25519 ES256"`
	}
	h.Set("WWW-Authenticate", line)
	if v.cfg.Signed || strings.HasPrefix(f.Code, "signature_") {
		h.Set("Accept-Signature", v.wanted(token))
	}
}

// printable keeps to the characters of error_description (RFC 6749 §5.2).
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '"' || r == '\\' || r < ' ' || r > '~' {
			return '\''
		}
		return r
	}, s)
}

func statusOf(k fault.Kind) int {
	switch k {
	case fault.Unauthenticated:
		return http.StatusUnauthorized
	case fault.Denied:
		return http.StatusForbidden
	case fault.TooLarge:
		return http.StatusRequestEntityTooLarge
	case fault.Limited:
		return http.StatusTooManyRequests
	case fault.Unavailable:
		return http.StatusServiceUnavailable
	case fault.Internal:
		return http.StatusInternalServerError
	}
	return http.StatusBadRequest
}
