package oauth

import (
	"slices"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/guard"
)

// tokenExchange gives an agent a token for what was lent to it (RFC 8693).
func (x *exchange) tokenExchange() (any, error) {
	want, err := x.exchanged()
	if err != nil {
		return nil, err
	}
	if want.SubjectType == guard.TypeChain {
		return x.partnerChain(want)
	}
	c, err := x.authenticate(true)
	if err != nil {
		return nil, err
	}
	got, err := x.Guard.Exchange(x.ctx, c, want)
	if err != nil {
		return nil, x.uncovered(err)
	}
	out := answerOf(got)
	out.IssuedType = guard.TypeAccessToken
	return out, nil
}

// exchanged reads what is to be exchanged for what (RFC 8693 §2.1).
func (x *exchange) exchanged() (guard.TokenRequest, error) {
	want, err := x.asked()
	if err != nil {
		return want, err
	}
	if want.Subject, err = x.form.need("subject_token"); err != nil {
		return want, err
	}
	if want.SubjectType, err = x.form.need("subject_token_type"); err != nil {
		return want, err
	}
	switch {
	case !slices.Contains([]string{guard.TypeAccessToken, guard.TypeDelegation, guard.TypeChain}, want.SubjectType):
		err = malformed("subject_token_type is not one that is exchanged here").
			Try("send %s or %s, or, as another server's agent, %s", guard.TypeDelegation, guard.TypeAccessToken, guard.TypeChain)
	case (x.form["actor_token"] == "") != (x.form["actor_token_type"] == ""):
		err = malformed("actor_token and actor_token_type come together").Try("leave both out: who acts is the client that authenticates")
	case x.form["actor_token"] != "" && (x.form["actor_token_type"] != guard.TypeAccessToken || want.SubjectType == guard.TypeChain):
		err = malformed("an actor token is an access token of the agent that asks").Try("leave actor_token and actor_token_type out")
	case x.form["requested_token_type"] != "" && x.form["requested_token_type"] != guard.TypeAccessToken:
		err = malformed("only access tokens come out of an exchange").Try("leave requested_token_type out, or send %s", guard.TypeAccessToken)
	case x.form["audience"] != "":
		err = fault.New(fault.Invalid, "unknown_resource", "targets are named by their URL, not by audience").Try("send resource")
	}
	want.Actor = x.form["actor_token"]
	return want, err
}
