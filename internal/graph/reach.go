package graph

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/attorn/attorn/id"
)

// The kinds of nodes, as their classes say.
const (
	kindPerson   = "person"
	kindAgent    = "agent"
	kindMore     = "more"
	kindTool     = "tool"
	kindResource = "resource"
)

// classReach is of an edge to what may be used, and from there to what that works on.
const classReach = "reach"

// thing is a tool or a resource: what it is called, and of what.
type thing struct{ name, of string }

// things are the tool and the resource that a permission is about (authority.md §2); a resource without a name is none.
func things(permission string) (tool, resource thing) {
	s := strings.Split(permission, ":")
	last := len(s) - 1
	action := every(s[last])
	switch {
	case last == 0:
		return thing{action, "of any kind"}, thing{}
	case s[0] == "tool" && last == 1:
		return thing{"every tool", "of " + every(s[1])}, thing{every(s[1]), "MCP server"}
	case s[0] == "tool":
		return thing{every(strings.Join(s[2:], ":")), "of " + every(s[1])}, thing{every(s[1]), "MCP server"}
	case s[0] == "attorn":
		return thing{strings.Join(s[1:], ":"), "of this server"}, thing{}
	case last == 1:
		return thing{action, "of every " + s[0]}, thing{}
	}
	return thing{action, "of " + s[0]}, thing{every(strings.Join(s[1:last], ":")), s[0]}
}

func every(segment string) string {
	if segment == "*" {
		return "everything"
	}
	return segment
}

// reach adds a row of tools and one of resources: what those may use to whom a living delegation lends it, and nobody lends the same on. Where that would be too
// much to look at, neither is drawn.
func (n *net) reach(all []Lent, now time.Time, chosen id.Delegation) {
	nodes, edges := map[string]*node{}, map[[2]string]*edge{}
	add := func(key, kind string, t thing) {
		if nodes[key] == nil {
			nodes[key] = &node{id: key, is: kind, thing: t}
		}
	}
	join := func(from, to string, on bool) {
		e := edges[[2]string{from, to}]
		if e == nil {
			e = &edge{from: from, to: to, class: classReach}
			edges[[2]string{from, to}] = e
		}
		e.on = e.on || on
	}
	under := below(all)
	for _, l := range all {
		if !l.lives(now) {
			continue
		}
		for _, p := range l.Statement.Permissions {
			if slices.ContainsFunc(under[l.Statement.ID], func(c Lent) bool { return c.lives(now) && c.lends(p.Permission) }) {
				continue
			}
			tool, resource := things(p.Permission)
			key := "~tool " + p.Permission
			add(key, kindTool, tool)
			join(l.to(), key, l.Statement.ID == chosen)
			if resource.name != "" {
				at := "~resource " + resource.of + " " + resource.name
				add(at, kindResource, resource)
				join(key, at, l.Statement.ID == chosen)
			}
		}
	}
	if len(n.nodes)+len(nodes) > maxNodes || len(edges) > maxNodes {
		return
	}
	for key, v := range nodes {
		n.nodes[key] = v
	}
	for _, e := range edges {
		n.edges = append(n.edges, e)
	}
	slices.SortFunc(n.edges, func(a, b *edge) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to), cmp.Compare(a.class, b.class))
	})
}

func (l Lent) lives(now time.Time) bool { return l.Status == Active && l.left(now) > 0 }

func (l Lent) lends(permission string) bool {
	for _, p := range l.Statement.Permissions {
		if p.Permission == permission {
			return true
		}
	}
	return false
}

// Reaches says whether SVG draws what may be used.
func Reaches(f Forest) bool {
	for _, e := range f.net().edges {
		if e.class == classReach {
			return true
		}
	}
	return false
}

// chosen are the delegations on the way to the one that was chosen.
func (f Forest) chosen() map[id.Delegation]bool {
	parents := map[id.Delegation]id.Delegation{}
	for _, l := range f.Lent {
		parents[l.Statement.ID] = l.Parent
	}
	on := map[id.Delegation]bool{}
	for d := f.Chosen; !d.IsZero() && !on[d]; d = parents[d] {
		on[d] = true
	}
	return on
}
