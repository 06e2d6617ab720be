package rules

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
)

const bindingColumns = `b.id, b.principal, b.role, b.scope, b.state, b.expires_at, b.bound_by, b.reason, b.created_at, b.kept_by, b.kept_at`

func scanBinding(row interface{ Scan(...any) error }) (b Binding, err error) {
	err = row.Scan(&b.ID, &b.Principal, &b.Role, &b.Scope, &b.State, moment{&b.ExpiresAt}, &b.BoundBy, &b.Reason, moment{&b.CreatedAt}, &b.KeptBy, moment{&b.KeptAt})
	return b, err
}

// moment is a time as the tables have it: microseconds, 0 for none.
type moment struct{ t *time.Time }

// Scan implements sql.Scanner.
func (m moment) Scan(src any) error {
	n, ok := src.(int64)
	if !ok {
		return errors.New("a time is stored as something else than a number")
	}
	if *m.t = (time.Time{}); n != 0 {
		*m.t = time.UnixMicro(n).UTC()
	}
	return nil
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func collect[T any](rows *sql.Rows, err error, scan func(interface{ Scan(...any) error }) (T, error)) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

func insertBinding(tx *audit.Tx, ws id.Workspace, b Binding) (bool, error) {
	n, err := tx.Exec(`INSERT INTO binding (id, workspace, principal, role, scope, state, expires_at, bound_by, reason, created_at, kept_by, kept_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, '', 0) ON CONFLICT DO NOTHING`,
		b.ID, ws, b.Principal, b.Role, b.Scope, b.State, micros(b.ExpiresAt), b.BoundBy, b.Reason, micros(b.CreatedAt))
	return n == 1, err
}

// deleteExpired makes room for a binding where one of the same has expired.
func deleteExpired(tx *audit.Tx, ws id.Workspace, b Binding) error {
	was, err := bindingOf(tx, ws, b.Principal, b.Grant())
	if fault.Code(err) == "not_found" || err == nil && was.Stands(tx.Now()) {
		return nil
	} else if err != nil {
		return err
	}
	return deleteBinding(tx, was.ID)
}

// bindingOf reads a binding, expired or not. Code: not_found.
func bindingOf(tx *audit.Tx, ws id.Workspace, principal string, what Grant) (Binding, error) {
	b, err := scanBinding(tx.Row(`SELECT `+bindingColumns+` FROM binding b WHERE b.workspace = $1 AND b.principal = $2 AND b.role = $3 AND b.scope = $4`+tx.ForUpdate(),
		ws, principal, what.Role, what.Scope))
	if errors.Is(err, sql.ErrNoRows) {
		err = fault.New(fault.NotFound, "not_found", "%s does not hold the role %s", principal, what).Try("see who has which: attorn role bindings")
	}
	return b, err
}

func deleteBinding(tx *audit.Tx, b id.Binding) error {
	_, err := tx.Exec(`DELETE FROM activation WHERE binding = $1`, b)
	if err == nil {
		_, err = tx.Exec(`DELETE FROM binding WHERE id = $1`, b)
	}
	return err
}

func deleteBindings(tx *audit.Tx, ws id.Workspace, principal string) error {
	_, err := tx.Exec(`DELETE FROM activation WHERE binding IN (SELECT id FROM binding WHERE workspace = $1 AND principal = $2)`, ws, principal)
	if err == nil {
		_, err = tx.Exec(`DELETE FROM binding WHERE workspace = $1 AND principal = $2`, ws, principal)
	}
	return err
}

const ownersOf = `FROM binding WHERE workspace = $1 AND role = '` + Owner + `' AND scope = '' AND state = 'active' AND expires_at = 0`

func owned(tx *audit.Tx, ws id.Workspace) (bool, error) {
	var n int
	err := tx.Row(`SELECT COUNT(*) `+ownersOf, ws).Scan(&n)
	return n > 0, err
}

// Owners lists, sorted, who owns the workspace everywhere and without end.
func (r *Room) Owners(ctx context.Context, ws id.Workspace) ([]string, error) {
	rows, err := r.r.Rows(ctx, `SELECT principal `+ownersOf+` ORDER BY principal`, ws)
	return collect(rows, err, scanText)
}

func scanText(row interface{ Scan(...any) error }) (s string, err error) {
	err = row.Scan(&s)
	return s, err
}

// manyIDs is how many identifiers one statement names.
const manyIDs = 500

// among runs a query for each few hundred of names, which it has in place of the first %; its other arguments come before.
func among[T any](names []string, query string, args []any, run func(query string, args ...any) ([]T, error)) ([]T, error) {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	var all []T
	for some := range slices.Chunk(names, manyIDs) {
		marks, with := make([]string, len(some)), slices.Clone(args)
		for i, name := range some {
			with = append(with, name)
			marks[i] = "$" + strconv.Itoa(len(with))
		}
		found, err := run(strings.ReplaceAll(query, "%", strings.Join(marks, ", ")), with...)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

const standing = `(b.expires_at = 0 OR b.expires_at > $2)`

// boundTo reads, inside a transaction, what is bound to any of these principals and has not expired.
func boundTo(tx *audit.Tx, ws id.Workspace, principals []string, now time.Time) ([]Binding, error) {
	return among(principals, `SELECT `+bindingColumns+` FROM binding b WHERE b.workspace = $1 AND `+standing+` AND b.principal IN (%)`, []any{ws, now.UnixMicro()},
		func(query string, args ...any) ([]Binding, error) {
			rows, err := tx.Rows(query, args...)
			return collect(rows, err, scanBinding)
		})
}

// BoundTo lists what is bound to any of these principals, active or eligible, and has not expired, by principal, role and scope.
func (r *Room) BoundTo(ctx context.Context, ws id.Workspace, now time.Time, principals ...string) ([]Binding, error) {
	all, err := among(principals, `SELECT `+bindingColumns+` FROM binding b WHERE b.workspace = $1 AND `+standing+` AND b.principal IN (%)`, []any{ws, now.UnixMicro()},
		func(query string, args ...any) ([]Binding, error) {
			rows, err := r.r.Rows(ctx, query, args...)
			return collect(rows, err, scanBinding)
		})
	slices.SortFunc(all, compareBindings)
	return all, err
}

// Bindings lists all bindings of the workspace, expired ones too, by principal, role and scope.
func (r *Room) Bindings(ctx context.Context, ws id.Workspace) ([]Binding, error) {
	rows, err := r.r.Rows(ctx, `SELECT `+bindingColumns+` FROM binding b WHERE b.workspace = $1`, ws)
	all, err := collect(rows, err, scanBinding)
	slices.SortFunc(all, compareBindings)
	return all, err
}

// Binding reads one. Code: not_found.
func (r *Room) Binding(ctx context.Context, ws id.Workspace, b id.Binding) (Binding, error) {
	found, err := scanBinding(r.r.Row(ctx, `SELECT `+bindingColumns+` FROM binding b WHERE b.workspace = $1 AND b.id = $2`, ws, b))
	if errors.Is(err, sql.ErrNoRows) {
		err = fault.New(fault.NotFound, "not_found", "there is no such binding").Try("see who has which: attorn role bindings")
	}
	return found, err
}

// held is a role that somebody has now, and until when; zero: without end.
type held struct {
	bound string // to whom: the principal or a group
	by    string // who activated it; "" where it is active
	grant Grant
	until time.Time
}

// grantsNow reads what is bound to any of these principals and active now, or activated by one of them.
func (r *Room) grantsNow(ctx context.Context, ws id.Workspace, now time.Time, principals []string) ([]held, error) {
	bound, err := r.BoundTo(ctx, ws, now, principals...)
	if err != nil {
		return nil, err
	}
	var all []held
	eligible := map[id.Binding]Binding{}
	for _, b := range bound {
		if b.State == Active {
			all = append(all, held{b.Principal, "", b.Grant(), b.ExpiresAt})
		} else {
			eligible[b.ID] = b
		}
	}
	if len(eligible) == 0 {
		return all, nil
	}
	used, err := r.ActivatedBy(ctx, ws, now, principals...)
	for _, a := range used {
		if b, ok := eligible[a.Binding]; ok {
			all = append(all, held{b.Principal, a.Principal, b.Grant(), sooner(b.ExpiresAt, a.Until)})
		}
	}
	return all, err
}

// sooner is the earlier of two ends; zero is none.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func putActivation(tx *audit.Tx, ws id.Workspace, a Activation) error {
	_, err := tx.Exec(`INSERT INTO activation (binding, principal, workspace, until, reason, flow, activated_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (binding, principal) DO UPDATE SET until = excluded.until, reason = excluded.reason, flow = excluded.flow, activated_at = excluded.activated_at`,
		a.Binding, a.Principal, ws, micros(a.Until), a.Reason, a.Flow, micros(a.At))
	return err
}

// endActivation ends what has not ended by itself.
func endActivation(tx *audit.Tx, ws id.Workspace, principal string, what Grant) (int64, error) {
	return tx.Exec(`DELETE FROM activation WHERE workspace = $1 AND principal = $2 AND until > $3
		AND binding IN (SELECT id FROM binding WHERE workspace = $1 AND role = $4 AND scope = $5)`, ws, principal, tx.Now().UnixMicro(), what.Role, what.Scope)
}

func endActivationsBy(tx *audit.Tx, ws id.Workspace, principal, bound string) error {
	_, err := tx.Exec(`DELETE FROM activation WHERE workspace = $1 AND principal = $2
		AND binding IN (SELECT id FROM binding WHERE workspace = $1 AND principal = $3)`, ws, principal, bound)
	return err
}

func deleteActivations(tx *audit.Tx, ws id.Workspace, principal string) error {
	_, err := tx.Exec(`DELETE FROM activation WHERE workspace = $1 AND principal = $2`, ws, principal)
	return err
}

const (
	activationColumns = `binding, principal, until, reason, flow, activated_at`
	activationsNow    = `SELECT ` + activationColumns + ` FROM activation WHERE workspace = $1 AND until > $2`
)

func scanActivation(row interface{ Scan(...any) error }) (a Activation, err error) {
	err = row.Scan(&a.Binding, &a.Principal, moment{&a.Until}, &a.Reason, &a.Flow, moment{&a.At})
	return a, err
}

// ActivatedBy lists what any of these has activated now.
func (r *Room) ActivatedBy(ctx context.Context, ws id.Workspace, now time.Time, principals ...string) ([]Activation, error) {
	return among(principals, activationsNow+` AND principal IN (%)`, []any{ws, now.UnixMicro()}, func(query string, args ...any) ([]Activation, error) {
		rows, err := r.r.Rows(ctx, query, args...)
		return collect(rows, err, scanActivation)
	})
}

// Activations lists what is activated now, by binding and principal.
func (r *Room) Activations(ctx context.Context, ws id.Workspace, now time.Time) ([]Activation, error) {
	rows, err := r.r.Rows(ctx, activationsNow+` ORDER BY binding, principal`, ws, now.UnixMicro())
	return collect(rows, err, scanActivation)
}
