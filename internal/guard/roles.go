package guard

import (
	"slices"
	"strings"
	"time"

	"github.com/attorn/attorn/fault"
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

// escalates is why an act would give somebody more than whoever acts has; nil if it would not.
func (s *standing) escalates(a act, set *policy.Set) (error, error) {
	var given []string
	var err error
	if a.gives != nil {
		if given, err = a.gives(); err != nil {
			return nil, err
		}
	}
	if i := slices.IndexFunc(given, func(grant string) bool { return !s.mayGive(set, grant) }); i >= 0 {
		if group, ok := strings.CutPrefix(given[i], rules.Group); ok {
			return fault.New(fault.Denied, "escalation", "a policy names the group %s: who is in it decides what people may do", group).
				Try("have somebody do it who may give any role (attorn:role:escalate)"), nil
		}
		return fault.New(fault.Denied, "escalation", "nobody gives a role that gives more than they have themselves: %s", given[i]).Try("have somebody do it who has it"), nil
	}
	if a.frees == nil {
		return nil, nil
	}
	denied, err := a.frees(set)
	if err != nil {
		return nil, err
	}
	if h, lacking := s.lacks(set, freed(denied)); lacking {
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

// lacks finds one of these permissions that whoever acts has not by a role.
func (s *standing) lacks(set *policy.Set, given []policy.Holding) (policy.Holding, bool) {
	return policy.Uncovered(policy.EffectiveOf(set, s.roles()), given)
}

// roles are the groups and roles of whoever acts.
func (s *standing) roles() []policy.UID {
	i := slices.IndexFunc(s.entities, func(e policy.Entity) bool { return e.UID == s.principals[0] })
	if i < 0 {
		return nil
	}
	return s.entities[i].Parents
}

// mayGive reports whether whoever acts has all that a grant ("<role>" or "<role>@<scope>") gives: its permissions, there; and a role of which policy says more than
// permissions, or says it in writing, that role itself. Of a group that policy names (group:<name>) nobody has all.
func (s *standing) mayGive(set *policy.Set, grant string) bool {
	if strings.HasPrefix(grant, rules.Group) {
		return false
	}
	wanted := rules.ParseGrant(grant)
	for _, role := range set.Inherited(wanted.Role) {
		if _, stated := set.Role(role); (!stated || set.NamesRole(role, wanted.Scope)) && !holds(set, s.roles(), rules.Grant{Role: role, Scope: wanted.Scope}) {
			return false
		}
	}
	_, lacking := s.lacks(set, effective(set, wanted))
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
