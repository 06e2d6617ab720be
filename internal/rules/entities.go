package rules

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/policy"
)

// Entities are the principals as policy sees them at a time, in the order given: their parents are the workspace, their groups (which the caller knows, by
// principal) and the roles that they have then, through their groups too: what is active, and what they have activated. What else other rooms know of them (an
// agent's owner) is the caller's to add. Code: principal_invalid.
func (r *Room) Entities(ctx context.Context, ws id.Workspace, now time.Time, groups map[string][]string, principals ...string) (all []policy.Entity, err error) {
	bound := slices.Clone(principals)
	for _, p := range principals {
		u, err := uid(p)
		if err != nil {
			return nil, err
		}
		all = append(all, policy.Entity{UID: u, Parents: []policy.UID{{Type: "Workspace", ID: ws.String()}}})
		for _, g := range groups[p] {
			bound = append(bound, Group+g)
		}
	}
	found, err := r.grantsNow(ctx, ws, now, bound)
	if err != nil {
		return nil, err
	}
	for i, p := range principals {
		for _, g := range groups[p] {
			all[i].Parents = append(all[i].Parents, policy.UID{Type: "Group", ID: g})
		}
		mine := holders(p, groups[p])
		var roles []policy.UID
		for _, h := range found {
			if slices.Contains(mine, h.bound) && (h.by == "" || h.by == p) {
				roles = append(roles, h.grant.uid())
			}
		}
		slices.SortFunc(roles, func(a, b policy.UID) int { return cmp.Compare(a.ID, b.ID) })
		all[i].Parents = append(all[i].Parents, slices.Compact(roles)...)
	}
	return all, nil
}

// Given is a role that somebody has at a time, and by what.
type Given struct {
	Grant
	Bound     string    // to whom: the principal or "group:<name>"
	Activated bool      // of an eligible binding
	Until     time.Time // zero: without end
}

// Given lists the roles that a principal, or a group for itself, has at a time, first by its own name and then by its groups in their order.
func (r *Room) Given(ctx context.Context, ws id.Workspace, now time.Time, principal string, groups []string) ([]Given, error) {
	who := holders(principal, groups)
	found, err := r.grantsNow(ctx, ws, now, who)
	var all []Given
	for _, h := range found {
		if h.by == "" || h.by == principal {
			all = append(all, Given{h.grant, h.bound, h.by != "", h.until})
		}
	}
	slices.SortFunc(all, func(a, b Given) int {
		return cmp.Or(cmp.Compare(slices.Index(who, a.Bound), slices.Index(who, b.Bound)), cmp.Compare(a.String(), b.String()))
	})
	return all, err
}

// Holders lists, sorted, who has a role everywhere at a time: principals and groups that it is bound to, and who has activated it.
func (r *Room) Holders(ctx context.Context, ws id.Workspace, now time.Time, role string) ([]string, error) {
	rows, err := r.r.Rows(ctx, `SELECT COALESCE(a.principal, b.principal) FROM binding b LEFT JOIN activation a ON a.binding = b.id AND b.state = 'eligible' AND a.until > $2
		WHERE b.workspace = $1 AND `+standing+` AND (b.state = 'active' OR a.binding IS NOT NULL) AND b.role = $3 AND b.scope = ''`, ws, now.UnixMicro(), role)
	all, err := collect(rows, err, scanText)
	slices.Sort(all)
	return slices.Compact(all), err
}
