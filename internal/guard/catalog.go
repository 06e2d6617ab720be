package guard

import (
	"context"
	"fmt"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/approvals"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/catalog"
)

// MayRegister decides, before anything is contacted or run, whether the caller may add an MCP server of this transport, and spends the proof: who
// sends the same request again contacts and runs nothing. A server that attorn itself runs is a permission of its own: it runs code here.
func (g *Guard) MayRegister(ctx context.Context, c *Caller, s catalog.Server) error {
	if s.Transport == "stdio" {
		if _, _, err := g.judge(ctx, c, act{action: "attorn:server:run", noun: "server:" + s.Name, target: s.Name}); err != nil {
			return err
		}
	}
	return g.may(ctx, c, act{action: "attorn:server:add", noun: "server:" + s.Name, target: s.Name})
}

// RegisterServer adds an MCP server with what it offered when it was asked; whoever adds it accepts what is shown.
func (g *Guard) RegisterServer(ctx context.Context, c *Caller, s catalog.Server, offer catalog.Offer) (evidence.Receipt, error) {
	s.Workspace = c.ws
	a := act{
		action: "attorn:server:add", noun: "server:" + s.Name, kind: evidence.ServerAdded, target: "Server::" + s.Name,
		what: &evidence.What{Server: s.Name, Audience: g.MCP(c.ws, s.Name), Environment: s.Environment},
	}
	for _, it := range offer.Items {
		a.content = append(a.content, evidence.ContentOf(it.Definition))
	}
	return g.do(ctx, c, a, func(tx *audit.Tx) error { return catalog.Add(tx, s, offer) })
}

// RemoveServer ends an MCP server, and the approvals for its tools.
func (g *Guard) RemoveServer(ctx context.Context, c *Caller, name string) (evidence.Receipt, error) {
	a := act{
		action: "attorn:server:remove", noun: "server:" + name, kind: evidence.ServerRemoved, target: "Server::" + name, what: &evidence.What{Server: name},
	}
	return g.do(ctx, c, a, func(tx *audit.Tx) error {
		if err := catalog.Remove(tx, c.ws, name); err != nil {
			return err
		}
		_, err := g.Approvals.VoidAll(tx, c.ws, approvals.Ground{Server: name})
		return err
	})
}

// Servers lists the MCP servers of the workspace; whoever may act in it may know them.
func (g *Guard) Servers(ctx context.Context, c *Caller) ([]catalog.Server, error) {
	if err := g.Self(ctx, c); err != nil {
		return nil, err
	}
	return g.Catalog.Servers(ctx, c.ws)
}

// Tools lists a server's tools with their pins, for who may read the catalogue.
func (g *Guard) Tools(ctx context.Context, c *Caller, server string) ([]catalog.Tool, error) {
	if err := g.May(ctx, c, "attorn:server:read", "server:"+server); err != nil {
		return nil, err
	}
	if _, err := g.server(ctx, c.ws, server); err != nil {
		return nil, err
	}
	return g.Catalog.Tools(ctx, c.ws, server)
}

// Pin accepts the definition of a tool whose pin the caller has seen. open lets it take arguments that the definition does not declare, which no policy sees.
func (g *Guard) Pin(ctx context.Context, c *Caller, server, segment string, pin id.Digest, class string, open bool) (evidence.Receipt, error) {
	t, err := g.Catalog.Callable(ctx, c.ws, server, segment)
	a := act{
		action: "attorn:tool:pin", noun: fmt.Sprintf("tool:%s:%s", server, segment), kind: evidence.ToolPinned, target: "Tool::" + server + ":" + segment,
		what: &evidence.What{Server: server, Tool: segment, Pin: pin},
	}
	if err != nil {
		return evidence.Receipt{}, g.refuseAct(ctx, c, nil, a, nil, err)
	}
	a.content = []evidence.Content{evidence.ContentOf(t.Seen)}
	return g.do(ctx, c, a, func(tx *audit.Tx) error {
		if err := catalog.Accept(tx, c.ws, server, t.Kind, t.Name, pin, class, open); err != nil {
			return err
		}
		_, err := g.Approvals.VoidAll(tx, c.ws, approvals.Ground{Resource: evidence.Resource{Type: "Tool", ID: server + ":" + segment}})
		return err
	})
}

// Observe records what a server offers now: definitions never seen become new, changed ones quarantined, each with its event. It is the
// server's own act; nothing is lost when it is not called, for what is not accepted is not served.
func (g *Guard) Observe(ctx context.Context, ws id.Workspace, server string, items []catalog.Item) error {
	stored, err := g.Catalog.Tools(ctx, ws, server)
	if err != nil {
		return err
	}
	for _, ch := range catalog.Compare(stored, items) {
		kind := evidence.ToolAdded
		if ch.What != "new" {
			kind = evidence.ToolDrifted
		}
		segment := catalog.Tool{Server: server, Kind: ch.Kind, Name: ch.Name}.Segment()
		d := evidence.Draft{Workspace: ws, Target: "Tool::" + server + ":" + segment}
		d.Kind, d.Outcome, d.Who.Sub, d.Where.Face = kind, evidence.OK, evidence.ServerSub, "gateway"
		d.What = &evidence.What{Server: server, Tool: segment, Pin: ch.Pin}
		var one []catalog.Item
		for _, it := range items {
			if it.Kind == ch.Kind && it.Name == ch.Name {
				one = append(one, it)
				d.Content = append(d.Content, evidence.ContentOf(it.Definition))
			}
		}
		_, err := g.Log.Record(ctx, d, func(tx *audit.Tx) error {
			if _, err := catalog.Observe(tx, ws, server, one); err != nil {
				return err
			}
			_, err := g.Approvals.VoidAll(tx, ws, approvals.Ground{Resource: evidence.Resource{Type: "Tool", ID: server + ":" + segment}})
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
