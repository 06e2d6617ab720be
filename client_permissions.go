package attorn

import (
	"context"

	"github.com/attorn/attorn/api"
)

// Permissions lists what roles permit and deny a principal ("usr_…", "agt_…", "group:<name>"; "me" is the caller) now, with the way to each. What is one's own, and what
// written policies say, is not among it.
func (c *Client) Permissions(ctx context.Context, principal string) (api.List[api.EffectivePermission], error) {
	return ask[api.List[api.EffectivePermission]](ctx, c.door, "Permissions", []string{principal}, nil, nil)
}
