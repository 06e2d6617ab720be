package graph

import (
	"cmp"
	"fmt"
	"html"
	"strings"
	"unicode/utf8"
)

// What the drawing measures, in its own units, which are a page's pixels.
const (
	boxWide   = 200
	bendWide  = 24
	boxHigh   = 48
	gapWide   = 36
	gapHigh   = 88
	margin    = 24
	pillHigh  = 20
	charWide  = 6  // of the pill's letters, at most
	iconWide  = 46 // of a box, before its text
	nameChars = 19 // that fit in a box
)

// SVG draws the forest from the top down. It has classes and attributes alone, no style and no script, so that a strict content security policy lets it stand in a
// page: `person`, `agent`, `more`, `tool` and `resource` are kinds of nodes; `live`, `soon` (it ends within ten minutes), `revoked` and `over` are how an edge stands,
// `reach` that it leads to what may be used, `back` that it closes a circle, and `on` that it is on the way to what was chosen. Nodes are in the order of reading, row
// by row. What others wrote stands in frames that cut off what is too wide.
func SVG(f Forest) []byte {
	n := f.net()
	n.layout()
	d := &drawing{Forest: f, net: n, taken: map[int][][2]int{}}
	d.spread()
	high := max(len(n.rows)*(boxHigh+gapHigh)-gapHigh, boxHigh) + 2*margin
	d.put(`<svg xmlns="http://www.w3.org/2000/svg" class="graph" width="%d" height="%d" viewBox="0 0 %d %d" role="group" aria-label="%s" font-family="system-ui, sans-serif" font-size="13">`,
		d.wide, high, d.wide, high, esc(d.summary()))
	d.put(`<rect class="paper" width="%d" height="%d" fill="#fff"/>`, d.wide, high)
	if len(n.rows) == 0 {
		d.put(`<text class="none" x="%d" y="%d" text-anchor="middle" fill="#555">nothing is lent</text>`, d.wide/2, high/2)
	}
	d.put(`<g class="edges" fill="none" stroke-width="1.5">`)
	for _, e := range n.edges {
		d.curve(e)
	}
	d.put(`</g>`)
	d.put(`<g class="pills" font-size="11">`)
	for _, e := range n.edges {
		d.pill(e)
	}
	d.put(`</g>`)
	d.put(`<g class="nodes">`)
	for _, row := range n.rows {
		for _, v := range row {
			d.box(v)
		}
	}
	d.put(`</g>`)
	d.put(`</svg>`)
	return []byte(d.b.String())
}

type drawing struct {
	Forest
	*net
	b     strings.Builder
	wide  int
	taken map[int][][2]int // where pills lie in each lane, by its height
}

// spread gives each row its places, in the middle of the drawing.
func (d *drawing) spread() {
	widths := make([]int, len(d.rows))
	for i, row := range d.rows {
		for _, v := range row {
			v.x = widths[i]
			widths[i] += v.wide() + gapWide
		}
		widths[i] -= gapWide
		d.wide = max(d.wide, widths[i])
	}
	d.wide = max(d.wide, 2*boxWide) + 2*margin
	for i, row := range d.rows {
		for _, v := range row {
			v.x += (d.wide - widths[i]) / 2
		}
	}
}

func (v *node) wide() int {
	if v.bend {
		return bendWide
	}
	return boxWide
}

func (v *node) top() int { return margin + v.row*(boxHigh+gapHigh) }

func (d *drawing) put(format string, args ...any) {
	fmt.Fprintf(&d.b, format, args...)
	d.b.WriteByte('\n')
}

// summary is the whole in a sentence.
func (d *drawing) summary() string {
	people, agents, lent, tools := 0, 0, 0, 0
	for _, v := range d.nodes {
		switch v.kind() {
		case kindPerson:
			people++
		case kindAgent:
			agents++
		case kindMore:
			agents += v.more
		case kindTool:
			tools++
		}
	}
	for _, e := range d.edges {
		lent += len(e.lent)
	}
	says := "Who lent to whom: " + count(int64(people), "person") + ", " + count(int64(agents), "agent") + ", " + count(int64(lent), "delegation")
	if tools > 0 {
		says += ", and what they may use: " + count(int64(tools), "tool")
	}
	return says
}

// point is where an edge leaves or enters a node: from its middle, beside those of another kind between the same two.
func (e *edge) point(v *node, low bool) (x, y int) {
	x, y = v.x+v.wide()/2, v.top()
	if !v.bend {
		x += map[string]int{classSoon: -28, classRevoked: 28, classOver: 56}[e.class]
		if e.back {
			x += boxWide / 4
		}
	}
	if low {
		y += boxHigh
	}
	return x, y
}

