package policy

import (
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go/types"
	xast "github.com/cedar-policy/cedar-go/x/exp/ast"
)

// maxCompared is how many policies are compared with one another.
const maxCompared = 4000

// shadowed finds permits that change nothing: another permit permits whatever they do, or a hard forbid, which always wins, matches wherever they do. It says so only
// where scopes and conditions show it.
func (l *linter) shadowed(own []*compiled) {
	if len(own) > maxCompared {
		return
	}
	for i, p := range own {
		if p.forbid {
			continue
		}
		for j, q := range own {
			same := covers(p, q)
			if i == j || q.gate.kind != "" || !covers(q, p) || !q.forbid && same && i < j {
				continue
			}
			if q.forbid {
				l.warn(p, nil, "shadowed", "this permit never permits: %q forbids whatever it is about", q.id)
			} else {
				l.warn(p, nil, "shadowed", "this permit changes nothing: %q permits all that it does", q.id)
			}
			break
		}
	}
}

// covers reports that q surely matches whenever p does: its scope is at least as wide, and it has no condition that p has not. A condition of p's was true, so it
// can be evaluated.
func covers(q, p *compiled) bool {
	if !wider(q.ast.Principal, p.ast.Principal) || !wider(q.ast.Action, p.ast.Action) || !wider(q.ast.Resource, p.ast.Resource) {
		return false
	}
	for _, c := range q.ast.Conditions {
		if !slices.ContainsFunc(p.ast.Conditions, func(o xast.ConditionType) bool {
			return c.Condition == o.Condition && xast.Equal(xast.NewNode(c.Body), xast.NewNode(o.Body))
		}) {
			return false
		}
	}
	return true
}

// wider reports that everything in the scope p is in the scope q.
func wider(q, p xast.IsScopeNode) bool {
	switch q := q.(type) {
	case xast.ScopeTypeAll:
		return true
	case xast.ScopeTypeEq:
		eq, ok := p.(xast.ScopeTypeEq)
		return ok && eq.Entity == q.Entity
	case xast.ScopeTypeIs:
		switch p := p.(type) {
		case xast.ScopeTypeIs:
			return p.Type == q.Type
		case xast.ScopeTypeIsIn:
			return p.Type == q.Type
		case xast.ScopeTypeEq:
			return p.Entity.Type == q.Type
		}
	case xast.ScopeTypeIsIn:
		switch p := p.(type) {
		case xast.ScopeTypeIsIn:
			return p == q
		case xast.ScopeTypeEq:
			return p.Entity.Type == q.Type && p.Entity == q.Entity
		}
	case xast.ScopeTypeIn:
		return within(p, []types.EntityUID{q.Entity})
	case xast.ScopeTypeInSet:
		return within(p, q.Entities)
	}
	return false
}

// within reports that everything in the scope p is one of these or below one.
func within(p xast.IsScopeNode, all []types.EntityUID) bool {
	below := func(e types.EntityUID) bool {
		return slices.ContainsFunc(all, func(group types.EntityUID) bool { return group == e || inGroup(e, group) })
	}
	switch p := p.(type) {
	case xast.ScopeTypeEq:
		return below(p.Entity)
	case xast.ScopeTypeIn:
		return below(p.Entity)
	case xast.ScopeTypeIsIn:
		return below(p.Entity)
	case xast.ScopeTypeInSet:
		return !slices.ContainsFunc(p.Entities, func(e types.EntityUID) bool { return !below(e) })
	}
	return false
}

// inGroup reports whether an action, or group of actions, is in a group by its name alone (see ActionParents).
func inGroup(e, group types.EntityUID) bool {
	if e.Type != "Action" || group.Type != "Action" {
		return false
	}
	name, inner := strings.CutSuffix(string(e.ID), ":*")
	if segmentsOf(name) == nil {
		return false
	}
	if inner { // all that it holds have the same beginning
		prefix, ok := strings.CutSuffix(string(group.ID), ":*")
		return ok && strings.HasPrefix(name, prefix+":")
	}
	return slices.Contains(ActionParents(name, ""), string(group.ID)) && group.ID != "destroy"
}
