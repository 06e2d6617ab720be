package api

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/id"
)

// NewTrustedIssuer lets agents of another server act as an agent of this workspace.
type NewTrustedIssuer struct {
	Issuer       string         `json:"issuer"` // the other server's URL
	Prefix       string         `json:"prefix"` // of its permissions for this server: that of the service as which this server is registered there
	Agents       []id.Agent     `json:"agents"` // there
	Agent        id.Agent       `json:"agent"`  // as whom they act here
	Delegation   id.Delegation  `json:"delegation"`
	KeySet       jsontext.Value `json:"key_set,omitzero"` // absent: the keys that it publishes
	AllowPrivate bool           `json:"allow_private,omitzero"`
	Expires      int64          `json:"expires,omitzero"` // Unix seconds; 0: with the delegation as it is now
}

// TrustedIssuer is a rule. Digest names it in events.
type TrustedIssuer struct {
	ID           id.Issuer      `json:"id"`
	Digest       id.Digest      `json:"digest"`
	Issuer       string         `json:"issuer"`
	Prefix       string         `json:"prefix"`
	Agents       []id.Agent     `json:"agents"`
	Agent        id.Agent       `json:"agent"`
	Delegation   id.Delegation  `json:"delegation"`
	Stands       id.Delegation  `json:"stands"`          // what stands in its place: itself, or what it was narrowed or renewed to
	Closed       string         `json:"closed,omitzero"` // why the rule lets nobody in now: a code such as rule_expired; absent where it does
	KeySet       jsontext.Value `json:"key_set,omitzero"`
	AllowPrivate bool           `json:"allow_private,omitzero"`
	Expires      int64          `json:"expires"` // what is lent may end before
	MadeBy       string         `json:"made_by"`
	Created      string         `json:"created"`
}
