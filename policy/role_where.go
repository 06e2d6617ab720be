package policy

import (
	"strings"

	"github.com/cedar-policy/cedar-go/types"
	xast "github.com/cedar-policy/cedar-go/x/exp/ast"

	"github.com/attorn/attorn/delegation"
)

// The numbers that a constraint compares: integers of 53 bits and, where the argument is a decimal, those that Cedar's has room for.
const (
	maxConstraint = 1<<53 - 1
	maxDecimal    = 922_337_203_685_477
)

// permitTest is the test that the argument at path is there and meets the constraint; false where none of its kind can.
func permitTest(path string, c delegation.Constraint, kind argKind) (test xast.Node, ok bool) {
	arg, has := argument(path)
	holds, ok := holds(arg, c, kind)
	if !ok {
		return xast.Node{}, false
	}
	return allOf(append(has, holds)), true
}

// denyTest is the test that the argument at path is absent, is of a form that the constraint is not made for, or meets it. It is false, as the second result, where every
// argument does.
func denyTest(path string, c delegation.Constraint, kind argKind) (test xast.Node, ok bool) {
	arg, has := argument(path)
	test, ok = holds(arg, c, kind)
	if !ok {
		return xast.Node{}, false
	}
	_, _, listed := values(c, kind)
	switch {
	case kind == argLong:
		test = anyOf([]xast.Node{test, arg.LessThan(xast.Long(-maxConstraint)), arg.GreaterThan(xast.Long(maxConstraint))})
	case kind == argString && c.Prefix != nil && !listed:
		test = strays(arg).Or(test)
	}
	// An if, because Cedar's types know what has says in its branches alone.
	for i := len(has) - 1; i >= 0; i-- {
		test = xast.IfThenElse(has[i], test, xast.True())
	}
	return test, true
}

// argument is context.args at a path, and the tests that it is there.
func argument(path string) (arg xast.Node, has []xast.Node) {
	arg = xast.Context().Access("args")
	for name := range strings.SplitSeq(path, ".") {
		has = append(has, arg.Has(types.String(name)))
		arg = arg.Access(types.String(name))
	}
	return arg, has
}

// holds is delegation.Constraint.Holds for an argument of a kind; false where no such argument can meet it.
func holds(arg xast.Node, c delegation.Constraint, kind argKind) (xast.Node, bool) {
	list, any, listed := values(c, kind)
	switch {
	case kind != argLong && kind != argDecimal && kind != argString && kind != argBool:
		return xast.Node{}, false
	case listed && len(list) == 1:
		return arg.Equal(literal(list[0])), true
	case listed:
		nodes := make([]xast.Node, len(list))
		for i, v := range list {
			nodes[i] = literal(v)
		}
		return xast.Set(nodes...).Contains(arg), any
	case kind == argString && c.Prefix != nil && c.Max == nil && c.Min == nil:
		return arg.Like(types.NewPattern(*c.Prefix, types.Wildcard{})).And(xast.Not(strays(arg))), true
	case kind == argLong && c.Prefix == nil:
		low, high := int64(-maxConstraint), int64(maxConstraint)
		if c.Min != nil {
			low = *c.Min
		}
		if c.Max != nil {
			high = *c.Max
		}
		return arg.GreaterThanOrEqual(xast.Long(low)).And(arg.LessThanOrEqual(xast.Long(high))), true
	case kind == argDecimal && c.Prefix == nil:
		return between(arg, c)
	}
	return xast.Node{}, false
}

// values are those that the constraint lists, that its other operators admit and that have the kind. listed is whether it lists any of whatever kind.
func values(c delegation.Constraint, kind argKind) (list []types.Value, any, listed bool) {
	all := c.In
	if c.Equals != nil {
		all = []delegation.Value{*c.Equals}
	}
	for _, v := range all {
		plain := v.Plain()
		if !c.Holds(plain) {
			continue
		}
		switch p := plain.(type) {
		case string:
			if kind == argString {
				list = append(list, types.String(p))
			}
		case bool:
			if kind == argBool {
				list = append(list, types.Boolean(p))
			}
		case int64:
			if kind == argLong {
				list = append(list, types.Long(p))
			} else if d, ok := decimalOf(p); ok && kind == argDecimal {
				list = append(list, d)
			}
		}
	}
	return list, len(list) > 0, all != nil
}

// literal is a value as it is written: Cedar's types know decimals by their function alone.
func literal(v types.Value) xast.Node {
	if d, ok := v.(types.Decimal); ok {
		return xast.ExtensionCall("decimal", xast.String(d.String()))
	}
	return xast.Value(v)
}

// decimalOf is an integer as a decimal, if that has room for it.
func decimalOf(n int64) (types.Decimal, bool) {
	if n < -maxDecimal || n > maxDecimal {
		return types.Decimal{}, false
	}
	d, err := types.NewDecimalFromInt(n)
	return d, err == nil
}

// between holds a decimal to max and min. A bound beyond what a decimal can be holds for all of them, or for none.
func between(arg xast.Node, c delegation.Constraint) (xast.Node, bool) {
	tests := []xast.Node{}
	if c.Min != nil && *c.Min >= -maxDecimal {
		d, ok := decimalOf(*c.Min)
		if !ok {
			return xast.Node{}, false
		}
		tests = append(tests, arg.DecimalGreaterThanOrEqual(literal(d)))
	}
	if c.Max != nil && *c.Max <= maxDecimal {
		d, ok := decimalOf(*c.Max)
		if !ok {
			return xast.Node{}, false
		}
		tests = append(tests, arg.DecimalLessThanOrEqual(literal(d)))
	}
	return allOf(tests), true
}

// strays is the test that a text, read as a path, could lead elsewhere than it begins: what delegation.Constraint says of prefixes, the other way round.
func strays(arg xast.Node) xast.Node {
	star := types.Wildcard{}
	within := func(s string) xast.Node { return arg.Like(types.NewPattern(star, s, star)) }
	tests := []xast.Node{
		within(`\`), within("//"), within("/./"), within("/../"),
		arg.Like(types.NewPattern("./", star)), arg.Like(types.NewPattern("../", star)),
		arg.Like(types.NewPattern(star, "/.")), arg.Like(types.NewPattern(star, "/..")),
		xast.Set(xast.String(""), xast.String("."), xast.String("..")).Contains(arg),
	}
	disguised := []xast.Node{}
	for _, code := range []string{"%2e", "%2E", "%2f", "%2F", "%5c", "%5C", "%25"} {
		disguised = append(disguised, within(code))
	}
	tests = append(tests, within("%").And(anyOf(disguised)))
	controls := []xast.Node{}
	for r := rune(0); r < 0xa0; r++ {
		if r < 0x20 || r >= 0x7f {
			controls = append(controls, within(string(r)))
		}
	}
	return anyOf(append(tests, within("/").And(anyOf(controls))))
}

// anyOf is true if one of the tests is, allOf if all are. They are balanced, so that many are not deep.
func anyOf(tests []xast.Node) xast.Node {
	switch n := len(tests); n {
	case 0:
		return xast.False()
	case 1:
		return tests[0]
	default:
		return anyOf(tests[:n/2]).Or(anyOf(tests[n/2:]))
	}
}

func allOf(tests []xast.Node) xast.Node {
	switch n := len(tests); n {
	case 0:
		return xast.True()
	case 1:
		return tests[0]
	default:
		return allOf(tests[:n/2]).And(allOf(tests[n/2:]))
	}
}
