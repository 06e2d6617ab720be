package console

import (
	"cmp"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/graph"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/lending"
)

const (
	treeRows  = 200            // delegations in the list
	treeSince = 24 * time.Hour // what ended before is left out
	treeNames = 8              // of those who lose with somebody
)

// treeView is the page of what came of a delegation: a picture, and the same as a list.
type treeView struct {
	Result    *lentResult // of ending something
	Workspace string
	Chosen    string
	From, To  principal
	Status    pill
	Hidden    bool          // it was lent on from something that is not the reader's to see
	Picture   template.HTML // by package graph, which makes text of what others wrote
	Tools     bool          // are in the picture
	Live      int
	Top       treeRow
	Left      int // of those that ended long ago
	More      bool
}

// treeRow is a delegation with what was lent on under it.
type treeRow struct {
	ID          string
	From, To    principal
	Status      pill
	Permissions []permission // those that were not lent on are cut
	Begins      *when
	Until       when
	Over        bool // Until is past
	Terms       []string
	Task        shown
	Purpose     shown
	Signed      string
	Key         id.Key // that signed it, of an instance
	Ended       *when
	EndedBy     *principal
	Why         shown
	Chosen      bool
	End         *treeEnd // nil: the reader may not end it, or it has ended
	Below       []treeRow
}

// treeEnd is what goes with a delegation that is ended.
type treeEnd struct {
	Below int
	Whose []principal
	More  int // who are not named
}

// treeItem is a row with what its forms need.
type treeItem struct {
	Row               treeRow
	Workspace, Chosen string
}

// All is how many end with the row.
func (i treeItem) All() int { return i.Row.End.Below + 1 }

func treePage(x *request) (view, error) { return x.treePage(x.r.PathValue("id"), nil) }

// treePage finds the workspace that a delegation is in, among those of the reader.
func (x *request) treePage(text string, result *lentResult) (view, error) {
	none := missing("there is no such delegation")
	d, err := id.Parse[id.Delegation](text)
	if err != nil {
		return view{}, none
	}
	p, err := x.Guard.Page(x.ctx, x.caller)
	if err != nil {
		return view{}, err
	}
	spaces, err := p.Workspaces(x.ctx)
	if err != nil {
		return view{}, err
	}
	for _, ws := range spaces {
		v, err := x.treeIn(ws, d)
		if f := fault.Of(err); f != nil && (f.Kind == fault.Denied || f.Kind == fault.NotFound) { // not there, or nothing of theirs
			continue
		} else if err != nil {
			return view{}, err
		}
		v.Result = result
		return view{Name: "tree", Title: "What came of " + d.Short(), Data: v}, nil
	}
	return view{}, none
}

func (x *request) treeIn(ws id.Workspace, d id.Delegation) (*treeView, error) {
	if err := x.actIn(ws); err != nil {
		return nil, err
	}
	p, err := x.Guard.Page(x.ctx, x.caller)
	if err != nil {
		return nil, err
	}
	t, err := p.Tree(x.ctx, d)
	if err != nil {
		return nil, err
	}
	g := x.grow(t, d)
	v := &treeView{Workspace: ws.String(), Chosen: d.String(), Hidden: len(t.Above) > 0, Top: g.row(t.All[0]), Left: g.left, More: t.More || g.over, Live: g.live[t.All[0].ID]}
	f := x.forest(g, d)
	v.Picture, v.Tools = template.HTML(graph.SVG(f)), graph.Reaches(f)
	chosen := g.lent[d]
	v.From, v.To = x.principal(delegatorOf(chosen.Link.Statement)), x.principal(chosen.Link.Statement.Delegate.Agent.String())
	v.Status = chainPill(g.chain(chosen), chosen.StatusAt(x.now), x.now)
	return v, nil
}

func delegatorOf(st delegation.Statement) string {
	if !st.Delegator.User.IsZero() {
		return st.Delegator.User.String()
	}
	return st.Delegator.Agent.String()
}

