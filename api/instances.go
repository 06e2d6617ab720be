package api

import (
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// Instance is a running copy of an agent: its key.
type Instance struct {
	Key      id.Key         `json:"key"`
	Agent    id.Agent       `json:"agent"`
	JWK      jose.PublicKey `json:"jwk"`
	Trust    string         `json:"trust"`  // enrolled, device, workload, spawned
	Status   string         `json:"status"` // active, suspended, rotated, revoked, expired
	Created  string         `json:"created"`
	Ended    string         `json:"ended,omitempty"`     // of a rotated key, when its grace ends
	Expires  string         `json:"expires,omitempty"`   // "": as long as its agent
	LastUsed string         `json:"last_used,omitempty"` // to the minute
	Line     id.Key         `json:"line"`                // the first key of this running copy
	Before   id.Key         `json:"before,omitzero"`     // the key that it replaced
	Parent   id.Key         `json:"parent,omitzero"`     // the instance that spawned it
}

// KeyStatement is how a live key vouches for a new one, as package token signs it: by the live key and by the new one.
type KeyStatement struct {
	Voucher    string `json:"voucher"`
	Possession string `json:"possession"`
}

// Rotated is the answer to Rotate.
type Rotated struct {
	Agent    id.Agent `json:"agent"`
	Instance id.Key   `json:"instance"` // the new key
	Before   id.Key   `json:"before"`   // the old one
	Until    string   `json:"until"`    // when the old one ends
	Event    id.Event `json:"event"`
	Rev      int64    `json:"rev"`
}

// Spawned is the answer to Spawn.
type Spawned struct {
	Agent     id.Agent     `json:"agent"`
	Name      string       `json:"name"`
	Workspace id.Workspace `json:"workspace"`
	Instance  id.Key       `json:"instance"`
	Parent    id.Key       `json:"parent"`
	Expires   string       `json:"expires"`
	Event     id.Event     `json:"event"`
	Rev       int64        `json:"rev"`
}

// KeyRecord is one key of a running copy, with the event that made it one: enrolled, spawned by Parent, or vouched for by Before.
type KeyRecord struct {
	Instance
	Until string   `json:"until,omitempty"` // when its time is over, as far as that is known
	Event id.Event `json:"event,omitzero"`
	Rev   int64    `json:"rev,omitzero"`
}
