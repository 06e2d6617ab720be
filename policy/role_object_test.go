package policy_test

import (
	"testing"
	"time"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/policy"
)

// A role's constraints hold for services' own objects as for tools: the permission that they stand with names the object.
func TestConstraintsOnOwnTypes(t *testing.T) {
	set := mustTypes(t, map[string]string{
		"types/repo.yaml": repoType, "types/folder.yaml": folderType,
		"roles/writer.yaml":  "permissions: [{ permission: \"repo:acme/*:write\", where: { branch: { prefix: feature/ } } }]\n",
		"roles/careful.yaml": "permissions: [\"repo:*:write\"]\ndeny: [{ permission: \"repo:acme/api:*\", where: { branch: { equals: main } } }]\n",
	})
	ann := id.New[id.User](time.UnixMilli(1)).String()
	for _, c := range []struct{ role, object, branch, code string }{
		{"writer", "acme/api", "feature/x", ""},
		{"writer@repo:acme/api", "acme/api", "feature/x", ""},
		{"writer@repo:acme/api", "acme/web", "feature/x", "no_permit"},
		{"writer", "acme/api", "main", "no_permit"},
		{"writer", "other/api", "feature/x", "no_permit"},
		{"writer", "acme/a:b", "feature/x", "no_permit"},
		{"careful", "acme/api", "feature/x", ""},
		{"careful", "acme/api", "main", "forbidden"},
		{"careful", "acme/web", "main", ""},
		{"careful@repo:acme/api", "acme/api", "main", "forbidden"},
	} {
		f := on(t, set, ann, c.object, "write", `{"branch":"`+c.branch+`"}`)
		f.Entities[1].Parents = []policy.UID{{Type: "Role", ID: c.role}}
		if d := policy.Decide(set, set.ShapeOf(f), f, nil); d.Code != c.code || (d.Outcome == policy.Permit) != (c.code == "") {
			t.Errorf("%s writes %s of %s: %s %s %s", c.role, c.branch, c.object, d.Outcome, d.Code, d.Message)
		}
	}
}
