package graph

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/attorn/attorn/id"
)

// width is how wide Text is, where no single word in it is wider.
const width = 80

// Text draws the forest by indenting: who lends, below them to whom and what, and so on down. It ends with a new line, or is empty.
func Text(f Forest) string {
	t := &text{Forest: f, under: below(f.drawn()), seen: map[id.Delegation]bool{}}
	tops := t.under[id.Delegation{}]
	slices.SortStableFunc(tops, func(a, b Lent) int { return cmp.Compare(a.from(), b.from()) })
	for i, l := range tops {
		if i == 0 || tops[i-1].from() != l.from() {
			t.wrap("", t.called(l.from()))
		}
		t.draw(l, "", i+1 == len(tops) || tops[i+1].from() != l.from())
	}
	return t.b.String()
}

type text struct {
	Forest
	b     strings.Builder
	under map[id.Delegation][]Lent
	seen  map[id.Delegation]bool
}

// draw writes a delegation and all below it; last says that nothing follows beside it.
func (t *text) draw(l Lent, before string, last bool) {
	if t.seen[l.Statement.ID] { // the store has no circles; what is drawn may
		return
	}
	t.seen[l.Statement.ID] = true
	branch, rest := "├─ ", "│  "
	if last {
		branch, rest = "└─ ", "   "
	}
	under := t.under[l.Statement.ID]
	t.wrap(before+branch, t.called(l.to()))
	before += rest
	body := before + "   "
	if len(under) > 0 {
		body = before + "│  "
	}
	t.wrap(body, l.id()+" "+t.stands(l))
	st := l.Statement
	for _, s := range []string{terms(l), show(st.Purpose)} {
		if s != "" {
			t.wrap(body, s)
		}
	}
	if !st.Delegate.Instance.IsZero() {
		t.wrap(body, "only instance "+st.Delegate.Instance.String())
	}
	for _, p := range st.Permissions {
		t.wrap(body, permission(p))
	}
	for i, child := range under {
		t.draw(child, before, i+1 == len(under))
	}
}

// wrap writes a text behind a prefix, in as many lines as it takes; those after the first are indented.
func (t *text) wrap(before, s string) {
	line := before
	empty := true
	for word := range strings.FieldsSeq(s) {
		if !empty && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			t.b.WriteString(line + "\n")
			line, empty = strings.NewReplacer("├─", "│ ", "└─", "  ").Replace(before)+"  ", true
		}
		if !empty {
			line += " "
		}
		line, empty = line+word, false
	}
	t.b.WriteString(line + "\n")
}
