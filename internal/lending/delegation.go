package lending

import (
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

// Status is how a delegation stands.
type Status string

// The statuses. Expired is derived from the time and never stored. Exhausted and Revoked never become Active again.
const (
	Active    Status = "active"
	Exhausted Status = "exhausted"
	Revoked   Status = "revoked"
	Expired   Status = "expired"
)

// Delegation is the record of one link: the statement, countersigned, and what became of it.
type Delegation struct {
	ID        id.Delegation
	Workspace id.Workspace
	Parent    id.Delegation // zero at the root
	Root      id.Delegation // itself at the root
	Replaces  id.Delegation // the one whose place it took, zero for most
	Digest    id.Digest     // of the statement's bytes
	Link      delegation.Link
	Depth     int   // 0 at the root
	Uses      int64 // calls so far by it and all that descends from it; counted only where the statement has max_uses
	Status    Status
	CreatedAt time.Time
	EndedAt   time.Time // zero unless Exhausted or Revoked
	EndedBy   string    // who revoked it
	EndedWhy  string
}

// StatusAt is the status at a time: Expired where nothing else ended it before.
func (d Delegation) StatusAt(now time.Time) Status {
	if d.Status == Active && now.UnixMicro() >= d.state().expires {
		return Expired
	}
	return d.Status
}

// Live reports, by a nil error, that every link of a whole chain, the root first, may be used now: active, begun, not expired, uses left.
// Codes: delegation_revoked, delegation_exhausted, delegation_not_yet, delegation_expired, and delegation_broken for what is no whole chain.
func Live(chain []Delegation, now time.Time) error {
	states := make([]state, len(chain))
	for i, d := range chain {
		states[i] = d.state()
	}
	return live(states, now)
}

// state is what decides whether a link may be used. Times are microseconds.
type state struct {
	id, parent         id.Delegation
	status             Status
	notBefore, expires int64
	uses               int64
	max                *int64
}

func (d Delegation) state() state {
	st := d.Link.Statement
	return state{d.ID, d.Parent, d.Status, micros(st.NotBefore), micros(st.ExpiresAt), d.Uses, st.MaxUses}
}

// micros turns a statement's seconds into the store's microseconds.
func micros(seconds int64) int64 { return seconds * 1_000_000 }

func live(chain []state, now time.Time) error {
	if err := whole(chain); err != nil {
		return err
	}
	for i, s := range chain {
		code, how := s.end(now.UnixMicro())
		if code == "" {
			continue
		}
		return fault.New(fault.Denied, code, "delegation %s (link %d of %d) %s", s.id, i+1, len(chain), how).Try("have it lent again by whoever lent it")
	}
	return nil
}

// whole refuses a chain with a link missing: what is not looked at could have ended.
func whole(chain []state) error {
	above := id.Delegation{}
	for _, s := range chain {
		if s.parent != above {
			return broken()
		}
		above = s.id
	}
	if len(chain) == 0 || len(chain) > delegation.MaxLinks {
		return broken()
	}
	return nil
}

func broken() error {
	return fault.New(fault.Internal, "delegation_broken", "the chain does not lead from its root to this delegation link by link")
}

// end says why a link cannot be used now; no code if it can.
func (s state) end(now int64) (code, how string) {
	switch {
	case s.status == Revoked:
		return "delegation_revoked", "was revoked"
	case s.status == Exhausted || s.max != nil && s.uses >= *s.max:
		return "delegation_exhausted", "has no uses left"
	case s.status != Active:
		return "delegation_revoked", "is not active"
	case now < s.notBefore:
		return "delegation_not_yet", "has not begun; it begins " + time.UnixMicro(s.notBefore).UTC().Format(time.RFC3339)
	case now >= s.expires:
		return "delegation_expired", "expired " + time.UnixMicro(s.expires).UTC().Format(time.RFC3339)
	}
	return "", ""
}

func left(chain []state) *int64 {
	var least *int64
	for _, s := range chain {
		if s.max == nil {
			continue
		}
		if n := *s.max - s.uses; least == nil || n < *least {
			least = &n
		}
	}
	return least
}
