package oauth

import "github.com/attorn/attorn/id"

// revoke is POST /oauth/revoke (RFC 7009): a token of the client's own, or a delegation that it made or was given. The answer lists the
// delegations that ended; for a token that is nobody's it lists none (§2.2).
func (f *face) revoke(x *exchange) (any, error) {
	raw, err := x.form.need("token")
	if err != nil {
		return nil, err
	}
	c, err := x.grantee(false)
	if err != nil {
		return nil, err
	}
	ended, err := x.Guard.RevokeToken(x.ctx, c, raw)
	if err != nil {
		return nil, err
	}
	if ended == nil {
		ended = []id.Delegation{}
	}
	return struct {
		Revoked []id.Delegation `json:"revoked"`
	}{ended}, nil
}
