package delegation_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/vectors"
)

// Every refusal to widen says in which dimension; the cases' ids begin with it.
func TestWideningNamesItsDimension(t *testing.T) {
	cases, err := vectors.Load("narrow")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, c := range cases {
		if c.Want.Error != "widens" {
			continue
		}
		var in narrowCase
		if err := vectors.Decode(c.In, &in); err != nil {
			t.Fatal(err)
		}
		dimension, _, _ := strings.Cut(c.ID, "-")
		seen[dimension] = true
		if err := delegation.Narrows(in.Parent, in.Child); err == nil || !strings.Contains(err.Error(), " in "+dimension+": ") {
			t.Errorf("%s: %v", c.ID, err)
		}
	}
	for _, dimension := range []string{"permissions", "time", "uses", "depth", "task"} {
		if !seen[dimension] {
			t.Errorf("no case widens in %s", dimension)
		}
	}
}

// A call, as far as a statement can limit it.
type call struct {
	action string
	args   delegation.Args
	at     int64
	task   string
}

// calls is a sample: each action with each argument at times in and outside of the statements.
func calls() (all []call) {
	for _, action := range []string{"a", "a:a", "a:az", "a:b", "ab:a", "b:a", "b:bz:z", "a:b:z"} {
		for _, w := range witnesses {
			for _, at := range []int64{begin - 1, begin, begin + 50, begin + 100} {
				all = append(all, call{action, delegation.Args{"x": w}, at, "t"}, call{action, delegation.Args{"x": w, "y": w}, at, "u"})
			}
		}
		all = append(all, call{action, delegation.Args{}, begin, "t"})
	}
	return all
}

// allows is what a statement alone says of a call; a statement without a task is for every task.
func allows(s delegation.Statement, c call) bool {
	return s.NotBefore <= c.at && c.at < s.ExpiresAt && (s.Task == "" || s.Task == c.task) && delegation.Allows(s.Permissions, c.action, c.args)
}

func permissionOf(t *rapid.T, label string) delegation.Permission {
	p := delegation.Permission{Permission: pattern(t, label).String()}
	for _, path := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"x", "y"}), 0, 1, rapid.ID).Draw(t, label+" paths") {
		if p.Where == nil {
			p.Where = map[string]delegation.Constraint{}
		}
		p.Where[path] = constraint(t, label+" "+path)
	}
	return p
}

// offspring draws a child: mostly of the parent's own permissions, often narrowed, sometimes widened, so that both answers come up.
func offspring(t *rapid.T, parent delegation.Statement, by, to string) delegation.Statement {
	s := parent
	s.ID = delegationOf(9)
	s.Delegator = delegation.Delegator{Agent: agentOf(by), Instance: instance(by)}
	s.Delegate = delegation.Delegate{Agent: agentOf(to)}
	s.Permissions = nil
	for range rapid.IntRange(1, 2).Draw(t, "permissions") {
		p := rapid.SampledFrom(parent.Permissions).Draw(t, "from")
		if rapid.IntRange(0, 2).Draw(t, "changed") == 0 {
			p = near(t, p, "permission")
		}
		s.Permissions = append(s.Permissions, p)
	}
	s.NotBefore += rapid.SampledFrom([]int64{0, 0, 0, 0, 1, 40, -1}).Draw(t, "begin")
	s.ExpiresAt += rapid.SampledFrom([]int64{0, 0, 0, 0, -1, -40, 1}).Draw(t, "end")
	s.MaxDepth += rapid.SampledFrom([]int{-1, -1, -1, -1, -2, 0}).Draw(t, "depth")
	s.Task = rapid.SampledFrom([]string{parent.Task, parent.Task, parent.Task, parent.Task, "t", "u", ""}).Draw(t, "task")
	if n := rapid.SampledFrom([]int64{0, 1, 1, 5, 9}).Draw(t, "uses"); n > 0 {
		s.MaxUses = &n
	} else {
		s.MaxUses = nil
	}
	digest, err := parent.Digest()
	if err != nil {
		t.Fatal(err)
	}
	s.Parent = &digest
	return s
}

