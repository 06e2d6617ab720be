package api

import (
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
)

// Lend hands in a signed statement.
type Lend struct {
	Signed delegation.Signed `json:"signed"`
}

// Lent is the answer to Lend: the statement, countersigned.
type Lent struct {
	ID   id.Delegation   `json:"id"`
	Link delegation.Link `json:"link"`
}

// Delegation is the record of a statement.
type Delegation struct {
	ID        id.Delegation        `json:"id"`
	Parent    id.Delegation        `json:"parent,omitzero"`
	Root      id.Delegation        `json:"root"`
	Statement delegation.Statement `json:"statement"`
	Link      delegation.Link      `json:"link"`
	Uses      int64                `json:"uses"`
	Status    string               `json:"status"` // active, exhausted, expired, revoked
	Created   string               `json:"created"`
	Ended     string               `json:"ended,omitempty"`
	EndedBy   string               `json:"ended_by,omitempty"`
	EndedWhy  string               `json:"ended_why,omitempty"`
}

// Approval is an ask and what became of it. Arguments are those of the call, as JSON text in RFC 8785 form.
type Approval struct {
	ID         id.Approval   `json:"id"`
	Digest     id.Digest     `json:"digest"`
	Status     string        `json:"status"` // pending, approved, denied, expired, cancelled, void, spent
	Gate       string        `json:"gate"`
	Role       string        `json:"role"`
	Quorum     int           `json:"quorum"`
	Reason     string        `json:"reason"`
	Actor      string        `json:"actor"`
	Subject    id.User       `json:"subject,omitzero"`
	Task       string        `json:"task,omitempty"`
	Delegation id.Delegation `json:"dlg,omitzero"`
	Action     string        `json:"action"`
	Resource   string        `json:"resource"`
	Arguments  string        `json:"arguments"`
	Asked      id.Event      `json:"asked"`
	Created    string        `json:"created"`
	Expires    string        `json:"expires"`
	UseBy      string        `json:"use_by,omitempty"`
	URL        string        `json:"url"`
}

// ProposeVote asks for the statement to sign.
type ProposeVote struct {
	Vote   string `json:"vote"` // approve or deny
	Reason string `json:"reason,omitempty"`
}

// CastVote hands in a signed vote.
type CastVote struct {
	Signed evidence.SignedVote `json:"signed"`
}
