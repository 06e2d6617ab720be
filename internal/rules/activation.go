package rules

import (
	"cmp"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
)

// Activation is the use of an eligible binding by one person, for a time.
type Activation struct {
	Binding   id.Binding
	Principal string // who activated it: what is bound to a group each member activates for themselves
	Until     time.Time
	Reason    string
	Flow      string // by which it was approved; "" for none
	At        time.Time
}

// Activate gives a principal the role of an eligible binding, of theirs or of a group that they are in, until a time; an activation of the same binding
// is replaced. It lasts no longer than the binding. groups are those of the principal. Codes: activation_unknown, reason_missing, reason_invalid, expiry_invalid.
func (*Room) Activate(tx *audit.Tx, ws id.Workspace, groups []string, what Grant, a Activation) (Activation, error) {
	if a.Reason == "" {
		return a, fault.New(fault.Invalid, "reason_missing", "a role is activated for a reason, which the log keeps").Try("say why: --reason TEXT")
	}
	if err := checkReason(a.Reason); err != nil {
		return a, err
	}
	b, err := eligible(tx, ws, a.Principal, groups, what)
	if err != nil {
		return a, err
	}
	if a.Until = a.Until.Truncate(time.Second); !b.ExpiresAt.IsZero() && b.ExpiresAt.Before(a.Until) {
		a.Until = b.ExpiresAt
	}
	if !tx.Now().Before(a.Until) {
		return a, fault.New(fault.Invalid, "expiry_invalid", "the activation would end before it begins").Try("give it some time: --ttl 1h")
	}
	a.Binding, a.At = b.ID, tx.Now()
	return a, putActivation(tx, ws, a)
}

// eligible finds the binding that lasts longest among those that principal may activate. Code: activation_unknown.
func eligible(tx *audit.Tx, ws id.Workspace, principal string, groups []string, what Grant) (Binding, error) {
	found, err := boundTo(tx, ws, holders(principal, groups), tx.Now())
	if err != nil {
		return Binding{}, err
	}
	var best Binding
	for _, b := range found {
		longer := b.ExpiresAt.IsZero() || !best.ExpiresAt.IsZero() && b.ExpiresAt.After(best.ExpiresAt)
		if b.Grant() == what && b.State == Eligible && (best.ID.IsZero() || longer) {
			best = b
		}
	}
	if best.ID.IsZero() {
		err = fault.New(fault.Denied, "activation_unknown", "you may not activate the role %s", what).Try("see what you may: attorn role bindings me")
	}
	return best, err
}

// Deactivate ends what a principal activated of a role. Code: not_found.
func (*Room) Deactivate(tx *audit.Tx, ws id.Workspace, principal string, what Grant) error {
	n, err := endActivation(tx, ws, principal, what)
	if err == nil && n == 0 {
		err = fault.New(fault.NotFound, "not_found", "the role %s is not activated", what).Try("see what is: attorn role bindings me")
	}
	return err
}

// LeftGroups ends what a principal activated as a member of groups that they are no longer in, so that it is not back when they are.
func (*Room) LeftGroups(tx *audit.Tx, ws id.Workspace, principal string, groups ...string) error {
	for _, g := range groups {
		if err := endActivationsBy(tx, ws, principal, Group+g); err != nil {
			return err
		}
	}
	return nil
}

// holders are whom a role may be bound to so that a principal has it.
func holders(principal string, groups []string) []string {
	all := []string{principal}
	for _, g := range groups {
		all = append(all, Group+g)
	}
	return all
}

func compareBindings(a, b Binding) int {
	return cmp.Or(cmp.Compare(a.Principal, b.Principal), cmp.Compare(a.Role, b.Role), cmp.Compare(a.Scope, b.Scope))
}
