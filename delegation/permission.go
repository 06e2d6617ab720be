package delegation

import (
	"strings"

	"github.com/attorn/attorn/fault"
)

// The limits of a permission.
const (
	maxSegments    = 8
	maxPermission  = 255 // bytes
	maxConstraints = 16  // paths in one permission
)

// A Pattern is a permission without its constraints: up to 8 segments joined by ":", 255 bytes in all. A segment is letters a-z and A-Z,
// digits and `-_./@`. "*" stands for one whole segment, or at a segment's end for any ending, the empty one too; as the last segment it
// stands for one or more segments ("any from here"). A pattern without "*" is a concrete action. Matching compares bytes: it knows nothing
// of paths, so "repo:a/*:read" matches "repo:a/../b:read", and whoever makes an action out of a path normalises the path first.
// The zero value covers nothing and is covered by nothing.
type Pattern struct{ s string }

// ParsePermission checks the grammar. Code: permission_invalid.
func ParsePermission(s string) (Pattern, error) {
	if len(s) == 0 || len(s) > maxPermission {
		return Pattern{}, badPermission("a permission has 1 to %d bytes, not %d", maxPermission, len(s))
	}
	if n := strings.Count(s, ":") + 1; n > maxSegments {
		return Pattern{}, badPermission("a permission has at most %d segments, not %d", maxSegments, n)
	}
	for rest, more := s, true; more; {
		var seg string
		seg, rest, more = strings.Cut(rest, ":")
		if !segment(seg) {
			return Pattern{}, badPermission("a segment of a permission is letters, digits and -_./@, with * only as a whole segment or at its end")
		}
	}
	return Pattern{s}, nil
}

func badPermission(reason string, args ...any) error {
	return fault.New(fault.Invalid, "permission_invalid", reason, args...)
}

func segment(s string) bool {
	if s != "*" {
		s = strings.TrimSuffix(s, "*")
	} else {
		return true
	}
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-_./@", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}

func (p Pattern) String() string { return p.s }

// Concrete reports whether p names one action.
func (p Pattern) Concrete() bool { return p.s != "" && strings.IndexByte(p.s, '*') < 0 }

// Covers reports whether every concrete action that q matches is one that p matches. The answer is exact, and found in one pass.
func (p Pattern) Covers(q Pattern) bool {
	if p.s == "" || q.s == "" {
		return false
	}
	a, b := p.s, q.s
	for {
		as, arest, amore := strings.Cut(a, ":")
		bs, brest, bmore := strings.Cut(b, ":")
		if as == "*" && !amore {
			return true // any from here, and q has a segment here
		}
		if bs == "*" && !bmore {
			return false // q goes on as it likes, p does not
		}
		if !segmentCovers(as, bs) || amore != bmore {
			return false
		}
		if !amore {
			return true
		}
		a, b = arest, brest
	}
}

func segmentCovers(a, b string) bool {
	if a == "*" || a == b {
		return true
	}
	stem, open := strings.CutSuffix(a, "*")
	return open && strings.HasPrefix(strings.TrimSuffix(b, "*"), stem)
}

// A Permission is a pattern, and constraints on arguments by path: all of them must hold. A path names one argument, and its dots descend
// into objects; an argument whose own name has a dot cannot be named.
type Permission struct {
	Permission string                `json:"permission"`
	Where      map[string]Constraint `json:"where,omitempty"`
}

// Check holds a permission to its rules: the grammar, at most 16 constraints, and constraints that can hold. Code: permission_invalid.
func (p Permission) Check() error {
	if _, err := ParsePermission(p.Permission); err != nil {
		return err
	}
	if len(p.Where) > maxConstraints {
		return badPermission("a permission has at most %d constraints, not %d", maxConstraints, len(p.Where))
	}
	for path, c := range p.Where {
		if !validPath(path) {
			return badPermission("the path of a constraint is argument names joined by dots, at most %d bytes", maxPath)
		}
		if err := c.check(path); err != nil {
			return err
		}
	}
	return nil
}

// Covers reports whether every call that b allows is one that a allows: a's pattern covers b's, and for each path that a constrains, b
// constrains it too and at least as narrowly (Constraint.Covers). It is decided without looking at any call. It never says yes wrongly; it
// says no for a b that drops a path of a's, even where b's other constraints could never hold. A malformed pattern covers nothing.
func Covers(a, b Permission) bool {
	pa, erra := ParsePermission(a.Permission)
	pb, errb := ParsePermission(b.Permission)
	if erra != nil || errb != nil || !pa.Covers(pb) {
		return false
	}
	for path, c := range a.Where {
		d, ok := b.Where[path]
		if !ok || !c.Covers(d) {
			return false
		}
	}
	return true
}

// CoversAll reports whether each child is covered by at least one single parent. That several parents together would cover a child is not
// looked for: the rule stays decidable in one pass, the same in every language, and a lender can always write the child as two permissions.
func CoversAll(parents, children []Permission) bool {
	for _, c := range children {
		if !coversOne(parents, c) {
			return false
		}
	}
	return true
}

func coversOne(parents []Permission, child Permission) bool {
	for _, p := range parents {
		if Covers(p, child) {
			return true
		}
	}
	return false
}

// Allows reports whether some permission covers the concrete action and has all its constraints hold on args. An action with a "*" or
// outside the grammar is allowed by nothing.
func Allows(ps []Permission, action string, args Args) bool {
	act, err := ParsePermission(action)
	if err != nil || !act.Concrete() {
		return false
	}
	for _, p := range ps {
		if pat, err := ParsePermission(p.Permission); err == nil && pat.Covers(act) && holdsAll(p.Where, args) {
			return true
		}
	}
	return false
}

func holdsAll(where map[string]Constraint, args Args) bool {
	for path, c := range where {
		v, ok := args.At(path)
		if !ok || !c.Holds(v) {
			return false
		}
	}
	return true
}
