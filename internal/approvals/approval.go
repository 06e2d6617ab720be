package approvals

import (
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

// Status is how an approval stands.
type Status string

// The statuses. Pending and Approved are live; the others are ends.
const (
	Pending   Status = "pending"
	Approved  Status = "approved"
	Denied    Status = "denied"
	Expired   Status = "expired"
	Cancelled Status = "cancelled"
	Void      Status = "void" // what it rested on changed
	Spent     Status = "spent"
)

// To reports whether an approval may go from s to next: the whole state machine.
func (s Status) To(next Status) bool {
	switch s {
	case Pending:
		return next == Approved || next == Denied || next == Expired || next == Cancelled || next == Void
	case Approved:
		return next == Spent || next == Expired || next == Cancelled || next == Void
	}
	return false
}

// Live reports whether s is no end.
func (s Status) Live() bool { return s == Pending || s == Approved }

// Ask is what is asked of people. It never changes.
type Ask struct {
	ID         id.Approval
	Object     evidence.Approval // exactly what is approved
	Quorum     int               // distinct people
	Role       string            // which they hold
	Excluded   []string          // who may not vote: every principal of the chain, and the agents' owners
	Delegation id.Delegation     // under which the actor acts; zero where it acts for nobody
	Arguments  []byte            // RFC 8785, as shown to voters
	Reason     string            // of the gate, for people
	Wait       time.Duration     // for votes
	TTL        time.Duration     // to use it once it is approved
	Asked      id.Event          // that records the ask
}

// Approval is an ask and what became of it.
type Approval struct {
	Ask
	Digest    id.Digest // of the object
	Status    Status
	Uses      int64
	MaxUses   int64
	CreatedAt time.Time
	ExpiresAt time.Time // for votes
	UseBy     time.Time // zero until approved
	ChangedAt time.Time // when it got its status; zero while pending
}

// StatusAt is the status at a time: Expired where a live one has outlived its time, whether that has been written down or not.
func (a Approval) StatusAt(now time.Time) Status {
	if a.Status == Pending && !now.Before(a.ExpiresAt) || a.Status == Approved && !now.Before(a.UseBy) {
		return Expired
	}
	return a.Status
}

// closed is why nobody can vote on it any more; nil while it is pending.
func (a Approval) closed(now time.Time) error {
	switch status := a.StatusAt(now); status {
	case Pending:
		return nil
	case Expired:
		return fault.New(fault.Conflict, "expired", "the time to vote on this is over")
	case Cancelled:
		return fault.New(fault.Conflict, "withdrawn", "this was withdrawn by whoever asked")
	case Void:
		return fault.New(fault.Conflict, "changed", "what this rested on was changed or ended since it was asked")
	default:
		return fault.New(fault.Conflict, "decided", "this was decided already: %s", status)
	}
}
