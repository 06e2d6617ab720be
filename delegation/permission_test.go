package delegation_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/attorn/attorn/delegation"
)

// The alphabet of generated patterns, and for each stem in it two concrete segments that match it; "z" matches none but "*".
var (
	patternSegments  = []string{"a", "b", "ab", "a*", "b*", "ab*", "*"}
	concreteSegments = []string{"a", "az", "b", "bz", "ab", "abz", "z"}
)

func pattern(t *rapid.T, label string) delegation.Pattern {
	segments := rapid.SliceOfN(rapid.SampledFrom(patternSegments), 1, 3).Draw(t, label)
	p, err := delegation.ParsePermission(strings.Join(segments, ":"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// actions is every concrete action of 1 to 4 segments, one more than patterns have.
func actions() []delegation.Pattern {
	var all []delegation.Pattern
	last := []string{""}
	for range 4 {
		var next []string
		for _, head := range last {
			for _, s := range concreteSegments {
				next = append(next, strings.TrimPrefix(head+":"+s, ":"))
			}
		}
		for _, s := range next {
			p, err := delegation.ParsePermission(s)
			if err != nil {
				panic(err)
			}
			all = append(all, p)
		}
		last = next
	}
	return all
}

// Covering is exact: yes if and only if no concrete action matches the child and not the parent. On this alphabet the sample is complete.
func TestPatternCoversExactly(t *testing.T) {
	all := actions()
	rapid.Check(t, func(t *rapid.T) {
		a, b := pattern(t, "a"), pattern(t, "b")
		counterexample := ""
		for _, c := range all {
			if b.Covers(c) && !a.Covers(c) {
				counterexample = c.String()
				break
			}
		}
		if a.Covers(b) != (counterexample == "") {
			t.Fatalf("%s covers %s: %v, but %q", a, b, a.Covers(b), counterexample)
		}
	})
}

// A matcher as the grammar says it, to hold Covers to on concrete actions.
func matches(pattern, action string) bool {
	p, a := strings.Split(pattern, ":"), strings.Split(action, ":")
	if p[len(p)-1] == "*" && len(a) >= len(p) {
		p, a = p[:len(p)-1], a[:len(p)-1]
	}
	if len(p) != len(a) {
		return false
	}
	for i := range p {
		if stem, open := strings.CutSuffix(p[i], "*"); p[i] != a[i] && (!open || !strings.HasPrefix(a[i], stem)) {
			return false
		}
	}
	return true
}

func TestPatternMatchesAsTheGrammarSays(t *testing.T) {
	all := actions()
	rapid.Check(t, func(t *rapid.T) {
		p := pattern(t, "p")
		for _, a := range all {
			if p.Covers(a) != matches(p.String(), a.String()) {
				t.Fatalf("%s covers %s: %v", p, a, p.Covers(a))
			}
		}
	})
}

// The arguments that generated constraints are tried on. They include a witness for every difference that the generator can make, but for
// ranges against lists.
var witnesses = []any{
	"", "w", "web", "web-", "web-1", "web-1x", "db", "/d/", "/d/a", "/d/a/", "/d/a/x", "/d/ab", "/d/../a", "/d//a", "/d/a/..", "/d/a%2e", "d/a", "1",
	int64(-1), int64(0), int64(1), int64(2), int64(3), int64(4), int64(5), int64(1 << 53), true, false, nil, 1.5,
	struct{}{},
}

func value(t *rapid.T, label string) delegation.Value {
	v := rapid.SampledFrom([]any{"w", "web-1", "db", "/d/a", "/d/../a", int64(0), int64(1), int64(2), int64(3), int64(4), true}).Draw(t, label)
	switch v := v.(type) {
	case string:
		return delegation.String(v)
	case int64:
		return delegation.Int(v)
	}
	return delegation.Bool(v.(bool))
}

func constraint(t *rapid.T, label string) delegation.Constraint {
	var c delegation.Constraint
	for _, op := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"in", "prefix", "max", "min", "equals"}), 1, 2, rapid.ID).Draw(t, label) {
		switch op {
		case "in":
			for i := range rapid.IntRange(1, 3).Draw(t, "in") {
				c.In = append(c.In, value(t, fmt.Sprint("in ", i)))
			}
		case "prefix":
			c.Prefix = new(rapid.SampledFrom([]string{"w", "web-", "/d/", "/d/a", "/d/a/", "d"}).Draw(t, "prefix"))
		case "max":
			c.Max = new(rapid.Int64Range(0, 4).Draw(t, "max"))
		case "min":
			c.Min = new(rapid.Int64Range(0, 4).Draw(t, "min"))
		case "equals":
			c.Equals = new(value(t, "equals"))
		}
	}
	return c
}

