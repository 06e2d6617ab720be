package rules

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
)

// DutySet is a set of roles of which nobody may hold more than Max, in whatever scopes: separation of duties. A static set counts what is bound, active or
// eligible; a dynamic one what is active at the same time.
type DutySet struct {
	Name      string
	Roles     []string // sorted, at least two
	Max       int      // at least 1, fewer than there are roles
	Dynamic   bool
	Doc       string // what it is for
	ChangedBy string
	ChangedAt time.Time
}

const (
	maxDutyRoles = 64
	maxDutySets  = 200
)

// check holds a set to its form, and sorts its roles. Codes: sod_invalid, role_invalid.
func (s *DutySet) check() error {
	bad := func(reason string, args ...any) error {
		return fault.New(fault.Invalid, "sod_invalid", reason, args...)
	}
	if checkRole(s.Name) != nil {
		return bad("the name of a set is letters a-z, digits and hyphens, at most %d", maxRole)
	}
	for _, r := range s.Roles {
		if err := checkRole(r); err != nil {
			return err
		}
	}
	s.Roles = slices.Compact(slices.Sorted(slices.Values(s.Roles)))
	switch {
	case len(s.Roles) < 2 || len(s.Roles) > maxDutyRoles:
		return bad("a set has 2 to %d roles", maxDutyRoles)
	case s.Max < 1 || s.Max >= len(s.Roles):
		return bad("of %d roles 1 to %d may be held together: any other number separates nothing, or forbids the roles", len(s.Roles), len(s.Roles)-1)
	case len(s.Doc) > maxReason || !utf8.ValidString(s.Doc) || strings.ContainsFunc(s.Doc, unicode.IsControl):
		return bad("what a set is for is one line of at most %d bytes", maxReason)
	}
	return nil
}

// SetDuties makes a set, or changes the one of its name. Who is over it already stays so: only what would be added is refused. Codes: sod_invalid,
// role_invalid, too_many.
func (*Room) SetDuties(tx *audit.Tx, ws id.Workspace, s DutySet) error {
	if err := s.check(); err != nil {
		return err
	}
	s.ChangedAt = tx.Now()
	n, err := putDutySet(tx, ws, s)
	if err == nil && n == 0 {
		err = fault.New(fault.Conflict, "sod_invalid", "a workspace has at most %d sets", maxDutySets)
	}
	return err
}

// RemoveDuties ends a set. Code: not_found.
func (*Room) RemoveDuties(tx *audit.Tx, ws id.Workspace, name string) error {
	n, err := tx.Exec(`DELETE FROM duty_set WHERE workspace = $1 AND name = $2`, ws, name)
	if err == nil && n == 0 {
		err = fault.New(fault.NotFound, "not_found", "there is no set %s", name).Try("see which there are: attorn sod ls")
	}
	return err
}

// Holding is what somebody holds, as the names of roles: all that is bound, active or eligible, and what is active now.
type Holding struct{ Bound, Now []string }

// Of lists, sorted, those of the set's roles that somebody holds. closure is a role with all that it inherits.
func (s DutySet) Of(h Holding, closure func(role string) []string) []string {
	if s.Dynamic {
		return s.among(h.Now, closure)
	}
	return s.among(h.Bound, closure)
}

func (s DutySet) among(held []string, closure func(role string) []string) []string {
	var of []string
	for _, role := range held {
		for _, r := range closure(role) {
			if slices.Contains(s.Roles, r) {
				of = append(of, r)
			}
		}
	}
	slices.Sort(of)
	return slices.Compact(of)
}

// Separate refuses a change by which somebody would hold more of a set than they may, and more than before; or would have more of it active at once, where they hold too
// much of it from before there was the set. Code: sod_conflict.
func Separate(sets []DutySet, before, after map[string]Holding, closure func(role string) []string) error {
	var who []string
	for p := range after {
		who = append(who, p)
	}
	slices.Sort(who)
	for _, s := range sets {
		for _, p := range who {
			has := s.Of(after[p], closure)
			more := len(has) > len(s.Of(before[p], closure)) || len(s.among(after[p].Now, closure)) > max(s.Max, len(s.among(before[p].Now, closure)))
			if len(has) > s.Max && more {
				return fault.New(fault.Conflict, "sod_conflict", "%s would hold %s, and the set %s lets nobody hold more than %d of them%s", p, strings.Join(has, " and "), s.Name,
					s.Max, s.when()).Try("take one of them away first, or give this one to somebody else")
			}
		}
	}
	return nil
}

func (s DutySet) when() string {
	if s.Dynamic {
		return " at the same time"
	}
	return ""
}
