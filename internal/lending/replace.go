package lending

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
)

// How says in which way one delegation takes the place of another.
type How string

// A narrowing is no wider in any dimension; a renewal has other times and is the same otherwise.
const (
	Narrowed How = "narrowed"
	Renewed  How = "renewed"
)

// Replaces says how next takes the place of old. Both are by the same delegator to the same delegate under the same parent, of one server and
// workspace (code not_replacement otherwise). What is neither a narrowing nor a renewal is refused with the dimension in which it is wider (code
// widens); a narrowing may name a task or an instance where old names none, and another purpose.
//
// The uses so far are the new one's too (Room.Replace), so that a limit is no wider if its number is no greater; to leave a limit out is wider.
func Replaces(old, next delegation.Statement) (How, error) {
	by, to := old.Delegator, next.Delegator
	if old.Issuer != next.Issuer || old.Workspace != next.Workspace || by.User != to.User || by.Agent != to.Agent ||
		old.Delegate.Agent != next.Delegate.Agent || !same(old.Parent, next.Parent) {
		return "", fault.New(fault.Invalid, "not_replacement", "delegation %s is by another delegator, to another delegate or under another parent than %s, and cannot take its place",
			next.ID, old.ID).Try("lend it beside: attorn lend")
	}
	in := wider(old, next)
	switch {
	case in == "":
		return Narrowed, nil
	case unchanged(old, next):
		return Renewed, nil
	}
	return "", fault.New(fault.Denied, "widens", "delegation %s is wider than %s, whose place it would take, in %s", next.ID, old.ID, in).
		Try("narrow it, or change the times alone; what is wider is lent anew: attorn lend")
}

// wider names a dimension in which next is not within old; "" if there is none.
func wider(old, next delegation.Statement) string {
	switch {
	case !delegation.CoversAll(old.Permissions, next.Permissions):
		return "permissions"
	case next.NotBefore < old.NotBefore:
		return "time: it begins earlier"
	case next.ExpiresAt > old.ExpiresAt:
		return "time: it ends later"
	case next.MaxDepth > old.MaxDepth:
		return fmt.Sprintf("depth: %d hops instead of %d", next.MaxDepth, old.MaxDepth)
	case old.MaxUses != nil && next.MaxUses == nil:
		return "uses: it has no limit"
	case old.MaxUses != nil && *next.MaxUses > *old.MaxUses:
		return fmt.Sprintf("uses: %d instead of %d", *next.MaxUses, *old.MaxUses)
	case old.Task != "" && next.Task != old.Task:
		return "task"
	case !old.Delegate.Instance.IsZero() && next.Delegate.Instance != old.Delegate.Instance:
		return "instance"
	case !next.MayAct.IsZero() && next.MayAct != old.MayAct:
		return "who may act"
	}
	return ""
}

// unchanged compares all but the id, the times and the key that signs.
func unchanged(old, next delegation.Statement) bool {
	next.ID, next.NotBefore, next.ExpiresAt, next.Delegator = old.ID, old.NotBefore, old.ExpiresAt, old.Delegator
	a, err1 := old.Bytes()
	b, err2 := next.Bytes()
	return err1 == nil && err2 == nil && bytes.Equal(a, b)
}

func same[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// Replacement is what became of a replacement.
type Replacement struct {
	Delegation
	How   How
	Fresh bool            // false: this very statement had taken the old one's place before, and nothing was written
	Ended []id.Delegation // the old one and all that descended from it, as far as they had not been revoked
}

// Replace lends link in the place of old, which it ends with all that descends from it; by is who does. The uses of old count for the new one, if old counts
// them. The caller has done what Lend asks for. Codes: those of Lend and Replaces; not_found, and why old can no longer be replaced: delegation_revoked,
// delegation_exhausted, delegation_expired; statement_used for a statement that was lent before, and not in the place of old.
func (*Room) Replace(tx *audit.Tx, ws id.Workspace, old id.Delegation, link delegation.Link, by string) (r Replacement, err error) {
	digest, err := link.Statement.Digest()
	if err != nil {
		return r, err
	}
	if err := lockOne(tx, ws, old); err != nil {
		return r, err
	}
	before, err := one(tx.Row(`SELECT `+columns+` FROM delegation WHERE workspace = $1 AND id = $2`, ws, old))
	if err != nil {
		return r, err
	}
	if r.How, err = Replaces(before.Link.Statement, link.Statement); err != nil {
		return r, err
	}
	if d, known, err := recorded(tx, ws, digest); err != nil || known {
		if err == nil && d.Replaces != old {
			err = fault.New(fault.Conflict, "statement_used", "the statement was lent before, and not in the place of %s", old).Try("sign a statement with a new id")
		}
		r.Delegation = d
		return r, err
	}
	if err := replaceable(before.state(), tx.Now()); err != nil {
		return r, err
	}
	if r.Delegation, r.Fresh, err = lend(tx, ws, link, before); err != nil {
		return r, err
	}
	r.Ended, err = revoke(tx, ws, old, by, string(r.How)+" as "+r.ID.String())
	return r, err
}

// replaceable refuses what has ended; what has not begun can still be changed.
func replaceable(old state, now time.Time) error {
	code, how := old.end(now.UnixMicro())
	if code == "" || code == "delegation_not_yet" {
		return nil
	}
	return fault.New(fault.Denied, code, "delegation %s %s: nothing takes its place", old.id, how).Try("lend it anew: attorn lend")
}

// Successor is what stands in the place of d, which lends to delegate, as of tx: the last of those that replaced one another, or d itself.
func (*Room) Successor(tx *audit.Tx, ws id.Workspace, delegate id.Agent, d id.Delegation) (id.Delegation, error) {
	return successor(func(query string, args ...any) interface{ Scan(into ...any) error } { return tx.Row(query, args...) }, ws, delegate, d)
}

// SuccessorNow is Successor as of now.
func (room *Room) SuccessorNow(ctx context.Context, ws id.Workspace, delegate id.Agent, d id.Delegation) (id.Delegation, error) {
	return successor(func(query string, args ...any) interface{ Scan(into ...any) error } {
		return room.r.Row(ctx, query, args...)
	}, ws, delegate, d)
}

// replacedBy finds what was lent in the place of a delegation, by an index of its own.
const replacedBy = `SELECT id FROM delegation WHERE workspace = $1 AND delegate = $2 AND replaces = $3`

// successor ends, for nothing is replaced twice, and a delegation replaces an older one.
func successor(row func(query string, args ...any) interface{ Scan(into ...any) error }, ws id.Workspace, delegate id.Agent, d id.Delegation) (id.Delegation, error) {
	for {
		var next id.Delegation
		err := row(replacedBy, ws, delegate, d).Scan(&next)
		if errors.Is(err, sql.ErrNoRows) {
			return d, nil
		} else if err != nil {
			return d, err
		}
		d = next
	}
}
