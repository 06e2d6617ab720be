package arch_test

import (
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

var (
	demandRow = regexp.MustCompile(`(?m)^\| [0-9][^|]*\|[^|]+\|([^|]+)\|$`)
	proofName = regexp.MustCompile("`([\\w/]+)\\.(Test\\w+)(?:/([^`]+))?`")
	departure = regexp.MustCompile(`divergences\.md: (.+?)(?:, ` + "`" + `|\s*$)`)
)

// Every demand of an RFC has a test that exists, or an entry among the divergences.
func TestEveryDemandIsProved(t *testing.T) {
	root := os.DirFS("../..")
	page, divergences := text(t, root, "docs/reference/rfc-musts.md"), text(t, root, "docs/divergences.md")
	for _, rfc := range []string{"8693", "9449", "8707", "9068", "9207", "7636", "8414", "9728"} {
		_, part, found := strings.Cut(page, "\n## RFC "+rfc+":")
		part, _, _ = strings.Cut(part, "\n## ")
		rows := demandRow.FindAllStringSubmatch(part, -1)
		if !found || len(rows) < 5 || len(rows) != strings.Count(part, "\n|")-2 {
			t.Errorf("RFC %s: %d rows of %d lines can be read", rfc, len(rows), strings.Count(part, "\n|"))
		}
		for _, row := range rows {
			proofs, departs := proofName.FindAllStringSubmatch(row[1], -1), departure.FindStringSubmatch(row[1])
			if len(proofs) == 0 && departs == nil {
				t.Errorf("RFC %s: nothing proves %q", rfc, row[0])
			}
			for _, p := range proofs {
				if why := unproved(t, root, p[1], p[2], p[3]); why != "" {
					t.Errorf("RFC %s: %s: %s", rfc, p[0], why)
				}
			}
			if departs != nil && !strings.Contains(divergences, "**"+departs[1]) {
				t.Errorf("RFC %s: docs/divergences.md has no entry that begins with **%s", rfc, departs[1])
			}
		}
	}
}

// unproved says what does not exist of a test and its case: a text of the package's tests, the id of a vector, or the name of a script.
func unproved(t *testing.T, root fs.FS, pkg, test, one string) string {
	if pkg == "attorn" {
		pkg = "."
	}
	var tests strings.Builder
	files, err := fs.Glob(root, path.Join(pkg, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		tests.WriteString(text(t, root, name))
	}
	switch all := tests.String(); {
	case !strings.Contains(all, "\nfunc "+test+"(t *testing.T)"):
		return "there is no such test"
	case one == "" || strings.Contains(all, `"`+one+`"`):
		return ""
	case test == "TestScript":
		if _, err := fs.Stat(root, path.Join(pkg, "testdata/script", one+".txtar")); err == nil {
			return ""
		}
	case test == "TestVectors":
		files, err := fs.Glob(root, "vectors/"+path.Base(pkg)+"/*.json")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if strings.Contains(text(t, root, name), `"id": "`+one+`"`) {
				return ""
			}
		}
	}
	return "there is no such case"
}

func text(t *testing.T, root fs.FS, name string) string {
	t.Helper()
	raw, err := fs.ReadFile(root, name)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
