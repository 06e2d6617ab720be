package admin_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
)

var schemaChecks = map[string]check{
	"PolicySchema": {
		func(t *testing.T, w *world) {
			w.server("files")
			w.ok(only(w.priya.Bind(w.ctx, api.Binding{Principal: w.noor.User().String(), Role: "release-manager"})))
			w.ok(only(w.priya.Bind(w.ctx, api.Binding{Principal: w.agent("bot").ID().String(), Role: "release-manager"})))
			s, err := w.priya.PolicySchema(w.ctx, attorn.Page{})
			w.ok(err)
			var names []string
			for _, tool := range s.Tools {
				names = append(names, tool.Action)
				if (tool.Definition == nil) != (tool.Action == "tool:files:resources/read") || tool.Class == "" {
					t.Errorf("%+v", tool)
				}
			}
			if !slices.Contains(names, "tool:files:write") || !slices.Contains(names, "tool:files:resources/read") || !slices.IsSorted(names) {
				t.Errorf("tools %v", names)
			}
			if !slices.Contains(s.Roles, api.PolicyRole{Role: "release-manager", People: 1}) || !slices.Contains(s.Acts, "attorn:policy:read") {
				t.Errorf("roles %v, acts %v", s.Roles, s.Acts)
			}
			var paged []string
			for p := (attorn.Page{Limit: 1}); ; {
				s, err := w.priya.PolicySchema(w.ctx, p)
				w.ok(err)
				if len(s.Tools) > 1 || p.After != "" && len(s.Roles) > 0 {
					t.Errorf("a page of %+v", s)
				}
				for _, tool := range s.Tools {
					paged = append(paged, tool.Action)
				}
				if p.After = s.Next; s.Next == "" {
					break
				}
			}
			if !slices.Equal(paged, names) {
				t.Errorf("page by page %v, at once %v", paged, names)
			}
		},
		func(w *world) {
			w.refusal("by a stranger", "no_permit", w.noor.User(), func() error { return only(w.noor.PolicySchema(w.ctx, attorn.Page{})) })
		},
	},
}

// Every act that the door decides is one that policies can name.
func TestActsAreAll(t *testing.T) {
	files, err := filepath.Glob("../guard/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	act := regexp.MustCompile(`"(attorn:[a-z]+:[a-z]+)"`)
	known := api.Acts()
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range act.FindAllSubmatch(src, -1) {
			if name := string(m[1]); !slices.Contains(known, name) && !regexp.MustCompile(`_test\.go$`).MatchString(f) {
				t.Errorf("%s: %s is not in api.Acts", f, name)
			}
		}
	}
}
