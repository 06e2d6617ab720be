package tickets

import "github.com/attorn/attorn/internal/audit"

// Tie makes a ticket that is nobody's yet subject's, for ever; where it is another's, spent or expired it changes nothing. It reports whether the ticket is
// subject's.
func (room *Room) Tie(tx *audit.Tx, kind Kind, secret, subject string) (bool, error) {
	n, err := tx.Exec(`UPDATE ticket SET subject = $4 WHERE hash = $1 AND kind = $2 AND spent_at IS NULL AND expires_at > $3 AND (subject = '' OR subject = $4)`,
		hash(secret), string(kind), tx.Now().UnixMicro(), subject)
	return n == 1, err
}
