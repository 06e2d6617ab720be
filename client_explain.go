package attorn

import (
	"context"
	"net/url"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/id"
)

// Explain says how policy came to the decision of an event, by the policies that decided.
func (c *Client) Explain(ctx context.Context, e id.Event) (api.Explanation, error) {
	return ask[api.Explanation](ctx, c.door, "Explain", []string{e.String()}, nil, nil)
}

// ExplainBy says what another bundle that was published would have decided on an event: live, previous, or the one whose digest begins so. It takes leave to simulate.
func (c *Client) ExplainBy(ctx context.Context, e id.Event, bundle string) (api.Explanation, error) {
	return ask[api.Explanation](ctx, c.door, "Explain", []string{e.String()}, url.Values{"with": {bundle}}, nil)
}

// ExplainWith says what other policies would have decided on an event. It takes leave to simulate.
func (c *Client) ExplainWith(ctx context.Context, e id.Event, in api.ExplainWith) (api.Explanation, error) {
	return ask[api.Explanation](ctx, c.door, "ExplainWith", []string{e.String()}, nil, in)
}

// Simulate says what policy would decide on a request that nobody makes.
func (c *Client) Simulate(ctx context.Context, in api.Simulation) (api.Explanation, error) {
	return ask[api.Explanation](ctx, c.door, "Simulate", nil, nil, in)
}
