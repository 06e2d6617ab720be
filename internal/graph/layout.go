package graph

import (
	"cmp"
	"slices"
)

// node is a person, an agent, what stands for many agents that are not drawn, a tool or a resource.
type node struct {
	id     string
	is     string // kindTool or kindResource; "" for the others
	thing  thing  // of those
	on     bool   // it is on the way to what was chosen
	more   int    // agents that it stands for
	bend   bool   // nobody: an edge passes here between those of the row
	row    int
	at     int     // place in its row
	x      int     // its left side
	center float64 // barycentre of its neighbours
}

// edge is what one lends to another: every delegation between the two that stands alike.
type edge struct {
	from, to string
	lent     []Lent
	class    string
	on       bool    // on the way to what was chosen
	back     bool    // leads up, against the rows: lending runs in circles across roots
	path     []*node // from the one to the other, with a bend in each row between
}

// net is what is to be laid out.
type net struct {
	nodes map[string]*node
	edges []*edge // in a fixed order
	rows  [][]*node
}

// maxNodes is how many nodes are drawn; of more, those within two hops of one are.
const maxNodes = 60

// layout gives each node its row and its place in it: rows by the longest path, then the barycentre in two sweeps, ties by identifier.
func (n *net) layout() {
	n.findBack()
	n.rank()
	n.bend()
	n.order()
}

// bend leads edges that pass rows between those who stand in them.
func (n *net) bend() {
	for _, e := range n.edges {
		from, to := n.nodes[e.from], n.nodes[e.to]
		step := 1
		if to.row < from.row {
			step = -1
		}
		e.path = []*node{from}
		for row := from.row + step; row != to.row && from.row != to.row; row += step {
			v := &node{id: e.from + " " + e.to + " " + e.class, bend: true, row: row}
			n.rows[row] = append(n.rows[row], v)
			e.path = append(e.path, v)
		}
		e.path = append(e.path, to)
	}
	n.place()
}

func (n *net) ids() []string {
	all := make([]string, 0, len(n.nodes))
	for id := range n.nodes {
		all = append(all, id)
	}
	slices.Sort(all)
	return all
}

// findBack finds the edges that close a circle, by searching depth first: from those to whom nobody lends, then from whoever is left.
func (n *net) findBack() {
	out, in := map[string][]*edge{}, map[string]int{}
	for _, e := range n.edges {
		out[e.from] = append(out[e.from], e)
		in[e.to]++
	}
	const open, done = 1, 2
	state := map[string]int{}
	var visit func(string)
	visit = func(id string) {
		state[id] = open
		for _, e := range out[id] {
			switch state[e.to] {
			case open:
				e.back = true
			case 0:
				visit(e.to)
			}
		}
		state[id] = done
	}
	for _, entered := range []bool{false, true} {
		for _, id := range n.ids() {
			if state[id] == 0 && (in[id] > 0) == entered {
				visit(id)
			}
		}
	}
}

// rank puts each node below everybody who lends to it, and what they use below all of them.
func (n *net) rank() {
	out, waits := map[string][]*edge{}, map[string]int{}
	for _, e := range n.edges {
		if !e.back {
			out[e.from] = append(out[e.from], e)
			waits[e.to]++
		}
	}
	var ready []string
	for _, id := range n.ids() {
		if waits[id] == 0 {
			ready = append(ready, id)
		}
	}
	deepest := 0
	for len(ready) > 0 {
		id := ready[0]
		ready = ready[1:]
		for _, e := range out[id] {
			to := n.nodes[e.to]
			if to.row = max(to.row, n.nodes[id].row+1); to.is == "" {
				deepest = max(deepest, to.row)
			}
			if waits[e.to]--; waits[e.to] == 0 {
				ready = append(ready, e.to)
			}
		}
	}
	rows := map[string]int{kindTool: deepest + 1, kindResource: deepest + 2}
	for _, v := range n.nodes {
		if v.is != "" { // one row of each, below all others
			v.row = rows[v.is]
			deepest = max(deepest, v.row)
		}
	}
	n.rows = make([][]*node, deepest+1)
	for _, id := range n.ids() {
		v := n.nodes[id]
		n.rows[v.row] = append(n.rows[v.row], v)
	}
	if len(n.nodes) == 0 {
		n.rows = nil
	}
	n.place()
}

func (n *net) place() {
	for _, row := range n.rows {
		for i, v := range row {
			v.at = i
		}
	}
}

// order sorts each row by where its neighbours stand: down the rows by those above, then up by those below.
func (n *net) order() {
	above, under := map[*node][]*node{}, map[*node][]*node{}
	for _, e := range n.edges {
		for i, v := range e.path[1:] {
			up, down := e.path[i], v
			if up.row > down.row {
				up, down = down, up
			}
			above[down], under[up] = append(above[down], up), append(under[up], down)
		}
	}
	sweep := func(row []*node, beside map[*node][]*node) {
		for _, v := range row {
			v.center = float64(v.at)
			if all := beside[v]; len(all) > 0 {
				v.center = 0
				for _, w := range all {
					v.center += (float64(w.at) + 0.5) / float64(len(n.rows[w.row])) / float64(len(all))
				}
				v.center = v.center*float64(len(row)) - 0.5
			}
		}
		slices.SortStableFunc(row, func(a, b *node) int { return cmp.Or(cmp.Compare(a.center, b.center), cmp.Compare(a.id, b.id)) })
		n.place()
	}
	for i := 1; i < len(n.rows); i++ {
		sweep(n.rows[i], above)
	}
	for i := len(n.rows) - 2; i >= 0; i-- {
		sweep(n.rows[i], under)
	}
}
