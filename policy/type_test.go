package policy_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/policy"
)

const repoType = `name: repo
doc: A repository.
parents: [folder, repo]
source: stored
attributes:
  owner: {type: User}
  stars: {type: long, optional: true}
  topics: {type: set of string, optional: true}
  price: {type: decimal, optional: true}
  public: {type: bool, optional: true}
actions:
  read: {class: read}
  write:
    class: write
    context:
      branch: {type: string}
      force: {type: bool, optional: true}
  delete: {}
`

const folderType = "name: folder\nsource: stored\nactions: {list: {class: read}}\n"

func compileTypes(t testing.TB, files map[string]string) (*policy.Set, []policy.Problem) {
	t.Helper()
	all := policy.Shipped()
	for path, text := range files {
		all = append(all, policy.File{Path: path, Text: []byte(text)})
	}
	return policy.Compile(all)
}

func mustTypes(t testing.TB, files map[string]string) *policy.Set {
	t.Helper()
	set, problems := compileTypes(t, files)
	if set == nil {
		t.Fatal(problems)
	}
	return set
}

func TestTypesOfABundle(t *testing.T) {
	set := mustTypes(t, map[string]string{"types/repo.yaml": repoType, "store/types/folder.yaml": folderType})
	var names []string
	for _, typ := range set.Types() {
		names = append(names, typ.Name+" "+typ.Path())
	}
	if want := []string{"folder store/types/folder.yaml", "repo types/repo.yaml"}; !slices.Equal(names, want) {
		t.Errorf("%v, want %v", names, want)
	}
	repo := set.Type("repo")
	if got := repo.Shape("write").String(); got != `{ "branch": String, "force"?: Bool }` {
		t.Error(got)
	}
	if repo.Shape("fly") != nil || repo.Class("delete") != "destroy" || repo.Class("read") != "read" {
		t.Error("an action that there is not has a shape, or a class is lost")
	}
	if set.Digest() == mustTypes(t, map[string]string{"types/folder.yaml": folderType}).Digest() {
		t.Error("types do not enter the digest")
	}
}

func TestTypesThatAreNone(t *testing.T) {
	for name, c := range map[string]struct{ path, text, code string }{
		"another path":        {"types/x.yaml", folderType, "bad_path"},
		"a name of Cedar's":   {"types/Record.yaml", "name: Record\nsource: stored\nactions: {a: {}}\n", "bad_type"},
		"a name of attorn's":  {"types/User.yaml", "name: User\nsource: stored\nactions: {a: {}}\n", "bad_type"},
		"tool":                {"types/tool.yaml", "name: tool\nsource: stored\nactions: {a: {}}\n", "bad_type"},
		"attorn":              {"types/attorn.yaml", "name: attorn\nsource: stored\nactions: {a: {}}\n", "bad_type"},
		"no actions":          {"types/a.yaml", "name: a\nsource: stored\nactions: {}\n", "bad_type"},
		"no source":           {"types/a.yaml", "name: a\nactions: {a: {}}\n", "bad_type"},
		"a colon":             {"types/a.yaml", "name: a\nsource: stored\nactions: {\"a:b\": {}}\n", "bad_type"},
		"a star":              {"types/a.yaml", "name: a\nsource: stored\nactions: {\"*\": {}}\n", "bad_type"},
		"unknown class":       {"types/a.yaml", "name: a\nsource: stored\nactions: {b: {class: raed}}\n", "bad_type"},
		"unknown key":         {"types/a.yaml", "name: a\nsource: stored\nactions: {b: {clas: read}}\n", "unknown_key"},
		"unknown value type":  {"types/a.yaml", "name: a\nsource: stored\nattributes: {x: {type: set of set of string}}\nactions: {b: {}}\n", "syntax"},
		"no value type":       {"types/a.yaml", "name: a\nsource: stored\nattributes: {x: {optional: true}}\nactions: {b: {}}\n", "bad_type"},
		"unknown type":        {"types/a.yaml", "name: a\nsource: stored\nattributes: {x: {type: nowhere}}\nactions: {b: {}}\n", "unknown_type"},
		"unknown parent":      {"types/a.yaml", "name: a\nsource: stored\nparents: [nowhere]\nactions: {b: {}}\n", "unknown_type"},
		"an entity in args":   {"types/a.yaml", "name: a\nsource: stored\nactions: {b: {context: {x: {type: User}}}}\n", "bad_type"},
		"an asserted alias":   {"types/a.yaml", "name: a\nsource: request\nprincipal: x\nattributes: {x: {type: User}}\nactions: {b: {}}\n", "bad_type"},
		"an alias of texts":   {"types/a.yaml", "name: a\nsource: stored\nprincipal: x\nattributes: {x: {type: string}}\nactions: {b: {}}\n", "bad_type"},
		"an alias of many":    {"types/a.yaml", "name: a\nsource: stored\nprincipal: x\nattributes: {x: {type: set of User}}\nactions: {b: {}}\n", "bad_type"},
		"an alias of nothing": {"types/a.yaml", "name: a\nsource: stored\nprincipal: x\nactions: {b: {}}\n", "bad_type"},
		"beside the place":    {"types/deep/a.yaml", folderType, "bad_path"},
		"no YAML":             {"types/a.yaml", "name: [", "syntax"},
		"an anchor":           {"types/a.yaml", "name: &a a\n", "syntax"},
	} {
		t.Run(name, func(t *testing.T) {
			set, problems := compileTypes(t, map[string]string{c.path: c.text})
			if set != nil || len(problems) == 0 || problems[0].Code != c.code {
				t.Errorf("%v, want %s", problems, c.code)
			}
		})
	}
	if set, problems := compileTypes(t, map[string]string{"types/folder.yaml": folderType, "store/types/folder.yaml": folderType}); set != nil || problems[0].Code != "duplicate_type" {
		t.Errorf("%v", problems)
	}
}

