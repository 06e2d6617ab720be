package oauth

import (
	"html/template"
	"net/http"
	"slices"
)

const errorsPath = "/oauth/errors"

// meaning is what an error says, for whoever opens its error_uri. Its name has the reason after a dot, where there is one.
type meaning struct{ Name, Means string }

// meanings is oauth.md §13 in words.
var meanings = []meaning{
	{"invalid_request", "A parameter is missing, malformed, or goes with no other. Mend the request."},
	{"invalid_request.malformed", "The request, or a parameter of it, does not have the form that it must have."},
	{"invalid_request.duplicate_parameter", "A parameter was sent twice (RFC 6749 §3.1)."},
	{"invalid_request.query_not_allowed", "Parameters belong in the body: URLs end up in logs."},
	{"invalid_request.pkce_required", "Every code is bound to a verifier, by S256 (RFC 7636)."},
	{"invalid_request.ambiguous_delegation", "Several delegations would do. Exchange the one that is meant."},
	{"invalid_request.too_large", "The request, or a parameter of it, is over its limit."},
	{"invalid_client", "Who asks is not proven. Why is told to nobody but the server's administrators."},
	{"unauthorized_client", "This client may not do this."},
	{"unauthorized_client.grant_not_allowed", "This grant is not for this kind of client."},
	{"unauthorized_client.bearer_not_allowed", "The workspace gives this client no tokens that are bound to no key. Use DPoP (RFC 9449)."},
	{"unauthorized_client.client_denied", "The workspace does not allow this client."},
	{"invalid_grant", "What was brought for a token is not good."},
	{"invalid_grant.unknown", "What was brought is not known here: it is somebody else's, or was never issued."},
	{"invalid_grant.expired", "It was good for a time that is over. Ask the person again."},
	{"invalid_grant.spent", "It was used before. If that was not you, somebody has stolen it, and all that it led to has ended."},
	{"invalid_grant.concurrent", "You sent it twice at once. Use the answer to the first request."},
	{"invalid_grant.binding", "It belongs to another client, redirect URI, verifier or key."},
	{"invalid_grant.not_lent", "No delegation lends this to you."},
	{"invalid_grant.delegation_ended", "The delegation was revoked, used up, or has not begun."},
	{"invalid_grant.principal_inactive", "Somebody on the chain is suspended, revoked or gone."},
	{"invalid_grant.untrusted_issuer", "No rule of the workspace trusts who issued this."},
	{"invalid_scope", "The scope is not one that can be granted."},
	{"invalid_scope.not_covered", "More was asked for than there is. Ask for less, or leave scope out."},
	{"invalid_scope.malformed", "Scope is permissions with one space between."},
	{"invalid_target", "The resource is not one that can be granted (RFC 8707)."},
	{"invalid_target.unknown_resource", "No resource has that URL, or it was not granted (RFC 8707)."},
	{"invalid_authorization_details", "The authorization details are not ones that can be granted (RFC 9396)."},
	{"invalid_authorization_details.malformed", "The objects are not of a type and form that is known here (RFC 9396)."},
	{"invalid_authorization_details.not_covered", "More was asked for than there is."},
	{"invalid_dpop_proof", "The DPoP proof is not acceptable (RFC 9449)."},
	{"invalid_dpop_proof.malformed", "The DPoP proof cannot be read (RFC 9449 §4.2)."},
	{"invalid_dpop_proof.binding", "The proof is for another request, or by a key that cannot be the client's."},
	{"invalid_dpop_proof.time", "The proof is too old, or a clock is wrong."},
	{"invalid_dpop_proof.replayed", "The proof was used before: make one for each request."},
	{"use_dpop_nonce", "Make the proof again with the nonce of the answer's DPoP-Nonce header. Nothing was spent."},
	{"unsupported_grant_type", "There is no such grant here."},
	{"unsupported_response_type", "The response type is code."},
	{"request_not_supported", "Push the request (RFC 9126) instead of signing it."},
	{"consent_required", "A person is always asked."},
	{"access_denied", "The person refused."},
	{"authorization_pending", "Nobody has decided yet (RFC 8628 §3.5)."},
	{"slow_down", "Wait longer between requests (RFC 8628 §3.5)."},
	{"expired_token", "Nobody decided in time (RFC 8628 §3.5)."},
	{"invalid_redirect_uri", "A redirect URI that the app registers with is not one that answers may go to (RFC 7591 §3.2.2)."},
	{"invalid_client_metadata", "What the app registers with is not acceptable (RFC 7591 §3.2.2)."},
	{"invalid_request.registration_off", "Apps do not register themselves at this server. Use the address of the app's metadata as its client_id."},
	{"invalid_token", "The invitation by which an app registers itself is not good."},
	{"invalid_token.unknown", "There is no such invitation, or none was sent (RFC 6750 §2.1)."},
	{"invalid_token.expired", "The invitation was good for a day that is over."},
	{"invalid_token.spent", "The invitation was used before: each registers one app."},
	{"temporarily_unavailable", "The server cannot write down what it would do, or you ask too often. Try again."},
	{"server_error", "The fault is the server's. Its log has more under the reference in the answer."},
}

// meaningOf is the name under which an error is explained: with its reason, if that is.
func meaningOf(name, reason string) string {
	full := name + "." + reason
	if slices.ContainsFunc(meanings, func(m meaning) bool { return m.Name == full }) {
		return full
	}
	return name
}

var errorsPage = template.Must(template.New("errors").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Errors of the authorization server</title>
<h1>Errors of the authorization server</h1>
<dl>
{{range .}}<dt id="{{.Name}}"><code>{{.Name}}</code></dt>
<dd>{{.Means}}</dd>
{{end}}</dl>
</html>
`))

// errors is GET /oauth/errors, where each error_uri leads.
func (f *face) errors(w http.ResponseWriter, r *http.Request) {
	f.browser(w, r)
	if f.otherPage(w, r, http.MethodGet, http.MethodHead) {
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=300")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = errorsPage.Execute(w, meanings) // the browser is gone: nothing to do
}
