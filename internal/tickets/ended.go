package tickets

import (
	"context"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
)

const maxJTI = 128 // bytes

// End ends an access token by its jti, until expires, when it would have ended by itself. Ending it again changes nothing. Code: jti_invalid.
func (room *Room) End(tx *audit.Tx, ws id.Workspace, jti string, expires time.Time) error {
	if jti == "" || len(jti) > maxJTI {
		return fault.New(fault.Invalid, "jti_invalid", "the identifier of a token has 1 to %d bytes, not %d", maxJTI, len(jti))
	}
	if err := end(tx, ws, jti, expires); err != nil {
		return err
	}
	_, err := room.Expire(tx, tx.Now())
	return err
}

// Ended reports whether the workspace's token jti was ended.
func (room *Room) Ended(ctx context.Context, ws id.Workspace, jti string) (bool, error) {
	return room.ended(ctx, ws, jti)
}

// EndAll spends every ticket of a kind that is about subject and was not spent yet, so that none of them opens anything.
func (room *Room) EndAll(tx *audit.Tx, kind Kind, subject string) error {
	return spendOthers(tx, kind, subject)
}
