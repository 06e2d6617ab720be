package policy

import (
	"slices"

	"github.com/cedar-policy/cedar-go/types"
	xast "github.com/cedar-policy/cedar-go/x/exp/ast"
)

// Names reports whether a policy of the set speaks of the entity, in its scope or in a condition: being under it then means more than its roles.
func Names(s *Set, e UID) bool {
	for _, p := range s.byID {
		if p.names(types.NewEntityUID(types.EntityType(e.Type), types.String(e.ID))) {
			return true
		}
	}
	return false
}

func (p *compiled) names(e types.EntityUID) bool {
	for _, axis := range scopeKeys(p.ast) {
		if slices.ContainsFunc(axis, func(k axisKey) bool { return !k.isType && k.uid == e }) {
			return true
		}
	}
	named := false
	for _, c := range p.ast.Conditions {
		xast.Inspect(xast.NewNode(c.Body), func(n xast.IsNode) bool {
			v, ok := n.(xast.NodeValue)
			named = named || ok && v.Value == types.Value(e)
			return !named
		})
	}
	return named
}
