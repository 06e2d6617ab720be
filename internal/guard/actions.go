package guard

import (
	"context"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/catalog"
	"github.com/attorn/attorn/policy"
)

// actions are what policies of a workspace are typed for: the tools that it accepted, and reading the resources of each server.
func (g *Guard) actions(ctx context.Context, ws id.Workspace) ([]policy.Action, error) {
	servers, err := g.Catalog.Servers(ctx, ws)
	if err != nil {
		return nil, err
	}
	var all []policy.Action
	for _, s := range servers {
		tools, err := g.Catalog.Tools(ctx, ws, s.Name)
		if err != nil {
			return nil, err
		}
		reading, err := g.Catalog.Callable(ctx, ws, s.Name, catalog.ResourcesRead)
		if err != nil {
			return nil, err
		}
		for _, t := range append(tools, reading) {
			if t.Status != catalog.Accepted || t.Kind == catalog.KindInstructions {
				continue
			}
			shape, err := g.Catalog.Shape(t)
			if err != nil {
				return nil, err
			}
			all = append(all, policy.Action{Name: t.Action(), Class: t.Class, Resource: policy.UID{Type: policy.TypeTool, ID: t.Server + ":" + t.Segment()}, Shape: shape})
		}
	}
	return all, nil
}
