package admin

import (
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/clients"
)

func addService(x *request, in api.NewService) (api.Service, error) {
	if in.JWK.IsZero() {
		return api.Service{}, fault.New(fault.Invalid, "malformed", "a service has a public key, as a JWK")
	}
	s, err := x.Guard.RegisterService(x.ctx, x.caller, clients.NewService{Name: in.Name, Resource: in.Resource, Prefix: in.Prefix, Key: in.JWK})
	if err != nil {
		return api.Service{}, err
	}
	return serviceOf(s), nil
}

func serviceOf(s clients.Service) api.Service {
	return api.Service{ID: s.ID, Name: s.Name, Resource: s.Resource, Prefix: s.Prefix, Key: s.Key.Thumbprint()}
}

func listServices(x *request, _ none) (api.List[api.Service], error) {
	var none api.List[api.Service]
	after, err := read(id.Parse[id.Service], "after", x.query.Get("after"))
	if err != nil {
		return none, err
	}
	limit, err := x.limit()
	if err != nil {
		return none, err
	}
	found, err := x.Guard.ListServices(x.ctx, x.caller, after, limit)
	if err != nil {
		return none, err
	}
	return page(found, limit, serviceOf, func(s clients.Service) string { return s.ID.String() }), nil
}

func removeService(x *request, _ none) (api.Done, error) {
	got, err := x.Guard.RemoveService(x.ctx, x.caller, x.path("id"))
	return api.Done{Event: got.ID, Rev: got.Rev}, err
}
