package guard

import (
	"strings"

	"github.com/attorn/attorn/delegation"
)

// within cuts permissions to what begins with prefix.
func within(ps []delegation.Permission, prefix string) []delegation.Permission {
	return meet(ps, []delegation.Permission{{Permission: prefix + "*"}})
}

// meet is what both a and b cover, each pair of them met. Where both constrain one argument and neither is the narrower, the pair is left out,
// which is never too much.
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
		c, both := m.Where[path]
		switch {
		case !both || c.Covers(d):
			m.Where[path] = d
		case !d.Covers(c):
			return m, false
		}
	}
	return m, m.Check() == nil
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
