package gateway

import (
	"encoding/base64"
	"math"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// The request headers of MCP 2026-07-28, basic/transports/streamable-http "Request Metadata".
const (
	headerVersion = "Mcp-Protocol-Version"
	headerMethod  = "Mcp-Method"
	headerName    = "Mcp-Name"
	headerParam   = "Mcp-Param-"
	headerSession = "Mcp-Session-Id"
)

func badHeader(message string) *rpcError {
	return &rpcError{Status: http.StatusBadRequest, Code: codeHeader, Message: message, Rule: "header"}
}

// checkHeader demands that the header occurs once and, decoded, equals want.
func checkHeader(h http.Header, name, want string, encoded bool) *rpcError {
	values := h.Values(name)
	if len(values) != 1 {
		return badHeader(name + " must be sent once")
	}
	got, ok := values[0], true
	if encoded {
		got, ok = decodeHeader(values[0])
	}
	if !ok || got != want {
		return badHeader(name + " does not equal the value in the body")
	}
	return nil
}

// checkHeaders is rule header for what every modern request carries.
func checkHeaders(h http.Header, version, method, name string) *rpcError {
	if bad := checkHeader(h, headerVersion, version, false); bad != nil {
		return bad
	}
	if bad := checkHeader(h, headerMethod, method, false); bad != nil {
		return bad
	}
	if name == "" {
		return nil
	}
	return checkHeader(h, headerName, name, true)
}

const (
	base64Start = "=?base64?"
	base64End   = "?="
)

// decodeHeader reads a value that may be in the base64 form ("Value Encoding"). Only the one canonical base64 of valid UTF-8 is accepted.
func decodeHeader(v string) (string, bool) {
	for i := range len(v) {
		if (v[i] < 0x20 && v[i] != '\t') || v[i] > 0x7e {
			return "", false
		}
	}
	rest, start := strings.CutPrefix(v, base64Start)
	rest, end := strings.CutSuffix(rest, base64End)
	if !start || !end {
		return v, true
	}
	b, err := base64.StdEncoding.Strict().DecodeString(rest)
	if err != nil || base64.StdEncoding.EncodeToString(b) != rest || !utf8.Valid(b) {
		return "", false
	}
	return string(b), true
}

// encodeHeader is its inverse.
func encodeHeader(s string) string {
	plain := s == strings.Trim(s, " \t") && (!strings.HasPrefix(s, base64Start) || !strings.HasSuffix(s, base64End))
	for i := range len(s) {
		plain = plain && s[i] >= 0x20 && s[i] <= 0x7e
	}
	if plain {
		return s
	}
	return base64Start + base64.StdEncoding.EncodeToString([]byte(s)) + base64End
}

// binding says that an argument is mirrored in a header: x-mcp-header in a tool's input schema, reachable through properties alone.
type binding struct {
	path   []string
	header string // without Mcp-Param-
}

type headerSchema struct {
	Header     string                  `json:"x-mcp-header"`
	Properties map[string]headerSchema `json:"properties"`
}

// bindings reads them from an accepted definition. A definition whose annotations are not of the form has none: catalogue admits it anyway, and
// an upstream that relies on them refuses the call.
func bindings(definition []byte) []binding {
	if !strings.Contains(string(definition), "x-mcp-header") {
		return nil
	}
	var tool struct {
		InputSchema headerSchema `json:"inputSchema"`
	}
	if json.Unmarshal(definition, &tool) != nil {
		return nil
	}
	return collect(nil, nil, tool.InputSchema.Properties)
}

func collect(out []binding, path []string, props map[string]headerSchema) []binding {
	for name, p := range props {
		at := append(append([]string{}, path...), name)
		if p.Header != "" {
			out = append(out, binding{at, p.Header})
		}
		out = collect(out, at, p.Properties)
	}
	return out
}

// paramHeaders are the values that the arguments give to the bindings; a missing or null argument gives none ("Client Behavior").
func paramHeaders(bs []binding, arguments []byte) map[string]jsontext.Value {
	out := map[string]jsontext.Value{}
	for _, b := range bs {
		v := jsontext.Value(arguments)
		for _, name := range b.path {
			var object map[string]jsontext.Value
			if v.Kind() != '{' || json.Unmarshal(v, &object) != nil {
				v = nil
				break
			}
			v = object[name]
		}
		if k := v.Kind(); k == '"' || k == '0' || k == 't' || k == 'f' {
			out[headerParam+b.header] = v
		}
	}
	return out
}

// headerText is the plain text of a primitive.
func headerText(v jsontext.Value) string {
	if s, ok := decodeString(v); ok {
		return s
	}
	return string(v)
}

// checkParamHeaders compares each bound header with the arguments; integers numerically.
func checkParamHeaders(h http.Header, bs []binding, arguments []byte) *rpcError {
	want := paramHeaders(bs, arguments)
	for _, b := range bs {
		name := headerParam + b.header
		v, bound := want[name]
		if !bound {
			if len(h.Values(name)) > 0 {
				return badHeader(name + " was sent for an argument that the call does not have")
			}
			continue
		}
		if v.Kind() != '0' {
			if bad := checkHeader(h, name, headerText(v), true); bad != nil {
				return bad
			}
			continue
		}
		values := h.Values(name)
		if len(values) != 1 || !sameInteger(values[0], string(v)) {
			return badHeader(name + " does not equal the value in the body")
		}
	}
	return nil
}

// sameInteger compares decimal texts as numbers: 42.0 is 42 ("Server Validation").
func sameInteger(header, body string) bool {
	if header == "" || strings.Trim(header, "-0123456789.eE+") != "" { // no hexadecimal, no Inf
		return false
	}
	a, err1 := strconv.ParseFloat(header, 64)
	b, err2 := strconv.ParseFloat(body, 64)
	return err1 == nil && err2 == nil && a == b && a == math.Trunc(a) && math.Abs(a) < 1<<53
}
