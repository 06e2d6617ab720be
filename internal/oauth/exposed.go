package oauth

import (
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/jose"
)

// noPrivateKey refuses a request that holds a private key, before anything else is said of it. Codes: private_key, dpop_private_key.
func (x *exchange) noPrivateKey(body []byte) error {
	return x.Guard.NoPrivateKeySent(x.ctx, guard.Sent{
		Header: x.r.Header, Query: x.r.URL.RawQuery, Body: body, Form: true, IP: address(x.r), Face: "oauth", Path: x.r.URL.Path,
	}, x.Log)
}

// subjectOf is the sub of a claim set, which nothing vouches for yet; "" where there is none.
func subjectOf(claims []byte) string {
	var c struct {
		Sub string `json:"sub"`
	}
	if jose.DecodeForeign(claims, &c, jose.Limits{}) != nil {
		return ""
	}
	return short(c.Sub)
}
