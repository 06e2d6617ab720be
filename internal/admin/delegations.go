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
	return api.Lent{ID: link.Statement.ID, Link: link}, nil
}

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
		Delegator: x.me(x.query.Get("delegator")), Delegate: x.me(x.query.Get("delegate")), Task: x.query.Get("task"), Before: before, Limit: limit,
	})
	if err != nil {
		return none, err
	}
	return page(found, limit, x.delegationOf, func(d lending.Delegation) string { return d.ID.String() }), nil
}

func (x *request) delegationOf(d lending.Delegation) api.Delegation {
	return api.Delegation{
		ID: d.ID, Parent: d.Parent, Root: d.Root, Statement: d.Link.Statement, Link: d.Link, Uses: d.Uses, Status: string(d.StatusAt(x.Guard.Now())),
		Created: when(d.CreatedAt), Ended: when(d.EndedAt), EndedBy: d.EndedBy, EndedWhy: d.EndedWhy,
	}
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
	return x.delegationOf(links[len(links)-1]), nil
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
