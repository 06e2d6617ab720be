package attorn

import (
	"context"
	"net/url"
	"strconv"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/id"
)

// AddServer puts an MCP server behind the gateway; the server asks it first what it offers.
func (c *Client) AddServer(ctx context.Context, in api.NewServer) (api.Server, error) {
	return ask[api.Server](ctx, c.door, "AddServer", nil, nil, in)
}

// Servers lists the MCP servers.
func (c *Client) Servers(ctx context.Context) (api.List[api.Server], error) {
	return ask[api.List[api.Server]](ctx, c.door, "Servers", nil, nil, nil)
}

// Server reads an MCP server.
func (c *Client) Server(ctx context.Context, name string) (api.Server, error) {
	return ask[api.Server](ctx, c.door, "Server", []string{name}, nil, nil)
}

// RemoveServer takes an MCP server from the gateway.
func (c *Client) RemoveServer(ctx context.Context, name string) (api.Done, error) {
	return ask[api.Done](ctx, c.door, "RemoveServer", []string{name}, nil, nil)
}

// Tools lists a server's tools, prompts and instructions with their pins.
func (c *Client) Tools(ctx context.Context, server string) (api.List[api.Tool], error) {
	return ask[api.List[api.Tool]](ctx, c.door, "Tools", []string{server}, nil, nil)
}

// PinTool accepts a definition by the pin that was shown; tool is the last segment of its permission.
func (c *Client) PinTool(ctx context.Context, server, tool string, in api.Pin) (api.Done, error) {
	return ask[api.Done](ctx, c.door, "PinTool", []string{server, tool}, nil, in)
}

// AddService registers a resource server.
func (c *Client) AddService(ctx context.Context, in api.NewService) (api.Service, error) {
	return ask[api.Service](ctx, c.door, "AddService", nil, nil, in)
}

// Services lists the resource servers.
func (c *Client) Services(ctx context.Context, p Page) (api.List[api.Service], error) {
	return ask[api.List[api.Service]](ctx, c.door, "Services", nil, p.query("after"), nil)
}

// RemoveService ends a resource server, by id or name.
func (c *Client) RemoveService(ctx context.Context, service string) (api.Done, error) {
	return ask[api.Done](ctx, c.door, "RemoveService", []string{service}, nil, nil)
}

// EventQuery narrows a search of the log; "me" is the caller.
type EventQuery struct {
	Agent   string
	Person  string
	Target  string
	Task    string
	Thread  string
	Kind    string
	Refused bool // only what was refused or failed
	Page
}

func (q EventQuery) values() url.Values {
	v := q.query("before")
	for name, value := range map[string]string{
		"agent": q.Agent, "person": q.Person, "target": q.Target, "task": q.Task, "thread": q.Thread, "kind": q.Kind,
	} {
		set(v, name, value)
	}
	if q.Refused {
		v.Set("refused", strconv.FormatBool(true))
	}
	return v
}

// Events searches the log, newest first.
func (c *Client) Events(ctx context.Context, q EventQuery) (api.List[api.Event], error) {
	return ask[api.List[api.Event]](ctx, c.door, "Events", nil, q.values(), nil)
}

// Event reads one event.
func (c *Client) Event(ctx context.Context, e id.Event) (api.Event, error) {
	return ask[api.Event](ctx, c.door, "Event", []string{e.String()}, nil, nil)
}

// Why explains an event. It is the server's word; Pack is what proves it.
func (c *Client) Why(ctx context.Context, e id.Event) (api.Answer, error) {
	return ask[api.Answer](ctx, c.door, "Why", []string{e.String()}, nil, nil)
}

// Pack gets the evidence about an event, which evidence.Verify checks offline.
func (c *Client) Pack(ctx context.Context, e id.Event) ([]byte, error) {
	return ask[[]byte](ctx, c.door, "Pack", []string{e.String()}, nil, nil)
}

// Head reads the newest checkpoint of the workspace's log.
func (c *Client) Head(ctx context.Context) (api.Head, error) {
	return ask[api.Head](ctx, c.door, "Head", nil, nil, nil)
}

// Trust gets the server's trust policy. Who verifies keeps one that they got before, and not from whom they verify.
func (c *Client) Trust(ctx context.Context) ([]byte, error) {
	return ask[[]byte](ctx, c.door, "Trust", nil, nil, nil)
}
