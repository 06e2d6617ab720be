package evidence

import (
	"strings"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// Call is one use of a tool, prompt or resource of an MCP server, as its digest binds it.
type Call struct {
	Server     string    // resource URL of the server behind the gateway: the audience of tokens for it
	Method     string    // "tools/call", "prompts/get", "resources/read"
	Name       string    // of the tool or prompt, or the resource's URI
	Arguments  []byte    // one JSON object; "{}" when there are none. Of resources/read: {"uri": …}
	Definition id.Digest // pin of the definition; zero when there is none
}

// callLimits are those of an MCP message (mcp.md's rule "size").
func callLimits() jose.Limits { return jose.Limits{Bytes: 4 << 20, Depth: 64, Values: 100_000} }

// CallDigest names exactly one call: approvals that bind all arguments, events and message signatures hold it. It is the SHA-256 of the RFC
// 8785 form of {typ: "attorn-call+1", server, method, name, arguments, definition}. Codes: malformed, too_large.
func CallDigest(c Call) (id.Digest, error) {
	if c.Server == "" || c.Method == "" || c.Name == "" {
		return id.Digest{}, fault.New(fault.Invalid, "malformed", "a call has a server, a method and a name")
	}
	args, err := jose.CanonicalRaw(c.Arguments, callLimits())
	if err != nil {
		return id.Digest{}, err
	}
	if args[0] != '{' {
		return id.Digest{}, fault.New(fault.Invalid, "malformed", "the arguments of a call are one JSON object")
	}
	// The arguments may hold fractions, which Canonical refuses for our own members: the rest is made first and the two are joined by name.
	rest, err := jose.Canonical(struct {
		Definition *id.Digest `json:"definition"`
		Method     string     `json:"method"`
		Name       string     `json:"name"`
		Server     string     `json:"server"`
		Typ        string     `json:"typ"`
	}{orNull(c.Definition), c.Method, c.Name, c.Server, "attorn-call+1"})
	if err != nil {
		return id.Digest{}, err
	}
	return id.Sum(append(append(append([]byte(`{"arguments":`), args...), ','), rest[1:]...)), nil
}

// CallOf is the call that the permission action stands for: `tool:<server>:<tool>`, `tool:<server>:prompts/<name>`, or
// `tool:<server>:resources/read` with the argument uri. server is the resource URL. Code: malformed.
func CallOf(server, action string, arguments []byte, definition id.Digest) (Call, error) {
	c := Call{Server: server, Arguments: arguments, Definition: definition}
	parts := strings.Split(action, ":")
	if len(parts) != 3 || parts[0] != "tool" || parts[2] == "" {
		return Call{}, fault.New(fault.Invalid, "malformed", "the action is not a call of a tool, prompt or resource")
	}
	prompt, isPrompt := strings.CutPrefix(parts[2], "prompts/")
	switch {
	case isPrompt:
		c.Method, c.Name = "prompts/get", prompt
	case parts[2] == "resources/read":
		var args struct {
			URI string `json:"uri"`
		}
		if err := jose.DecodeForeign(arguments, &args, callLimits()); err != nil {
			return Call{}, err
		}
		c.Method, c.Name = "resources/read", args.URI
	case !strings.Contains(parts[2], "/"):
		c.Method, c.Name = "tools/call", parts[2]
	default:
		return Call{}, fault.New(fault.Invalid, "malformed", "the action names a method that has no call digest")
	}
	return c, nil
}

// ServerURL is the resource URL of an MCP server: `<issuer>/mcp/<server>` in workspace default, else `<issuer>/w/<workspace>/mcp/<server>`.
func ServerURL(issuer string, ws id.Workspace, server string) string {
	if ws == id.Default {
		return issuer + "/mcp/" + server
	}
	return issuer + "/w/" + ws.String() + "/mcp/" + server
}

// orNull makes JSON's null of a zero value.
func orNull[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

func orZero[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
