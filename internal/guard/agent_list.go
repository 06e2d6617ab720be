package guard

import (
	"context"
	"slices"
	"strings"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
)

// AgentQuery is agents.Query, and whom a group has.
type AgentQuery struct {
	agents.Query
	Group string
}

// ListAgents lists agents for who may read them; one's own need no permission. Code: not_found for a group that is none.
func (g *Guard) ListAgents(ctx context.Context, c *Caller, q AgentQuery) ([]agents.Agent, error) {
	if err := g.may(ctx, c, act{action: "attorn:agent:read", noun: "workspace", attrs: owned(q.Owner)}); err != nil {
		return nil, err
	}
	return g.listAgents(ctx, c.ws, q)
}

func (g *Guard) listAgents(ctx context.Context, ws id.Workspace, q AgentQuery) ([]agents.Agent, error) {
	if q.Group == "" {
		return g.Agents.List(ctx, ws, q.Query, g.Now())
	}
	if _, _, err := g.People.Group(ctx, ws, q.Group); err != nil {
		return nil, err
	}
	if q.Prefix != "" { // whose pages are in another order than the members
		return nil, fault.New(fault.Invalid, "malformed", "a list of a group's agents is not searched by name")
	}
	members, err := g.agentsIn(ctx, ws, q.Group)
	if err != nil {
		return nil, err
	}
	if q.Limit < 1 || q.Limit > maxAgents {
		q.Limit = maxAgents
	}
	var found []agents.Agent
	i, _ := slices.BinarySearchFunc(members, q.After, func(a, b id.Agent) int { return strings.Compare(a.String(), b.String()) })
	for part := range slices.Chunk(members[i:], maxAgents) {
		q.In, q.Query.Limit = part, q.Limit-len(found)
		more, err := g.Agents.List(ctx, ws, q.Query, g.Now())
		if found = append(found, more...); err != nil || len(found) == q.Limit {
			return found, err
		}
	}
	return found, nil
}

// maxAgents is how many agents one request is about.
const maxAgents = 200

// agentsIn lists, sorted, the agents in a group.
func (g *Guard) agentsIn(ctx context.Context, ws id.Workspace, group string) ([]id.Agent, error) {
	all, err := g.People.InGroups(ctx, ws, group)
	var found []id.Agent
	for _, m := range all {
		if a, err := id.Parse[id.Agent](m); err == nil {
			found = append(found, a)
		}
	}
	return found, err
}
