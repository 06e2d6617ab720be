package oauth

import (
	"cmp"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/guard"
)

// assertionType is the one way in which a client authenticates (RFC 7523 §2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// authenticate proves the client by private_key_jwt, and with dpop also the DPoP proof by the same key. A request that shows a second way, or another one,
// is refused (RFC 6749 §2.3). Codes: malformed, invalid_client, those of package dpop.
func (x *exchange) authenticate(dpop bool) (*guard.Client, error) {
	assertion := x.form["client_assertion"]
	if err := x.oneMethod(assertion != "" || x.form["client_assertion_type"] != ""); err != nil {
		return nil, err
	}
	if kind := x.form["client_assertion_type"]; assertion != "" && kind != assertionType {
		return nil, malformed("client_assertion_type is not that of a signed assertion").Try("send client_assertion_type=%s", assertionType)
	}
	return x.prove(assertion, dpop)
}

// grantee proves a client that brings what a person consented to, or asks for it: an agent or an app. An app without keys says who it is, and may prove that it holds
// a DPoP key. A request that shows a second way is refused (RFC 6749 §2.3), and one that shows another fails like an assertion (§5.2). Codes: malformed, invalid_client,
// those of package dpop.
func (x *exchange) grantee(dpop bool) (*guard.Client, error) {
	assertion, kind := x.form["client_assertion"], x.form["client_assertion_type"]
	asserted := assertion != "" || kind != ""
	if err := x.oneMethod(asserted); err != nil {
		return nil, err
	}
	if asserted && kind != assertionType {
		return nil, malformed("client_assertion_type is not that of a signed assertion").Try("send client_assertion_type=%s", assertionType)
	}
	if !asserted && (len(x.r.Header.Values("Authorization")) > 0 || x.form["client_secret"] != "") {
		return x.prove("", dpop)
	}
	who, _ := x.claimed(assertion)
	who = cmp.Or(who, x.form["client_id"])
	return x.proveBy(assertion, dpop, func(p guard.ClientProof) (*guard.Client, error) { return x.Guard.AuthenticateGrantee(x.ctx, p, who) })
}

// oneMethod refuses secrets, which no client has, and whatever comes beside an assertion.
func (x *exchange) oneMethod(asserted bool) error {
	header, secret := len(x.r.Header.Values("Authorization")) > 0, x.form["client_secret"] != ""
	if asserted && (header || secret) || header && secret {
		return malformed("the request authenticates the client in more than one way").Try("send client_assertion alone")
	}
	return nil
}

// prove authenticates by an assertion, within the limits.
func (x *exchange) prove(assertion string, dpop bool) (*guard.Client, error) {
	return x.proveBy(assertion, dpop, func(p guard.ClientProof) (*guard.Client, error) { return x.Guard.AuthenticateClient(x.ctx, p) })
}

func (x *exchange) proveBy(assertion string, dpop bool, by func(guard.ClientProof) (*guard.Client, error)) (*guard.Client, error) {
	from, now := address(x.r), x.Guard.Now()
	who, key := x.claimed(assertion)
	x.from = attempt{cmp.Or(who, short(x.form["client_id"])) + " " + network(x.r), key}
	if wait := x.failures.wait(x.from, now); wait > 0 {
		return nil, limited{wait}
	}
	proof := guard.ClientProof{
		Method: x.r.Method, URL: x.url, ClientID: x.form["client_id"], Assertion: assertion, DPoP: x.r.Header.Values("DPoP"), NeedDPoP: dpop, IP: from,
	}
	c, err := by(proof)
	if err != nil {
		return nil, x.note(who, proof, err)
	}
	if dpop { // a token is asked for
		if wait := x.requests.Take(cmp.Or(c.Key().String(), x.from.client), now); wait > 0 { // without a key, by who it says it is, from where
			return nil, limited{wait}
		}
	}
	return c, nil
}

// note sees to it that an attempt to be somebody else is in the log, and gives the refusal back. A challenge for a nonce is no attempt, and a flood of attempts
// is not all written down.
func (x *exchange) note(who string, proof guard.ClientProof, cause error) error {
	f := fault.Of(cause)
	if f == nil || f.Kind != fault.Unauthenticated || who == "" || f.Code == "dpop_nonce_required" || x.noted.Take(who, x.Guard.Now()) > 0 {
		return cause
	}
	if err := x.Guard.NoteRefused(x.ctx, who, proof, cause); err != nil {
		return err
	}
	return cause
}

// claimed is who an assertion says it comes from, and by which key, whether or not it is acceptable: for counting and noting failures alone.
func (x *exchange) claimed(assertion string) (who, key string) {
	j, err := x.Guard.ParseJWS(assertion)
	if err != nil {
		return "", ""
	}
	if _, err := id.ParseKey(j.Header.Kid); err == nil {
		key = j.Header.Kid
	}
	return subjectOf(j.Payload), key
}
