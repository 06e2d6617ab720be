package attorn

import (
	"context"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/id"
)

// TrustIssuer lets agents of another server act as an agent of this workspace, under what was lent to that agent.
func (c *Client) TrustIssuer(ctx context.Context, in api.NewTrustedIssuer) (api.TrustedIssuer, error) {
	return ask[api.TrustedIssuer](ctx, c.door, "TrustIssuer", nil, nil, in)
}

// TrustedIssuers lists the workspace's rules for other servers, the oldest first.
func (c *Client) TrustedIssuers(ctx context.Context, p Page) (api.List[api.TrustedIssuer], error) {
	return ask[api.List[api.TrustedIssuer]](ctx, c.door, "TrustedIssuers", nil, p.query("after"), nil)
}

// TrustedIssuer reads a rule for another server.
func (c *Client) TrustedIssuer(ctx context.Context, rule id.Issuer) (api.TrustedIssuer, error) {
	return ask[api.TrustedIssuer](ctx, c.door, "TrustedIssuer", []string{rule.String()}, nil, nil)
}

// RemoveIssuer takes a rule for another server away, with everything that came by it.
func (c *Client) RemoveIssuer(ctx context.Context, rule id.Issuer) (api.Done, error) {
	return ask[api.Done](ctx, c.door, "RemoveIssuer", []string{rule.String()}, nil, nil)
}
