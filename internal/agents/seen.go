package agents

import (
	"strconv"
	"strings"
	"time"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
)

// MaxPlaces is how many places of a running copy are remembered: the latest.
const MaxPlaces = 32

// Used notes when instances were last used; an earlier moment than is known changes nothing. It is told to people, and nothing rests on it.
func (room *Room) Used(tx *audit.Tx, at time.Time, keys []id.Key) error {
	const many = 500
	for len(keys) > 0 {
		n := min(many, len(keys))
		var in strings.Builder
		args := []any{at.UnixMicro()}
		for _, k := range keys[:n] {
			args = append(args, k)
			in.WriteString(", $" + strconv.Itoa(len(args)))
		}
		keys = keys[n:]
		_, err := tx.Exec(`UPDATE instance SET last_used_at = $1 WHERE key IN (`+in.String()[2:]+`) AND (last_used_at IS NULL OR last_used_at < $1)`, args...)
		if err != nil {
			return err
		}
	}
	return nil
}

// SeenBefore reports whether the running copy of line was seen at a place before; the very first place is taken down, and counts as one where it was.
// place is a keyed hash that says nothing by itself.
func (room *Room) SeenBefore(tx *audit.Tx, line id.Key, place string) (bool, error) {
	if err := lockLine(tx, line); err != nil {
		return false, err
	}
	n, err := tx.Exec(`UPDATE instance_place SET seen_at = $3 WHERE line = $1 AND place = $2`, line, place, tx.Now().UnixMicro())
	if err != nil || n > 0 {
		return n > 0, err
	}
	var any int
	if err := tx.Row(`SELECT count(*) FROM instance_place WHERE line = $1`, line).Scan(&any); err != nil || any > 0 {
		return false, err
	}
	return addPlace(tx, line, place)
}

// SeenAt takes a new place down, and reports false where somebody else has done so.
func (room *Room) SeenAt(tx *audit.Tx, line id.Key, place string) (bool, error) {
	if err := lockLine(tx, line); err != nil {
		return false, err
	}
	fresh, err := addPlace(tx, line, place)
	if err != nil || !fresh {
		return fresh, err
	}
	_, err = tx.Exec(`DELETE FROM instance_place WHERE line = $1 AND place <> $2
		AND place NOT IN (SELECT place FROM instance_place WHERE line = $1 AND place <> $2 ORDER BY seen_at DESC, place LIMIT $3)`, line, place, MaxPlaces-1)
	return true, err
}

func addPlace(tx *audit.Tx, line id.Key, place string) (bool, error) {
	n, err := tx.Exec(`INSERT INTO instance_place (line, place, seen_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, line, place, tx.Now().UnixMicro())
	return n > 0, err
}

// lockLine makes those who ask about one running copy wait for one another.
func lockLine(tx *audit.Tx, line id.Key) error {
	var first int
	return one(tx.Row(`SELECT 1 FROM instance WHERE key = $1`+tx.ForUpdate(), line), notFound("instance"), &first)
}
