package arch

import (
	"flag"
	"go/ast"
	"go/token"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/attorn/attorn/api"
)

// TestEveryCodeHasAPage: whatever code the product can answer with, its address leads to a page that says what it means; and no page is of a code that nothing gives.
func TestEveryCodeHasAPage(t *testing.T) {
	sources, err := read(os.DirFS("../.."), token.NewFileSet())
	if err != nil {
		t.Fatal(err)
	}
	given := map[string]bool{}
	for dir, s := range sources {
		c := &codes{names: map[string]string{}, makers: map[string]maker{}, found: given}
		for _, step := range []func(*ast.File){c.constants, c.passers, c.passers, c.literals} { // twice: one may hand on to the other
			for name, f := range s.files {
				if !strings.HasSuffix(name, "_test.go") && dir != "internal/arch" {
					c.file = name
					step(f)
				}
			}
		}
	}
	if len(given) < 300 {
		t.Fatalf("only %d codes were found in the source", len(given))
	}
	paged := map[string]bool{}
	for _, g := range api.ErrorGroups() {
		for _, p := range g.Pages {
			if paged[p.Code] {
				t.Errorf("%s has two pages", p.Code)
			}
			paged[p.Code] = true
			if !given[p.Code] && !g.OAuth {
				t.Errorf("%s has a page, and nothing gives it", p.Code)
			}
		}
	}
	for _, code := range slices.Sorted(maps.Keys(given)) {
		if !paged[code] {
			t.Errorf("%s is given, and has no page: add what it means to api/error_pages*.go", code)
		}
	}
}

// TestErrorReference: docs/reference/errors.md is the pages that the binary serves (go test ./internal/arch -update writes it).
func TestErrorReference(t *testing.T) {
	const file = "../../docs/reference/errors.md"
	want := "# Errors\n\nEach code that attorn answers with, at the API, the authorization server, the gateway and the command line. A server has the same at `/docs/errors/<code>`,\n" +
		"where the `type` of a problem (RFC 9457) and the `error_uri` of an OAuth error lead. What was refused, and why, stands in the answer itself.\n" + api.ErrorText(api.ErrorGroups())
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != want {
		t.Errorf("%s is not what the pages say: go test ./internal/arch -update (%v)", file, err)
	}
}

var update = flag.Bool("update", false, "write docs/reference/errors.md")

// codes finds the codes that the files of one package give.
type codes struct {
	names  map[string]string // its constants
	makers map[string]maker  // its functions that make a fault of an argument
	found  map[string]bool
	file   string // that is being read
}

// maker is which argument, and what is put before it.
type maker struct {
	at     int
	prefix string
}

func (c *codes) constants(f *ast.File) {
	ast.Inspect(f, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok {
			for i, name := range v.Names {
				if i < len(v.Values) {
					c.names[name.Name] = codeText(v.Values[i])
				}
			}
		}
		return true
	})
}

// passers finds functions that hand on a parameter as a code.
func (c *codes) passers(f *ast.File) {
	ast.Inspect(f, func(n ast.Node) bool {
		var name string
		var kind *ast.FuncType
		var body *ast.BlockStmt
		switch n := n.(type) {
		case *ast.FuncDecl:
			name, kind, body = n.Name.Name, n.Type, n.Body
		case *ast.AssignStmt:
			if l, ok := n.Rhs[0].(*ast.FuncLit); ok {
				if id, ok := n.Lhs[0].(*ast.Ident); ok {
					name, kind, body = c.file+" "+id.Name, l.Type, l.Body // known in this file alone
				}
			}
		}
		if body == nil {
			return true
		}
		at := 0
		for _, field := range kind.Params.List {
			for _, p := range field.Names {
				if prefix, ok := c.handsOn(body, p.Name); ok {
					c.makers[name] = maker{at, prefix}
				}
				at++
			}
		}
		return true
	})
}

func (c *codes) handsOn(body *ast.BlockStmt, param string) (prefix string, ok bool) {
	c.places(body, func(e ast.Expr, before string) {
		if sum, is := e.(*ast.BinaryExpr); is {
			before, e = before+codeText(sum.X), sum.Y
		}
		if id, is := e.(*ast.Ident); is && id.Name == param {
			prefix, ok = before, true
		}
	})
	return prefix, ok
}

func (c *codes) literals(f *ast.File) {
	c.places(f, func(e ast.Expr, prefix string) {
		code := codeText(e)
		if id, ok := e.(*ast.Ident); ok {
			code = c.names[id.Name]
		}
		if code != "" {
			c.found[prefix+code] = true
		}
	})
}

// places calls visit for everything that stands where a code does.
func (c *codes) places(in ast.Node, visit func(e ast.Expr, prefix string)) {
	ast.Inspect(in, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if m, ok := c.argument(n.Fun); ok && m.at < len(n.Args) {
				visit(n.Args[m.at], m.prefix)
			}
		case *ast.KeyValueExpr:
			if k, ok := n.Key.(*ast.Ident); ok && strings.EqualFold(k.Name, "code") {
				visit(n.Value, "")
			}
		case *ast.AssignStmt:
			for i, l := range n.Lhs {
				s, member := l.(*ast.SelectorExpr)
				id, local := l.(*ast.Ident)
				if i < len(n.Rhs) && len(n.Lhs) == len(n.Rhs) && (member && strings.EqualFold(s.Sel.Name, "code") || local && id.Name == "code") {
					visit(n.Rhs[i], "")
				}
			}
		}
		return true
	})
}

// argument is which argument of a call is a code.
func (c *codes) argument(fun ast.Expr) (m maker, ok bool) {
	switch fun := fun.(type) {
	case *ast.SelectorExpr:
		if x, is := fun.X.(*ast.Ident); is && x.Name == "fault" {
			m.at, ok = map[string]int{"New": 1, "Wrap": 2}[fun.Sel.Name]
			return m, ok
		}
		m, ok = c.makers[fun.Sel.Name]
	case *ast.Ident:
		if m, ok = c.makers[c.file+" "+fun.Name]; !ok {
			m, ok = c.makers[fun.Name]
		}
	}
	return m, ok
}

func codeText(e ast.Expr) string {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return ""
	}
	s, err := strconv.Unquote(l.Value)
	if err != nil || s == "" || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
		return ""
	}
	return s
}
