package admin

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/guard"
)

// retryAfter is how long a client waits after 429 and 503 where the refusal does not say it, in seconds.
const retryAfter = 5

var statusByKind = map[fault.Kind]int{
	fault.Invalid: 400, fault.Unauthenticated: 401, fault.Denied: 403, fault.NotFound: 404, fault.Conflict: 409, fault.TooLarge: 413,
	fault.Limited: 429, fault.Unavailable: 503,
}

// problem is a refusal for the outside (RFC 9457 §3). What is no fault, or one of ours to mend, is logged and leaves opaque.
func (f *face) problem(r *http.Request, cause error) api.Problem {
	p := api.Problem{Status: http.StatusInternalServerError, Code: "internal", RequestID: requestID()}
	p.Detail = "something went wrong here; the server's log has it under the request id"
	if known := fault.Of(cause); known != nil && known.Kind != fault.Internal {
		p.Status, p.Code, p.Detail, p.Remedy = statusOf(known), known.Code, known.Reason, known.Remedy
		if p.Status == http.StatusUnsupportedMediaType && isAuthZEN(r) { // which knows no other for it
			p.Status = http.StatusBadRequest
		}
	} else if r.Context().Err() == nil {
		f.Log.Error("admin", "request", p.RequestID, "error", cause)
	}
	p.Type = f.Issuer + api.ErrorPath + "/" + p.Code
	p.Title = api.ErrorTitle(p.Code)
	return p
}

// refuse answers with a problem.
func (f *face) refuse(w http.ResponseWriter, r *http.Request, cause error) {
	p := f.problem(r, cause)
	body, err := json.Marshal(p, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		f.Log.Error("admin", "request", p.RequestID, "error", err)
	}
	switch p.Status {
	case http.StatusForbidden:
		if p.Code == "signature_needed" {
			acceptSignature(w, r)
		}
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", challenge(p.Code, f.described(r)))
		acceptSignature(w, r)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", strconv.Itoa(cmp.Or(guard.RetryAfter(cause), retryAfter)))
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // the client is gone: nothing to do
}

// acceptSignature says how a request can be signed.
func acceptSignature(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Accept-Signature", guard.Credentials{Authorization: r.Header.Values("Authorization")}.Signed())
}

func statusOf(f *fault.Error) int {
	switch f.Code {
	case "replayed", "signature_replayed":
		return http.StatusUnauthorized // whatever it was for, a new proof is the remedy
	case "method_not_allowed":
		return http.StatusMethodNotAllowed
	case "stale_base":
		return http.StatusPreconditionFailed
	case "feed_gap":
		return http.StatusGone
	case "media_type":
		return http.StatusUnsupportedMediaType
	}
	if status, ok := statusByKind[f.Kind]; ok {
		return status
	}
	return http.StatusInternalServerError
}

// challenge is the answer's WWW-Authenticate (RFC 9449 §7.1, RFC 9728 §5.1): an error only where something was sent.
func challenge(code, described string) string {
	line := `DPoP algs="` + proofAlgs + `"`
	if described != "" {
		line += `, resource_metadata="` + described + `"`
	}
	switch {
	case code == "token_missing":
		return line
	case code == "dpop_nonce_required":
		return line + `, error="use_dpop_nonce"`
	case strings.HasPrefix(code, "signature_"):
		return line // the token, if there was one, is not what is wrong
	case strings.HasPrefix(code, "dpop_"), code == "replayed":
		return line + `, error="invalid_dpop_proof"`
	}
	return line + `, error="invalid_token"`
}
