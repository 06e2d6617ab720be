package console

import (
	"fmt"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/approvals"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/lending"
)

// How many of each the first page shows.
const (
	showAgents      = 50
	showInstances   = 5
	showDelegations = 30
	showPending     = 50
	showDecided     = 10
	showEvents      = 50
)

// overviewView is the first page.
type overviewView struct {
	Agents      []agentRow
	Delegations []delegationRow
	Pending     []approvalRow
	Decided     []approvalRow
	Events      []eventRow
	NoPasskey   bool

	AllAgents, AllDelegations, AllEvents bool // as opposed to the reader's own
}

type agentRow struct {
	principal
	Owner     principal
	Status    pill
	Instances []instanceRow
	More      int  // instances that are not shown
	App       bool // it is an app's: nobody enrols instances
	Ended     bool
}

type instanceRow struct {
	Key    id.Key
	Status pill
	Trust  string
	Since  when
	Used   *when // to the minute
}

type delegationRow struct {
	ID          string
	Chain       []principal
	Permissions []permission
	Until       when
	Over        bool // Until is past
	Lent        []shown
	Status      pill
	EndedBy     *principal
	Why         shown
}

type approvalRow struct {
	ID     string
	Risk   *pill
	Tool   shown
	Status pill
	Actor  principal
	For    *principal
	Task   shown
	Reason shown
	Flow   string
	Args   []argument
	Long   bool
	Asked  when
	Until  *when
	Chain  []principal
}

type eventRow struct {
	ID      string
	Rev     int64
	At      when
	Kind    string
	Outcome pill
	Who     principal
	For     *principal
	Action  shown
	Status  string // what became of it
	Reason  shown
}

func overview(x *request) (view, error) {
	p, err := x.Guard.Page(x.ctx, x.caller)
	if err != nil {
		return view{}, err
	}
	var v overviewView
	for _, read := range []func(*request, *guard.Page) error{v.readAgents, v.readDelegations, v.readApprovals, v.readEvents} {
		if err := read(x, p); err != nil {
			return view{}, err
		}
	}
	has, err := p.Passkeys(x.ctx)
	v.NoPasskey = len(has) == 0
	return view{Name: "overview", Title: "Overview", Data: v}, err
}

func (v *overviewView) readAgents(x *request, p *guard.Page) error {
	found, all, err := p.Agents(x.ctx, showAgents, showInstances)
	v.AllAgents = all
	if err != nil {
		return err
	}
	for _, a := range found {
		x.names[a.ID.String()] = a.Name
		row := agentRow{principal: x.principal(a.ID.String()), Owner: x.principal(a.Owner.String()), Status: agentPill(a.Agent, x), More: a.More}
		is := a.StatusAt(x.now)
		row.App, row.Ended = a.App, is == agents.Revoked || is == agents.Expired
		for _, i := range a.Instances {
			row.Instances = append(row.Instances, instanceOf(i, x))
		}
		v.Agents = append(v.Agents, row)
	}
	return nil
}

func instanceOf(i agents.Instance, x *request) instanceRow {
	row := instanceRow{Key: i.Key, Status: instancePill(i, x.now), Trust: string(i.Trust), Since: at(i.CreatedAt, x.now)}
	if !i.LastUsedAt.IsZero() {
		used := at(i.LastUsedAt, x.now)
		row.Used = &used
	}
	return row
}

func (v *overviewView) readDelegations(x *request, p *guard.Page) error {
	found, all, err := p.Delegations(x.ctx, showDelegations)
	v.AllDelegations = all
	if err != nil {
		return err
	}
	for _, chain := range found {
		d := chain[len(chain)-1]
		st := d.Link.Statement
		status := d.StatusAt(x.now)
		row := delegationRow{
			ID: d.ID.String(), Chain: x.line(chain), Permissions: permissions(st.Permissions), Until: x.until(st), Over: !x.now.Before(timeOf(st.ExpiresAt)),
			Lent: lentLines(d), Status: chainPill(chain, status, x.now),
		}
		if status == lending.Revoked {
			by := x.principal(d.EndedBy)
			row.EndedBy, row.Why = &by, show(d.EndedWhy)
		}
		v.Delegations = append(v.Delegations, row)
	}
	return nil
}

// line is a chain in one line, the person first.
func (x *request) line(chain []lending.Delegation) (all []principal) {
	for i, d := range chain {
		st := d.Link.Statement
		if i == 0 {
			from := st.Delegator.User.String()
			if st.Delegator.User.IsZero() {
				from = st.Delegator.Agent.String()
			}
			all = append(all, x.principal(from))
		}
		all = append(all, x.principal(st.Delegate.Agent.String()))
	}
	return all
}

func (v *overviewView) readApprovals(x *request, p *guard.Page) error {
	pending, err := p.Approvals(x.ctx, showPending, approvals.Pending)
	if err != nil {
		return err
	}
	decided, err := p.Approvals(x.ctx, showDecided, approvals.Approved, approvals.Spent, approvals.Denied, approvals.Expired, approvals.Cancelled, approvals.Void)
	if err != nil {
		return err
	}
	for _, a := range append(pending, decided...) {
		row := x.approvalRow(a)
		if a.StatusAt(x.now) == approvals.Pending {
			v.Pending = append(v.Pending, row)
		} else if len(v.Decided) < showDecided {
			v.Decided = append(v.Decided, row)
		}
	}
	return nil
}

func (x *request) approvalRow(a approvals.Approval) approvalRow {
	o, status := a.Object, a.StatusAt(x.now)
	row := approvalRow{
		ID: a.ID.String(), Tool: show(o.Action), Status: approvalPill(status), Actor: x.principal(o.Actor), Task: show(o.Task), Reason: show(a.Reason),
		Flow: flowWords(a), Asked: at(a.CreatedAt, x.now),
	}
	row.Args, row.Long = arguments(a.Arguments)
	if !o.Subject.IsZero() {
		by := x.principal(o.Subject.String())
		row.For = &by
	}
	switch status {
	case approvals.Pending:
		until := at(a.ExpiresAt, x.now)
		row.Until = &until
	case approvals.Approved:
		until := at(a.UseBy, x.now)
		row.Until = &until
	}
	return row
}

func flowWords(a approvals.Approval) string {
	if a.Quorum == 1 {
		return "one person with the role " + a.Role
	}
	return fmt.Sprintf("%d people with the role %s", a.Quorum, a.Role)
}

func (v *overviewView) readEvents(x *request, p *guard.Page) error {
	found, all, err := p.Events(x.ctx, showEvents)
	v.AllEvents = all
	if err != nil {
		return err
	}
	for _, e := range found {
		v.Events = append(v.Events, x.eventRow(e))
	}
	return nil
}

func (x *request) eventRow(e audit.Entry) eventRow {
	row := eventRow{
		ID: e.ID.String(), Rev: e.Rev, At: at(microsOf(e.At), x.now), Kind: string(e.Kind), Outcome: outcomePill(e.Outcome), Who: x.principal(e.Who.Sub),
	}
	if e.Did != nil {
		row.Action = show(e.Did.Action)
	}
	if e.What != nil {
		row.Status = e.What.Status
	}
	if e.Why != nil {
		row.Reason = show(e.Why.Reason)
	}
	if chain := e.Who.Chain; len(chain) > 0 && chain[0].Sub != e.Who.Sub {
		by := x.principal(chain[0].Sub)
		row.For = &by
	}
	return row
}
