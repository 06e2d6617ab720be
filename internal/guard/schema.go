package guard

import (
	"context"
	"slices"
	"strings"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/catalog"
)

// Callable lists what agents can call in the workspace, by action: tools and prompts that people accepted, and the reading of each server's resources. It is what
// policies are checked against.
func (g *Guard) Callable(ctx context.Context, c *Caller) ([]catalog.Tool, error) {
	if err := g.May(ctx, c, "attorn:policy:read", "policy"); err != nil {
		return nil, err
	}
	servers, err := g.Catalog.Servers(ctx, c.ws)
	if err != nil {
		return nil, err
	}
	var all []catalog.Tool
	for _, s := range servers {
		if s.Status != "active" {
			continue
		}
		tools, err := g.Catalog.Tools(ctx, c.ws, s.Name)
		if err != nil {
			return nil, err
		}
		for _, t := range tools {
			if t.Status == catalog.Accepted && t.Kind != catalog.KindInstructions {
				all = append(all, t)
			}
		}
		all = append(all, catalog.Tool{Workspace: c.ws, Server: s.Name, Kind: catalog.KindResource, Name: catalog.ResourcesRead, Class: catalog.Read, Status: catalog.Accepted})
	}
	slices.SortFunc(all, func(a, b catalog.Tool) int { return strings.Compare(a.Action(), b.Action()) })
	return all, nil
}

// Holders counts the people who hold each role that anybody in the workspace has.
func (g *Guard) Holders(ctx context.Context, c *Caller) (map[string]int, error) {
	bound, err := g.Rules.Bindings(ctx, c.ws)
	if err != nil {
		return nil, err
	}
	people := map[string]int{}
	for _, b := range bound {
		if _, done := people[b.Role]; done {
			continue
		}
		people[b.Role] = 0
		all, err := g.holders(ctx, c.ws, g.Now(), b.Role)
		if err != nil {
			return nil, err
		}
		for _, p := range all {
			if _, err := id.Parse[id.User](p); err == nil {
				people[b.Role]++
			}
		}
	}
	return people, nil
}
