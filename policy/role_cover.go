package policy

import (
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go/types"

	"github.com/attorn/attorn/delegation"
)

// Uncovered finds one of the permissions in given (see EffectiveOf) that whoever has mine has not: none of mine covers it in its scope and its class, or one of mine denies
// part of it, and given does not. found is false if they have all. It never says so wrongly.
func Uncovered(mine, given []Holding) (lacking Holding, found bool) {
	for _, g := range given {
		if g.Deny {
			continue
		}
		covers := func(m Holding) bool {
			return !m.Deny && allOver(m, g) && (m.Class == "" || m.Class == g.Class) && delegation.Covers(m.Permission, g.Permission)
		}
		takes := func(d Holding) bool {
			return d.Deny && meet(d.Permission.Permission, g.Permission.Permission) && !slices.ContainsFunc(given, func(too Holding) bool {
				return too.Deny && allOver(too, d) && delegation.Covers(too.Permission, d.Permission)
			})
		}
		if !slices.ContainsFunc(mine, covers) || slices.ContainsFunc(mine, takes) {
			return g, true
		}
	}
	return lacking, false
}

// allOver reports whether a holds wherever b does.
func allOver(a, b Holding) bool { return a.Scope == "" || a.Scope == b.Scope }

// meet reports whether some action is one that both patterns match.
func meet(a, b string) bool {
	for {
		as, arest, amore := strings.Cut(a, ":")
		bs, brest, bmore := strings.Cut(b, ":")
		switch {
		case as == "*" && !amore, bs == "*" && !bmore:
			return true
		case !segmentsMeet(as, bs), amore != bmore:
			return false
		case !amore:
			return true
		}
		a, b = arest, brest
	}
}

func segmentsMeet(a, b string) bool {
	astem, aopen := strings.CutSuffix(a, "*")
	bstem, bopen := strings.CutSuffix(b, "*")
	return a == b || aopen && strings.HasPrefix(bstem, astem) || bopen && strings.HasPrefix(astem, bstem)
}

// NamesRole reports whether a written policy speaks of a role, or of it in the scope, or a gate asks its holders: holding it then means more than its permissions.
func (s *Set) NamesRole(role, scope string) bool {
	whole, scoped := types.NewEntityUID("Role", types.String(role)), types.NewEntityUID("Role", types.String(RoleUID(role, scope).ID))
	for name, p := range s.byID {
		if !strings.HasPrefix(name, "role/") && (p.gate.role == role || p.names(whole) || p.names(scoped)) {
			return true
		}
	}
	return false
}
