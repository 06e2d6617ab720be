package people

import (
	"context"
	"database/sql"
	"slices"
	"strconv"
	"strings"
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

func (room *Room) lastSeen(ctx context.Context, persons []id.User) (map[id.User]time.Time, error) {
	seen := map[id.User]time.Time{}
	for some := range slices.Chunk(persons, manyNames) {
		marks, args := make([]string, len(some)), make([]any, len(some))
		for i, p := range some {
			marks[i], args[i] = "$"+strconv.Itoa(i+1), p
		}
		in := ` WHERE person IN (` + strings.Join(marks, ", ") + `)`
		rows, err := room.r.Rows(ctx, `SELECT person, max(at) FROM (
			SELECT person, COALESCE(used_at, created_at) AS at FROM passkey`+in+` UNION ALL
			SELECT person, COALESCE(used_at, created_at) FROM person_key`+in+` UNION ALL
			SELECT person, created_at FROM upstream_identity`+in+` UNION ALL
			SELECT person, seen_at FROM console_session`+in+`) AS seen GROUP BY person`, args...)
		found, err := all(rows, err, func(s *sight) []any { return []any{&s.person, micros{&s.at}} })
		if err != nil {
			return nil, err
		}
		for _, s := range found {
			seen[s.person] = s.at
		}
	}
	return seen, nil
}

type sight struct {
	person id.User
	at     time.Time
}

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
