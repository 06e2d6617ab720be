package delegation

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// The limits of a constraint.
const (
	maxPath   = 128  // bytes
	maxText   = 1024 // bytes of a string in a constraint
	maxIn     = 64   // values
	maxNumber = 1<<53 - 1
)

// A Constraint narrows one argument. Its operators are conjunctive. An argument that the call lacks, or of another type than the operator
// asks for, fails it; so does a number that is not an integer within ±(2^53-1). A constraint without an operator holds for nothing.
//
// In and Equals compare type and value. Max and Min are inclusive bounds of an integer. Prefix holds for a string that begins with it and
// cannot lead elsewhere, because a prefix is what people lend folders with:
//   - no backslash, and none of %2e %2f %5c %25 in either case (a dot, slash, backslash or percent sign in disguise);
//   - cut at "/", no part is empty, "." or "..", but for one leading and one trailing slash;
//   - with a "/" in it, no control character.
//
// So the prefix "/data/" holds for "/data/x" and "/data/", and not for "/data/../etc", "/data//x" or "/database".
type Constraint struct {
	In     []Value `json:"in,omitzero"`
	Prefix *string `json:"prefix,omitzero"`
	Max    *int64  `json:"max,omitzero"`
	Min    *int64  `json:"min,omitzero"`
	Equals *Value  `json:"equals,omitzero"`
}

// Holds reports whether the constraint holds for an argument of DecodeArgs.
func (c Constraint) Holds(arg any) bool {
	v, ok := valueOf(arg)
	return ok && c.holds(v)
}

func (c Constraint) holds(v Value) bool {
	switch {
	case c.empty(),
		c.In != nil && !slices.Contains(c.In, v),
		c.Equals != nil && *c.Equals != v,
		c.Prefix != nil && (v.kind != text || !strings.HasPrefix(v.s, *c.Prefix) || !stays(v.s)),
		c.Max != nil && (v.kind != integer || v.n > *c.Max),
		c.Min != nil && (v.kind != integer || v.n < *c.Min):
		return false
	}
	return true
}

func (c Constraint) empty() bool {
	return c.In == nil && c.Prefix == nil && c.Max == nil && c.Min == nil && c.Equals == nil
}

// Covers reports whether every argument that d holds for is one that c holds for:
//   - where d lists its values (equals or in), each value that fits all of d's operators must fit all of c's;
//   - else c must not list values, and each of c's operators must be met by the same operator of d: a prefix that begins with c's, a max
//     not above c's, a min not below c's.
//
// So d may add operators, and may replace one by a narrower one of another kind, but never drops one. It never says yes wrongly. For
// constraints that pass Permission.Check it is exact, but that a range is not compared number by number with a list.
func (c Constraint) Covers(d Constraint) bool {
	if list, finite := d.list(); finite {
		for _, v := range list {
			if d.holds(v) && !c.holds(v) {
				return false
			}
		}
		return true
	}
	switch {
	case c.empty(), c.In != nil, c.Equals != nil,
		c.Prefix != nil && (d.Prefix == nil || !strings.HasPrefix(*d.Prefix, *c.Prefix)),
		c.Max != nil && (d.Max == nil || *d.Max > *c.Max),
		c.Min != nil && (d.Min == nil || *d.Min < *c.Min):
		return false
	}
	return true
}

// list gives the only values for which c can hold, where it names them.
func (c Constraint) list() (values []Value, finite bool) {
	if c.Equals != nil {
		return []Value{*c.Equals}, true
	}
	return c.In, c.In != nil
}

// check refuses a constraint that is malformed or can never hold: such a one is a mistake, and says less than it seems to.
func (c Constraint) check(path string) error {
	bad := func(reason string, args ...any) error {
		return badPermission("the constraint on %s %s", path, fmt.Sprintf(reason, args...))
	}
	if c.empty() {
		return bad("has no operator: in, prefix, max, min or equals")
	}
	if len(c.In) > maxIn {
		return bad("lists %d values, at most %d are allowed", len(c.In), maxIn)
	}
	list, finite := c.list()
	for _, v := range slices.Concat(list, c.In) {
		if !v.valid() {
			return bad("has a value that is not a plain string of at most %d bytes, an integer within ±(2^53-1) or a boolean", maxText)
		}
	}
	for _, n := range []*int64{c.Max, c.Min} {
		if n != nil && !safe(*n) {
			return bad("has a bound outside ±(2^53-1)")
		}
	}
	if p := c.Prefix; p != nil && (len(*p) > maxText || !plain(*p) || !canStay(*p)) {
		return bad("has a prefix that no value can have: 1 to %d bytes, no empty, \".\" or \"..\" part between slashes, no backslash, no encoded dot or slash", maxText)
	}
	if finite && !slices.ContainsFunc(list, c.holds) ||
		c.Max != nil && c.Min != nil && *c.Max < *c.Min ||
		c.Prefix != nil && (c.Max != nil || c.Min != nil) {
		return bad("can never hold: its operators exclude each other")
	}
	return nil
}

// stays reports whether a string, should somebody read it as a path, stays below every prefix of it that ends in a slash.
func stays(s string) bool {
	if strings.IndexByte(s, '\\') >= 0 || disguised(s) {
		return false
	}
	if strings.IndexByte(s, '/') >= 0 && strings.IndexFunc(s, unicode.IsControl) >= 0 {
		return false
	}
	rest := strings.TrimPrefix(s, "/")
	if rest == "" {
		return s == "/"
	}
	for more := true; more && rest != ""; { // after the last slash nothing need follow
		var part string
		part, rest, more = strings.Cut(rest, "/")
		if part == "" || part == "." || part == ".." {
			return false
		}
	}
	return true
}

// canStay reports whether some string that begins with prefix stays; all of it but the last part is then final.
func canStay(prefix string) bool {
	return prefix != "" && (stays(prefix) || stays(prefix+"x"))
}

// disguised finds a percent-encoded dot, slash, backslash or percent sign (RFC 3986 §2.1).
func disguised(s string) bool {
	for i := 0; i+2 < len(s); i++ {
		if s[i] != '%' {
			continue
		}
		switch strings.ToLower(s[i+1 : i+3]) {
		case "2e", "2f", "5c", "25":
			return true
		}
	}
	return false
}