// grown is a tree that is to be shown.
type grown struct {
	x      *request
	chosen id.Delegation
	ends   map[id.Delegation]bool
	lent   map[id.Delegation]lending.Delegation // all that is known, above too
	shown  []lending.Delegation
	below  map[id.Delegation][]lending.Delegation // of those shown
	live   map[id.Delegation]int                  // how many live, itself and all below
	left   int
	over   bool // there are more than a page shows
}

// grow leaves out what ended long ago, but for what leads to the chosen one; of more than a page shows, what has ended and then what is older.
func (x *request) grow(t guard.Tree, chosen id.Delegation) *grown {
	g := &grown{
		x: x, chosen: chosen, ends: t.Ends, lent: map[id.Delegation]lending.Delegation{}, below: map[id.Delegation][]lending.Delegation{}, live: map[id.Delegation]int{},
	}
	for _, d := range append(t.Above[:len(t.Above):len(t.Above)], t.All...) {
		g.lent[d.ID] = d
	}
	way := map[id.Delegation]bool{}
	for d := g.lent[chosen]; !d.ID.IsZero(); d = g.lent[d.Parent] {
		way[d.ID] = true
	}
	rank := func(d lending.Delegation) int {
		if d.StatusAt(x.now) == lending.Active {
			return 0
		}
		return 1
	}
	kept := map[id.Delegation]bool{}
	var rows []lending.Delegation
	for i, d := range t.All {
		if i > 0 && !way[d.ID] && (!kept[d.Parent] || g.long(d)) {
			g.left++
		} else {
			kept[d.ID], rows = true, append(rows, d)
		}
		if d.StatusAt(x.now) == lending.Active {
			for up := d; !up.ID.IsZero(); up = g.lent[up.Parent] {
				g.live[up.ID]++
			}
		}
	}
	slices.Reverse(rows) // the newest first, and before that what lives
	slices.SortStableFunc(rows, func(a, b lending.Delegation) int { return cmp.Compare(rank(a), rank(b)) })
	drawn := maps.Clone(way)
	for _, d := range rows {
		if g.over = len(drawn) >= treeRows; g.over {
			break
		}
		for up := d; kept[up.ID]; up = g.lent[up.Parent] {
			drawn[up.ID] = true
		}
	}
	for i, d := range t.All {
		if !drawn[d.ID] {
			continue
		}
		g.shown = append(g.shown, d)
		if i > 0 {
			g.below[d.Parent] = append(g.below[d.Parent], d)
		}
	}
	for _, under := range g.below { // what lives comes first
		slices.SortStableFunc(under, func(a, b lending.Delegation) int { return cmp.Compare(rank(a), rank(b)) })
	}
	return g
}

// long says that it ended long ago.
func (g *grown) long(d lending.Delegation) bool {
	switch d.StatusAt(g.x.now) {
	case lending.Active:
		return false
	case lending.Expired:
		return g.x.now.Sub(timeOf(d.Link.Statement.ExpiresAt)) > treeSince
	}
	return g.x.now.Sub(d.EndedAt) > treeSince
}

// chain is what a delegation rests on, the root first.
func (g *grown) chain(d lending.Delegation) (all []lending.Delegation) {
	for ; !d.ID.IsZero(); d = g.lent[d.Parent] {
		all = append([]lending.Delegation{d}, all...)
	}
	return all
}

