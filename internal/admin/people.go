package admin

import (
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/people"
)

func signIn(x *request, in api.SignIn) (api.SignedIn, error) {
	p, key, ws, err := x.signIn(in)
	return api.SignedIn{User: p.ID, Name: p.Name, Workspace: ws, Key: key}, err
}

func (x *request) signIn(in api.SignIn) (people.Person, id.Key, id.Workspace, error) {
	key, _, _, err := x.Guard.AuthenticateKey(x.creds)
	if err != nil {
		return people.Person{}, id.Key{}, id.Workspace{}, err
	}
	p, ws, err := x.Guard.SignIn(x.ctx, in.Secret, in.Name, in.Label, x.creds)
	return p, key.Thumbprint(), ws, err
}

func me(x *request, _ none) (api.Me, error) {
	name, roles, err := x.Guard.Me(x.ctx, x.caller)
	return api.Me{Sub: x.caller.Sub(), Name: name, Workspace: x.caller.Workspace(), Roles: roles}, err
}

func invite(x *request, in api.NewUser) (api.User, error) {
	p, secret, err := x.Guard.InviteEmail(x.ctx, x.caller, in.Name, in.Email)
	u := userOf(p)
	u.Link = x.Guard.Link(secret)
	return u, err
}

func users(x *request, _ none) (api.List[api.User], error) {
	var none api.List[api.User]
	after, err := read(id.Parse[id.User], "after", x.query.Get("after"))
	if err != nil {
		return none, err
	}
	limit, err := x.limit()
	if err != nil {
		return none, err
	}
	found, err := x.Guard.ListPeople(x.ctx, x.caller, after, limit)
	if err != nil {
		return none, err
	}
	return page(found, limit, userOf, func(p people.Person) string { return p.ID.String() }), nil
}

func newLink(x *request, _ none) (api.Link, error) {
	u, err := x.userOrMe()
	if err != nil {
		return api.Link{}, err
	}
	secret, err := x.Guard.NewLink(x.ctx, x.caller, u)
	return api.Link{Link: x.Guard.Link(secret)}, err
}

func userOf(p people.Person) api.User {
	return api.User{ID: p.ID, Name: p.Name, Status: string(p.Status), Created: when(p.CreatedAt), Recovered: when(p.RecoveredAt), RecoveredBy: p.RecoveredBy}
}

func endUser(verb string) func(*request, api.Reason) (api.Ended, error) {
	return func(x *request, in api.Reason) (api.Ended, error) {
		u, err := x.user()
		if err != nil {
			return api.Ended{}, err
		}
		why, err := reasonOf(in)
		if err != nil {
			return api.Ended{}, err
		}
		ended, got, err := x.Guard.EndPerson(x.ctx, x.caller, u, verb, why)
		return api.Ended{Event: got.ID, Rev: got.Rev, Delegations: ended}, err
	}
}
