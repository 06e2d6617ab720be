package guard

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/attorn/attorn/delegation"
)

// The meet of two permissions covers no more than either, and no action that both allow is lost.
func TestMeetIsBothAndNoMore(t *testing.T) {
	segment := rapid.SampledFrom([]string{"a", "ab", "abc", "b", "a*", "ab*", "*"})
	pattern := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(segment, 1, 4).Draw(t, "segments"), ":")
	})
	concrete := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "ab", "abc", "b"}), 1, 5).Draw(t, "segments"), ":")
	})
	rapid.Check(t, func(t *rapid.T) {
		p, q := pattern.Draw(t, "p"), pattern.Draw(t, "q")
		action := concrete.Draw(t, "action")
		both := allows(p, action) && allows(q, action)
		m, ok := meetPattern(p, q)
		if got := ok && allows(m, action); got != both {
			t.Fatalf("%s and %s meet in %q (%v), which allows %s: %v, but both: %v", p, q, m, ok, action, got, both)
		}
		if ok && (!covers(p, m) || !covers(q, m)) {
			t.Fatalf("%s and %s meet in %s, which is wider", p, q, m)
		}
	})
}

func allows(pattern, action string) bool {
	return delegation.Allows([]delegation.Permission{{Permission: pattern}}, action, nil)
}

func covers(a, b string) bool {
	return delegation.Covers(delegation.Permission{Permission: a}, delegation.Permission{Permission: b})
}

func TestMeetKeepsConstraints(t *testing.T) {
	num := func(max int64) delegation.Constraint { return delegation.Constraint{Max: &max} }
	text := func(prefix string) delegation.Constraint { return delegation.Constraint{Prefix: &prefix} }
	where := func(pairs ...any) map[string]delegation.Constraint {
		m := map[string]delegation.Constraint{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i].(string)] = pairs[i+1].(delegation.Constraint)
		}
		return m
	}
	list := func(values ...int64) (c delegation.Constraint) {
		for _, v := range values {
			c.In = append(c.In, delegation.Int(v))
		}
		return c
	}
	equal := func(v int64) delegation.Constraint { e := delegation.Int(v); return delegation.Constraint{Equals: &e} }
	between := func(min, max int64) delegation.Constraint { return delegation.Constraint{Min: &min, Max: &max} }
	for name, c := range map[string]struct {
		p, q map[string]delegation.Constraint
		want map[string]delegation.Constraint // nil: nothing is left
	}{
		"one side":      {where("n", num(4)), nil, where("n", num(4))},
		"other side":    {nil, where("n", num(4)), where("n", num(4))},
		"narrower":      {where("n", num(4)), where("n", num(2)), where("n", num(2))},
		"narrower back": {where("n", num(2)), where("n", num(4)), where("n", num(2))},
		"both":          {where("n", num(2)), where("path", text("a/")), where("n", num(2), "path", text("a/"))},
		"lists":         {where("n", list(1, 2, 3)), where("n", list(2, 3, 4)), where("n", list(2, 3))},
		"list and max":  {where("n", list(1, 2, 3)), where("n", num(2)), where("n", list(1, 2))},
		"ranges":        {where("n", between(1, 5)), where("n", between(3, 9)), where("n", between(3, 5))},
		"lists apart":   {where("n", list(1, 2)), where("n", list(3, 4)), nil},
		"ranges apart":  {where("n", between(1, 3)), where("n", between(5, 9)), nil},
		"values apart":  {where("n", equal(1)), where("n", equal(2)), nil},
		"out of range":  {where("n", equal(1)), where("n", between(2, 3)), nil},
		"apart":         {where("path", text("a/")), where("path", text("b/")), nil},
	} {
		got := meet([]delegation.Permission{{Permission: "x:*", Where: c.p}}, []delegation.Permission{{Permission: "x:y", Where: c.q}})
		if c.want == nil {
			if len(got) != 0 {
				t.Errorf("%s: %+v", name, got)
			}
			continue
		}
		want := delegation.Permission{Permission: "x:y", Where: c.want}
		if len(got) != 1 || !delegation.Covers(got[0], want) || !delegation.Covers(want, got[0]) {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

func TestWithin(t *testing.T) {
	for lent, want := range map[string]string{
		"*": "tool:files:*", "tool:*": "tool:files:*", "tool:files:read": "tool:files:read", "tool:files:*": "tool:files:*", "tool:*:write": "tool:files:write",
		"tool:f*:w*": "tool:files:w*", "tool:other:*": "", "tool:files": "", "attorn:*": "",
	} {
		got := within([]delegation.Permission{{Permission: lent}}, "tool:files:")
		if want == "" && len(got) == 0 || len(got) == 1 && got[0].Permission == want {
			continue
		}
		t.Errorf("%s: %+v, want %q", lent, got, want)
	}
}
