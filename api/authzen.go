package api

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/id"
)

// Evaluation is an access evaluation request (AuthZEN Authorization API 1.0, Access Evaluation API).
type Evaluation struct {
	Subject  *Entity      `json:"subject,omitempty"`
	Action   *EntityVerb  `json:"action,omitempty"`
	Resource *Entity      `json:"resource,omitempty"`
	Context  *EvalContext `json:"context,omitempty"`
}

// Entity is a subject or resource.
type Entity struct {
	Type       string         `json:"type"`
	ID         string         `json:"id,omitempty"`
	Properties jsontext.Value `json:"properties,omitzero"`
}

// EntityVerb is an action; Properties is what it is told.
type EntityVerb struct {
	Name       string         `json:"name"`
	Properties jsontext.Value `json:"properties,omitzero"`
}

// EvalContext is what is known around a request: attorn reads what proves who acts, and nothing else.
type EvalContext struct {
	Token string      `json:"attorn_token,omitempty"` // the access token that the service was shown
	Proof *ShownProof `json:"attorn_proof,omitempty"` // the DPoP proof that came with it, and the request that it came in
}

// ShownProof is a DPoP proof and what it is about (RFC 9449 §4.2).
type ShownProof struct {
	DPoP   string `json:"dpop"`
	Method string `json:"method"`
	URL    string `json:"url"`
}

// Decision is the answer to an evaluation.
type Decision struct {
	Decision bool             `json:"decision"`
	Context  *DecisionContext `json:"context,omitempty"`
}

// DecisionContext says more about a decision.
type DecisionContext struct {
	Attorn *DecisionDetail `json:"attorn,omitempty"`
	Error  *DecisionError  `json:"error,omitempty"` // of an item of a batch that could not be asked
}

// DecisionDetail is what attorn says of a decision. Approvals is what would have to be met for it to be a permit, where the outcome is ask.
type DecisionDetail struct {
	Outcome   string         `json:"outcome"` // permit, deny, ask
	Code      string         `json:"code,omitempty"`
	Reasons   []string       `json:"reasons"`
	Message   string         `json:"message,omitempty"`
	Remedy    string         `json:"remedy,omitempty"`
	Approvals []DecisionGate `json:"approvals,omitempty"`
	Basis     string         `json:"basis"` // proved, or asserted by whoever asked
	Event     id.Event       `json:"event"` // that records it
}

// DecisionGate is a gate that asks.
type DecisionGate struct {
	Gate   string `json:"gate"`
	Kind   string `json:"kind"`
	Flow   string `json:"flow,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// DecisionError says why an item was not decided.
type DecisionError struct {
	Status  int    `json:"status"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Evaluations is several evaluations at once; what stands beside them is the default for those that lack it.
type Evaluations struct {
	Evaluation
	Evaluations []Evaluation       `json:"evaluations,omitempty"`
	Options     *EvaluationOptions `json:"options,omitempty"`
}

// EvaluationOptions says when to stop: execute_all (the default), deny_on_first_deny, permit_on_first_permit.
type EvaluationOptions struct {
	Semantic string `json:"evaluations_semantic,omitempty"`
}

// Decisions are the answers, in order; a request without evaluations is answered as a single one.
type Decisions struct {
	Evaluations []Decision `json:"evaluations"`
}

// EntitySearch asks for all subjects, resources or actions that would be permitted; the one that is searched for has no id.
type EntitySearch struct {
	Evaluation
	Page *SearchPage `json:"page,omitempty"`
}

// SearchPage says which part is wanted: what follows Token, and how much.
type SearchPage struct {
	Token string `json:"token,omitempty"`
	Limit int    `json:"limit,omitempty"`
}

// Found is a page of what was searched for; an action has a name alone.
type Found struct {
	Page    FoundPage     `json:"page"`
	Results []FoundEntity `json:"results"`
}

// FoundPage says what follows: NextToken is "" on the last page.
type FoundPage struct {
	NextToken string `json:"next_token"`
	Count     int    `json:"count"`
}

// FoundEntity is a subject, a resource or an action.
type FoundEntity struct {
	Type string `json:"type,omitempty"`
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}
