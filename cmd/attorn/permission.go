package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/attorn/attorn/delegation"
)

// parsePermission reads `tool:files:write_file` or `tool:files:write_file{path^=staging/,replicas<=4}`: the permission, and in braces its
// constraints. The operators are = (equals), =a|b (one of), ^= (begins with), <= (at most) and >= (at least); a number or true and false
// is read as such unless it is quoted.
func parsePermission(s string) (delegation.Permission, error) {
	name, rest, braces := strings.Cut(s, "{")
	p := delegation.Permission{Permission: name}
	if braces {
		inner, ok := strings.CutSuffix(rest, "}")
		if !ok {
			return p, usageError{fmt.Errorf("the constraints of %q do not end with }", s)}
		}
		p.Where = map[string]delegation.Constraint{}
		for part := range strings.SplitSeq(inner, ",") {
			if err := addConstraint(p.Where, strings.TrimSpace(part)); err != nil {
				return p, err
			}
		}
	}
	return p, p.Check()
}

func addConstraint(where map[string]delegation.Constraint, s string) error {
	i := strings.IndexAny(s, "=^<>")
	if i <= 0 {
		return usageError{fmt.Errorf("%q is no constraint: write path^=staging/, replicas<=4, env=staging or env=a|b", s)}
	}
	path, op, value := s[:i], s[i:], ""
	for _, o := range []string{"^=", "<=", ">=", "="} {
		if v, ok := strings.CutPrefix(op, o); ok {
			op, value = o, v
			break
		}
	}
	c := where[path]
	switch op {
	case "^=":
		c.Prefix = &value
	case "<=", ">=":
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return usageError{fmt.Errorf("%q is not a whole number", value)}
		}
		if op == "<=" {
			c.Max = &n
		} else {
			c.Min = &n
		}
	case "=":
		members := strings.Split(value, "|")
		if len(members) == 1 {
			v := readValue(value)
			c.Equals = &v
			break
		}
		for _, m := range members {
			c.In = append(c.In, readValue(m))
		}
	default:
		return usageError{fmt.Errorf("%q is no constraint: the operators are = ^= <= >=", s)}
	}
	where[path] = c
	return nil
}

func readValue(s string) delegation.Value {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return delegation.Int(n)
	}
	switch s {
	case "true", "false":
		return delegation.Bool(s == "true")
	}
	if u, err := strconv.Unquote(s); err == nil {
		return delegation.String(u)
	}
	return delegation.String(s)
}
