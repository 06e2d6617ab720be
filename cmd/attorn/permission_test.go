package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/attorn/attorn/delegation"
)

func TestParsePermission(t *testing.T) {
	p := func(s string) *string { return &s }
	n := func(i int64) *int64 { return &i }
	eq := func(v delegation.Value) *delegation.Value { return &v }
	type where = map[string]delegation.Constraint
	for _, c := range []struct {
		in   string
		name string // "" is refused
		want where
		says string
	}{
		{in: "tool:files:write_file", name: "tool:files:write_file"},
		{in: "tool:files:*", name: "tool:files:*"},
		{in: "a:b{path^=staging/}", name: "a:b", want: where{"path": {Prefix: p("staging/")}}},
		{in: "a:b{ path^=staging/ , n<=4}", name: "a:b", want: where{"path": {Prefix: p("staging/")}, "n": {Max: n(4)}}},
		{in: "a:b{n>=-1,n<=4}", name: "a:b", want: where{"n": {Min: n(-1), Max: n(4)}}},
		{in: "a:b{env=staging}", name: "a:b", want: where{"env": {Equals: eq(delegation.String("staging"))}}},
		{in: "a:b{env=a|b|3|true}", name: "a:b", want: where{"env": {In: []delegation.Value{delegation.String("a"), delegation.String("b"), delegation.Int(3), delegation.Bool(true)}}}},
		{in: "a:b{n=3}", name: "a:b", want: where{"n": {Equals: eq(delegation.Int(3))}}},
		{in: "a:b{on=false}", name: "a:b", want: where{"on": {Equals: eq(delegation.Bool(false))}}},
		{in: `a:b{n="3"}`, name: "a:b", want: where{"n": {Equals: eq(delegation.String("3"))}}},
		{in: "a:b{n=007}", name: "a:b", want: where{"n": {Equals: eq(delegation.String("007"))}}},
		{in: "a:b{n=+3}", name: "a:b", want: where{"n": {Equals: eq(delegation.String("+3"))}}},
		{in: "a:b{v=4.81}", name: "a:b", want: where{"v": {Equals: eq(delegation.String("4.81"))}}},
		{in: "a:b{q=x=y}", name: "a:b", want: where{"q": {Equals: eq(delegation.String("x=y"))}}},
		{in: "a:b{q=}", name: "a:b", want: where{"q": {Equals: eq(delegation.String(""))}}},
		{in: `a:b{q="x,y|z}"}`, name: "a:b", want: where{"q": {Equals: eq(delegation.String("x,y|z}"))}}},
		{in: `a:b{q="say \"x,y\""}`, name: "a:b", want: where{"q": {Equals: eq(delegation.String(`say "x,y"`))}}},
		{in: `a:b{p^="a b/"}`, name: "a:b", want: where{"p": {Prefix: p("a b/")}}},
		{in: "a:b{q=x}}", name: "a:b", want: where{"q": {Equals: eq(delegation.String("x}"))}}},
		{in: "a:b{spec.replicas<=4}", name: "a:b", want: where{"spec.replicas": {Max: n(4)}}},

		{in: "", says: "1 to 255 bytes"},
		{in: "a b", says: "segment"},
		{in: "a:b{", says: "do not end with }"},
		{in: "a:b{path^=x", says: "do not end with }"},
		{in: "a:b{}", says: "is no constraint"},
		{in: "a:b{path}", says: `"path" is no constraint`},
		{in: "a:b{=x}", says: "is no constraint"},
		{in: "a:b{path^x}", says: "is no constraint"},
		{in: "a:b{n<4}", says: "is no constraint"},
		{in: "a:b{n>4}", says: "is no constraint"},
		{in: "a:b{n<=x}", says: `"x" is not a whole number`},
		{in: "a:b{n<=}", says: "not a whole number"},
		{in: "a:b{n<=1.5}", says: "not a whole number"},
		{in: "a:b{n<=99999999999999999999}", says: "not a whole number"},
		{in: "a:b{n=9007199254740993}", says: "2^53"},
		{in: "a:b{n<=1,n<=2}", says: "n is constrained by <= twice"},
		{in: "a:b{n>=1,n>=2}", says: "n is constrained by >= twice"},
		{in: "a:b{q=a,q=b}", says: "q is constrained by = twice"},
		{in: "a:b{q=a|b,q=c}", says: "q is constrained by = twice"},
		{in: "a:b{p^=a,p^=b}", says: "p is constrained by ^= twice"},
		{in: "a:b{n>=2,n<=1}", says: "can never hold"},
		{in: "a:b{p^=../}", says: "prefix"},
		{in: "a:b{p^=}", says: "prefix"},
		{in: `a:b{q="x}`, says: "quotes"},
		{in: `a:b{q=x"y"}`, says: "quotes"},
		{in: `a:b{p^="x}`, says: "quotes"},
		{in: "a:b{a..b=x}", says: "path of a constraint"},
	} {
		got, err := parsePermission(c.in)
		if c.name == "" {
			var usage usageError
			if !errors.As(err, &usage) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%q: %v, want a usage error about %q", c.in, err, c.says)
			}
			continue
		}
		want := delegation.Permission{Permission: c.name, Where: c.want}
		if err != nil || !cmp.Equal(got, want, cmp.AllowUnexported(delegation.Value{})) {
			t.Errorf("%q: %v, %v", c.in, err, cmp.Diff(got, want, cmp.AllowUnexported(delegation.Value{})))
		}
	}
}

// What is accepted is what the server accepts, and quoting a text says that text.
func FuzzParsePermission(f *testing.F) {
	for _, s := range []string{"tool:files:write_file{path^=staging/,n<=4}", `a{b="c,d"|e}`, "a{b=}", `a{"}`, "{", "a{b>=1,b<=2,c=true}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parsePermission(s)
		if err == nil && p.Check() != nil {
			t.Errorf("%q is accepted, and is none: %v", s, p.Check())
		}
	})
}
