package policy

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/cedar-policy/cedar-go/types"
	xast "github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/id"
)

// role is a role of a set, ready to be asked.
type role struct {
	statedRole
	traced trace
	depth  int         // of what it inherits
	all    []string    // the roles that it inherits, by way of others too, sorted
	plan   []rolePart  // the policies that it states, in the order of their numbers
	wheres []*rolePart // those of plan that have constraints
}

// trace is how far it is known what a role inherits.
type trace byte

const (
	untraced trace = iota
	tracing
	sound
	broken
)

// rolePart is one policy of a role: a permit or forbid of several permissions, or of one that has constraints.
type rolePart struct {
	n       int // from 1
	forbid  bool
	group   string // the tools of one server, "tool:<server>:*", or ""
	class   string
	of      []delegation.Permission
	where   bool
	paths   []string // of where, sorted
	pattern delegation.Pattern
	spot    spot
	reason  string
}

// role reads the file of a role.
func (c *compiler) role(f File) {
	r, problems := readRole(f.Path, f.Text)
	for _, p := range problems {
		c.bad(p)
	}
	if len(problems) > 0 {
		c.broken = append(c.broken, r.Name)
		return
	}
	if other, ok := c.roles[r.Name]; ok {
		c.bad(Problem{File: f.Path, Code: "duplicate_role", Message: fmt.Sprintf("there is a role %s already, in %s", r.Name, other.file)})
		return
	}
	if len(c.roles) == maxRoles {
		c.bad(Problem{File: f.Path, Code: "too_complex", Message: fmt.Sprintf("with this file the bundle has more than %d roles", maxRoles)})
		return
	}
	c.roles[r.Name] = &role{statedRole: r}
}

// inherit finds what each role inherits, and makes its policies that hold workspace-wide.
func (c *compiler) inherit() {
	for _, name := range slices.Sorted(maps.Keys(c.roles)) {
		r := c.roles[name]
		if !c.trace(r) {
			continue
		}
		r.plan = r.parts()
		for i := range r.plan {
			if r.plan[i].where {
				r.wheres = append(r.wheres, &r.plan[i])
			} else {
				c.add(r, r.plan[i])
			}
		}
	}
}

// trace finds what r inherits, or reports why that cannot be; for what it inherits likewise, each once.
func (c *compiler) trace(r *role) bool {
	if r.traced != untraced {
		return r.traced == sound
	}
	r.traced = tracing
	all := map[string]bool{}
	ok := true
	for i, name := range r.Inherits {
		bad := func(code, format string, args ...any) {
			c.bad(r.problem(jsontext.Pointer("/inherits").AppendToken(strconv.Itoa(i)), code, format, args...))
			ok = false
		}
		parent := c.roles[name]
		switch {
		case parent == nil && slices.Contains(c.broken, name):
			ok = false
		case parent == nil:
			bad("role_unknown", "there is no role %s to inherit", name)
		case parent.traced == tracing:
			bad("role_cycle", "%s inherits %s, and the other way round", r.Name, name)
		case !c.trace(parent):
			ok = false
		default:
			if r.depth = max(r.depth, parent.depth+1); r.depth > maxInheritance {
				bad("role_cycle", "more than %d roles inherit one another in a row", maxInheritance)
			}
			all[name] = true
			for _, more := range parent.all {
				all[more] = true
			}
		}
		if len(all) > maxInherited {
			bad("too_broad", "with this one, %s inherits more than %d roles", r.Name, maxInherited)
		}
		if !ok {
			break
		}
	}
	r.all, r.traced = slices.Sorted(maps.Keys(all)), broken
	if ok {
		r.traced = sound
	}
	return ok
}

// add compiles a part that holds workspace-wide.
func (c *compiler) add(r *role, part rolePart) {
	if len(c.problems) >= maxProblems {
		return
	}
	p := r.policy(part, part.tests(), r.Name, nil)
	nodes, _ := measure(p.ast, maxNodes-c.nodes)
	if c.nodes += nodes; c.nodes > maxNodes || len(c.all) == maxPolicies {
		c.bad(Problem{File: r.file, Code: "too_complex", Message: fmt.Sprintf("up to this role the bundle has more than %d policies, or they are too long", maxPolicies)})
		return
	}
	c.byID[p.id] = p
	c.all = append(c.all, p)
}

