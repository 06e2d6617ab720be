package policy

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/cedar-policy/cedar-go/types"
	xast "github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/schema/resolved"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"

	"github.com/attorn/attorn/id"
)

// A policy that speaks of arguments is typed against the shape of the tool that is called, since a tool's definition can change after the policy was published: a
// permit that no longer types permits nothing, and a forbid or gate that no longer types stands in the way of every call of the tool until one of the two is mended.

// typedKey names one question of types. The class stands for the groups that an action is in.
type typedKey struct {
	policy    *compiled
	action    string
	class     string
	principal types.EntityType
	shape     id.Digest
}

// typed keeps which policies type for which actions. Safe for concurrent use.
type typed struct {
	mu    sync.RWMutex
	known map[typedKey]bool
}

const maxTyped = 100_000

// fits reports whether a policy types for a request with arguments of a shape.
func (s *Set) fits(c *compiled, shape *Shape, f *Facts, principal types.EntityType) bool {
	if shape == nil || !c.args {
		return true
	}
	key := typedKey{c, f.Action, classOf(f.ActionParents), principal, shape.digest}
	s.typed.mu.RLock()
	ok, known := s.typed.known[key]
	s.typed.mu.RUnlock()
	if known {
		return ok
	}
	ok = typeCheck(c, s.entities, actionOf(shape, f, principal)) == nil
	s.typed.mu.Lock()
	defer s.typed.mu.Unlock()
	if s.typed.known == nil || len(s.typed.known) >= maxTyped {
		s.typed.known = map[typedKey]bool{} // rare, and found out again
	}
	s.typed.known[key] = ok
	return ok
}

func actionOf(shape *Shape, f *Facts, principal types.EntityType) schemaAction {
	return schemaAction{f.Action, f.ActionParents, []types.EntityType{principal}, []types.EntityType{types.EntityType(f.Resource.Type)}, shape.args.cedar()}
}

func classOf(parents []string) string {
	for _, class := range []string{"read", "write"} {
		if slices.Contains(parents, class) {
			return class
		}
	}
	return ""
}

// typeCheck is nil if a policy types for each of the actions whose scope it has.
func typeCheck(c *compiled, known map[types.EntityType]resolved.Entity, actions ...schemaAction) (err error) {
	defer func() { // the library's checker is strict about what it is given; that it cannot read a policy is an error of the policy's
		if recover() != nil {
			err = fmt.Errorf("its types cannot be checked")
		}
	}()
	p := *c.ast
	p.Conditions = joined(p.Conditions)
	return validate.New(schemaFor(known, &p, actions...)).Policy("", &p)
}

// joined makes one condition of several: what an earlier one tests with `has` holds in a later one.
func joined(all []xast.ConditionType) []xast.ConditionType {
	if len(all) < 2 && !slices.ContainsFunc(all, func(c xast.ConditionType) bool { return c.Condition == xast.ConditionUnless }) {
		return all
	}
	var body xast.Node
	for i, c := range all {
		n := xast.NewNode(c.Body)
		if c.Condition == xast.ConditionUnless {
			n = xast.Not(n)
		}
		if i == 0 {
			body = n
		} else {
			body = body.And(n)
		}
	}
	return []xast.ConditionType{{Condition: xast.ConditionWhen, Body: body.AsIsNode()}}
}

// Action is an action that policies are typed for: a tool of the catalogue, or an act of another service.
type Action struct {
	Name     string // the permission that it takes
	Class    string // of a tool: read, write, destroy
	Resource UID
	Shape    *Shape // nil: it has no arguments
}

// Check types every policy of the authors strictly (policy.md §1): those that speak of arguments for each of actions that their scope meets, the others for all that
// could be asked. Each problem is an error at its policy, once, with the first action that it was found for. Code: type_error.
func Check(s *Set, actions []Action) []Problem {
	var problems []Problem
	actions = append(slices.Clone(actions), s.typeActions()...)
	for _, c := range s.ordered() {
		if strings.HasPrefix(c.file(), reserved) {
			continue
		}
		seen := map[string]bool{}
		report := func(err error, about string) {
			for _, line := range typeErrors(err) {
				if seen[line] || len(problems) >= maxProblems {
					continue
				}
				seen[line] = true
				at := c.ast.Position
				problems = append(problems, Problem{File: at.Filename, Line: at.Line, Col: at.Column, Code: "type_error", Message: line + about, Severity: SeverityError})
			}
		}
		if !c.args {
			if err := typeCheck(c, s.entities, s.everything(c)...); err != nil {
				report(err, "")
			}
			continue
		}
		for _, a := range actions {
			of := schemaAction{a.Name, ActionParents(a.Name, a.Class), c.principals(), []types.EntityType{types.EntityType(a.Resource.Type)}, nil}
			if a.Shape != nil {
				of.args = a.Shape.args.cedar()
			}
			if !c.meets(of, a.Resource) {
				continue
			}
			if err := typeCheck(c, s.entities, of); err != nil {
				report(err, fmt.Sprintf(" (for %s)", a.Name))
			}
		}
	}
	return problems
}

// typeActions are what is done with objects of the bundle's own types.
func (s *Set) typeActions() (all []Action) {
	for _, t := range s.Types() {
		for _, name := range t.ActionNames() {
			all = append(all, Action{Name: t.Action(name), Class: t.Class(name), Resource: UID{Type: t.Name}, Shape: t.Shape(name)})
		}
	}
	return all
}

