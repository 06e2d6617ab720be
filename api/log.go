package api

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/id"
)

// Event is an entry of the log: its place, and its stored bytes as they are.
type Event struct {
	ID   id.Event       `json:"id"`
	Rev  int64          `json:"rev"`
	Body jsontext.Value `json:"body"`
}

// Head is the newest checkpoint of a workspace's log.
type Head struct {
	Shard
	Earlier []Shard `json:"earlier,omitempty"` // the shards before, which were closed, the oldest first
}

// Shard is a part of a workspace's log, under a key of its own: its newest checkpoint, or its last.
type Shard struct {
	Origin     string `json:"origin"`
	VKey       string `json:"vkey"`
	Rev        int64  `json:"rev"` // of the event after it
	Checkpoint string `json:"checkpoint"`
}
