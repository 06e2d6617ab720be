package rules

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/policy"
)

// State says whether a binding gives its role at once.
type State string

// The states of a binding.
const (
	Active   State = "active"
	Eligible State = "eligible" // gives nothing but the right to activate it for a time
)

// Binding is a role given to a principal in a workspace. There is one for each principal, role and scope.
type Binding struct {
	ID        id.Binding
	Principal string // "usr_…", "agt_…" or "group:<name>"
	Role      string
	Scope     string // see CheckScope
	State     State
	ExpiresAt time.Time // whole seconds; from then on it gives nothing; zero: never
	BoundBy   string
	Reason    string
	CreatedAt time.Time
	KeptBy    string    // who last looked at it in a review and let it stand
	KeptAt    time.Time // zero: nobody
}

// Grant is the role in its scope.
func (b Binding) Grant() Grant { return Grant{b.Role, b.Scope} }

// Stands reports whether the binding has not expired.
func (b Binding) Stands(now time.Time) bool { return b.ExpiresAt.IsZero() || now.Before(b.ExpiresAt) }

// Owner is the role that a workspace is never left without.
const Owner = "owner"

const (
	maxRole   = 64  // bytes, as in @approve
	maxReason = 500 // bytes
)

// checkRole holds a role's name to its form: a lower-case letter or digit, then letters, digits and hyphens. It need not be built in.
func checkRole(role string) error {
	ok := role != "" && len(role) <= maxRole && role[0] != '-'
	for i := range len(role) {
		c := role[i]
		ok = ok && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-')
	}
	if !ok {
		return fault.New(fault.Invalid, "role_invalid", "the name of a role is letters a-z, digits and hyphens, at most %d", maxRole)
	}
	return nil
}

func checkReason(reason string) error {
	if len(reason) > maxReason || !utf8.ValidString(reason) || strings.ContainsFunc(reason, unicode.IsControl) {
		return fault.New(fault.Invalid, "reason_invalid", "a reason is one line of text of at most %d bytes", maxReason)
	}
	return nil
}

// Group begins the name of a group as what a role is bound to.
const Group = "group:"

// uid is the entity of a principal that acts. Code: principal_invalid.
func uid(principal string) (policy.UID, error) {
	if _, err := id.Parse[id.User](principal); err == nil {
		return policy.UID{Type: policy.TypeUser, ID: principal}, nil
	}
	if _, err := id.Parse[id.Agent](principal); err == nil {
		return policy.UID{Type: policy.TypeAgent, ID: principal}, nil
	}
	return policy.UID{}, fault.New(fault.Invalid, "principal_invalid", "a role is held by a user or an agent")
}

// check holds a binding that is to be made to its form. Codes: principal_invalid, role_invalid, scope_invalid, owner_group, agent_eligible, reason_invalid,
// expiry_invalid.
func (b Binding) check(now time.Time) error {
	group := strings.HasPrefix(b.Principal, Group) && len(b.Principal) > len(Group)
	who, err := uid(b.Principal)
	if err != nil && !group {
		return err
	}
	if err := checkRole(b.Role); err != nil {
		return err
	}
	if err := CheckScope(b.Scope); err != nil {
		return err
	}
	if group && b.Role == Owner { // an owner is never lost because a group, or a claim of another provider's, changed
		return fault.New(fault.Invalid, "owner_group", "the role %s is given to people one by one, not to a group", Owner).Try("bind it to a person")
	}
	if b.State == Eligible && who.Type == policy.TypeAgent {
		return fault.New(fault.Invalid, "agent_eligible", "only people activate roles: an agent that may only activate one would never have it").Try("bind it without --eligible")
	}
	if !b.Stands(now) {
		return fault.New(fault.Invalid, "expiry_invalid", "the binding would end before it begins").Try("give a time in the future")
	}
	return checkReason(b.Reason)
}

// Bind gives a principal a role: b without ID, CreatedAt and Kept; no State is Active, and ExpiresAt counts to the second. That the principal exists in the
// workspace is the caller's to see to, and so is whether b.BoundBy may give the role. What has expired is replaced. Codes: those of a binding's form, and
// already_bound.
func (*Room) Bind(tx *audit.Tx, ws id.Workspace, b Binding) (Binding, error) {
	if b.State == "" {
		b.State = Active
	}
	b.ExpiresAt = b.ExpiresAt.Truncate(time.Second)
	if err := b.check(tx.Now()); err != nil {
		return b, err
	}
	b.ID, b.CreatedAt, b.KeptBy, b.KeptAt = id.New[id.Binding](tx.Now()), tx.Now(), "", time.Time{}
	if err := deleteExpired(tx, ws, b); err != nil {
		return b, err
	}
	written, err := insertBinding(tx, ws, b)
	if err == nil && !written {
		err = fault.New(fault.Conflict, "already_bound", "%s holds the role %s already", b.Principal, b.Grant()).Try("there is nothing to do, or take it away first")
	}
	return b, err
}

// Unbind takes a role in a scope from a principal, and ends what was activated of it. Codes: not_found, and lockout where nobody would be left to own the
// workspace at any time.
func (*Room) Unbind(tx *audit.Tx, ws id.Workspace, principal string, what Grant) error {
	b, err := bindingOf(tx, ws, principal, what)
	if err != nil {
		return err
	}
	if err := deleteBinding(tx, b.ID); err != nil || what != (Grant{Role: Owner}) {
		return err
	}
	return ownerLeft(tx, ws, principal)
}

// ownerLeft refuses a change that has left nobody who owns the workspace without end. Code: lockout.
func ownerLeft(tx *audit.Tx, ws id.Workspace, principal string) error {
	left, err := owned(tx, ws)
	if err == nil && !left {
		err = fault.New(fault.Conflict, "lockout", "%s is the last to hold the role %s, everywhere and for ever", principal, Owner).Try("give it to somebody else first")
	}
	return err
}

// UnbindGroup takes every role from a group, which is deleted.
func (*Room) UnbindGroup(tx *audit.Tx, ws id.Workspace, group string) error {
	return deleteBindings(tx, ws, Group+group)
}

// UnbindAll takes every role from somebody who leaves the workspace, and what they activated. Code: lockout where nobody would be left to own it.
func (*Room) UnbindAll(tx *audit.Tx, ws id.Workspace, principal string) error {
	if err := deleteBindings(tx, ws, principal); err != nil {
		return err
	}
	if err := deleteActivations(tx, ws, principal); err != nil {
		return err
	}
	return ownerLeft(tx, ws, principal)
}

// Owned reports, inside a transaction, whether anybody owns the workspace everywhere and without end.
func (*Room) Owned(tx *audit.Tx, ws id.Workspace) (bool, error) { return owned(tx, ws) }
