package guard_test

import (
	"encoding/json"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"github.com/attorn/attorn/delegation"
)

// What lending means, said once more and slowly, from the words of authority.md §2 and §3: who covers what is not reasoned about, but tried with every call of a
// small world. It shares nothing with the code that it is held against but the types that are handed over.

// tried is one call of that world.
type tried struct {
	action string
	args   map[string]any // "n" and "p", where they are there
	raw    string
	read   delegation.Args
}

// world is every call there is: with actions that permissions of the test name, and others beside; with arguments that their constraints let through, and others.
var world = func() (all []tried) {
	ns := []any{nil, "5", true}
	for n := range int64(11) {
		ns = append(ns, n)
	}
	ps := []any{nil, int64(5), "x/", "x/a", "x/b", "x/c", "x/ab", "x/a/d", "y", "y/a", "yz", "z", "x/../y", "x/a/../b", "x//a", "x/%2e%2E/y"}
	for _, action := range []string{"tool:s:a", "tool:s:ab", "tool:s:b", "tool:s:c", "tool:s:a:more", "tool:t:a", "tool:t:b", "tool:u:z", "tool:x", "attorn:agent:read"} {
		for _, n := range ns {
			for _, p := range ps {
				c := tried{action: action, args: map[string]any{}}
				if n != nil {
					c.args["n"] = n
				}
				if p != nil {
					c.args["p"] = p
				}
				raw, err := json.Marshal(c.args)
				if err != nil {
					panic(err)
				}
				c.raw = string(raw)
				if c.read, err = delegation.DecodeArgs(raw); err != nil {
					panic(err)
				}
				all = append(all, c)
			}
		}
	}
	return all
}()

// calls are some of the world's.
type calls [(10*14*16 + 63) / 64]uint64

func (c *calls) has(i int) bool { return c[i/64]>>(i%64)&1 == 1 }

func (c calls) in(all calls) bool { return c.and(all) == c }

func (c calls) and(d calls) calls {
	for i := range c {
		c[i] &= d[i]
	}
	return c
}

func (c calls) or(d calls) calls {
	for i := range c {
		c[i] |= d[i]
	}
	return c
}

func (c calls) count() (n int) {
	for _, w := range c {
		n += bits.OnesCount64(w)
	}
	return n
}

func (c calls) String() string {
	var b strings.Builder
	for i, t := range world {
		if c.has(i) && b.Len() < 300 {
			fmt.Fprintf(&b, "%s %s; ", t.action, t.raw)
		}
	}
	return fmt.Sprintf("%d calls: %s", c.count(), b.String())
}

// under are the calls whose actions begin so.
func under(prefix string) (c calls) {
	for i, t := range world {
		if strings.HasPrefix(t.action, prefix) {
			c[i/64] |= 1 << (i % 64)
		}
	}
	return c
}

// permits are the calls that a permission permits.
func permits(p delegation.Permission) (c calls) {
	for i, t := range world {
		if naiveMatch(p.Permission, t.action) && naiveHolds(p.Where, t.args) {
			c[i/64] |= 1 << (i % 64)
		}
	}
	return c
}

// each is what each permission permits, for to lend a permission takes one that has all of it.
func each(ps []delegation.Permission) (all []calls) {
	for _, p := range ps {
		all = append(all, permits(p))
	}
	return all
}

func union(all []calls) (c calls) {
	for _, one := range all {
		c = c.or(one)
	}
	return c
}

// naiveCovers reports whether each child is within one of the parents.
func naiveCovers(parents, children []calls) bool {
	for _, c := range children {
		if !slices.ContainsFunc(parents, c.in) {
			return false
		}
	}
	return true
}

// naiveMatch compares segment by segment: "*" for one whole segment or at a segment's end; the last one may be "*" for "any from here".
func naiveMatch(pattern, action string) bool {
	want, got := strings.Split(pattern, ":"), strings.Split(action, ":")
	for i, w := range want {
		if i >= len(got) {
			return false
		}
		if w == "*" && i == len(want)-1 {
			return true
		}
		if w != "*" && w != got[i] && !(strings.HasSuffix(w, "*") && strings.HasPrefix(got[i], w[:len(w)-1])) {
			return false
		}
	}
	return len(want) == len(got)
}

