package arch_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/attorn/attorn/internal/arch"
)

// tree is a small module that breaks nothing; a case lays its files over it.
var tree = map[string]string{
	"internal/db/migrations/1.sql": "CREATE TABLE agent (id TEXT);\ncreate table if not exists mcp_tool (id TEXT);\n",
	"internal/db/doc.go":           "// Package db is the base.\n//\n// Tables: schema_version.\npackage db\nimport (\n_ \"modernc.org/sqlite\"\n_ \"os\"\n_ \"net\"\n)\nconst v = `CREATE TABLE IF NOT EXISTS schema_version (n INTEGER)`",
	"internal/agents/doc.go":       "// Package agents holds agents.\n//\n// Tables: agent.\npackage agents\nimport _ \"github.com/attorn/attorn/internal/db\"",
	"internal/catalog/doc.go":      "// Package catalog holds tools.\n//\n// Tables: mcp_tool.\npackage catalog",
	"id/id.go":                     "package id\nimport (\n_ \"time\"\n_ \"github.com/attorn/attorn/fault\"\n)",
	"fault/fault.go":               "package fault",
	"tools/go.mod":                 "module elsewhere",
	"tools/x.go":                   "package x\nimport _ \"example.com/anything\"",
	"id/testdata/x.go":             "package x\nimport _ \"example.com/anything\"",
}

