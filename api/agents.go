package api

import (
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// NewAgent registers an agent. Owner is the caller unless said.
type NewAgent struct {
	Name        string  `json:"name"`
	Owner       id.User `json:"owner,omitzero"`
	Description string  `json:"description,omitempty"`
	Expires     string  `json:"expires,omitempty"`
}

// Agent is a registered agent.
type Agent struct {
	ID          id.Agent `json:"id"`
	Name        string   `json:"name"`
	Owner       id.User  `json:"owner,omitzero"`
	Description string   `json:"description,omitempty"`
	Status      string   `json:"status"`
	Expires     string   `json:"expires,omitempty"`
	Created     string   `json:"created"`
}

// Enrolment is a one-time token that enrols one instance.
type Enrolment struct {
	Token     string `json:"token"`
	ExpiresIn int64  `json:"expires_in"` // seconds
}

// Enrol spends an enrolment token; the instance's key is the one that signed the request's DPoP proof.
type Enrol struct {
	Token string `json:"token"`
}

// Enrolled is the answer to Enrol.
type Enrolled struct {
	Agent     id.Agent     `json:"agent"`
	Name      string       `json:"name"`
	Workspace id.Workspace `json:"workspace"`
	Instance  id.Key       `json:"instance"`
}

// Instance is a running copy of an agent: its key.
type Instance struct {
	Key     id.Key         `json:"key"`
	Agent   id.Agent       `json:"agent"`
	JWK     jose.PublicKey `json:"jwk"`
	Trust   string         `json:"trust"`
	Status  string         `json:"status"`
	Created string         `json:"created"`
	Ended   string         `json:"ended,omitempty"`
}