// parts cuts a role into policies: permissions, then denials; those without constraints together, but for those of one server's tools, which are found by it.
func (r *role) parts() []rolePart {
	var plan []rolePart
	for _, list := range []struct {
		key    string
		forbid bool
		all    []delegation.Permission
	}{{"/permissions", false, r.Permissions}, {"/deny", true, r.Deny}} {
		class := ""
		if !list.forbid {
			class = r.Class
		}
		groups := map[string]*rolePart{}
		var wheres []*rolePart
		for i, p := range list.all {
			part := &rolePart{forbid: list.forbid, class: class, spot: r.at[jsontext.Pointer(list.key).AppendToken(strconv.Itoa(i))]}
			if class == "" {
				part.group = serverGroup(p.Permission)
			}
			if len(p.Where) > 0 {
				part.where, part.paths = true, slices.Sorted(maps.Keys(p.Where))
				part.pattern, _ = delegation.ParsePermission(p.Permission) // checked
				wheres = append(wheres, part)
			} else if known, ok := groups[part.group]; ok {
				part = known
			} else {
				groups[part.group] = part
			}
			part.of = append(part.of, p)
		}
		for _, group := range slices.Sorted(maps.Keys(groups)) {
			plan = append(plan, *groups[group])
		}
		for _, part := range wheres {
			plan = append(plan, *part)
		}
	}
	for i := range plan {
		plan[i].n = i + 1
		if plan[i].forbid {
			plan[i].reason = "Role " + r.Name + " denies " + inWords(plan[i].of) + "."
		}
	}
	return plan
}

// serverGroup is the group of actions that a pattern stays in, if it names one server.
func serverGroup(pattern string) string {
	segments := strings.Split(pattern, ":")
	if len(segments) < 3 || segments[0] != "tool" || strings.HasSuffix(segments[1], "*") {
		return ""
	}
	return "tool:" + segments[1] + ":*"
}

// inWords says the first few permissions to a person.
func inWords(all []delegation.Permission) string {
	const few = 5
	var out []string
	for _, p := range all[:min(len(all), few)] {
		text := p.Permission
		if len(p.Where) > 0 {
			text += " where " + delegation.Words(p.Where)
		}
		out = append(out, text)
	}
	if n := len(all) - few; n > 0 {
		out = append(out, fmt.Sprintf("%d more", n))
	}
	return strings.Join(out, ", ")
}

// policy makes a part Cedar, for the holders of the role, or of its copy in a scope, where scope is what that names.
func (r *role) policy(part rolePart, test xast.Node, holders string, scope *types.EntityUID) *compiled {
	tree := xast.Permit()
	if part.forbid {
		tree = xast.Forbid()
	}
	tree.PrincipalIn(types.NewEntityUID("Role", types.String(holders)))
	switch {
	case part.class != "":
		tree.ActionIn(types.NewEntityUID("Action", types.String(part.class)))
	case part.group != "":
		tree.ActionIn(types.NewEntityUID("Action", types.String(part.group)))
	}
	if scope != nil {
		tree.ResourceIn(*scope)
	}
	tree.When(test)
	if r.Doc != "" {
		tree.Annotate("doc", types.String(r.Doc))
	}
	tree.Position = xast.Position{Filename: r.file, Line: part.spot.line, Column: part.spot.col}
	p := &compiled{
		id: "role/" + holders + "#" + strconv.Itoa(part.n), forbid: part.forbid, reason: part.reason, source: id.Sum(r.text), ast: tree,
	}
	p.ready()
	return p
}

// tests are those on context.perm: one of the part's patterns matches.
func (p *rolePart) tests() xast.Node {
	var tests []xast.Node
	for _, permission := range p.of {
		tests = append(tests, permTest(permission.Permission))
	}
	return anyOf(tests)
}

// permTest is delegation.Pattern.Covers on the permission asked for.
func permTest(pattern string) xast.Node {
	perm := xast.Context().Access("perm")
	segments := strings.Split(pattern, ":")
	n := xast.Long(len(segments))
	last := len(segments) - 1
	tests := []xast.Node{perm.Access("n").Equal(n)}
	if segments[last] == "*" {
		tests[0] = perm.Access("n").GreaterThanOrEqual(n)
	}
	for i, s := range segments {
		at := perm.Access(types.String("s" + strconv.Itoa(i)))
		switch stem, open := strings.CutSuffix(s, "*"); {
		case s == "*":
		case open:
			tests = append(tests, at.Like(types.NewPattern(stem, types.Wildcard{})))
		default:
			tests = append(tests, at.Equal(xast.String(s)))
		}
	}
	return allOf(tests)
}

// whereTest is tests and those on the arguments, whose kinds are given by path; false where a permit could never hold.
func (p *rolePart) whereTest(kinds [maxPaths]argKind) (xast.Node, bool) {
	all := []xast.Node{p.tests()}
	for i, path := range p.paths {
		c := p.of[0].Where[path]
		if p.forbid {
			if test, ok := denyTest(path, c, kinds[i]); ok {
				all = append(all, test)
			}
			continue
		}
		test, ok := permitTest(path, c, kinds[i])
		if !ok {
			return xast.Node{}, false
		}
		all = append(all, test)
	}
	return allOf(all), true
}

// maxPaths is how many arguments one permission constrains (delegation.Permission).
const maxPaths = 16
