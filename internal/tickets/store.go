package tickets

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db"
)

// Room reads and changes tickets. Safe for concurrent use.
type Room struct{ r *db.Reader }

// New makes the room.
func New(r *db.Reader) *Room { return &Room{r} }

func insert(tx *audit.Tx, hash id.Digest, t Ticket, expires time.Time) error {
	_, err := tx.Exec(`INSERT INTO ticket (hash, kind, workspace, subject, body, family, client, jkt, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		hash, string(t.Kind), t.Workspace, t.Subject, t.Body, t.Family, t.Client, t.JKT, tx.Now().UnixMicro(), expires.UnixMicro())
	return err
}

// spend is the one statement of oauth.md §6: no read before it, so two callers cannot both find the ticket unspent.
func spend(tx *audit.Tx, hash id.Digest, kind Kind) (Ticket, bool, error) {
	t := Ticket{Kind: kind}
	err := t.scan(tx.Row(`UPDATE ticket SET spent_at = $3 WHERE hash = $1 AND kind = $2 AND spent_at IS NULL AND expires_at > $3
		RETURNING `+columns, hash, string(kind), tx.Now().UnixMicro()))
	if errors.Is(err, sql.ErrNoRows) {
		return Ticket{}, false, nil
	}
	return t, err == nil, err
}

const columns = `workspace, subject, body, family, client, jkt`

func (t *Ticket) scan(row *sql.Row, more ...any) error {
	return row.Scan(append([]any{&t.Workspace, &t.Subject, &t.Body, &t.Family, &t.Client, &t.JKT}, more...)...)
}

func fail(tx *audit.Tx, hash id.Digest, kind Kind) error {
	_, err := tx.Exec(`UPDATE ticket SET refused = 1 WHERE hash = $1 AND kind = $2 AND spent_at = $3`, hash, string(kind), tx.Now().UnixMicro())
	return err
}

func spendOthers(tx *audit.Tx, kind Kind, subject string) error {
	_, err := tx.Exec(`UPDATE ticket SET spent_at = $3 WHERE kind = $1 AND subject = $2 AND spent_at IS NULL`, string(kind), subject, tx.Now().UnixMicro())
	return err
}

func (room *Room) peek(ctx context.Context, hash id.Digest, kind Kind, now time.Time) (Ticket, error) {
	t := Ticket{Kind: kind}
	var spent sql.Null[int64]
	var began, end int64
	err := t.scan(room.r.Row(ctx, `SELECT `+columns+`, spent_at, created_at, expires_at FROM ticket WHERE hash = $1 AND kind = $2`, hash, string(kind)), &spent, &began, &end)
	t.Issued, t.Expires = time.UnixMicro(began).UTC(), time.UnixMicro(end).UTC()
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Ticket{}, unknown()
	case err != nil:
		return Ticket{}, err
	case spent.Valid:
		return t, spentAlready()
	case now.UnixMicro() >= end:
		return t, expired()
	}
	return t, nil
}

// whyNot says why spend gave nothing, for the reason alone.
func whyNot(tx *audit.Tx, hash id.Digest, kind Kind) (Ticket, error) {
	t := Ticket{Kind: kind}
	var spent sql.Null[int64]
	err := t.scan(tx.Row(`SELECT `+columns+`, spent_at, refused <> 0 FROM ticket WHERE hash = $1 AND kind = $2`, hash, string(kind)), &spent, &t.Failed)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Ticket{}, unknown()
	case err != nil:
		return Ticket{}, err
	case spent.Valid:
		t.Spent = time.UnixMicro(spent.V).UTC()
		return t, spentAlready()
	}
	return Ticket{}, expired()
}

func spentAlready() error {
	return fault.New(fault.Unauthenticated, "ticket_spent", "this one-time secret has been used already, or what it was for was ended").
		Try("if that was not you, tell an administrator; then ask for a new one")
}

func expired() error {
	return fault.New(fault.Unauthenticated, "ticket_expired", "this one-time secret has expired unused").Try("ask for a new one")
}

func unknown() error {
	return fault.New(fault.Unauthenticated, "ticket_unknown", "this one-time secret is not known: it was mistyped, is for something else, or ended long ago").
		Try("ask for a new one")
}

func end(tx *audit.Tx, ws id.Workspace, jti string, expires time.Time) error {
	_, err := tx.Exec(`INSERT INTO ended_token (workspace, jti, expires_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
		ws, jti, expires.UnixMicro())
	return err
}

func (room *Room) ended(ctx context.Context, ws id.Workspace, jti string) (bool, error) {
	var n int64
	err := room.r.Row(ctx, `SELECT count(*) FROM ended_token WHERE workspace = $1 AND jti = $2`, ws, jti).Scan(&n)
	return n > 0, err
}

const (
	// remember is how long a ticket stays after its end, so that its holder still learns why it is refused.
	remember = 24 * time.Hour
	// rememberFamily is how long one of a family stays: as long as any delegation by consent lives, so that a token shown twice ends what still lives.
	rememberFamily = 31 * 24 * time.Hour
	// slack is how long an ended token stays after its expiry: well over every leeway that a verifier grants (oauth.md §5: 30 s).
	slack = time.Hour
	sweep = 1000 // rows of each table at a time, so that no transaction is held up long
)

// Expire deletes up to 1,000 tickets, and as many ended tokens and device codes, that are long past, and returns how many: at 0 nothing is left to do.
func (room *Room) Expire(tx *audit.Tx, now time.Time) (int64, error) {
	t, err := tx.Exec(`DELETE FROM ticket WHERE hash IN (SELECT hash FROM ticket WHERE family = '' AND expires_at < $1 ORDER BY expires_at LIMIT $2)`,
		now.Add(-remember).UnixMicro(), sweep)
	if err != nil {
		return 0, err
	}
	f, err := tx.Exec(`DELETE FROM ticket WHERE hash IN (SELECT hash FROM ticket WHERE family <> '' AND expires_at < $1 ORDER BY expires_at LIMIT $2)`,
		now.Add(-rememberFamily).UnixMicro(), sweep)
	if err != nil {
		return 0, err
	}
	e, err := tx.Exec(`DELETE FROM ended_token WHERE (workspace, jti) IN (SELECT workspace, jti FROM ended_token WHERE expires_at < $1
		ORDER BY expires_at LIMIT $2)`, now.Add(-slack).UnixMicro(), sweep)
	if err != nil {
		return 0, err
	}
	d, err := expireDevices(tx, now)
	return t + f + e + d, err
}
