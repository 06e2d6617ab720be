package lending

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db"
)

// Room reads delegations; what changes them takes the transaction.
type Room struct{ r *db.Reader }

// New makes the room.
func New(r *db.Reader) *Room { return &Room{r} }

const columns = `id, workspace, parent, root, replaces, statement, signed, depth, uses, status, created_at, ended_at, ended_by, ended_why`

// up lists a delegation, found by %, and its ancestors, which are in its workspace; see descend.
const up = `WITH RECURSIVE up (id, parent, n) AS (
	SELECT id, parent, 1 FROM delegation WHERE workspace = $1 AND % = $2
	UNION ALL
	SELECT d.id, d.parent, up.n + 1 FROM up JOIN delegation d ON d.id = up.parent WHERE d.workspace = $1 AND up.n <= 8
)
SELECT ` + columns + ` FROM delegation WHERE id IN (SELECT id FROM up) ORDER BY depth`

// Chain reads a delegation with all its ancestors, the root first. Code: not_found.
func (r *Room) Chain(ctx context.Context, ws id.Workspace, d id.Delegation) ([]Delegation, error) {
	rows, err := r.r.Rows(ctx, strings.Replace(up, "%", "id", 1), ws, d)
	return chain(rows, err)
}

func lockChain(tx *audit.Tx, ws id.Workspace, statement id.Digest) ([]Delegation, error) {
	rows, err := tx.Rows(strings.Replace(up, "%", "statement", 1)+tx.ForUpdate(), ws, statement)
	return chain(rows, err)
}

func chain(rows *sql.Rows, err error) ([]Delegation, error) {
	all, err := collect(rows, err, scan)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, notFound()
	}
	states := make([]state, len(all))
	for i, d := range all {
		states[i] = d.state()
	}
	return all, whole(states)
}

// Get reads one delegation. Code: not_found.
func (r *Room) Get(ctx context.Context, ws id.Workspace, d id.Delegation) (Delegation, error) {
	return one(r.r.Row(ctx, `SELECT `+columns+` FROM delegation WHERE workspace = $1 AND id = $2`, ws, d))
}

const byStatement = `SELECT ` + columns + ` FROM delegation WHERE workspace = $1 AND statement = $2`

// ByStatement reads the delegation that a statement, named by the digest of its bytes, made. Code: not_found.
func (r *Room) ByStatement(ctx context.Context, ws id.Workspace, statement id.Digest) (Delegation, error) {
	return one(r.r.Row(ctx, byStatement, ws, statement))
}

// recorded is ByStatement inside the transaction.
func recorded(tx *audit.Tx, ws id.Workspace, statement id.Digest) (Delegation, bool, error) {
	d, err := one(tx.Row(byStatement, ws, statement))
	if fault.Code(err) == "not_found" {
		return Delegation{}, false, nil
	}
	return d, err == nil, err
}

// Query says which delegations to list, newest first: those with each member that is set.
type Query struct {
	Delegator string // "usr_…" or "agt_…"
	Delegate  string // "agt_…"
	Parent    id.Delegation
	Task      string
	Status    Status        // at Now
	Now       time.Time     // only with Status
	Before    id.Delegation // the last one of the page before
	Limit     int           // 1 to 200; 0 is 50
}

