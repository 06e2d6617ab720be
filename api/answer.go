package api

import (
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
)

// Answer is what the log says about an event, for people: the story in a few lines, and the report of the pack's verification, line by line.
type Answer struct {
	Event     id.Event         `json:"event"`
	Rev       int64            `json:"rev"`
	Kind      evidence.Kind    `json:"kind"`
	Outcome   string           `json:"outcome"`
	At        string           `json:"at"`
	Action    string           `json:"action"`
	Arguments string           `json:"arguments,omitempty"` // RFC 8785 text
	Chain     []Hop            `json:"chain"`
	Sent      string           `json:"sent,omitempty"` // who sent it, in words, where nothing signed it
	Via       string           `json:"via,omitempty"`  // whose authority at another server it rests on, in words
	Policy    string           `json:"policy,omitempty"`
	Approved  []string         `json:"approved"`
	Reason    string           `json:"reason,omitempty"`
	Report    *evidence.Report `json:"report"`
}

// Hop is one principal on the way from the person to the act.
type Hop struct {
	Sub      string `json:"sub"`
	Name     string `json:"name"`
	Instance id.Key `json:"instance,omitzero"`
	Lent     string `json:"lent,omitempty"` // what the hop before lent to it, in words
	By       string `json:"by,omitempty"`   // what proves the lending
}
