package policy

import (
	"cmp"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go/types"
	xast "github.com/cedar-policy/cedar-go/x/exp/ast"
)

// candidate is a permit that does not match, and how far it is from that.
type candidate struct {
	*compiled
	missed byte // the axis of its scope that does not fit; 0: all do
	cost   int
	fails  int
	first  int // of its conditions by the tree, the first that is not as wanted
	narrow int // parts of scope and conditions: of equals, the narrower is nearer
}

// What a part that fails costs: a condition is changed most easily, then what the principal is in.
const (
	costCondition = 2
	costHolder    = 3 // the principal is in no such role or group
	costResource  = 4
	costPrincipal = 5 // it is for another
	costAction    = 6
)

// How many permits' conditions are tried for what is nearest, and of how many of the nearest it is looked whether they type.
const (
	maxTried = 5000
	maxShown = 100
)

// nearest finds the permits that fail the least, of those whose scope fits but for one axis at most.
func (h *hearing) nearest() []Near {
	var all []candidate
	for _, p := range h.permits() {
		if c, ok := h.fits(p); ok {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b candidate) int { return cmp.Or(cmp.Compare(a.cost, b.cost), strings.Compare(a.id, b.id)) })
	all = all[:min(len(all), maxTried)]
	for i := range all {
		h.try(&all[i])
	}
	all = slices.DeleteFunc(all, func(c candidate) bool { return c.fails == 0 })
	slices.SortFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.cost, b.cost), cmp.Compare(b.narrow, a.narrow), cmp.Compare(b.first, a.first), strings.Compare(a.id, b.id))
	})
	var out []Near
	for _, c := range all[:min(len(all), maxShown)] {
		n := Near{Source: h.set.where(c.compiled), Fails: c.fails}
		switch {
		case !h.types(c.compiled): // it is of other arguments, whatever else were different
			continue
		case c.missed != 0:
			n.First = h.missing(c)
		default:
			n.First = h.firstFailing(c.compiled)
		}
		if out = append(out, n); len(out) == maxNearest {
			break
		}
	}
	return out
}

// permits are all of the set, in no order: those of roles workspace-wide, and as the principal holds them.
func (h *hearing) permits() (all []*compiled) {
	for _, p := range h.set.byID {
		if !p.forbid {
			all = append(all, p)
		}
	}
	for _, p := range h.set.roles.near(h.request, &h.q) {
		if !p.forbid {
			all = append(all, p)
		}
	}
	return all
}

// fits reports whether the scope of a permit fits but for one axis at most, which could become another.
func (h *hearing) fits(p *compiled) (candidate, bool) {
	c := candidate{compiled: p}
	for i, scope := range []xast.IsScopeNode{p.ast.Principal, p.ast.Action, p.ast.Resource} {
		on := &h.q.axes[i]
		axis := on.name
		if _, ok := scope.(xast.ScopeTypeAll); ok {
			continue
		}
		c.narrow++
		if on.meets(scope) {
			continue
		}
		if c.missed != 0 {
			return c, false
		}
		c.missed, c.fails = axis, 1
		switch scope := scope.(type) {
		case xast.ScopeTypeIs:
			return c, false
		case xast.ScopeTypeIsIn:
			if scope.Type != on.self.Type {
				return c, false
			}
			c.cost = map[byte]int{'p': costHolder, 'r': costResource}[axis]
		case xast.ScopeTypeIn:
			c.cost = map[byte]int{'p': costHolder, 'a': costAction, 'r': costResource}[axis]
		case xast.ScopeTypeEq:
			c.cost = map[byte]int{'p': costPrincipal, 'a': costAction, 'r': costResource}[axis]
		case xast.ScopeTypeInSet:
			c.cost = costAction
		}
		if axis == 'a' && !siblings(scope, string(h.action.self.ID)) {
			return c, false
		}
	}
	return c, true
}

