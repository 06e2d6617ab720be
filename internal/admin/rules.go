package admin

import (
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/internal/rules"
)

func bind(x *request, in api.Binding) (api.Done, error) { return x.bind(in, false) }

func unbind(x *request, in api.Binding) (api.Done, error) { return x.bind(in, true) }

func (x *request) bind(in api.Binding, remove bool) (api.Done, error) {
	why, err := reasonOf(api.Reason{Reason: in.Reason})
	if err != nil {
		return api.Done{}, err
	}
	got, err := x.Guard.Bind(x.ctx, x.caller, in.Principal, in.Role, why, remove)
	return api.Done{Event: got.ID, Rev: got.Rev}, err
}

func bindings(x *request, _ none) (api.List[api.Binding], error) {
	found, err := x.Guard.Bindings(x.ctx, x.caller)
	return page(found, 0, func(b rules.Binding) api.Binding {
		return api.Binding{Principal: b.Principal, Role: b.Role, Reason: b.Reason, By: b.BoundBy, Created: when(b.CreatedAt)}
	}, nil), err
}
