package admin_test

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

const (
	repoType = `name: repo
source: stored
parents: [folder]
attributes:
  owner: {type: User, optional: true}
  status: {type: string, optional: true}
actions:
  read: {class: read}
  write: {class: write, context: {force: {type: bool, optional: true}}}
`
	folderType = "name: folder\nsource: stored\nparents: [folder]\nactions: {list: {class: read}}\n"
	userType   = "name: user\nsource: stored\nprincipal: is\nattributes: {is: {type: User, optional: true}, role: {type: string, optional: true}}\nactions: {see: {class: read}}\n"
)

// types makes resource types of their files.
func (w *world) types(texts ...string) {
	w.t.Helper()
	for _, text := range texts {
		name, _, _ := strings.Cut(strings.TrimPrefix(text, "name: "), "\n")
		_, err := w.priya.SetResourceType(w.ctx, name, text)
		w.ok(err)
	}
}

// keep keeps a resource; attributes are names and values, as texts.
func (w *world) keep(of, object string, attributes ...string) {
	w.t.Helper()
	r := api.Resource{Type: of, ID: object, Attributes: map[string]jsontext.Value{}}
	for i := 0; i < len(attributes); i += 2 {
		r.Attributes[attributes[i]] = jsontext.Value(`"` + attributes[i+1] + `"`)
	}
	_, err := w.priya.SetResource(w.ctx, r)
	w.ok(err)
}

func (w *world) stranger(do func(person) error) {
	w.t.Helper()
	w.refusal("by a stranger", "no_permit", w.noor.User(), func() error { return do(w.noor) })
}

