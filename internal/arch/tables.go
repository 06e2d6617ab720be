package arch

import (
	"go/ast"
	"go/token"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The package that makes the tables, and where it says so.
const (
	base       = "internal/db"
	migrations = "internal/db/migrations"
)

var (
	createTable = regexp.MustCompile(`(?i)\bCREATE\s+(?:TEMP(?:ORARY)?\s+)?TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(?:\w+\.)?["` + "`" + `]?(\w+)`)
	ownsLine    = regexp.MustCompile(`(?s)\bTables: ([^.]*)\.`)
)

// tables checks that every table has one owner, and that no other package's SQL names it.
func (c *checker) tables(sources map[string]source) {
	made := map[string]bool{}
	for _, text := range sources[migrations].sql {
		for _, m := range createTable.FindAllStringSubmatch(text, -1) {
			made[strings.ToLower(m[1])] = true
		}
	}
	for _, f := range sources[base].files {
		for _, l := range texts(f) {
			for _, m := range createTable.FindAllStringSubmatch(l.text, -1) {
				made[strings.ToLower(m[1])] = true
			}
		}
	}
	owner := c.owners(sources, made)
	for _, table := range slices.Sorted(maps.Keys(made)) {
		if owner[table] == "" {
			c.report(token.NoPos, "%s: table %s has no owner: name it in the doc.go of its room, in the line Tables", migrations, table)
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(sources)) {
		if dir != migrations {
			c.statements(sources[dir], owner)
		}
	}
}

// owners reads the line Tables of every doc.go.
func (c *checker) owners(sources map[string]source, made map[string]bool) map[string]string {
	owner := map[string]string{}
	for _, dir := range slices.Sorted(maps.Keys(sources)) {
		doc := sources[dir].files[path.Join(dir, "doc.go")]
		if doc == nil || doc.Doc == nil {
			continue
		}
		m := ownsLine.FindStringSubmatch(doc.Doc.Text())
		if m == nil || m[1] == "none" {
			continue
		}
		at := doc.Package
		if !slices.Contains(c.policy.owners, dir) {
			c.report(at, "%s may not own tables (owners, in arch.txt)", dir)
		}
		for name := range strings.SplitSeq(m[1], ",") {
			name = strings.TrimSpace(name)
			switch {
			case !made[name]:
				c.report(at, "%s owns the table %q, which no migration creates", dir, name)
			case owner[name] != "":
				c.report(at, "%s owns the table %s, and so does %s", dir, name, owner[name])
			default:
				owner[name] = dir
			}
		}
	}
	return owner
}

// statements checks the SQL of one package.
func (c *checker) statements(s source, owner map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(s.sql)) {
		for _, table := range sqlTables(s.sql[name]) {
			if o := owner[table]; o != "" && o != s.dir {
				c.report(token.NoPos, "%s: SQL on %s, which %s owns", name, table, o)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.files)) {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, l := range texts(s.files[name]) {
			for _, table := range sqlTables(l.text) {
				switch o := owner[table]; {
				case table == hole && s.dir != base:
					c.report(l.pos, "SQL on a table whose name is put together: write it out, so that its owner can be checked")
				case o != "" && o != s.dir:
					c.report(l.pos, "SQL on %s, which %s owns", table, o)
				}
			}
			if createTable.MatchString(l.text) && s.dir != base {
				c.report(l.pos, "creates a table: that is for a migration in %s", migrations)
			}
		}
	}
}

type text struct {
	pos  token.Pos
	text string
}

// texts are the strings of a file: literals, and what is put together from them with +, in which anything but a literal is a hole.
func texts(f *ast.File) []text {
	var all []text
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.BinaryExpr:
			if n.Op != token.ADD {
				return true
			}
			all = append(all, text{n.Pos(), sum(n, &all)})
			return false
		case *ast.BasicLit:
			if n.Kind == token.STRING {
				all = append(all, text{n.Pos(), literal(n)})
			}
		}
		return true
	})
	return all
}

// sum is the text of e; strings inside its holes go to all on their own.
func sum(e ast.Expr, all *[]text) string {
	switch e := e.(type) {
	case *ast.BinaryExpr:
		if e.Op == token.ADD {
			return sum(e.X, all) + sum(e.Y, all)
		}
	case *ast.ParenExpr:
		return sum(e.X, all)
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			return literal(e)
		}
	}
	ast.Inspect(e, func(n ast.Node) bool {
		if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
			*all = append(*all, text{l.Pos(), literal(l)})
		}
		return true
	})
	return hole
}

func literal(l *ast.BasicLit) string {
	s, _ := strconv.Unquote(l.Value) // the parser has refused what is not one
	return s
}
