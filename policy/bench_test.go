package policy_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/attorn/attorn/policy"
)

// bundle is n policies as a workspace would have them: most for one server's tools and one role, some with conditions, some gates.
func bundle(n int) []policy.File {
	var b strings.Builder
	for i := range n {
		switch i % 4 {
		case 0:
			fmt.Fprintf(&b, "permit (principal in Role::\"team-%d\", action in Action::\"tool:s%d:*\", resource);\n", i/8, i/4)
		case 1:
			fmt.Fprintf(&b, "permit (principal in Role::\"tool-user\", action == Action::\"tool:s%d:run\", resource in Server::\"s%d\") when { context.args has env && context.args.env != \"prod\" };\n", i/4, i/4)
		case 2:
			fmt.Fprintf(&b, "forbid (principal, action in Action::\"destroy\", resource in Server::\"s%d\") unless { context.perm.s2 == \"safe\" };\n", i/4)
		case 3:
			fmt.Fprintf(&b, "@id(\"gate-%d\") @approve(\"1 of rm\") forbid (principal, action, resource == Tool::\"s%d:run\") when { context.args has env && context.args.env == \"prod\" };\n", i, i/4)
		}
	}
	files := policy.Shipped()
	text := b.String()
	for i := 0; text != ""; i++ { // files of at most 1 MiB
		cut := len(text)
		if cut > 1<<20 {
			cut = strings.LastIndexByte(text[:1<<20], '\n') + 1
		}
		files = append(files, policy.File{Path: fmt.Sprintf("policies/%d.cedar", i), Text: []byte(text[:cut])})
		text = text[cut:]
	}
	return files
}

func BenchmarkDecide(b *testing.B) {
	for _, n := range []int{10, 1000, 10_000} {
		s, problems := policy.Compile(bundle(n))
		if s == nil {
			b.Fatal(problems)
		}
		one, three := chain("agt_a"), chain("usr_p", "agt_b", "agt_a")
		for name, f := range map[string]policy.Facts{"one": one, "three": three} {
			b.Run(fmt.Sprintf("policies=%d/principals=%s", n, name), func(b *testing.B) {
				shape := policy.Like(f)
				b.ReportAllocs()
				for b.Loop() {
					if d := policy.Decide(s, shape, f, nil); d.Outcome != policy.Permit {
						b.Fatal(d)
					}
				}
			})
		}
	}
}

// What a decision allocates is held to a number, the same for any number of policies: that is exact on any machine.
func TestDecideAllocates(t *testing.T) {
	const most = 40 // policy.md, for one principal
	for _, n := range []int{10, 10_000} {
		s, problems := policy.Compile(bundle(n))
		if s == nil {
			t.Fatal(problems)
		}
		own := chain("usr_p")
		own.Action, own.ActionParents, own.Arguments = "tool:files:ls", policy.ActionParents("tool:files:ls", "read"), nil
		for name, c := range map[string]struct {
			f    policy.Facts
			most float64
		}{
			"one":               {chain("agt_a"), most},
			"three":             {chain("usr_p", "agt_b", "agt_a"), most + 2*15},
			"one, no arguments": {own, 20},
		} {
			shape := policy.Like(c.f)
			if d := policy.Decide(s, shape, c.f, nil); d.Outcome != policy.Permit {
				t.Fatal(d)
			}
			got := testing.AllocsPerRun(100, func() { policy.Decide(s, shape, c.f, nil) })
			t.Logf("%d policies, %s: %.0f", n, name, got)
			if got > c.most {
				t.Errorf("a decision of %s under %d policies allocates %.0f times, at most %.0f", name, n, got, c.most)
			}
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	files := bundle(10_000)
	for b.Loop() {
		if s, problems := policy.Compile(files); s == nil {
			b.Fatal(problems)
		}
	}
}

// The cost of a decision must not grow with the bundle: Cedar is asked about as many policies among 10,000 as among 100.
func TestIndexAsksFewPolicies(t *testing.T) {
	var asked []int
	for _, n := range []int{100, 10_000} {
		s, problems := policy.Compile(bundle(n))
		if s == nil {
			t.Fatal(problems)
		}
		f := chain("agt_a")
		f.Action, f.Resource = "tool:s7:run", policy.UID{Type: "Tool", ID: "s7:run"}
		f.ActionParents = policy.ActionParents(f.Action, "destroy")
		f.Entities[0] = policy.Entity{UID: f.Resource, Parents: []policy.UID{{Type: "Server", ID: "s7"}}}
		if d := policy.Decide(s, policy.Like(f), f, nil); d.Outcome != policy.Deny {
			t.Fatal(d)
		}
		asked = append(asked, policy.Asked(s, f))
	}
	if asked[0] != asked[1] || asked[0] > 10 || asked[0] < 4 {
		t.Errorf("asked about %v policies", asked)
	}
}

func TestManyUnscopedPoliciesAreWarnedOf(t *testing.T) {
	for n, want := range map[int]int{50: 0, 51: 1} {
		text := strings.Repeat("permit (principal, action, resource);", n)
		s, problems := policy.Compile([]policy.File{{Path: "policies/a.cedar", Text: []byte(text)}})
		if s == nil || len(problems) != want || want > 0 && (problems[0].Code != "unscoped" || problems[0].Severity != policy.SeverityWarning) {
			t.Errorf("%d: %v", n, problems)
		}
	}
}

func TestOneSetServesMany(t *testing.T) {
	s, _ := policy.Compile(bundle(100))
	f := chain("usr_p", "agt_b", "agt_a")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if d := policy.Decide(s, policy.Like(f), f, nil); d.Outcome != policy.Permit || !policy.Visible(s, f) {
					t.Errorf("%+v", d)
				}
			}
		})
	}
	wg.Wait()
}

// A principal with three built-in roles calls a tool, and is refused an act: what the roles' own policies cost.
func BenchmarkDecideByRoles(b *testing.B) {
	s, problems := policy.Compile(bundle(1000))
	if s == nil {
		b.Fatal(problems)
	}
	f := chain("agt_a")
	for i := range f.Entities {
		if f.Entities[i].UID == f.Principals[0] {
			f.Entities[i].Parents = []policy.UID{{Type: "Role", ID: "developer"}, {Type: "Role", ID: "security-auditor"}, {Type: "Role", ID: "tool-user"}}
		}
	}
	for name, want := range map[string]policy.Outcome{"tool:deploy:run": policy.Permit, "attorn:policy:publish": policy.Deny} {
		f.Action, f.ActionParents = name, policy.ActionParents(name, "write")
		b.Run(name, func(b *testing.B) {
			shape := policy.Like(f)
			b.ReportAllocs()
			for b.Loop() {
				if d := policy.Decide(s, shape, f, nil); d.Outcome != want {
					b.Fatal(d)
				}
			}
		})
	}
}
