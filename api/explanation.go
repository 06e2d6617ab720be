package api

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/policy"
)

// Explanation is what policy says of a request, and what each policy that applied said of everybody on its chain. It quotes policies and no arguments.
type Explanation struct {
	Event      *ExplainedEvent    `json:"event,omitempty"`   // absent where nothing happened and somebody asked what would
	Unasked    string             `json:"unasked,omitempty"` // why policy cannot say anything of it; the rest is empty then
	Bundle     id.Digest          `json:"bundle,omitzero"`   // of the policies that speak here
	Action     string             `json:"action,omitempty"`
	Resource   string             `json:"resource,omitempty"`
	Outcome    string             `json:"outcome,omitempty"` // permit, deny, ask
	Code       string             `json:"code,omitempty"`
	Message    string             `json:"message,omitempty"`
	Reasons    []string           `json:"reasons,omitempty"`
	Errors     []string           `json:"errors,omitempty"`
	Waived     []string           `json:"waived,omitempty"`
	Principals []policy.Explained `json:"principals"`
	Names      map[string]string  `json:"names,omitempty"` // of the principals, by id
}

// ExplainedEvent is what was recorded.
type ExplainedEvent struct {
	ID      id.Event      `json:"id"`
	Rev     int64         `json:"rev"`
	Kind    evidence.Kind `json:"kind"`
	Outcome string        `json:"outcome"`
	Code    string        `json:"code,omitempty"`
	Reason  string        `json:"reason,omitempty"`
	Page    string        `json:"page,omitempty"` // what the code means
	At      string        `json:"at"`
	Other   bool          `json:"other,omitempty"` // the explanation is by other policies than those that decided then
}

// ExplainWith asks for the explanation of an event by policies that are not live.
type ExplainWith struct {
	Files []PolicyFile `json:"files"`
}

// Simulation is a request that nobody makes: what would policy say of it now?
type Simulation struct {
	Actor string              `json:"actor"`           // who acts: an agent or a person, by id, or an agent by name
	For   string              `json:"for,omitempty"`   // the person in whose name an agent acts
	Call  string              `json:"call"`            // the permission: tool:SERVER:TOOL or attorn:NOUN:VERB
	On    string              `json:"on,omitempty"`    // what an act of attorn's own API is on: agent:agt_…
	Args  jsontext.Value      `json:"args,omitzero"`   // of a tool
	Facts SimulatedFacts      `json:"facts,omitzero"`  // else the clock, and nothing
	Roles map[string][]string `json:"roles,omitempty"` // given for the question, by "actor" and "for", beside those that they have: NAME or NAME@SCOPE
	Files []PolicyFile        `json:"files,omitempty"` // policies, beside the built-in ones and what commands made; else the live ones
}

// SimulatedFacts are the circumstances.
type SimulatedFacts struct {
	Now    string `json:"now,omitempty"` // RFC 3339
	IP     string `json:"ip,omitempty"`
	ACR    int64  `json:"acr,omitempty"` // of the person's sign-in
	Age    int64  `json:"age,omitempty"` // of it, in seconds
	Risk   int64  `json:"risk,omitempty"`
	Proof  string `json:"proof,omitempty"`  // dpop where it is not said
	Origin string `json:"origin,omitempty"` // of the instance; enrolled where it is not said
	Task   string `json:"task,omitempty"`
}
