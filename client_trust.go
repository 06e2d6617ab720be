package attorn

import (
	"context"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/id"
)

// AddTrustRule lets workloads of another platform become instances of an agent; api.KubernetesTrust, api.GitHubTrust and api.SPIFFETrust make rules
// for the usual ones.
func (c *Client) AddTrustRule(ctx context.Context, in api.NewTrustRule) (api.TrustRule, error) {
	return ask[api.TrustRule](ctx, c.door, "AddTrustRule", nil, nil, in)
}

// TrustRules lists the workspace's trust rules, those of one agent unless it is zero.
func (c *Client) TrustRules(ctx context.Context, agent id.Agent, p Page) (api.List[api.TrustRule], error) {
	q := p.query("after")
	set(q, "agent", agent.String())
	return ask[api.List[api.TrustRule]](ctx, c.door, "TrustRules", nil, q, nil)
}

// TrustRule reads a trust rule.
func (c *Client) TrustRule(ctx context.Context, rule id.TrustRule) (api.TrustRule, error) {
	return ask[api.TrustRule](ctx, c.door, "TrustRule", []string{rule.String()}, nil, nil)
}

// RemoveTrustRule takes a trust rule away. Instances that it let in live until they expire.
func (c *Client) RemoveTrustRule(ctx context.Context, rule id.TrustRule) (api.Done, error) {
	return ask[api.Done](ctx, c.door, "RemoveTrustRule", []string{rule.String()}, nil, nil)
}

// TestTrust says how an assertion would fare with the workspace's rules. Nothing of it is spent or kept.
func (c *Client) TestTrust(ctx context.Context, assertion string) (api.TrustTested, error) {
	return ask[api.TrustTested](ctx, c.door, "TestTrust", nil, nil, api.TestTrust{Assertion: assertion})
}
