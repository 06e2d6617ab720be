package arch_test

import (
	_ "embed"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/attorn/attorn/internal/arch"
)

//go:embed arch.txt
var policy string

func TestEveryLineKeepsToItsRoom(t *testing.T) {
	p, err := arch.Parse(policy)
	if err != nil {
		t.Fatal(err)
	}
	found, err := p.Check(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Error(f)
	}
}

func TestEveryLinkLeadsSomewhere(t *testing.T) {
	found, err := arch.Links(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Error(f)
	}
}

// The page of dependencies names what is depended on directly, no more and no less.
func TestEveryDependencyHasItsReason(t *testing.T) {
	named := rows(t, "../../docs/dependencies.md", "(?m)^\\| `([^`]+)` \\|")
	used := rows(t, "../../go.mod", `(?m)^\t(\S+) v\S+$`) // an indirect one has a comment
	maps.Copy(used, rows(t, "../../demo/package.json", `"(@[^"]+/[^"]+)": "`))
	maps.Copy(used, rows(t, "../../internal/console/testdata/browser/package.json", `(?m)^    "([^"]+)": "[0-9.]+",?$`))
	maps.Copy(used, rows(t, "../../interop/package.json", `(?m)^    "([^"]+)": "[0-9][^"]*",?$`))
	// A tool's module is the require line that its package begins with; all of them are indirect there.
	tools := rows(t, "../../tools/go.mod", `(?m)^\t(\S+)$`)
	for module := range rows(t, "../../tools/go.mod", `(?m)^\t(\S+) v\S+ // indirect$`) {
		for tool := range tools {
			if tool == module || strings.HasPrefix(tool, module+"/") {
				used[module] = true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(used)) {
		if !named[name] {
			t.Errorf("%s is used, but docs/dependencies.md does not say why", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		if !used[name] {
			t.Errorf("docs/dependencies.md gives a reason for %s, which nothing uses", name)
		}
	}
}

// rows are the first groups of all matches in a file.
func rows(t *testing.T, file, pattern string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
		all[m[1]] = true
	}
	if len(all) == 0 {
		t.Fatalf("%s: nothing matches %s", file, pattern)
	}
	return all
}
