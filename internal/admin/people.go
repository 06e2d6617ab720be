package admin

import (
	"time"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/guard"
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
	u := userOf(p, time.Time{})
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
	found, seen, err := x.Guard.ListPeople(x.ctx, x.caller, after, limit)
	if err != nil {
		return none, err
	}
	return page(found, limit, func(p people.Person) api.User { return userOf(p, seen[p.ID]) }, func(p people.Person) string { return p.ID.String() }), nil
}

func findUser(x *request, _ none) (api.UserName, error) {
	p, err := x.Guard.FindPerson(x.ctx, x.caller, x.query.Get("name"))
	return api.UserName{ID: p.ID, Name: p.Name}, err
}

func userDetail(x *request, _ none) (api.UserDetail, error) {
	u, err := x.userOrMe()
	if err != nil {
		return api.UserDetail{}, err
	}
	d, err := x.Guard.PersonDetail(x.ctx, x.caller, u)
	if err != nil {
		return api.UserDetail{}, err
	}
	out := api.UserDetail{
		User: userOf(d.Person, d.Seen), Groups: d.Groups, Roles: rolesOf(d.Roles), Keys: keysOf(d.Keys), Accounts: []api.UserAccount{}, Stopped: stoppedOf(d.Stopped),
	}
	for _, i := range d.Identities {
		out.Accounts = append(out.Accounts, api.UserAccount{Provider: i.Provider, Issuer: i.Issuer, Created: when(i.CreatedAt)})
	}
	return out, nil
}

func rolesOf(held []guard.HeldRole) []api.HeldRole {
	out := []api.HeldRole{}
	for _, h := range held {
		out = append(out, api.HeldRole(h))
	}
	return out
}

func stoppedOf(s *guard.Stopped) *api.Stopped {
	if s == nil {
		return nil
	}
	return &api.Stopped{At: when(s.At), By: s.By, Reason: s.Reason, Event: s.Event}
}

func newLink(x *request, _ none) (api.Link, error) {
	u, err := x.userOrMe()
	if err != nil {
		return api.Link{}, err
	}
	secret, err := x.Guard.NewLink(x.ctx, x.caller, u)
	return api.Link{Link: x.Guard.Link(secret)}, err
}

// userOf is a person who was last seen then: who never was is invited, as long as they may come.
func userOf(p people.Person, seen time.Time) api.User {
	status := string(p.Status)
	if p.Status == people.Active && seen.IsZero() {
		status = "invited"
	}
	return api.User{ID: p.ID, Name: p.Name, Status: status, Seen: when(seen), Created: when(p.CreatedAt), Recovered: when(p.RecoveredAt), RecoveredBy: p.RecoveredBy}
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
