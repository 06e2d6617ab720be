package evidence

import (
	"time"

	"github.com/attorn/attorn/id"
)

// Draft is an event before the log has given it its place, with all that must become durable in the same transaction.
type Draft struct {
	Event

	// Workspace is whose log it goes to. Also lists further workspaces that are told of it (Event.Elsewhere), for an act on a user.
	Refusal    Kind // what the event's kind is if the log refuses it (a nonce that was seen, Tx.Refuse); "" keeps it
	Unborn     bool // whom it names as its actor exists by its success alone: the log's refusal is an act of nobody's
	Workspace  id.Workspace
	Also       []id.Workspace
	Everywhere bool // every workspace is told: what ends for the whole server ends in each one's own order of events

	Once    []Nonce   // single-use values that the event spends
	Depends []string  // identifiers that a permit rests on: the principals, delegations, tools and keys of the chain, "policy", …
	Details []Detail  // values that leaves hold only as digests
	Content []Content // documents kept by their digest
	Agent   id.Agent  // for search: the agent,
	Person  id.User   // the person at the chain's root or acting,
	Target  string    // what was acted on,
	Task    string    // and the piece of work
}

// Nonce is a value that may be accepted once: the identifier of a proof or assertion under the key that signed it.
type Nonce struct {
	Kind    string // dpop, httpsig, assertion, object
	Key     string // thumbprint, or a foreign issuer
	ID      id.Digest
	Expires time.Time // after which it would be refused as old anyway
}

// Detail is a value of somebody's that may be erased later: sealed under Subject's key, opened only with a reason.
type Detail struct {
	Field      string // "args", "ip", "name", "email", "text", "proof"
	Subject    string // the user or agent whose value it is; "" for the workspace
	Disclosure []byte // what Sealed.SD is the digest of (Disclose), or a proof's bytes
}

// Content is a document named by the SHA-256 of its bytes.
type Content struct {
	Digest id.Digest
	Body   []byte
}

// ContentOf names body.
func ContentOf(body []byte) Content { return Content{id.Sum(body), body} }

// Receipt is what Record gives back: the event's place in the log and what became of it.
type Receipt struct {
	ID      id.Event
	Rev     int64
	Outcome Outcome // Deny when the change refused or a nonce had been seen
	Code    string  // of that refusal
	Reason  string
	Seen    string // for code "replayed": the kind of the nonce that had been seen
}
