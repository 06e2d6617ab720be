package guard

import (
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
)

// Credentials are what a request carried to prove who is asking, verbatim, and the URL that it was sent to: made from the configured
// external URL, never from Host or X-Forwarded-*.
type Credentials struct {
	Method        string
	URL           string                     // with the path and query as they were received
	Authorization []string                   // every Authorization header line
	DPoP          []string                   // every DPoP header line
	Header        func(name string) []string // the lines of any header, for a message signature; nil: none is looked for
	IP            string
	Face          string // "gateway", "admin", …
}

// Call is one use of a tool, prompt or resource of an MCP server, as it would be sent on.
type Call struct {
	Server    string    // name in the catalogue
	Method    string    // "tools/call", "prompts/get", "resources/read"
	Tool      string    // tool name; "prompts/<name>"; "resources/read"
	Action    string    // the permission asked for: "tool:<server>:<tool>"
	Class     string    // "read", "write", "destroy"
	Arguments []byte    // RFC 8785 form of the arguments, the bytes that will be sent; "{}" when there are none
	Pin       id.Digest // of the accepted definition
	Digest    id.Digest // evidence.CallDigest
	Protocol  string    // MCP revision
}

// Verdict is the answer to a call.
type Verdict struct {
	Outcome  evidence.Outcome // Permit, Deny or Ask
	Event    id.Event         // that records it; its number is the decision's
	Code     string           // stable, for a refusal: see fault
	Reason   string
	Remedy   string
	Approval *Pending  // for Ask
	Scopes   []string  // for a refusal that step-up would mend: all permissions the operation needs
	Deadline time.Time // for Permit: authority may end then, and with it the call
	started  Started
}

// Pending is the approval that a call waits for.
type Pending struct {
	ID      id.Approval
	URL     string // the page where people vote
	Expires time.Time
}

// Started ties the end of a call to its beginning. Only Start makes one.
type Started struct {
	event     id.Event
	workspace id.Workspace
	draft     evidence.Draft

	server, tool string   // that is called
	rests        []string // what it was permitted on,
	asOf         int64    // and when that was read
}

// Finished is how a call ended.
type Finished struct {
	Outcome evidence.Outcome // OK, ToolError, RPCError, Cancelled, Cut or Lost
	Result  id.Digest        // of the result's bytes as delivered
	Bytes   int64
}
