package policy

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// wide is how long a line may be that could be broken.
const wide = 100

// layout writes the pieces of a file.
type layout struct {
	all []piece

	out    bytes.Buffer
	col    int
	broken bool // a new line begins before whatever comes
	gap    bool // and an empty one before that
}

// measure finds for each piece whether a space stands before it, and the ends of brackets.
func (l *layout) measure() {
	var before, last token // of the piece; comments do not count
	unary := false         // last is a sign or negation
	type bracket struct {
		at    int
		inner bool // space inside, as conditions have it
	}
	var open []bracket
	for i := range l.all {
		p := &l.all[i]
		if p.comment {
			continue
		}
		ends := operandEnds(before, last)
		effect := len(open) == 0 && before.text != "@" && (last.text == "permit" || last.text == "forbid")
		switch p.text {
		case ")", "]", "}":
			p.space = open[len(open)-1].inner
			l.all[open[len(open)-1].at].closed = i
			open = open[:len(open)-1]
		case ",", ";", ".", "::", ":":
		default:
			switch last.text {
			case "(", "[", ".", "::", "@":
			case "{":
				p.space = open[len(open)-1].inner
			default:
				called := (p.text == "(" || p.text == "[") && ends && !effect
				p.space = last.kind != 0 && !unary && !called
			}
		}
		switch p.text {
		case "(", "[", "{":
			open = append(open, bracket{i, p.text == "{" && len(open) == 0})
		}
		unary = p.text == "!" || p.text == "-" && !ends
		before, last = last, p.token
	}
}

// operandEnds reports whether t, which comes after before, can be the end of an operand: a sign after it has two.
func operandEnds(before, t token) bool {
	switch t.text {
	case "if", "then", "else", "in", "has", "like", "is", "when", "unless":
		return before.text == "." || before.text == "@"
	case ")", "]", "}":
		return true
	}
	return t.kind == 'i' || t.kind == 'n' || t.kind == 's'
}

// statement writes a policy with the comments before it, and returns where the next one begins.
func (l *layout) statement(i int) int {
	for ; i < len(l.all) && l.all[i].comment; i++ {
		l.gap = l.gap || l.all[i].blank
		l.write(l.all[i], 0)
	}
	if i == len(l.all) {
		return i
	}
	l.gap = l.gap || l.all[i].blank
	begin, depth := i, 0
	for ; ; i++ {
		p := l.all[i]
		switch p.text {
		case "(", "[", "{":
			depth++
		case ")", "]", "}":
			depth--
		case "@", "permit", "forbid", "when", "unless":
			if depth == 0 && !p.comment && i > begin && (p.text == "@" || l.tokenBefore(i) != "@") {
				l.segment(begin, i)
				begin = i
			}
		}
		if p.text == ";" {
			break
		}
	}
	for i++; i < len(l.all) && l.all[i].trailing; i++ {
	}
	l.segment(begin, i)
	l.gap = true
	return i
}

func (l *layout) tokenBefore(i int) string {
	for i--; i >= 0; i-- {
		if !l.all[i].comment {
			return l.all[i].text
		}
	}
	return ""
}

// segment writes an annotation, the scope or a condition.
func (l *layout) segment(begin, end int) {
	l.broken = true
	if l.all[begin].text != "@" {
		l.part(begin, end, 0)
		return
	}
	for _, p := range l.all[begin:end] {
		l.write(p, 0)
	}
}

// part writes pieces that belong together: on this line if they fit, else cut where they bind least.
func (l *layout) part(begin, end, indent int) {
	if l.fits(begin, end, indent) {
		for _, p := range l.all[begin:end] {
			l.write(p, indent)
		}
		return
	}
	cuts, deeper := l.cuts(begin, end, ",", "then", "||", "&&")
	if len(cuts) == 0 {
		l.groups(begin, end, indent)
		return
	}
	l.parts(begin, end, indent, cuts, deeper)
}

// parts writes what lies between cuts, each on lines of its own.
func (l *layout) parts(begin, end, indent int, cuts []int, deeper int) {
	for n, cut := range append(cuts, end) {
		if n > 0 {
			l.broken = true
		}
		if n == 1 {
			indent += deeper
		}
		l.part(begin, cut, indent)
		begin = cut
	}
}

// groups writes a part that has no place to cut but inside its brackets.
func (l *layout) groups(begin, end, indent int) {
	for i := begin; i < end; i++ {
		l.write(l.all[i], indent)
		closed := l.all[i].closed
		if closed == 0 {
			continue
		}
		if i++; i < closed && !l.fits(i, closed+1, indent) {
			l.broken = true
			cuts, _ := l.cuts(i, closed, ",")
			if cuts == nil {
				l.part(i, closed, indent+2)
			} else {
				l.parts(i, closed, indent+2, cuts, 0)
			}
			l.broken = true
		} else {
			l.part(i, closed, indent+2)
		}
		i = closed
		l.write(l.all[i], indent)
	}
}

// fits reports whether pieces go on the line that is being written.
func (l *layout) fits(begin, end, indent int) bool {
	col := l.col
	if l.broken {
		col = indent
	}
	for i, p := range l.all[begin:end] {
		if p.comment && (!p.trailing || begin+i+1 < end) {
			return false
		}
		if p.comment {
			continue
		}
		if p.space && (i > 0 || !l.broken) {
			col++
		}
		col += utf8.RuneCountInString(p.text)
	}
	return col <= wide
}

// cuts are where a part can be broken: at the first of marks that it has outside brackets, "then" standing for else too. What comes after the first cut is indented
// deeper.
func (l *layout) cuts(begin, end int, marks ...string) (cuts []int, deeper int) {
	for _, at := range marks {
		for i := begin; i < end; i++ {
			p := l.all[i]
			cut := 0
			switch {
			case p.comment:
			case p.closed > 0:
				i = p.closed
			case at == "then" && (p.text == "then" || p.text == "else"):
				cut, deeper = i, 2
			case p.text == at:
				for cut = i + 1; cut < end && l.all[cut].trailing; cut++ {
				}
			}
			if begin < cut && cut < end {
				cuts = append(cuts, cut)
			}
		}
		if cuts != nil {
			return cuts, deeper
		}
		deeper = 0
	}
	return nil, 0
}

// write writes one piece; a line that has to begin before it is indented so far.
func (l *layout) write(p piece, indent int) {
	if p.comment && p.trailing {
		l.out.WriteString(" " + p.text)
		l.broken = true
		return
	}
	l.broken = l.broken || p.comment
	switch {
	case l.broken && l.out.Len() > 0:
		l.out.WriteByte('\n')
		if l.gap {
			l.out.WriteByte('\n')
		}
		l.out.WriteString(strings.Repeat(" ", indent))
		l.col = indent
	case p.space:
		l.out.WriteByte(' ')
		l.col++
	}
	l.out.WriteString(p.text)
	l.col += utf8.RuneCountInString(p.text)
	l.broken, l.gap = p.comment, false
}
