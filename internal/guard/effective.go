package guard

import (
	"context"
	"slices"
	"strings"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/rules"
	"github.com/attorn/attorn/policy"
)

// Effective is one permission, or denial, that a principal has, and by what.
type Effective struct {
	policy.Holding
	Group    string // to which the role is bound; "" is the principal itself
	DeniedBy string // the role whose denial takes all of the permission away; "" for none
}

// Effective lists what roles give a principal ("usr_…", "agt_…" or "group:<name>") and deny it now, with the way to each: by its own name first, then by its groups. For oneself it
// needs no leave. What is one's own, and what policies say in writing, is not among it. Codes: malformed, not_found.
func (g *Guard) Effective(ctx context.Context, c *Caller, principal string) ([]Effective, error) {
	if principal == c.Sub() {
		if err := g.Self(ctx, c); err != nil {
			return nil, err
		}
	} else if err := g.May(ctx, c, "attorn:role:read", "principal:"+principal); err != nil {
		return nil, err
	}
	if err := g.exists(ctx, c.ws, principal); err != nil {
		return nil, err
	}
	set, err := g.live(ctx, c.ws)
	if err != nil {
		return nil, err
	}
	_, roles, err := g.heldBy(ctx, c.ws, principal)
	var all []Effective
	for _, has := range roles {
		for _, h := range policy.EffectiveOf(set, []policy.UID{{Type: "Role", ID: has.Role}}) {
			all = append(all, Effective{Holding: h, Group: has.Group})
		}
	}
	for i := range all {
		all[i].DeniedBy = deniedBy(all, all[i].Holding)
	}
	return all, err
}

// deniedBy names a role that denies all that a permission permits. A denial with constraints denies some arguments, and takes no permission away as a whole.
func deniedBy(all []Effective, h policy.Holding) string {
	i := slices.IndexFunc(all, func(d Effective) bool {
		return d.Deny && !h.Deny && len(d.Permission.Where) == 0 && (d.Scope == "" || d.Scope == h.Scope) && delegation.Covers(d.Permission, h.Permission)
	})
	if i < 0 {
		return ""
	}
	return all[i].Role
}

// exists is nil for a principal of the workspace. Codes: malformed, not_found.
func (g *Guard) exists(ctx context.Context, ws id.Workspace, principal string) error {
	if user, err := id.Parse[id.User](principal); err == nil {
		_, err = g.People.Person(ctx, ws, user)
		return err
	}
	if agent, err := id.Parse[id.Agent](principal); err == nil {
		_, err = g.Agents.Agent(ctx, ws, agent)
		return err
	}
	if name, ok := strings.CutPrefix(principal, rules.Group); ok {
		_, _, err := g.People.Group(ctx, ws, name)
		return err
	}
	return fault.New(fault.Invalid, "malformed", "a role is held by a user (usr_…), an agent (agt_…) or a group (group:NAME)")
}
