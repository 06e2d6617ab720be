package guard

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/rules"
	"github.com/attorn/attorn/policy"
)

// known are principals as policy sees them at a time, with their groups and roles, in the order given; and the groups, which what is decided by them
// rests on.
func (g *Guard) known(ctx context.Context, ws id.Workspace, now time.Time, subs ...string) (found []policy.Entity, groups []string, err error) {
	in, err := g.People.GroupsOf(ctx, ws, subs...)
	if err != nil {
		return nil, nil, err
	}
	for _, names := range in {
		for _, n := range names {
			groups = append(groups, evidence.Group+n)
		}
	}
	slices.Sort(groups)
	found, err = g.Rules.Entities(ctx, ws, now, in, subs...)
	return found, slices.Compact(groups), err
}

// holders lists, sorted, who has one of the roles everywhere at a time: by their own name or a group's.
func (g *Guard) holders(ctx context.Context, ws id.Workspace, now time.Time, of ...string) ([]string, error) {
	var bound []string
	for _, role := range of {
		more, err := g.Rules.Holders(ctx, ws, now, role)
		if err != nil {
			return nil, err
		}
		bound = append(bound, more...)
	}
	return g.withMembers(ctx, ws, bound)
}

// withMembers is a list of principals with the members of groups in their places, sorted, each once.
func (g *Guard) withMembers(ctx context.Context, ws id.Workspace, bound []string) ([]string, error) {
	var groups, all []string
	for _, p := range bound {
		if name, isGroup := strings.CutPrefix(p, rules.Group); isGroup {
			groups = append(groups, name)
		} else {
			all = append(all, p)
		}
	}
	members, err := g.People.InGroups(ctx, ws, groups...)
	if err != nil {
		return nil, err
	}
	all = append(all, members...)
	slices.Sort(all)
	return slices.Compact(all), nil
}

// rolesOf are those among an entity's parents.
func rolesOf(e policy.Entity) []string {
	names := []string{}
	for _, p := range e.Parents {
		if p.Type == "Role" {
			names = append(names, p.ID)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
