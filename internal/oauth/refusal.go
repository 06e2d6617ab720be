package oauth

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/guard"
)

// refusal is an error as RFC 6749 §5.2 writes it, with the stable reason and the remedy beside it (oauth.md §13).
type refusal struct {
	Error       string `json:"error"`
	Description string `json:"error_description,omitzero"`
	URI         string `json:"error_uri,omitzero"` // RFC 6749 §5.2: what it means
	Reason      string `json:"reason,omitzero"`
	Remedy      string `json:"remedy,omitzero"`
	Event       string `json:"event,omitzero"` // that records it, for an administrator to be asked about

	status    int
	retry     time.Duration // for Retry-After; 0: none
	challenge string        // for WWW-Authenticate
}

// limited is the refusal of one request too many.
type limited struct{ wait time.Duration }

func (limited) Error() string { return "too many requests" }

// fail answers with err. What is no fault is ours to mend: the answer has nothing but a reference, under which the log has the rest.
func (x *exchange) fail(w http.ResponseWriter, err error) {
	if fault.Code(err) == "invalid_client" && x.from.client != "" {
		x.failures.hit(x.from, x.Guard.Now())
	}
	x.render(w, x.refusalOf(err))
}

func (x *exchange) refusalOf(err error) refusal {
	out := x.refuse(err)
	if out.Error != "invalid_client" && !x.asGrant { // who is unproven is told nothing of the log
		out.Event = guard.EventOf(err).String()
	}
	return out
}

func (x *exchange) refuse(err error) refusal {
	if l, ok := err.(limited); ok {
		return refusal{
			Error: "temporarily_unavailable", Description: "too many requests", Reason: "rate_limited", Remedy: fmt.Sprintf("try again in %d seconds", wholeSeconds(l.wait)),
			status: http.StatusTooManyRequests, retry: l.wait,
		}
	}
	f := fault.Of(err)
	if f == nil || f.Kind == fault.Internal {
		ref := rand.Text()[:10]
		x.Log.Error("oauth", "ref", ref, "path", x.r.URL.Path, "error", err)
		return refusal{Error: "server_error", Description: "internal error " + ref, status: http.StatusInternalServerError}
	}
	if f.Code == "invalid_client" {
		return x.invalidClient(f)
	}
	out := classify(f)
	out.Description, out.Remedy = f.Reason, cmp.Or(f.Remedy, remedyOf(out))
	if out.status == http.StatusServiceUnavailable {
		out.retry = 2 * time.Second
	}
	return out
}

// invalidClient says one thing for every cause, and no reason. 401 needs a challenge (RFC 9110 §15.5.2): of the client's own scheme, if it used
// one (RFC 6749 §5.2).
func (x *exchange) invalidClient(f *fault.Error) refusal {
	if x.asGrant {
		return refusal{
			Error: "invalid_grant", Description: "the assertion is not acceptable", status: http.StatusBadRequest,
			Remedy: "sign a new assertion with the registered key: iss and sub are the user's id, aud is the issuer",
		}
	}
	scheme := "private_key_jwt"
	if used, _, _ := strings.Cut(x.r.Header.Get("Authorization"), " "); strings.EqualFold(used, "Basic") {
		scheme = "Basic"
	}
	return refusal{
		Error: "invalid_client", Description: f.Reason, Remedy: f.Remedy,
		status: http.StatusUnauthorized, challenge: scheme + ` realm="` + x.Issuer + `"`,
	}
}

// remedyOf is what helps with refusals of a kind that name nothing better.
func remedyOf(r refusal) string {
	switch r.Error {
	case "invalid_grant":
		return "ask whoever lent it, or a person: a client cannot mend this by asking again"
	case "unauthorized_client":
		return "use the grant that is for clients of this kind"
	case "invalid_scope", "invalid_target", "invalid_authorization_details":
		return "ask for what was lent, for a resource that is in the catalogue"
	case "temporarily_unavailable":
		return "try again after a while"
	}
	switch {
	case r.status == http.StatusRequestEntityTooLarge:
		return "send less"
	case r.Reason == "client_invalid":
		return "mend what the app says about itself, at the address that is its client_id"
	}
	return "send each parameter once, as text in UTF-8 in a percent-encoded form"
}

