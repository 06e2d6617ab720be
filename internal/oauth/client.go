package oauth

import (
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/jose"
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
	from, now := address(x.r), x.Guard.Now()
	x.client = claimed(assertion, x.form["client_id"]) + " " + network(x.r)
	if wait := x.failures.wait(x.client, now); wait > 0 {
		return nil, limited{wait}
	}
	c, err := x.Guard.AuthenticateClient(x.ctx, guard.ClientProof{
		Method: x.r.Method, URL: x.url, ClientID: x.form["client_id"], Assertion: assertion, DPoP: x.r.Header.Values("DPoP"), NeedDPoP: dpop,
		IP: from,
	})
	if err != nil {
		return nil, err
	}
	if wait := x.requests.take(c.Key().String(), now); wait > 0 {
		return nil, limited{wait}
	}
	return c, nil
}

// claimed is who the request says it comes from, for the count of failures alone.
func claimed(assertion, clientID string) string {
	var c struct {
		Sub string `json:"sub"`
	}
	if j, err := jose.Parse(assertion, 0); err == nil && jose.DecodeForeign(j.Payload, &c, jose.Limits{}) == nil {
		return short(c.Sub)
	}
	return short(clientID)
}
