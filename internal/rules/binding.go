package rules

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/policy"
)

// Binding is a role given to a principal in a workspace.
type Binding struct {
	Principal string // "usr_…", "agt_…" or "group:<name>"
	Role      string
	BoundBy   string
	Reason    string
	CreatedAt time.Time
}

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

// Bind gives a principal a role; that both exist in the workspace is the caller's to see to, and so is whether by may give it. Codes:
// principal_invalid, role_invalid, owner_group, reason_invalid, already_bound.
func (*Room) Bind(tx *audit.Tx, ws id.Workspace, principal, role, by, reason string) error {
	group := strings.HasPrefix(principal, Group) && len(principal) > len(Group)
	if _, err := uid(principal); err != nil && !group {
		return err
	}
	if err := checkRole(role); err != nil {
		return err
	}
	if group && role == Owner { // an owner is never lost because a group, or a claim of another provider's, changed
		return fault.New(fault.Invalid, "owner_group", "the role %s is given to people one by one, not to a group", Owner).Try("bind it to a person")
	}
	if len(reason) > maxReason || !utf8.ValidString(reason) || strings.ContainsFunc(reason, unicode.IsControl) {
		return fault.New(fault.Invalid, "reason_invalid", "a reason is one line of text of at most %d bytes", maxReason)
	}
	written, err := insertBinding(tx, ws, Binding{principal, role, by, reason, tx.Now()})
	if err == nil && !written {
		err = fault.New(fault.Conflict, "already_bound", "%s holds the role %s already", principal, role).Try("there is nothing to do")
	}
	return err
}

// Unbind takes a role from a principal. Codes: not_found, and lockout where nobody would be left to own the workspace.
func (*Room) Unbind(tx *audit.Tx, ws id.Workspace, principal, role string) error {
	gone, err := deleteBinding(tx, ws, principal, role)
	if err != nil || gone {
		return err
	}
	held, err := holds(tx, ws, principal, role)
	switch {
	case err != nil:
		return err
	case held:
		return fault.New(fault.Conflict, "lockout", "%s is the last to hold the role %s", principal, role).Try("give it to somebody else first")
	}
	return fault.New(fault.NotFound, "not_found", "%s does not hold the role %s", principal, role).Try("see who has which: attorn role ls")
}

// UnbindGroup takes every role from a group, which is deleted.
func (*Room) UnbindGroup(tx *audit.Tx, ws id.Workspace, group string) error {
	return deleteBindings(tx, ws, Group+group)
}

// UnbindAll takes every role from somebody who leaves the workspace. Code: lockout where nobody would be left to own it.
func (*Room) UnbindAll(tx *audit.Tx, ws id.Workspace, principal string) error {
	if err := deleteBindings(tx, ws, principal); err != nil {
		return err
	}
	left, err := held(tx, ws, Owner)
	if err == nil && !left {
		err = fault.New(fault.Conflict, "lockout", "%s is the last to hold the role %s", principal, Owner).Try("give it to somebody else first")
	}
	return err
}

// Entities are the principals as policy sees them, in the order given: their parents are the workspace, their groups (which the caller knows, by
// principal) and their roles, those of their groups too. What else other rooms know of them (an agent's owner) is the caller's to add. Code:
// principal_invalid.
func (r *Room) Entities(ctx context.Context, ws id.Workspace, groups map[string][]string, principals ...string) ([]policy.Entity, error) {
	all := make([]policy.Entity, 0, len(principals))
	for _, p := range principals {
		u, err := uid(p)
		if err != nil {
			return nil, err
		}
		all = append(all, policy.Entity{UID: u, Parents: []policy.UID{{Type: "Workspace", ID: ws.String()}}})
	}
	bound := slices.Clone(principals)
	for _, p := range principals {
		for _, g := range groups[p] {
			bound = append(bound, Group+g)
		}
	}
	roles, err := r.RolesOf(ctx, ws, bound...)
	if err != nil {
		return nil, err
	}
	for i, p := range principals {
		held := roles[p]
		for _, g := range groups[p] {
			all[i].Parents = append(all[i].Parents, policy.UID{Type: "Group", ID: g})
			held = append(held[:len(held):len(held)], roles[Group+g]...)
		}
		for _, role := range slices.Compact(slices.Sorted(slices.Values(held))) {
			all[i].Parents = append(all[i].Parents, policy.UID{Type: "Role", ID: role})
		}
	}
	return all, nil
}

// Held reports, inside a transaction, whether anybody holds the role in the workspace.
func (*Room) Held(tx *audit.Tx, ws id.Workspace, role string) (bool, error) {
	return held(tx, ws, role)
}
