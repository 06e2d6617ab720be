package audit

import (
	"context"
	"fmt"
	"strings"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

// Head is the state of a workspace's log at one moment.
type Head struct {
	Shard      evidence.Shard // Checkpoint in it is this head's, not the earlier shard's
	Log        string
	Size       int64
	checkpoint evidence.Checkpoint
}

// Rev is how much of the workspace's history the head covers: the revision that the next event will have.
func (h Head) Rev() int64 { return h.Shard.Base + h.Size }

// Entry is a stored event.
type Entry struct {
	evidence.Event
	Log  string
	Seq  int64
	Body []byte // the bytes that the log hashes
}

func unknownEvent() error {
	return fault.New(fault.NotFound, "not_found", "there is no such event in this workspace")
}

// Rev is the revision that a workspace's next event will have. What is read after it is at least as new: a decision reads it first.
func (l *Log) Rev(ctx context.Context, ws id.Workspace) (int64, error) {
	var rev int64
	err := l.cfg.Reader.Row(ctx, `SELECT base + size FROM log WHERE workspace = $1 AND closed = 0`, ws).Scan(&rev)
	if noRow(err) {
		return 0, fault.New(fault.NotFound, "workspace_unknown", "there is no workspace %q", ws)
	}
	return rev, err
}

// Head reads a workspace's newest checkpoint.
func (l *Log) Head(ctx context.Context, ws id.Workspace) (Head, error) {
	h := Head{Shard: evidence.Shard{Workspace: ws}}
	err := l.cfg.Reader.Row(ctx, `SELECT log, origin, vkey, base, size, checkpoint FROM log WHERE workspace = $1 AND closed = 0`, ws).
		Scan(&h.Log, &h.Shard.Origin, &h.Shard.VKey, &h.Shard.Base, &h.Size, &h.Shard.Checkpoint)
	if noRow(err) {
		return h, fault.New(fault.NotFound, "workspace_unknown", "there is no workspace %q", ws)
	} else if err != nil {
		return h, err
	}
	key, err := evidence.ParseVKey(h.Shard.VKey)
	if err != nil {
		return h, err
	}
	h.checkpoint, err = evidence.OpenCheckpoint([]byte(h.Shard.Checkpoint), key)
	return h, err
}

// Prove makes the proof that e is in the log as of h.
func (l *Log) Prove(ctx context.Context, h Head, e Entry) (evidence.Inclusion, error) {
	if e.Log != h.Log || e.Seq >= h.Size {
		return evidence.Inclusion{}, fmt.Errorf("entry %d of %s is not in the first %d of %s", e.Seq, e.Log, h.Size, h.Log)
	}
	return evidence.ProveInclusion(e.Seq, h.checkpoint, []byte(h.Shard.Checkpoint), hashes(ctx, l.cfg.Reader, h.Log))
}

// Extends makes the proof that h continues the log of old entries.
func (l *Log) Extends(ctx context.Context, h Head, old int64) (evidence.Consistency, error) {
	return evidence.ProveConsistency(old, h.checkpoint, []byte(h.Shard.Checkpoint), hashes(ctx, l.cfg.Reader, h.Log))
}

// Event reads one event of a workspace. Code: not_found.
func (l *Log) Event(ctx context.Context, ws id.Workspace, e id.Event) (Entry, error) {
	found, err := l.entries(ctx, ws, `e.id = $2`, `LIMIT 1`, e)
	return one(found, err)
}

// Filter narrows a search; zero fields do not narrow.
type Filter struct {
	Agent   id.Agent
	Person  id.User
	Target  string
	Task    string
	Thread  id.Event
	Kind    evidence.Kind
	Refused bool  // only what was neither permitted nor ok
	Before  int64 // rev: older than
	Limit   int   // at most 200; zero is 50
}

// Search lists events, newest first.
func (l *Log) Search(ctx context.Context, ws id.Workspace, f Filter) ([]Entry, error) {
	var where []string
	var args []any
	add := func(cond string, v any) {
		args = append(args, v)
		where = append(where, fmt.Sprintf(cond, len(args)+1))
	}
	if !f.Agent.IsZero() {
		add("e.agent = $%d", f.Agent)
	}
	if !f.Person.IsZero() {
		add("e.person = $%d", f.Person)
	}
	if f.Target != "" {
		add("e.target = $%d", column(f.Target))
	}
	if f.Task != "" {
		add("e.task = $%d", column(f.Task))
	}
	if !f.Thread.IsZero() {
		add("(e.thread = $%[1]d OR e.id = $%[1]d)", f.Thread)
	}
	if f.Kind != "" {
		add("e.kind = $%d", string(f.Kind))
	}
	if f.Before > 0 {
		add("e.seq < $%d - l.base", f.Before)
	}
	if f.Refused {
		where = append(where, "e.outcome NOT IN ('permit', 'ok')")
	}
	if len(where) == 0 {
		where = []string{"1 = 1"}
	}
	limit := f.Limit
	if limit <= 0 {
		limit = 50
	}
	return l.entries(ctx, ws, strings.Join(where, " AND "), fmt.Sprintf("ORDER BY e.seq DESC LIMIT %d", min(limit, 200)), args...)
}

// First is the oldest event of a kind about a target: where a key was published, an instance enrolled. Code: not_found.
func (l *Log) First(ctx context.Context, ws id.Workspace, k evidence.Kind, target string) (Entry, error) {
	found, err := l.entries(ctx, ws, `e.target = $2 AND e.kind = $3`, `ORDER BY e.seq LIMIT 1`, column(target), string(k))
	return one(found, err)
}

// Last is the newest event of a kind about a target. Code: not_found.
func (l *Log) Last(ctx context.Context, ws id.Workspace, k evidence.Kind, target string) (Entry, error) {
	found, err := l.entries(ctx, ws, `e.target = $2 AND e.kind = $3`, `ORDER BY e.seq DESC LIMIT 1`, column(target), string(k))
	return one(found, err)
}

func one(found []Entry, err error) (Entry, error) {
	if err == nil && len(found) == 0 {
		err = unknownEvent()
	}
	if err != nil {
		return Entry{}, err
	}
	return found[0], nil
}

// entries reads events of the workspace's open log; where and tail are ours, never input.
func (l *Log) entries(ctx context.Context, ws id.Workspace, where, tail string, args ...any) ([]Entry, error) {
	rows, err := l.cfg.Reader.Rows(ctx, `SELECT e.log, e.seq, e.body FROM event e JOIN log l ON l.log = e.log
		WHERE l.workspace = $1 AND l.closed = 0 AND `+where+` `+tail, append([]any{ws}, args...)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := []Entry{}
	for rows.Next() {
		var e Entry
		if err := rows.Scan(&e.Log, &e.Seq, &e.Body); err != nil {
			return nil, err
		}
		if e.Event, err = evidence.ParseEvent(e.Body); err != nil {
			return nil, fmt.Errorf("entry %d of %s: %w", e.Seq, e.Log, err)
		}
		found = append(found, e)
	}
	return found, rows.Err()
}

// Detail opens a value that the event's leaf holds only as a digest: its disclosure, or a proof's bytes. Code: not_found when it was never
// there or was erased.
func (l *Log) Detail(ctx context.Context, e Entry, field string) ([]byte, error) {
	var subject string
	var sealed, wrapped []byte
	err := l.cfg.Reader.Row(ctx, `SELECT d.subject, d.sealed, k.wrapped FROM detail d JOIN subject_key k ON k.subject = d.subject
		WHERE d.log = $1 AND d.seq = $2 AND d.field = $3`, e.Log, e.Seq, field).Scan(&subject, &sealed, &wrapped)
	if noRow(err) {
		return nil, fault.New(fault.NotFound, "not_found", "event %s has no value for %s, or it was erased", e.ID, field)
	} else if err != nil {
		return nil, err
	}
	key, err := l.subjects.sealer.UnwrapSubjectKey(subject, wrapped)
	if err != nil {
		return nil, err
	}
	return key.Open(sealed, detailPlace(e.Log, e.Seq, field))
}

// Content reads a document by its digest. Code: not_found.
func (l *Log) Content(ctx context.Context, digest id.Digest) ([]byte, error) {
	var body []byte
	err := l.cfg.Reader.Row(ctx, `SELECT body FROM content WHERE digest = $1`, digest).Scan(&body)
	if noRow(err) {
		return nil, fault.New(fault.NotFound, "not_found", "no document with that digest is kept")
	}
	return body, err
}
