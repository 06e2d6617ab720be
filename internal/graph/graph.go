package graph

import (
	"cmp"
	"slices"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/id"
)

// The statuses of a delegation. Of "" nothing is known but its statement.
const (
	Active    = "active"
	Exhausted = "exhausted"
	Expired   = "expired"
	Revoked   = "revoked"
)

// Lent is a delegation as it is drawn.
type Lent struct {
	Statement delegation.Statement
	Parent    id.Delegation // zero at a root
	Status    string
	Uses      int64     // counted where the statement limits them
	Ended     time.Time // zero unless it was revoked or used up
	EndedBy   string    // "usr_…" or "agt_…": who revoked it
	EndedWhy  string
}

// Forest is what is drawn: delegations in any order. One whose parent is missing is drawn as a root.
type Forest struct {
	Lent  []Lent
	Names map[string]string // what people call who has this identifier; it identifies nobody
	Now   time.Time
	All   bool // draw what ended more than a day ago, too

	// Of SVG alone:
	Chosen id.Delegation           // the way to it stands out
	Focus  string                  // who stands in the middle, when there are too many to draw all
	Link   func(sub string) string // where a person or an agent leads; nil, or "": nowhere
	More   string                  // where those lead that stand for many; "": nowhere
}

// keeps is for how long what has ended is drawn.
const keeps = 24 * time.Hour

// from is who lends.
func (l Lent) from() string {
	if u := l.Statement.Delegator.User; !u.IsZero() {
		return u.String()
	}
	return l.Statement.Delegator.Agent.String()
}

// to is to whom.
func (l Lent) to() string { return l.Statement.Delegate.Agent.String() }

func (l Lent) id() string { return l.Statement.ID.String() }

// over is when it came to an end; zero while it has not.
func (l Lent) over() time.Time {
	switch {
	case l.Status == Expired:
		return time.Unix(l.Statement.ExpiresAt, 0)
	case l.Status != Active:
		return l.Ended
	}
	return time.Time{}
}

// left is how long it lasts from now.
func (l Lent) left(now time.Time) time.Duration { return time.Unix(l.Statement.ExpiresAt, 0).Sub(now) }

// drawn are the delegations that are to be drawn, in order of their identifiers, each once. What descends from one that is left out is left out: it ended no later.
func (f Forest) drawn() []Lent {
	all := slices.Clone(f.Lent)
	slices.SortStableFunc(all, func(a, b Lent) int { return cmp.Compare(a.id(), b.id()) })
	all = slices.CompactFunc(all, func(a, b Lent) bool { return a.id() == b.id() })
	if f.All {
		return all
	}
	return slices.DeleteFunc(all, func(l Lent) bool {
		over := l.over()
		return !over.IsZero() && f.Now.Sub(over) > keeps
	})
}

// below are those under each delegation; those at the top are under the zero one.
func below(all []Lent) map[id.Delegation][]Lent {
	there := map[id.Delegation]bool{}
	for _, l := range all {
		there[l.Statement.ID] = true
	}
	under := map[id.Delegation][]Lent{}
	for _, l := range all {
		parent := l.Parent
		if !there[parent] || parent == l.Statement.ID {
			parent = id.Delegation{}
		}
		under[parent] = append(under[parent], l)
	}
	return under
}
