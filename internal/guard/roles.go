package guard

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/rules"
	"github.com/attorn/attorn/policy"
)

// boundFor is how long a role may be held at most, for all that it gives; zero: for ever.
func boundFor(set *policy.Set, role string) (most time.Duration) {
	for _, name := range set.Inherited(role) {
		if r, _ := set.Role(name); r.MaxBinding > 0 && (most == 0 || r.MaxBinding < most) {
			most = r.MaxBinding
		}
	}
	return most
}

// escalates is why an act would give somebody more than whoever acts has, or for longer; nil if it would not.
func (g *Guard) escalates(ctx context.Context, ws id.Workspace, s *standing, a act, set *policy.Set) (error, error) {
	var given []string
	var err error
	if a.gives != nil {
		if given, err = a.gives(); err != nil {
			return nil, err
		}
	}
	beyond := func(mine []policy.UID) int {
		return slices.IndexFunc(given, func(grant string) bool { return !gives(set, mine, grant) })
	}
	if i := beyond(s.roles()); i >= 0 {
		if group, ok := strings.CutPrefix(given[i], rules.Group); ok {
			return fault.New(fault.Denied, "escalation", "a policy names the group %s: who is in it decides what people may do", group).
				Try("have somebody do it who may give any role (attorn:role:escalate)"), nil
		}
		return fault.New(fault.Denied, "escalation", "nobody gives a role that gives more than they have themselves: %s", given[i]).Try("have somebody do it who has it"), nil
	}
	if a.lasts != nil && len(given) > 0 { // what is had for a time would else be had for ever
		then, err := g.rolesAtEnd(ctx, ws, s, a.lasts())
		if err != nil {
			return nil, err
		}
		if i := beyond(then); i >= 0 {
			return fault.New(fault.Denied, "escalation", "nobody gives a role for longer than they have it themselves: %s", given[i]).Try("give it for a shorter time: --ttl"), nil
		}
	}
	if a.frees == nil {
		return nil, nil
	}
	denied, err := a.frees(set)
	if err != nil {
		return nil, err
	}
	if h, lacking := lacks(set, s.roles(), freed(denied)); lacking {
		return fault.New(fault.Denied, "escalation", "the role %s denies %s, and nobody lifts that who may not do it themselves", h.Role, h.Permission.Permission).
			Try("have somebody do it who may"), nil
	}
	return nil, nil
}

// freed are the denials among these, as what they denied.
func freed(all []policy.Holding) []policy.Holding {
	var free []policy.Holding
	for _, h := range all {
		if h.Deny {
			h.Deny = false
			free = append(free, h)
		}
	}
	return free
}

// lacks finds one of these permissions that somebody with these parents has not by a role.
func lacks(set *policy.Set, mine []policy.UID, given []policy.Holding) (policy.Holding, bool) {
	return policy.Uncovered(policy.EffectiveOf(set, mine), given)
}

// roles are the groups and roles of whoever acts.
func (s *standing) roles() []policy.UID {
	i := slices.IndexFunc(s.entities, func(e policy.Entity) bool { return e.UID == s.principals[0] })
	if i < 0 {
		return nil
	}
	return s.entities[i].Parents
}

// rolesAtEnd are the groups and roles that whoever acts still has when something ends; zero: never.
func (g *Guard) rolesAtEnd(ctx context.Context, ws id.Workspace, s *standing, end time.Time) ([]policy.UID, error) {
	if end.IsZero() {
		end = s.now.AddDate(1000, 0, 0)
	}
	found, _, err := g.known(ctx, ws, end.Add(-time.Microsecond), s.principals[0].ID)
	if err != nil {
		return nil, err
	}
	return found[0].Parents, nil
}

// gives reports whether somebody with these parents has all that a grant ("<role>" or "<role>@<scope>") gives: its permissions, there; and a role of which policy says more than
// permissions, or says it in writing, that role itself. Of a group that policy names (group:<name>) nobody has all.
func gives(set *policy.Set, mine []policy.UID, grant string) bool {
	if strings.HasPrefix(grant, rules.Group) {
		return false
	}
	wanted := rules.ParseGrant(grant)
	for _, role := range set.Inherited(wanted.Role) {
		if _, stated := set.Role(role); (!stated || set.NamesRole(role, wanted.Scope)) && !holds(set, mine, rules.Grant{Role: role, Scope: wanted.Scope}) {
			return false
		}
	}
	_, lacking := lacks(set, mine, effective(set, wanted))
	return !lacking
}

// effective is what a grant gives and denies.
func effective(set *policy.Set, what ...rules.Grant) []policy.Holding {
	parents := make([]policy.UID, len(what))
	for i, g := range what {
		parents[i] = policy.RoleUID(g.Role, g.Scope)
	}
	return policy.EffectiveOf(set, parents)
}

// holds reports whether somebody with these parents has a role: it, or one that inherits it, everywhere or in that scope.
func holds(set *policy.Set, parents []policy.UID, what rules.Grant) bool {
	return slices.ContainsFunc(parents, func(p policy.UID) bool {
		has := rules.ParseGrant(p.ID)
		return p.Type == "Role" && (has.Scope == "" || has.Scope == what.Scope) && slices.Contains(set.Inherited(has.Role), what.Role)
	})
}