func (d *drawing) curve(e *edge) {
	var path strings.Builder
	for i, v := range e.path[1:] {
		x1, y1 := e.point(e.path[i], !e.back)
		x2, y2 := e.point(v, e.back)
		middle := (y1 + y2) / 2
		fmt.Fprintf(&path, "%s%d %dC%d %d %d %d %d %d", map[bool]string{true: "M", false: "L"}[i == 0], x1, y1, x1, middle, x2, middle, x2, y2)
	}
	class, dash := e.classes(), ""
	if e.class == classRevoked {
		dash = ` stroke-dasharray="6 4"`
	}
	if e.back {
		dash = ` stroke-dasharray="1 4" stroke-linecap="round"`
	}
	stroke := cmp.Or(map[string]string{classLive: "#3a6ea5", classSoon: "#b26a00", classRevoked: "#a33", classReach: "#aaa"}[e.class], "#888")
	d.put(`<path class="edge %s" d="%s" stroke="%s"%s/>`, class, path.String(), stroke, dash)
	x, y := e.point(e.path[len(e.path)-1], e.back)
	rise := 5
	if e.back {
		rise = -5
	}
	d.put(`<path class="head %s" d="M%d %dL%d %dL%d %d" stroke="%s"/>`, class, x-4, y-rise, x, y, x+4, y-rise, stroke)
}

// classes are how an edge looks: how it stands, whether it leads back, and whether it is on the way.
func (e *edge) classes() string {
	class := e.class
	if e.back {
		class += " back"
	}
	if e.on {
		class += " on"
	}
	return class
}

// pill lies on the last part of an edge: how many permissions the lender has there and how many they lend, and for how long. Where another lies there already it
// takes another lane, and in the last one goes aside.
func (d *drawing) pill(e *edge) {
	if len(e.lent) == 0 {
		return
	}
	last := len(e.path) - 1
	x1, y1 := e.point(e.path[last-1], !e.back)
	x2, y2 := e.point(e.path[last], e.back)
	label := d.label(e)
	w := utf8.RuneCountInString(label)*charWide + 12
	x, y := (x1+x2)/2-w/2, (y1+y2)/2
	for _, lane := range []int{0, pillHigh + 4, -pillHigh - 4} {
		if d.free(y+lane, x, w) == x {
			y += lane
			break
		}
	}
	x = d.free(y, x, w)
	d.taken[y] = append(d.taken[y], [2]int{x, x + w})
	d.put(`<g class="pill %s" role="img" aria-label="%s">`, e.classes(), esc(d.tells(e)))
	d.put(`<title>%s</title>`, esc(d.tells(e)))
	d.put(`<rect x="%d" y="%d" width="%d" height="%d" rx="%d" fill="#fff" stroke="#bbb"/>`, x, y-pillHigh/2, w, pillHigh, pillHigh/2)
	d.put(`<text x="%d" y="%d" text-anchor="middle" fill="#222">%s</text>`, x+w/2, y+4, esc(label))
	d.put(`</g>`)
}

// free is the first place from x on where w is free in a lane.
func (d *drawing) free(lane, x, w int) int {
	for moved := true; moved; {
		moved = false
		for _, t := range d.taken[lane] {
			if x < t[1]+4 && t[0]-4 < x+w {
				x, moved = t[1]+4, true
			}
		}
	}
	return x
}

func (d *drawing) label(e *edge) string {
	if len(e.lent) > 1 {
		return count(int64(len(e.lent)), "delegation")
	}
	l := e.lent[0]
	s := fmt.Sprint(len(l.Statement.Permissions))
	if parent := d.parent(l); parent != nil {
		s = fmt.Sprint(len(parent.Statement.Permissions)) + " → " + s
	}
	if e.class == classLive || e.class == classSoon {
		return s + " · " + roughly(l.left(d.Now))
	}
	return s + " · " + l.Status
}

func (d *drawing) parent(l Lent) *Lent {
	for i := range d.Lent {
		if !l.Parent.IsZero() && d.Lent[i].Statement.ID == l.Parent {
			return &d.Lent[i]
		}
	}
	return nil
}

