package gateway

import (
	"errors"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/jose"
)

// Protocol revisions.
const (
	modern = "2026-07-28"
	legacy = "2025-11-25"
)

// gatedCall is a tools/call, prompts/get or resources/read as it will be judged and sent: nothing else of the client's message survives.
type gatedCall struct {
	Method    string
	Name      string         // tool or prompt; "" for a resource
	URI       string         // resource
	Arguments jsontext.Value // RFC 8785 form; of a resource: {"uri": …}
	Meta      requestMeta
	State     string         // modern: requestState, "" when absent
	Responses jsontext.Value // modern: inputResponses, canonical, or nil
}

// gatedParams are the members that the gated methods have in all revisions together. Any other member, in another case too, is refused, and
// so is one of these where it does not belong (rule params).
type gatedParams struct {
	Name      *string        `json:"name"`
	URI       *string        `json:"uri"`
	Arguments jsontext.Value `json:"arguments"`
	Meta      jsontext.Value `json:"_meta"`
	Responses jsontext.Value `json:"inputResponses"` // modern
	State     *string        `json:"requestState"`   // modern
}

// decodeGated reads the parameters of a gated method: rules params, number, uri, meta and the sizes within.
func decodeGated(m message, revision string) (gatedCall, *rpcError) {
	c := gatedCall{Method: m.Method}
	if m.Params == nil {
		return c, broken("params", codeParams, m.Method+" needs params")
	}
	var p gatedParams
	if err := jose.Decode(m.Params, &p, jose.Limits{Bytes: maxBody, Depth: maxDepth, Values: maxValues}); err != nil {
		return c, broken("params", codeParams, "params of "+m.Method+": "+reasonOf(err))
	}
	resource := m.Method == "resources/read"
	if (resource && (p.Name != nil || p.Arguments != nil)) || (!resource && p.URI != nil) ||
		(revision != modern && (p.Responses != nil || p.State != nil)) {
		return c, broken("params", codeParams, "params of "+m.Method+" has a member that this revision does not define")
	}
	var bad *rpcError
	if resource {
		bad = c.readResource(p)
	} else {
		bad = c.readNamed(p)
	}
	if bad == nil {
		bad = c.readRetry(p)
	}
	if bad == nil {
		c.Meta, bad = decodeMeta(p.Meta, revision)
	}
	return c, bad
}

func (c *gatedCall) readNamed(p gatedParams) *rpcError {
	if p.Name == nil || *p.Name == "" {
		return broken("params", codeParams, "params.name is missing")
	}
	if len(*p.Name) > maxName {
		return broken("size", codeRequest, "params.name is over 128 bytes")
	}
	c.Name = *p.Name
	if p.Arguments == nil {
		p.Arguments = jsontext.Value("{}")
	}
	if p.Arguments.Kind() != '{' {
		return broken("params", codeParams, "params.arguments must be an object")
	}
	canonical, err := jose.CanonicalRaw(p.Arguments, jose.Limits{Bytes: maxBody, Depth: maxDepth, Values: maxValues})
	if errors.Is(err, jose.ErrNumber) {
		return broken("number", codeParams, "params.arguments: "+reasonOf(err))
	}
	if err != nil {
		return broken("params", codeParams, "params.arguments: "+reasonOf(err))
	}
	c.Arguments = canonical
	if c.Method == "prompts/get" {
		var texts map[string]string // MCP 2026-07-28, GetPromptRequestParams
		if err := jose.Decode(canonical, &texts, jose.Limits{Bytes: maxBody, Values: maxValues}); err != nil {
			return broken("params", codeParams, "params.arguments of a prompt must be strings")
		}
	}
	return nil
}

func (c *gatedCall) readResource(p gatedParams) *rpcError {
	if p.URI == nil {
		return broken("params", codeParams, "params.uri is missing")
	}
	if bad := checkURI(*p.URI); bad != nil {
		return bad
	}
	c.URI = *p.URI
	args, err := jose.Canonical(map[string]string{"uri": *p.URI})
	if err != nil {
		return broken("uri", codeParams, "params.uri is not text")
	}
	c.Arguments = args
	return nil
}

func (c *gatedCall) readRetry(p gatedParams) *rpcError {
	if p.State != nil {
		if len(*p.State) > maxState {
			return broken("size", codeRequest, "params.requestState is over 24 KiB")
		}
		c.State = *p.State
		if c.State == "" {
			return broken("params", codeParams, "params.requestState is empty")
		}
	}
	if p.Responses == nil {
		return nil
	}
	if p.Responses.Kind() != '{' {
		return broken("params", codeParams, "params.inputResponses must be an object")
	}
	canonical, err := jose.CanonicalRaw(p.Responses, jose.Limits{Bytes: maxBody, Depth: maxDepth, Values: maxValues})
	if err != nil {
		return broken("number", codeParams, "params.inputResponses: "+reasonOf(err))
	}
	c.Responses = canonical
	return nil
}

// checkURI is rule uri: absolute, no userinfo, and no spelling that another reader would resolve to another place.
func checkURI(s string) *rpcError {
	if len(s) > maxURI {
		return broken("size", codeRequest, "params.uri is over 2 KiB")
	}
	bad := func(why string) *rpcError { return broken("uri", codeParams, "params.uri "+why) }
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == 0x7f || s[i] == '\\' {
			return bad("has a space, a control character or a backslash in it")
		}
	}
	u, err := url.Parse(s)
	if err != nil || !u.IsAbs() {
		return bad("is not an absolute URI")
	}
	if u.User != nil {
		return bad("has a user name in it")
	}
	lower := strings.ToLower(s)
	for _, hidden := range []string{"%2e", "%2f", "%5c", "%00"} {
		if strings.Contains(lower, hidden) {
			return bad("hides a dot, a slash, a backslash or a null behind a percent sign")
		}
	}
	path, _, _ := strings.Cut(s[len(u.Scheme)+1:], "#")
	path, _, _ = strings.Cut(path, "?")
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return bad("has a dot segment in it")
		}
	}
	return nil
}

// reasonOf is the sentence of a fault; other errors say nothing of the input.
func reasonOf(err error) string {
	if f := fault.Of(err); f != nil {
		return f.Reason
	}
	return "not acceptable"
}

// foreign reads a value of others' formats, who may add members.
func foreign(raw jsontext.Value, v any) error {
	return jose.DecodeForeign(raw, v, jose.Limits{Bytes: maxResult, Depth: maxDepth, Values: maxValues})
}
