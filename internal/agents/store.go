package agents

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db"
	"github.com/attorn/attorn/jose"
)

// Room reads and changes agents and instances. Safe for concurrent use.
type Room struct{ r *db.Reader }

// New makes the room.
func New(r *db.Reader) *Room { return &Room{r} }

const maxPage = 200

func page(limit int) int {
	if limit < 1 || limit > maxPage {
		return maxPage
	}
	return limit
}

const instanceColumns = `instance.key, instance.workspace, instance.agent, jwk, trust, instance.status, instance.created_at, ended_at,
	line, parent, predecessor, depth, instance.expires_at, rule, last_used_at, instance.tokens_from`

func (i *Instance) into() []any {
	return []any{
		&i.Key, &i.Workspace, &i.Agent,
		jwk{&i.JWK},
		&i.Trust, &i.Status,
		micros{&i.CreatedAt},
		micros{&i.EndedAt},
		&i.Line, &i.Parent, &i.Predecessor, &i.Depth,
		micros{&i.ExpiresAt},
		maybe{&i.Rule},
		micros{&i.LastUsedAt},
		&i.TokensFrom,
	}
}

// micros receives a time, or NULL as the zero time.
type micros struct{ to *time.Time }

// Scan implements sql.Scanner.
func (m micros) Scan(src any) error {
	var us sql.Null[int64]
	if err := us.Scan(src); err != nil {
		return err
	}
	*m.to = time.Time{}
	if us.Valid {
		*m.to = time.UnixMicro(us.V)
	}
	return nil
}

// null is a time in microseconds, or NULL for the zero time.
func null(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// text is a text, or NULL for none.
func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// maybe receives a text, or NULL as none.
type maybe struct{ to *string }

// Scan implements sql.Scanner.
func (m maybe) Scan(src any) error {
	var s sql.Null[string]
	err := s.Scan(src)
	*m.to = s.V
	return err
}

// jwk receives a key.
type jwk struct{ to *jose.PublicKey }

// Scan implements sql.Scanner.
func (j jwk) Scan(src any) error {
	var text sql.Null[string]
	if err := text.Scan(src); err != nil {
		return err
	}
	return j.to.UnmarshalJSON([]byte(text.V))
}

// all reads every row into values of one type.
func all[T any](rows *sql.Rows, err error, into func(*T) []any) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var got []T
	for rows.Next() {
		var v T
		if err := rows.Scan(into(&v)...); err != nil {
			return nil, err
		}
		got = append(got, v)
	}
	return got, rows.Err()
}

// one reads a row; no row is the error none.
func one(row *sql.Row, none error, into ...any) error {
	err := row.Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return none
	}
	return err
}

func scanInstance(row *sql.Row, none error) (i Instance, err error) {
	err = one(row, none, i.into()...)
	return i, err
}

func wrongState(what string, is, to Status) error {
	f := fault.New(fault.Conflict, "wrong_state", "%s is %s: it cannot become %s", what, is, to)
	switch is {
	case to:
		return f.Try("there is nothing to do: it is what it should become")
	case Revoked, Expired, Rotated:
		return f.Try("what has ended stays ended: register a new agent, or enrol a new instance")
	case Pending:
		return f.Try("have it approved first: attorn agent approve AGENT")
	}
	return f.Try("see how it stands: attorn agent show AGENT")
}

// lockAgent reads an agent and how many of its instances have not ended. On PostgreSQL it holds the agent's row until the commit, so that
// enrolments of one agent come one after the other and none slips past a revocation.
func lockAgent(tx *audit.Tx, ws id.Workspace, agent id.Agent) (Agent, int, error) {
	a, err := scanAgent(tx.Row(`SELECT `+agentColumns+` FROM agent WHERE workspace = $1 AND id = $2`+tx.ForUpdate(), ws, agent))
	if err != nil {
		return Agent{}, 0, err
	}
	var live int
	err = tx.Row(`SELECT (SELECT count(*) FROM instance WHERE workspace = $1 AND agent = $2 AND status IN ('active', 'suspended') AND expires_at IS NULL)
		+ (SELECT count(*) FROM instance WHERE workspace = $1 AND agent = $2 AND status IN ('active', 'suspended') AND expires_at > $3)`,
		ws, agent, tx.Now().UnixMicro()).Scan(&live)
	return a, live, err
}

// insertInstance reports false where the key was an instance before: rows of instances are never deleted.
func insertInstance(tx *audit.Tx, i Instance) (bool, error) {
	n, err := tx.Exec(`INSERT INTO instance (key, workspace, agent, jwk, trust, status, created_at, line, parent, predecessor, depth, expires_at, rule,
			tokens_from)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT (key) DO NOTHING`,
		i.Key, i.Workspace, i.Agent, string(i.JWK.JWK()), i.Trust, i.Status, i.CreatedAt.UnixMicro(), i.Line, i.Parent, i.Predecessor, i.Depth,
		null(i.ExpiresAt), text(i.Rule), i.TokensFrom)
	return n == 1, err
}

const countInstance = `SELECT count(*) FROM instance WHERE key = $1`

func known(tx *audit.Tx, key id.Key) (bool, error) {
	var n int
	err := tx.Row(countInstance, key).Scan(&n)
	return n > 0, err
}

func (room *Room) taken(ctx context.Context, key id.Key) (bool, error) {
	var n int
	err := room.r.Row(ctx, countInstance, key).Scan(&n)
	return n > 0, err
}

// instanceState says why an UPDATE of an instance found no row.
func instanceState(tx *audit.Tx, ws id.Workspace, key id.Key, to Status, err error) error {
	if fault.Code(err) != "not_found" {
		return err
	}
	var is Status
	if e := tx.Row(`SELECT status FROM instance WHERE workspace = $1 AND key = $2`, ws, key).Scan(&is); e == nil {
		return wrongState("instance "+key.String(), is, to)
	} else if !errors.Is(e, sql.ErrNoRows) {
		return e
	}
	return err
}

func (room *Room) instance(ctx context.Context, key id.Key) (Instance, error) {
	return scanInstance(room.r.Row(ctx, `SELECT `+instanceColumns+` FROM instance WHERE key = $1`, key), instanceUnknown())
}

// both reads an instance with its agent as of one moment.
func (room *Room) both(ctx context.Context, key id.Key) (a Agent, i Instance, err error) {
	row := room.r.Row(ctx, `SELECT `+agentColumns+`, `+instanceColumns+`
		FROM instance JOIN agent ON agent.id = instance.agent AND agent.workspace = instance.workspace WHERE key = $1`, key)
	err = one(row, instanceUnknown(), append(a.into(), i.into()...)...)
	return a, i, err
}

func (room *Room) listInstances(ctx context.Context, ws id.Workspace, agent id.Agent, after id.Key, limit int) ([]Instance, error) {
	rows, err := room.r.Rows(ctx, `SELECT `+instanceColumns+` FROM instance WHERE workspace = $1 AND agent = $2 AND key > $3
		ORDER BY key LIMIT $4`, ws, agent, after.String(), limit)
	return all(rows, err, (*Instance).into)
}

// active reads an agent's instances that may act at now as far as they themselves go.
func (room *Room) active(ctx context.Context, a Agent, now time.Time) ([]Instance, error) {
	rows, err := room.r.Rows(ctx, `SELECT `+instanceColumns+` FROM instance WHERE workspace = $1 AND agent = $2 AND `+liveAt("$3")+` ORDER BY key LIMIT $4`,
		a.Workspace, a.ID, now.UnixMicro(), 2*MaxInstances)
	return all(rows, err, (*Instance).into)
}
