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
	ID       id.Delegation   `json:"id"`
	Link     delegation.Link `json:"link"`
	Warnings []Warning       `json:"warnings,omitempty"`
}

// Warning says of a permission that was lent that it has no effect as things are, or not all of it, because its delegator could not do it either.
type Warning struct {
	Code       string `json:"code"` // unknown_server, unknown_tool, not_yours, partly_yours, unknown_instance, not_looked
	Permission string `json:"permission,omitempty"`
	Reason     string `json:"reason"`
}

// Replace hands in a signed statement that takes the place of a delegation: no wider in any dimension, or with other times alone.
type Replace struct {
	Signed delegation.Signed `json:"signed"`
	DryRun bool              `json:"dry_run,omitempty"` // say what would end, and change nothing
}

// Replaced is what became of a replacement. A dry run has no event and no link.
type Replaced struct {
	ID          id.Delegation   `json:"id"`
	How         string          `json:"how"` // narrowed or renewed
	Link        delegation.Link `json:"link,omitzero"`
	Delegations []id.Delegation `json:"delegations"` // that ended: the one before, and all that descended from it
	Approvals   []id.Approval   `json:"approvals"`   // that rested on those
	Warnings    []Warning       `json:"warnings,omitempty"`
	Event       id.Event        `json:"event,omitzero"`
	Rev         int64           `json:"rev,omitzero"`
}

// Delegation is the record of a statement.
type Delegation struct {
	ID            id.Delegation        `json:"id"`
	Parent        id.Delegation        `json:"parent,omitzero"`
	Root          id.Delegation        `json:"root"`
	Replaces      id.Delegation        `json:"replaces,omitzero"` // whose place it took
	Statement     delegation.Statement `json:"statement"`
	Link          delegation.Link      `json:"link"`
	DelegatorName string               `json:"delegator_name,omitempty"` // what people call them now; it identifies nobody
	DelegateName  string               `json:"delegate_name,omitempty"`
	Uses          int64                `json:"uses"`   // by it and all that descends from it; counted where the statement has max_uses
	Status        string               `json:"status"` // active, exhausted, expired, revoked
	Created       string               `json:"created"`
	Ended         string               `json:"ended,omitempty"`
	EndedBy       string               `json:"ended_by,omitempty"`
	EndedByName   string               `json:"ended_by_name,omitempty"`
	EndedWhy      string               `json:"ended_why,omitempty"`
}

// Tree is a delegation and all that descends from it, parents before children. More says that there is more than is listed.
type Tree struct {
	Items []Delegation `json:"items"`
	More  bool         `json:"more,omitempty"`
}

// Each yields the items.
func (t Tree) Each(yield func(any) bool) { List[Delegation]{Items: t.Items}.Each(yield) }

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
