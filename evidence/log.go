package evidence

import (
	"iter"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

// Stored is an entry of a log as it is kept. Body is nil where retention removed it.
type Stored struct {
	Leaf tlog.Hash
	Body []byte
}

// LogSummary is what a whole log says.
type LogSummary struct {
	Size     int64
	Pruned   int64 // entries without a body
	Unknown  int64 // entries that this version cannot read, or whose kind it does not know
	Started  int64 // tool.started
	Finished int64 // tool.finished, each of a tool.started of this log that had not finished
	Open     int64 // tool.started without a tool.finished: gaps
}

// CheckLog reads one shard of a log from its first entry, which has revision base, and holds it to its checkpoint: each body hashes to its leaf and has
// the revision of its place, each tool.finished ends one tool.started, each id comes once, and the leaves' tree is the checkpoint's. The error names
// the first entry that is wrong. An entries that stops early shows as a wrong size; why it stopped is its owner's to know. Codes: not_in_log,
// log_broken, not_consistent.
func CheckLog(entries iter.Seq[Stored], base int64, c Checkpoint) (LogSummary, error) {
	l := newLogCheck(base)
	for e := range entries {
		if _, err := l.read(e); err != nil {
			return l.sum, err
		}
	}
	return l.sum, l.shardEnds(c)
}

// ShardHead is a shard of a log in CheckHistory: its key, where it begins, and its newest signed checkpoint; its last, where it was closed.
type ShardHead struct {
	Key    LogKey
	Base   int64
	Signed []byte
}

// CheckHistory reads a log's shards, the oldest first, one entry after the other, and holds each to its checkpoint, as CheckLog does, and each to the one
// before: that ended with a log.closed that names this one, and this one begins with a log.opened that has the other's last checkpoint. Codes: those of
// CheckLog and OpenCheckpoint, and history_broken.
func CheckHistory(entries iter.Seq[Stored], shards []ShardHead) (LogSummary, error) {
	if len(shards) == 0 {
		return LogSummary{}, historyBroken("there is no log")
	}
	heads := make([]Checkpoint, len(shards))
	for i, s := range shards {
		var err error
		if heads[i], err = OpenCheckpoint(s.Signed, s.Key); err != nil {
			return LogSummary{}, err
		}
		if i > 0 && s.Base != shards[i-1].Base+heads[i-1].Size {
			return LogSummary{}, historyBroken("%s does not begin where %s ended", s.Key.Name(), shards[i-1].Key.Name())
		}
	}
	l, i := newLogCheck(shards[0].Base), 0
	for e := range entries {
		for i < len(shards)-1 && l.frontier.Size() == heads[i].Size {
			if err := l.shardEnds(heads[i]); err != nil {
				return l.sum, err
			}
			i++
			l.base, l.frontier = shards[i].Base, Frontier{}
		}
		place := l.frontier.Size()
		ev, err := l.read(e)
		if err != nil {
			return l.sum, err
		}
		if i > 0 && place == 0 && !(ev.Kind == LogOpened && shards[i].isNamed(ev, shards[i-1].Signed)) {
			return l.sum, historyBroken("#%d does not open %s as the next of %s", ev.Rev, shards[i].Key.Name(), shards[i-1].Key.Name())
		}
		if i < len(shards)-1 && place == heads[i].Size-1 && !(ev.Kind == LogClosed && shards[i+1].isNamed(ev, nil)) {
			return l.sum, historyBroken("#%d does not close %s for %s", ev.Rev, shards[i].Key.Name(), shards[i+1].Key.Name())
		}
	}
	if i < len(shards)-1 {
		return l.sum, historyBroken("the entries end in %s, and %s comes after it", shards[i].Key.Name(), shards[i+1].Key.Name())
	}
	return l.sum, l.shardEnds(heads[i])
}

// isNamed reports whether an event says of a log what this shard says of itself.
func (s ShardHead) isNamed(e Event, before []byte) bool {
	return e.Outcome == OK && e.What != nil && e.What.Log != nil && e.What.Log.Origin == s.Key.Name() && e.What.Log.VKey == s.Key.String() &&
		e.What.Log.Base == s.Base && e.What.Log.Checkpoint == string(before)
}

func historyBroken(reason string, args ...any) error {
	return fault.New(fault.Denied, "history_broken", reason, args...)
}

// logCheck is a log that is read from its beginning.
type logCheck struct {
	sum      LogSummary
	base     int64
	whole    bool // it was read from the workspace's first event on
	frontier Frontier
	started  map[id.Event]bool
	ids      map[id.Event]bool
}

func newLogCheck(base int64) *logCheck {
	return &logCheck{base: base, whole: base == 0, started: map[id.Event]bool{}, ids: map[id.Event]bool{}}
}

func (l *logCheck) read(e Stored) (ev Event, err error) {
	rev := l.base + l.frontier.Size()
	l.frontier.Append(e.Leaf)
	l.sum.Size++
	if e.Body == nil {
		l.sum.Pruned++
		return ev, nil
	}
	if tlog.RecordHash(e.Body) != e.Leaf {
		return ev, fault.New(fault.Denied, "not_in_log", "#%d: body does not hash to its leaf", rev)
	}
	if ev, err = ParseEvent(e.Body); err != nil {
		if ev, err = parseFuture(e.Body); err != nil {
			return ev, broken(rev, "is no event")
		}
	}
	if ev.Rev != rev || l.ids[ev.ID] {
		return ev, broken(rev, "has another revision than its place, or the id of an earlier one")
	}
	l.ids[ev.ID] = true
	switch {
	case !ev.Kind.Known():
		l.sum.Unknown++
	case ev.Kind == ToolStarted:
		l.sum.Started++
		l.started[ev.ID] = true
	case ev.Kind == ToolFinished && l.started[ev.Cause]:
		l.sum.Finished++
		delete(l.started, ev.Cause)
	case ev.Kind == ToolFinished && l.sum.Pruned == 0 && l.whole:
		return ev, broken(rev, "finishes a call that did not start in this log, or had finished")
	}
	return ev, nil
}

// shardEnds holds what was read of a shard to its checkpoint.
func (l *logCheck) shardEnds(c Checkpoint) error {
	l.sum.Open = int64(len(l.started))
	if f := l.frontier; f.Size() != c.Size || f.Root() != c.Root {
		return fault.New(fault.Denied, "not_consistent", "the tree of %d entries is not the checkpoint's of %d", f.Size(), c.Size)
	}
	return nil
}

func broken(rev int64, reason string) error {
	return fault.New(fault.Denied, "log_broken", "#%d: the entry %s", rev, reason)
}
