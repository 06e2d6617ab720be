package tickets

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
)

// insertDevice reports false where the user code is another request's.
func insertDevice(tx *audit.Tx, hash, user id.Digest, d Device) (bool, error) {
	n, err := tx.Exec(`INSERT INTO device_code (hash, user_hash, workspace, purpose, jwk, name, ip, asked, status, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING`,
		hash, user, d.Workspace, string(d.Purpose), string(d.Key.JWK()), d.Name, d.IP, d.Asked, string(d.Status), d.CreatedAt.UnixMicro(), d.ExpiresAt.UnixMicro())
	return n == 1, err
}

// device reads the request whose hash or user_hash is the given one.
func (room *Room) device(ctx context.Context, column string, hash id.Digest, none error) (Device, error) {
	var d Device
	var jwk string
	var created, expires int64
	err := room.r.Row(ctx, `SELECT workspace, purpose, jwk, name, ip, asked, status, person, agent, created_at, expires_at FROM device_code WHERE `+column+` = $1`, hash).
		Scan(&d.Workspace, &d.Purpose, &jwk, &d.Name, &d.IP, &d.Asked, &d.Status, &d.Person, &d.Agent, &created, &expires)
	if errors.Is(err, sql.ErrNoRows) {
		return Device{}, none
	} else if err != nil {
		return Device{}, err
	}
	d.CreatedAt, d.ExpiresAt = time.UnixMicro(created), time.UnixMicro(expires)
	return d, d.Key.UnmarshalJSON([]byte(jwk))
}

func decideDevice(tx *audit.Tx, user id.Digest, to DeviceStatus, person id.User, agent id.Agent) (bool, error) {
	n, err := tx.Exec(`UPDATE device_code SET status = $2, person = $3, agent = $4 WHERE user_hash = $1 AND status = $5 AND expires_at > $6`,
		user, string(to), person, agent, string(Waiting), tx.Now().UnixMicro())
	return n == 1, err
}

// collectDevice is the one statement of oauth.md §6 for device codes: no read before it.
func collectDevice(tx *audit.Tx, hash id.Digest) (bool, error) {
	n, err := tx.Exec(`UPDATE device_code SET status = $2 WHERE hash = $1 AND status = $3 AND expires_at > $4`,
		hash, string(Collected), string(Confirmed), tx.Now().UnixMicro())
	return n == 1, err
}

// whyNotCollected says why collectDevice found nothing, for the reason alone.
func whyNotCollected(tx *audit.Tx, hash id.Digest) error {
	var status DeviceStatus
	err := tx.Row(`SELECT status FROM device_code WHERE hash = $1`, hash).Scan(&status)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return unknown()
	case err != nil:
		return err
	case status == Collected:
		return fault.New(fault.Unauthenticated, "ticket_spent", "this device code has been used already").Try("start again; if that was not you, tell an administrator")
	}
	return fault.New(fault.Unauthenticated, "ticket_expired", "this device code was not used in time").Try("start again")
}

// expireDevices deletes requests that ended an hour ago: their holders have heard.
func expireDevices(tx *audit.Tx, now time.Time) (int64, error) {
	return tx.Exec(`DELETE FROM device_code WHERE hash IN (SELECT hash FROM device_code WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)`,
		now.Add(-slack).UnixMicro(), sweep)
}