// siblings reports whether a scope names an action that differs from the one asked for in its last segment alone.
func siblings(scope xast.IsScopeNode, action string) bool {
	of := func(e types.EntityUID) bool {
		i := strings.LastIndexByte(action, ':')
		j := strings.LastIndexByte(string(e.ID), ':')
		return i > 0 && i == j && action[:i] == string(e.ID)[:j]
	}
	switch s := scope.(type) {
	case xast.ScopeTypeEq:
		return of(s.Entity)
	case xast.ScopeTypeIn:
		return of(s.Entity)
	case xast.ScopeTypeInSet:
		return slices.ContainsFunc(s.Entities, of)
	}
	return false
}

// try counts which conditions fail. What errs after another failed is not counted: that one was there to guard it. A permit whose conditions are not met by the action
// itself is of something else.
func (h *hearing) try(c *candidate) {
	index, failed := 0, false
	for _, cond := range c.ast.Conditions {
		for _, body := range tests(cond) {
			ok, err := h.holds(condition{body: body, want: bool(cond.Condition)})
			index++
			c.narrow++
			if ok || err != nil && failed {
				continue
			}
			if err == nil && aboutAction(body) {
				c.fails = 0
				return
			}
			if !failed {
				c.first, failed = index, true
			}
			c.fails++
			c.cost += costCondition
		}
	}
}

// aboutAction reports whether an expression looks at nothing but the action.
func aboutAction(n xast.IsNode) bool {
	only, any := true, false
	xast.Inspect(xast.NewNode(n), func(n xast.IsNode) bool {
		switch v := n.(type) {
		case xast.NodeTypeAccess:
			if on, ok := v.Arg.(xast.NodeTypeVariable); ok && on.Name == "context" && v.Value == "perm" {
				any = true
				return false
			}
		case xast.NodeTypeVariable:
			any = true
			only = only && v.Name == "action"
		}
		return only
	})
	return only && any
}

// firstFailing is the first condition of a policy that is not as wanted.
func (h *hearing) firstFailing(p *compiled) Part {
	for _, c := range h.set.conditions(p) {
		ok, err := h.holds(c)
		switch {
		case err != nil:
			return Part{Line: c.line, Col: c.col, Text: c.text, Words: h.why(c.body, err)}
		case !ok:
			return Part{Line: c.line, Col: c.col, Text: c.text, Words: wanted(c.body, c.want)}
		}
	}
	return Part{}
}

// missing is the axis of a scope that does not fit.
func (h *hearing) missing(c candidate) Part {
	at := c.ast.Position
	p := Part{Line: at.Line, Col: at.Column}
	scope, name := map[byte]xast.IsScopeNode{'p': c.ast.Principal, 'a': c.ast.Action, 'r': c.ast.Resource}[c.missed], map[byte]string{'p': "principal", 'a': "action", 'r': "resource"}[c.missed]
	if line, col, ok := h.set.axisAt(c.compiled, name); ok {
		p.Line, p.Col = line, col
	}
	v := xast.NodeTypeVariable{Name: types.String(name)}
	switch s := scope.(type) {
	case xast.ScopeTypeEq:
		n := xast.NewNode(v).Equal(xast.Value(s.Entity)).AsIsNode()
		p.Text, p.Words = cedarOf(n), wanted(n, true)
	case xast.ScopeTypeIn:
		n := xast.NewNode(v).In(xast.Value(s.Entity)).AsIsNode()
		p.Text, p.Words = cedarOf(n), wanted(n, true)
	case xast.ScopeTypeIsIn:
		p.Text = cedarOf(xast.NewNode(v).IsIn(s.Type, xast.Value(s.Entity)).AsIsNode())
		p.Words = wanted(xast.NewNode(v).In(xast.Value(s.Entity)).AsIsNode(), true)
	case xast.ScopeTypeInSet:
		set := make([]xast.Node, len(s.Entities))
		for i, e := range s.Entities {
			set[i] = xast.Value(e)
		}
		n := xast.NewNode(v).In(xast.Set(set...)).AsIsNode()
		p.Text, p.Words = cedarOf(n), wanted(n, true)
	}
	return p
}

