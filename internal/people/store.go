package people

import (
	"context"
	"database/sql"
	"encoding"
	"errors"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db"
	"github.com/attorn/attorn/jose"
)

// Room reads and changes people. Safe for concurrent use.
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

const (
	personColumns = `p.id, p.name, p.status, p.created_at, p.tokens_from, p.recovered_at, p.recovered_by`
	// memberColumns are a person as a workspace sees them.
	memberColumns = `p.id, p.name, CASE WHEN m.suspended_at IS NULL THEN p.status ELSE 'suspended' END, p.created_at,
		CASE WHEN m.tokens_from > p.tokens_from THEN m.tokens_from ELSE p.tokens_from END, p.recovered_at, p.recovered_by`
	passkeyColumns = `k.credential, k.person, k.label, k.cose, k.rp_id, k.origin, k.sign_count, k.created_at, k.used_at, k.ended_at`
	keyColumns     = `k.key, k.person, k.jwk, k.label, k.created_at, k.used_at, k.ended_at`
)

func (p *Person) into() []any {
	return []any{&p.ID, &p.Name, &p.Status, micros{&p.CreatedAt}, &p.TokensFrom, micros{&p.RecoveredAt}, &p.RecoveredBy}
}

func (k *Passkey) into() []any {
	return []any{&k.Credential, &k.Person, &k.Label, text{&k.COSE}, &k.RPID, &k.Origin, &k.SignCount, micros{&k.CreatedAt}, micros{&k.UsedAt}, micros{&k.EndedAt}}
}

