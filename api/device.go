package api

import (
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// Device is what the holder of a key asks a person for, under a code that it shows (RFC 8628).
type Device struct {
	UserCode  string         `json:"user_code"`
	Purpose   string         `json:"purpose"` // agent: to become an instance of one; person: to be the person's own key
	Workspace id.Workspace   `json:"workspace"`
	Client    string         `json:"client"`
	Key       id.Key         `json:"key"`
	JWK       jose.PublicKey `json:"jwk"`
	Name      string         `json:"name,omitempty"`    // proposed for the agent
	Address   string         `json:"address,omitempty"` // where it asked from
	Asked     string         `json:"asked"`
	Expires   string         `json:"expires"`
}

// ConfirmDevice says which agent the key becomes an instance of: one that there is, or a new one by that name, which the caller owns; neither for a
// key of the caller's own.
type ConfirmDevice struct {
	Agent id.Agent `json:"agent,omitzero"`
	New   string   `json:"new,omitempty"`
}

// DeviceMade is what a confirmed device code brought: an instance of an agent, or a key of a person's.
type DeviceMade struct {
	Workspace id.Workspace `json:"workspace"`
	Name      string       `json:"name"` // the agent's, or the person's
	Agent     id.Agent     `json:"agent,omitzero"`
	Instance  id.Key       `json:"instance,omitzero"`
	User      id.User      `json:"user,omitzero"`
	Key       id.Key       `json:"key,omitzero"`
}
