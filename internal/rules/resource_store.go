package rules

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/policy"
)

func hasResource(tx *audit.Tx, ws id.Workspace, u policy.UID) (bool, error) {
	var n int
	err := tx.Row(`SELECT COUNT(*) FROM resource WHERE workspace = $1 AND type = $2 AND id = $3`, ws, u.Type, u.ID).Scan(&n)
	return n > 0, err
}

// standsFor is the resource of a type that stands for a principal; "" is none.
func standsFor(tx *audit.Tx, ws id.Workspace, of, principal string) (name string, err error) {
	err = tx.Row(`SELECT id FROM resource WHERE workspace = $1 AND principal = $2 AND type = $3`, ws, principal, of).Scan(&name)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return name, err
}

// upwardsOf is a statement's beginning that makes of up all that a resource is in.
const upwardsOf = `WITH RECURSIVE up (type, id) AS (
		SELECT i.parent_type, i.parent_id FROM resource_in i WHERE i.workspace = $1 AND i.type = $2 AND i.id = $3
		UNION SELECT i.parent_type, i.parent_id FROM up JOIN resource_in i ON i.workspace = $1 AND i.type = up.type AND i.id = up.id) `

// above lists, inside a transaction, these and all that they are in.
func above(tx *audit.Tx, ws id.Workspace, of []policy.UID) ([]policy.UID, error) {
	all := slices.Clone(of)
	for _, u := range of {
		rows, err := tx.Rows(upwardsOf+`SELECT type, id FROM up`, ws, u.Type, u.ID)
		if err != nil {
			return nil, err
		}
		for rows.Next() {
			var p policy.UID
			if err := rows.Scan(&p.Type, &p.ID); err != nil {
				rows.Close()
				return nil, err
			}
			if !slices.Contains(all, p) {
				all = append(all, p)
			}
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func putResource(tx *audit.Tx, ws id.Workspace, r Resource) error {
	parents, err := json.Marshal(r.Parents)
	if err != nil {
		return err
	}
	principal := sql.NullString{String: r.Principal, Valid: r.Principal != ""}
	if _, err := tx.Exec(`INSERT INTO resource (workspace, type, id, attrs, parents, principal, changed_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (workspace, type, id) DO UPDATE SET attrs = excluded.attrs, parents = excluded.parents, principal = excluded.principal, changed_at = excluded.changed_at`,
		ws, r.UID.Type, r.UID.ID, string(r.Attrs), string(parents), principal, tx.Now().UnixMicro()); err != nil {
		return err
	}
	if _, err := tx.Exec(`DELETE FROM resource_in WHERE workspace = $1 AND type = $2 AND id = $3`, ws, r.UID.Type, r.UID.ID); err != nil {
		return err
	}
	for _, p := range r.Parents {
		if _, err := tx.Exec(`INSERT INTO resource_in (workspace, type, id, parent_type, parent_id) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
			ws, r.UID.Type, r.UID.ID, p.Type, p.ID); err != nil {
			return err
		}
	}
	return nil
}

// belowResource is one that is in another; zero where none is.
func belowResource(tx *audit.Tx, ws id.Workspace, u policy.UID) (below policy.UID, err error) {
	err = tx.Row(`SELECT type, id FROM resource_in WHERE workspace = $1 AND parent_type = $2 AND parent_id = $3 ORDER BY type, id LIMIT 1`, ws, u.Type, u.ID).Scan(&below.Type, &below.ID)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return below, err
}

func dropResource(tx *audit.Tx, ws id.Workspace, u policy.UID) (bool, error) {
	if _, err := tx.Exec(`DELETE FROM resource_in WHERE workspace = $1 AND type = $2 AND id = $3`, ws, u.Type, u.ID); err != nil {
		return false, err
	}
	n, err := tx.Exec(`DELETE FROM resource WHERE workspace = $1 AND type = $2 AND id = $3`, ws, u.Type, u.ID)
	return n == 1, err
}

const resourceColumns = `type, id, attrs, parents, COALESCE(principal, ''), changed_at`

func (r *Room) resources(ctx context.Context, cond string, args ...any) ([]Resource, error) {
	return readResources(r.r.Rows(ctx, `SELECT `+resourceColumns+` FROM resource WHERE workspace = $1 AND `+cond, args...))
}

func (r *Room) above(ctx context.Context, ws id.Workspace, u policy.UID) ([]Resource, error) {
	return readResources(r.r.Rows(ctx, upwardsOf+`SELECT r.type, r.id, r.attrs, r.parents, COALESCE(r.principal, ''), r.changed_at
		FROM up JOIN resource r ON r.workspace = $1 AND r.type = up.type AND r.id = up.id ORDER BY r.type, r.id`, ws, u.Type, u.ID))
}

func (r *Room) standingFor(ctx context.Context, ws id.Workspace, principals []string) ([]Resource, error) {
	if len(principals) == 0 {
		return nil, nil
	}
	marks, args := make([]string, len(principals)), []any{ws}
	for i, p := range principals {
		marks[i], args = fmt.Sprintf("$%d", i+2), append(args, p)
	}
	return r.resources(ctx, `principal IN (`+strings.Join(marks, ", ")+`) ORDER BY type, id`, args...)
}

func readResources(rows *sql.Rows, err error) ([]Resource, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Resource
	for rows.Next() {
		var o Resource
		var attrs, parents string
		var at int64
		if err := rows.Scan(&o.UID.Type, &o.UID.ID, &attrs, &parents, &o.Principal, &at); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(parents), &o.Parents); err != nil {
			return nil, err
		}
		o.Attrs, o.ChangedAt = jsontext.Value(attrs), time.UnixMicro(at).UTC()
		all = append(all, o)
	}
	return all, rows.Err()
}
