package catalog

import (
	"time"

	"github.com/attorn/attorn/id"
)

// Kind is what a definition defines.
type Kind string

// The kinds.
const (
	KindTool         Kind = "tool"
	KindPrompt       Kind = "prompt"
	KindInstructions Kind = "instructions" // one at most, named "instructions"
	KindResource     Kind = "resource"     // reading resources: one act per server, stored nowhere
)

// Segments of what is no tool: a slash marks it (authority.md §2).
const (
	ResourcesRead = "resources/read"      // reading a server's resources
	serverText    = "server/instructions" // the instructions, which are pinned but not called
)

// Status of a definition.
type Status string

// The statuses.
const (
	Accepted    Status = "accepted"    // a person accepted this definition; it is served
	Unaccepted  Status = "new"         // seen after registration, accepted by nobody: hidden
	Quarantined Status = "quarantined" // changed at the server since, or never acceptable: refused
)

// Classes of tools. What nobody confirmed is destroy.
const (
	Read    = "read"
	Write   = "write"
	Destroy = "destroy"
)

// Tool is a tool, prompt or instructions of a server, as accepted and as last seen.
type Tool struct {
	Workspace  id.Workspace
	Server     string
	Kind       Kind
	Name       string
	Definition []byte // accepted: RFC 8785 form without icons and _meta; empty before the first acceptance
	Pin        id.Digest
	Class      string
	Status     Status
	Seen       []byte // the definition that the server gave last
	SeenPin    id.Digest
	SeenAt     time.Time // of the last change

	SuspendedAt time.Time // zero: it may be called

	OpenArguments bool // it takes arguments that its definition does not declare, which policy does not see
}

// Action is the permission that using it takes (authority.md §2).
func (t Tool) Action() string { return "tool:" + t.Server + ":" + t.Segment() }

// Segment is the last segment of Action.
func (t Tool) Segment() string {
	switch t.Kind {
	case KindPrompt:
		return "prompts/" + t.Name
	case KindInstructions:
		return serverText
	}
	return t.Name
}

// Change is one difference between what is stored and what a server offers now.
type Change struct {
	Kind Kind
	Name string
	What string // "new": not known before; "drifted": another definition than the last one seen
	Pin  id.Digest
}

// Compare lists what Observe would change, without the database: stored are all definitions of the server, of whatever status.
func Compare(stored []Tool, items []Item) []Change {
	type key struct {
		kind Kind
		name string
	}
	known := map[key]Tool{}
	for _, t := range stored {
		known[key{t.Kind, t.Name}] = t
	}
	var out []Change
	for _, it := range items {
		t, ok := known[key{it.Kind, it.Name}]
		switch {
		case !ok:
			out = append(out, Change{it.Kind, it.Name, "new", it.Pin})
		case t.SeenPin != it.Pin:
			out = append(out, Change{it.Kind, it.Name, "drifted", it.Pin})
		}
	}
	return out
}
