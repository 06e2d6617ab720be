package delegation

import (
	"bytes"
	"errors"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/jose"
)

type valueKind uint8

const (
	text valueKind = iota + 1
	integer
	boolean
)

// A Value is what a constraint compares with: a string, an integer within ±(2^53-1) or a boolean. Values are comparable; the zero value
// is none and equals no argument.
type Value struct {
	kind valueKind
	s    string
	n    int64
	b    bool
}

// String makes a value of a string.
func String(s string) Value { return Value{kind: text, s: s} }

// Int makes a value of an integer.
func Int(n int64) Value { return Value{kind: integer, n: n} }

// Bool makes a value of a boolean.
func Bool(b bool) Value { return Value{kind: boolean, b: b} }

func valueOf(arg any) (Value, bool) {
	switch a := arg.(type) {
	case string:
		return String(a), true
	case int64:
		return Int(a), safe(a)
	case bool:
		return Bool(a), true
	}
	return Value{}, false
}

func safe(n int64) bool { return -maxNumber <= n && n <= maxNumber }

func (v Value) valid() bool {
	switch v.kind {
	case text:
		return len(v.s) <= maxText && plain(v.s)
	case integer:
		return safe(v.n)
	}
	return v.kind == boolean
}

// String is the value as people read it.
func (v Value) String() string {
	switch v.kind {
	case integer:
		return strconv.FormatInt(v.n, 10)
	case boolean:
		return strconv.FormatBool(v.b)
	}
	return v.s
}

var errValue = errors.New("a value is a string, an integer within ±(2^53-1) or a boolean")

// Plain is the value as a string, int64 or bool; nil for the zero value.
func (v Value) Plain() any {
	switch v.kind {
	case text:
		return v.s
	case integer:
		return v.n
	case boolean:
		return v.b
	}
	return nil
}

// MarshalJSON implements json.Marshaler.
func (v Value) MarshalJSON() ([]byte, error) {
	switch v.kind {
	case text:
		return jsontext.AppendQuote(nil, v.s)
	case integer:
		return strconv.AppendInt(nil, v.n, 10), nil
	case boolean:
		return strconv.AppendBool(nil, v.b), nil
	}
	return nil, errValue
}

// UnmarshalJSON implements json.Unmarshaler; a number must be written as an integer.
func (v *Value) UnmarshalJSON(b []byte) error {
	switch jsontext.Value(b).Kind() {
	case '"':
		s, err := jsontext.AppendUnquote(nil, b)
		if err != nil {
			return errValue
		}
		*v = String(string(s))
	case '0':
		n, ok := parseInt(string(b))
		if !ok {
			return errValue
		}
		*v = Int(n)
	case 't', 'f':
		*v = Bool(b[0] == 't')
	default:
		return errValue
	}
	return nil
}

func parseInt(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && safe(n) && strconv.FormatInt(n, 10) == s
}

// Args are the arguments of a call as constraints see them: strings, int64, bool, and Args for objects. Anything else (null, arrays,
// numbers that are not integers within ±(2^53-1)) is there as a value that no constraint holds for.
type Args map[string]any

// unfit stands for an argument that no constraint holds for.
type unfit struct{}

// The limits of arguments, the same as of a whole MCP message.
var argLimits = jose.Limits{Bytes: 4 << 20, Depth: 64, Values: 100_000}

// DecodeArgs reads the arguments of a call: one JSON object within 4 MiB, 64 levels and 100,000 values, as strict as
// jose.CanonicalRaw. They are read in their RFC 8785 form, so what is judged is what is digested and forwarded: 1e1 is the integer 10.
// Codes: those of jose.CanonicalRaw, and malformed for anything but an object.
func DecodeArgs(raw []byte) (Args, error) {
	canonical, err := jose.CanonicalRaw(raw, argLimits)
	if err != nil {
		return nil, err
	}
	dec := jsontext.NewDecoder(bytes.NewReader(canonical))
	if dec.PeekKind() != '{' {
		return nil, fault.New(fault.Invalid, "malformed", "arguments are one JSON object")
	}
	args, err := decodeObject(dec)
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "malformed", "the arguments are not well-formed JSON")
	}
	return args, nil
}

func decodeObject(dec *jsontext.Decoder) (Args, error) {
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	args := Args{}
	for dec.PeekKind() != '}' {
		tok, err := dec.ReadToken()
		if err != nil {
			return nil, err
		}
		name := tok.String()
		if args[name], err = decodeArg(dec); err != nil {
			return nil, err
		}
	}
	_, err := dec.ReadToken()
	return args, err
}

func decodeArg(dec *jsontext.Decoder) (any, error) {
	switch dec.PeekKind() {
	case '{':
		return decodeObject(dec)
	case '[':
		return unfit{}, dec.SkipValue()
	}
	tok, err := dec.ReadToken()
	if err != nil {
		return nil, err
	}
	switch tok.Kind() {
	case '"':
		return tok.String(), nil
	case 't', 'f':
		return tok.Bool(), nil
	case '0':
		if n, ok := parseInt(tok.String()); ok {
			return n, nil
		}
	}
	return unfit{}, nil
}

// At finds the argument that a constraint's path names.
func (a Args) At(path string) (arg any, ok bool) {
	for {
		name, rest, more := strings.Cut(path, ".")
		arg, ok = a[name]
		if !ok || !more {
			return arg, ok
		}
		if a, ok = arg.(Args); !ok {
			return nil, false
		}
		path = rest
	}
}

func validPath(path string) bool {
	if len(path) > maxPath || !plain(path) {
		return false
	}
	for name := range strings.SplitSeq(path, ".") {
		if name == "" {
			return false
		}
	}
	return true
}
