package jose

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/fault"
)

// Limits bound a JSON text before it is parsed. A zero field means its default.
type Limits struct {
	Bytes  int // length of the text; default 64 KiB
	Depth  int // arrays and objects inside one another; default 32
	Values int // values of every type, members' names not counted; default 10,000
}

func (l Limits) orDefault() Limits {
	if l.Bytes <= 0 {
		l.Bytes = 64 << 10
	}
	if l.Depth <= 0 {
		l.Depth = 32
	}
	if l.Values <= 0 {
		l.Values = 10_000
	}
	return l
}

// Decode reads one JSON text of attorn's own formats into v, a pointer to a zero value. It accepts one value in UTF-8 without byte order
// mark or lone surrogates, with nothing but white space around it; names match in exact case; a name that appears twice in one object, at
// any depth and even inside a member that v skips, and a member that v does not have are refused. Codes: malformed, too_large, or the code
// of the fault that a type's own decoding returns.
func Decode(data []byte, v any, l Limits) error {
	return decode(data, v, l, json.RejectUnknownMembers(true))
}

// DecodeForeign is Decode for formats that belong to others, who may add members: unknown ones are ignored.
func DecodeForeign(data []byte, v any, l Limits) error {
	return decode(data, v, l, json.RejectUnknownMembers(false))
}

func decode(data []byte, v any, l Limits, unknown json.Options) error {
	if err := bound(data, l.orDefault(), nil); err != nil {
		return err
	}
	if err := json.Unmarshal(data, v, unknown); err != nil {
		return malformed(err)
	}
	return nil
}

// bound walks the text once, byte by byte, and refuses it when it is over a limit. What it counts is exact for valid JSON; invalid JSON is
// left to the parser, so nothing may be concluded from its passing. It calls number, unless nil, with each run of characters outside strings that
// starts as a number does.
func bound(data []byte, l Limits, number func(text []byte) error) error {
	if len(data) > l.Bytes {
		return fault.New(fault.TooLarge, "too_large", "the JSON text has %d bytes; at most %d are accepted", len(data), l.Bytes).Try("send less")
	}
	depth, values, opened := 0, 1, false // opened: the last thing seen was the start of a container
	for i := 0; i < len(data); i++ {
		switch c := data[i]; c {
		case ' ', '\t', '\r', '\n':
			continue
		case ']', '}':
			depth--
			opened = false
			continue
		case ',':
			values++
		}
		if opened {
			values++
			opened = false
		}
		switch c := data[i]; {
		case c == '[' || c == '{':
			depth++
			opened = true
			if depth > l.Depth {
				return fault.New(fault.TooLarge, "too_large", "the JSON text is nested more than %d levels deep", l.Depth).Try("send a flatter value")
			}
		case c == '"':
			i = stringEnd(data, i)
		case number != nil && (c == '-' || '0' <= c && c <= '9'):
			end := numberEnd(data, i)
			if err := number(data[i:end]); err != nil {
				return err
			}
			i = end - 1
		}
		if values > l.Values {
			return fault.New(fault.TooLarge, "too_large", "the JSON text holds more than %d values", l.Values).Try("send less at once")
		}
	}
	return nil
}

// stringEnd is the index of the quotation mark that ends the string starting at i, or the last index.
func stringEnd(data []byte, i int) int {
	for i++; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return i
}

func numberEnd(data []byte, i int) int {
	for i < len(data) && strings.IndexByte("+-.0123456789Ee", data[i]) >= 0 {
		i++
	}
	return i
}

// malformed turns an error of the JSON library into a fault. It says where and which rule; neither reason nor cause repeats a value of the input,
// which may be secret.
func malformed(err error) error {
	if f := fault.Of(err); f != nil {
		return f
	}
	where, rule := "", "not one valid JSON value"
	var syntax *jsontext.SyntacticError
	var semantic *json.SemanticError
	switch {
	case errors.As(err, &syntax):
		where = position(syntax.JSONPointer, syntax.ByteOffset)
	case errors.As(err, &semantic):
		where, rule = position(semantic.JSONPointer, semantic.ByteOffset), "a value of the wrong type or form"
		semantic.JSONValue = nil // the cause goes to the log
	}
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		rule = "the same member twice"
	case errors.Is(err, json.ErrUnknownName):
		rule = "an unknown member"
	}
	return fault.Wrap(err, fault.Invalid, "malformed", "not acceptable JSON: %s%s", rule, where).
		Try("send one JSON value in UTF-8 with each member once, its name in the exact case and its value of the type that is documented")
}

// position names the place of an error by its JSON pointer, quoted and cut short, since the names in it are the sender's.
func position(p jsontext.Pointer, offset int64) string {
	s := string(p)
	if len(s) > 80 {
		s = strings.ToValidUTF8(s[:80], "") + "…"
	}
	if s == "" || !utf8.ValidString(s) {
		return fmt.Sprintf(" at byte %d", offset)
	}
	return fmt.Sprintf(" at %q, byte %d", s, offset)
}
