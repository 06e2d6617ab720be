package httpsig

import (
	"encoding/base64"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxNames is how many labels a dictionary may have, and how many parameters a value.
const maxNames = 32

// The kinds of bare items (RFC 9651 §3.3), each by the character that it begins with or could.
const (
	kindInteger = '0'
	kindDecimal = '.'
	kindString  = '"'
	kindToken   = 'a'
	kindBytes   = ':'
	kindBoolean = '?'
	kindDate    = '@'
	kindDisplay = '%'
)

// bare is a bare item. Its text is that of the field, without what encloses it; nothing is unescaped or decoded yet.
type bare struct {
	kind byte
	text string
}

// integer is the value of an item that was parsed as one.
func (b bare) integer() (int64, bool) {
	n, err := strconv.ParseInt(b.text, 10, 64)
	return n, b.kind == kindInteger && err == nil
}

// plain is the value of a string. One with an escape in it is refused: no string that means anything here has a quotation mark or a backslash.
func (b bare) plain() (string, bool) {
	return b.text, b.kind == kindString && strings.IndexByte(b.text, '\\') < 0
}

// bytes is the value of a byte sequence of so many bytes.
func (b bare) bytes(size int) ([]byte, bool) {
	if b.kind != kindBytes || len(b.text) != base64.StdEncoding.EncodedLen(size) {
		return nil, false
	}
	out := make([]byte, base64.StdEncoding.DecodedLen(len(b.text)))
	n, err := base64.StdEncoding.Decode(out, []byte(b.text))
	return out[:n], err == nil && n == size
}

type param struct {
	name  string
	value bare
}

// item is a bare item with its parameters.
type item struct {
	bare
	params []param
}

// member is what a dictionary has under a label: an item, or with list an inner list of items and the list's own parameters.
type member struct {
	label string
	list  bool
	item
	items []item
}

// dictionary reads a field as an RFC 9651 dictionary (§4.2.2). A label or parameter that stands twice is refused: the last would silently hide the
// others.
func dictionary(name string, lines []string) ([]member, error) {
	if len(lines) > maxLines {
		return nil, malformed("the field %s stands there %d times; at most %d lines are read", name, len(lines), maxLines).Try("send the field on one line")
	}
	text := strings.Join(lines, ", ")
	if len(text) > maxValue {
		return nil, malformed("the field %s has %d bytes; at most %d are read", name, len(text), maxValue).Try("send fewer signatures")
	}
	s := scanner{text: text}
	members, ok := s.dictionary()
	switch {
	case ok:
		return members, nil
	case s.many:
		return nil, malformed("the field %s has more than %d labels, or as many parameters in one place", name, maxNames)
	case s.twice:
		return nil, malformed("the field %s has a label or a parameter twice", name).Try("give each signature a label of its own, and each parameter once")
	}
	return nil, malformed("the field %s is no structured dictionary (RFC 9651 §3.2)", name)
}

// under is the member with a label; false where there is none.
func under(members []member, label string) (member, bool) {
	for _, m := range members {
		if m.label == label {
			return m, true
		}
	}
	return member{}, false
}

// scanner reads a structured field from left to right (RFC 9651 §4.2). Its methods are false where the text is not of the form that they read.
type scanner struct {
	text        string
	at          int
	many, twice bool // why it stopped
}

// next is the character to be read; 0, which no field has, at the end.
func (s *scanner) next() byte {
	if s.at < len(s.text) {
		return s.text[s.at]
	}
	return 0
}

// take reads c if it is next.
func (s *scanner) take(c byte) bool {
	if s.next() != c || s.at == len(s.text) {
		return false
	}
	s.at++
	return true
}

func (s *scanner) spaces() {
	for s.take(' ') {
	}
}

func (s *scanner) optionalWhiteSpace() {
	for s.take(' ') || s.take('\t') {
	}
}

func (s *scanner) dictionary() ([]member, bool) {
	s.spaces()
	if s.at == len(s.text) {
		return nil, true
	}
	members := make([]member, 0, 1) // one signature, one digest
	for {
		m, ok := s.member()
		if !ok {
			return nil, false
		}
		if _, s.twice = under(members, m.label); s.twice {
			return nil, false
		}
		members = append(members, m)
		s.optionalWhiteSpace()
		if s.at == len(s.text) {
			return members, true
		}
		if s.many = len(members) == maxNames; s.many || !s.take(',') {
			return nil, false
		}
		s.optionalWhiteSpace()
	}
}

func (s *scanner) member() (m member, ok bool) {
	if m.label, ok = s.key(); !ok {
		return m, false
	}
	switch {
	case !s.take('='):
		m.bare = bare{kindBoolean, "1"}
	case s.next() == '(':
		m.list = true
		if m.items, ok = s.items(); !ok {
			return m, false
		}
	default:
		if m.bare, ok = s.bare(); !ok {
			return m, false
		}
	}
	m.params, ok = s.params()
	return m, ok
}

// items reads an inner list (§4.2.1.2) without its parameters.
func (s *scanner) items() ([]item, bool) {
	s.at++
	items := make([]item, 0, len(always)+len(ifPresent))
	for {
		s.spaces()
		if s.take(')') {
			return items, true
		}
		b, ok := s.bare()
		if !ok {
			return nil, false
		}
		params, ok := s.params()
		if c := s.next(); !ok || c != ' ' && c != ')' {
			return nil, false
		}
		items = append(items, item{b, params})
	}
}

// params reads parameters (§4.2.3.2).
func (s *scanner) params() ([]param, bool) {
	var params []param
	for s.take(';') {
		s.spaces()
		name, ok := s.key()
		if !ok {
			return nil, false
		}
		value := bare{kindBoolean, "1"}
		if s.take('=') {
			if value, ok = s.bare(); !ok {
				return nil, false
			}
		}
		for _, p := range params {
			s.twice = s.twice || p.name == name
		}
		if s.many = len(params) == maxNames; s.many || s.twice {
			return nil, false
		}
		if params == nil {
			params = make([]param, 0, 6) // those that are known
		}
		params = append(params, param{name, value})
	}
	return params, true
}

// key reads a key (§4.2.3.3).
func (s *scanner) key() (string, bool) {
	start := s.at
	if c := s.next(); !lower(c) && c != '*' {
		return "", false
	}
	for c := s.next(); lower(c) || digit(c) || c == '_' || c == '-' || c == '.' || c == '*'; c = s.next() {
		s.at++
	}
	return s.text[start:s.at], true
}

// bare reads a bare item (§4.2.3.1).
func (s *scanner) bare() (bare, bool) {
	switch c := s.next(); {
	case c == '"':
		return s.quoted()
	case c == '-' || digit(c):
		return s.number()
	case c == ':':
		return s.byteSequence()
	case c == '*' || lower(c|0x20):
		return s.token(), true
	case c == '?':
		s.at++
		if c := s.next(); c != '0' && c != '1' {
			return bare{}, false
		}
		s.at++
		return bare{kindBoolean, s.text[s.at-1 : s.at]}, true
	case c == '@':
		s.at++
		n, ok := s.number()
		return bare{kindDate, n.text}, ok && n.kind == kindInteger
	case c == '%':
		return s.display()
	}
	return bare{}, false
}

// number reads an integer or a decimal (§4.2.4): at most 15 digits, or 12 and 3 with a dot between.
func (s *scanner) number() (bare, bool) {
	start := s.at
	s.take('-')
	whole := s.digits()
	if s.next() != '.' {
		return bare{kindInteger, s.text[start:s.at]}, 1 <= whole && whole <= 15
	}
	s.at++
	part := s.digits()
	return bare{kindDecimal, s.text[start:s.at]}, 1 <= whole && whole <= 12 && 1 <= part && part <= 3
}

func (s *scanner) digits() (n int) {
	for ; digit(s.next()); n++ {
		s.at++
	}
	return n
}

// quoted reads a string (§4.2.5).
func (s *scanner) quoted() (bare, bool) {
	s.at++
	for start := s.at; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; {
		case c == '"':
			s.at++
			return bare{kindString, s.text[start : s.at-1]}, true
		case c == '\\':
			s.at++
			if c := s.next(); c != '"' && c != '\\' {
				return bare{}, false
			}
		case c < ' ' || c >= 0x7f:
			return bare{}, false
		}
	}
	return bare{}, false
}

