package oauth

// identityAssertion gives an agent, or an app with keys, a token for a person, by the word of the provider that the person signs in with (a draft:
// draft-ietf-oauth-identity-assertion-authz-grant). Unlike other assertions of this grant it does not stand for client authentication.
func (x *exchange) identityAssertion(assertion string) (any, error) {
	want, err := x.asked()
	if err != nil {
		return nil, err
	}
	c, err := x.grantee(true)
	if err != nil {
		return nil, err
	}
	got, err := x.Guard.IdentityToken(x.ctx, c, assertion, want)
	if err != nil {
		return nil, x.uncovered(err)
	}
	return granted(got), nil
}