// Covering of constraints never says yes wrongly, and for constraints that can hold it says no wrongly only of a range against a list.
func TestConstraintCoversExactly(t *testing.T) {
	yes, no := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		c, d := constraint(t, "c"), constraint(t, "d")
		var counterexample any
		found := false
		for _, w := range witnesses {
			if d.Holds(w) && !c.Holds(w) {
				counterexample, found = w, true
			}
		}
		covers := c.Covers(d)
		if covers && found {
			t.Fatalf("%+v covers %+v, but %#v", c, d, counterexample)
		}
		if covers {
			yes++
		} else {
			no++
		}
		listed := c.In != nil || c.Equals != nil
		ranged := d.Max != nil || d.Min != nil
		possible := (delegation.Permission{Permission: "a", Where: map[string]delegation.Constraint{"x": d}}).Check() == nil
		if !covers && !found && possible && !(listed && ranged) {
			t.Fatalf("%+v does not cover %+v, and nothing shows why", c, d)
		}
	})
	if yes == 0 || no == 0 {
		t.Errorf("the generator made %d that cover and %d that do not", yes, no)
	}
}

// A checked constraint can hold: Check refuses those that exclude everything, as far as the witnesses show.
func TestCheckedConstraintsCanHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := constraint(t, "c")
		if (delegation.Permission{Permission: "a", Where: map[string]delegation.Constraint{"x": c}}).Check() != nil {
			return
		}
		for _, w := range witnesses {
			if c.Holds(w) {
				return
			}
		}
		t.Fatalf("%+v passes Check and holds for nothing", c)
	})
}

func TestZeroValuesAllowNothing(t *testing.T) {
	everything, err := delegation.ParsePermission("*")
	if err != nil {
		t.Fatal(err)
	}
	zero := delegation.Pattern{}
	if everything.Covers(zero) || zero.Covers(everything) || zero.Covers(zero) || zero.Concrete() {
		t.Error("the zero pattern covers or is covered")
	}
	if delegation.Covers(delegation.Permission{}, delegation.Permission{}) || delegation.Allows([]delegation.Permission{{}}, "", nil) {
		t.Error("the zero permission covers or allows")
	}
	for _, w := range witnesses {
		if (delegation.Constraint{}).Holds(w) || (delegation.Constraint{Equals: new(delegation.Value)}).Holds(w) {
			t.Errorf("a constraint without a value holds for %#v", w)
		}
	}
}

func TestNumbersBeyondDoublesSatisfyNothing(t *testing.T) {
	least := delegation.Constraint{Min: new(int64(0))}
	if !least.Holds(int64(1<<53-1)) || least.Holds(int64(1<<53)) || least.Holds(float64(1)) || least.Holds(1) {
		t.Error("a number that is no int64 within ±(2^53-1) satisfies min")
	}
}

func FuzzParsePermission(f *testing.F) {
	for _, s := range []string{"tool:fs:read", "*", "a*:*:b", "a**", ":", "a::b", strings.Repeat("a:", 8)} {
		f.Add(s, "tool:fs:read")
	}
	everything, err := delegation.ParsePermission("*")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s, u string) {
		p, err := delegation.ParsePermission(s)
		if err != nil {
			return
		}
		if p.String() != s || !p.Covers(p) || !everything.Covers(p) {
			t.Errorf("%q is not itself", s)
		}
		if q, err := delegation.ParsePermission(u); err == nil && q.Concrete() && p.Covers(q) != matches(s, u) {
			t.Errorf("%q covers %q: %v", s, u, p.Covers(q))
		}
	})
}

func FuzzDecodeArgs(f *testing.F) {
	for _, s := range []string{`{"a":{"b":["x",1.5,null]},"n":-0}`, `{"a":1,"a":2}`, `[]`, `{`, `{"a":1e400}`} {
		f.Add([]byte(s), "a.b")
	}
	f.Fuzz(func(t *testing.T, raw []byte, path string) {
		args, err := delegation.DecodeArgs(raw)
		if err != nil {
			return
		}
		if v, ok := args.At(path); !ok && v != nil {
			t.Errorf("%q is not there and is %v", path, v)
		}
	})
}
