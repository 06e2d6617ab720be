package admin

import (
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/internal/people"
)

func groupOf(g people.Group) api.Group {
	return api.Group{Name: g.Name, Description: g.Description, Created: when(g.CreatedAt)}
}

func createGroup(x *request, in api.NewGroup) (api.Group, error) {
	g, err := x.Guard.CreateGroup(x.ctx, x.caller, in.Name, in.Description)
	return groupOf(g), err
}

func groups(x *request, _ none) (api.List[api.Group], error) {
	found, err := x.Guard.Groups(x.ctx, x.caller)
	return page(found, 0, groupOf, nil), err
}

func oneGroup(x *request, _ none) (api.Group, error) {
	found, members, roles, err := x.Guard.Group(x.ctx, x.caller, x.path("name"))
	g := groupOf(found)
	g.Roles = roles
	for _, m := range members {
		g.Members = append(g.Members, api.GroupMember{Member: m.Member, Source: m.Source, Created: when(m.CreatedAt)})
	}
	return g, err
}

func deleteGroup(x *request, in api.Reason) (api.Done, error) {
	why, err := reasonOf(in)
	if err != nil {
		return api.Done{}, err
	}
	got, err := x.Guard.DeleteGroup(x.ctx, x.caller, x.path("name"), why)
	return api.Done{Event: got.ID, Rev: got.Rev}, err
}

func addToGroup(x *request, in api.Membership) (api.Done, error) {
	why, err := reasonOf(api.Reason{Reason: in.Reason})
	if err != nil {
		return api.Done{}, err
	}
	got, err := x.Guard.AddToGroup(x.ctx, x.caller, x.path("name"), in.Member, why)
	return api.Done{Event: got.ID, Rev: got.Rev}, err
}

func removeFromGroup(x *request, in api.Membership) (api.Done, error) {
	why, err := reasonOf(api.Reason{Reason: in.Reason})
	if err != nil {
		return api.Done{}, err
	}
	got, err := x.Guard.RemoveFromGroup(x.ctx, x.caller, x.path("name"), in.Member, why)
	return api.Done{Event: got.ID, Rev: got.Rev}, err
}
