package policy

import (
	"strings"
	"unicode/utf8"
)

// token is one lexical element of Cedar text. The scanner mirrors cedar-go's, which is not exported, so that what is counted here is what is
// parsed there; FuzzCompile holds the two together.
type token struct {
	text      string // "" at the end
	kind      byte   // 'i' identifier or keyword, 'n' integer, 's' string, 'o' operator, 0 end
	off       int    // bytes
	line, col int    // from 1; a column is one character
}

type scanner struct {
	src       string
	off       int
	line, col int
}

// next returns the next token, or what is wrong at the scanner's position.
func (s *scanner) next() (token, string) {
	if wrong := s.skip(); wrong != "" {
		return token{}, wrong
	}
	t := token{off: s.off, line: s.line, col: s.col}
	rest := s.src[s.off:]
	if rest == "" {
		return t, ""
	}
	n := 1
	switch c := rest[0]; {
	case identByte(c) && !digit(c):
		t.kind = 'i'
		for n < len(rest) && identByte(rest[n]) {
			n++
		}
	case digit(c):
		t.kind = 'n'
		for n < len(rest) && digit(rest[n]) {
			n++
		}
	case c == '"':
		t.kind = 's'
		if n = stringEnd(rest); n < 0 {
			return t, "a string that does not end on its line"
		}
	default:
		t.kind = 'o'
		if n = operator(rest); n == 0 {
			return t, "an unexpected character"
		}
	}
	t.text = rest[:n]
	s.step(n)
	return t, ""
}

// skip passes over white space and comments.
func (s *scanner) skip() (wrong string) {
	for {
		rest := s.src[s.off:]
		switch {
		case rest != "" && strings.IndexByte(" \t\r\n", rest[0]) >= 0:
			s.step(1)
		case strings.HasPrefix(rest, "//"):
			if n := strings.IndexByte(rest, '\n'); n >= 0 {
				s.step(n)
			} else {
				s.step(len(rest))
			}
		case strings.HasPrefix(rest, "/*"):
			n := strings.Index(rest[2:], "*/")
			if n < 0 {
				return "a comment that does not end"
			}
			s.step(n + 4)
		default:
			return ""
		}
	}
}

func (s *scanner) step(bytes int) {
	for _, c := range []byte(s.src[s.off : s.off+bytes]) {
		switch {
		case c == '\n':
			s.line++
			s.col = 1
		case utf8.RuneStart(c):
			s.col++
		}
	}
	s.off += bytes
}

// stringEnd is the length of the string literal that rest starts with, or -1. Which escapes are valid is left to the parser.
func stringEnd(rest string) int {
	for i := 1; i < len(rest) && rest[i] != '\n'; i++ {
		switch rest[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// operator is the length of the operator that rest starts with, or 0.
func operator(rest string) int {
	if len(rest) > 1 {
		switch rest[:2] {
		case "::", "!=", "<=", ">=", "==", "||", "&&":
			return 2
		}
	}
	if strings.IndexByte("@.,;(){}[]+-*:!<>", rest[0]) >= 0 {
		return 1
	}
	return 0
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

func identByte(c byte) bool {
	return c == '_' || digit(c) || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
