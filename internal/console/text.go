package console

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// piece is a part of a text: either to be read as it is, or a mark in the place of what cannot be seen.
type piece struct {
	Text string
	Mark bool
}

// shown is a text of somebody else's for a page: the only form in which templates take one.
type shown []piece

// maxCombining is how many combining characters may follow one another before they are shown as marks: more than that paints over other lines.
const maxCombining = 3

// show replaces what would not be seen, or would change how the rest is read, by its code point.
func show(s string) shown {
	var out shown
	var plain strings.Builder
	combining := 0
	flush := func() {
		if plain.Len() > 0 {
			out = append(out, piece{Text: plain.String()})
			plain.Reset()
		}
	}
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Me, r) {
			combining++
		} else {
			combining = 0
		}
		switch {
		case r == utf8.RuneError && n == 1:
			flush()
			out = append(out, piece{fmt.Sprintf("0x%02X", s[0]), true})
		case hidden(r) || combining > maxCombining:
			flush()
			out = append(out, piece{fmt.Sprintf("U+%04X", r), true})
		default:
			plain.WriteString(s[:n])
		}
		s = s[n:]
	}
	flush()
	return out
}

// hidden reports whether r is invisible, a space that is no plain one, or changes the order of what is around it (UAX #9).
func hidden(r rune) bool {
	return !unicode.IsPrint(r) || unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) || r == '\u2800'
}

// String is the text in one line, for attributes: marks stand in angle brackets.
func (s shown) String() string {
	var b strings.Builder
	for _, p := range s {
		if p.Mark {
			b.WriteString("⟨" + p.Text + "⟩")
		} else {
			b.WriteString(p.Text)
		}
	}
	return b.String()
}

// argument is one member of a call's arguments, its value as JSON text, so that no two values look the same.
type argument struct {
	Name  shown
	Value shown
}

// foldAfter is how many lines of arguments a page shows before it folds them.
const foldAfter = 40

// arguments takes canonical JSON apart for reading; long says that it has more lines than a page shows at once.
func arguments(raw []byte) (all []argument, long bool) {
	d := jsontext.NewDecoder(strings.NewReader(string(raw)))
	if d.PeekKind() != '{' {
		value := show(string(raw))
		return []argument{{Value: value}}, false
	}
	_, _ = d.ReadToken()
	lines := 0
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return []argument{{Value: show(string(raw))}}, false
		}
		text := name.String()
		value, err := d.ReadValue()
		if err != nil {
			return []argument{{Value: show(string(raw))}}, false
		}
		if value.Kind() == '{' || value.Kind() == '[' {
			value = value.Clone()
			_ = value.Indent(jsontext.WithIndent("  ")) // it was read as valid
		}
		shownValue := literal(string(value))
		for _, p := range shownValue {
			lines += strings.Count(p.Text, "\n")
		}
		lines++
		all = append(all, argument{show(text), shownValue})
	}
	return all, lines > foldAfter
}

// literal shows JSON text with a line break after each escaped one, so that a file's content can be read; the escapes stay to be seen.
func literal(text string) shown {
	var out shown
	for line := range strings.SplitAfterSeq(breakLines(text), "\n") {
		body, ends := strings.CutSuffix(line, "\n")
		out = append(out, show(body)...)
		if ends {
			out = append(out, piece{Text: "\n"})
		}
	}
	return out
}

func breakLines(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		b.WriteByte(text[i])
		if text[i] == '\\' && i+1 < len(text) {
			i++
			b.WriteByte(text[i])
			if text[i] == 'n' && i+2 < len(text) {
				b.WriteByte('\n')
			}
		}
	}
	return b.String()
}

// when is a moment for a page: how far away it is, and exactly.
type when struct {
	Machine string // RFC 3339
	Exact   string
	Rel     string
}

func at(t, now time.Time) when {
	t = t.UTC()
	return when{t.Format(time.RFC3339), t.Format("2006-01-02 15:04:05 UTC"), relative(t, now)}
}

func relative(t, now time.Time) string {
	d := now.Sub(t)
	if d >= 0 && d < 5*time.Second {
		return "now"
	}
	if d < 0 {
		return "in " + span(-d)
	}
	return span(d) + " ago"
}

// span says a length of time roughly, never longer than it is.
func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 24*time.Hour:
		if m := d % time.Hour / time.Minute; m > 0 && d < 10*time.Hour {
			return fmt.Sprintf("%d h %d min", d/time.Hour, m)
		}
		return fmt.Sprintf("%d h", d/time.Hour)
	case d < 48*time.Hour:
		return "1 day"
	}
	return fmt.Sprintf("%d days", d/(24*time.Hour))
}
