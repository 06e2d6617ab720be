package audit

import (
	"slices"

	"github.com/attorn/attorn/id"
)

// End is an event that may change a later decision, as this process heard of it: its place, and what was touched.
type End struct {
	Rev     int64
	Touches []string
}

// Ended tells, from memory, what this process has heard of a workspace's log: what was touched at or after the revision from, in order, and upTo where that is
// complete. Other processes' events are among it from this one's next commit on. whole is false where some of it was forgotten, or nothing was heard yet: then
// whoever keeps anything lets go of it all. upTo is 0 where nothing was heard.
//
// Whoever decides on what they kept, and records that as of upTo, is refused (ErrStale) where any of it ended meanwhile, here or elsewhere.
func (l *Log) Ended(ws id.Workspace, from int64) (ends []End, upTo int64, whole bool) {
	l.mu.Lock()
	h := l.open[ws]
	l.mu.Unlock()
	if h == nil {
		return nil, 0, false
	}
	for _, a := range slices.Backward(h.altered) {
		if a.rev < from {
			break
		}
		ends = append(ends, End{a.rev, a.touches})
	}
	slices.Reverse(ends)
	return ends, h.applied, from >= h.from
}
