package attorn

import (
	"context"

	"github.com/attorn/attorn/api"
)

// Keys lists the server's own keys, oldest first, those of its logs among them.
func (c *Client) Keys(ctx context.Context) (api.List[api.ServerKey], error) {
	return ask[api.List[api.ServerKey]](ctx, c.door, "Keys", nil, nil, nil)
}

// RotateKey changes the issuer's key, or that of a log.
func (c *Client) RotateKey(ctx context.Context, in api.RotateKey) (api.RotatedKey, error) {
	return ask[api.RotatedKey](ctx, c.door, "RotateKey", nil, nil, in)
}
