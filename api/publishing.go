package api

import "github.com/attorn/attorn/id"

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