// ordered are the policies that people wrote, by where they stand. Those that roles became type by the way they are made.
func (s *Set) ordered() []*compiled {
	all := make([]*compiled, 0, len(s.byID))
	for _, c := range s.byID {
		if !rolePath.MatchString(c.file()) {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b *compiled) int {
		x, y := a.ast.Position, b.ast.Position
		if d := strings.Compare(x.Filename, y.Filename); d != 0 {
			return d
		}
		return x.Offset - y.Offset
	})
	return all
}

func (c *compiled) file() string { return c.ast.Position.Filename }

// principals are the types that the policy's scope leaves.
func (c *compiled) principals() []types.EntityType {
	both := []types.EntityType{TypeUser, TypeAgent}
	switch p := c.ast.Principal.(type) {
	case xast.ScopeTypeEq:
		return keep(both, p.Entity.Type)
	case xast.ScopeTypeIs:
		return keep(both, p.Type)
	case xast.ScopeTypeIsIn:
		return keep(both, p.Type)
	}
	return both
}

// keep is the one among all, or all where it is none of them: what is wrong with the scope shows when it is typed.
func keep(all []types.EntityType, one types.EntityType) []types.EntityType {
	if slices.Contains(all, one) {
		return []types.EntityType{one}
	}
	return all
}

// meets reports whether the policy's scope can meet an action on a resource.
func (c *compiled) meets(a schemaAction, resource UID) bool {
	is := func(uid types.EntityUID) bool {
		return string(uid.ID) == a.id || slices.Contains(a.parents, string(uid.ID))
	}
	switch s := c.ast.Action.(type) {
	case xast.ScopeTypeEq:
		if string(s.Entity.ID) != a.id {
			return false
		}
	case xast.ScopeTypeIn:
		if !is(s.Entity) {
			return false
		}
	case xast.ScopeTypeInSet:
		if !slices.ContainsFunc(s.Entities, is) {
			return false
		}
	}
	server, _, _ := strings.Cut(resource.ID, ":")
	in := func(uid types.EntityUID) bool { // an environment or workspace may hold any
		switch string(uid.Type) {
		case "Server":
			return resource.Type != TypeTool || string(uid.ID) == server
		case resource.Type:
			return string(uid.ID) == resource.ID || resource.ID == ""
		}
		return true
	}
	switch s := c.ast.Resource.(type) {
	case xast.ScopeTypeEq:
		return s.Entity == entityUID(resource) || resource.ID == "" && string(s.Entity.Type) == resource.Type
	case xast.ScopeTypeIn:
		return in(s.Entity)
	case xast.ScopeTypeIs:
		return string(s.Type) == resource.Type
	case xast.ScopeTypeIsIn:
		return string(s.Type) == resource.Type && in(s.Entity)
	}
	return true
}

// everything is what a policy that does not speak of arguments is typed for: an action of each kind that its scope leaves, on each type of resource.
func (s *Set) everything(c *compiled) []schemaAction {
	var all []schemaAction
	add := func(name string, parents []string, resources ...types.EntityType) {
		all = append(all, schemaAction{name, parents, c.principals(), resources, nil})
	}
	var names []types.EntityUID
	switch a := c.ast.Action.(type) {
	case xast.ScopeTypeAll:
		for _, class := range []string{"read", "write", "destroy"} {
			add("tool:x:"+class, ActionParents("tool:x:x", class), TypeTool)
		}
		add("attorn:x:x", ActionParents("attorn:x:x", ""), typeNoun)
		for _, name := range s.ownTypes() {
			add(string(name)+":x", ActionParents(string(name)+":x", ""), name)
		}
	case xast.ScopeTypeEq:
		names = []types.EntityUID{a.Entity}
	case xast.ScopeTypeIn:
		names = []types.EntityUID{a.Entity}
	case xast.ScopeTypeInSet:
		names = a.Entities
	}
	for _, uid := range names {
		name := string(uid.ID)
		switch name {
		case "attorn:approval:vote": // asked on what is voted about
			add(name, nil, typeNoun, TypeTool)
		case "call", "read", "write", "destroy": // of tools and of others' actions
			add(name, nil, append(s.ownTypes(), TypeTool)...)
		default:
			add(name, nil, resourceType(name))
		}
	}
	return all
}

func (s *Set) ownTypes() (all []types.EntityType) {
	for _, t := range s.Types() {
		all = append(all, types.EntityType(t.Name))
	}
	return all
}

// typeErrors are what the checker found, which it tells in any order, sorted.
func typeErrors(err error) []string {
	lines := strings.Split(err.Error(), "\n")
	for i, line := range lines {
		lines[i] = plainTypeError(line)
	}
	slices.Sort(lines)
	if lines = slices.Compact(lines); len(lines) > 1 { // then another says why
		lines = slices.DeleteFunc(lines, func(line string) bool { return line == nothingMatches })
	}
	return lines
}

const nothingMatches = "nothing can ever match this scope: no action is done by such a principal to such a resource"

// plainTypeError puts the checker's words for what an author can do.
func plainTypeError(line string) string {
	line = strings.ToValidUTF8(line, "�")
	switch {
	case strings.Contains(line, "unable to guarantee safety of access to optional attribute"):
		return strings.Replace(line, "unable to guarantee safety of access to optional attribute", "this may be absent, and is not tested with `has` first: attribute", 1)
	case strings.Contains(line, "unable to find an applicable action"):
		return nothingMatches
	}
	if r := []rune(line); len(r) > 300 {
		line = string(r[:300]) + "…"
	}
	return line
}
