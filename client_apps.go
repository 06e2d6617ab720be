package attorn

import (
	"context"
	"net/url"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/id"
)

// Apps lists the apps that people of the workspace consented to: those of one client_id unless it is "", and of one person unless that is "" ("me" is the caller).
func (c *Client) Apps(ctx context.Context, client, person string, p Page) (api.List[api.ConsentedApp], error) {
	q := p.query("after")
	set(q, "client", client)
	set(q, "person", person)
	return ask[api.List[api.ConsentedApp]](ctx, c.door, "Apps", nil, q, nil)
}

// App reads an app as it describes itself now, which the server asks its address for, and what the workspace lets it do.
func (c *Client) App(ctx context.Context, client string) (api.App, error) {
	return ask[api.App](ctx, c.door, "App", nil, url.Values{"client": {client}}, nil)
}

// InviteApp makes a one-time token by which an app registers itself.
func (c *Client) InviteApp(ctx context.Context) (api.AppInvited, error) {
	return ask[api.AppInvited](ctx, c.door, "InviteApp", nil, nil, nil)
}

// RemoveApp ends an app that registered itself.
func (c *Client) RemoveApp(ctx context.Context, app id.App) (api.Done, error) {
	return ask[api.Done](ctx, c.door, "RemoveApp", []string{app.String()}, nil, nil)
}

// SetClientRule says what the workspace lets an app do, all of a host, or all.
func (c *Client) SetClientRule(ctx context.Context, in api.ClientRule) (api.Done, error) {
	return ask[api.Done](ctx, c.door, "SetClientRule", nil, nil, in)
}

// ClientRules lists the workspace's rules about apps.
func (c *Client) ClientRules(ctx context.Context, p Page) (api.List[api.ClientRule], error) {
	return ask[api.List[api.ClientRule]](ctx, c.door, "ClientRules", nil, p.query("after"), nil)
}

// RemoveClientRule takes a rule about apps away.
func (c *Client) RemoveClientRule(ctx context.Context, in api.ClientRef) (api.Done, error) {
	return ask[api.Done](ctx, c.door, "RemoveClientRule", nil, nil, in)
}
