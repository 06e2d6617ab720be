package agents

import (
	"slices"
	"time"
)

// Status is where an agent or an instance stands in its life (authority.md §1).
type Status string

// The statuses.
const (
	Pending   Status = "pending"
	Active    Status = "active"
	Suspended Status = "suspended"
	Revoked   Status = "revoked" // for ever
)

// steps are the legal transitions: pending → active ⇄ suspended → revoked, and revoked from anywhere.
var steps = map[Status][]Status{
	Pending:   {Active, Revoked},
	Active:    {Suspended, Revoked},
	Suspended: {Active, Revoked},
	Expired:   {Revoked},
	Revoked:   nil,
}

// May reports whether the step from s to another status is legal.
func (s Status) May(to Status) bool { return slices.Contains(steps[s], to) }

// StatusAt is how the agent stands at now: its end, once it has come, hides a suspension.
func (a Agent) StatusAt(now time.Time) Status {
	if a.Status != Revoked && a.expired(now) {
		return Expired
	}
	return a.Status
}
