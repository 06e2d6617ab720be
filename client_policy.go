package attorn

import (
	"context"

	"github.com/attorn/attorn/api"
)

// PolicySchema lists what policies of the workspace can be about: its tools with their definitions, the roles that somebody holds, attorn's own acts. It is a page.
func (c *Client) PolicySchema(ctx context.Context, p Page) (api.PolicySchema, error) {
	return ask[api.PolicySchema](ctx, c.door, "PolicySchema", nil, p.query("after"), nil)
}
