package oauth

// clientCredentials gives a token to an agent that acts for nobody (RFC 6749 §4.4).
func (x *exchange) clientCredentials() (any, error) {
	want, err := x.asked()
	if err != nil {
		return nil, err
	}
	c, err := x.authenticate(true)
	if err != nil {
		return nil, err
	}
	got, err := x.Guard.ClientCredentials(x.ctx, c, want)
	if err != nil {
		return nil, x.uncovered(err)
	}
	return answerOf(got), nil
}
