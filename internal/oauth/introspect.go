package oauth

import (
	"cmp"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/guard"
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
	MayAct     *mayAct        `json:"may_act,omitzero"` // RFC 8693 §4.4
	Via        *token.Via     `json:"via,omitzero"`
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

type mayAct struct {
	Sub id.Agent `json:"sub"`
}

type confirmation struct {
	JKT id.Key `json:"jkt"`
}

// introspect is POST /oauth/introspect (RFC 7662): for a service, tokens for its resource; for another client, its own. Whoever accepts
// application/token-introspection+jwt gets the answer signed (RFC 9701 §4).
func (f *face) introspect(x *exchange) (any, error) {
	raw, err := x.form.need("token")
	if err != nil {
		return nil, err
	}
	c, err := x.authenticate(false)
	if err != nil {
		return nil, err
	}
	found, err := x.Guard.Introspect(x.ctx, c, raw)
	if err != nil {
		return nil, err
	}
	answer := introspectionOf(found)
	if !accepts(x.r.Header, signedIntrospection) {
		return answer, nil
	}
	signed, err := x.Guard.SignIntrospection(x.ctx, c, answer)
	return secretDocument{kind: signedIntrospection, body: signed}, err
}

const signedIntrospection = "application/token-introspection+jwt"

// secretDocument is an answer that is not JSON, and that nobody keeps.
type secretDocument struct{ kind, body string }

func introspectionOf(i guard.Introspected) introspection {
	if !i.Active {
		return introspection{}
	}
	t := i.Claims
	out := introspection{
		Active: true, Issuer: t.Issuer, Subject: t.Subject, Audience: t.Audience, ClientID: t.ClientID, Scope: t.Scope, Details: t.Details, Act: t.Act, Via: t.Via,
		ID: t.ID, IssuedAt: t.IssuedAt, Expires: t.Expires, Delegation: t.Delegation, Task: t.Task,
		ACR: t.ACR, AuthTime: t.AuthTime, Workspace: t.Workspace, Session: t.Session, Chain: i.Chain,
	}
	if !i.Refresh { // which is of no type (RFC 6749 §5.1): nothing is asked for with it
		out.TokenType = "Bearer"
	}
	if !t.MayAct.IsZero() {
		out.MayAct = &mayAct{t.MayAct}
	}
	if !t.JKT.IsZero() {
		out.Cnf = &confirmation{t.JKT}
		if !i.Refresh {
			out.TokenType = "DPoP"
		}
	}
	return out
}

// accepts reports whether a request names a media type in Accept (RFC 9110 §12.5.1), and not to say that it does not want it.
func accepts(h http.Header, kind string) bool {
	for _, line := range h.Values("Accept") {
		for part := range strings.SplitSeq(line, ",") {
			name, params, err := mime.ParseMediaType(part)
			if q, bad := strconv.ParseFloat(cmp.Or(params["q"], "1"), 64); err == nil && name == kind && bad == nil && q > 0 {
				return true
			}
		}
	}
	return false
}