// lay puts over onto the tree.
func lay(over map[string]string) fstest.MapFS {
	all := maps.Clone(tree)
	maps.Copy(all, over)
	fsys := fstest.MapFS{}
	for name, text := range all {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

func imports(paths ...string) string {
	var b strings.Builder
	b.WriteString("package p\n")
	for _, p := range paths {
		b.WriteString("import _ \"" + p + "\"\n")
	}
	return b.String()
}

const ours = "github.com/attorn/attorn"

func TestTheCheckerSeesEachViolation(t *testing.T) {
	p, err := arch.Parse(policy)
	if err != nil {
		t.Fatal(err)
	}
	stmt := func(sql string) string { return "package p\nvar q = " + sql }
	for _, c := range []struct {
		name string
		file string
		text string
		want string // part of the one finding; "" for none
	}{
		{"the tree itself", "id/more.go", "package id", ""},
		{"a new package", "internal/surprise/x.go", "package surprise", "internal/surprise: this package is not in arch.txt"},
		{"a package of the root's neighbour", "cmd/other/main.go", "package main", "not in arch.txt"},

		// imports of ours
		{"room to room", "internal/agents/x.go", imports(ours + "/internal/lending"), "x.go:2: internal/agents may never import internal/lending (apart rooms)"},
		{"room to room in a test", "internal/agents/x_test.go", imports(ours + "/internal/lending"), ""},
		{"face to face", "internal/oauth/x.go", imports(ours + "/internal/admin"), "may never import internal/admin (apart faces)"},
		{"face to db", "internal/gateway/x.go", imports(ours + "/internal/db"), "may never import internal/db"},
		{"face to room", "internal/gateway/x.go", imports(ours + "/internal/agents"), ""},
		{"room to guard", "internal/agents/x.go", imports(ours + "/internal/guard"), "may never import internal/guard"},
		{"room to face", "internal/agents/x.go", imports(ours + "/internal/console"), "may never import internal/console"},
		{"guard to db", "internal/guard/x.go", imports(ours + "/internal/db"), "may not import internal/db"},
		{"guard to face", "internal/guard/x.go", imports(ours + "/internal/oauth"), "may not import internal/oauth"},
		{"audit to room", "internal/audit/x.go", imports(ours + "/internal/people"), "may never import internal/people"},
		{"db to audit", "internal/db/x.go", imports(ours + "/internal/audit"), "may not import internal/audit"},
		{"pure to internal", "evidence/x.go", imports(ours + "/internal/db"), "may never import internal/db"},
		{"pure to root", "jose/x.go", imports(ours), "jose may never import ."},
		{"pure upward", "jose/x.go", imports(ours + "/delegation"), "jose may not import delegation"},
		{"pure sideways", "token/x.go", imports(ours + "/dpop"), "token may not import dpop"},
		{"pure downward", "token/x.go", imports(ours+"/delegation", ours+"/jose", ours+"/id", ours+"/fault"), ""},
		{"SDK to internal", "x.go", imports(ours + "/internal/guard"), ". may not import internal/guard"},
		{"cmd past server", "cmd/attorn/x.go", imports(ours + "/internal/guard"), "cmd/attorn may not import internal/guard"},
		{"test help outside tests", "internal/agents/x.go", imports(ours + "/internal/db/dbtest"), "may not import internal/db/dbtest"},
		{"a name that begins like ours", "jose/x.go", imports("github.com/attorn/attornish"), "may not import github.com/attorn/attornish"},

		// modules
		{"a driver in a room", "internal/agents/x.go", imports("modernc.org/sqlite"), "may not import modernc.org/sqlite"},
		{"a driver in a room's test", "internal/agents/x_test.go", imports("github.com/jackc/pgx/v5/stdlib"), "may not import github.com/jackc/pgx/v5/stdlib"},
		{"a driver in a face", "internal/admin/x.go", imports("github.com/jackc/pgx/v5"), "may not import github.com/jackc/pgx/v5"},
		{"a new module", "policy/x.go", imports("github.com/open-policy-agent/opa"), "may not import"},
		{"a module named", "policy/x.go", imports("github.com/cedar-policy/cedar-go/types"), ""},
		{"a module's namesake", "policy/x.go", imports("github.com/cedar-policy/cedar-gone"), "may not import"},
		{"a test module in tests", "policy/x_test.go", imports("pgregory.net/rapid"), ""},
		{"a test module outside", "policy/x.go", imports("pgregory.net/rapid"), "may not import pgregory.net/rapid"},

		// powers
		{"http in a room", "internal/agents/x.go", imports("net/http"), "lacks the power http"},
		{"http in guard", "internal/guard/x.go", imports("net/http/httptest"), "lacks the power http"},
		{"http in a pure package", "httpsig/x.go", imports("net/http"), "lacks the power http"},
		{"http in a face", "internal/admin/x.go", imports("net/http", "net/http/httputil"), ""},
		{"http in a test", "internal/guard/x_test.go", imports("net/http"), ""},
		{"os in a pure package", "policy/x.go", imports("os"), "lacks the power disk"},
		{"net in a pure package", "dpop/x.go", imports("net"), "lacks the power net"},
		{"urls and addresses", "dpop/x.go", imports("net/url", "net/netip"), ""},
		{"syscall in a room", "internal/people/x.go", imports("syscall"), "lacks the power disk"},
		{"a process in a room", "internal/people/x.go", imports("os/exec"), "lacks the power exec"},
		{"lenient JSON", "internal/admin/x.go", imports("encoding/json"), "lacks the power json"},
		{"unsafe", "internal/server/x.go", imports("unsafe"), "lacks the power unsafe"},
		{"a dot import", "internal/server/x.go", "package p\nimport . \"time\"", "without its name"},

		// clock and environment
		{"clock in a room", "internal/agents/x.go", "package p\nimport \"time\"\nvar t = time.Now()", "x.go:3: internal/agents may not use time.Now"},
		{"clock handed on", "internal/agents/x.go", "package p\nimport \"time\"\nvar now = time.Now", "may not use time.Now"},
		{"clock under another name", "internal/agents/x.go", "package p\nimport std \"time\"\nvar t = std.Since(std.Time{})", "may not use time.Since"},
		{"clock in a face", "internal/gateway/x.go", "package p\nimport \"time\"\nvar t = time.After(1)", "may not use time.After"},
		{"a timer in a room", "internal/people/x.go", "package p\nimport \"time\"\nvar t = time.NewTimer(1)", "may not use time.NewTimer"},
		{"clock in a pure package", "token/x.go", "package p\nimport \"time\"\nfunc f() { time.Sleep(1) }", "may not use time.Sleep"},
		{"time as a value", "token/x.go", "package p\nimport \"time\"\nvar t = time.Unix(0, 0).Add(time.Second)", ""},
		{"a variable called time", "token/x.go", "package p\nimport \"time\"\nvar _ time.Duration\ntype T struct{}\nfunc (T) Now() {}\nfunc f(time T) { time.Now() }", ""},
		{"clock in server", "internal/server/x.go", "package p\nimport \"time\"\nvar t = time.Now()", ""},
		{"clock in a test", "token/x_test.go", "package p\nimport \"time\"\nvar t = time.Now()", ""},
		{"environment in a face", "internal/gateway/x.go", "package p\nimport \"os\"\nvar e = os.Getenv(\"X\")", "may not use os.Getenv"},
		{"environment in db", "internal/db/x.go", "package p\nimport \"os\"\nvar e, _ = os.LookupEnv(\"X\")", "may not use os.LookupEnv"},
		{"environment, all of it", "internal/gateway/x.go", "package p\nimport \"os\"\nvar e = os.Environ()", "may not use os.Environ"},
		{"environment in cmd", "cmd/attorn/x.go", "package p\nimport \"os\"\nvar e = os.Getenv(\"X\")", ""},

		// tables
		{"another room's table", "internal/catalog/x.go", stmt("`SELECT id FROM agent WHERE id = $1`"), "x.go:2: SQL on agent, which internal/agents owns"},
		{"its own table", "internal/agents/x.go", stmt("`SELECT id FROM agent WHERE id = $1`"), ""},
		{"a face's query", "internal/console/x.go", stmt("`select count(*) from mcp_tool`"), "SQL on mcp_tool"},
		{"small letters", "internal/catalog/x.go", stmt("`select id from agent`"), "SQL on agent"},
		{"joined", "internal/agents/x.go", stmt("`SELECT a.id FROM agent a LEFT JOIN mcp_tool t ON t.id = a.id`"), "SQL on mcp_tool"},
		{"after a comma", "internal/agents/x.go", stmt("`SELECT 1 FROM agent a, mcp_tool t`"), "SQL on mcp_tool"},
		{"in brackets", "internal/agents/x.go", stmt("`SELECT 1 FROM agent WHERE id IN (SELECT id FROM mcp_tool)`"), "SQL on mcp_tool"},
		{"in a bracketed join", "internal/agents/x.go", stmt("`SELECT 1 FROM (mcp_tool CROSS JOIN agent)`"), "SQL on mcp_tool"},
		{"inserted", "internal/catalog/x.go", stmt("`INSERT INTO agent (id) VALUES ($1)`"), "SQL on agent"},
		{"updated", "internal/catalog/x.go", stmt("`UPDATE agent SET id = $1`"), "SQL on agent"},
		{"deleted", "internal/catalog/x.go", stmt("`DELETE FROM ONLY agent`"), "SQL on agent"},
		{"dropped", "internal/catalog/x.go", stmt("`DROP TABLE IF EXISTS agent`"), "SQL on agent"},
		{"quoted, with its schema", "internal/catalog/x.go", stmt("`SELECT 1 FROM main.\"agent\"`"), "SQL on agent"},
		{"behind a WITH", "internal/catalog/x.go", stmt("`WITH x AS (SELECT id FROM agent) SELECT id FROM x`"), "SQL on agent"},
		{"in pieces", "internal/catalog/x.go", stmt("`SELECT id ` + \"FROM \" + \"agent\""), "SQL on agent"},
		{"a piece alone", "internal/catalog/x.go", "package p\nfunc f(q string) string { q += ` JOIN agent a ON true`; return q }", "SQL on agent"},
		{"inside a call inside a sum", "internal/catalog/x.go", "package p\nfunc f(g func(string) string) string { return `a` + g(`SELECT 1 FROM agent`) }", "SQL on agent"},
		{"in a file of SQL", "internal/catalog/q.sql", "SELECT id FROM agent;", "q.sql: SQL on agent"},
		{"a name at run time", "internal/catalog/x.go", "package p\nfunc f(t string) string { return `SELECT 1 FROM ` + t }", "whose name is put together"},
		{"a name by format", "internal/catalog/x.go", stmt("`SELECT 1 FROM %s`"), "whose name is put together"},
		{"a name at run time in db", "internal/db/x.go", "package p\nfunc f(t string) string { return `SELECT 1 FROM ` + t }", ""},
		{"in a test", "internal/catalog/x_test.go", stmt("`SELECT id FROM agent`"), ""},
		{"a column with a table's name", "internal/catalog/x.go", stmt("`SELECT agent FROM mcp_tool WHERE agent IS DISTINCT FROM agent AND id = 'FROM agent' -- FROM agent`"), ""},
		{"the clauses with UPDATE in them", "internal/agents/x.go", stmt("`INSERT INTO agent (id) VALUES ($1) ON CONFLICT (id) DO UPDATE SET id = 1` + ` FOR UPDATE`"), ""},
		{"English", "internal/catalog/x.go", stmt("`update agent by agent, delete from agent to agent`"), ""},
		{"English with a capital", "cmd/attorn/x.go", stmt("`Update agent records, or move one into agent hands`"), ""},
		{"a table without owner", "internal/db/migrations/2.sql", "CREATE TABLE orphan (id TEXT);", "table orphan has no owner"},
		{"an owner without table", "internal/lending/doc.go", "// Package lending lends.\n//\n// Tables: delegation.\npackage lending", "which no migration creates"},
		{"two owners", "internal/lending/doc.go", "// Package lending lends.\n//\n// Tables: mcp_tool.\npackage lending", "and so does internal/catalog"},
		{"an owner that may not", "internal/admin/doc.go", "// Package admin is a face.\n//\n// Tables: mcp_tool.\npackage admin", "internal/admin may not own tables"},
		{"a table made by a room", "internal/agents/x.go", stmt("`CREATE TEMP TABLE extra (id TEXT)`"), "creates a table"},
	} {
		t.Run(c.name, func(t *testing.T) {
			found, err := p.Check(lay(map[string]string{c.file: c.text}))
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case c.want == "" && len(found) > 0:
				t.Errorf("found %q, want nothing", found)
			case c.want != "" && !slices.ContainsFunc(found, func(f string) bool { return strings.Contains(f, c.want) }):
				t.Errorf("found %q, want %q", found, c.want)
			}
		})
	}
}

func TestAPolicyThatContradictsItselfIsRefused(t *testing.T) {
	const base = "module m\npower http imports net/http\ngroup g a b\n"
	for _, c := range []struct{ name, text, want string }{
		{"sound", base + "package a imports b\npackage b may http\nonly b may http", ""},
		{"no module", "package a", "no line module"},
		{"unknown word", base + "package a\npackage b\npacakge c", "unknown word pacakge"},
		{"unknown package", base + "package a imports c\npackage b", "c is neither"},
		{"unknown group member", base + "package a", "b is neither"},
		{"unknown power", base + "package a may fly\npackage b", "fly is no power"},
		{"twice", base + "package a\npackage b\npackage a", "named twice"},
		{"half a power", "module m\npower x", "want: power NAME"},
		{"a line against apart", base + "apart g\npackage a imports b\npackage b", "package a imports b, against: apart g"},
		{"a line against never", base + "never a imports b\npackage a imports g\npackage b", "against: never a imports b"},
		{"a line against only", base + "only b may http\npackage a may http\npackage b", "package a may http, against: only b may http"},
		{"a circle", base + "package a imports b\npackage b imports a", "a circle of imports: a → b → a"},
		{"a group in itself", "module m\ngroup g g\npackage a imports g", "without end"},
	} {
		_, err := arch.Parse(c.text)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

func TestLinks(t *testing.T) {
	files := map[string]string{
		"README.md":         "# Start here\n[a](docs/a.md) [b](docs/a.md#two-words) [site](https://example.com/x) [mail](mailto:a@b.c) `[c](no.md)`\n\n```\n[d](no.md)\n```\n![p](docs/p.svg \"title\")\n[up](#start-here)\n[ref]\n\n[ref]: docs/a.md\n",
		"docs/a.md":         "## Two *words*\n## Same\n## Same\n[up](../README.md) [same](#same-1) [dir](../docs) [line](p.svg#L3)\n",
		"docs/p.svg":        "<svg/>",
		"node_modules/x.md": "[x](nowhere)",
	}
	for _, c := range []struct{ name, file, text, want string }{
		{"all lead somewhere", "", "", ""},
		{"no such file", "x.md", "[x](docs/b.md)", "there is no docs/b.md"},
		{"no such heading", "x.md", "[x](docs/a.md#three)", "docs/a.md has no heading"},
		{"no such heading here", "x.md", "# one\n[x](#two)", "x.md has no heading"},
		{"out of the repository", "x.md", "[x](../other/y.md)", "out of the repository"},
		{"from the root of a disk", "x.md", "[x](/docs/a.md)", "out of the repository"},
		{"by reference", "x.md", "[x]\n\n[x]: gone.md\n", "there is no gone.md"},
		{"a picture", "docs/y.md", "![x](q.svg)", "there is no docs/q.svg"},
	} {
		fsys := fstest.MapFS{}
		for name, text := range files {
			fsys[name] = &fstest.MapFile{Data: []byte(text)}
		}
		if c.file != "" {
			fsys[c.file] = &fstest.MapFile{Data: []byte(c.text)}
		}
		found, err := arch.Links(fsys)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case c.want == "" && len(found) > 0:
			t.Errorf("%s: found %q", c.name, found)
		case c.want != "" && (len(found) != 1 || !strings.Contains(found[0], c.want)):
			t.Errorf("%s: found %q, want %q", c.name, found, c.want)
		}
	}
}
