package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

// source is the text of one package.
type source struct {
	dir   string // "." is the root
	files map[string]*ast.File
	sql   map[string]string // *.sql beside the Go files
}

// Check reads the module under root and returns a line for everything that breaks the policy, in the order of the files, as
// "file:line: what is wrong". Folders of other modules, testdata and what git does not keep are left alone.
func (p *Policy) Check(root fs.FS) ([]string, error) {
	set := token.NewFileSet()
	sources, err := read(root, set)
	if err != nil {
		return nil, err
	}
	c := checker{policy: p, set: set}
	for _, dir := range slices.Sorted(maps.Keys(sources)) {
		s := sources[dir]
		if len(s.files) == 0 {
			continue
		}
		r, ok := p.packages[dir]
		if !ok {
			c.report(token.NoPos, "%s: this package is not in arch.txt: give it a line that says what it may import", dir)
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(s.files)) {
			c.imports(dir, r, name, s.files[name])
			if !strings.HasSuffix(name, "_test.go") {
				c.calls(dir, r, s.files[name])
			}
		}
	}
	c.tables(sources)
	return c.found, nil
}

// read parses every package below root.
func read(root fs.FS, set *token.FileSet) (map[string]source, error) {
	all := map[string]source{}
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return enter(root, name)
		}
		dir, ext := path.Dir(name), path.Ext(name)
		if ext != ".go" && ext != ".sql" {
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		s, ok := all[dir]
		if !ok {
			s = source{dir, map[string]*ast.File{}, map[string]string{}}
			all[dir] = s
		}
		if ext == ".sql" {
			s.sql[name] = string(text)
			return nil
		}
		s.files[name], err = parser.ParseFile(set, name, text, parser.ParseComments)
		return err
	})
	return all, err
}

// enter says whether a folder belongs to the module.
func enter(root fs.FS, name string) error {
	base := path.Base(name)
	if name == "." {
		return nil
	}
	if base == "testdata" || base == "node_modules" || base == "bin" || base[0] == '.' || base[0] == '_' {
		return fs.SkipDir
	}
	if _, err := fs.Stat(root, path.Join(name, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

type checker struct {
	policy *Policy
	set    *token.FileSet
	found  []string
}

func (c *checker) report(at token.Pos, format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if at.IsValid() {
		pos := c.set.Position(at)
		line = fmt.Sprintf("%s:%d: %s", pos.Filename, pos.Line, line)
	}
	c.found = append(c.found, line)
}

// imports holds the imports of one file against the line of its package.
func (c *checker) imports(dir string, r room, name string, f *ast.File) {
	test := strings.HasSuffix(name, "_test.go")
	for _, spec := range f.Imports {
		to, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the parser has refused such a file
		}
		if !test && spec.Name != nil && spec.Name.Name == "." {
			c.report(spec.Pos(), "imports %s without its name: nobody sees where a word comes from", to)
		}
		switch first, _, _ := strings.Cut(to, "/"); {
		case to == c.policy.module || strings.HasPrefix(to, c.policy.module+"/"):
			if !test {
				c.ours(spec.Pos(), dir, r, to)
			}
		case strings.Contains(first, "."):
			allowed := slices.Concat(r.modules, c.policy.common)
			if test {
				allowed = append(allowed, c.policy.tests...)
			}
			if !slices.ContainsFunc(allowed, func(m string) bool { return to == m || strings.HasPrefix(to, m+"/") }) {
				c.report(spec.Pos(), "%s may not import %s: its line in arch.txt does not name the module", dir, to)
			}
		case !test:
			c.standard(spec.Pos(), dir, r, to)
		}
	}
}

func (c *checker) ours(at token.Pos, dir string, r room, to string) {
	to = strings.TrimPrefix(strings.TrimPrefix(to, c.policy.module), "/")
	if to == "" {
		to = "."
	}
	if rule := c.policy.forbids(dir, to); rule != "" {
		c.report(at, "%s may never import %s (%s)", dir, to, rule)
	} else if !slices.Contains(r.imports, to) {
		c.report(at, "%s may not import %s: its line in arch.txt does not name it", dir, to)
	}
}

func (c *checker) standard(at token.Pos, dir string, r room, to string) {
	for _, name := range slices.Sorted(maps.Keys(c.policy.powers)) {
		needs := slices.ContainsFunc(c.policy.powers[name].imports, func(pattern string) bool {
			below, all := strings.CutSuffix(pattern, "/...")
			return to == below || all && strings.HasPrefix(to, below+"/")
		})
		if needs && !slices.Contains(r.may, name) {
			c.report(at, "%s may not import %s: it lacks the power %s", dir, to, name)
		}
	}
}

// calls finds what a file mentions of the functions that need a power, called or handed on.
func (c *checker) calls(dir string, r room, f *ast.File) {
	names := map[string]string{} // in this file → import path
	for _, spec := range f.Imports {
		to, _ := strconv.Unquote(spec.Path.Value)
		name := path.Base(to)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = to
	}
	ast.Inspect(f, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := sel.X.(*ast.Ident)
		if !ok || x.Obj != nil { // a local variable hides the package
			return true
		}
		word := names[x.Name] + "." + sel.Sel.Name
		for _, name := range slices.Sorted(maps.Keys(c.policy.powers)) {
			if slices.Contains(c.policy.powers[name].calls, word) && !slices.Contains(r.may, name) {
				c.report(sel.Pos(), "%s may not use %s: it lacks the power %s%s", dir, word, name, instead[name])
			}
		}
		return true
	})
}

// instead is what to do without a power.
var instead = map[string]string{
	"clock": "; take now as an argument",
	"wait":  "; bound it with a context, or have it signalled",
	"env":   "; take the value as an argument, internal/server reads the environment",
}
