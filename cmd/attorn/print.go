package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// show prints a thing: as JSON, as a line of JSON for each item of a list, by its identifiers, one a line, or by table.
func (c *cli) show(v any, ids string, table func(io.Writer)) error {
	switch c.format {
	case "json":
		raw, err := json.Marshal(v, json.Deterministic(true), jsontext.WithIndent("  "), json.FormatNilSliceAsNull(false))
		if err != nil {
			return err
		}
		fmt.Fprintln(c.out, escaped(string(raw)))
		return nil
	case "jsonl":
		items := func(yield func(any) bool) { yield(v) }
		if l, ok := v.(interface{ Each(func(any) bool) }); ok {
			items = l.Each
		}
		for item := range items {
			raw, err := json.Marshal(item, json.Deterministic(true), json.FormatNilSliceAsNull(false))
			if err != nil {
				return err
			}
			fmt.Fprintln(c.out, escaped(string(raw)))
		}
		return nil
	case "id":
		if ids != "" {
			fmt.Fprintln(c.out, text(ids))
		}
		return nil
	}
	w := tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)
	table(w)
	return w.Flush()
}

// each is the identifiers of a list, one a line.
func each[T any](items []T, name func(T) string) string {
	var names []string
	for _, item := range items {
		names = append(names, name(item))
	}
	return strings.Join(names, "\n")
}

// row prints one line of a table; what came from elsewhere cannot move the cursor, turn the text around or begin a line of its own.
func row(w io.Writer, cells ...string) {
	for i, s := range cells {
		cells[i] = line(s)
	}
	if len(cells) == 2 { // a row of one cell would end the columns of those around it
		cells[1] = orDash(cells[1])
	}
	fmt.Fprintln(w, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
}

// say prints a sentence under the same rules.
func say(w io.Writer, format string, args ...any) {
	fmt.Fprintln(w, line(fmt.Sprintf(format, args...)))
}

// line replaces whatever is no visible character or space.
func line(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

// text is line for what has lines and tabs of its own.
func text(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

// escaped is a JSON text with the characters that text would replace as \u escapes: the same value. Outside strings JSON has none of them.
func escaped(raw string) string {
	var b strings.Builder
	for _, r := range raw {
		switch {
		case r == '\n' || unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// shorten marks what it leaves out; only lists are shortened, never what somebody signs.
func shorten(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + fmt.Sprintf(" … (%d more)", len(r)-n)
	}
	return s
}

// moment is an API's time for people, to the second.
func moment(rfc3339 string) string {
	t, err := time.Parse(time.RFC3339, rfc3339)
	if err != nil {
		return rfc3339
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

func seconds(unix int64) string { return moment(time.Unix(unix, 0).UTC().Format(time.RFC3339)) }

// count says how many of something there are.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
