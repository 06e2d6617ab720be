package policy

import (
	"bytes"
	"strings"

	cedarast "github.com/cedar-policy/cedar-go/ast"
	"github.com/go-json-experiment/json/jsontext"
)

// Format lays a file of a bundle out as all are: of Cedar, a line for each annotation, for the scope and for each condition, and where that would be
// longer than 100 characters a line for each of its parts. Its tokens and comments stay as they are and in their order, so it says the same before and after. Of
// YAML only space at the ends of lines and of the file changes, and not that if it belongs to a text. What does not parse is not touched: then there are problems, with the codes of
// Compile. Format(Format(x)) is Format(x).
func Format(f File) ([]byte, []Problem) {
	if !strings.HasSuffix(f.Path, ".cedar") {
		return formatYAML(f)
	}
	c := compiler{}
	if !c.readable(f) {
		return nil, c.problems
	}
	statements, problems := split(f.Path, string(f.Text))
	for _, st := range statements {
		var parsed cedarast.Policy
		if err := parsed.UnmarshalCedar([]byte(st.text)); err != nil {
			p := Problem{File: f.Path, Code: "syntax", Severity: SeverityError}
			p.Line, p.Col, p.Message = place(err.Error(), st)
			problems = append(problems, p)
		}
	}
	if len(problems) > 0 {
		return nil, problems[:min(len(problems), maxProblems)]
	}
	l := layout{all: pieces(string(f.Text))}
	l.measure()
	for next := 0; next < len(l.all); {
		next = l.statement(next)
	}
	if l.out.Len() > 0 {
		l.out.WriteByte('\n')
	}
	return l.out.Bytes(), nil
}

func formatYAML(f File) ([]byte, []Problem) {
	var before, after jsontext.Value
	if p := decodeYAML(f.Path, f.Text, &before); p != nil {
		return nil, []Problem{*p}
	}
	var out bytes.Buffer
	for _, line := range bytes.Split(bytes.TrimRight(f.Text, " \r\n"), []byte("\n")) {
		out.Write(bytes.TrimRight(line, " \t\r"))
		out.WriteByte('\n')
	}
	if p := decodeYAML(f.Path, out.Bytes(), &after); p != nil || !bytes.Equal(before, after) {
		return f.Text, nil
	}
	return out.Bytes(), nil
}

// piece is a token or a comment of a file, with what formatting keeps of the space before it.
type piece struct {
	token
	comment  bool
	trailing bool // a comment on the line of the token before it
	blank    bool // an empty line before it
	space    bool // wants one before it on the same line
	closed   int  // of an opening bracket: where the closing one is
}

// pieces reads a text that split has admitted.
func pieces(src string) []piece {
	var all []piece
	s := scanner{src: src, line: 1, col: 1}
	end := 1 // line of the end of the piece before
	for {
		for from := s.off; ; from = s.off {
			c := s.comment()
			if c == "" && s.off == from {
				break
			}
			if c != "" {
				first := s.line - strings.Count(c, "\n")
				alone := len(all) == 0 || all[len(all)-1].comment || first != end
				all = append(all, piece{token: token{text: tidy(c), line: first}, comment: true, trailing: !alone, blank: first > end+1})
				end = s.line
			}
		}
		t, wrong := s.next()
		if wrong != "" || t.kind == 0 {
			return all
		}
		all = append(all, piece{token: t, blank: t.line > end+1})
		end = t.line
	}
}

// comment passes over white space and one comment, which it returns.
func (s *scanner) comment() string {
	for s.off < len(s.src) && strings.IndexByte(" \t\r\n", s.src[s.off]) >= 0 {
		s.step(1)
	}
	rest, n := s.src[s.off:], 0
	switch {
	case strings.HasPrefix(rest, "//"):
		if n = strings.IndexByte(rest, '\n'); n < 0 {
			n = len(rest)
		}
	case strings.HasPrefix(rest, "/*"):
		n = strings.Index(rest[2:], "*/") + 4
	}
	s.step(n)
	return rest[:n]
}

// tidy is a comment without space at the ends of its lines.
func tidy(comment string) string {
	lines := strings.Split(comment, "\n")
	for i, l := range lines {
		lines[i] = strings.TrimRight(l, " \t\r")
	}
	return strings.Join(lines, "\n")
}
