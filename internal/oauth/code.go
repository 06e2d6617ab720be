package oauth

import (
	"regexp"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/guard"
)

const (
	grantCode    = "authorization_code"
	grantRefresh = "refresh_token"
)

var verifierForm = regexp.MustCompile(`^[A-Za-z0-9._~-]{43,128}$`) // RFC 7636 §4.1

// grantAnswer is RFC 6749 §5.1 with the ID token (OpenID Connect Core §3.1.3.3) and, for an agent, the delegation that the person made.
type grantAnswer struct {
	tokenAnswer
	Refresh   string `json:"refresh_token,omitzero"`
	IDToken   string `json:"id_token,omitzero"`
	Statement string `json:"delegation,omitzero"`
}

func granted(got guard.Grant) grantAnswer {
	out := grantAnswer{answerOf(got.Issued), got.Refresh, got.IDToken, got.Statement}
	if got.Bearer {
		out.TokenType = "Bearer"
	}
	return out
}

// authorizationCode is the grant of RFC 6749 §4.1.3.
func (x *exchange) authorizationCode() (any, error) {
	r := guard.CodeRequest{Resource: x.form["resource"]}
	for name, into := range map[string]*string{"code": &r.Code, "redirect_uri": &r.Redirect} {
		var err error
		if *into, err = x.form.need(name); err != nil {
			return nil, err
		}
	}
	if r.Verifier = x.form["code_verifier"]; !verifierForm.MatchString(r.Verifier) {
		return nil, fault.New(fault.Invalid, "pkce_required", "code_verifier is missing, or is not 43 to 128 unreserved characters").Try("send the verifier whose SHA-256 was the code_challenge")
	}
	c, err := x.grantee(true)
	if err != nil {
		return nil, err
	}
	got, err := x.Guard.RedeemCode(x.ctx, c, r)
	if err != nil {
		return nil, err
	}
	return granted(got), nil
}

// refreshToken is the grant of RFC 6749 §6. scope may be less than was granted, for this token alone.
func (x *exchange) refreshToken() (any, error) {
	raw, err := x.form.need("refresh_token")
	if err != nil {
		return nil, err
	}
	want, err := x.refreshed()
	if err != nil {
		return nil, err
	}
	c, err := x.grantee(true)
	if err != nil {
		return nil, err
	}
	got, err := x.Guard.RedeemRefresh(x.ctx, c, raw, want)
	if err != nil {
		return nil, x.uncovered(err)
	}
	return granted(got), nil
}

// refreshed is what a refresh asks for; openid and offline_access were granted, or were not.
func (x *exchange) refreshed() (guard.TokenRequest, error) {
	var r guard.AuthRequest
	r.Resources = []string{x.form["resource"]}
	if err := readAsked(&r, x.form); err != nil {
		return guard.TokenRequest{}, err
	}
	if r.Task != (guard.TaskAsk{}) {
		return guard.TokenRequest{}, badDetails("%s is for people to decide, and was", taskType)
	}
	return guard.TokenRequest{Resource: x.form["resource"], Permissions: r.Permissions}, nil
}
