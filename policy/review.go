package policy

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go/types"
)

var (
	ofName = regexp.MustCompile("attribute `([^`]+)`")
	noType = regexp.MustCompile("unrecognized entity type `([^`]+)`")
	ofType = regexp.MustCompile("on entity type `([^`]+)`")
)

// Review is all that Check and Lint find in a bundle, by place. What both find is said once, where Lint found it, as an error; what Check alone finds, at the name that
// it is about, with what was probably meant.
func Review(s *Set, w World) []Problem {
	l := linter{set: s, world: w, texts: map[string]string{}}
	for _, f := range s.files {
		l.texts[f.Path] = string(f.Text)
	}
	found, ordered := Lint(s, w), s.ordered()
	for _, t := range Check(s, w.Actions) {
		i := slices.IndexFunc(ordered, func(p *compiled) bool {
			at := p.ast.Position
			return at.Filename == t.File && at.Line == t.Line && at.Column == t.Col
		})
		if i < 0 {
			found = append(found, t)
			continue
		}
		p := ordered[i]
		if !l.same(p, t, found) {
			found = append(found, l.placed(p, t))
		}
	}
	slices.SortStableFunc(found, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
	return found[:min(len(found), maxProblems)]
}

// attributeOf is the name that a type error is about, if it is about one.
func attributeOf(message string) string {
	if m := ofName.FindStringSubmatch(message); m != nil {
		return m[1][strings.LastIndexByte(m[1], '.')+1:]
	}
	return ""
}

// same makes an error of the lint that says what a type error says, if there is one.
func (l *linter) same(p *compiled, t Problem, found []Problem) bool {
	name, noType := attributeOf(t.Message), noType.FindStringSubmatch(t.Message)
	last := l.end(p)
	for i, f := range found {
		inside := f.File == t.File && (f.Line > t.Line || f.Line == t.Line && f.Col >= t.Col) && (f.Line < last.line || f.Line == last.line && f.Col < last.col)
		about, _, _ := strings.Cut(f.Message, " may be absent")
		about, _, _ = strings.Cut(about, " is not always there")
		if _, argument, ok := strings.Cut(about, " has the argument "); ok {
			about, _, _ = strings.Cut(argument, ";")
		}
		if inside && (name != "" && (f.Code == "unguarded" || f.Code == "unknown_argument") && strings.HasSuffix("."+about, "."+name) ||
			noType != nil && f.Code == "unknown_type" && strings.HasPrefix(f.Message, "there is no type "+noType[1]+":")) {
			found[i].Severity = SeverityError
			return true
		}
	}
	return false
}

// end is the token that ends a policy.
func (l *linter) end(p *compiled) token {
	at := p.ast.Position
	s := scanner{src: l.texts[at.Filename], off: at.Offset, line: at.Line, col: at.Column}
	for {
		if t, wrong := s.next(); wrong != "" || t.kind == 0 || t.text == ";" {
			return t
		}
	}
}

// placed is a type error at the name that it is about.
func (l *linter) placed(p *compiled, t Problem) Problem {
	name := attributeOf(t.Message)
	if name == "" {
		return t
	}
	if of := ofType.FindStringSubmatch(t.Message); of != nil && strings.Contains(t.Message, "not found") {
		var known []string
		for a := range l.set.entities[types.EntityType(of[1])].Shape {
			known = append(known, string(a))
		}
		t.Message += meant(name, known)
	}
	if line, col, ok := l.place(p, []string{".", name}); ok {
		t.Line, t.Col = line, col+1
	}
	return t
}