// token reads a token (§4.2.6), whose first character was looked at.
func (s *scanner) token() bare {
	start := s.at
	for c := s.next(); lower(c|0x20) || digit(c) || c != 0 && strings.IndexByte("!#$%&'*+-.^_`|~:/", c) >= 0; c = s.next() {
		s.at++
	}
	return bare{kindToken, s.text[start:s.at]}
}

// byteSequence reads a byte sequence (§4.2.7).
func (s *scanner) byteSequence() (bare, bool) {
	s.at++
	n := strings.IndexByte(s.text[s.at:], ':')
	if n < 0 {
		return bare{}, false
	}
	text := s.text[s.at : s.at+n]
	if strings.ContainsAny(text, "\r\n") { // the library would skip them
		return bare{}, false
	}
	var short [128]byte
	into := short[:]
	if size := base64.StdEncoding.DecodedLen(n); size > len(into) {
		into = make([]byte, size)
	}
	if _, err := base64.StdEncoding.Decode(into, []byte(text)); err != nil {
		return bare{}, false
	}
	s.at += n + 1
	return bare{kindBytes, text}, true
}

// display reads a display string (§4.2.10).
func (s *scanner) display() (bare, bool) {
	s.at++
	if !s.take('"') {
		return bare{}, false
	}
	start := s.at
	var decoded []byte
	for s.at < len(s.text) {
		c := s.text[s.at]
		s.at++
		switch {
		case c == '"':
			return bare{kindDisplay, s.text[start : s.at-1]}, utf8.Valid(decoded)
		case c < ' ' || c >= 0x7f:
			return bare{}, false
		case c == '%':
			n, err := strconv.ParseUint(s.text[s.at:min(s.at+2, len(s.text))], 16, 8)
			if err != nil || s.at+2 > len(s.text) || strings.ContainsAny(s.text[s.at:s.at+2], "ABCDEF") {
				return bare{}, false
			}
			s.at += 2
			c = byte(n)
		}
		decoded = append(decoded, c)
	}
	return bare{}, false
}

func lower(c byte) bool { return 'a' <= c && c <= 'z' }

func digit(c byte) bool { return '0' <= c && c <= '9' }
