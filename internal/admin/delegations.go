package admin

import (
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/lending"
)

func lend(x *request, in api.Lend) (api.Lent, error) {
	link, err := x.Guard.Lend(x.ctx, x.caller, in.Signed)
	if err != nil {
		return api.Lent{}, err
	}
	return api.Lent{ID: link.Statement.ID, Link: link, Warnings: x.warnings(link.Statement)}, nil
}

// warnings are about what has been lent by now: that they cannot be told is a warning, too.
func (x *request) warnings(st delegation.Statement) []api.Warning {
	found, err := x.Guard.Warnings(x.ctx, x.caller, st)
	if err != nil {
		return []api.Warning{{Code: "not_looked", Reason: "whether the delegator could do this could not be looked at"}}
	}
	var all []api.Warning
	for _, w := range found {
		all = append(all, api.Warning{Code: w.Code, Permission: w.Permission, Reason: w.Reason})
	}
	return all
}

func replace(x *request, in api.Replace) (api.Replaced, error) {
	old, err := x.delegation()
	if err != nil {
		return api.Replaced{}, err
	}
	r, err := x.Guard.Replace(x.ctx, x.caller, old, in.Signed, in.DryRun)
	if err != nil {
		return api.Replaced{}, err
	}
	return api.Replaced{
		ID: in.Signed.Statement.ID, How: string(r.How), Link: r.Link, Delegations: list(r.Toll.Delegations), Approvals: list(r.Toll.Approvals),
		Warnings: x.warnings(in.Signed.Statement), Event: r.Receipt.ID, Rev: r.Receipt.Rev,
	}, nil
}

// list is items, never null.
func list[T any](items []T) []T { return append([]T{}, items...) }

func delegations(x *request, _ none) (api.List[api.Delegation], error) {
	var none api.List[api.Delegation]
	before, err := read(id.Parse[id.Delegation], "before", x.query.Get("before"))
	if err != nil {
		return none, err
	}
	limit, err := x.limit()
	if err != nil {
		return none, err
	}
	found, err := x.Guard.Delegations(x.ctx, x.caller, lending.Query{
		Delegator: x.me(x.query.Get("delegator")), Delegate: x.me(x.query.Get("delegate")), Task: x.query.Get("task"), Status: lending.Status(x.query.Get("status")),
		Now: x.Guard.Now(), Before: before, Limit: limit,
	})
	if err != nil {
		return none, err
	}
	return page(found, limit, x.delegationsOf(found), func(d lending.Delegation) string { return d.ID.String() }), nil
}

// delegationsOf tells records, with the names of all who are in them.
func (x *request) delegationsOf(found []lending.Delegation) func(lending.Delegation) api.Delegation {
	var subs []string
	for _, d := range found {
		st := d.Link.Statement
		subs = append(subs, st.Delegator.User.String(), st.Delegator.Agent.String(), st.Delegate.Agent.String(), d.EndedBy)
	}
	names := x.Guard.Names(x.ctx, x.caller, subs)
	return func(d lending.Delegation) api.Delegation {
		st := d.Link.Statement
		return api.Delegation{
			ID: d.ID, Parent: d.Parent, Root: d.Root, Replaces: d.Replaces, Statement: st, Link: d.Link, Uses: d.Uses, Status: string(d.StatusAt(x.Guard.Now())),
			DelegatorName: names[st.Delegator.User.String()+st.Delegator.Agent.String()], DelegateName: names[st.Delegate.Agent.String()],
			Created: when(d.CreatedAt), Ended: when(d.EndedAt), EndedBy: d.EndedBy, EndedByName: names[d.EndedBy], EndedWhy: d.EndedWhy,
		}
	}
}

func tree(x *request, _ none) (api.Tree, error) {
	d, err := x.delegation()
	if err != nil {
		return api.Tree{}, err
	}
	found, more, err := x.Guard.DelegationTree(x.ctx, x.caller, d)
	if err != nil {
		return api.Tree{}, err
	}
	return api.Tree{Items: page(found, 0, x.delegationsOf(found), nil).Items, More: more}, nil
}

func (x *request) links() ([]lending.Delegation, error) {
	d, err := x.delegation()
	if err != nil {
		return nil, err
	}
	return x.Guard.DelegationChain(x.ctx, x.caller, d)
}

func oneDelegation(x *request, _ none) (api.Delegation, error) {
	links, err := x.links()
	if err != nil {
		return api.Delegation{}, err
	}
	last := links[len(links)-1]
	return x.delegationsOf([]lending.Delegation{last})(last), nil
}

func chain(x *request, _ none) (api.List[delegation.Link], error) {
	links, err := x.links()
	if err != nil {
		return api.List[delegation.Link]{}, err
	}
	return page(links, 0, func(d lending.Delegation) delegation.Link { return d.Link }, nil), nil
}

func revokeDelegation(x *request, in api.Reason) (api.Ended, error) {
	d, err := x.delegation()
	if err != nil {
		return api.Ended{}, err
	}
	why, err := reasonOf(in)
	if err != nil {
		return api.Ended{}, err
	}
	ended, got, err := x.Guard.Revoke(x.ctx, x.caller, d, why)
	return api.Ended{Event: got.ID, Rev: got.Rev, Delegations: ended}, err
}
