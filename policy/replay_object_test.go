package policy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/policy"
)

// unpinned is a record of a service's own action: no definition of a tool has its shape.
type unpinned struct{ *kept }

func (unpinned) Shape() (*policy.Shape, error) { return nil, policy.ErrErased }

// What a service's own action was told has the shape that the types of the bundle give it: then that one's, now the candidate's.
func TestReplayOfOwnTypes(t *testing.T) {
	const gate = `@id("all") permit (principal, action, resource is repo);
@id("main") forbid (principal, action == Action::"repo:write", resource) when { context.args.branch == "main" };`
	files := func(typ, text string) map[string]string {
		return map[string]string{"types/repo.yaml": typ, "types/folder.yaml": folderType, "policies/p.cedar": text}
	}
	then := mustTypes(t, files(repoType, gate))
	ann := id.New[id.User](time.UnixMilli(1)).String()
	for name, c := range map[string]struct {
		typ, text                  string
		permitted, denied, lacking int
	}{
		"the same":                      {repoType, gate, 0, 0, 0},
		"nothing is forbidden":          {repoType, strings.SplitAfter(gate, ";")[0], 1, 0, 0},
		"another branch":                {repoType, gate + `@id("b") forbid (principal, action, resource) when { context has args && context.args has branch && context.args.branch == "b" };`, 0, 1, 0},
		"what is told has another type": {strings.Replace(repoType, "branch: {type: string}", "branch: {type: long}", 1), strings.SplitAfter(gate, ";")[0], 0, 1, 0},
		"it is told something else":     {strings.Replace(repoType, "branch: {type: string}", "name: {type: string}", 1), strings.SplitAfter(gate, ";")[0], 0, 1, 0},
	} {
		candidate, problems := compileTypes(t, files(c.typ, c.text))
		if candidate == nil {
			t.Fatal(name, problems)
		}
		replay := policy.NewReplay(candidate)
		for i, branch := range []string{"main", "b"} {
			f := on(t, then, ann, "acme/api", "write", `{"branch":"`+branch+`"}`)
			k := &kept{facts: f, set: then}
			p := past(t, int64(i), k, policy.Decide(then, then.ShapeOf(f), f, nil))
			p.Inputs = unpinned{k}
			if err := replay.Add(p); err != nil {
				t.Fatal(err)
			}
		}
		bare := on(t, then, ann, "acme/api", "read", `{}`)
		k := &kept{facts: bare, set: then}
		d := policy.Decide(then, then.ShapeOf(bare), bare, nil)
		k.facts.Arguments = nil // the log keeps no empty object
		p := past(t, 2, k, d)
		p.Inputs = unpinned{k}
		if err := replay.Add(p); err != nil {
			t.Fatal(err)
		}
		if o := replay.Outlook(); o.Permitted != c.permitted || o.Denied != c.denied || o.Lacking != c.lacking || o.Unexplained != 0 {
			t.Errorf("%s: %+v", name, o)
		}
	}
}
