package api

import "github.com/attorn/attorn/id"

// Binding gives a principal a role. Of one that is to be made or ended, Principal, Role, Scope and Reason are read; of one that is to be made State, TTL and Expires too.
type Binding struct {
	ID          id.Binding   `json:"id,omitzero"`
	Principal   string       `json:"principal"`
	Role        string       `json:"role"`
	Scope       string       `json:"scope,omitempty"` // server:NAME, tool:SERVER:TOOL, environment:NAME or TYPE:ID; "" is the whole workspace
	State       string       `json:"state,omitempty"` // active, or eligible: it gives nothing until its holder activates it; "" is active
	TTL         int64        `json:"ttl,omitzero"`    // seconds: how long it lasts
	Expires     string       `json:"expires,omitempty"`
	Reason      string       `json:"reason,omitempty"`
	By          string       `json:"by,omitempty"`
	Created     string       `json:"created,omitempty"`
	Activations []Activation `json:"activations,omitempty"` // now, of one that is eligible
}

// Activation is the use of an eligible binding: of one that is to be made, TTL (seconds; 0 is an hour, or less where the role may not be held so long) and Reason are read.
type Activation struct {
	Role    string `json:"role,omitempty"`
	Scope   string `json:"scope,omitempty"`
	By      string `json:"by,omitempty"` // who activated it
	TTL     int64  `json:"ttl,omitzero"`
	Expires string `json:"expires,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Created string `json:"created,omitempty"`
}

// Bound is the answer to an act that gives a role: where it stands in the log, and until when it has it.
type Bound struct {
	Event   id.Event `json:"event"`
	Rev     int64    `json:"rev"`
	Expires string   `json:"expires,omitempty"` // "" is never
}

// DutySet is a set of roles of which nobody may hold more than Max: separation of duties. A dynamic one counts what is active at the same time, another what is bound.
type DutySet struct {
	Name    string   `json:"name"`
	Roles   []string `json:"roles"`
	Max     int      `json:"max"`
	Dynamic bool     `json:"dynamic,omitempty"`
	Doc     string   `json:"doc,omitempty"`
	By      string   `json:"by,omitempty"`
	Changed string   `json:"changed,omitempty"`
	Over    []string `json:"over,omitempty"` // who holds more of it, since before it was made or because one role inherits another by now
}

// SetDuties makes a set or changes it. Max is 1 where it is 0.
type SetDuties struct {
	Roles   []string `json:"roles"`
	Max     int      `json:"max,omitzero"`
	Dynamic bool     `json:"dynamic,omitempty"`
	Doc     string   `json:"doc,omitempty"`
	Reason  string   `json:"reason,omitempty"`
}
