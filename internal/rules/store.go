package rules

import (
	"context"
	"database/sql"
	"errors"

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