func TestObjectsOfAType(t *testing.T) {
	set := mustTypes(t, map[string]string{"types/repo.yaml": repoType, "types/folder.yaml": folderType})
	repo := set.Type("repo")
	ann := id.New[id.User](time.UnixMilli(1)).String()
	e, err := repo.Entity("acme/api", []policy.UID{{Type: "folder", ID: "f"}},
		[]byte(fmt.Sprintf(`{"owner":%q,"stars":3,"topics":["a","b"],"price":1.5,"public":true,"unknown":[null]}`, ann)))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"owner": policy.UID{Type: "User", ID: ann}, "stars": int64(3), "topics": []any{"a", "b"}, "price": policy.Decimal("1.5"), "public": true}
	if fmt.Sprint(e.Attrs) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", e.Attrs, want)
	}
	for name, c := range map[string]struct{ properties, code string }{
		"without the owner":    {`{}`, "schema"},
		"nothing":              {``, "schema"},
		"no user":              {`{"owner":"ann"}`, "schema"},
		"an agent":             {fmt.Sprintf(`{"owner":%q}`, id.New[id.Agent](time.UnixMilli(1))), "schema"},
		"null":                 {`{"owner":null}`, "schema"},
		"a fraction":           {fmt.Sprintf(`{"owner":%q,"stars":1.5}`, ann), "schema"},
		"beyond what JSON can": {fmt.Sprintf(`{"owner":%q,"stars":9007199254740993}`, ann), "schema"},
		"five places":          {fmt.Sprintf(`{"owner":%q,"price":1.00001}`, ann), "schema"},
		"one for many":         {fmt.Sprintf(`{"owner":%q,"topics":"a"}`, ann), "schema"},
		"numbers for texts":    {fmt.Sprintf(`{"owner":%q,"topics":[1]}`, ann), "schema"},
		"twice":                {fmt.Sprintf(`{"owner":%q,"owner":%q}`, ann, ann), "malformed"},
		"a list":               {`[]`, "malformed"},
		"large":                {`{"x":"` + strings.Repeat("x", 17<<10) + `"}`, "too_large"},
	} {
		if _, err := repo.Entity("x", nil, []byte(c.properties)); fault.Code(err) != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
	if _, err := repo.Entity("x", []policy.UID{{Type: "User", ID: "x"}}, []byte(fmt.Sprintf(`{"owner":%q}`, ann))); fault.Code(err) != "schema" {
		t.Errorf("in what it cannot be in: %v", err)
	}
	if _, err := repo.Entity("", nil, []byte(fmt.Sprintf(`{"owner":%q}`, ann))); fault.Code(err) != "schema" {
		t.Errorf("without an id: %v", err)
	}
}

// on is a request of Ann's about a repository.
func on(t testing.TB, set *policy.Set, ann, object, action, context string) policy.Facts {
	t.Helper()
	repo := set.Type("repo")
	e, err := repo.Entity(object, nil, []byte(fmt.Sprintf(`{"owner":%q,"topics":["x"],"price":2}`, ann)))
	if err != nil {
		t.Fatal(err)
	}
	args, err := repo.Context(action, []byte(context))
	if err != nil {
		t.Fatal(err)
	}
	u := policy.UID{Type: "User", ID: ann}
	return policy.Facts{
		Principals: []policy.UID{u}, Action: repo.Action(action), ActionParents: policy.ActionParents(repo.Action(action), repo.Class(action)),
		Resource: e.UID, Arguments: args, Now: 1, Entities: []policy.Entity{e, {UID: u}},
	}
}