// classify is the one table from codes to errors, statuses and reasons (oauth.md §13).
func classify(f *fault.Error) refusal {
	bad := func(name, reason string) refusal {
		return refusal{Error: name, Reason: reason, status: http.StatusBadRequest}
	}
	switch f.Code {
	case "dpop_nonce_required": // RFC 9449 §8
		return bad("use_dpop_nonce", "")
	case "dpop_malformed", "dpop_binding", "dpop_time", "dpop_replayed", "dpop_private_key":
		return bad("invalid_dpop_proof", strings.TrimPrefix(f.Code, "dpop_"))
	case "key_in_use": // RFC 9449 §5: the key that the proof would have bound
		return bad("invalid_dpop_proof", "binding")
	case "unsupported_grant_type":
		return bad("unsupported_grant_type", "")
	case "pkce_required":
		return bad("invalid_request", f.Code)
	case "unsupported_response_type", "request_not_supported", "consent_required": // RFC 6749 §4.1.2.1, OpenID Connect Core §3.1.2.6
		return bad(f.Code, "")
	case "client_denied":
		return bad("unauthorized_client", f.Code)
	case "request_invalid":
		return bad("invalid_scope", "malformed")
	case "client_unknown", "client_invalid", "redirect_unregistered", "redirect_invalid", "wrong_client":
		return bad("invalid_request", f.Code)
	case "grant_not_allowed", "bearer_not_allowed":
		return bad("unauthorized_client", f.Code)
	case "scope_malformed":
		return bad("invalid_scope", "malformed")
	case "not_covered":
		return bad("invalid_scope", f.Code)
	case "details_malformed", "may_act_invalid":
		return bad("invalid_authorization_details", "malformed")
	case "details_not_covered":
		return bad("invalid_authorization_details", "not_covered")
	case "unknown_resource":
		return bad("invalid_target", f.Code)
	case "not_lent", "widens", "chain_broken", "delegation_too_deep", "workspace_mismatch", "statement_used":
		return bad("invalid_grant", "not_lent")
	case "delegation_ended", "delegation_revoked", "delegation_exhausted", "delegation_not_yet", "token_revoked", "token_ended":
		return bad("invalid_grant", "delegation_ended")
	case "delegation_expired", "token_expired":
		return bad("invalid_grant", "expired")
	case "principal_inactive", "agent_pending", "agent_suspended", "agent_revoked", "agent_expired", "instance_unknown", "instance_suspended",
		"instance_revoked", "instance_rotated", "instance_expired", "parent_ended", "person_suspended", "key_ended", "workspace_halted":
		return bad("invalid_grant", "principal_inactive")
	case "too_many_instances":
		return bad("invalid_grant", f.Code)
	case "signature_invalid", "signature_malformed", "alg_key_mismatch", "key_mismatch":
		return bad("invalid_grant", "binding")
	case "token_issuer", "token_signature", "key_unknown", "untrusted_issuer", "rule_removed", "rule_expired":
		return bad("invalid_grant", "untrusted_issuer")
	case "authorization_pending", "slow_down", "access_denied", "expired_token": // RFC 8628 §3.5
		return bad(f.Code, "")
	case "concurrent":
		return bad("invalid_grant", f.Code)
	case "grant_expired":
		return bad("invalid_grant", "expired")
	case "device_key", "assertion_bound", "grant_binding", "actor_mismatch":
		return bad("invalid_grant", "binding")
	case "passkey_needed":
		return bad("invalid_grant", f.Code)
	case "ticket_spent", "assertion_spent":
		return bad("invalid_grant", "spent")
	case "ticket_expired":
		return bad("expired_token", "")
	case "malformed", "duplicate_parameter", "query_not_allowed", "ambiguous_delegation", "ambiguous_rule", "private_key":
		return bad("invalid_request", f.Code)
	case "token_malformed":
		return bad("invalid_request", "malformed")
	case "agent_unknown":
		return refusal{Error: "invalid_request", Reason: "unknown", status: http.StatusNotFound}
	}
	return classifyKind(f)
}

// classifyKind is the same for codes that the table does not name.
func classifyKind(f *fault.Error) refusal {
	switch f.Kind {
	case fault.TooLarge:
		return refusal{Error: "invalid_request", Reason: "too_large", status: http.StatusRequestEntityTooLarge}
	case fault.Unavailable:
		return refusal{Error: "temporarily_unavailable", Reason: f.Code, status: http.StatusServiceUnavailable}
	case fault.Limited:
		return refusal{Error: "temporarily_unavailable", Reason: "rate_limited", status: http.StatusTooManyRequests, retry: time.Second}
	case fault.Unauthenticated, fault.Denied, fault.NotFound:
		return refusal{Error: "invalid_grant", Reason: "unknown", status: http.StatusBadRequest}
	}
	return refusal{Error: "invalid_request", Reason: "malformed", status: http.StatusBadRequest}
}

// wholeSeconds rounds up: who waits as long is not too early.
func wholeSeconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

func (f *face) render(w http.ResponseWriter, out refusal) {
	out.Description, out.Remedy = plain(out.Description), plain(out.Remedy)
	if out.status != http.StatusInternalServerError {
		out.URI = f.Issuer + api.ErrorPath + "/" + meaningOf(out.Error, out.Reason)
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	if out.challenge != "" {
		h.Set("WWW-Authenticate", out.challenge)
	}
	if out.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(wholeSeconds(out.retry)))
	}
	raw, err := json.Marshal(out)
	if err != nil {
		raw = []byte(`{"error":"server_error"}`)
	}
	h.Set("Content-Type", "application/json")
	w.WriteHeader(out.status)
	_, _ = w.Write(raw) // the client is gone: nothing to do
}

// plain keeps to the characters of error_description (RFC 6749 §5.2): printable ASCII without quotation mark and backslash.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"':
			return '\''
		case r == '\\':
			return '/'
		case r == '…':
			return '.'
		case r < ' ' || r > '~':
			return '?'
		}
		return r
	}, strings.ReplaceAll(s, "§", "section "))
}
