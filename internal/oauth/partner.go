package oauth

import (
	"strings"
	"time"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/jose"
)

// typOf is what an assertion says that it is, whatever it is signed with. Nothing of it is believed; it decides only who looks at it next.
func typOf(assertion string) string {
	var h struct {
		Typ string `json:"typ"`
	}
	part, _, _ := strings.Cut(assertion, ".")
	raw, err := jose.DecodeBase64(part)
	if err != nil || jose.DecodeForeign(raw, &h, jose.Limits{}) != nil {
		return ""
	}
	return h.Typ
}

// partner gives a token to another server's agent by that server's word, which stands for client authentication: what it was lent there, for use here, as an
// access token (RFC 7523 §2.1) or as a chain. client_id, an agent of ours, picks the rule where several trust it.
func (x *exchange) partner(p guard.PartnerProof, want guard.TokenRequest) (any, error) {
	p.Credentials = x.credentials()
	if name := x.form["client_id"]; name != "" {
		var err error
		if p.Agent, err = id.Parse[id.Agent](name); err != nil {
			return nil, malformed("client_id is not an agent's id")
		}
	}
	now := x.Guard.Now()
	x.from = attempt{client: "partner " + network(x.r)}
	if wait := x.failures.wait(x.from, now); wait > 0 {
		return nil, limited{wait}
	}
	got, made, err := x.Guard.PartnerToken(x.ctx, p, want)
	if err != nil {
		x.untrusted(guard.WorkloadProof{Credentials: p.Credentials, Workspace: p.Workspace}, err)
		return nil, x.uncovered(err)
	}
	out := madeAnswer{tokenAnswer: answerOf(got), Workspace: made.Agent.Workspace, Name: made.Agent.Name, Agent: made.Agent.ID, Instance: made.Instance.Key}
	out.InstanceExpiresIn = int64(made.Instance.ExpiresAt.Sub(now) / time.Second)
	return out, nil
}

// partnerChain is the exchange of a chain of another server's (RFC 8693 §2.1).
func (x *exchange) partnerChain(want guard.TokenRequest) (any, error) {
	if x.form["client_assertion"] != "" || x.form["client_assertion_type"] != "" {
		return nil, malformed("the chain and the DPoP proof stand for client authentication").Try("leave client_assertion out")
	}
	if err := x.oneMethod(true); err != nil {
		return nil, err
	}
	ws, err := x.workspace()
	if err != nil {
		return nil, err
	}
	got, err := x.partner(guard.PartnerProof{Chain: want.Subject, Workspace: ws}, want)
	if out, ok := got.(madeAnswer); ok {
		out.IssuedType = guard.TypeAccessToken
		return out, err
	}
	return got, err
}
