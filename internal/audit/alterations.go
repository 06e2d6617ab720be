package audit

import (
	"context"
	"fmt"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
)

// Alteration is an event that may change a later decision, and the identifiers whose earlier state ended with it.
type Alteration struct {
	Rev     int64
	At      time.Time
	Kind    evidence.Kind
	Touches []string
}

// Alterations reads those of a workspace after a revision, in order, at most limit.
func (l *Log) Alterations(ctx context.Context, ws id.Workspace, after int64, limit int) ([]Alteration, error) {
	rows, err := l.cfg.Reader.Rows(ctx, `SELECT e.log, e.seq, l.base, e.body FROM event e JOIN log l ON l.log = e.log
		WHERE l.workspace = $1 AND e.alters = 1 AND e.seq > $2 - l.base ORDER BY l.base, e.seq LIMIT $3`, ws, after, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []Alteration
	for rows.Next() {
		var log string
		var seq, base int64
		var body []byte
		if err := rows.Scan(&log, &seq, &base, &body); err != nil {
			return nil, err
		}
		e, err := evidence.ParseEvent(body)
		if err != nil {
			return nil, fmt.Errorf("entry %d of %s: %w", seq, log, err)
		}
		found = append(found, Alteration{base + seq, time.UnixMicro(e.At), e.Kind, e.Touches()})
	}
	return found, rows.Err()
}

// Revs is Rev of every workspace.
func (l *Log) Revs(ctx context.Context) (map[id.Workspace]int64, error) {
	rows, err := l.cfg.Reader.Rows(ctx, `SELECT workspace, base + size FROM log WHERE closed = 0`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	revs := map[id.Workspace]int64{}
	for rows.Next() {
		var ws id.Workspace
		var rev int64
		if err := rows.Scan(&ws, &rev); err != nil {
			return nil, err
		}
		revs[ws] = rev
	}
	return revs, rows.Err()
}

// Recent calls do with the tokens that were issued before a revision and not before a time, and with what altered the workspace since, newest first. It
// looks at no more than limit events.
func (l *Log) Recent(ctx context.Context, ws id.Workspace, before, limit int64, since time.Time, do func(evidence.Event)) error {
	rows, err := l.cfg.Reader.Rows(ctx, `SELECT e.log, e.seq, e.body FROM event e JOIN log l ON l.log = e.log
		WHERE l.workspace = $1 AND e.seq < $2 - l.base AND e.seq >= $3 - l.base AND e.at >= $4 AND (e.alters = 1 OR e.kind = $5) ORDER BY l.base DESC, e.seq DESC`,
		ws, before, before-limit, since.UnixMicro(), string(evidence.TokenIssued))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var log string
		var seq int64
		var body []byte
		if err := rows.Scan(&log, &seq, &body); err != nil {
			return err
		}
		e, err := evidence.ParseEvent(body)
		if err != nil {
			return fmt.Errorf("entry %d of %s: %w", seq, log, err)
		}
		do(e)
	}
	return rows.Err()
}
