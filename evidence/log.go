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

// CheckLog reads a log from its first entry, which has revision base, and holds it to its checkpoint: each body hashes to its leaf and has the
// revision of its place, each tool.finished ends one tool.started, each id comes once, and the leaves' tree is the checkpoint's. The error names
// the first entry that is wrong. An entries that stops early shows as a wrong size; why it stopped is its owner's to know. Codes: not_in_log,
// log_broken, not_consistent.
func CheckLog(entries iter.Seq[Stored], base int64, c Checkpoint) (LogSummary, error) {
	var s LogSummary
	var f Frontier
	started, ids := map[id.Event]bool{}, map[id.Event]bool{}
	for e := range entries {
		rev := base + f.Size()
		f.Append(e.Leaf)
		if e.Body == nil {
			s.Pruned++
			continue
		}
		if tlog.RecordHash(e.Body) != e.Leaf {
			return s, fault.New(fault.Denied, "not_in_log", "#%d: body does not hash to its leaf", rev)
		}
		ev, err := ParseEvent(e.Body)
		if err != nil {
			if ev, err = parseFuture(e.Body); err != nil {
				return s, broken(rev, "is no event")
			}
		}
		if ev.Rev != rev || ids[ev.ID] {
			return s, broken(rev, "has another revision than its place, or the id of an earlier one")
		}
		ids[ev.ID] = true
		switch {
		case !ev.Kind.Known():
			s.Unknown++
		case ev.Kind == ToolStarted:
			s.Started++
			started[ev.ID] = true
		case ev.Kind == ToolFinished && started[ev.Cause]:
			s.Finished++
			delete(started, ev.Cause)
		case ev.Kind == ToolFinished && s.Pruned == 0:
			return s, broken(rev, "finishes a call that did not start in this log, or had finished")
		}
	}
	s.Size, s.Open = f.Size(), int64(len(started))
	if f.Size() != c.Size || f.Root() != c.Root {
		return s, fault.New(fault.Denied, "not_consistent", "the tree of %d entries is not the checkpoint's of %d", f.Size(), c.Size)
	}
	return s, nil
}

func broken(rev int64, reason string) error {
	return fault.New(fault.Denied, "log_broken", "#%d: the entry %s", rev, reason)
}