// wanted says what must be different for an expression to be true, or false. It quotes the policy alone.
func wanted(n xast.IsNode, want bool) string {
	must := func(yes, no string) string {
		if want {
			return yes
		}
		return no
	}
	switch v := n.(type) {
	case xast.NodeTypeNot:
		return wanted(v.Arg, !want)
	case xast.NodeTypeEquals:
		return cedarOf(v.Left) + must(" must be ", " must not be ") + cedarOf(v.Right)
	case xast.NodeTypeNotEquals:
		return cedarOf(v.Left) + must(" must not be ", " must be ") + cedarOf(v.Right)
	case xast.NodeTypeLessThan:
		return cedarOf(v.Left) + must(" must be less than ", " must be at least ") + cedarOf(v.Right)
	case xast.NodeTypeLessThanOrEqual:
		return cedarOf(v.Left) + must(" must be at most ", " must be more than ") + cedarOf(v.Right)
	case xast.NodeTypeGreaterThan:
		return cedarOf(v.Left) + must(" must be more than ", " must be at most ") + cedarOf(v.Right)
	case xast.NodeTypeGreaterThanOrEqual:
		return cedarOf(v.Left) + must(" must be at least ", " must be less than ") + cedarOf(v.Right)
	case xast.NodeTypeHas:
		return cedarOf(xast.NewNode(v.Arg).Access(v.Value).AsIsNode()) + must(" must be there", " must not be there")
	case xast.NodeTypeLike:
		return cedarOf(v.Arg) + must(" must look like ", " must not look like ") + string(v.Value.MarshalCedar())
	case xast.NodeTypeIs:
		return cedarOf(v.Left) + must(" must be a ", " must not be a ") + string(v.EntityType)
	case xast.NodeTypeIn:
		return wantedIn(v, want)
	case xast.NodeTypeContains:
		if _, literal := v.Right.(xast.NodeValue); !literal {
			return cedarOf(v.Right) + must(" must be one of ", " must be none of ") + cedarOf(v.Left)
		}
		return cedarOf(v.Left) + must(" must contain ", " must not contain ") + cedarOf(v.Right)
	case xast.NodeTypeOr:
		return either(v.Left, v.Right, want, want)
	case xast.NodeTypeAnd:
		return either(v.Left, v.Right, want, !want)
	case xast.NodeValue:
		if b, ok := v.Value.(types.Boolean); ok && bool(b) != want {
			return "it never permits: `" + cedarOf(n) + "` stands there"
		}
	}
	return "`" + cedarOf(n) + "` must be " + must("true", "false")
}

// either says that one of two, or both, must be as wanted.
func either(left, right xast.IsNode, want, one bool) string {
	a, b := wanted(left, want), wanted(right, want)
	if one {
		return short(a + ", or " + b)
	}
	return short(a + ", and " + b)
}

// wantedIn speaks of roles and groups as people do.
func wantedIn(v xast.NodeTypeIn, want bool) string {
	uid, literal := v.Right.(xast.NodeValue)
	e, entity := uid.Value.(types.EntityUID)
	of, variable := v.Left.(xast.NodeTypeVariable)
	if !literal || !entity || !variable || of.Name != "principal" || e.Type != "Role" && e.Type != "Group" {
		if want {
			return cedarOf(v.Left) + " must be in " + cedarOf(v.Right)
		}
		return cedarOf(v.Left) + " must not be in " + cedarOf(v.Right)
	}
	name, scope, scoped := strings.Cut(string(e.ID), "@")
	what := "the group " + string(e.ID)
	if e.Type == "Role" {
		what = "the role " + name
		if scoped {
			what += " in " + scope
		}
	}
	switch {
	case e.Type == "Role" && want:
		return "needs " + what
	case e.Type == "Role":
		return "must not hold " + what
	case want:
		return "must be in " + what
	}
	return "must not be in " + what
}

// axisAt is where the scope of a policy names an axis.
func (s *Set) axisAt(c *compiled, name string) (line, col int, ok bool) {
	_, tokens := s.tokens(c)
	for _, t := range tokens {
		if t.kind == 'i' && t.text == name {
			return t.line, t.col, true
		}
		if t.text == "{" {
			return 0, 0, false
		}
	}
	return 0, 0, false
}
