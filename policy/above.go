package policy

import (
	"slices"

	"github.com/cedar-policy/cedar-go/types"
)

// entities are those of a request, made Cedar's when Cedar asks for them. To what the facts say comes what roles inherit, which is the set's to say, and the groups of
// the action. It is a types.EntityGetter for one decision at a time.
type entities struct {
	set    *Set
	facts  *Facts
	action []types.EntityUID // itself, and its groups
	at     map[types.EntityUID]int
	made   []types.Entity // by place in the facts; without a UID where none was made
	first  [1 + manyGroups]types.EntityUID
}

// manyGroups is how many groups an action has at most, as a rule.
const manyGroups = 7

func (e *entities) init(s *Set, f *Facts) {
	e.set, e.facts = s, f
	e.action = append(e.first[:0], types.NewEntityUID("Action", types.String(f.Action)))
	for _, p := range f.ActionParents {
		e.addGroup(p)
	}
	if group := s.perms.of(f.Action).group; group != "" { // denials are filed under it, whatever parents the facts give
		e.addGroup(group)
	}
	if len(f.Entities) > manyAbove {
		e.at = make(map[types.EntityUID]int, len(f.Entities))
		for i := range f.Entities {
			e.at[entityUID(f.Entities[i].UID)] = i
		}
	}
}

func (e *entities) addGroup(name string) {
	if uid := types.NewEntityUID("Action", types.String(name)); !slices.Contains(e.action[1:], uid) {
		e.action = append(e.action, uid)
	}
}

// find is the place of an entity in the facts; -1 is none.
func (e *entities) find(uid types.EntityUID) int {
	if e.at != nil {
		if i, ok := e.at[uid]; ok {
			return i
		}
		return -1
	}
	for i := range e.facts.Entities {
		if u := &e.facts.Entities[i].UID; u.ID == string(uid.ID) && u.Type == string(uid.Type) {
			return i
		}
	}
	return -1
}

// inherited are the roles that a role inherits.
func (e *entities) inherited(uid types.EntityUID) []types.EntityUID {
	if uid.Type != "Role" {
		return nil
	}
	held := e.set.roles.find(string(uid.ID))
	if held == nil {
		return nil
	}
	return held.parents
}

// Get implements types.EntityGetter.
func (e *entities) Get(uid types.EntityUID) (types.Entity, bool) {
	if uid == e.action[0] {
		return types.Entity{UID: uid, Parents: types.NewEntityUIDSet(e.action[1:]...)}, true
	}
	i := e.find(uid)
	inherited := e.inherited(uid)
	if i < 0 {
		return types.Entity{UID: uid, Parents: types.NewEntityUIDSet(inherited...)}, len(inherited) > 0
	}
	if e.made == nil {
		e.made = make([]types.Entity, len(e.facts.Entities))
	}
	if e.made[i].UID.ID == "" { // which no entity has
		e.made[i] = e.facts.Entities[i].cedar(inherited)
	}
	return e.made[i], true
}

// above lists an entity and everything that it is in, each once.
func (e *entities) above(uid types.EntityUID) []types.EntityUID {
	if uid == e.action[0] {
		return e.action
	}
	room := 4
	if i := e.find(uid); i >= 0 {
		room += len(e.facts.Entities[i].Parents)
	}
	all := append(make([]types.EntityUID, 0, room), uid)
	var known map[types.EntityUID]bool
	add := func(p types.EntityUID) {
		switch {
		case known == nil && len(all) < manyAbove:
			if !slices.Contains(all, p) {
				all = append(all, p)
			}
			return
		case known == nil:
			known = make(map[types.EntityUID]bool, 2*len(all))
			for _, a := range all {
				known[a] = true
			}
		}
		if !known[p] {
			known[p] = true
			all = append(all, p)
		}
	}
	for n := 0; n < len(all); n++ {
		if i := e.find(all[n]); i >= 0 {
			for _, p := range e.facts.Entities[i].Parents {
				add(entityUID(p))
			}
		}
		for _, p := range e.inherited(all[n]) {
			add(p)
		}
	}
	return all
}
