package jose

import (
	"bytes"
	"errors"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/fault"
)

// ErrNumber is the cause (errors.Is) of a malformed fault when a number, not the syntax, was refused.
var ErrNumber = errors.New("number without an exact canonical form")

// maxInteger is 2^53 - 1, the largest n for which n and n + 1 are different doubles (RFC 7493 §2.2).
const maxInteger = 1<<53 - 1

// Canonical is the RFC 8785 form of a Go value with json tags, or of a jsontext.Value that holds JSON. Numbers must be integers in plain
// decimal digits with |n| < 2^53, so that every language reads the same value back: floats are refused, and so are invalid UTF-8 and a name
// twice in one object. Code: malformed.
func Canonical(v any) ([]byte, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, malformed(err)
	}
	if inForm(raw) { // whatever is made here often has its members in order
		return raw, nil
	}
	return integers(raw)
}

// integers is the RFC 8785 form of what json.Marshal wrote. It may overwrite raw.
func integers(raw []byte) ([]byte, error) {
	if err := bound(raw, Limits{Bytes: len(raw), Depth: len(raw) + 1, Values: len(raw) + 1}, integer); err != nil {
		return nil, err
	}
	return canonical(raw)
}

// CanonicalRaw reads one JSON text as strictly as Decode and returns its RFC 8785 form. A number may be any finite double whose shortest
// decimal text equals the number as written: 1.0, 1e2 and 0.1 pass and are rewritten, 2^53+1 and 1e400 are refused, because two different numbers
// would share one form. Codes: malformed, too_large.
func CanonicalRaw(raw []byte, l Limits) ([]byte, error) {
	if err := bound(raw, l.orDefault(), exactDouble); err != nil {
		return nil, err
	}
	return canonical(bytes.Clone(raw))
}

// canonical may overwrite raw.
func canonical(raw []byte) ([]byte, error) {
	v := jsontext.Value(raw)
	if err := v.Canonicalize(); err != nil {
		return nil, malformed(err)
	}
	return v, nil
}

// maxInForm is how deep inForm looks.
const maxInForm = 16

// inForm reports that what json.Marshal wrote, and so is valid JSON, is in RFC 8785 form as it stands, every number an integer: each name in ASCII and greater
// than the one before, no escapes, no white space. Where it reports false that may still be so.
func inForm(raw []byte) bool {
	var before [maxInForm][]byte // by depth: the name before in the object there
	depth := 0
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '{' || c == '[':
			if depth++; depth == maxInForm {
				return false
			}
			before[depth] = nil
		case c == '}' || c == ']':
			depth--
		case c == '"':
			end := stringEnd(raw, i)
			text := raw[i+1 : end]
			if bytes.IndexByte(text, '\\') >= 0 {
				return false
			}
			if i = end; end+1 == len(raw) || raw[end+1] != ':' {
				continue // no name
			}
			if !ascii(text) || before[depth] != nil && bytes.Compare(before[depth], text) >= 0 {
				return false
			}
			before[depth] = text
		case c == '-' || '0' <= c && c <= '9':
			end := numberEnd(raw, i)
			if string(raw[i:end]) == "-0" || integer(raw[i:end]) != nil {
				return false
			}
			i = end - 1
		case c <= ' ':
			return false
		}
	}
	return true
}

func ascii(text []byte) bool {
	for _, c := range text {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// integer accepts a number in plain digits with |n| < 2^53.
func integer(text []byte) error {
	if n, err := strconv.ParseInt(string(text), 10, 64); err != nil || n < -maxInteger || n > maxInteger {
		return fault.Wrap(ErrNumber, fault.Invalid, "malformed", "a number is not an integer in plain digits between -(2^53-1) and 2^53-1").Try("write such a number as a string")
	}
	return nil
}

// exactDouble accepts a number that equals the shortest text of its nearest double (ECMAScript's Number::toString, RFC 8785 §3.2.2.3).
func exactDouble(text []byte) error {
	if len(text) <= 15 && isInteger(text) { // exact, and the usual case
		return nil
	}
	f, err := strconv.ParseFloat(string(text), 64)
	if err == nil {
		digits, exp, ok := decimal(text)
		shortest, shortestExp, _ := decimal(strconv.AppendFloat(nil, f, 'e', -1, 64))
		if ok && exp == shortestExp && bytes.Equal(digits, shortest) {
			return nil
		}
	}
	return fault.Wrap(ErrNumber, fault.Invalid, "malformed", "a number has more digits or a larger exponent than a double keeps").Try("write such a number as a string")
}

func isInteger(text []byte) bool {
	for i, c := range text {
		if (c < '0' || c > '9') && (c != '-' || i != 0) {
			return false
		}
	}
	return true
}

// decimal splits a JSON number into its digits, without zeros at either end, and the power of ten of the last one; the sign is left out, since
// rounding never changes it. Zero is no digits. It reports false for an exponent that no double has.
func decimal(text []byte) (digits []byte, exp int, ok bool) {
	mantissa, power := bytes.TrimPrefix(text, []byte("-")), []byte("0")
	if i := bytes.IndexAny(mantissa, "eE"); i >= 0 {
		mantissa, power = mantissa[:i], mantissa[i+1:]
	}
	whole, fraction, _ := bytes.Cut(mantissa, []byte("."))
	digits = bytes.TrimLeft(append(bytes.Clone(whole), fraction...), "0")
	if len(digits) == 0 {
		return nil, 0, true
	}
	exp, err := strconv.Atoi(string(power))
	if err != nil || exp > 1<<30 || exp < -1<<30 {
		return nil, 0, false
	}
	exp -= len(fraction)
	short := bytes.TrimRight(digits, "0")
	return short, exp + len(digits) - len(short), true
}