// No widening: along every generated chain that narrows, each call that a statement allows, every statement above it allows, and what any
// number of calls may spend never grows.
func TestNarrowingNeverWidens(t *testing.T) {
	sample := calls()
	narrowed, refused, allowed := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		root := rootStatement()
		root.Permissions = []delegation.Permission{permissionOf(t, "first"), permissionOf(t, "second")}
		root.Delegate.Instance = instance("release-bot")
		root.ExpiresAt, root.MaxUses, root.Task = begin+100, new(int64(5)), rapid.SampledFrom([]string{"", "t"}).Draw(t, "root task")
		if root.Check() != nil {
			t.Skip("a constraint that cannot hold")
		}
		above, by := []delegation.Statement{root}, "release-bot"
		for _, to := range []string{"deployer", "builder", "checker"} {
			parent := above[len(above)-1]
			child := offspring(t, parent, by, to)
			if err := delegation.Narrows(parent, child); err != nil {
				refused++
				if code := fault.Code(err); !slices.Contains([]string{"widens", "permission_invalid", "statement_invalid"}, code) {
					t.Fatalf("refused with %s: %v", code, err)
				}
				return
			}
			narrowed++
			for _, c := range sample {
				if !allows(child, c) {
					continue
				}
				allowed++
				for i, s := range above {
					if !allows(s, c) {
						t.Fatalf("%+v is allowed by %+v and not by link %d, %+v", c, child, i, s)
					}
				}
			}
			if !delegation.CoversAll(root.Permissions, child.Permissions) {
				t.Fatalf("covering is not transitive: %+v, %+v", root.Permissions, child.Permissions)
			}
			if budget(above) < budget(append(above, child)) || child.MaxDepth >= parent.MaxDepth {
				t.Fatalf("uses or depth grow: %+v under %+v", child, parent)
			}
			above, by = append(above, child), to
		}
	})
	t.Logf("%d narrowed, %d refused, %d calls allowed", narrowed, refused, allowed)
	if narrowed == 0 || refused == 0 || allowed == 0 {
		t.Errorf("%d narrowed, %d refused, %d calls allowed: the generator is one-sided", narrowed, refused, allowed)
	}
}

// budget is how many calls the last link of a chain can make when each call spends one use at every link.
func budget(chain []delegation.Statement) int64 {
	least := int64(1 << 62)
	for _, s := range chain {
		if s.MaxUses != nil {
			least = min(least, *s.MaxUses)
		}
	}
	return least
}

// near draws p with one thing about it drawn anew.
func near(t *rapid.T, p delegation.Permission, label string) delegation.Permission {
	q := delegation.Permission{Permission: p.Permission, Where: maps.Clone(p.Where)}
	switch what := rapid.SampledFrom([]string{"pattern", "x", "y"}).Draw(t, label+" changes"); what {
	case "pattern":
		q.Permission = pattern(t, label).String()
	default:
		if q.Where == nil {
			q.Where = map[string]delegation.Constraint{}
		}
		q.Where[what] = constraint(t, label+" "+what)
	}
	return q
}

// Covering is transitive and reflexive on its own, also for permissions that no statement would take.
func TestCoveringIsTransitive(t *testing.T) {
	chains := 0
	rapid.Check(t, func(t *rapid.T) {
		for range 20 {
			a := permissionOf(t, "a")
			b := near(t, a, "b")
			c := near(t, b, "c")
			if delegation.Covers(a, b) && delegation.Covers(b, c) {
				chains++
				if !delegation.Covers(a, c) {
					t.Fatalf("%+v covers %+v covers %+v", a, b, c)
				}
			}
			if !delegation.Covers(a, a) {
				t.Fatalf("%+v does not cover itself", a)
			}
		}
	})
	if chains == 0 {
		t.Error("no chain was generated")
	}
}
