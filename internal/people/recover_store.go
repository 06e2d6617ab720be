package people

import (
	"context"
	"database/sql"
	"time"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
)

// endKeys ends the registered keys of a person but one, and names them.
func endKeys(tx *audit.Tx, person id.User, keep id.Key) ([]string, error) {
	rows, err := tx.Rows(`UPDATE person_key SET ended_at = $2 WHERE person = $1 AND ended_at IS NULL AND key <> $3 RETURNING key`,
		person, tx.Now().UnixMicro(), keep.String())
	return all(rows, err, func(s *string) []any { return []any{s} })
}

func endPasskeys(tx *audit.Tx, person id.User) ([]string, error) {
	rows, err := tx.Rows(`UPDATE passkey SET ended_at = $2 WHERE person = $1 AND ended_at IS NULL RETURNING credential`, person, tx.Now().UnixMicro())
	return all(rows, err, func(s *string) []any { return []any{s} })
}

func setRecovered(tx *audit.Tx, person, by id.User) error {
	_, err := tx.Exec(`UPDATE person SET recovered_at = $2, recovered_by = $3 WHERE id = $1`, person, tx.Now().UnixMicro(), by)
	return err
}

const signedIn = `SELECT (SELECT count(*) FROM passkey WHERE person = $1) + (SELECT count(*) FROM person_key WHERE person = $1)
	+ (SELECT count(*) FROM upstream_identity WHERE person = $1) + (SELECT count(*) FROM console_session WHERE person = $1)`

func everSignedIn(row *sql.Row) (bool, error) {
	var n int
	err := row.Scan(&n)
	return n > 0, err
}

func tie(tx *audit.Tx, person, other id.User, until time.Time) error {
	_, err := tx.Exec(`INSERT INTO tie (person, other, until) VALUES ($1, $2, $3)
		ON CONFLICT (person, other) DO UPDATE SET until = CASE WHEN tie.until < excluded.until THEN excluded.until ELSE tie.until END`,
		person, other, until.UnixMicro())
	return err
}

const liveTies = `SELECT person, other FROM tie WHERE until > $1`

func (k *knot) into() []any { return []any{&k.a, &k.b} }

func tiesInTx(tx *audit.Tx) ([]knot, error) {
	rows, err := tx.Rows(liveTies, tx.Now().UnixMicro())
	return all(rows, err, (*knot).into)
}

func (room *Room) ties(ctx context.Context, now time.Time) ([]knot, error) {
	rows, err := room.r.Rows(ctx, liveTies, now.UnixMicro())
	return all(rows, err, (*knot).into)
}

func liveNames(tx *audit.Tx, person id.User) ([]string, error) {
	rows, err := tx.Rows(`SELECT credential FROM passkey WHERE person = $1 AND ended_at IS NULL UNION ALL SELECT key FROM person_key WHERE person = $1 AND ended_at IS NULL`, person)
	return all(rows, err, func(s *string) []any { return []any{s} })
}
