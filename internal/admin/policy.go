package admin

import (
	"slices"
	"strings"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/internal/catalog"
)

// maxDefinitions is how many bytes of definitions a page of a schema has, and one definition more.
const maxDefinitions = 1 << 20

func policySchema(x *request, _ none) (api.PolicySchema, error) {
	limit, err := x.limit()
	if err != nil {
		return api.PolicySchema{}, err
	}
	all, err := x.Guard.Callable(x.ctx, x.caller)
	if err != nil {
		return api.PolicySchema{}, err
	}
	after := x.query.Get("after")
	out := api.PolicySchema{Tools: []api.PolicyTool{}, Roles: []api.PolicyRole{}, Acts: []string{}}
	if after == "" {
		if err := x.vocabulary(&out); err != nil {
			return api.PolicySchema{}, err
		}
	}
	size := 0
	for i, t := range slices.DeleteFunc(all, func(t catalog.Tool) bool { return t.Action() <= after }) {
		if i == limit || size > maxDefinitions {
			out.Next = out.Tools[i-1].Action
			break
		}
		size += len(t.Definition)
		out.Tools = append(out.Tools, api.PolicyTool{Action: t.Action(), Class: t.Class, Definition: t.Definition})
	}
	return out, nil
}

// vocabulary fills in what policies can name beside tools.
func (x *request) vocabulary(out *api.PolicySchema) error {
	people, err := x.Guard.Holders(x.ctx, x.caller)
	if err != nil {
		return err
	}
	for role, n := range people {
		out.Roles = append(out.Roles, api.PolicyRole{Role: role, People: n})
	}
	slices.SortFunc(out.Roles, func(a, b api.PolicyRole) int { return strings.Compare(a.Role, b.Role) })
	out.Acts = api.Acts()
	return nil
}