// tells is an edge in full, for who hears it.
func (d *drawing) tells(e *edge) string {
	const some = 20
	parts := []string{d.called(e.from) + " lends to " + d.called(e.to)}
	for i, l := range e.lent {
		if i == some {
			parts = append(parts, fmt.Sprintf("and %d more", len(e.lent)-some))
			break
		}
		var ps []string
		for _, p := range l.Statement.Permissions {
			ps = append(ps, permission(p))
		}
		s := l.id() + " " + d.stands(l) + ": " + strings.Join(ps, "; ")
		if t := terms(l); t != "" {
			s += "; " + t
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, ". ")
}

func (d *drawing) box(v *node) {
	if v.bend {
		return
	}
	x, y, kind := v.x, v.top(), v.kind()
	href := ""
	switch {
	case kind == kindMore:
		href = d.More
	case v.is == "" && d.Link != nil:
		href = d.Link(v.id)
	}
	open, shut := `<g tabindex="0" role="img"`, `</g>`
	if href != "" {
		open, shut = `<a href="`+esc(href)+`"`, `</a>`
	}
	class := kind
	if v.on {
		class += " on"
	}
	d.put(`%s class="node %s" aria-label="%s">`, open, class, esc(d.names(v)))
	d.put(`<title>%s</title>`, esc(d.names(v)))
	d.put(`<rect class="box" x="%d" y="%d" width="%d" height="%d" rx="10" fill="#fff" stroke="#777"/>`, x, y, boxWide, boxHigh)
	if v.more > 0 {
		d.put(`<text class="name" x="%d" y="%d" text-anchor="middle" fill="#222">%s</text>`, x+boxWide/2, y+boxHigh/2+5, count(int64(v.more), "more agent"))
		d.put(`%s`, shut)
		return
	}
	d.put(`<g class="shape" transform="translate(%d %d) scale(.875)" stroke-width="2" stroke-linecap="round" stroke-linejoin="round">%s</g>`, x+10, y+10, shapes[kind])
	name, below := cmp.Or(d.Names[v.id], "(no name)"), shortID(v.id)
	if v.is != "" {
		name, below = v.thing.name, cut(show(v.thing.of), nameChars+4)
	}
	d.put(`<svg x="%d" y="%d" width="%d" height="%d">`, x+iconWide, y, boxWide-iconWide-6, boxHigh)
	d.put(`<text class="name" y="20" font-weight="600" fill="#222">%s</text>`, esc(cut(show(name), nameChars)))
	d.put(`<text class="id" y="37" font-size="11" fill="#555">%s</text>`, esc(below))
	d.put(`</svg>`)
	d.put(`%s`, shut)
}

// shapes are what kinds are told by beside their colours, 32 wide and high.
var shapes = map[string]string{
	kindPerson:   `<circle class="gl" cx="16" cy="16" r="15" fill="#fbeee7"/><g class="ic" fill="none" stroke="#ad4a1f"><circle cx="16" cy="12.4" r="4"/><path d="M8.6 24.2c1.2-4 4-6 7.4-6s6.2 2 7.4 6"/></g>`,
	kindAgent:    `<path class="gl" d="M16 1 29 8.5v15L16 31 3 23.5v-15z" fill="#eceffd"/><g class="ic" fill="none" stroke="#3048cf"><circle cx="12.4" cy="17.6" r="3.6"/><path d="m15 15 6-6M18.6 11.4 21 13.8"/></g>`,
	kindTool:     `<rect class="gl" x="2" y="2" width="28" height="28" rx="7" fill="#e3f3f4"/><path class="ic" d="m9 11 5 5-5 5M16.5 21.5h7" fill="none" stroke="#0b6b74"/>`,
	kindResource: `<rect class="gl" x="2" y="2" width="28" height="28" rx="7" fill="#efefec"/><path class="ic" d="M9 10.5c0-1.7 3.1-3 7-3s7 1.3 7 3-3.1 3-7 3-7-1.3-7-3zv11c0 1.7 3.1 3 7 3s7-1.3 7-3v-11M9 16c0 1.7 3.1 3 7 3s7-1.3 7-3" fill="none" stroke="#4f5258"/>`,
}

// names is a node in full.
func (d *drawing) names(v *node) string {
	if v.more > 0 {
		return count(int64(v.more), "more agent") + " beside " + d.called(strings.TrimPrefix(v.id, "~"))
	}
	if v.is != "" {
		return v.is + " " + show(v.thing.name) + ", " + show(v.thing.of)
	}
	lends, lent := 0, 0
	for _, e := range d.edges {
		if e.class != classLive && e.class != classSoon {
			continue
		}
		if e.from == v.id {
			lends += len(e.lent)
		}
		if e.to == v.id {
			lent += len(e.lent)
		}
	}
	return fmt.Sprintf("%s %s, lends %s, was lent %s", v.kind(), d.called(v.id), count(int64(lends), "live delegation"), count(int64(lent), "live delegation"))
}

// cut marks what it leaves out; the whole is in the label.
func cut(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// shortID is the prefix and the last six characters.
func shortID(s string) string {
	if len(s) < 12 {
		return show(s)
	}
	return show(s[:4] + "…" + s[len(s)-6:])
}

// esc makes text of text, also between quotation marks.
func esc(s string) string { return html.EscapeString(s) }
