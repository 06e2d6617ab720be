package delegation

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// plain reports whether s can be shown to a person as it is: UTF-8 without control characters, line separators or bidirectional controls
// (UAX #9), which make a text read as another.
func plain(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, disguises) < 0
}

func disguises(r rune) bool {
	switch {
	case unicode.IsControl(r),
		r == 0x061c, r == 0x200e, r == 0x200f, // marks
		r >= 0x2028 && r <= 0x202e, // line and paragraph separator, embeddings, overrides
		r >= 0x2066 && r <= 0x2069: // isolates
		return true
	}
	return false
}
