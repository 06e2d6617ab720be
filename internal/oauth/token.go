package oauth

import (
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/token"
)

// The grants (RFC 6749 §4.4, RFC 8693 §2.1, RFC 7523 §2.1, RFC 8628 §3.4).
const (
	grantClientCredentials = "client_credentials"
	grantExchange          = "urn:ietf:params:oauth:grant-type:token-exchange"
	grantJWTBearer         = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	grantDeviceCode        = "urn:ietf:params:oauth:grant-type:device_code"
)

// tokenAnswer is RFC 6749 §5.1 with the members of RFC 8693 §2.2.1 and RFC 9396 §7.
type tokenAnswer struct {
	AccessToken string         `json:"access_token"`
	IssuedType  string         `json:"issued_token_type,omitzero"`
	TokenType   string         `json:"token_type"`
	ExpiresIn   int64          `json:"expires_in"`
	Scope       string         `json:"scope,omitzero"`
	Details     []token.Detail `json:"authorization_details,omitempty"`
}

// token is POST /oauth/token: it picks the grant.
func (f *face) token(x *exchange) (any, error) {
	kind, err := x.form.need("grant_type")
	if err != nil {
		return nil, err
	}
	switch kind {
	case grantCode:
		return x.authorizationCode()
	case grantRefresh:
		return x.refreshToken()
	case grantClientCredentials:
		return x.clientCredentials()
	case grantExchange:
		return x.tokenExchange()
	case grantJWTBearer:
		return x.jwtBearer()
	case grantDeviceCode:
		return x.deviceCode()
	}
	return nil, fault.New(fault.Invalid, "unsupported_grant_type", "there is no grant of that type here").
		Try("the server's metadata lists grant_types_supported")
}

func answerOf(got guard.Issued) tokenAnswer {
	var c token.Claims
	c.SetPermissions(got.Permissions)
	return tokenAnswer{
		AccessToken: got.Token, TokenType: "DPoP", ExpiresIn: int64(got.Expires / time.Second), Scope: c.Scope, Details: c.Details,
	}
}
