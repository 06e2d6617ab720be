package policy

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// The bounds of a bundle. cedar-go's parser and compiler recurse, and an overflowing stack kills the process, so everything is bounded on the
// tokens before it is parsed.
const (
	maxBundle   = 8 << 20 // bytes of all files
	maxFile     = 1 << 20 // bytes
	maxPolicy   = 64 << 10
	maxPolicies = 20_000
	maxDepth    = 100 // brackets and ifs inside one another
	maxUnary    = 4   // "!" and "-" in a row
	maxOps      = 1_000
	maxNodes    = 2_000_000 // of all policies' syntax trees
	maxProblems = 100
)

// statement is one policy as it stands in a file.
type statement struct {
	text           string // from its first annotation or effect to its ";"
	off, line, col int
	tokens         int
	keys           []token // the names of its annotations
}

// split cuts src into policies and admits each to the parser or reports why not. A file that cannot be read token by token has no policies.
func split(path, src string) ([]statement, []Problem) {
	var all []statement
	var problems []Problem
	bad := func(code string, line, col int, message string) {
		problems = append(problems, Problem{File: path, Line: line, Col: col, Code: code, Message: message, Severity: SeverityError})
	}
	s := scanner{src: src, line: 1, col: 1}
	var open *statement
	var g guard
	var last token
	for {
		t, wrong := s.next()
		if wrong != "" {
			bad("syntax", s.line, s.col, wrong)
			return nil, problems
		}
		if open == nil {
			if t.kind == 0 {
				return all, problems
			}
			open, g = &statement{off: t.off, line: t.line, col: t.col}, guard{}
		}
		open.tokens++
		if last.text == "@" && t.kind == 'i' {
			open.keys = append(open.keys, t)
		}
		if over := g.admit(t, t.off+len(t.text)-open.off); over != "" {
			bad("too_complex", t.line, t.col, "this policy has "+over)
		}
		if t.text == ";" || t.kind == 0 {
			if !g.full {
				open.text = src[open.off : t.off+len(t.text)]
				all = append(all, *open)
			}
			open = nil
		}
		if t.kind == 0 || len(problems) >= maxProblems || len(all) > maxPolicies { // one over shows in the count
			return all, problems
		}
		last = t
	}
}

// guard counts, over one policy's tokens, what cedar-go spends stack on. Its zero value is ready.
type guard struct {
	full       bool
	ifs        []int // by open bracket: ifs that may still be open in it
	depth      int
	unary, ops int
}

// admit counts t, the size being that of the policy up to its end, and says, once, which bound it breaks.
func (g *guard) admit(t token, size int) (over string) {
	if g.full {
		return ""
	}
	if g.ifs == nil {
		g.ifs = []int{0}
	}
	top := &g.ifs[len(g.ifs)-1]
	run := 0
	switch t.text {
	case "(", "[", "{":
		g.depth++
		g.ifs = append(g.ifs, 0)
	case ")", "]", "}":
		if len(g.ifs) > 1 {
			g.depth -= 1 + *top
			g.ifs = g.ifs[:len(g.ifs)-1]
		}
	case ",":
		g.depth -= *top
		*top = 0
	case "if": // an else reaches as far as it can: only a bracket or comma surely ends it
		g.depth++
		*top++
	case "!", "-":
		run = g.unary + 1
	}
	switch t.text {
	case "!", "-", "+", "*", "||", "&&", "==", "!=", "<", "<=", ">", ">=", ".", "[", "::", "in", "is", "has", "like", "if", "when", "unless":
		g.ops++
	}
	g.unary = run
	switch {
	case g.depth > maxDepth:
		over = fmt.Sprintf("brackets or ifs more than %d deep", maxDepth)
	case run > maxUnary:
		over = fmt.Sprintf("more than %d signs or negations in a row", maxUnary)
	case g.ops > maxOps:
		over = fmt.Sprintf("more than %d operators and accesses", maxOps)
	case size > maxPolicy:
		over = fmt.Sprintf("more than %d bytes", maxPolicy)
	}
	g.full = over != ""
	return over
}

// badText finds the first character that hides what a text says from its reader: bytes that are not UTF-8, control characters other than tab and line
// ends, and bidirectional controls (Unicode TR 36 §3.4), which no policy needs. They are refused everywhere, in strings and comments too.
func badText(s string) (off int, what string) {
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			return i, "bytes that are not UTF-8"
		case unicode.IsControl(r) && r != '\t' && r != '\n' && r != '\r':
			return i, fmt.Sprintf("the control character U+%04X", r)
		case unicode.Is(unicode.Bidi_Control, r):
			return i, fmt.Sprintf("the bidirectional control U+%04X", r)
		}
		i += n
	}
	return -1, ""
}
