package console

import (
	"fmt"
	"strings"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/lending"
)

const (
	showLent  = 200                 // live delegations in a workspace, and as many ended ones
	lentSince = 30 * 24 * time.Hour // ended ones
)

// lentView is the page of what agents may do in the reader's name.
type lentView struct {
	Result *lentResult // of ending something
	Spaces []lentSpace
	Many   bool // workspaces
	Live   int
}

// lentResult says what ended.
type lentResult struct {
	Delegation string
	Before     bool // it had ended before
	Below      int  // how many more ended with it
}

// lentSpace is what is lent in one workspace.
type lentSpace struct {
	Workspace string
	Groups    []lentGroup
	Ended     []lentRow
	More      bool
}

// lentGroup is what is lent to one agent.
type lentGroup struct {
	principal
	App    shown // whose agent it is: the client_id; nil: no app's
	Calls  shown // what the app called itself at the last consent
	Status *pill // nil: it is not known any more
	Used   *when // an instance of it, last
	Rows   []lentRow
}

// lentRow is one delegation.
type lentRow struct {
	ID      string
	To      principal
	May     []spoken
	Begins  *when
	Until   when
	Terms   []string
	Task    shown
	Purpose shown
	Signed  string
	Below   []lentBelow
	Over    int // of those below that ended
	Status  pill
	Ended   *when
	EndedBy *principal
	Why     shown
}

// lentBelow is a delegation that descends from the reader's.
type lentBelow struct {
	ID    string
	From  principal
	To    principal
	May   []spoken
	Until when
	Terms []string
}

func lentPage(x *request) (view, error) { return x.lentPage(nil) }

func (x *request) lentPage(result *lentResult) (view, error) {
	p, err := x.Guard.Page(x.ctx, x.caller)
	if err != nil {
		return view{}, err
	}
	spaces, err := p.Workspaces(x.ctx)
	if err != nil {
		return view{}, err
	}
	v := lentView{Result: result, Many: len(spaces) > 1}
	own := x.caller
	for _, ws := range spaces {
		space, err := x.lentIn(ws)
		if f := fault.Of(err); f != nil && (f.Kind == fault.Denied || f.Kind == fault.NotFound) { // suspended there, or not a member any more
			continue
		} else if err != nil {
			return view{}, err
		}
		for _, g := range space.Groups {
			v.Live += len(g.Rows)
		}
		v.Spaces = append(v.Spaces, space)
	}
	x.caller = own // the frame is that of the first
	return view{Name: "lent", Title: "In your name", Data: v}, nil
}

// lentIn reads what is lent in a workspace of the reader's, who then acts in it.
func (x *request) lentIn(ws id.Workspace) (lentSpace, error) {
	space := lentSpace{Workspace: ws.String()}
	if err := x.actIn(ws); err != nil {
		return space, err
	}
	p, err := x.Guard.Page(x.ctx, x.caller)
	if err != nil {
		return space, err
	}
	lent, to, err := p.Lent(x.ctx, x.now.Add(-lentSince), showLent)
	if err != nil {
		return space, err
	}
	space.More = lent.More
	for _, a := range to {
		x.names[a.ID.String()] = a.Name
	}
	below := map[id.Delegation][]lending.Delegation{}
	for _, d := range lent.Under {
		below[d.Root] = append(below[d.Root], d)
	}
	groups := map[id.Agent]int{}
	for _, d := range lent.Live {
		agent := d.Link.Statement.Delegate.Agent
		i, ok := groups[agent]
		if !ok {
			i = len(space.Groups)
			groups[agent] = i
			space.Groups = append(space.Groups, x.lentGroup(agent, to))
		}
		space.Groups[i].Rows = append(space.Groups[i].Rows, x.lentRow(d, below[d.ID]))
	}
	for _, d := range lent.Ended {
		space.Ended = append(space.Ended, x.lentRow(d, nil))
	}
	return space, nil
}

