package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/attorn/attorn/delegation"
)

// parsePermission reads `tool:files:write_file` or `tool:files:write_file{path^=staging/,replicas<=4}`: the permission, and in braces its
// constraints. The operators are = (equals), =a|b (one of), ^= (begins with), <= (at most) and >= (at least). A whole number, true and false are
// read as such; in double quotes, as Go writes them, anything is text.
func parsePermission(s string) (delegation.Permission, error) {
	name, rest, braces := strings.Cut(s, "{")
	p := delegation.Permission{Permission: name}
	if braces {
		inner, ok := strings.CutSuffix(rest, "}")
		if !ok {
			return p, usageError{fmt.Errorf("the constraints of %q do not end with }", s)}
		}
		p.Where = map[string]delegation.Constraint{}
		for _, part := range split(inner, ',') {
			if err := addConstraint(p.Where, strings.TrimSpace(part)); err != nil {
				return p, usageError{err}
			}
		}
	}
	if err := p.Check(); err != nil {
		return p, usageError{err}
	}
	return p, nil
}

// split cuts s at each separator that is not in double quotes.
func split(s string, separator byte) []string {
	var parts []string
	begin, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == separator && !quoted:
			parts = append(parts, s[begin:i])
			begin = i + 1
		}
	}
	return append(parts, s[begin:])
}

func addConstraint(where map[string]delegation.Constraint, s string) error {
	path, op, value := cutOperator(s)
	if path == "" || op == "" {
		return fmt.Errorf("%q is no constraint: write path^=staging/, replicas<=4, env=staging or env=a|b", s)
	}
	c := where[path]
	twice := false
	var err error
	switch op {
	case "^=":
		twice = c.Prefix != nil
		value, err = unquote(value)
		c.Prefix = &value
	case "<=":
		twice = c.Max != nil
		c.Max, err = number(value)
	case ">=":
		twice = c.Min != nil
		c.Min, err = number(value)
	case "=":
		twice = c.Equals != nil || c.In != nil
		err = equal(&c, split(value, '|'))
	}
	if twice {
		return fmt.Errorf("%s is constrained by %s twice", path, op)
	}
	where[path] = c
	return err
}

// cutOperator cuts at the first operator; op is "" where there is none.
func cutOperator(s string) (path, op, value string) {
	i := strings.IndexAny(s, "=^<>")
	if i < 0 {
		return s, "", ""
	}
	for _, o := range []string{"^=", "<=", ">=", "="} {
		if v, ok := strings.CutPrefix(s[i:], o); ok {
			return s[:i], o, v
		}
	}
	return s, "", ""
}

func equal(c *delegation.Constraint, members []string) error {
	for _, m := range members {
		v, err := readValue(m)
		if err != nil {
			return err
		}
		c.In = append(c.In, v)
	}
	if len(c.In) == 1 {
		c.Equals, c.In = &c.In[0], nil
	}
	return nil
}

func number(s string) (*int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%q is not a whole number", s)
	}
	return &n, nil
}

func readValue(s string) (delegation.Value, error) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && strconv.FormatInt(n, 10) == s {
		return delegation.Int(n), nil
	}
	if s == "true" || s == "false" {
		return delegation.Bool(s == "true"), nil
	}
	t, err := unquote(s)
	return delegation.String(t), err
}

// unquote is s itself, or what is in its quotes.
func unquote(s string) (string, error) {
	if !strings.Contains(s, `"`) {
		return s, nil
	}
	u, err := strconv.Unquote(s)
	if err != nil {
		return s, fmt.Errorf("the quotes of %s are wrong", s)
	}
	return u, nil
}
