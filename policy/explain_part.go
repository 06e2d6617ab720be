package policy

import (
	"errors"
	"sort"
	"strings"

	cedarast "github.com/cedar-policy/cedar-go/ast"
	"github.com/cedar-policy/cedar-go/types"
	xast "github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/eval"
)

// condition is one of those that the conditions of a policy are when they are split at &&: all of them must be as wanted, and they are tried in order.
type condition struct {
	body xast.IsNode
	want bool // true of when, false of unless
	text string
	line int
	col  int
}

// conditions splits a policy as it stands in its file, so that each has a place; what was made and not written has that of the whole.
func (s *Set) conditions(c *compiled) []condition {
	if written := s.written(c); written != nil {
		return written
	}
	return made(c)
}

// made splits a policy by its tree.
func made(c *compiled) (all []condition) {
	for _, cond := range c.ast.Conditions {
		for _, body := range tests(cond) {
			all = append(all, condition{body: body, want: bool(cond.Condition), text: cedarOf(body), line: c.ast.Position.Line, col: c.ast.Position.Column})
		}
	}
	return all
}

// tests splits a condition at && by its tree. An unless is not split: all of its parts together must not hold.
func tests(cond xast.ConditionType) []xast.IsNode {
	if !bool(cond.Condition) {
		return []xast.IsNode{cond.Body}
	}
	var all []xast.IsNode
	for next := []xast.IsNode{cond.Body}; len(next) > 0; {
		n := next[len(next)-1]
		next = next[:len(next)-1]
		if and, ok := n.(xast.NodeTypeAnd); ok {
			next = append(next, and.Right, and.Left)
			continue
		}
		all = append(all, n)
	}
	return all
}

// tokens are those of a policy as it stands in its file; none for one that was made and not written. Their offsets are into the text from the policy's first.
func (s *Set) tokens(c *compiled) (src string, tokens []token) {
	at := c.ast.Position
	i, ok := sort.Find(len(s.files), func(i int) int { return strings.Compare(at.Filename, s.files[i].Path) })
	if !ok || !strings.HasSuffix(at.Filename, ".cedar") {
		return "", nil
	}
	text := s.files[i].Text
	src = string(text[at.Offset:min(len(text), at.Offset+maxPolicy)])
	for sc := (scanner{src: src, line: at.Line, col: at.Column}); ; {
		t, wrong := sc.next()
		if wrong != "" || t.kind == 0 {
			return "", nil
		}
		tokens = append(tokens, t)
		if t.text == ";" {
			return src, tokens
		}
	}
}

// written reads the conditions from the policy's text; nil where it has none.
func (s *Set) written(c *compiled) []condition {
	src, tokens := s.tokens(c)
	var all []condition
	for len(tokens) > 0 {
		t := tokens[0]
		end := closing(tokens)
		switch {
		case end > 0: // the scope, or an annotation's value
			tokens = tokens[end+1:]
		case t.kind == 'i' && (t.text == "when" || t.text == "unless") && len(tokens) > 1 && tokens[1].text == "{":
			end = 1 + closing(tokens[1:])
			parts := [][]token{tokens[2:end]}
			if t.text == "when" {
				parts = conjuncts(tokens[2:end])
			}
			for _, p := range parts {
				found, ok := reading(src, p, t.text == "when")
				if !ok {
					return nil
				}
				all = append(all, found)
			}
			tokens = tokens[end+1:]
		default:
			tokens = tokens[1:]
		}
	}
	return all
}

// closing is the index of the bracket that closes the one that tokens begin with; 0 where they begin with none.
func closing(tokens []token) int {
	depth := 0
	for i, t := range tokens {
		switch {
		case t.kind != 'o':
		case strings.Contains("([{", t.text):
			depth++
		case strings.Contains(")]}", t.text):
			depth--
		}
		if depth <= 0 {
			return i
		}
	}
	return 0
}

// conjuncts splits an expression at its outermost &&, through parentheses around the whole. One with an || or an if outermost is not split.
func conjuncts(tokens []token) [][]token {
	for len(tokens) > 2 && tokens[0].text == "(" && closing(tokens) == len(tokens)-1 {
		tokens = tokens[1 : len(tokens)-1]
	}
	var parts [][]token
	start := 0
	for i := 0; i < len(tokens); i++ {
		switch t := tokens[i]; {
		case t.kind == 'i' && t.text == "if" && (i == 0 || tokens[i-1].text != "."), t.text == "||":
			return [][]token{tokens}
		case t.text == "&&":
			parts = append(parts, tokens[start:i])
			start = i + 1
		default:
			i += closing(tokens[i:])
		}
	}
	if start == 0 {
		return [][]token{tokens}
	}
	var all [][]token
	for _, p := range append(parts, tokens[start:]) {
		all = append(all, conjuncts(p)...)
	}
	return all
}

