package admin

import (
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/internal/guard"
)

func permissions(x *request, _ none) (api.List[api.EffectivePermission], error) {
	found, err := x.Guard.Effective(x.ctx, x.caller, x.me(x.path("principal")))
	return page(found, 0, func(e guard.Effective) api.EffectivePermission {
		return api.EffectivePermission{
			Permission: e.Permission.Permission, Where: e.Permission.Where, Deny: e.Deny, Class: e.Class, Scope: e.Scope,
			Role: e.Role, Path: e.Path, Group: e.Group, DeniedBy: e.DeniedBy,
		}
	}, nil), err
}
