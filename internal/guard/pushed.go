package guard

import (
	"context"
	"strings"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/tickets"
	"github.com/attorn/attorn/jose"
)

// PushedURI begins every request_uri of this server (RFC 9126 §2.2).
const PushedURI = "urn:ietf:params:oauth:request_uri:"

// Push keeps a validated request that its proven client pushed, spends the client's proofs, and returns the request_uri under which it is opened, once. Codes:
// those of AdmitRequest, invalid_client, dpop_replayed.
func (g *Guard) Push(ctx context.Context, c *Client, r AuthRequest) (string, error) {
	if err := g.spendProofs(ctx, c); err != nil {
		return "", err
	}
	if !c.ws.IsZero() { // an agent is of one
		r.Workspace = c.ws
	}
	r, err := g.AdmitRequest(ctx, r)
	if err != nil {
		return "", err
	}
	body, err := jose.Canonical(r)
	if err != nil {
		return "", err
	}
	var secret string
	err = g.Log.Keep(ctx, func(tx *audit.Tx) (err error) {
		secret, err = g.Tickets.Issue(tx, tickets.Ticket{Kind: tickets.Pushed, Workspace: r.Workspace, Client: r.Client, JKT: r.JKT, Body: string(body)}, tickets.Pushed.Life())
		return err
	})
	return PushedURI + secret, err
}

// OpenPushed spends a pushed request of client's, whether or not it is that client's. Codes: ticket_unknown, ticket_spent, ticket_expired, wrong_client.
func (g *Guard) OpenPushed(ctx context.Context, uri, client string) (r AuthRequest, err error) {
	secret, ok := strings.CutPrefix(uri, PushedURI)
	if !ok {
		return r, fault.New(fault.Invalid, "ticket_unknown", "the request_uri is none of this server").Try("push the request to %s/oauth/par", g.Issuer)
	}
	var t tickets.Ticket
	err = g.Log.Keep(ctx, func(tx *audit.Tx) (err error) {
		t, err = g.Tickets.Spend(tx, tickets.Pushed, secret)
		return err
	})
	if err != nil {
		return r, err
	}
	if t.Client != client {
		return r, fault.New(fault.Denied, "wrong_client", "another client has pushed this request").Try("start again in the client that you came from")
	}
	return r, jose.Decode([]byte(t.Body), &r, jose.Limits{})
}

// Answer is what a client is told by way of the browser (RFC 6749 §4.1.2): a code, or an error.
type Answer struct {
	Redirect, State string
	Code, Error     string
}

// Resume takes what a person decided to the client, once: it spends the resume ticket and issues the code in one transaction, in the session of whoever decided.
// Codes: ticket_unknown, ticket_spent, ticket_expired, wrong_person, session_unknown.
func (g *Guard) Resume(ctx context.Context, c *Caller, handle string) (Answer, error) {
	var out Answer
	var cause error
	change := func(tx *audit.Tx) error {
		t, err := g.Tickets.Spend(tx, tickets.Resume, handle)
		if err != nil {
			return err
		}
		if cause = nil; c.person.IsZero() || t.Subject != c.person.String() {
			cause = wrongPerson() // and it stays spent
			return nil
		}
		d, err := readDecided(t.Body)
		if err != nil {
			return err
		}
		out = Answer{Redirect: d.Request.Redirect, State: d.Request.State, Error: d.Refused}
		if d.Refused != "" {
			return nil
		}
		out.Code, err = g.Tickets.Issue(tx, tickets.Ticket{
			Kind: tickets.Code, Workspace: t.Workspace, Subject: d.Agent.String(), Family: t.Family, Client: t.Client, JKT: t.JKT, Body: t.Body,
		}, tickets.Code.Life())
		return err
	}
	if err := g.Log.Keep(ctx, g.whileSignedIn(c, change)); err != nil {
		return Answer{}, err
	}
	return out, cause
}

func readDecided(body string) (d decided, err error) {
	err = jose.Decode([]byte(body), &d, jose.Limits{})
	return d, err
}

// ofTicket reads whose a code or refresh token is.
func ofTicket(t tickets.Ticket) (agent id.Agent, dlg id.Delegation, err error) {
	if agent, err = id.Parse[id.Agent](t.Subject); err == nil {
		dlg, err = id.Parse[id.Delegation](t.Family)
	}
	return agent, dlg, err
}
