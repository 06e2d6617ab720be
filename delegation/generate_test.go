package delegation_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/jose"
)

// The cases that hold digests or signatures are made here, each with the answer that it wants by hand:
//
//	go test ./delegation -run TestGenerate -update
var update = flag.Bool("update", false, "write the files under vectors that this package makes")

type wanted struct {
	ID      string `json:"id"`
	Comment string `json:"comment"`
	In      any    `json:"in"`
	Want    any    `json:"want"`
}

func ok(v any) any            { return map[string]any{"ok": v} }
func refused(code string) any { return map[string]any{"error": code} }

// write makes the file of a kind, one case a line, and wants half or more of them negative.
func write(t *testing.T, kind, spec string, cases []wanted) {
	t.Helper()
	var b bytes.Buffer
	negative := 0
	b.WriteString(`{"kind":"` + kind + `","spec":"` + spec + `","cases":[`)
	for i, c := range cases {
		line, err := json.Marshal(c, json.Deterministic(true))
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('\n')
		b.WriteString(ascii(string(line)))
		if want, _ := c.Want.(map[string]any); want["error"] != nil {
			negative++
		}
	}
	b.WriteString("\n]}\n")
	if 2*negative < len(cases) {
		t.Errorf("%s: %d of %d are negative", kind, negative, len(cases))
	}
	if err := os.WriteFile(filepath.Join("..", "vectors", kind, kind+".json"), b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// ascii escapes what an editor might not show; outside strings JSON is ASCII.
func ascii(line string) string {
	var b strings.Builder
	for _, r := range line {
		if r < 0x7f {
			b.WriteRune(r)
			continue
		}
		for _, u := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04x`, u)
		}
	}
	return b.String()
}

func TestGenerate(t *testing.T) {
	if !*update {
		return
	}
	write(t, "narrow", "attorn delegations: what a child may be", narrowCases(t))
	write(t, "delegation", "attorn delegations: statements, tokens, chains (RFC 7515, RFC 8785)", delegationCases(t))
	write(t, "file", "attorn delegations: a portable chain as a file", fileCases(t))
	write(t, "assertion", "Web Authentication Level 3, sections 6.1 and 7.2; RFC 9052, RFC 9053, RFC 8812", assertionCases(t))
}

// A case of kind "narrow" asks whether child may follow parent; ok is true.
type narrowCase struct {
	Parent delegation.Statement `json:"parent"`
	Child  delegation.Statement `json:"child"`
}

func narrowCases(t *testing.T) (all []wanted) {
	add := func(id, comment string, want any, change func(parent, child *delegation.Statement)) {
		parent := rootStatement()
		child := childStatement(t, parent, "release-bot", "deployer")
		adopted := child.Parent
		change(&parent, &child)
		if child.Parent == adopted { // not changed by the case
			child = adopt(t, parent, child)
		}
		all = append(all, wanted{id, comment, narrowCase{parent, child}, want})
	}
	yes, wide, broken := ok(true), refused("widens"), refused("chain_broken")
	type st = *delegation.Statement

	add("narrower", "narrower in every dimension", yes, func(_, _ st) {})
	add("permissions-same", "the same permissions", yes, func(p, c st) { c.Permissions = p.Permissions })
	add("permissions-constrained", "a constraint more", yes, func(_, c st) {
		c.Permissions = []delegation.Permission{under("tool:files:read_file", "path", "staging/")}
	})
	add("permissions-other", "a permission that the parent has not", wide, func(_, c st) { c.Permissions = append(c.Permissions, allow("tool:files:delete")) })
	add("permissions-wider", "a wider pattern", wide, func(_, c st) { c.Permissions = []delegation.Permission{allow("tool:files:*")} })
	add("permissions-dropped", "a constraint dropped", wide, func(_, c st) { c.Permissions = []delegation.Permission{allow("tool:files:write_file")} })
	add("permissions-prefix", "a shorter prefix", wide, func(_, c st) {
		c.Permissions = []delegation.Permission{under("tool:files:write_file", "path", "sta")}
	})
	add("permissions-union", "two permissions of the parent together are not looked at", wide, func(p, c st) {
		p.Permissions = []delegation.Permission{allow("tool:files:read"), allow("tool:files:write*")}
		c.Permissions = []delegation.Permission{allow("tool:files:*")}
	})
	for _, c := range constraintCases() {
		add("permissions-"+c.id, c.comment, c.want, func(p, c2 st) {
			p.Permissions = []delegation.Permission{{Permission: "tool:x", Where: map[string]delegation.Constraint{"n": c.parent}}}
			c2.Permissions = []delegation.Permission{{Permission: "tool:x", Where: map[string]delegation.Constraint{"n": c.child}}}
		})
	}
	add("permissions-narrower-second", "a narrower constraint beside one that is dropped", wide, func(p, c st) {
		p.Permissions = []delegation.Permission{{Permission: "tool:x", Where: map[string]delegation.Constraint{"n": {Max: new(int64(4))}, "m": {Max: new(int64(4))}}}}
		c.Permissions = []delegation.Permission{{Permission: "tool:x", Where: map[string]delegation.Constraint{"n": {Max: new(int64(3))}}}}
	})
	add("time-same", "the same times", yes, func(_, c st) { c.NotBefore, c.ExpiresAt = begin, begin+7200 })
	add("time-within", "begins later, ends earlier", yes, func(_, c st) { c.NotBefore, c.ExpiresAt = begin+1, begin+7199 })
	add("time-earlier", "begins a second earlier", wide, func(_, c st) { c.NotBefore = begin - 1 })
	add("time-later", "ends a second later", wide, func(_, c st) { c.ExpiresAt = begin + 7201 })
	add("uses-same", "as many uses", yes, func(_, c st) { c.MaxUses = new(int64(100)) })
	add("uses-none", "no limit of its own: the parent's binds it", yes, func(_, c st) { c.MaxUses = nil })
	add("uses-added", "a limit where the parent has none", yes, func(p, _ st) { p.MaxUses = nil })
	add("uses-more", "one use more", wide, func(_, c st) { c.MaxUses = new(int64(101)) })
	add("depth-less", "one hop less may follow", yes, func(_, c st) { c.MaxDepth = 6 })
	add("depth-none", "none may follow", yes, func(_, c st) { c.MaxDepth = 0 })
	add("depth-same", "as many hops may follow as after the parent", wide, func(_, c st) { c.MaxDepth = 7 })
	add("depth-more", "more hops may follow", wide, func(_, c st) { c.MaxDepth = 8 })
	add("depth-zero", "the parent may not be lent on", wide, func(p, c st) { p.MaxDepth, c.MaxDepth = 0, 0 })
	add("task-added", "a task where the parent has none", yes, func(p, _ st) { p.Task = "" })
	add("task-other", "another task", wide, func(_, c st) { c.Task = "REL-482" })
	add("task-dropped", "no task under a parent with one", wide, func(_, c st) { c.Task = "" })
	add("purpose-other", "another purpose", yes, func(_, c st) { c.Purpose = "Write the release notes" })
	add("issuer", "of another server", broken, func(_, c st) { c.Issuer = "https://attorn2.example" })
	add("issuer-slash", "the issuer is compared byte for byte", broken, func(_, c st) { c.Issuer += "/" })
	add("workspace", "of another workspace", broken, func(_, c st) { c.Workspace = workspace("other") })
	add("parent-other", "names another parent", broken, func(p, c st) {
		other := *p
		other.Purpose = "another"
		*c = adopt(t, other, *c)
	})
	add("parent-itself", "names itself as its parent", broken, func(_, c st) { *c = adopt(t, *c, *c) })
	add("delegator-other", "lent by an agent that was not lent to", broken, func(_, c st) {
		c.Delegator = delegation.Delegator{Agent: agentOf("bystander"), Instance: instance("release-bot")}
	})
	add("delegator-instance", "lent by another instance than the one lent to", broken, func(_, c st) { c.Delegator.Instance = instance("release-bot's twin") })
	add("delegator-any-instance", "the parent binds no instance", yes, func(p, c st) {
		p.Delegate = delegation.Delegate{Agent: p.Delegate.Agent}
		c.Delegator.Instance = instance("release-bot's twin")
	})
	add("delegate-back", "lent back to an agent earlier in the chain is no wider", yes, func(p, c st) {
		middle := childStatement(t, *p, "release-bot", "deployer")
		last := childStatement(t, middle, "deployer", "release-bot")
		*p, *c = middle, last
	})
	add("user-in-the-middle", "a person's statement is a root", refused("chain_broken"), func(_, c st) {
		c.Delegator, c.Parent = delegation.Delegator{User: maya}, nil
	})
	add("child-invalid", "the child breaks a rule of its own", refused("statement_invalid"), func(_, c st) { c.MaxDepth = -1 })
	return append(all, steadCases(t)...)
}

// constraintCase is one operator, narrower or wider than the parent's.
type constraintCase struct {
	id, comment   string
	want          any
	parent, child delegation.Constraint
}

func constraintCases() (all []constraintCase) {
	wide := refused("widens")
	both := func(id string, a, b delegation.Constraint) { // b is narrower than a
		all = append(all, constraintCase{id + "-narrower", "narrower: " + id, ok(true), a, b}, constraintCase{id + "-wider", "wider: " + id, wide, b, a})
	}
	neither := func(id string, a, b delegation.Constraint) {
		all = append(all, constraintCase{id + "-beside", "neither is narrower: " + id, wide, a, b}, constraintCase{id + "-beside-back", "neither is narrower: " + id, wide, b, a})
	}
	in := func(vs ...string) (c delegation.Constraint) {
		for _, v := range vs {
			c.In = append(c.In, delegation.String(v))
		}
		return c
	}
	is := func(v delegation.Value) delegation.Constraint { return delegation.Constraint{Equals: &v} }
	begins := func(p string) delegation.Constraint { return delegation.Constraint{Prefix: &p} }
	most := func(n int64) delegation.Constraint { return delegation.Constraint{Max: &n} }
	least := func(n int64) delegation.Constraint { return delegation.Constraint{Min: &n} }
	both("in", in("a", "b", "c"), in("a", "c"))
	both("in-equals", in("a", "b"), is(delegation.String("a")))
	both("prefix", begins("web-"), begins("web-1"))
	both("prefix-equals", begins("web-"), is(delegation.String("web-1")))
	both("prefix-in", begins("web-"), in("web-1", "web-2"))
	both("max", most(4), most(3))
	both("max-equals", most(4), is(delegation.Int(4)))
	both("min", least(1), least(2))
	both("range", most(4), delegation.Constraint{Max: new(int64(4)), Min: new(int64(1))})
	neither("in-other", in("a", "b"), in("b", "c"))
	neither("equals-type", is(delegation.String("1")), is(delegation.Int(1)))
	neither("prefix-other", begins("web-"), begins("api-"))
	neither("max-min", most(4), least(4))
	neither("prefix-max", begins("4"), most(4))
	return all
}

func TestVectorsNarrow(t *testing.T) {
	run(t, "narrow", func(in narrowCase) (bool, error) {
		err := delegation.Narrows(in.Parent, in.Child)
		return err == nil, err
	})
}

// links gives the compact texts of a chain.
func links(ls ...delegation.Link) (all []string) {
	for _, l := range ls {
		all = append(all, l.String())
	}
	return all
}

// forge signs anything as the server would sign a link.
func forge(t *testing.T, typ string, payload any) string {
	t.Helper()
	b, err := jose.Canonical(payload)
	if err != nil {
		t.Fatal(err)
	}
	return must(jose.Sign(typ, b, signer("server")))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
