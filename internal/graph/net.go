package graph

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// The classes of an edge, and of what it stands for.
const (
	classLive    = "live"
	classSoon    = "soon" // it ends within ten minutes
	classRevoked = "revoked"
	classOver    = "over" // expired or used up
)

const soon = 10 * time.Minute

func (f Forest) class(l Lent) string {
	switch {
	case l.Status == Revoked:
		return classRevoked
	case l.Status != Active:
		return classOver
	case l.left(f.Now) < soon:
		return classSoon
	}
	return classLive
}

// net joins the delegations between the same two that stand alike, and leaves nodes out where there are too many.
func (f Forest) net() *net {
	n := &net{nodes: map[string]*node{}}
	joined := map[[3]string]*edge{}
	all, on := f.drawn(), f.chosen()
	for _, l := range all {
		key := [3]string{l.from(), l.to(), f.class(l)}
		e := joined[key]
		if e == nil {
			e = &edge{from: key[0], to: key[1], class: key[2]}
			joined[key], n.edges = e, append(n.edges, e)
		}
		e.lent, e.on = append(e.lent, l), e.on || on[l.Statement.ID]
		for _, sub := range key[:2] {
			if n.nodes[sub] == nil {
				n.nodes[sub] = &node{id: sub}
			}
		}
	}
	slices.SortFunc(n.edges, func(a, b *edge) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to), cmp.Compare(a.class, b.class))
	})
	if len(n.nodes) > maxNodes {
		n.reduce(f.Focus)
	} else {
		n.reach(all, f.Now, f.Chosen)
	}
	for _, e := range n.edges {
		if e.on {
			n.nodes[e.from].on, n.nodes[e.to].on = true, true
		}
	}
	return n
}

// reduce leaves what is within two hops of focus, and of that the nearest maxNodes. Whoever lends to or borrows from somebody that is not drawn has a node below
// them that stands for all of those.
func (n *net) reduce(focus string) {
	beside := map[string][]string{}
	for _, e := range n.edges {
		beside[e.from], beside[e.to] = append(beside[e.from], e.to), append(beside[e.to], e.from)
	}
	if n.nodes[focus] == nil { // whoever is most lent to and from, so that most is seen
		for _, id := range n.ids() {
			if len(beside[id]) > len(beside[focus]) {
				focus = id
			}
		}
	}
	kept, ring := map[string]bool{focus: true}, []string{focus}
	for range 2 {
		var next []string
		for _, id := range ring {
			next = append(next, beside[id]...)
		}
		slices.Sort(next)
		ring = nil
		for _, id := range slices.Compact(next) {
			if !kept[id] && len(kept) < maxNodes {
				kept[id], ring = true, append(ring, id)
			}
		}
	}
	hidden := map[string]map[string]bool{}
	for id := range kept {
		for _, other := range beside[id] {
			if !kept[other] {
				if hidden[id] == nil {
					hidden[id] = map[string]bool{}
				}
				hidden[id][other] = true
			}
		}
	}
	n.edges = slices.DeleteFunc(n.edges, func(e *edge) bool { return !kept[e.from] || !kept[e.to] })
	for id := range n.nodes {
		if !kept[id] {
			delete(n.nodes, id)
		}
	}
	for _, id := range n.ids() {
		if len(hidden[id]) > 0 {
			many := "~" + id // after all identifiers
			n.nodes[many] = &node{id: many, more: len(hidden[id])}
			n.edges = append(n.edges, &edge{from: id, to: many, class: "more"})
		}
	}
}

// kind is what a node is, as its class says.
func (v *node) kind() string {
	switch {
	case v.is != "":
		return v.is
	case v.more > 0:
		return kindMore
	case strings.HasPrefix(v.id, "usr_"):
		return kindPerson
	}
	return kindAgent
}
