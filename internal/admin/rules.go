package admin

import (
	"time"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/rules"
)

func bind(x *request, in api.Binding) (api.Bound, error) {
	why, err := reasonOf(api.Reason{Reason: in.Reason})
	if err != nil {
		return api.Bound{}, err
	}
	n := guard.NewBinding{Principal: in.Principal, Role: in.Role, Scope: in.Scope, Reason: why}
	switch rules.State(in.State) {
	case "", rules.Active:
	case rules.Eligible:
		n.Eligible = true
	default:
		return api.Bound{}, fault.New(fault.Invalid, "malformed", "state is active or eligible")
	}
	if n.TTL, err = ttlOf(in.TTL); err != nil {
		return api.Bound{}, err
	}
	if in.Expires != "" {
		if n.Until, err = readTime(in.Expires); err != nil || in.TTL != 0 {
			return api.Bound{}, fault.New(fault.Invalid, "malformed", "expires is a time such as 2026-11-24T17:00:00Z, and stands instead of ttl")
		}
	}
	made, got, err := x.Guard.Bind(x.ctx, x.caller, n)
	return api.Bound{Event: got.ID, Rev: got.Rev, Expires: when(made.ExpiresAt)}, err
}

// maxTTL is a hundred years, in seconds.
const maxTTL = 100 * 365 * 24 * 60 * 60

func ttlOf(seconds int64) (time.Duration, error) {
	if seconds < 0 || seconds > maxTTL {
		return 0, fault.New(fault.Invalid, "malformed", "ttl is a number of seconds, at most a hundred years")
	}
	return time.Duration(seconds) * time.Second, nil
}

func unbind(x *request, in api.Binding) (api.Done, error) {
	why, err := reasonOf(api.Reason{Reason: in.Reason})
	if err != nil {
		return api.Done{}, err
	}
	got, err := x.Guard.Unbind(x.ctx, x.caller, in.Principal, rules.Grant{Role: in.Role, Scope: in.Scope}, why)
	return api.Done{Event: got.ID, Rev: got.Rev}, err
}

func bindings(x *request, _ none) (api.List[api.Binding], error) {
	found, err := x.Guard.Bindings(x.ctx, x.caller, x.me(x.query.Get("principal")))
	return page(found, 0, bindingOf, nil), err
}

func bindingOf(b guard.Held) api.Binding {
	out := api.Binding{
		ID: b.ID, Principal: b.Principal, Role: b.Role, Scope: b.Scope, State: string(b.State), Expires: when(b.ExpiresAt),
		Reason: b.Reason, By: b.BoundBy, Created: when(b.CreatedAt),
	}
	for _, a := range b.Activations {
		out.Activations = append(out.Activations, api.Activation{By: a.Principal, Expires: when(a.Until), Reason: a.Reason, Created: when(a.At)})
	}
	return out
}

func activate(x *request, in api.Activation) (api.Bound, error) {
	why, err := reasonOf(api.Reason{Reason: in.Reason})
	if err != nil {
		return api.Bound{}, err
	}
	ttl, err := ttlOf(in.TTL)
	if err != nil {
		return api.Bound{}, err
	}
	made, got, err := x.Guard.Activate(x.ctx, x.caller, rules.Grant{Role: in.Role, Scope: in.Scope}, ttl, why)
	return api.Bound{Event: got.ID, Rev: got.Rev, Expires: when(made.Until)}, err
}

func deactivate(x *request, in api.Activation) (api.Done, error) {
	why, err := reasonOf(api.Reason{Reason: in.Reason})
	if err != nil {
		return api.Done{}, err
	}
	got, err := x.Guard.Deactivate(x.ctx, x.caller, rules.Grant{Role: in.Role, Scope: in.Scope}, why)
	return api.Done{Event: got.ID, Rev: got.Rev}, err
}

func listDuties(x *request, _ none) (api.List[api.DutySet], error) {
	found, err := x.Guard.Duties(x.ctx, x.caller)
	return page(found, 0, func(s guard.Duties) api.DutySet {
		return api.DutySet{Name: s.Name, Roles: s.Roles, Max: s.Max, Dynamic: s.Dynamic, Doc: s.Doc, By: s.ChangedBy, Changed: when(s.ChangedAt), Over: s.Over}
	}, nil), err
}

func setDuties(x *request, in api.SetDuties) (api.Done, error) {
	why, err := reasonOf(api.Reason{Reason: in.Reason})
	if err != nil {
		return api.Done{}, err
	}
	if in.Max == 0 {
		in.Max = 1
	}
	got, err := x.Guard.SetDuties(x.ctx, x.caller, rules.DutySet{Name: x.path("name"), Roles: in.Roles, Max: in.Max, Dynamic: in.Dynamic, Doc: in.Doc}, why)
	return api.Done{Event: got.ID, Rev: got.Rev}, err
}

func removeDuties(x *request, _ none) (api.Done, error) {
	got, err := x.Guard.RemoveDuties(x.ctx, x.caller, x.path("name"))
	return api.Done{Event: got.ID, Rev: got.Rev}, err
}