var resourceChecks = map[string]check{
	"SetResourceType": {
		func(t *testing.T, w *world) {
			w.types(folderType, repoType)
			before, err := w.priya.Policy(w.ctx)
			w.ok(err)
			if _, err := w.priya.Publish(w.ctx, api.Publish{Files: []api.PolicyFile{{Path: "policies/a.cedar", Text: `@id("a") permit (principal, action in Action::"repo:*", resource is repo);`}}}); err != nil {
				t.Fatal(err)
			}
			got, err := w.priya.ResourceType(w.ctx, "repo")
			w.ok(err)
			if got.Path != "store/types/repo.yaml" || got.Text != repoType || got.Attributes["owner"] != "User?" || got.Actions[1].Action != "repo:write" || got.Actions[1].Context["force"] != "bool?" {
				t.Errorf("%+v", got)
			}
			after, err := w.priya.Policy(w.ctx)
			w.ok(err)
			if len(after.Files) != len(before.Files)+1 {
				t.Errorf("publishing a directory kept %d of %d files", len(after.Files)-1, len(before.Files))
			}
		},
		func(w *world) {
			w.stranger(func(p person) error { return only(p.SetResourceType(w.ctx, "repo", folderType)) })
			w.refusal("under another name", "policy_invalid", id.User{}, func() error { return only(w.priya.SetResourceType(w.ctx, "repo", folderType)) })
			w.refusal("of a type that there is not", "policy_invalid", id.User{}, func() error { return only(w.priya.SetResourceType(w.ctx, "repo", repoType)) })
			_, err := w.priya.Publish(w.ctx, api.Publish{Files: []api.PolicyFile{{Path: "types/folder.yaml", Text: folderType}}})
			w.ok(err)
			w.refusal("of a published type", "type_published", id.User{}, func() error { return only(w.priya.SetResourceType(w.ctx, "folder", folderType)) })
			w.refusal("published below store/", "bad_path", id.User{}, func() error {
				return only(w.priya.Publish(w.ctx, api.Publish{Files: []api.PolicyFile{{Path: "store/types/folder.yaml", Text: folderType}}}))
			})
		},
	},
	"RemoveResourceType": {
		func(t *testing.T, w *world) {
			w.types(folderType)
			_, err := w.priya.RemoveResourceType(w.ctx, "folder")
			w.ok(err)
			if _, err = w.priya.ResourceType(w.ctx, "folder"); fault.Code(err) != "unknown_type" {
				t.Error(err)
			}
		},
		func(w *world) {
			w.types(folderType, repoType)
			w.keep("repo", "a")
			w.stranger(func(p person) error { return only(p.RemoveResourceType(w.ctx, "repo")) })
			w.refusal("with objects", "type_in_use", id.User{}, func() error { return only(w.priya.RemoveResourceType(w.ctx, "repo")) })
			w.refusal("that others are in", "policy_invalid", id.User{}, func() error { return only(w.priya.RemoveResourceType(w.ctx, "folder")) })
			w.refusal("that there is not", "unknown_type", id.User{}, func() error { return only(w.priya.RemoveResourceType(w.ctx, "none")) })
		},
	},
	"ResourceTypes": {
		func(t *testing.T, w *world) {
			w.types(folderType)
			all, err := w.priya.ResourceTypes(w.ctx)
			w.ok(err)
			if len(all.Items) != 1 || all.Items[0].Name != "folder" || all.Items[0].Source != "stored" {
				t.Errorf("%+v", all)
			}
		},
		func(w *world) { w.stranger(func(p person) error { return only(p.ResourceTypes(w.ctx)) }) },
	},
	"ResourceType": {
		func(t *testing.T, w *world) {
			w.types(folderType)
			got, err := w.priya.ResourceType(w.ctx, "folder")
			w.ok(err)
			if got.Text != folderType || got.Actions[0].Class != "read" {
				t.Errorf("%+v", got)
			}
		},
		func(w *world) { w.stranger(func(p person) error { return only(p.ResourceType(w.ctx, "folder")) }) },
	},
	"SetResource": {
		func(t *testing.T, w *world) {
			w.types(folderType, repoType, userType)
			w.keep("folder", "acme")
			w.keep("user", "noor", "is", w.noor.User().String(), "role", "x")
			_, err := w.priya.SetResource(w.ctx, api.Resource{Type: "repo", ID: "/a b/{c}", Parents: []api.ResourceName{{Type: "folder", ID: "acme"}}})
			w.ok(err)
			got, err := w.priya.Resource(w.ctx, "repo", "/a b/{c}")
			w.ok(err)
			if len(got.Parents) != 1 || len(got.Attributes) != 0 {
				t.Errorf("%+v", got)
			}
			if noor, err := w.priya.Resource(w.ctx, "user", "noor"); err != nil || noor.Principal != w.noor.User().String() {
				t.Errorf("%+v, %v", noor, err)
			}
		},
		func(w *world) {
			w.types(folderType, repoType, userType)
			w.keep("user", "noor", "is", w.noor.User().String())
			set := func(r api.Resource) func() error { return func() error { return only(w.priya.SetResource(w.ctx, r)) } }
			w.stranger(func(p person) error { return only(p.SetResource(w.ctx, api.Resource{Type: "repo", ID: "a"})) })
			w.refusal("of no type", "unknown_type", id.User{}, set(api.Resource{Type: "none", ID: "a"}))
			w.refusal("without an id", "schema", id.User{}, set(api.Resource{Type: "repo"}))
			w.refusal("with two lines", "object_invalid", id.User{}, set(api.Resource{Type: "repo", ID: "a\nb"}))
			w.refusal("with another attribute", "schema", id.User{}, set(api.Resource{Type: "repo", ID: "a", Attributes: map[string]jsontext.Value{"x": jsontext.Value("1")}}))
			w.refusal("with one of another type", "schema", id.User{}, set(api.Resource{Type: "repo", ID: "a", Attributes: map[string]jsontext.Value{"status": jsontext.Value("1")}}))
			w.refusal("in what is not there", "not_found", id.User{}, set(api.Resource{Type: "repo", ID: "a", Parents: []api.ResourceName{{Type: "folder", ID: "x"}}}))
			w.refusal("in what it cannot be in", "schema", id.User{}, set(api.Resource{Type: "repo", ID: "a", Parents: []api.ResourceName{{Type: "user", ID: "noor"}}}))
			w.refusal("somebody else's", "principal_taken", id.User{}, set(api.Resource{Type: "user", ID: "n2", Attributes: map[string]jsontext.Value{"is": jsontext.Value(`"` + w.noor.User().String() + `"`)}}))
			w.refusal("nobody's", "not_found", id.User{}, set(api.Resource{Type: "user", ID: "n2", Attributes: map[string]jsontext.Value{"is": jsontext.Value(`"` + id.New[id.User](w.now()).String() + `"`)}}))
		},
	},
	"RemoveResource": {
		func(t *testing.T, w *world) {
			w.types(folderType)
			w.keep("folder", "a")
			_, err := w.priya.RemoveResource(w.ctx, "folder", "a")
			w.ok(err)
			if _, err := w.priya.Resource(w.ctx, "folder", "a"); fault.Code(err) != "not_found" {
				t.Error(err)
			}
		},
		func(w *world) {
			w.types(folderType)
			w.stranger(func(p person) error { return only(p.RemoveResource(w.ctx, "folder", "a")) })
			w.refusal("that there is not", "not_found", id.User{}, func() error { return only(w.priya.RemoveResource(w.ctx, "folder", "a")) })
		},
	},
	"Resources": {
		func(t *testing.T, w *world) {
			w.types(folderType)
			for _, name := range []string{"c", "a", "b"} {
				w.keep("folder", name)
			}
			first, err := w.priya.Resources(w.ctx, "folder", attorn.Page{Limit: 2})
			w.ok(err)
			rest, err := w.priya.Resources(w.ctx, "folder", attorn.Page{Limit: 2, After: first.Next})
			w.ok(err)
			if len(first.Items) != 2 || first.Items[0].ID != "a" || len(rest.Items) != 1 || rest.Items[0].ID != "c" || rest.Next != "" {
				t.Errorf("%+v, %+v", first, rest)
			}
		},
		func(w *world) {
			w.types(strings.Replace(folderType, "stored\nparents: [folder]", "request", 1))
			w.stranger(func(p person) error { return only(p.Resources(w.ctx, "folder", attorn.Page{})) })
			w.refusal("that are not kept", "type_unkept", id.User{}, func() error { return only(w.priya.Resources(w.ctx, "folder", attorn.Page{})) })
		},
	},
	"Resource": {
		func(t *testing.T, w *world) {
			w.types(folderType, repoType)
			w.keep("repo", "a", "status", "x")
			got, err := w.priya.Resource(w.ctx, "repo", "a")
			w.ok(err)
			if string(got.Attributes["status"]) != `"x"` || got.Changed == "" {
				t.Errorf("%+v", got)
			}
		},
		func(w *world) {
			w.types(folderType)
			w.stranger(func(p person) error { return only(p.Resource(w.ctx, "folder", "a")) })
			w.refusal("that there is not", "not_found", id.User{}, func() error { return only(w.priya.Resource(w.ctx, "folder", "a")) })
		},
	},
}
