package attorn

import (
	"context"
	"net/url"

	"github.com/attorn/attorn/api"
)

// ResourceTypes lists the types of services' own objects.
func (c *Client) ResourceTypes(ctx context.Context) (api.List[api.ResourceType], error) {
	return ask[api.List[api.ResourceType]](ctx, c.door, "ResourceTypes", nil, nil, nil)
}

// ResourceType reads a type with its file.
func (c *Client) ResourceType(ctx context.Context, name string) (api.ResourceType, error) {
	return ask[api.ResourceType](ctx, c.door, "ResourceType", []string{name}, nil, nil)
}

// SetResourceType makes a type of a service's own objects of its file, or changes one that was made so.
func (c *Client) SetResourceType(ctx context.Context, name, text string) (api.ResourceType, error) {
	return ask[api.ResourceType](ctx, c.door, "SetResourceType", []string{name}, nil, api.SetResourceType{Text: text})
}

// RemoveResourceType takes a type away that no object is of.
func (c *Client) RemoveResourceType(ctx context.Context, name string) (api.Done, error) {
	return ask[api.Done](ctx, c.door, "RemoveResourceType", []string{name}, nil, nil)
}

// Resources lists the objects of a type that are kept on the server.
func (c *Client) Resources(ctx context.Context, of string, p Page) (api.List[api.Resource], error) {
	return ask[api.List[api.Resource]](ctx, c.door, "Resources", []string{of}, p.query("after"), nil)
}

// Resource reads an object.
func (c *Client) Resource(ctx context.Context, of, object string) (api.Resource, error) {
	return ask[api.Resource](ctx, c.door, "Resource", nil, url.Values{"type": {of}, "id": {object}}, nil)
}

// SetResource keeps an object, or changes one: its attributes and what it is in become these.
func (c *Client) SetResource(ctx context.Context, in api.Resource) (api.Done, error) {
	return ask[api.Done](ctx, c.door, "SetResource", nil, nil, in)
}

// RemoveResource ends an object that nothing is in.
func (c *Client) RemoveResource(ctx context.Context, of, object string) (api.Done, error) {
	return ask[api.Done](ctx, c.door, "RemoveResource", nil, nil, api.ResourceName{Type: of, ID: object})
}
