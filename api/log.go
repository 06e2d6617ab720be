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
	Origin     string `json:"origin"`
	VKey       string `json:"vkey"`
	Rev        int64  `json:"rev"`
	Checkpoint string `json:"checkpoint"`
}
