package evidence

import (
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

// MaxEvent is the largest stored event, in bytes: a tile entry holds at most 65,535 (C2SP tlog-tiles), and half of that leaves room.
const MaxEvent = 32 << 10

// Event is one entry of a workspace's log: who did what, under whose authority, why it was permitted, and where. Its stored bytes, made
// once by Bytes, are what the log hashes; nothing is ever serialised again. Its members, and those of what it is made of, stand in RFC 8785 order, so that
// they are written in it.
type Event struct {
	At      int64    `json:"at"`             // microseconds since 1970, for people: the order is Rev
	Cause   id.Event `json:"cause,omitzero"` // the event before
	Did     *Did     `json:"did,omitempty"`
	ID      id.Event `json:"id"`
	Kind    Kind     `json:"kind"`
	Outcome Outcome  `json:"outcome"`
	Rev     int64    `json:"rev"`             // position in the workspace's history, given by the log
	Thread  id.Event `json:"thread,omitzero"` // the first event of the story
	Under   *Under   `json:"under,omitempty"`
	V       int      `json:"v"` // 1
	What    *What    `json:"what,omitempty"`
	Where   Where    `json:"where"`
	Who     Who      `json:"who"`
	Why     *Why     `json:"why,omitempty"`
}

// Outcome is how an event ended.
type Outcome string

// The outcomes. A tool.finished carries how the call ended instead: ok, tool_error, rpc_error, cancelled, cut or lost.
const (
	OK     Outcome = "ok"
	Permit Outcome = "permit"
	Deny   Outcome = "deny"
	Ask    Outcome = "ask"

	ToolError Outcome = "tool_error"
	RPCError  Outcome = "rpc_error"
	Cancelled Outcome = "cancelled"
	Cut       Outcome = "cut"
	Lost      Outcome = "lost"
)

// Who signed, and for whom. Sub is an agent, a user or "server" for the server's own acts.
type Who struct {
	Chain    []Hop     `json:"chain,omitempty"` // the person first, the current actor last; absent where one acts for nobody
	Instance id.Key    `json:"instance,omitzero"`
	Owner    id.User   `json:"owner,omitzero"` // of the agent, at that moment
	Proof    *ProofRef `json:"proof,omitempty"`
	Sub      string    `json:"sub"`
}

// ServerSub is Who.Sub of the server's own acts.
const ServerSub = "server"

// ProofRef names the proof that came with the request: "dpop", "httpsig" (httpsig.Signature.Record), "jws" (an assertion), "passkey", "link", "oidc" (an
// ID token, of Issuer) or "bearer" (none: a token that is bound to no key came with it), and the SHA-256 of its bytes. The proof itself is the detail "proof".
type ProofRef struct {
	Issuer string    `json:"iss,omitempty"`
	SHA256 id.Digest `json:"sha256,omitzero"`
	Type   string    `json:"type"`
}

// Hop is one principal on a chain. Link is the digest of the delegation.Signed that made it the delegate, kept as content.
type Hop struct {
	Delegation id.Delegation `json:"dlg,omitzero"`
	Instance   id.Key        `json:"instance,omitzero"`
	Link       id.Digest     `json:"link,omitzero"`
	Sub        string        `json:"sub"`
}

// Under is the authority that was used.
type Under struct {
	Approvals  []ApprovalRef `json:"approvals,omitempty"`
	Delegation id.Delegation `json:"dlg,omitzero"`
	Statement  id.Digest     `json:"statement,omitzero"` // digest of the last statement's bytes
	Task       string        `json:"task,omitempty"`
	Token      *TokenRef     `json:"token,omitempty"`
	UsesLeft   *int64        `json:"uses_left,omitempty"` // the least over the chain, after this call
	Via        *token.Via    `json:"via,omitempty"`       // whose authority at another server it rests on; what proves it is content
}

// TokenRef names an access token; the token itself is content, unless it is a bearer token.
type TokenRef struct {
	Expires int64     `json:"exp"`
	ID      string    `json:"jti"`
	Kid     id.Key    `json:"kid"`
	SHA256  id.Digest `json:"sha256"`
}

// ApprovalRef names an approval that lifted a gate. Ask is the digest of the approval's object, Votes those of the signed votes: all content.
type ApprovalRef struct {
	Ask   id.Digest   `json:"ask"`
	ID    id.Approval `json:"id"`
	Votes []id.Digest `json:"votes"`
}

// Did is the act.
type Did struct {
	Action   string    `json:"action"`          // a permission
	Args     *Sealed   `json:"args,omitempty"`  // the RFC 8785 bytes of the arguments
	Basis    string    `json:"basis,omitempty"` // of a decision that a service asked for: ByAssertion or ByProof
	By       string    `json:"by,omitempty"`    // ByProof: the service that was shown it, and asks
	Bytes    int64     `json:"bytes,omitzero"`
	Digest   id.Digest `json:"digest,omitzero"`
	Pin      id.Digest `json:"pin,omitzero"` // of the tool's definition
	Resource Resource  `json:"resource"`
	Result   id.Digest `json:"result,omitzero"`   // tool.finished: of the result as delivered
	Subject  *Resource `json:"subject,omitempty"` // ByAssertion: the principal that the decision is about; Who asked
}

// What a decision that a service asked for rests on (AuthZEN 1.0): that it says who acts, or the token and proof that it was shown, by whom the event then is.
const (
	ByAssertion = "asserted"
	ByProof     = "proved"
)

// Resource is what was acted on, as in policy.
type Resource struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

// Why is the decision: with Bundle and Facts as content anyone can decide again.
type Why struct {
	AsOf    int64     `json:"as_of,omitzero"` // the snapshot's revision
	Bundle  id.Digest `json:"bundle,omitzero"`
	Code    string    `json:"code,omitempty"`
	Engine  string    `json:"engine,omitempty"`
	Errors  []string  `json:"errors,omitempty"`
	Facts   id.Digest `json:"facts,omitzero"`
	Reason  string    `json:"reason,omitempty"` // for a refusal
	Reasons []string  `json:"reasons,omitempty"`
	Waived  []string  `json:"waived,omitempty"` // gates lifted
}

// What is what a change of state was about: only the members that the event's kind needs. Personal data is Sealed. Verify reads key.published and key.retired (Key,
// Use, Status), log.opened and log.closed (Log), agent.registered and agent.changed (Agent, and in User its owner), instance.enrolled (Agent, Instance, Key),
// instance.spawned (also Parent, Until, Voucher, Possession), instance.rotated (also Before, Until, Voucher, Possession),
// user.added and user.passkey_changed (User, Key or COSE, Status) and policy.published (Bundle).
type What struct {
	Agent       id.Agent        `json:"agent,omitzero"`
	Approval    id.Approval     `json:"approval,omitzero"`
	Ask         id.Digest       `json:"ask,omitzero"`
	Audience    string          `json:"aud,omitempty"`
	Auth        *Auth           `json:"auth,omitempty"` // user.signed_in through another provider
	Base        id.Digest       `json:"base,omitzero"`  // policy.published: the bundle that was live before
	Bundle      id.Digest       `json:"bundle,omitzero"`
	Client      string          `json:"client,omitempty"` // an app's client_id; client.changed: what the rule is about
	COSE        string          `json:"cose,omitempty"`   // a passkey's public key (RFC 9052), base64url
	Count       int64           `json:"count,omitzero"`   // how many ended, where Ended does not hold all
	Credential  string          `json:"credential,omitempty"`
	Delegation  id.Delegation   `json:"dlg,omitzero"`
	Email       *Sealed         `json:"email,omitempty"` // user.added: by which the person is awaited
	Ended       []string        `json:"ended,omitempty"`
	Environment string          `json:"environment,omitempty"` // server.added: where it runs
	From        int64           `json:"from,omitzero"`         // microseconds: key.published, when the key signs at the earliest
	Group       string          `json:"group,omitempty"`
	Instance    id.Key          `json:"instance,omitzero"`
	Key         *jose.PublicKey `json:"key,omitempty"` // the public key that was enrolled, registered, created or published
	Link        id.Digest       `json:"link,omitzero"` // of the delegation.Signed, kept as content
	List        id.Digest       `json:"list,omitzero"` // of all their identifiers, one a line, kept as content; absent where there are too many
	Log         *Shard          `json:"log,omitempty"`
	Name        *Sealed         `json:"name,omitempty"`
	Parent      id.Key          `json:"parent,omitzero"` // instance.spawned: by whom
	Pin         id.Digest       `json:"pin,omitzero"`
	Possession  id.Digest       `json:"possession,omitzero"`  // of the same as the new key signed it, kept as content
	Before      id.Key          `json:"predecessor,omitzero"` // instance.rotated: the key that Instance replaces
	Replaces    id.Delegation   `json:"replaces,omitzero"`    // delegation.replaced: the one that ended, whose place Delegation took
	Resource    *Resource       `json:"resource,omitempty"`   // resource.changed: the object, as it is now in Rule
	Role        string          `json:"role,omitempty"`
	Rule        id.Digest       `json:"rule,omitzero"` // of the trust rule that matched, of the rule about apps, of what an app registered with, or of a resource, kept as content
	Scope       string          `json:"scope,omitempty"`
	Server      string          `json:"server,omitempty"` // an MCP server's name
	Status      string          `json:"status,omitempty"`
	Text        *Sealed         `json:"text,omitempty"` // a reason or purpose in somebody's words
	Tool        string          `json:"tool,omitempty"`
	Until       int64           `json:"until,omitzero"` // microseconds: instance.rotated, when the key before ends; elsewhere, when what was made ends
	Use         string          `json:"use,omitempty"`  // of a server key: UseToken, UseLog or UseSealing
	User        id.User         `json:"user,omitzero"`  // in agent.*: the owner
	Vote        id.Digest       `json:"vote,omitzero"`
	Voucher     id.Digest       `json:"voucher,omitzero"` // of the key statement as the live key signed it, kept as content
}

// Auth is how a person signed in at another provider: as what policy counts it, and what the provider said.
type Auth struct {
	ACR   string   `json:"acr,omitempty"` // OpenID Connect Core §2
	AMR   []string `json:"amr,omitempty"` // RFC 8176
	At    int64    `json:"at,omitzero"`   // when they proved who they are there, in seconds; 0 where it was not said
	Level int64    `json:"level"`         // 1 signed in, 2 with several factors
}

// What a key of the server is for, and what became of one that signs no more: What.Use and What.Status of key.published and key.retired.
const (
	UseToken   = "token"   // tokens, countersignatures, ballots
	UseLog     = "log"     // checkpoints of one log
	UseSealing = "sealing" // what is encrypted at rest

	KeyReplaced    = "retired"
	KeyCompromised = "compromised" // somebody else may have it; the tokens that it signed ended with it
)

// Shard describes a log in log.opened and log.closed: its origin, its key and the checkpoint it continues from.
type Shard struct {
	Base       int64        `json:"base"`
	Checkpoint string       `json:"checkpoint,omitempty"` // the last of the shard before
	Origin     string       `json:"origin"`
	VKey       string       `json:"vkey"`
	Workspace  id.Workspace `json:"workspace"`
}

// Where the request came in.
type Where struct {
	Face string  `json:"face"` // oauth, gateway, admin, console, server
	IP   *Sealed `json:"ip,omitempty"`
	MCP  string  `json:"mcp,omitempty"` // protocol revision
	Node string  `json:"node"`
}

// Sealed stands for a value that may be erased: the SHA-256 of its disclosure, a salted triple as in SD-JWT (RFC 9901 §4.2). The disclosure is kept as a detail.
type Sealed struct {
	SD id.Digest `json:"sd"`
}

// Bytes is the event as the log stores it: RFC 8785 form, one line, at most MaxEvent bytes.
func (e Event) Bytes() ([]byte, error) {
	b, err := jose.Canonical(e)
	if err != nil {
		return nil, err
	}
	if len(b) > MaxEvent {
		return nil, fault.New(fault.TooLarge, "event_too_large", "an event of %d bytes is over the limit of %d", len(b), MaxEvent)
	}
	return b, nil
}

// ParseEvent reads stored bytes strictly: an unknown member, a repeated name or another form than Bytes makes is an error.
func ParseEvent(b []byte) (Event, error) {
	var e Event
	if err := jose.Decode(b, &e, jose.Limits{Bytes: MaxEvent}); err != nil {
		return e, err
	}
	if e.V != 1 {
		return e, fault.New(fault.Invalid, "malformed", "an event of version %d; this verifier knows version 1", e.V)
	}
	again, err := e.Bytes()
	if err != nil {
		return e, err
	}
	if string(again) != string(b) {
		return e, fault.New(fault.Invalid, "malformed", "the event is not in RFC 8785 form")
	}
	return e, nil
}
