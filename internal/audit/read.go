package audit

import (
	"context"
	"fmt"
	"math"
	"slices"
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
	return fault.New(fault.NotFound, "not_found", "there is no such event in this workspace").Try("see the newest: attorn audit tail")
}

// Rev is the revision that a workspace's next event will have. What is read after it is at least as new: a decision reads it first.
func (l *Log) Rev(ctx context.Context, ws id.Workspace) (int64, error) {
	var rev int64
	err := l.cfg.Reader.Row(ctx, `SELECT base + size FROM log WHERE workspace = $1 AND closed = 0`, ws).Scan(&rev)
	if noRow(err) {
		return 0, unknownWorkspace(ws)
	}
	return rev, err
}

// Head reads a workspace's newest checkpoint.
func (l *Log) Head(ctx context.Context, ws id.Workspace) (Head, error) {
	all, err := l.readHeads(ctx, ` AND closed = 0`, ws)
	return all[ws].Newest(), err
}

// History is the heads of all the shards of a workspace's log, the oldest first: the checkpoints of those that were closed are their last.
type History []Head

// Newest is the head of the open shard.
func (h History) Newest() Head {
	if len(h) == 0 {
		return Head{}
	}
	return h[len(h)-1]
}

// Histories reads the logs of workspaces, all as of one moment.
func (l *Log) Histories(ctx context.Context, of ...id.Workspace) (map[id.Workspace]History, error) {
	return l.readHeads(ctx, ``, of...)
}

func (l *Log) readHeads(ctx context.Context, which string, of ...id.Workspace) (map[id.Workspace]History, error) {
	names := make([]any, len(of))
	for i, ws := range of {
		names[i] = ws
	}
	rows, err := l.cfg.Reader.Rows(ctx, `SELECT workspace, log, origin, vkey, base, size, checkpoint FROM log WHERE workspace IN (`+placeholders(len(of))+`)`+which+` ORDER BY base`, names...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := map[id.Workspace]History{}
	for rows.Next() {
		var h Head
		if err := rows.Scan(&h.Shard.Workspace, &h.Log, &h.Shard.Origin, &h.Shard.VKey, &h.Shard.Base, &h.Size, &h.Shard.Checkpoint); err != nil {
			return nil, err
		}
		key, err := evidence.ParseVKey(h.Shard.VKey)
		if err != nil {
			return nil, err
		}
		if h.checkpoint, err = evidence.OpenCheckpoint([]byte(h.Shard.Checkpoint), key); err != nil {
			return nil, err
		}
		all[h.Shard.Workspace] = append(all[h.Shard.Workspace], h)
	}
	for _, ws := range of {
		if err := rows.Err(); err != nil {
			return nil, err
		}
		if len(all[ws]) == 0 {
			return nil, unknownWorkspace(ws)
		}
	}
	return all, nil
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
	found, err := l.entries(ctx, `JOIN log l ON l.log = e.log WHERE l.workspace = $1 AND e.id = $2 LIMIT 1`, ws, e)
	return one(found, err)
}

// At reads the event at a revision of a workspace. Code: not_found.
func (l *Log) At(ctx context.Context, ws id.Workspace, rev int64) (Entry, error) {
	found, err := l.entries(ctx, `JOIN log l ON l.log = e.log WHERE l.workspace = $1 AND e.seq = $2 - l.base LIMIT 1`, ws, rev)
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
	name := "" // the rarest by which events are listed
	add := func(cond string, v any) {
		args = append(args, v)
		where = append(where, fmt.Sprintf(cond, len(args)+2))
	}
	if f.Target != "" {
		add("e.target = $%d", column(f.Target))
		name = "r" + column(f.Target).(string)
	}
	if !f.Person.IsZero() {
		add("e.person = $%d", f.Person)
		name = "p" + f.Person.String()
	}
	if !f.Agent.IsZero() {
		add("e.agent = $%d", f.Agent)
		name = "a" + f.Agent.String()
	}
	if f.Task != "" {
		add("e.task = $%d", column(f.Task))
		name = "t" + column(f.Task).(string)
	}
	if !f.Thread.IsZero() {
		add("(e.thread = $%[1]d OR e.id = $%[1]d)", f.Thread)
		name = "" // found by an index of its own
	}
	if f.Kind != "" {
		add("e.kind = $%d", string(f.Kind))
	}
	if f.Refused {
		where = append(where, "e.outcome NOT IN ('permit', 'ok')")
	}
	limit := f.Limit
	if limit <= 0 {
		limit = 50
	}
	if f.Before == 0 {
		f.Before = math.MaxInt64
	}
	add("e.seq < $%d", nil)
	which := strings.Join(where, " AND ")
	return l.overShards(ctx, ws, true, min(limit, 200), func(s shard, limit int) ([]Entry, error) {
		narrow := append(slices.Clone(args[:len(args)-1]), f.Before-s.base)
		if name != "" {
			return l.named(ctx, s, name, which, narrow, true, limit)
		}
		return l.entries(ctx, fmt.Sprintf(`WHERE e.log = $1 AND e.seq >= $2 AND %s ORDER BY e.seq DESC LIMIT %d`, which, limit), append([]any{s.log, 0}, narrow...)...)
	})
}

// overShards collects events from the shards of a workspace's log, the newest or the oldest first, until there are enough. The shards' revisions follow one
// another, so that each is read by its own indexes.
func (l *Log) overShards(ctx context.Context, ws id.Workspace, newest bool, limit int, read func(s shard, limit int) ([]Entry, error)) ([]Entry, error) {
	rows, err := l.cfg.Reader.Rows(ctx, `SELECT log, base, listed FROM log WHERE workspace = $1 ORDER BY base`, ws)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []shard
	for rows.Next() {
		var s shard
		if err := rows.Scan(&s.log, &s.base, &s.listed); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	rows.Close() // before the next query
	if newest {
		slices.Reverse(all)
	}
	found := []Entry{}
	for _, s := range all {
		if len(found) == limit {
			break
		}
		more, err := read(s, limit-len(found))
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	return found, nil
}

// First is the oldest event of a kind about a target: where a key was published, an instance enrolled. Code: not_found.
func (l *Log) First(ctx context.Context, ws id.Workspace, k evidence.Kind, target string) (Entry, error) {
	return l.about(ctx, ws, k, target, false)
}

// Last is the newest event of a kind about a target. Code: not_found.
func (l *Log) Last(ctx context.Context, ws id.Workspace, k evidence.Kind, target string) (Entry, error) {
	return l.about(ctx, ws, k, target, true)
}

func (l *Log) about(ctx context.Context, ws id.Workspace, k evidence.Kind, target string, newest bool) (Entry, error) {
	name := column(target)
	if name == nil {
		return Entry{}, unknownEvent()
	}
	return one(l.overShards(ctx, ws, newest, 1, func(s shard, limit int) ([]Entry, error) {
		return l.named(ctx, s, "r"+name.(string), `e.target = $3 AND e.kind = $4`, []any{name, string(k)}, newest, limit)
	}))
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

// entries reads events; which is ours, never input.
func (l *Log) entries(ctx context.Context, which string, args ...any) ([]Entry, error) {
	rows, err := l.cfg.Reader.Rows(ctx, `SELECT e.log, e.seq, e.body FROM event e `+which, args...)
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
