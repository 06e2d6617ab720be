package oauth

import (
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/token"
)

// introspection is RFC 7662 §2.2 with the token's own claims and the chain of who lent to whom, the root first.
type introspection struct {
	Active     bool           `json:"active"`
	Issuer     string         `json:"iss,omitzero"`
	Subject    string         `json:"sub,omitzero"`
	Audience   string         `json:"aud,omitzero"`
	ClientID   string         `json:"client_id,omitzero"`
	Scope      string         `json:"scope,omitzero"`
	Details    []token.Detail `json:"authorization_details,omitempty"`
	Act        *token.Actor   `json:"act,omitzero"`
	Cnf        *confirmation  `json:"cnf,omitzero"`
	TokenType  string         `json:"token_type,omitzero"`
	ID         string         `json:"jti,omitzero"`
	IssuedAt   int64          `json:"iat,omitzero"`
	Expires    int64          `json:"exp,omitzero"`
	Delegation id.Delegation  `json:"dlg,omitzero"`
	Task       string         `json:"task,omitzero"`
	ACR        string         `json:"acr,omitzero"`
	AuthTime   int64          `json:"auth_time,omitzero"`
	Workspace  id.Workspace   `json:"ws,omitzero"`
	Session    string         `json:"sid,omitzero"`
	Chain      []evidence.Hop `json:"chain,omitempty"`
}

type confirmation struct {
	JKT id.Key `json:"jkt"`
}

// introspect is POST /oauth/introspect (RFC 7662): for a service, tokens for its resource; for another client, its own.
func (f *face) introspect(x *exchange) (any, error) {
	raw, err := x.form.need("token")
	if err != nil {
		return nil, err
	}
	c, err := x.authenticate(false)
	if err != nil {
		return nil, err
	}
	t, chain, ok, err := x.Guard.Introspect(x.ctx, c, raw)
	if err != nil || !ok {
		return introspection{}, err
	}
	out := introspection{
		Active: true, Issuer: t.Issuer, Subject: t.Subject, Audience: t.Audience, ClientID: t.ClientID, Scope: t.Scope, Details: t.Details, Act: t.Act,
		TokenType: "Bearer", ID: t.ID, IssuedAt: t.IssuedAt, Expires: t.Expires, Delegation: t.Delegation, Task: t.Task,
		ACR: t.ACR, AuthTime: t.AuthTime, Workspace: t.Workspace, Session: t.Session, Chain: chain,
	}
	if !t.JKT.IsZero() {
		out.Cnf, out.TokenType = &confirmation{t.JKT}, "DPoP"
	}
	return out, nil
}
