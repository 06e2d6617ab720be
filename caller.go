package attorn

import (
	"context"
	"net/http"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/token"
)

// Caller is who sent a request, as a Verifier proved it: which instance of which agent, for whom, and what was lent to it. Requests with the same
// token share what its slices hold: read them, do not change them.
type Caller struct {
	Workspace   id.Workspace
	Agent       id.Agent                // zero for a person who acts themself
	Instance    id.Key                  // the key that signed the request; zero with a bearer token
	Person      id.User                 // at the root of the chain; zero: the agent acts for nobody
	Chain       []token.Actor           // the agents between, the current one first; empty for a person, or an agent that acts for nobody
	Permissions []delegation.Permission // what the token covers at most; none where no token was sent
	Delegation  id.Delegation           // under which the agent acts
	Task        string                  // the piece of work that it was lent for
	ACR         string                  // how well the person had signed in (RFC 9470)
	AuthTime    int64                   // and when, in seconds; 0: not said
	Proofs      []string                // what was verified: "dpop", "httpsig", "object"; "bearer": none, whoever holds the token may have sent it
	TokenID     string                  // jti; "" where no token was sent
}

// Sub is who acts: the agent, or the person.
func (c Caller) Sub() string {
	if !c.Agent.IsZero() {
		return c.Agent.String()
	}
	return c.Person.String()
}

// Allows reports whether the token covers an action with these arguments. It is a ceiling: what policy says of the call is asked of the server.
func (c Caller) Allows(action string, args delegation.Args) bool {
	return delegation.Allows(c.Permissions, action, args)
}

type callerKey struct{}

// CallerOf is the caller that Middleware proved. Outside of it there is none.
func CallerOf(r *http.Request) (Caller, bool) {
	c, ok := r.Context().Value(callerKey{}).(*Caller)
	if !ok {
		return Caller{}, false
	}
	return *c, true
}

func withCaller(r *http.Request, c *Caller) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), callerKey{}, c))
}

// callerOf reads who acts from a token's claims, which package token has checked to be of one of its three forms.
func callerOf(c token.Claims) (Caller, bool) {
	out := Caller{
		Workspace: c.Workspace, Instance: c.JKT, Chain: c.Actors(), Permissions: c.Permissions(), Delegation: c.Delegation, Task: c.Task,
		ACR: c.ACR, AuthTime: c.AuthTime, TokenID: c.ID,
	}
	if agent, err := id.Parse[id.Agent](c.Subject); err == nil {
		out.Agent = agent
		return out, true
	}
	person, err := id.Parse[id.User](c.Subject)
	if err != nil {
		return Caller{}, false
	}
	out.Person = person
	if c.Act == nil {
		out.Instance = id.Key{} // the key is the person's own
		return out, true
	}
	out.Agent = c.Act.Sub
	return out, true
}
