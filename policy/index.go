package policy

import (
	"iter"
	"slices"

	cedar "github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
	xast "github.com/cedar-policy/cedar-go/x/exp/ast"
)

// index finds the policies whose scope may match a request. Each policy is filed under what its rarest axis names; a scope is tested before the
// conditions and cannot fail, so a policy that is not found would neither have matched nor erred.
type index struct {
	buckets map[axisKey][]*compiled
	any     []*compiled // no axis names anything
}

// axisKey is an entity or, with an empty id and isType set, an entity type that an axis of a scope names.
type axisKey struct {
	axis   byte // 'p', 'a', 'r'
	isType bool
	uid    types.EntityUID
}

func newIndex(all []*compiled) index {
	ix := index{buckets: map[axisKey][]*compiled{}}
	count := map[axisKey]int{}
	for _, p := range all {
		for _, keys := range scopeKeys(p.ast) {
			for _, k := range keys {
				count[k]++
			}
		}
	}
	for _, p := range all {
		var best []axisKey
		least := 0
		for _, keys := range scopeKeys(p.ast) {
			sum := 0
			for _, k := range keys {
				sum += count[k]
			}
			if best == nil || sum < least {
				best, least = keys, sum
			}
		}
		if best == nil {
			ix.any = append(ix.any, p)
		}
		for _, k := range best {
			ix.buckets[k] = append(ix.buckets[k], p)
		}
	}
	return ix
}

// scopeKeys lists, for each axis that names something, its alternatives. `action in []` matches nothing and has an empty, not nil, list.
func scopeKeys(p *xast.Policy) [][]axisKey {
	var axes [][]axisKey
	for i, scope := range []xast.IsScopeNode{p.Principal, p.Resource, p.Action} {
		axis := "pra"[i]
		switch s := scope.(type) {
		case xast.ScopeTypeEq:
			axes = append(axes, []axisKey{{axis: axis, uid: s.Entity}})
		case xast.ScopeTypeIn:
			axes = append(axes, []axisKey{{axis: axis, uid: s.Entity}})
		case xast.ScopeTypeIsIn:
			axes = append(axes, []axisKey{{axis: axis, uid: s.Entity}})
		case xast.ScopeTypeIs:
			axes = append(axes, []axisKey{{axis: axis, isType: true, uid: types.EntityUID{Type: s.Type}}})
		case xast.ScopeTypeInSet:
			keys := make([]axisKey, 0, len(s.Entities))
			for _, e := range s.Entities {
				if k := (axisKey{axis: axis, uid: e}); !slices.Contains(keys, k) {
					keys = append(keys, k)
				}
			}
			axes = append(axes, keys)
		}
	}
	return axes
}

// found is a list of policies to ask, in the form that Cedar takes. One that is filed under two entities may be in it twice.
type found []*compiled

// All implements cedar.PolicyIterator.
func (f found) All() iter.Seq2[cedar.PolicyID, *cedar.Policy] {
	return func(yield func(cedar.PolicyID, *cedar.Policy) bool) {
		for _, p := range f {
			if !yield(cedar.PolicyID(p.id), p.policy) {
				return
			}
		}
	}
}

// lookup appends to f the policies whose scope a request meets.
func (ix *index) lookup(f found, q *asking) found {
	f = q.meeting(f, ix.any)
	for i := range q.axes {
		a := &q.axes[i]
		f = q.meeting(f, ix.buckets[axisKey{axis: a.name, isType: true, uid: types.EntityUID{Type: a.self.Type}}])
		for _, uid := range a.in {
			f = q.meeting(f, ix.buckets[axisKey{axis: a.name, uid: uid}])
		}
	}
	return f
}

// asking is a request about one principal, by the axes of scopes: principal, action, resource.
type asking struct {
	axes [3]axis
}

// axis is an entity, and what it is in: itself first, then all that is above it, each once.
type axis struct {
	name byte // 'p', 'a', 'r'
	self types.EntityUID
	in   []types.EntityUID
	set  map[types.EntityUID]bool // of in, where that is long
}

// manyAbove is from where on a set is quicker than a list.
const manyAbove = 32

func newAxis(name byte, in []types.EntityUID) axis {
	a := axis{name: name, self: in[0], in: in}
	if len(in) > manyAbove {
		a.set = make(map[types.EntityUID]bool, len(in))
		for _, uid := range in {
			a.set[uid] = true
		}
	}
	return a
}

func (a *axis) isIn(uid types.EntityUID) bool {
	if a.set != nil {
		return a.set[uid]
	}
	return slices.Contains(a.in, uid)
}

// meets is Cedar's test of one axis of a scope. It cannot fail.
func (a *axis) meets(scope xast.IsScopeNode) bool {
	switch s := scope.(type) {
	case xast.ScopeTypeEq:
		return s.Entity == a.self
	case xast.ScopeTypeIn:
		return a.isIn(s.Entity)
	case xast.ScopeTypeInSet:
		return slices.ContainsFunc(s.Entities, a.isIn)
	case xast.ScopeTypeIs:
		return s.Type == a.self.Type
	case xast.ScopeTypeIsIn:
		return s.Type == a.self.Type && a.isIn(s.Entity)
	}
	return true
}

// meeting appends to f those of some policies whose whole scope is met.
func (q *asking) meeting(f found, some []*compiled) found {
	for _, p := range some {
		if q.meets(p) {
			f = append(f, p)
		}
	}
	return f
}

func (q *asking) meets(p *compiled) bool {
	return q.axes[0].meets(p.ast.Principal) && q.axes[1].meets(p.ast.Action) && q.axes[2].meets(p.ast.Resource)
}
