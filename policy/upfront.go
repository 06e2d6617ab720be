package policy

import (
	"slices"

	"github.com/cedar-policy/cedar-go/types"
	xast "github.com/cedar-policy/cedar-go/x/exp/ast"
)

// upfront is a test on context.perm that a policy's conditions begin with. It cannot fail, since context.perm is always there with all of its members, and Cedar tries
// the parts of && in order: where it does not hold, the policy neither matches nor errs.
type upfront struct {
	segment int    // that has to be is; -1: it is about the number of segments
	is      string // not known from the number: it has to be n, or n and more
	n       int
	more    bool
}

// holds evaluates the test for a permission's segments.
func (u upfront) holds(segments []string) bool {
	switch {
	case u.segment >= len(segments):
		return u.is == ""
	case u.segment >= 0:
		return segments[u.segment] == u.is
	case u.more:
		return len(segments) >= u.n
	}
	return len(segments) == u.n
}

// segmentNames are the members of context.perm beside n.
var segmentNames = [...]types.String{"s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7"}

// upfronts reads the tests that a policy's first condition begins with.
func upfronts(p *xast.Policy) (all []upfront) {
	if len(p.Conditions) == 0 || !bool(p.Conditions[0].Condition) {
		return nil
	}
	for _, n := range tests(p.Conditions[0]) {
		u, ok := upfrontOf(n)
		if !ok {
			break
		}
		all = append(all, u)
	}
	return all
}

func upfrontOf(n xast.IsNode) (upfront, bool) {
	eq, equals := n.(xast.NodeTypeEquals)
	ge, more := n.(xast.NodeTypeGreaterThanOrEqual)
	sides := eq.BinaryNode
	if more {
		sides = ge.BinaryNode
	}
	if !equals && !more {
		return upfront{}, false
	}
	value, _ := sides.Right.(xast.NodeValue)
	member := permMember(sides.Left)
	switch v := value.Value.(type) {
	case types.Long:
		return upfront{segment: -1, n: int(v), more: more}, member == "n"
	case types.String:
		i := slices.Index(segmentNames[:], member)
		return upfront{segment: i, is: string(v)}, equals && i >= 0
	}
	return upfront{}, false
}

// permMember is the X of context.perm.X; "" of anything else.
func permMember(n xast.IsNode) types.String {
	of, ok := n.(xast.NodeTypeAccess)
	if !ok {
		return ""
	}
	perm, ok := of.Arg.(xast.NodeTypeAccess)
	if !ok || perm.Value != "perm" {
		return ""
	}
	if v, ok := perm.Arg.(xast.NodeTypeVariable); !ok || v.Name != "context" {
		return ""
	}
	return of.Value
}