// List reads a page of delegations. Code: malformed, for a status that there is not.
func (r *Room) List(ctx context.Context, ws id.Workspace, q Query) ([]Delegation, error) {
	query, args := `SELECT `+columns+` FROM delegation WHERE workspace = $1`, []any{ws}
	for _, c := range []struct{ test, value string }{
		{"delegator =", q.Delegator},
		{"delegate =", q.Delegate},
		{"parent =", q.Parent.String()},
		{"task <> '' AND task =", q.Task}, // as the index says
		{"id <", q.Before.String()},
	} {
		if c.value != "" {
			args = append(args, c.value)
			query += " AND " + c.test + " $" + strconv.Itoa(len(args))
		}
	}
	switch q.Status {
	case "":
	case Exhausted, Revoked:
		args = append(args, string(q.Status))
		query += " AND status = $" + strconv.Itoa(len(args))
	case Active, Expired: // StatusAt, as the store knows it
		args = append(args, q.Now.UnixMicro())
		query += " AND status = 'active' AND expires_at " + map[Status]string{Active: ">", Expired: "<="}[q.Status] + " $" + strconv.Itoa(len(args))
	default:
		return nil, fault.New(fault.Invalid, "malformed", "a delegation's status is active, exhausted, expired or revoked")
	}
	limit := q.Limit
	if limit <= 0 {
		limit = 50
	}
	args = append(args, min(limit, 200))
	rows, err := r.r.Rows(ctx, query+" ORDER BY id DESC LIMIT $"+strconv.Itoa(len(args)), args...)
	return collect(rows, err, scan)
}

// MaxTree is how many delegations Tree reads.
const MaxTree = 1000

// Tree reads a delegation and all that descends from it, parents before children; more says that it stopped at MaxTree. Code: not_found.
func (r *Room) Tree(ctx context.Context, ws id.Workspace, top id.Delegation) (all []Delegation, more bool, err error) {
	rows, err := r.r.Rows(ctx, down+` SELECT `+columns+` FROM delegation WHERE id IN (SELECT id FROM down)
		ORDER BY depth, id LIMIT $3`, ws, top, MaxTree+1)
	all, err = collect(rows, err, scan)
	switch {
	case err != nil:
		return nil, false, err
	case len(all) == 0:
		return nil, false, notFound()
	case len(all) > MaxTree:
		return all[:MaxTree], true, nil
	}
	return all, false, nil
}

func insert(tx *audit.Tx, d Delegation) (bool, error) {
	st, by := d.Link.Statement, d.Link.Statement.Delegator
	delegator := by.User.String()
	if by.User.IsZero() {
		delegator = by.Agent.String()
	}
	n, err := tx.Exec(`INSERT INTO delegation (id, workspace, parent, root, replaces, statement, delegator, delegator_key, delegate, instance, not_before, expires_at,
			max_uses, uses, depth, task, signed, status, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, 'active', $18) ON CONFLICT DO NOTHING`,
		d.ID, d.Workspace, d.Parent, d.Root, d.Replaces, d.Digest, delegator, d.Link.Through().String(), st.Delegate.Agent, st.Delegate.Instance,
		micros(st.NotBefore), micros(st.ExpiresAt), st.MaxUses, d.Uses, d.Depth, st.Task, d.Link.String(), d.CreatedAt.UnixMicro())
	return n == 1, err
}

// in is a list of placeholders for n values after the first one.
func in(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(", $" + strconv.Itoa(i+2))
	}
	return "(" + b.String()[2:] + ")"
}

func inArgs(ws id.Workspace, chain []id.Delegation) []any {
	args := []any{ws}
	for _, d := range chain {
		args = append(args, d)
	}
	return args
}

// lockStates reads the links that a caller says are a chain; live finds out whether they are.
func lockStates(tx *audit.Tx, ws id.Workspace, chain []id.Delegation) ([]state, error) {
	if len(chain) == 0 || len(chain) > delegation.MaxLinks {
		return nil, broken()
	}
	rows, err := tx.Rows(`SELECT id, parent, status, not_before, expires_at, uses, max_uses FROM delegation
		WHERE workspace = $1 AND id IN `+in(len(chain))+` ORDER BY depth`+tx.ForUpdate(), inArgs(ws, chain)...)
	states, err := collect(rows, err, func(s scanner) (state, error) {
		var t state
		return t, s.Scan(&t.id, &t.parent, &t.status, &t.notBefore, &t.expires, &t.uses, &t.max)
	})
	if err == nil && len(states) != len(chain) {
		return nil, notFound()
	}
	return states, err
}

