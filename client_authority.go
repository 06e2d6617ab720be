package attorn

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

// query puts the page into a request; parameter is what Next is given as.
func (p Page) query(parameter string) url.Values {
	q := url.Values{}
	set(q, parameter, p.After)
	if p.Limit != 0 {
		q.Set("limit", strconv.Itoa(p.Limit))
	}
	return q
}

func set(q url.Values, name, value string) {
	if value != "" {
		q.Set(name, value)
	}
}

// DelegationQuery narrows a list of delegations; "me" is the caller.
type DelegationQuery struct {
	Delegator string
	Delegate  string
	Task      string
	Status    string // active, exhausted, expired or revoked
	Page
}

func (q DelegationQuery) values() url.Values {
	v := q.query("before")
	set(v, "delegator", q.Delegator)
	set(v, "delegate", q.Delegate)
	set(v, "task", q.Task)
	set(v, "status", q.Status)
	return v
}

// Lend hands in a statement that the person signed, with any of their keys, and returns it countersigned.
func (c *Client) Lend(ctx context.Context, signed delegation.Signed) (delegation.Link, error) {
	out, err := ask[api.Lent](ctx, c.door, "Lend", nil, nil, api.Lend{Signed: signed})
	return out.Link, err
}

// Delegate lends in the person's own name, signed with the client's key; delegate is an agent's id or name. Lend.Parent is empty: a person lends at
// the root.
func (c *Client) Delegate(ctx context.Context, delegate string, l Lend) (delegation.Link, error) {
	if l.Parent != "" {
		return delegation.Link{}, fault.New(fault.Invalid, "malformed", "a person lends at the root of a chain, under no other delegation")
	}
	return c.door.delegate(ctx, delegation.Delegator{User: c.user}, delegate, l, nil)
}

// Delegations lists delegations, newest first.
func (c *Client) Delegations(ctx context.Context, q DelegationQuery) (api.List[api.Delegation], error) {
	return ask[api.List[api.Delegation]](ctx, c.door, "Delegations", nil, q.values(), nil)
}

// Delegation reads one delegation.
func (c *Client) Delegation(ctx context.Context, d id.Delegation) (api.Delegation, error) {
	return ask[api.Delegation](ctx, c.door, "Delegation", []string{d.String()}, nil, nil)
}

// Chain reads a delegation's links, the root first: what delegation.VerifyChain takes.
func (c *Client) Chain(ctx context.Context, d id.Delegation) ([]delegation.Link, error) {
	l, err := ask[api.List[delegation.Link]](ctx, c.door, "Chain", []string{d.String()}, nil, nil)
	return l.Items, err
}

// Tree reads a delegation and all that descends from it, parents before children.
func (c *Client) Tree(ctx context.Context, d id.Delegation) (api.Tree, error) {
	return ask[api.Tree](ctx, c.door, "Tree", []string{d.String()}, nil, nil)
}

// RevokeDelegation ends a delegation and all that descends from it.
func (c *Client) RevokeDelegation(ctx context.Context, d id.Delegation, reason string) (api.Ended, error) {
	return c.end(ctx, "RevokeDelegation", d.String(), reason)
}

// Approvals lists approvals with a status ("" is pending), newest first.
func (c *Client) Approvals(ctx context.Context, status string, p Page) (api.List[api.Approval], error) {
	q := p.query("before")
	set(q, "status", status)
	return ask[api.List[api.Approval]](ctx, c.door, "Approvals", nil, q, nil)
}

// Approval reads an approval; with wait, at most 45 s, the answer is held until it is decided.
func (c *Client) Approval(ctx context.Context, a id.Approval, wait time.Duration) (api.Approval, error) {
	return c.door.approval(ctx, a, wait)
}

func (d *door) approval(ctx context.Context, a id.Approval, wait time.Duration) (api.Approval, error) {
	q := url.Values{}
	if wait > 0 {
		q.Set("wait", wait.String())
	}
	return ask[api.Approval](ctx, d, "Approval", []string{a.String()}, q, nil)
}

// ProposeVote makes the statement to sign: vote is evidence.Approve or evidence.Refuse.
func (c *Client) ProposeVote(ctx context.Context, a id.Approval, vote, reason string) (evidence.Vote, error) {
	return ask[evidence.Vote](ctx, c.door, "ProposeVote", []string{a.String()}, nil, api.ProposeVote{Vote: vote, Reason: reason})
}

// CastVote hands in a signed vote.
func (c *Client) CastVote(ctx context.Context, a id.Approval, signed evidence.SignedVote) (api.Approval, error) {
	return ask[api.Approval](ctx, c.door, "Vote", []string{a.String()}, nil, api.CastVote{Signed: signed})
}

// Vote votes on an approval as it was shown to the person, signed with the client's key. What the server proposes to sign must be on exactly that.
func (c *Client) Vote(ctx context.Context, shown api.Approval, vote, reason string) (api.Approval, error) {
	v, err := c.ProposeVote(ctx, shown.ID, vote, reason)
	if err != nil {
		return api.Approval{}, err
	}
	want := evidence.Asked{ID: shown.ID, Stage: shown.Role, Object: shown.Digest}
	if len(v.Asks) != 1 || v.Asks[0] != want || v.Vote != vote || v.Reason != reason || v.Voter != c.user || v.For != nil ||
		v.Workspace != c.door.ws || v.Issuer != c.door.server {
		return api.Approval{}, fault.New(fault.Denied, "vote_differs", "the server proposes another vote than the one meant; nothing was signed")
	}
	signed, err := evidence.SignVote(v, c.door.keys.key())
	if err != nil {
		return api.Approval{}, err
	}
	return c.CastVote(ctx, shown.ID, signed)
}

// CancelApproval withdraws an approval that was asked for.
func (c *Client) CancelApproval(ctx context.Context, a id.Approval) (api.Approval, error) {
	return ask[api.Approval](ctx, c.door, "CancelApproval", []string{a.String()}, nil, struct{}{})
}
