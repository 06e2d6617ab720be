package attorn

import (
	"context"
	"net/url"

	"github.com/attorn/attorn/api"
)

// Bind gives a person, an agent or a group a role.
func (c *Client) Bind(ctx context.Context, in api.Binding) (api.Bound, error) {
	return ask[api.Bound](ctx, c.door, "Bind", nil, nil, in)
}

// Unbind takes a role in a scope away.
func (c *Client) Unbind(ctx context.Context, in api.Binding) (api.Done, error) {
	return ask[api.Done](ctx, c.door, "Unbind", nil, nil, in)
}

// Bindings lists who has which role.
func (c *Client) Bindings(ctx context.Context) (api.List[api.Binding], error) {
	return ask[api.List[api.Binding]](ctx, c.door, "Bindings", nil, nil, nil)
}

// BindingsOf lists what is bound to a principal and to the groups that they are in; "me" is the caller.
func (c *Client) BindingsOf(ctx context.Context, principal string) (api.List[api.Binding], error) {
	return ask[api.List[api.Binding]](ctx, c.door, "Bindings", nil, url.Values{"principal": {principal}}, nil)
}

// Activate gives the caller, a person, a role that they are eligible for, for a time and for a reason.
func (c *Client) Activate(ctx context.Context, in api.Activation) (api.Bound, error) {
	return ask[api.Bound](ctx, c.door, "Activate", nil, nil, in)
}

// Deactivate ends what the caller has activated of a role.
func (c *Client) Deactivate(ctx context.Context, in api.Activation) (api.Done, error) {
	return ask[api.Done](ctx, c.door, "Deactivate", nil, nil, in)
}

// Duties lists the sets of roles that are held apart.
func (c *Client) Duties(ctx context.Context) (api.List[api.DutySet], error) {
	return ask[api.List[api.DutySet]](ctx, c.door, "Duties", nil, nil, nil)
}

// SetDuties makes a set of roles that are held apart, or changes it.
func (c *Client) SetDuties(ctx context.Context, name string, in api.SetDuties) (api.Done, error) {
	return ask[api.Done](ctx, c.door, "SetDuties", []string{name}, nil, in)
}

// RemoveDuties ends a set.
func (c *Client) RemoveDuties(ctx context.Context, name string) (api.Done, error) {
	return ask[api.Done](ctx, c.door, "RemoveDuties", []string{name}, nil, nil)
}
