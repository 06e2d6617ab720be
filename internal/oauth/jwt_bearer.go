package oauth

import "github.com/attorn/attorn/internal/guard"

// jwtBearer gives a token to a person who acts themselves, proved by their own registered key (RFC 7523 §2.1): the assertion is the grant, and
// the DPoP proof is by the same key. The parameter workspace names where they act. An assertion of another issuer's is a
// workload's, or, where it is an access token (RFC 9068 §2.1), that of another server's agent.
func (x *exchange) jwtBearer() (any, error) {
	assertion, err := x.form.need("assertion")
	if err != nil {
		return nil, err
	}
	if typOf(assertion) == guard.IdentityAssertion {
		return x.identityAssertion(assertion)
	}
	if x.form["client_assertion"] != "" || x.form["client_assertion_type"] != "" {
		return nil, malformed("the assertion of this grant stands for client authentication").Try("leave client_assertion out")
	}
	if err := x.oneMethod(true); err != nil {
		return nil, err
	}
	ws, err := x.workspace()
	if err != nil {
		return nil, err
	}
	want, err := x.asked()
	if err != nil {
		return nil, err
	}
	switch {
	case ours(assertion):
	case typOf(assertion) == "at+jwt":
		return x.partner(guard.PartnerProof{Token: assertion, Workspace: ws}, want)
	default:
		return x.workload(assertion, ws, want)
	}
	x.asGrant = true
	c, err := x.prove(assertion, true)
	if err != nil {
		return nil, err
	}
	got, err := x.Guard.PersonToken(x.ctx, c, ws, want)
	if err != nil {
		return nil, x.uncovered(err)
	}
	return answerOf(got), nil
}
