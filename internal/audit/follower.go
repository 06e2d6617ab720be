package audit

import (
	"context"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/db"
)

// Follower is somebody who applies what ends: a process of the server, or who follows the feed.
type Follower struct {
	Workspace   id.Workspace // whose ends; server for where a process says that it is there
	Kind        string       // "node", "service", "agent" or "user"
	Name        string
	Rev         int64     // up to which it has applied what ended
	ConfirmedAt time.Time // when Rev last grew
	SeenAt      time.Time
}

// How long a follower that is not seen any more is remembered, and how many there are of one kind and prefix at most.
const (
	forgetFollower = time.Hour
	maxFollowers   = 256
)

// Confirm notes how far followers are, and spends the nonces of the request by which one of them says so. It is bookkeeping: it has no event, and its loss
// permits nothing. Codes: replayed, too_many_followers.
func (l *Log) Confirm(ctx context.Context, once []evidence.Nonce, all ...Follower) error {
	return l.note(ctx, once, func(tx *Tx) error {
		for _, f := range all {
			if err := confirm(tx, f); err != nil {
				return err
			}
		}
		return nil
	})
}

func confirm(tx *Tx, f Follower) error {
	now := tx.Now().UnixMicro()
	n, err := tx.Exec(`UPDATE follower SET confirmed_at = CASE WHEN rev < $4 THEN $5 ELSE confirmed_at END, rev = CASE WHEN rev < $4 THEN $4 ELSE rev END, seen_at = $5
		WHERE workspace = $1 AND kind = $2 AND name = $3`, f.Workspace, f.Kind, f.Name, f.Rev, now)
	if err != nil || n == 1 {
		return err
	}
	if _, err := tx.Exec(`DELETE FROM follower WHERE workspace = $1 AND seen_at < $2`, f.Workspace, tx.Now().Add(-forgetFollower).UnixMicro()); err != nil {
		return err
	}
	var have int
	if err := tx.Row(`SELECT COUNT(*) FROM follower WHERE workspace = $1 AND kind = $2`, f.Workspace, f.Kind).Scan(&have); err != nil {
		return err
	}
	if have >= maxFollowers {
		return fault.New(fault.Limited, "too_many_followers", "%d followers of this kind are known already", have).Try("follow with one process, and hand on what it hears")
	}
	_, err = tx.Exec(`INSERT INTO follower (workspace, kind, name, rev, confirmed_at, seen_at) VALUES ($1, $2, $3, $4, $5, $5)
		ON CONFLICT (workspace, kind, name) DO NOTHING`, f.Workspace, f.Kind, f.Name, f.Rev, now)
	return err
}

// Arrive takes a name for a process of the server that nobody else has lately been seen with: the one wanted, or that with a suffix.
func (l *Log) Arrive(ctx context.Context, name, suffix string, lately time.Duration) (string, error) {
	taken := name
	err := l.Keep(ctx, func(tx *Tx) error {
		var n int
		taken = name
		if err := tx.Row(`SELECT COUNT(*) FROM follower WHERE workspace = 'server' AND kind = 'node' AND name = $1 AND seen_at > $2`,
			name, tx.Now().Add(-lately).UnixMicro()).Scan(&n); err != nil {
			return err
		}
		if n > 0 {
			taken = name + "-" + suffix
		}
		if _, err := tx.Exec(`DELETE FROM follower WHERE kind = 'node' AND name = $1`, taken); err != nil { // what an earlier process with this name had confirmed
			return err
		}
		return confirm(tx, Follower{Workspace: id.Server, Kind: "node", Name: taken})
	})
	return taken, err
}

// Leave forgets a process that ends.
func (l *Log) Leave(ctx context.Context, name string) error {
	return l.Keep(ctx, func(tx *Tx) error {
		_, err := tx.Exec(`DELETE FROM follower WHERE kind = 'node' AND name = $1`, name)
		return err
	})
}

// Followers lists, by kind and name, who follows what ends in a workspace. A process is there even if it has confirmed nothing yet: with Rev 0.
func (l *Log) Followers(ctx context.Context, ws id.Workspace) ([]Follower, error) {
	rows, err := l.cfg.Reader.Rows(ctx, `SELECT f.kind, f.name, f.rev, f.confirmed_at, f.seen_at FROM follower f WHERE f.workspace = $1 AND f.kind <> 'node'
		UNION ALL SELECT n.kind, n.name, COALESCE(f.rev, 0), COALESCE(f.confirmed_at, 0), n.seen_at FROM follower n
			LEFT JOIN follower f ON f.workspace = $1 AND f.kind = 'node' AND f.name = n.name WHERE n.workspace = 'server' AND n.kind = 'node'
		ORDER BY 1, 2`, ws)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Follower
	for rows.Next() {
		f := Follower{Workspace: ws}
		var confirmed, seen int64
		if err := rows.Scan(&f.Kind, &f.Name, &f.Rev, &confirmed, &seen); err != nil {
			return nil, err
		}
		f.SeenAt = time.UnixMicro(seen)
		if f.Rev > 0 {
			f.ConfirmedAt = time.UnixMicro(confirmed)
		}
		all = append(all, f)
	}
	return all, rows.Err()
}

// Alone reports whether no other process can write to the logs: then there is nothing to hear of from elsewhere.
func (l *Log) Alone() bool { return l.engine == db.SQLite }