// naiveHolds: an argument that a constraint names and the call lacks fails the constraint; all operators must hold.
func naiveHolds(where map[string]delegation.Constraint, args map[string]any) bool {
	for name, c := range where {
		arg, ok := args[name]
		if !ok {
			return false
		}
		same := func(v delegation.Value) bool { // type and value
			raw, err := v.MarshalJSON()
			mine, err2 := json.Marshal(arg)
			return err == nil && err2 == nil && string(raw) == string(mine)
		}
		number, isNumber := arg.(int64)
		text, isText := arg.(string)
		switch {
		case c.In != nil && !slices.ContainsFunc(c.In, same), c.Equals != nil && !same(*c.Equals):
			return false
		case c.Max != nil && (!isNumber || number > *c.Max), c.Min != nil && (!isNumber || number < *c.Min):
			return false
		case c.Prefix != nil && (!isText || !strings.HasPrefix(text, *c.Prefix) || strings.Contains(text, "..") || strings.Contains(text, "//") || strings.Contains(text, "%")):
			return false // what leads out of the folder is not in it
		}
	}
	return true
}

// The permissions that are lent.
var (
	patterns = rapid.SampledFrom([]string{"tool:*", "tool:s:*", "tool:s:*", "tool:s:a", "tool:s:b", "tool:s:a*", "tool:*:a", "tool:t:a", "tool:t:*"})
	numbers  = rapid.SampledFrom([]int64{2, 5, 8})
	texts    = rapid.SampledFrom([]string{"x/a", "x/b", "y"})
	onN      = rapid.Custom(func(t *rapid.T) delegation.Constraint {
		var c delegation.Constraint
		switch v := numbers.Draw(t, "n"); rapid.IntRange(0, 5).Draw(t, "operator") {
		case 0:
			c.Max = &v
		case 1:
			c.Min = &v
		case 2:
			e := delegation.Int(v)
			c.Equals = &e
		case 3:
			low, high := int64(2), int64(8)
			if v == 5 {
				low = v
			}
			c.Min, c.Max = &low, &high
		case 4:
			c.In, c.Max = []delegation.Value{delegation.Int(2), delegation.Int(v), delegation.String("5")}, &v
		default:
			c.In = []delegation.Value{delegation.Int(v), delegation.Int(5), delegation.Bool(true)}
		}
		return c
	})
	onP = rapid.Custom(func(t *rapid.T) delegation.Constraint {
		var c delegation.Constraint
		switch v := texts.Draw(t, "p"); rapid.IntRange(0, 3).Draw(t, "operator") {
		case 0:
			e := delegation.String(v)
			c.Equals = &e
		case 1:
			c.In = []delegation.Value{delegation.String(v), delegation.String("x/a")}
		default:
			prefix := rapid.SampledFrom([]string{"x/", "x/a", "y"}).Draw(t, "prefix")
			c.Prefix = &prefix
		}
		return c
	})
)

// change is what becomes of a permission when it is lent on, or asked for: one that was lent, changed or not in each of three parts.
type change struct {
	of      int
	pattern string                 // "": as it is
	n, p    *delegation.Constraint // nil: as it is
	drop    bool                   // the constraints
}

var changes = rapid.Custom(func(t *rapid.T) (c change) {
	c.of = rapid.IntRange(0, 9).Draw(t, "of")
	if rapid.IntRange(0, 3).Draw(t, "another pattern") == 0 {
		c.pattern = patterns.Draw(t, "pattern")
	}
	if rapid.IntRange(0, 3).Draw(t, "another n") == 0 {
		n := onN.Draw(t, "on n")
		c.n = &n
	}
	if rapid.IntRange(0, 3).Draw(t, "another p") == 0 {
		p := onP.Draw(t, "on p")
		c.p = &p
	}
	c.drop = rapid.IntRange(0, 15).Draw(t, "drop") == 0
	return c
})

// changed makes permissions of those that there are; of none, new ones.
func changed(from []delegation.Permission, how []change) (all []delegation.Permission) {
	for _, c := range how {
		p := delegation.Permission{Permission: "tool:*"}
		if len(from) > 0 {
			p = from[c.of%len(from)]
		} else if c.of > 4 {
			p.Permission = "tool:s:*"
		}
		if c.pattern != "" {
			p.Permission = c.pattern
		}
		where := map[string]delegation.Constraint{}
		for name, is := range p.Where {
			if !c.drop {
				where[name] = is
			}
		}
		if c.n != nil {
			where["n"] = *c.n
		}
		if c.p != nil {
			where["p"] = *c.p
		}
		if p.Where = where; len(where) == 0 {
			p.Where = nil
		}
		all = append(all, p)
	}
	return all
}
