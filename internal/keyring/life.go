package keyring

import (
	"context"
	"database/sql"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

// Status is where in its life a key is: Next → Current → Retired, or Compromised from any of them.
type Status string

// The statuses.
const (
	Next        Status = "next"        // published; it does not sign
	Current     Status = "current"     // it signs
	Retired     Status = "retired"     // what it signed until it ended holds
	Compromised Status = "compromised" // somebody else may have it: tokens that it signed have ended with it
)

// State is a key and where it is in its life.
type State struct {
	*Key
	Status    Status
	SignsFrom time.Time // when it became current; of the next one, when it will at the earliest
	Ended     time.Time // zero while it is next or current
}

// Store writes a key that Make made as the current one of its purpose. Code: key_exists, where there is one.
func (r *Ring) Store(tx Tx, k *Key) error {
	n, err := r.insert(tx, k, Current, k.Created)
	if err == nil && n == 0 {
		err = fault.New(fault.Conflict, "key_exists", "the server has a key for %s", k.Purpose)
	}
	return err
}

// Publish writes a key that Make made as the next one after the current key, after; it will sign from then on. Codes: key_rotated, where after is not
// current any more; key_published, where there is a next one.
func (r *Ring) Publish(tx Tx, k *Key, after id.Key, from time.Time) error {
	now, err := r.CurrentIn(tx, k.Purpose)
	if err != nil {
		return err
	}
	if now.Kid != after {
		return rotated()
	}
	n, err := r.insert(tx, k, Next, from)
	if err == nil && n == 0 {
		err = fault.New(fault.Conflict, "key_published", "the next key is published already, and takes over when its time comes").
			Try("to change keys before that: attorn keys rotate --now --reason …")
	}
	return err
}

func (r *Ring) insert(tx Tx, k *Key, status Status, from time.Time) (int64, error) {
	if err := r.Holds(tx); err != nil {
		return 0, err
	}
	return tx.Exec(`INSERT INTO server_key (kid, purpose, jwk, sealed, created_at, status, signs_from) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
		k.Kid, k.Purpose, string(k.Public.JWK()), k.sealed, k.Created.UnixMicro(), string(status), from.UnixMicro())
}

// Withdraw ends the next key of a purpose, if there is one, before it has signed anything.
func (r *Ring) Withdraw(tx Tx, purpose string, as Status, now time.Time) error {
	_, err := tx.Exec(`UPDATE server_key SET status = $2, retired_at = $3 WHERE purpose = $1 AND status = 'next'`, purpose, string(as), now.UnixMicro())
	return err
}

// End ends the current key of a purpose that has no next one: of a log that is closed.
func (r *Ring) End(tx Tx, purpose string, as Status, now time.Time) error {
	n, err := tx.Exec(`UPDATE server_key SET status = $2, retired_at = $3 WHERE purpose = $1 AND status = 'current'`, purpose, string(as), now.UnixMicro())
	if err != nil || n == 0 {
		return changed(err)
	}
	return nil
}

// Turn makes next the current key of its purpose, and ends old, the one until now. Code: key_rotated, where that is not how they are.
func (r *Ring) Turn(tx Tx, old, next id.Key, as Status, now time.Time) error {
	n, err := tx.Exec(`UPDATE server_key SET status = $2, retired_at = $3 WHERE kid = $1 AND status = 'current'`, old, string(as), now.UnixMicro())
	if err != nil || n == 0 {
		return changed(err)
	}
	n, err = tx.Exec(`UPDATE server_key SET status = 'current', signs_from = $2 WHERE kid = $1 AND status = 'next'`, next, now.UnixMicro())
	if err != nil || n == 0 {
		return changed(err)
	}
	return nil
}

// Condemn makes compromised every key of a purpose that ended after since, and returns all that are then compromised and did.
func (r *Ring) Condemn(tx Tx, purpose string, since time.Time) ([]id.Key, error) {
	rows, err := tx.Rows(`UPDATE server_key SET status = 'compromised' WHERE purpose = $1 AND retired_at > $2 RETURNING kid`, purpose, since.UnixMicro())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []id.Key
	for rows.Next() {
		var kid id.Key
		if err := rows.Scan(&kid); err != nil {
			return nil, err
		}
		all = append(all, kid)
	}
	return all, rows.Err()
}

func changed(err error) error {
	if err == nil {
		err = rotated()
	}
	return err
}

func rotated() error {
	return fault.New(fault.Conflict, "key_rotated", "the key was changed by somebody else meanwhile; nothing was done").Try("look at the keys: attorn keys ls")
}

// Current is the key of a purpose that signs now.
func (r *Ring) Current(ctx context.Context, purpose string) (State, error) {
	st, err := r.current(r.reader.Row(ctx, currentKey, purpose), purpose)
	if err == nil {
		r.Add(st.Key)
	}
	return st, err
}

// CurrentIn is Current as the transaction sees it: it is the current key when the transaction commits.
func (r *Ring) CurrentIn(tx Tx, purpose string) (State, error) {
	return r.current(tx.Row(currentKey, purpose), purpose)
}

// currentKey says what its index says, too: SQLite uses a partial index where its condition stands in the query.
const currentKey = `SELECT ` + keyColumns + ` FROM server_key WHERE purpose = $1 AND status = 'current' AND status IN ('next', 'current')`

func (r *Ring) current(row *sql.Row, purpose string) (State, error) {
	st, err := r.scan(row.Scan)
	if noRow(err) {
		err = fault.New(fault.Unavailable, "no_key", "the server has no key for %s", purpose)
	}
	return st, err
}

// State reads a key of any purpose. Code: key_unknown.
func (r *Ring) State(ctx context.Context, kid id.Key) (State, error) {
	st, err := r.scan(r.reader.Row(ctx, `SELECT `+keyColumns+` FROM server_key WHERE kid = $1`, kid).Scan)
	if noRow(err) {
		err = fault.New(fault.NotFound, "key_unknown", "no key of this server has that thumbprint").Try("see what there is: attorn keys ls --all")
	}
	if err == nil {
		r.Add(st.Key)
	}
	return st, err
}

// All lists the keys of a purpose, oldest first, those that have ended too; of every purpose for "".
func (r *Ring) All(ctx context.Context, purpose string) ([]State, error) {
	rows, err := r.reader.Rows(ctx, `SELECT `+keyColumns+` FROM server_key WHERE purpose = $1 OR $1 = '' ORDER BY created_at, kid`, purpose)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := []State{}
	for rows.Next() {
		st, err := r.scan(rows.Scan)
		if err != nil {
			return nil, err
		}
		all = append(all, st)
	}
	return all, rows.Err()
}