// reading parses one part by itself: at the level of && it means the same there.
func reading(src string, tokens []token, want bool) (condition, bool) {
	if len(tokens) == 0 {
		return condition{}, false
	}
	first, last := tokens[0], tokens[len(tokens)-1]
	text := src[first.off : last.off+len(last.text)]
	var p cedarast.Policy
	if err := p.UnmarshalCedar([]byte("permit(principal,action,resource)when{" + text + "\n};")); err != nil || len((*xast.Policy)(&p).Conditions) != 1 {
		return condition{}, false
	}
	var shown strings.Builder // without comments
	for i, t := range tokens {
		if i > 0 && tokens[i-1].off+len(tokens[i-1].text) < t.off {
			shown.WriteByte(' ')
		}
		shown.WriteString(t.text)
	}
	return condition{body: (*xast.Policy)(&p).Conditions[0].Body, want: want, text: short(shown.String()), line: first.line, col: first.col}, true
}

// short is a text of at most 300 characters.
func short(text string) string {
	if r := []rune(text); len(r) > 300 {
		text = string(r[:300]) + "…"
	}
	return text
}

// cedarOf writes an expression.
func cedarOf(n xast.IsNode) string {
	p := xast.Permit().When(xast.NewNode(n))
	text := string((*cedarast.Policy)(p).MarshalCedar())
	_, text, _ = strings.Cut(text, "when {")
	return short(strings.Join(strings.Fields(strings.TrimSuffix(text, "};")), " "))
}

// holds tries a part.
func (h *hearing) holds(c condition) (ok bool, err error) {
	v, err := eval.Eval(c.body, h.env)
	if err != nil {
		return false, err
	}
	b, isBool := v.(types.Boolean)
	if !isBool {
		return false, eval.ErrType
	}
	return bool(b) == c.want, nil
}

// trouble finds the part of a policy that cannot be evaluated, and why.
func (h *hearing) trouble(p *compiled) *Part {
	for _, c := range h.set.conditions(p) {
		ok, err := h.holds(c)
		if err != nil {
			return &Part{Line: c.line, Col: c.col, Text: c.text, Words: h.why(c.body, err)}
		}
		if !ok {
			break
		}
	}
	return h.mistyped(p)
}

// mistyped says why a policy does not type for the arguments' shape; nil where it does.
func (h *hearing) mistyped(p *compiled) *Part {
	if h.types(p) {
		return nil
	}
	words := "it does not fit the arguments that the action declares"
	if err := typeCheck(p, h.set.entities, actionOf(h.shape, h.facts, h.principal.Type)); err != nil {
		words = short(words + ": " + strings.Join(typeErrors(err), "; "))
	}
	return &Part{Line: p.ast.Position.Line, Col: p.ast.Position.Column, Text: "context.args", Words: words}
}

// why says what went wrong in an expression, without any value: the innermost part that cannot be evaluated, as Cedar, and how.
func (h *hearing) why(n xast.IsNode, err error) string {
	n, err = h.innermost(n, err)
	at := "`" + cedarOf(n) + "` "
	message := err.Error()
	switch {
	case errors.Is(err, eval.ErrType):
		return at + "takes a value of another type than it is given"
	case strings.Contains(message, "does not have the"), strings.Contains(message, "unspecified entity"):
		return at + "is not there; test it with `has` first"
	case strings.Contains(message, "does not exist"):
		return at + "asks about something of which nothing is known"
	case strings.Contains(message, "overflow"):
		return at + "goes beyond what a Long holds"
	}
	return at + "cannot be evaluated for this request"
}

// innermost descends, as evaluation does, to the first part that fails though none of its own parts does.
func (h *hearing) innermost(n xast.IsNode, err error) (xast.IsNode, error) {
	for {
		var next xast.IsNode
		for _, part := range h.evaluated(n) {
			if _, wrong := eval.Eval(part, h.env); wrong != nil {
				next, err = part, wrong
				break
			}
		}
		if next == nil {
			return n, err
		}
		n = next
	}
}

// evaluated are the direct parts of an expression that fails, in the order in which they are evaluated, up to the one that fails.
func (h *hearing) evaluated(n xast.IsNode) (parts []xast.IsNode) {
	if cond, ok := n.(xast.NodeTypeIfThenElse); ok {
		v, err := eval.Eval(cond.If, h.env)
		if b, isBool := v.(types.Boolean); err != nil || !isBool {
			return []xast.IsNode{cond.If}
		} else if b {
			return []xast.IsNode{cond.Then}
		}
		return []xast.IsNode{cond.Else}
	}
	top := true
	xast.Inspect(xast.NewNode(n), func(part xast.IsNode) bool {
		if top {
			top = false
			return true
		}
		parts = append(parts, part)
		return false
	})
	if in, ok := n.(xast.NodeTypeIsIn); ok { // of which Inspect shows the operand through another node
		parts = []xast.IsNode{in.Left, in.Entity}
	}
	return parts
}
