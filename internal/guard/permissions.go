package guard

import (
	"cmp"
	"slices"
	"strings"

	"github.com/attorn/attorn/delegation"
)

// within cuts permissions to what begins with prefix.
func within(ps []delegation.Permission, prefix string) []delegation.Permission {
	return meet(ps, []delegation.Permission{{Permission: prefix + "*"}})
}

// meet is what both a and b cover, each pair of them met.
func meet(a, b []delegation.Permission) []delegation.Permission {
	var all []delegation.Permission
	for _, p := range a {
		for _, q := range b {
			if m, ok := meetOne(p, q); ok && !delegation.CoversAll(all, []delegation.Permission{m}) {
				all = append(all, m)
			}
		}
	}
	return all
}

func meetOne(p, q delegation.Permission) (m delegation.Permission, ok bool) {
	if m.Permission, ok = meetPattern(p.Permission, q.Permission); !ok {
		return m, false
	}
	if len(p.Where)+len(q.Where) > 0 {
		m.Where = map[string]delegation.Constraint{}
	}
	for path, c := range p.Where {
		m.Where[path] = c
	}
	for path, d := range q.Where {
		if c, both := m.Where[path]; both {
			if d, ok = meetConstraint(c, d); !ok {
				return m, false
			}
		}
		m.Where[path] = d
	}
	return m, m.Check() == nil
}

// meetConstraint holds for exactly what both hold for: operators are conjunctive. It is false where nothing is both; what else can never hold, Permission.Check finds.
func meetConstraint(c, d delegation.Constraint) (delegation.Constraint, bool) {
	switch {
	case c.Covers(d):
		return d, true
	case d.Covers(c):
		return c, true
	}
	if c.In == nil {
		c.In = d.In
	} else if d.In != nil {
		c.In = slices.DeleteFunc(slices.Clone(c.In), func(v delegation.Value) bool { return !slices.Contains(d.In, v) })
	}
	if c.Equals == nil {
		c.Equals = d.Equals
	} else if d.Equals != nil && *c.Equals != *d.Equals {
		return c, false
	}
	switch p, q := c.Prefix, d.Prefix; {
	case p == nil || q != nil && strings.HasPrefix(*q, *p):
		c.Prefix = cmp.Or(q, p)
	case q != nil && !strings.HasPrefix(*p, *q):
		return c, false
	}
	if c.Max == nil || d.Max != nil && *d.Max < *c.Max {
		c.Max = d.Max
	}
	if c.Min == nil || d.Min != nil && *d.Min > *c.Min {
		c.Min = d.Min
	}
	return c, true
}

// meetPattern is the pattern of exactly the actions that both match, segment by segment; a last "*" is any from there (authority.md §2).
func meetPattern(a, b string) (string, bool) {
	as, bs := strings.Split(a, ":"), strings.Split(b, ":")
	var out []string
	for i := 0; ; i++ {
		switch {
		case i == len(as) && i == len(bs):
			return strings.Join(out, ":"), true
		case i >= len(as) || i >= len(bs):
			return "", false
		case i == len(as)-1 && as[i] == "*":
			return strings.Join(append(out, bs[i:]...), ":"), true
		case i == len(bs)-1 && bs[i] == "*":
			return strings.Join(append(out, as[i:]...), ":"), true
		}
		s, ok := meetSegment(as[i], bs[i])
		if !ok {
			return "", false
		}
		out = append(out, s)
	}
}

func meetSegment(a, b string) (string, bool) {
	stemA, openA := strings.CutSuffix(a, "*")
	stemB, openB := strings.CutSuffix(b, "*")
	switch {
	case a == b, openB && strings.HasPrefix(stemA, stemB):
		return a, true
	case openA && strings.HasPrefix(stemB, stemA):
		return b, true
	}
	return "", false
}