func (g *grown) row(d lending.Delegation) treeRow {
	x, st, status := g.x, d.Link.Statement, d.StatusAt(g.x.now)
	row := treeRow{
		ID: d.ID.String(), From: x.principal(delegatorOf(st)), To: x.principal(st.Delegate.Agent.String()), Status: chainPill(g.chain(d), status, x.now),
		Permissions: lentOn(g.lent[d.Parent].Link.Statement.Permissions, st.Permissions), Until: x.until(st), Over: !x.now.Before(timeOf(st.ExpiresAt)),
		Terms: termWords(d), Task: show(st.Task), Purpose: show(st.Purpose), Signed: signedHow(d.Link.Delegator), Chosen: d.ID == g.chosen,
	}
	if row.Key = st.Delegator.Instance; !row.Key.IsZero() {
		row.Signed = "signed with the key"
	}
	if begins := timeOf(st.NotBefore); begins.After(x.now) {
		w := at(begins, x.now)
		row.Begins = &w
	}
	if !d.EndedAt.IsZero() {
		w := at(d.EndedAt, x.now)
		row.Ended = &w
	}
	if status == lending.Revoked {
		by := x.principal(d.EndedBy)
		row.EndedBy, row.Why = &by, show(d.EndedWhy)
	}
	for _, b := range g.below[d.ID] {
		row.Below = append(row.Below, g.row(b))
	}
	if g.ends[d.ID] {
		row.End = g.end(d)
	}
	return row
}

// end says who loses what with a delegation.
func (g *grown) end(d lending.Delegation) *treeEnd {
	e := &treeEnd{Below: g.live[d.ID] - 1}
	seen := map[id.Agent]bool{}
	var visit func(id.Delegation)
	visit = func(up id.Delegation) {
		for _, b := range g.below[up] {
			if to := b.Link.Statement.Delegate.Agent; b.StatusAt(g.x.now) == lending.Active && !seen[to] {
				if seen[to] = true; len(e.Whose) < treeNames {
					e.Whose = append(e.Whose, g.x.principal(to.String()))
				} else {
					e.More++
				}
			}
			visit(b.ID)
		}
	}
	visit(d.ID)
	return e
}

// lentOn marks what of a permission was not lent on, and from what the rest was narrowed. A root has nothing before it.
func lentOn(before, lent []delegation.Permission) []permission {
	out, had := permissions(lent), permissions(before)
	for i, p := range lent {
		for j, b := range before {
			if !delegation.Covers(b, p) {
				continue
			}
			if was := had[j]; was.Name.String() != out[i].Name.String() || was.Where.String() != out[i].Where.String() {
				out[i].Was = whole(b)
			} else {
				out[i].Was = nil
				break
			}
		}
	}
	for i, b := range before {
		lends := false
		for _, p := range lent {
			lends = lends || delegation.Covers(b, p)
		}
		if !lends {
			had[i].State = "cut"
			out = append(out, had[i])
		}
	}
	return out
}

func whole(p delegation.Permission) shown {
	if len(p.Where) == 0 {
		return show(p.Permission)
	}
	return show(fmt.Sprintf("%s where %s", p.Permission, delegation.Words(p.Where)))
}

// forest is what is shown, for the picture. Its nodes lead to the list.
func (x *request) forest(g *grown, chosen id.Delegation) graph.Forest {
	f := graph.Forest{Names: x.names, Now: x.now, All: true, Chosen: chosen, Focus: g.lent[chosen].Link.Statement.Delegate.Agent.String(), More: "#list"}
	rows := map[string]string{}
	for _, d := range g.shown {
		st, status, ended := d.Link.Statement, d.StatusAt(x.now), d.EndedAt
		for _, up := range g.chain(d) { // it ended with what it rests on
			if s := up.StatusAt(x.now); status == lending.Active && s != lending.Active {
				status, ended = s, up.EndedAt
			}
		}
		f.Lent = append(f.Lent, graph.Lent{Statement: st, Parent: d.Parent, Status: string(status), Uses: d.Uses, Ended: ended, EndedBy: d.EndedBy, EndedWhy: d.EndedWhy})
		if to := st.Delegate.Agent.String(); rows[to] == "" || d.ID == chosen {
			rows[to] = "#" + d.ID.String()
		}
		if by := delegatorOf(st); rows[by] == "" {
			rows[by] = "#" + d.ID.String()
		}
	}
	f.Link = func(sub string) string { return rows[sub] }
	return f
}
