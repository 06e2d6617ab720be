package attorn

import (
	"context"
	"net/url"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/id"
)

// AgentQuery narrows a list of agents.
type AgentQuery struct {
	api.AgentFilter
	Page
}

func (q AgentQuery) values() url.Values {
	v := q.query("after")
	set(v, "q", q.Q)
	set(v, "status", q.Status)
	set(v, "owner", q.Owner)
	set(v, "tag", q.Tag)
	set(v, "group", q.Group)
	if q.Ownerless {
		v.Set("ownerless", "true")
	}
	return v
}

// Agents lists the workspace's agents.
func (c *Client) Agents(ctx context.Context, q AgentQuery) (api.List[api.Agent], error) {
	return ask[api.List[api.Agent]](ctx, c.door, "Agents", nil, q.values(), nil)
}

// CreateAgent registers an agent.
func (c *Client) CreateAgent(ctx context.Context, in api.NewAgent) (api.Agent, error) {
	return ask[api.Agent](ctx, c.door, "CreateAgent", nil, nil, in)
}

// ImportAgents registers many agents, at most 200; the answer says, in their order, what became of each.
func (c *Client) ImportAgents(ctx context.Context, in api.AgentImport) ([]api.AgentOutcome, error) {
	l, err := ask[api.List[api.AgentOutcome]](ctx, c.door, "ImportAgents", nil, nil, in)
	return l.Items, err
}

// BulkAgents changes many agents; where the answer has a Next, the filter's next page begins after it.
func (c *Client) BulkAgents(ctx context.Context, in api.AgentBulk) (api.List[api.AgentOutcome], error) {
	return ask[api.List[api.AgentOutcome]](ctx, c.door, "BulkAgents", nil, nil, in)
}

// ChangeAgent changes what is said about an agent.
func (c *Client) ChangeAgent(ctx context.Context, a id.Agent, in api.AgentChange) (api.Agent, error) {
	return ask[api.Agent](ctx, c.door, "ChangeAgent", []string{a.String()}, nil, in)
}

// HandOver offers an agent to a new owner, accepts it, or assigns it.
func (c *Client) HandOver(ctx context.Context, a id.Agent, in api.NewOwner) (api.Agent, error) {
	return ask[api.Agent](ctx, c.door, "HandOver", []string{a.String()}, nil, in)
}

// ApproveAgent lets a proposed agent act.
func (c *Client) ApproveAgent(ctx context.Context, a id.Agent, reason string) (api.Agent, error) {
	return ask[api.Agent](ctx, c.door, "ApproveAgent", []string{a.String()}, nil, api.Reason{Reason: reason})
}
