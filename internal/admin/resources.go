package admin

import (
	"bytes"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/rules"
	"github.com/attorn/attorn/policy"
)

func resourceTypes(x *request, _ none) (api.List[api.ResourceType], error) {
	set, err := x.Guard.ResourceTypes(x.ctx, x.caller)
	if err != nil {
		return api.List[api.ResourceType]{}, err
	}
	return page(set.Types(), 0, resourceTypeOf, nil), nil
}

func oneResourceType(x *request, _ none) (api.ResourceType, error) {
	set, err := x.Guard.ResourceTypes(x.ctx, x.caller)
	if err != nil {
		return api.ResourceType{}, err
	}
	t := set.Type(x.path("name"))
	if t == nil {
		return api.ResourceType{}, fault.New(fault.NotFound, "unknown_type", "there is no such resource type").Try("see what there is: attorn resource type ls")
	}
	out := resourceTypeOf(t)
	for _, f := range set.Files() {
		if f.Path == t.Path() {
			out.Text = string(bytes.ToValidUTF8(f.Text, nil))
		}
	}
	return out, nil
}

func resourceTypeOf(t *policy.Type) api.ResourceType {
	out := api.ResourceType{
		Name: t.Name, Doc: t.Doc, Source: t.Source, Path: t.Path(), Parents: append([]string{}, t.Parents...), Actions: []api.ResourceVerb{}, Attributes: typesOf(t.Attributes),
	}
	for _, name := range t.ActionNames() {
		a := t.Actions[name]
		out.Actions = append(out.Actions, api.ResourceVerb{Name: name, Action: t.Action(name), Class: t.Class(name), Doc: a.Doc, Context: typesOf(a.Context)})
	}
	return out
}

func typesOf(attributes map[string]policy.Attribute) map[string]string {
	out := map[string]string{}
	for name, a := range attributes {
		out[name] = a.Type.String()
		if a.Optional {
			out[name] += "?"
		}
	}
	return out
}

func setResourceType(x *request, in api.SetResourceType) (api.ResourceType, error) {
	t, _, err := x.Guard.SetResourceType(x.ctx, x.caller, x.path("name"), []byte(in.Text))
	if err != nil {
		return api.ResourceType{}, err
	}
	out := resourceTypeOf(t)
	out.Text = in.Text
	return out, nil
}

func removeResourceType(x *request, _ none) (api.Done, error) {
	got, err := x.Guard.RemoveResourceType(x.ctx, x.caller, x.path("name"))
	return api.Done{Event: got.ID, Rev: got.Rev}, err
}

func listResources(x *request, _ none) (api.List[api.Resource], error) {
	limit, err := x.limit()
	if err != nil {
		return api.List[api.Resource]{}, err
	}
	found, err := x.Guard.Resources(x.ctx, x.caller, x.path("type"), x.query.Get("after"), limit)
	if err != nil {
		return api.List[api.Resource]{}, err
	}
	out := page(found, limit, func(r rules.Resource) api.Resource { return api.Resource{} }, func(r rules.Resource) string { return r.UID.ID })
	for i, r := range found {
		if out.Items[i], err = resourceOf(r); err != nil {
			return out, err
		}
	}
	return out, nil
}

func oneResource(x *request, _ none) (api.Resource, error) {
	r, err := x.Guard.Resource(x.ctx, x.caller, policy.UID{Type: x.query.Get("type"), ID: x.query.Get("id")})
	if err != nil {
		return api.Resource{}, err
	}
	return resourceOf(r)
}

func resourceOf(r rules.Resource) (api.Resource, error) {
	out := api.Resource{Type: r.UID.Type, ID: r.UID.ID, Principal: r.Principal, Changed: when(r.ChangedAt)}
	for _, p := range r.Parents {
		out.Parents = append(out.Parents, api.ResourceName(p))
	}
	return out, json.Unmarshal(r.Attrs, &out.Attributes)
}

func setResource(x *request, in api.Resource) (api.Done, error) {
	if in.Principal != "" || in.Changed != "" {
		return api.Done{}, fault.New(fault.Invalid, "malformed", "principal and changed are of answers: whom an object stands for is one of its attributes")
	}
	var parents []policy.UID
	for _, p := range in.Parents {
		parents = append(parents, policy.UID(p))
	}
	got, err := x.Guard.SetResource(x.ctx, x.caller, policy.UID{Type: in.Type, ID: in.ID}, parents, in.Attributes)
	return api.Done{Event: got.ID, Rev: got.Rev}, err
}

func removeResource(x *request, in api.ResourceName) (api.Done, error) {
	got, err := x.Guard.RemoveResource(x.ctx, x.caller, policy.UID(in))
	return api.Done{Event: got.ID, Rev: got.Rev}, err
}
