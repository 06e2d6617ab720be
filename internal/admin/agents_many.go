package admin

import (
	"strings"
	"time"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/guard"
)

func createAgent(x *request, in api.NewAgent) (api.Agent, error) {
	n, err := newAgent(in)
	if err != nil {
		return api.Agent{}, err
	}
	made, _, err := x.Guard.RegisterAgent(x.ctx, x.caller, n)
	return x.agentOf(made), err
}

func newAgent(in api.NewAgent) (agents.NewAgent, error) {
	expires, err := read(readTime, "expires", in.Expires)
	if err != nil {
		return agents.NewAgent{}, err
	}
	tags, err := agents.NewTags(in.Tags)
	return agents.NewAgent{
		Name: in.Name, Owner: in.Owner, Description: in.Description, Framework: in.Framework, Model: in.Model, Tags: tags, ExpiresAt: expires,
		Pending: in.Propose,
	}, err
}

func (x *request) agentOf(a agents.Agent) api.Agent {
	out := api.Agent{
		ID: a.ID, Name: a.Name, Owner: a.Owner, Offered: a.Offered, Description: a.Description, Framework: a.Framework, Model: a.Model, Tags: a.Tags.Map(),
		Status: string(a.StatusAt(x.Guard.Now())), Expires: when(a.ExpiresAt), Created: when(a.CreatedAt), OwnerlessSince: when(a.OwnerlessSince),
	}
	if !a.OwnerlessSince.IsZero() {
		out.TokensUntil = when(a.OwnerlessSince.Add(agents.Grace))
	}
	return out
}

func listAgents(x *request, _ none) (api.List[api.Agent], error) {
	var none api.List[api.Agent]
	f := api.AgentFilter{
		Q: x.query.Get("q"), Status: x.query.Get("status"), Owner: x.query.Get("owner"), Tag: x.query.Get("tag"), Group: x.query.Get("group"),
		Ownerless: x.query.Get("ownerless") == "true",
	}
	if v := x.query.Get("ownerless"); v != "" && v != "true" && v != "false" {
		return none, fault.New(fault.Invalid, "malformed", "ownerless is true or false")
	}
	q, err := x.agentQuery(f)
	if err != nil {
		return none, err
	}
	if q.After, err = read(id.Parse[id.Agent], "after", x.query.Get("after")); err != nil {
		return none, err
	}
	if q.Limit, err = x.limit(); err != nil {
		return none, err
	}
	found, err := x.Guard.ListAgents(x.ctx, x.caller, q)
	if err != nil {
		return none, err
	}
	return page(found, q.Limit, x.agentOf, func(a agents.Agent) string { return a.ID.String() }), nil
}

// agentQuery reads a filter.
func (x *request) agentQuery(f api.AgentFilter) (q guard.AgentQuery, err error) {
	q.Prefix, q.Status, q.Group, q.Ownerless = f.Q, agents.Status(f.Status), f.Group, f.Ownerless
	if q.Owner, err = read(id.Parse[id.User], "owner", x.me(f.Owner)); err != nil {
		return q, err
	}
	var ok bool
	if q.Tag, q.Value, ok = strings.Cut(f.Tag, "="); f.Tag != "" && (!ok || q.Tag == "") {
		return q, fault.New(fault.Invalid, "malformed", "tag is name=value")
	}
	switch q.Status {
	case "", agents.Pending, agents.Active, agents.Suspended, agents.Revoked, agents.Expired:
		return q, nil
	}
	return q, fault.New(fault.Invalid, "malformed", "status is pending, active, suspended, revoked or expired")
}

func changeAgent(x *request, in api.AgentChange) (api.Agent, error) {
	a, err := x.agent()
	if err != nil {
		return api.Agent{}, err
	}
	ch, err := changeOf(in)
	if err != nil {
		return api.Agent{}, err
	}
	after, _, err := x.Guard.ChangeAgent(x.ctx, x.caller, a, ch)
	return x.agentOf(after), err
}

func changeOf(in api.AgentChange) (agents.Change, error) {
	ch := agents.Change{Description: in.Description, Framework: in.Framework, Model: in.Model, Set: in.Tags, Remove: in.Untag}
	if in.Expires == nil {
		return ch, nil
	}
	if *in.Expires == "never" {
		ch.ExpiresAt = &time.Time{}
		return ch, nil
	}
	t, err := readTime(*in.Expires)
	if err != nil {
		return ch, fault.Wrap(err, fault.Invalid, "malformed", "expires is a time in RFC 3339, or never")
	}
	ch.ExpiresAt = &t
	return ch, nil
}

func handOver(x *request, in api.NewOwner) (api.Agent, error) {
	a, err := x.agent()
	if err != nil {
		return api.Agent{}, err
	}
	after, _, err := x.Guard.HandOver(x.ctx, x.caller, a, in.Owner, in.Assign)
	return x.agentOf(after), err
}

func approveAgent(x *request, in api.Reason) (api.Agent, error) {
	a, err := x.agent()
	if err != nil {
		return api.Agent{}, err
	}
	why, err := reasonOf(in)
	if err != nil {
		return api.Agent{}, err
	}
	after, _, err := x.Guard.ApproveAgent(x.ctx, x.caller, a, why)
	return x.agentOf(after), err
}

func bulkAgents(x *request, in api.AgentBulk) (api.List[api.AgentOutcome], error) {
	var none api.List[api.AgentOutcome]
	b := guard.Bulk{IDs: in.IDs, Do: in.Do, DryRun: in.DryRun}
	var err error
	if b.Reason, err = reasonOf(api.Reason{Reason: in.Reason}); err != nil {
		return none, err
	}
	if in.Change != nil {
		if b.Change, err = changeOf(*in.Change); err != nil {
			return none, err
		}
	}
	if in.Owner != nil {
		b.Owner, b.Assign = in.Owner.Owner, in.Owner.Assign
	}
	if (in.Filter == nil) == (in.IDs == nil) || (in.Change != nil) != (in.Do == "change") || (in.Owner != nil) != (in.Do == "owner") {
		return none, fault.New(fault.Invalid, "malformed", "a change of many agents has ids or a filter, and what its do takes: change or owner")
	}
	if in.Filter != nil {
		if b.Query, err = x.agentQuery(*in.Filter); err != nil {
			return none, err
		}
		b.Query.After, b.Query.Limit = in.After, in.Limit
	}
	got, next, err := x.Guard.BulkAgents(x.ctx, x.caller, b)
	out := page(got, 0, outcomeOf, nil)
	if !next.IsZero() {
		out.Next = next.String()
	}
	return out, err
}

func importAgents(x *request, in api.AgentImport) (api.List[api.AgentOutcome], error) {
	all := make([]guard.Registration, len(in.Agents))
	for i, a := range in.Agents {
		all[i].NewAgent, all[i].Wrong = newAgent(a)
		all[i].Name = a.Name
	}
	got, err := x.Guard.ImportAgents(x.ctx, x.caller, all, in.DryRun)
	return page(got, 0, outcomeOf, nil), err
}

func outcomeOf(o guard.Outcome) api.AgentOutcome {
	out := api.AgentOutcome{ID: o.ID, Name: o.Name, Done: o.Done}
	if f := fault.Of(o.Err); f != nil {
		out.Done, out.Code, out.Reason = "", f.Code, f.Reason
	}
	return out
}
