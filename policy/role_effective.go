package policy

import (
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/delegation"
)

// Holding is one permission, or denial, that a principal has by a role.
type Holding struct {
	Permission delegation.Permission
	Deny       bool
	Class      string   // narrows it to actions of this class; "" does not
	Role       string   // that states it
	Scope      string   // of the binding; "" is the workspace
	Path       []string // the role that is bound, and what it inherits on the way to Role
}

// EffectiveOf lists what those of parents that are roles of the set give a principal and deny it: by scope, permission, then the role that states it and the way there. A
// permission that two bindings give is there for each, because ending one leaves the other; of several ways from one role to another, the shortest. parents are the principal's
// own and its groups'; what is no role of the set gives nothing.
func EffectiveOf(s *Set, parents []UID) []Holding {
	var all []Holding
	seen := map[UID]bool{}
	for _, p := range parents {
		if p.Type != "Role" || seen[p] {
			continue
		}
		seen[p] = true
		held := s.roles.find(p.ID)
		if held == nil {
			continue
		}
		_, scope, _ := strings.Cut(p.ID, "@")
		for name, path := range s.roles.ways(held.Name) {
			r := s.roles.whole[name]
			for _, permission := range r.Permissions {
				all = append(all, Holding{permission, false, r.Class, name, scope, path})
			}
			for _, permission := range r.Deny {
				all = append(all, Holding{permission, true, "", name, scope, path})
			}
		}
	}
	slices.SortFunc(all, func(a, b Holding) int { return slices.Compare(a.order(), b.order()) })
	return all
}

func (h Holding) order() []string {
	where, _ := json.Marshal(h.Permission.Where, json.Deterministic(true)) // of texts, numbers and booleans
	deny := "permit"
	if h.Deny {
		deny = "deny"
	}
	return append([]string{h.Scope, h.Permission.Permission, deny, string(where), h.Role}, h.Path...)
}

// ways are the shortest paths from a role to each that it inherits, and to itself.
func (h *heldRoles) ways(from string) map[string][]string {
	ways := map[string][]string{from: {from}}
	for level := []string{from}; len(level) > 0; {
		var next []string
		for _, name := range level {
			for _, parent := range slices.Sorted(slices.Values(h.whole[name].Inherits)) {
				if _, known := ways[parent]; !known {
					ways[parent] = append(slices.Clone(ways[name]), parent)
					next = append(next, parent)
				}
			}
		}
		level = next
	}
	return ways
}

// Roles are the roles of the set by name; their permissions and lists are the caller's to read only.
func (s *Set) Roles() []Role {
	var all []Role
	for _, name := range slices.Sorted(maps.Keys(s.roles.whole)) {
		all = append(all, s.roles.whole[name].Role)
	}
	return all
}

// Role is what the set says of a role; its permissions and lists are the caller's to read only. ok is false if the set has none of the name.
func (s *Set) Role(name string) (r Role, ok bool) {
	if held := s.roles.whole[name]; held != nil {
		return held.Role, true
	}
	return Role{}, false
}

// Inherited are a role, whether the set has it or not, and then all that it inherits.
func (s *Set) Inherited(name string) []string {
	all := []string{name}
	if held := s.roles.whole[name]; held != nil {
		all = append(all, held.all...)
	}
	return all
}

// RoleFile is the path of the file that states a role; "" if the set has none of the name.
func (s *Set) RoleFile(name string) string {
	if held := s.roles.whole[name]; held != nil {
		return held.file
	}
	return ""
}

// Heirs are the roles whose holders hold the role: itself, whether the set has it or not, and those that inherit it, sorted.
func (s *Set) Heirs(name string) []string {
	heirs := []string{name}
	for heir, held := range s.roles.whole {
		if slices.Contains(held.all, name) {
			heirs = append(heirs, heir)
		}
	}
	slices.Sort(heirs)
	return heirs
}