func (k *Key) into() []any {
	return []any{&k.Key, &k.Person, text{jwk{&k.JWK}}, &k.Label, micros{&k.CreatedAt}, micros{&k.UsedAt}, micros{&k.EndedAt}}
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

// text receives what is stored as text.
type text struct{ to encoding.TextUnmarshaler }

// Scan implements sql.Scanner.
func (t text) Scan(src any) error {
	var s sql.Null[string]
	if err := s.Scan(src); err != nil {
		return err
	}
	return t.to.UnmarshalText([]byte(s.V))
}

type jwk struct{ *jose.PublicKey }

// UnmarshalText reads a JWK.
func (j jwk) UnmarshalText(b []byte) error { return j.UnmarshalJSON(b) }

// one reads a row; no row is the error none.
func one(row *sql.Row, none error, into ...any) error {
	err := row.Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return none
	}
	return err
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

// persons

func insertPerson(tx *audit.Tx, p Person) error {
	_, err := tx.Exec(`INSERT INTO person (id, name, status, created_at) VALUES ($1, $2, $3, $4)`, p.ID, p.Name, p.Status, p.CreatedAt.UnixMicro())
	return err
}

func join(tx *audit.Tx, ws id.Workspace, person id.User) error {
	if _, err := lock(tx, person); err != nil {
		return err
	}
	n, err := tx.Exec(`INSERT INTO membership (workspace, person, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, ws, person, tx.Now().UnixMicro())
	if err == nil && n == 0 {
		err = fault.New(fault.Conflict, "already_member", "the user is a member of the workspace already").Try("there is nothing to do")
	}
	return err
}

// move changes a person's status and ends their sessions; it returns how many.
func move(tx *audit.Tx, person id.User, from, to Status) (int64, error) {
	n, err := tx.Exec(`UPDATE person SET status = $2 WHERE id = $1 AND status = $3`, person, to, from)
	if err != nil {
		return 0, err
	}
	if n == 0 {
		p, err := lock(tx, person)
		if err == nil {
			err = wrongState(person, p.Status, to)
		}
		return 0, err
	}
	return endSessions(tx, person)
}

// moveHere is move for one membership alone; sessions are the person's and stay.
func moveHere(tx *audit.Tx, ws id.Workspace, person id.User, to Status) error {
	set, was := `suspended_at = $3`, `suspended_at IS NULL`
	if to == Active {
		set, was = `suspended_at = NULL`, `suspended_at IS NOT NULL AND suspended_at <= $3`
	}
	n, err := tx.Exec(`UPDATE membership SET `+set+` WHERE workspace = $1 AND person = $2 AND `+was, ws, person, tx.Now().UnixMicro())
	if err != nil || n == 1 {
		return err
	}
	var is Status
	err = one(tx.Row(`SELECT CASE WHEN suspended_at IS NULL THEN 'active' ELSE 'suspended' END FROM membership WHERE workspace = $1 AND person = $2`, ws, person),
		notFound("user"), &is)
	if err == nil {
		err = wrongState(person, is, to)
	}
	return err
}

func wrongState(person id.User, is, to Status) error {
	return fault.New(fault.Conflict, "wrong_state", "the user %s is %s: the account cannot become %s", person, is, to).Try("see how they stand: attorn user show %s", person)
}

func leave(tx *audit.Tx, ws id.Workspace, person id.User) error {
	n, err := tx.Exec(`DELETE FROM membership WHERE workspace = $1 AND person = $2`, ws, person)
	if err == nil && n == 0 {
		err = notFound("user")
	}
	if err != nil {
		return err
	}
	return deleteMemberships(tx, ws, person.String())
}

// lock reads a person and, on PostgreSQL, holds the row until the commit.
func lock(tx *audit.Tx, person id.User) (p Person, err error) {
	err = one(tx.Row(`SELECT `+personColumns+` FROM person p WHERE p.id = $1`+tx.ForUpdate(), person), notFound("user"), p.into()...)
	return p, err
}

func (room *Room) member(ctx context.Context, ws id.Workspace, person id.User) (p Person, err error) {
	err = one(room.r.Row(ctx, `SELECT `+memberColumns+` FROM membership m JOIN person p ON p.id = m.person WHERE m.workspace = $1 AND m.person = $2`,
		ws, person), notFound("user"), p.into()...)
	return p, err
}

func (room *Room) anywhere(ctx context.Context, person id.User) (p Person, err error) {
	err = one(room.r.Row(ctx, `SELECT `+personColumns+` FROM person p WHERE p.id = $1`, person), notFound("user"), p.into()...)
	return p, err
}

// named reads members by name, at most as many as an ambiguous name lists.
func (room *Room) named(ctx context.Context, ws id.Workspace, name string) ([]Person, error) {
	rows, err := room.r.Rows(ctx, `SELECT `+memberColumns+` FROM membership m JOIN person p ON p.id = m.person
		WHERE m.workspace = $1 AND p.name = $2 ORDER BY p.id LIMIT $3`, ws, name, maxCandidates)
	return all(rows, err, (*Person).into)
}

func (room *Room) members(ctx context.Context, ws id.Workspace, after id.User, limit int) ([]Person, error) {
	rows, err := room.r.Rows(ctx, `SELECT `+memberColumns+` FROM membership m JOIN person p ON p.id = m.person
		WHERE m.workspace = $1 AND m.person > $2 ORDER BY m.person LIMIT $3`, ws, after.String(), limit)
	return all(rows, err, (*Person).into)
}

func (room *Room) workspaces(ctx context.Context, person id.User) ([]id.Workspace, error) {
	rows, err := room.r.Rows(ctx, `SELECT workspace FROM membership WHERE person = $1 ORDER BY workspace`, person)
	return all(rows, err, func(ws *id.Workspace) []any { return []any{ws} })
}

// passkeys

func usedKey(tx *audit.Tx, key id.Key) error {
	_, err := tx.Exec(`UPDATE person_key SET used_at = $2 WHERE key = $1`, key, tx.Now().UnixMicro())
	return err
}

func insertPasskey(tx *audit.Tx, k Passkey) (bool, error) {
	cose, err := k.COSE.MarshalText()
	if err != nil {
		return false, err
	}
	n, err := tx.Exec(`INSERT INTO passkey (credential, person, cose, rp_id, origin, sign_count, created_at, label) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT DO NOTHING`, k.Credential, k.Person, string(cose), k.RPID, k.Origin, int64(k.SignCount), k.CreatedAt.UnixMicro(), k.Label)
	return n == 1, err
}

func livePasskeys(tx *audit.Tx, person id.User) (n int, err error) {
	err = tx.Row(`SELECT count(*) FROM passkey WHERE person = $1 AND ended_at IS NULL`, person).Scan(&n)
	return n, err
}

// count stores a live passkey's new counter if it grew, or if both are 0: the authenticator does not count.
func count(tx *audit.Tx, credential string, signs uint32) (bool, error) {
	n, err := tx.Exec(`UPDATE passkey SET sign_count = $2, used_at = $3 WHERE credential = $1 AND ended_at IS NULL AND (sign_count < $2 OR sign_count = 0 AND $2 = 0)`,
		credential, int64(signs), tx.Now().UnixMicro())
	return n == 1, err
}

func passkeyInTx(tx *audit.Tx, credential string) (k Passkey, err error) {
	err = one(tx.Row(`SELECT `+passkeyColumns+` FROM passkey k WHERE k.credential = $1`, credential), passkeyUnknown(), k.into()...)
	return k, err
}

func endPasskey(tx *audit.Tx, person id.User, credential string) error {
	n, err := tx.Exec(`UPDATE passkey SET ended_at = $3 WHERE person = $1 AND credential = $2 AND ended_at IS NULL`, person, credential, tx.Now().UnixMicro())
	if err == nil && n == 0 {
		err = fault.New(fault.NotFound, "not_found", "the user has no such passkey").Try("see what there is: attorn user keys")
	}
	return err
}

func (room *Room) passkey(ctx context.Context, credential string) (k Passkey, p Person, err error) {
	err = one(room.r.Row(ctx, `SELECT `+passkeyColumns+`, `+personColumns+` FROM passkey k JOIN person p ON p.id = k.person WHERE k.credential = $1`, credential),
		passkeyUnknown(), append(k.into(), p.into()...)...)
	return k, p, err
}

func (room *Room) passkeys(ctx context.Context, person id.User) ([]Passkey, error) {
	rows, err := room.r.Rows(ctx, `SELECT `+passkeyColumns+` FROM passkey k WHERE k.person = $1 AND k.ended_at IS NULL ORDER BY k.created_at, k.credential`, person)
	return all(rows, err, (*Passkey).into)
}

// registered keys

func insertKey(tx *audit.Tx, k Key) (bool, error) {
	n, err := tx.Exec(`INSERT INTO person_key (key, person, jwk, label, created_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
		k.Key, k.Person, string(k.JWK.JWK()), k.Label, k.CreatedAt.UnixMicro())
	return n == 1, err
}

func liveKeys(tx *audit.Tx, person id.User) (n int, err error) {
	err = tx.Row(`SELECT count(*) FROM person_key WHERE person = $1 AND ended_at IS NULL`, person).Scan(&n)
	return n, err
}

const countKey = `SELECT count(*) FROM person_key WHERE key = $1`

func known(tx *audit.Tx, key id.Key) (bool, error) {
	var n int
	err := tx.Row(countKey, key).Scan(&n)
	return n > 0, err
}

func (room *Room) taken(ctx context.Context, key id.Key) (bool, error) {
	var n int
	err := room.r.Row(ctx, countKey, key).Scan(&n)
	return n > 0, err
}

func endKey(tx *audit.Tx, person id.User, key id.Key) error {
	n, err := tx.Exec(`UPDATE person_key SET ended_at = $3 WHERE person = $1 AND key = $2 AND ended_at IS NULL`, person, key, tx.Now().UnixMicro())
	if err == nil && n == 0 {
		err = fault.New(fault.NotFound, "not_found", "the user has no such key").Try("see what there is: attorn user keys")
	}
	return err
}

func (room *Room) byKey(ctx context.Context, key id.Key) (p Person, k Key, err error) {
	err = one(room.r.Row(ctx, `SELECT `+personColumns+`, `+keyColumns+` FROM person_key k JOIN person p ON p.id = k.person WHERE k.key = $1`, key),
		keyUnknown(), append(p.into(), k.into()...)...)
	return p, k, err
}

func (room *Room) keys(ctx context.Context, person id.User) ([]Key, error) {
	rows, err := room.r.Rows(ctx, `SELECT `+keyColumns+` FROM person_key k WHERE k.person = $1 AND k.ended_at IS NULL ORDER BY k.created_at, k.key`, person)
	return all(rows, err, (*Key).into)
}

// sessions

func insertSession(tx *audit.Tx, s Session) (bool, error) {
	n, err := tx.Exec(`INSERT INTO console_session (hash, person, acr, auth_time, created_at, seen_at, expires_at, opened_by)
		SELECT $1, p.id, $3, $4, $5, $5, $6, $8 FROM person p WHERE p.id = $2 AND p.status = $7`,
		s.ID, s.Person, s.ACR, s.AuthTime.UnixMicro(), s.SeenAt.UnixMicro(), s.ExpiresAt.UnixMicro(), Active, s.OpenedBy)
	return n == 1, err
}

func (room *Room) session(ctx context.Context, hash id.Digest, now time.Time) (s Session, p Person, err error) {
	row := room.r.Row(ctx, `SELECT s.hash, s.person, s.acr, s.auth_time, s.seen_at, s.expires_at, s.opened_by, `+personColumns+`
		FROM console_session s JOIN person p ON p.id = s.person WHERE s.hash = $1 AND s.expires_at > $2 AND s.seen_at > $3 AND p.status = $4`,
		hash, now.UnixMicro(), now.Add(-sessionIdle).UnixMicro(), Active)
	err = one(row, sessionUnknown(), append([]any{&s.ID, &s.Person, &s.ACR, micros{&s.AuthTime}, micros{&s.SeenAt}, micros{&s.ExpiresAt}, &s.OpenedBy}, p.into()...)...)
	return s, p, err
}

func touch(tx *audit.Tx, session id.Digest) error {
	now := tx.Now()
	_, err := tx.Exec(`UPDATE console_session SET seen_at = $2 WHERE hash = $1 AND seen_at <= $3 AND seen_at > $4 AND expires_at > $2`,
		session, now.UnixMicro(), now.Add(-touchEvery).UnixMicro(), now.Add(-sessionIdle).UnixMicro())
	return err
}

func sessionLives(tx *audit.Tx, session id.Digest) error {
	var person id.User
	return one(tx.Row(`SELECT person FROM console_session WHERE hash = $1 AND expires_at > $2 AND seen_at > $3`+tx.ForUpdate(),
		session, tx.Now().UnixMicro(), tx.Now().Add(-sessionIdle).UnixMicro()), sessionUnknown(), &person)
}

func endSession(tx *audit.Tx, session id.Digest) error {
	_, err := tx.Exec(`DELETE FROM console_session WHERE hash = $1`, session)
	return err
}

func endSessions(tx *audit.Tx, person id.User) (int64, error) {
	return tx.Exec(`DELETE FROM console_session WHERE person = $1`, person)
}

func endOpenedBy(tx *audit.Tx, person id.User, key string) error {
	_, err := tx.Exec(`DELETE FROM console_session WHERE person = $1 AND opened_by = $2`, person, key)
	return err
}

// Expire deletes up to 1,000 sessions that are over, and returns how many: at 0 nothing is left to do.
func (room *Room) Expire(tx *audit.Tx, now time.Time) (int64, error) {
	return tx.Exec(`DELETE FROM console_session WHERE hash IN (SELECT hash FROM console_session WHERE expires_at < $1 ORDER BY expires_at LIMIT 1000)`,
		now.UnixMicro())
}
