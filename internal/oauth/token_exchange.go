package oauth

import (
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/guard"
)

// tokenExchange gives an agent a token for what was lent to it (RFC 8693).
func (x *exchange) tokenExchange() (any, error) {
	c, err := x.authenticate(true)
	if err != nil {
		return nil, err
	}
	want, err := x.asked()
	if err != nil {
		return nil, err
	}
	if want.Subject, err = x.form.need("subject_token"); err != nil {
		return nil, err
	}
	if want.SubjectType, err = x.form.need("subject_token_type"); err != nil {
		return nil, err
	}
	switch {
	case x.form["actor_token"] != "" || x.form["actor_token_type"] != "":
		return nil, malformed("actor_token is not supported: who acts is the client that authenticates").Try("leave actor_token and actor_token_type out")
	case x.form["requested_token_type"] != "" && x.form["requested_token_type"] != guard.TypeAccessToken:
		return nil, malformed("only access tokens come out of an exchange").Try("leave requested_token_type out, or send %s", guard.TypeAccessToken)
	case x.form["audience"] != "":
		return nil, fault.New(fault.Invalid, "unknown_resource", "targets are named by their URL, not by audience").Try("send resource")
	}
	got, err := x.Guard.Exchange(x.ctx, c, want)
	if err != nil {
		return nil, x.uncovered(err)
	}
	out := answerOf(got)
	out.IssuedType = guard.TypeAccessToken
	return out, nil
}
