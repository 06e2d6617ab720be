package admin

import (
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/guard"
)

// userOrMe is the person of the path; "me" is the caller.
func (x *request) userOrMe() (id.User, error) {
	if x.path("id") == "me" {
		return x.caller.Person(), nil
	}
	return x.user()
}

func userKeys(x *request, _ none) (api.List[api.PersonKey], error) {
	all := api.List[api.PersonKey]{Items: []api.PersonKey{}}
	u, err := x.userOrMe()
	if err != nil {
		return all, err
	}
	k, err := x.Guard.KeysOf(x.ctx, x.caller, u)
	if err != nil {
		return all, err
	}
	all.Items = keysOf(k)
	return all, nil
}

func keysOf(k guard.Keys) []api.PersonKey {
	all := []api.PersonKey{}
	for _, p := range k.Passkeys {
		all = append(all, api.PersonKey{
			Key: p.Credential, Kind: "passkey", Label: p.Label, Created: when(p.CreatedAt), Used: when(p.UsedAt), This: p.Credential == k.This,
		})
	}
	for _, r := range k.Keys {
		name := r.Key.String()
		all = append(all, api.PersonKey{Key: name, Kind: "key", Label: r.Label, Created: when(r.CreatedAt), Used: when(r.UsedAt), This: name == k.This})
	}
	return all
}

func endUserKey(x *request, _ none) (api.Done, error) {
	u, err := x.userOrMe()
	if err != nil {
		return api.Done{}, err
	}
	got, err := x.Guard.EndKey(x.ctx, x.caller, u, x.path("key"))
	return api.Done{Event: got.ID, Rev: got.Rev}, err
}

func signOutEverywhere(x *request, in api.Reason) (api.SignedOut, error) {
	u, err := x.userOrMe()
	if err != nil {
		return api.SignedOut{}, err
	}
	why, err := reasonOf(in)
	if err != nil {
		return api.SignedOut{}, err
	}
	n, got, err := x.Guard.SignOutEverywhere(x.ctx, x.caller, u, why)
	return api.SignedOut{Event: got.ID, Rev: got.Rev, Keys: n}, err
}

func recoverUser(x *request, in api.Reason) (api.Link, error) {
	u, err := x.user()
	if err != nil {
		return api.Link{}, err
	}
	why, err := reasonOf(in)
	if err != nil {
		return api.Link{}, err
	}
	secret, err := x.Guard.Recover(x.ctx, x.caller, u, why)
	return api.Link{Link: x.Guard.Link(secret)}, err
}