func TestDecisionsOnOwnTypes(t *testing.T) {
	ann := id.New[id.User](time.UnixMilli(1)).String()
	set := mustTypes(t, map[string]string{"types/repo.yaml": repoType, "types/folder.yaml": folderType, "policies/p.cedar": `
@id("owner") permit (principal, action, resource is repo) when { resource.owner == principal && resource.topics.contains("x") && resource.price.greaterThan(decimal("1.0")) };
@id("api") permit (principal, action, resource) when { context.perm.n == 3 && context.perm.s0 == "repo" && context.perm.s1 == "acme/api" && context.perm.s2 == "write" };
@id("read") permit (principal, action in Action::"read", resource is repo);
@id("main") forbid (principal, action == Action::"repo:write", resource) when { context.args.branch == "main" };
`})
	zoe := id.New[id.User](time.UnixMilli(2)).String()
	for name, c := range map[string]struct{ who, object, action, context, outcome, code string }{
		"the owner's":          {ann, "x", "write", `{"branch":"b"}`, "permit", ""},
		"a forbid on context":  {ann, "x", "write", `{"branch":"main"}`, "deny", "forbidden"},
		"without the context":  {ann, "x", "write", `{}`, "deny", "schema"},
		"another type of it":   {ann, "x", "write", `{"branch":1}`, "deny", "schema"},
		"unknown context":      {ann, "x", "write", `{"branch":"b","more":1}`, "permit", ""},
		"by permission":        {zoe, "acme/api", "write", `{"branch":"b"}`, "permit", ""},
		"the id beside":        {zoe, "acme/apis", "write", `{"branch":"b"}`, "deny", "no_permit"},
		"an id with a colon":   {zoe, "acme/api:write", "write", `{"branch":"b"}`, "deny", "no_permit"},
		"another action":       {zoe, "acme/api", "delete", `{}`, "deny", "no_permit"},
		"by class":             {zoe, "x", "read", `{}`, "permit", ""},
		"outside the alphabet": {zoe, "acme/{api}", "write", `{"branch":"b"}`, "deny", "no_permit"},
	} {
		t.Run(name, func(t *testing.T) {
			f := on(t, set, ann, c.object, c.action, c.context)
			f.Principals[0].ID, f.Entities[1].UID.ID = c.who, c.who
			d := policy.Decide(set, set.ShapeOf(f), f, nil)
			if string(d.Outcome) != c.outcome || d.Code != c.code {
				t.Errorf("%s %s: %s", d.Outcome, d.Code, d.Message)
			}
			raw, err := f.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			again, err := policy.ParseFacts(raw)
			if err != nil {
				t.Fatal(err)
			}
			if e := policy.Decide(set, set.ShapeOf(again), again, nil); e.Outcome != d.Outcome || e.Code != d.Code {
				t.Errorf("read back: %s %s", e.Outcome, e.Code)
			}
		})
	}
}

func TestPermissionOf(t *testing.T) {
	for _, c := range []struct{ action, typ, id, want string }{
		{"repo:write", "repo", "acme/api", "repo:acme/api:write"},
		{"repo:write", "repo", "a:b", ""},
		{"repo:write", "folder", "x", "repo:write"},
		{"tool:files:read", "Tool", "files:read", "tool:files:read"},
		{"attorn:role:bind", "Noun", "workspace", "attorn:role:bind"},
		{"tool:x", "tool", "y", "tool:x"},
	} {
		if got := policy.PermissionOf(c.action, policy.UID{Type: c.typ, ID: c.id}); got != c.want {
			t.Errorf("%s on %s: %q, want %q", c.action, c.id, got, c.want)
		}
	}
}

func FuzzParseType(f *testing.F) {
	f.Add([]byte(repoType))
	f.Add([]byte(folderType))
	f.Fuzz(func(t *testing.T, text []byte) {
		typ, p := policy.ParseType("types/repo.yaml", text)
		if (typ == nil) != (p != nil) {
			t.Fatal("neither a type nor a problem")
		}
		if typ == nil {
			return
		}
		raw, err := json.Marshal(typ)
		if err != nil || !policy.GoodType(typ.Name) {
			t.Fatal(string(raw), err)
		}
		for _, a := range typ.ActionNames() {
			if policy.ActionParents(typ.Action(a), typ.Class(a)) == nil {
				t.Fatalf("%s is no permission", typ.Action(a))
			}
		}
	})
}
