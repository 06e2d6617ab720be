package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

// Tested is what became of one test.
type Tested struct {
	File        string
	Name        string
	Failure     string // "": it passed
	Explanation Explanation
}

// Covered says of one policy of the authors' whether the tests have seen it match, and not match. A policy with conditions did not match where they were false, one
// without where its scope is not the request's.
type Covered struct {
	Source
	True, False bool
}

// Test runs the tests of a bundle that run chooses, nil being all, on the tools that their files or the world have.
func Test(s *Set, w World, run func(name string) bool) (tests []Tested, covered []Covered) {
	c := coverage{set: s, seen: map[string]*Covered{}}
	for _, p := range s.ordered() {
		if strings.HasPrefix(p.file(), "policies/") {
			c.policies = append(c.policies, p)
			c.seen[p.id] = &Covered{Source: s.where(p)}
		}
	}
	for _, f := range s.files {
		if !testPath.MatchString(f.Path) {
			continue
		}
		t, _ := readTable(f.Path, f.Text) // the bundle compiled
		for _, r := range t.Tests {
			if run == nil || run(r.Name) {
				tests = append(tests, t.run(s, w, f.Path, r, &c))
			}
		}
	}
	for _, p := range c.policies {
		covered = append(covered, *c.seen[p.id])
	}
	return tests, covered
}

// run decides one row, and compares.
func (t *table) run(s *Set, w World, file string, r tableRow, c *coverage) Tested {
	out := Tested{File: file, Name: r.Name}
	shape, class, err := t.called(s, w, r)
	if err == nil {
		if r.Args == nil && shape != nil {
			r.Args = []byte("{}")
		}
		var f Facts
		if f, err = t.facts(r, "test", class); err == nil {
			var lifts []Lift
			for _, gate := range sortedNames(r.Approved) {
				l := Lift{Gate: gate, Approval: id.Approval{}}
				for _, name := range r.Approved[gate] {
					l.Voters = append(l.Voters, UID{t.Actors[name].Type, name})
				}
				lifts = append(lifts, l)
			}
			out.Explanation = Explain(s, shape, f, lifts)
			out.Failure = r.differs(out.Explanation.Decision)
			c.look(shape, f)
		}
	}
	if err != nil {
		out.Failure = err.Error()
	}
	return out
}

// called is the shape and class of what a row calls.
func (t *table) called(s *Set, w World, r tableRow) (*Shape, string, error) {
	rest, isTool := strings.CutPrefix(r.Call, "tool:")
	if !isTool {
		kind, verb, _ := strings.Cut(r.Call, ":")
		if own := s.Type(kind); own != nil {
			return own.Shape(verb), own.Class(verb), nil
		}
		return nil, "", nil
	}
	if tool, ok := t.Tools[rest]; ok {
		shape, err := tool.shape()
		return shape, tool.Class, err
	}
	for _, a := range w.Actions {
		if a.Name == r.Call {
			return a.Shape, a.Class, nil
		}
	}
	known := sortedNames(t.Tools)
	for _, a := range w.Actions {
		known = append(known, strings.TrimPrefix(a.Name, "tool:"))
	}
	return nil, "", fault.New(fault.NotFound, "unknown_tool", "there is no tool %s: its file names none, nor is there one at the server%s", rest, meant(rest, known))
}

// differs says how a decision is another than the row expects.
func (r tableRow) differs(d Decision) string {
	got := string(d.Outcome)
	if d.Code != "" {
		got += " (" + d.Code + ")"
	}
	want := string(r.Expect)
	if r.Code != "" {
		want += " (" + r.Code + ")"
	}
	if d.Outcome != r.Expect || r.Code != "" && d.Code != r.Code {
		return fmt.Sprintf("want %s, got %s", want, got)
	}
	if r.Gates == nil {
		return ""
	}
	gates := slices.Clone(d.Waived)
	if d.Outcome == Ask {
		gates = nil
		for _, o := range d.Obligations {
			gates = append(gates, o.Gate)
		}
	}
	slices.Sort(gates)
	if expected := slices.Sorted(slices.Values(r.Gates)); !slices.Equal(gates, expected) {
		return fmt.Sprintf("want the gates [%s], got [%s]", strings.Join(expected, " "), strings.Join(gates, " "))
	}
	return ""
}

type coverage struct {
	set      *Set
	policies []*compiled
	seen     map[string]*Covered
}

// look asks every policy about every principal of a request.
func (c *coverage) look(shape *Shape, f Facts) {
	shape = cmp.Or(shape, c.set.ShapeOf(f))
	args, err := arguments(shape, f)
	if err != nil || f.check() != nil {
		return
	}
	r := newRequest(c.set, shape, &f, args)
	for _, principal := range f.Principals {
		h := newHearing(r, entityUID(principal))
		for _, p := range c.policies {
			seen := c.seen[p.id]
			matches, errs := h.says(p)
			seen.True = seen.True || matches
			seen.False = seen.False || !matches && !errs && (len(p.ast.Conditions) == 0 || h.q.meets(p))
		}
	}
}
