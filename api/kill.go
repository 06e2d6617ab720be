package api

import (
	"github.com/attorn/attorn/id"
)

// Kill says what is to end.
type Kill struct {
	Kind   string `json:"kind"`         // agent, instance, user, delegation, tool or all
	ID     string `json:"id,omitempty"` // of it; a tool is "server:tool", or "server" for all of its tools; absent for all
	Reason string `json:"reason,omitempty"`
	Revoke bool   `json:"revoke,omitempty"`  // for ever, where that is possible
	DryRun bool   `json:"dry_run,omitempty"` // say what would end, and end nothing
}

// Killed is what ended. A dry run has no event.
type Killed struct {
	Event id.Event `json:"event,omitzero"`
	Rev   int64    `json:"rev,omitzero"`
	At    string   `json:"at,omitempty"` // when the order came in
	Ended Toll     `json:"ended"`
	Undo  string   `json:"undo,omitempty"` // the command that takes it back; absent where it is for ever
}

// Toll is what ended with something. Whatever had ended before is not in it.
type Toll struct {
	Instances   []id.Key        `json:"instances"`
	Delegations []id.Delegation `json:"delegations"` // that cannot be used any more, for ever or until it is resumed
	Approvals   []id.Approval   `json:"approvals"`
	Sessions    int64           `json:"sessions"` // of the console
	Tokens      int             `json:"tokens"`   // live ones; on a server that issues very many, of the latest issued
}

// ToolReason names a tool by the last segment of its permission, or without one all that a server offers, and says why.
type ToolReason struct {
	Server string `json:"server"`
	Tool   string `json:"tool,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// Feed is what ended since the revisions that were asked after. Ask again after Rev and Server, at once if there is more.
type Feed struct {
	Rev    int64      `json:"rev"`    // of the workspace's log: everything up to it is in this answer and those before
	Server int64      `json:"server"` // of the server's own log, for what concerns every workspace
	Ended  []FeedItem `json:"ended"`
	More   bool       `json:"more,omitempty"`
}

// FeedItem is one event that ended something: identifiers of agents, users, instances (thumbprints), delegations and tokens (jti), "tool:…", "server:…",
// "workspace" for everything that was kept of it, "policy", "issuer-key" for the issuer's JWKS.
type FeedItem struct {
	Rev   int64    `json:"rev"`
	Touch []string `json:"touch"`
}

// Confirmation says how far a process of the server, or somebody who follows the feed, has applied what ended.
type Confirmation struct {
	Kind        string `json:"kind"` // node, service, agent or user
	Name        string `json:"name"`
	ID          string `json:"id,omitempty"`           // of who follows
	Rev         int64  `json:"rev"`                    // up to which
	ConfirmedAt string `json:"confirmed_at,omitempty"` // when it first had
	SeenAt      string `json:"seen_at"`
	Gone        bool   `json:"gone,omitempty"` // not seen for a minute
	Confirmed   bool   `json:"confirmed"`      // up to the revision that was asked about
}
