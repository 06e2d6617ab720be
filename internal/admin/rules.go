package admin

import (
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/internal/rules"
	"github.com/attorn/attorn/policy"
)

func publish(x *request, in api.Publish) (api.Bundle, error) {
	files := make([]policy.File, 0, len(in.Files))
	for _, f := range in.Files {
		files = append(files, policy.File{Path: f.Path, Text: []byte(f.Text)})
	}
	digest, problems, _, err := x.Guard.Publish(x.ctx, x.caller, files, in.Base)
	if err != nil {
		return api.Bundle{}, err
	}
	b := api.Bundle{Digest: digest, Files: in.Files}
	for _, p := range problems {
		b.Problems = append(b.Problems, p.String())
	}
	return b, nil
}

func livePolicy(x *request, _ none) (api.Bundle, error) {
	set, err := x.Guard.LivePolicy(x.ctx, x.caller)
	if err != nil {
		return api.Bundle{}, err
	}
	b := api.Bundle{Digest: set.Digest()}
	for _, f := range set.Files() {
		b.Files = append(b.Files, api.PolicyFile{Path: f.Path, Text: string(f.Text)})
	}
	return b, nil
}

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
