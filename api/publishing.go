package api

import (
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/policy"
)

// Publish makes files the live policies, beside the built-in ones and what the API made (below store/). Base, where given, must be the bundle that is live. Message
// says why, in one line. Replay, where given, is the event of a replay of exactly this bundle, whose outcome the publisher accepts.
type Publish struct {
	Files   []PolicyFile `json:"files"`
	Base    id.Digest    `json:"base,omitzero"`
	Message string       `json:"message,omitempty"`
	Replay  id.Event     `json:"replay,omitzero"`
}

// Rollback makes a bundle that was published before the live one again: by its digest, an unambiguous beginning of that of at least 6 characters, or "previous".
type Rollback struct {
	Bundle  string    `json:"bundle"`
	Base    id.Digest `json:"base,omitzero"`
	Message string    `json:"message,omitempty"`
}

// Bundle is a set of policies, named by its digest.
type Bundle struct {
	Digest   id.Digest    `json:"digest"`
	Files    []PolicyFile `json:"files"`
	Problems []string     `json:"problems"` // warnings
}

// Published is a bundle that was made the live one. Base was live before.
type Published struct {
	Digest   id.Digest `json:"digest"`
	Base     id.Digest `json:"base"`
	Problems []string  `json:"problems"` // warnings
	Event    id.Event  `json:"event"`
	Rev      int64     `json:"rev"`
}

// Publication is one line of the history of a workspace's policies, as the log has it. Act is attorn:policy:publish or attorn:policy:rollback; of a change by another
// act, such as of a role, that. By is "server" for the built-in bundle.
type Publication struct {
	Event   id.Event  `json:"event"`
	Rev     int64     `json:"rev"`
	At      string    `json:"at"`
	By      string    `json:"by"`
	Name    string    `json:"name,omitempty"` // what By is called now
	Act     string    `json:"act"`
	Bundle  id.Digest `json:"bundle"`
	Base    id.Digest `json:"base,omitzero"`
	Message string    `json:"message,omitempty"`
	Replay  id.Event  `json:"replay,omitzero"`
	Live    bool      `json:"live"`
}

// Replay asks how a candidate would have answered what was really asked since a time (RFC 3339): files beside the built-in ones and what the API made, or a bundle that was
// published.
type Replay struct {
	Files  []PolicyFile `json:"files,omitempty"`
	Bundle string       `json:"bundle,omitempty"`
	Since  string       `json:"since"`
}

// ReplayLine is one line of the answer, of which there are many, each when it is known: first what is replayed, then how far it is, at the end Outlook or Problem.
type ReplayLine struct {
	Started *ReplayStarted  `json:"started,omitempty"`
	Done    int64           `json:"done,omitzero"` // entries of the log that are behind
	Outlook *policy.Outlook `json:"outlook,omitempty"`
	Problem *Problem        `json:"problem,omitempty"`
}

// ReplayStarted says what is replayed. Replay is the event of it, by which a publisher accepts its outcome.
type ReplayStarted struct {
	Replay     id.Event   `json:"replay"`
	Candidate  id.Digest  `json:"candidate"`
	Live       id.Digest  `json:"live"`
	Total      int64      `json:"total"` // entries of the log
	Difference Difference `json:"difference"`
}

// Difference is what the candidate has otherwise than the live bundle.
type Difference struct {
	Files    []FileChange   `json:"files"`
	Policies []PolicyChange `json:"policies"`
	Roles    []string       `json:"roles"` // whose holders' authority it is about
}

// FileChange is a file that was added, removed or changed, if only in layout.
type FileChange struct {
	Path string `json:"path"`
	How  string `json:"how"`
}

// PolicyChange is a policy that was added, removed or says something else. Effect is permit, forbid or gate.
type PolicyChange struct {
	ID     string `json:"id"`
	How    string `json:"how"`
	Effect string `json:"effect"`
	File   string `json:"file"`
	Line   int    `json:"line"`
}

// Replayed is a whole replay.
type Replayed struct {
	Started ReplayStarted  `json:"started"`
	Outlook policy.Outlook `json:"outlook"`
}