func spend(tx *audit.Tx, ws id.Workspace, chain []id.Delegation) ([]state, error) {
	now := "$" + strconv.Itoa(len(chain)+2)
	rows, err := tx.Rows(`UPDATE delegation SET uses = uses + 1, status = CASE WHEN uses + 1 >= max_uses THEN 'exhausted' ELSE status END,
			ended_at = CASE WHEN uses + 1 >= max_uses THEN `+now+` ELSE ended_at END
		WHERE workspace = $1 AND id IN `+in(len(chain))+` AND max_uses IS NOT NULL AND status = 'active' AND uses < max_uses
			AND not_before <= `+now+` AND expires_at > `+now+` RETURNING id, status, uses, max_uses`, append(inArgs(ws, chain), tx.Now().UnixMicro())...)
	return collect(rows, err, func(s scanner) (state, error) {
		var t state
		return t, s.Scan(&t.id, &t.status, &t.uses, &t.max)
	})
}

// lockOne waits for whoever is lending from d's chain: they hold all of it, so that what they lend is seen by the statement that follows.
func lockOne(tx *audit.Tx, ws id.Workspace, d id.Delegation) error {
	var one int
	err := tx.Row(`SELECT 1 FROM delegation WHERE workspace = $1 AND id = $2`+tx.ForUpdate(), ws, d).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return notFound()
	}
	return err
}

// descend goes on from what down begins with. It does not name the workspace again, nor does what reads down: a child is in its parent's, and the engines
// would look through all of the workspace instead.
const descend = ` UNION SELECT d.id FROM down JOIN delegation d ON d.parent = down.id)`

// down lists the delegation $2 and all that descends from it.
const down = `WITH RECURSIVE down (id) AS (SELECT id FROM delegation WHERE workspace = $1 AND id = $2` + descend

func revoke(tx *audit.Tx, ws id.Workspace, d id.Delegation, by, why string) ([]id.Delegation, error) {
	return ended(tx.Rows(down+` UPDATE delegation SET status = 'revoked', ended_at = $3, ended_by = $4, ended_why = $5
		WHERE id IN (SELECT id FROM down) AND status <> 'revoked' RETURNING id`, ws, d, tx.Now().UnixMicro(), by, why))
}

func ended(rows *sql.Rows, err error) ([]id.Delegation, error) {
	return collect(rows, err, func(s scanner) (id.Delegation, error) {
		var d id.Delegation
		return d, s.Scan(&d)
	})
}

type scanner interface{ Scan(dest ...any) error }

// collect reads all rows: a transaction's connection takes no other statement before.
func collect[T any](rows *sql.Rows, err error, scan func(scanner) (T, error)) ([]T, error) {
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

func one(row *sql.Row) (Delegation, error) {
	d, err := scan(row)
	if errors.Is(err, sql.ErrNoRows) {
		return Delegation{}, notFound()
	}
	return d, err
}

func scan(s scanner) (Delegation, error) {
	var d Delegation
	var signed string
	var created int64
	var at sql.Null[int64]
	var by, why sql.NullString
	err := s.Scan(&d.ID, &d.Workspace, &d.Parent, &d.Root, &d.Replaces, &d.Digest, &signed, &d.Depth, &d.Uses, &d.Status, &created, &at, &by, &why)
	if err != nil {
		return Delegation{}, err
	}
	if d.Link, err = delegation.ParseLink(signed); err != nil {
		return Delegation{}, fault.Wrap(err, fault.Internal, "delegation_broken", "the stored statement of %s cannot be read", d.ID)
	}
	d.CreatedAt, d.EndedBy, d.EndedWhy = time.UnixMicro(created).UTC(), by.String, why.String
	if at.Valid {
		d.EndedAt = time.UnixMicro(at.V).UTC()
	}
	return d, nil
}

func notFound() error {
	return fault.New(fault.NotFound, "not_found", "there is no such delegation").Try("see what there is: attorn delegation ls")
}
