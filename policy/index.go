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

// lookup appends to f the policies that may match a request with these keys.
func (ix *index) lookup(f found, keys ...[]axisKey) found {
	f = append(f, ix.any...)
	for _, axis := range keys {
		for _, k := range axis {
			f = append(f, ix.buckets[k]...)
		}
	}
	return f
}

// entityKeys are the keys under which an axis with this entity finds policies: itself, its ancestors and its type.
func entityKeys(axis byte, uid types.EntityUID, ancestors []types.EntityUID) []axisKey {
	keys := make([]axisKey, 0, len(ancestors)+2)
	keys = append(keys, axisKey{axis: axis, isType: true, uid: types.EntityUID{Type: uid.Type}}, axisKey{axis: axis, uid: uid})
	for _, a := range ancestors {
		if a != uid {
			keys = append(keys, axisKey{axis: axis, uid: a})
		}
	}
	return keys
}