func (x *request) lentGroup(agent id.Agent, known map[id.Agent]guard.Borrower) lentGroup {
	g := lentGroup{principal: x.principal(agent.String())}
	a, ok := known[agent]
	if !ok {
		return g
	}
	status := agentPill(a.Agent, x)
	g.Status, g.App, g.Calls = &status, show(a.App.Client), show(a.App.Seen.Name)
	var used time.Time
	for _, i := range a.Instances {
		if i.LastUsedAt.After(used) {
			used = i.LastUsedAt
		}
	}
	if !used.IsZero() {
		last := at(used, x.now)
		g.Used = &last
	}
	return g
}

func (x *request) lentRow(d lending.Delegation, below []lending.Delegation) lentRow {
	st := d.Link.Statement
	status := d.StatusAt(x.now)
	row := lentRow{
		ID: d.ID.String(), To: x.principal(st.Delegate.Agent.String()), May: speakAll(st.Permissions), Until: x.until(st), Terms: termWords(d), Task: show(st.Task),
		Purpose: show(st.Purpose), Signed: signedHow(d.Link.Delegator), Status: chainPill([]lending.Delegation{d}, status, x.now),
	}
	if begins := timeOf(st.NotBefore); begins.After(x.now) {
		w := at(begins, x.now)
		row.Begins = &w
	}
	for _, b := range below {
		if b.StatusAt(x.now) != lending.Active {
			row.Over++
			continue
		}
		bs := b.Link.Statement
		from := bs.Delegator.Agent
		if bs.InStead() { // which is below nothing but this row
			from = st.Delegate.Agent
		}
		row.Below = append(row.Below, lentBelow{
			b.ID.String(), x.principal(from.String()), x.principal(bs.Delegate.Agent.String()), speakAll(bs.Permissions), x.until(bs), termWords(b),
		})
	}
	switch status {
	case lending.Active:
		return row
	case lending.Revoked:
		by := x.principal(d.EndedBy)
		row.EndedBy, row.Why = &by, show(d.EndedWhy)
	}
	ended := row.Until
	if !d.EndedAt.IsZero() {
		ended = at(d.EndedAt, x.now)
	}
	row.Ended = &ended
	return row
}

// termWords says how often, and who could act after the delegate.
func termWords(d lending.Delegation) (all []string) {
	st := d.Link.Statement
	if st.MaxUses != nil {
		all = append(all, fmt.Sprintf("%d of %d uses left", max(0, *st.MaxUses-d.Uses), *st.MaxUses))
	}
	if !st.Delegate.Instance.IsZero() {
		all = append(all, "only for the key "+st.Delegate.Instance.String())
	}
	if !st.MayAct.IsZero() {
		all = append(all, st.MayAct.String()+" may act in its stead")
	}
	if st.InStead() {
		all = append(all, "in its stead, on a token of it")
	}
	return append(all, depthWords(st))
}

func depthWords(st delegation.Statement) string {
	switch st.MaxDepth {
	case 0:
		return "may not lend it on"
	case 1:
		return "may lend it on once"
	}
	return fmt.Sprintf("may lend it on, %d agents deep", st.MaxDepth)
}

// revokeLent ends one. What ended stays on the page that was posted; the same again ends nothing.
func revokeLent(x *request) (view, error) {
	d, err := id.Parse[id.Delegation](x.r.PathValue("id"))
	if err != nil {
		return view{}, missing("there is no such delegation")
	}
	fields, err := x.form("workspace", "tree", "reason")
	if err != nil {
		return view{}, err
	}
	ws, err := id.ParseWorkspace(fields["workspace"])
	if err != nil {
		return view{}, missing("there is no such delegation")
	}
	own := x.caller
	if err := x.actIn(ws); fault.Code(err) == "not_found" {
		return view{}, missing("there is no such delegation")
	} else if err != nil {
		return view{}, err
	}
	ended, _, err := x.Guard.Revoke(x.ctx, x.caller, d, strings.TrimSpace(fields["reason"]))
	if err != nil {
		return view{}, err
	}
	x.caller = own
	result := &lentResult{d.String(), len(ended) == 0, max(0, len(ended)-1)}
	if fields["tree"] != "" {
		return x.treePage(fields["tree"], result)
	}
	return x.lentPage(result)
}
