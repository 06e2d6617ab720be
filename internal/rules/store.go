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
	"github.com/attorn/attorn/policy"
)

// store keeps a bundle's files and manifest; what is there already is the same.
func store(tx *audit.Tx, ws id.Workspace, set *policy.Set) error {
	for _, f := range set.Files() {
		if _, err := tx.Exec(`INSERT INTO policy_file (digest, body) VALUES ($1, $2) ON CONFLICT DO NOTHING`, id.Sum(f.Text), string(f.Text)); err != nil {
			return err
		}
	}
	_, err := tx.Exec(`INSERT INTO bundle (workspace, digest, manifest, published_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
		ws, set.Digest(), string(set.Manifest()), tx.Now().UnixMicro())
	return err
}

// point makes a bundle the live one: of base, or of whatever is live if base is none.
func point(tx *audit.Tx, ws id.Workspace, to, base id.Digest) (bool, error) {
	if base.IsZero() {
		n, err := tx.Exec(`INSERT INTO live_bundle (workspace, digest) VALUES ($1, $2) ON CONFLICT (workspace) DO UPDATE SET digest = excluded.digest`, ws, to)
		return n == 1, err
	}
	n, err := tx.Exec(`UPDATE live_bundle SET digest = $2 WHERE workspace = $1 AND digest = $3`, ws, to, base)
	return n == 1, err
}

// Live is the bundle that decides in a workspace. Code: not_found, where none was ever published.
func (r *Room) Live(ctx context.Context, ws id.Workspace) (id.Digest, error) {
	var d id.Digest
	err := r.r.Row(ctx, `SELECT digest FROM live_bundle WHERE workspace = $1`, ws).Scan(&d)
	return d, found(err)
}

func (r *Room) manifest(ctx context.Context, ws id.Workspace, digest id.Digest) ([]byte, error) {
	var text string
	err := r.r.Row(ctx, `SELECT manifest FROM bundle WHERE workspace = $1 AND digest = $2`, ws, digest).Scan(&text)
	return []byte(text), found(err)
}

func (r *Room) file(ctx context.Context, digest id.Digest) ([]byte, error) {
	var text string
	err := r.r.Row(ctx, `SELECT body FROM policy_file WHERE digest = $1`, digest).Scan(&text)
	return []byte(text), err
}

// Find is the one bundle that was published in the workspace whose digest begins so. Codes: not_found, ambiguous.
func (r *Room) Find(ctx context.Context, ws id.Workspace, beginning string) (id.Digest, error) {
	if len(beginning) < minBeginning {
		return id.Digest{}, found(sql.ErrNoRows)
	}
	rows, err := r.r.Rows(ctx, `SELECT digest FROM bundle WHERE workspace = $1 AND substr(digest, 1, $2) = $3 LIMIT 2`, ws, len(beginning), beginning)
	if err != nil {
		return id.Digest{}, err
	}
	defer rows.Close()
	var all []id.Digest
	for rows.Next() {
		var d id.Digest
		if err := rows.Scan(&d); err != nil {
			return id.Digest{}, err
		}
		all = append(all, d)
	}
	switch {
	case rows.Err() != nil:
		return id.Digest{}, rows.Err()
	case len(all) == 0:
		return id.Digest{}, found(sql.ErrNoRows)
	case len(all) > 1:
		return id.Digest{}, fault.New(fault.Conflict, "ambiguous", "the digests of several bundles begin with %s", beginning).Try("give more of it: attorn policy log")
	}
	return all[0], nil
}

// minBeginning is how much of a digest names a bundle at least, in characters.
const minBeginning = 6

func found(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fault.New(fault.NotFound, "not_found", "there is no such bundle")
	}
	return err
}

func insertBinding(tx *audit.Tx, ws id.Workspace, b Binding) (bool, error) {
	n, err := tx.Exec(`INSERT INTO binding (workspace, principal, role, bound_by, reason, created_at) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
		ws, b.Principal, b.Role, b.BoundBy, b.Reason, b.CreatedAt.UnixMicro())
	return n == 1, err
}

// deleteBinding leaves the last owner.
func deleteBinding(tx *audit.Tx, ws id.Workspace, principal, role string) (bool, error) {
	n, err := tx.Exec(`DELETE FROM binding WHERE workspace = $1 AND principal = $2 AND role = $3 AND (role <> $4
		OR EXISTS (SELECT 1 FROM binding other WHERE other.workspace = $1 AND other.role = $4 AND other.principal <> $2))`, ws, principal, role, Owner)
	return n == 1, err
}

func deleteBindings(tx *audit.Tx, ws id.Workspace, principal string) error {
	_, err := tx.Exec(`DELETE FROM binding WHERE workspace = $1 AND principal = $2`, ws, principal)
	return err
}

func holds(tx *audit.Tx, ws id.Workspace, principal, role string) (bool, error) {
	var n int
	err := tx.Row(`SELECT COUNT(*) FROM binding WHERE workspace = $1 AND principal = $2 AND role = $3`, ws, principal, role).Scan(&n)
	return n > 0, err
}

func held(tx *audit.Tx, ws id.Workspace, role string) (bool, error) {
	var n int
	err := tx.Row(`SELECT COUNT(*) FROM binding WHERE workspace = $1 AND role = $2`, ws, role).Scan(&n)
	return n > 0, err
}

// manyIDs is how many identifiers one statement names.
const manyIDs = 500

// RolesOf lists, sorted, the roles that each of these principals holds in the workspace.
func (r *Room) RolesOf(ctx context.Context, ws id.Workspace, principals ...string) (map[string][]string, error) {
	principals = slices.Compact(slices.Sorted(slices.Values(principals)))
	roles := make(map[string][]string, len(principals))
	for ids := range slices.Chunk(principals, manyIDs) {
		marks, args := make([]string, len(ids)), []any{ws}
		for i, p := range ids {
			marks[i], args = "$"+strconv.Itoa(i+2), append(args, p)
		}
		all, err := r.bindings(ctx, `principal IN (`+strings.Join(marks, ", ")+`)`, args...)
		if err != nil {
			return nil, err
		}
		for _, b := range all {
			roles[b.Principal] = append(roles[b.Principal], b.Role)
		}
	}
	return roles, nil
}

// Holders lists, sorted, the principals that hold a role in the workspace.
func (r *Room) Holders(ctx context.Context, ws id.Workspace, role string) ([]string, error) {
	all, err := r.bindings(ctx, `role = $2`, ws, role)
	if err != nil {
		return nil, err
	}
	holders := make([]string, len(all))
	for i, b := range all {
		holders[i] = b.Principal
	}
	return holders, nil
}

// Bindings lists all bindings of the workspace, by principal and role.
func (r *Room) Bindings(ctx context.Context, ws id.Workspace) ([]Binding, error) {
	return r.bindings(ctx, `TRUE`, ws)
}

func (r *Room) bindings(ctx context.Context, cond string, args ...any) ([]Binding, error) {
	rows, err := r.r.Rows(ctx, `SELECT principal, role, bound_by, reason, created_at FROM binding WHERE workspace = $1 AND `+cond+` ORDER BY principal, role`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Binding
	for rows.Next() {
		var b Binding
		var at int64
		if err := rows.Scan(&b.Principal, &b.Role, &b.BoundBy, &b.Reason, &at); err != nil {
			return nil, err
		}
		b.CreatedAt = time.UnixMicro(at).UTC()
		all = append(all, b)
	}
	return all, rows.Err()
}
