package oauth

import (
	"net/http"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/clients"
	"github.com/attorn/attorn/internal/tickets"
)

const parPath = "/oauth/par"

// pushed is RFC 9126 §2.2.
type pushed struct {
	URI       string `json:"request_uri"`
	ExpiresIn int64  `json:"expires_in"`
}

// par is POST /oauth/par (RFC 9126 §2.1): it proves the client, and keeps its request to be opened once. An agent's code is bound to the key that it signs with, and
// an app's to that of the DPoP proof, if it sends one (RFC 9449 §10.1).
func (f *face) par(x *exchange) (any, error) {
	in := x.several
	if len(in.twice) > 0 {
		return nil, duplicate(in.twice[0])
	}
	if wait := x.pushes.Take(network(x.r), x.Guard.Now()); wait > 0 {
		return nil, limited{wait}
	}
	c, err := x.grantee(false)
	if err != nil {
		return nil, err
	}
	if in.form["request_uri"] != "" { // RFC 9126 §2.1
		return nil, malformed("request_uri is what the answer has, and not pushed itself")
	}
	r, err := readRequest(in)
	if err != nil {
		return nil, err
	}
	if r.Client, r.Redirect = c.ID(), in.form["redirect_uri"]; r.Redirect == "" {
		return nil, malformed("the parameter redirect_uri is missing")
	}
	if app := c.App(); app.ID != "" {
		err = app.Redirect(r.Redirect)
	} else if _, err = id.Parse[id.Agent](c.ID()); err != nil {
		err = fault.New(fault.Denied, "grant_not_allowed", "codes are for agents and apps")
	} else {
		err = clients.CheckRedirect(r.Redirect) // RFC 9126 §2.4: who it is was proved with the request
	}
	if err != nil {
		return nil, err
	}
	switch key := c.Key(); {
	case key.IsZero():
	case r.JKT.IsZero():
		r.JKT = key
	case r.JKT != key:
		return nil, fault.New(fault.Unauthenticated, "dpop_binding", "dpop_jkt is another key's than the one that the request was signed with")
	}
	uri, err := x.Guard.Push(x.ctx, c, r)
	if err != nil {
		return nil, err
	}
	return created{pushed{uri, int64(tickets.Pushed.Life() / time.Second)}}, nil
}

// created is an answer of status 201.
type created struct{ body any }

func statusOf(answer any) (any, int) {
	if c, ok := answer.(created); ok {
		return c.body, http.StatusCreated
	}
	return answer, http.StatusOK
}
