package api

import (
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// ServerKey is one of the server's own keys.
type ServerKey struct {
	Key       id.Key         `json:"key"`
	Use       string         `json:"use"`           // token, or log
	Log       string         `json:"log,omitempty"` // the origin of the log that it signs
	JWK       jose.PublicKey `json:"jwk"`
	Status    string         `json:"status"`     // next, current, retired or compromised
	Published bool           `json:"published"`  // in the JWKS
	SignsFrom string         `json:"signs_from"` // of the next one, at the earliest
	Created   string         `json:"created"`
	Ended     string         `json:"ended,omitempty"`
}

// RotateKey asks for another key: of the issuer, which is published now and signs a day later, or of a log.
type RotateKey struct {
	Now         bool         `json:"now,omitempty"`         // the new key of the issuer signs at once
	Compromised bool         `json:"compromised,omitempty"` // somebody else may have the old one: nothing that it signs from now on counts, and tokens that it signed end
	Log         id.Workspace `json:"log,omitzero"`          // instead of the issuer's: the key of this workspace's log, which goes on in a new shard
	Reason      string       `json:"reason,omitempty"`      // needed for all but the ordinary rotation
}

// RotatedKey is the new key, and where in the log it is asked for.
type RotatedKey struct {
	ServerKey
	Event id.Event `json:"event"`
	Rev   int64    `json:"rev"`
}
