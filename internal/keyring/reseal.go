package keyring

import (
	"context"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

// checkMark holds the sealing key to the mark that the database has: it is this key's, or the previous one's, which is then to be replaced.
func (r *Ring) checkMark(ctx context.Context) error {
	mark, err := readMark(r.reader.Row(ctx, `SELECT mark FROM sealing WHERE one = 1`).Scan)
	if err != nil {
		return err
	}
	old := r.sealer.before.Load()
	switch {
	case mark == r.sealer.mark():
		r.sealer.before.Store(nil) // what it sealed has been sealed again
	case mark == "", old != nil && mark == old.mark():
	default:
		return wrongSealingKey(nil)
	}
	return nil
}

func readMark(scan func(...any) error) (mark string, err error) {
	if err = scan(&mark); noRow(err) {
		err = nil
	}
	return mark, err
}

// Holds is nil where the database is sealed under this ring's key, as it is for as long as the transaction lasts: what is sealed elsewise would open
// for nobody. It is asked before anything sealed is written. Code: sealing_key.
func (r *Ring) Holds(tx Tx) error {
	if old := r.sealer.before.Load(); old != nil { // everything is about to be sealed again
		mark, err := readMark(tx.Row(`SELECT mark FROM sealing WHERE one = 1`).Scan)
		if err == nil && mark != "" && mark != old.mark() {
			err = wrongSealingKey(nil)
		}
		return err
	}
	if _, err := tx.Exec(`INSERT INTO sealing (one, mark) VALUES (1, $1) ON CONFLICT DO NOTHING`, r.sealer.mark()); err != nil {
		return err
	}
	mark, err := readMark(tx.Row(`SELECT mark FROM sealing WHERE one = 1`).Scan)
	if err == nil && mark != r.sealer.mark() {
		err = wrongSealingKey(nil)
	}
	return err
}

// Stale reports whether something may still be sealed under the previous sealing key.
func (r *Ring) Stale() bool { return r.sealer.before.Load() != nil }

// Reseal seals every key of the server again under the sealing key of now, and marks the database with it. Where the transaction does not commit,
// everything is as it was, and can be tried again. Forget comes after the commit. Code: resealed, where another process has done it.
func (r *Ring) Reseal(tx Tx) (n int, err error) {
	if mark, err := readMark(tx.Row(`SELECT mark FROM sealing WHERE one = 1`).Scan); err != nil {
		return 0, err
	} else if mark == r.sealer.mark() {
		return 0, fault.New(fault.Conflict, "resealed", "another process has sealed everything again")
	}
	rows, err := tx.Rows(`SELECT kid, sealed FROM server_key`)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	again := map[id.Key][]byte{}
	for rows.Next() {
		var kid id.Key
		var sealed []byte
		if err := rows.Scan(&kid, &sealed); err != nil {
			return 0, err
		}
		seed, err := r.sealer.Open(sealed, keyPlace(kid))
		if err != nil {
			return 0, wrongSealingKey(err)
		}
		again[kid] = r.sealer.Seal(seed, keyPlace(kid))
	}
	if err := rows.Err(); err != nil {
		return 0, err
	}
	rows.Close() // before the next statement on the same connection
	for kid, sealed := range again {
		if _, err := tx.Exec(`UPDATE server_key SET sealed = $2 WHERE kid = $1`, kid, sealed); err != nil {
			return 0, err
		}
	}
	_, err = tx.Exec(`INSERT INTO sealing (one, mark) VALUES (1, $1) ON CONFLICT (one) DO UPDATE SET mark = excluded.mark`, r.sealer.mark())
	return len(again), err
}

// Forget drops the previous sealing key, once everything was sealed again.
func (r *Ring) Forget() { r.sealer.before.Store(nil) }
