package guard

import (
	"context"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/clients"
)

// RegisterService adds a resource server.
func (g *Guard) RegisterService(ctx context.Context, c *Caller, n clients.NewService) (clients.Service, error) {
	n.ID, n.Workspace = id.New[id.Service](g.Now()), c.ws
	a := act{
		action: "attorn:client:register", noun: "client:" + n.ID.String(), kind: evidence.ClientRegistered, target: n.ID.String(),
		what: &evidence.What{Audience: n.Resource, Key: &n.Key},
	}
	if under(n.Resource, g.Issuer) {
		return clients.Service{}, g.refuseAct(ctx, c, nil, a, nil, fault.New(fault.Invalid, "resource_invalid", "a URL of this server is nobody else's resource"))
	}
	var made clients.Service
	_, err := g.do(ctx, c, a, func(tx *audit.Tx) (err error) { made, err = g.Clients.Register(tx, n); return err })
	return made, err
}

// ListServices lists the workspace's resource servers.
func (g *Guard) ListServices(ctx context.Context, c *Caller, after id.Service, limit int) ([]clients.Service, error) {
	if err := g.May(ctx, c, "attorn:client:read", "workspace"); err != nil {
		return nil, err
	}
	return g.Clients.List(ctx, c.ws, after, limit)
}

// RemoveService ends a resource server, by id or name: nobody gets a token for it, and it learns nothing more.
func (g *Guard) RemoveService(ctx context.Context, c *Caller, text string) (evidence.Receipt, error) {
	a := act{action: "attorn:client:remove", noun: "workspace", kind: evidence.ClientRemoved}
	s, err := g.Clients.Find(ctx, c.ws, text)
	if err != nil {
		return evidence.Receipt{}, g.refuseAct(ctx, c, nil, a, nil, err)
	}
	a.noun, a.target, a.what = "client:"+s.ID.String(), s.ID.String(), &evidence.What{Audience: s.Resource, Ended: []string{s.ID.String()}}
	return g.do(ctx, c, a, func(tx *audit.Tx) error { _, err := g.Clients.Remove(tx, c.ws, s.ID); return err })
}

func under(url, base string) bool {
	return url == base || len(url) > len(base) && url[:len(base)] == base && (url[len(base)] == '/' || url[len(base)] == '?')
}
