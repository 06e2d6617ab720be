package audit

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
)

// errForked stops the log: what the database holds is not a continuation of what this process has seen, or its head is not ours.
var errForked = errors.New("the head of the log is not a continuation of what was seen before")

// looks is how often a run looks for the heads that it needs: what is not there then does not exist.
const looks = 4

// lockHeads reads, and on PostgreSQL locks in one order, the head of every workspace that the batch writes to. The lock is the sequencer.
func (r *run) lockHeads() error {
	var names []any
	which, everywhere := ``, false
	for _, e := range r.batch {
		if e.plain {
			continue
		}
		everywhere = everywhere || e.draft.Everywhere
		for _, ws := range append([]id.Workspace{e.draft.Workspace}, e.draft.Also...) {
			if !slices.Contains(names, any(ws.String())) {
				names = append(names, ws.String())
			}
		}
	}
	if len(names) == 0 {
		return nil
	}
	if everywhere {
		names = nil
	} else {
		which = ` AND workspace IN (` + placeholders(len(names)) + `)`
	}
	for look := range looks { // a shard that was closed while we waited for its lock is missing at first: the next one is there when we look again
		n, err := r.readHeads(which, names)
		if err != nil {
			return err
		}
		if everywhere && look > 0 && n == 0 || !everywhere && len(r.heads) == len(names) {
			break
		}
	}
	for _, h := range r.heads {
		if err := r.readAltered(h); err != nil {
			return err
		}
	}
	return nil
}

// readHeads locks the open heads of some workspaces, or of all, and returns how many of them were not known to the run.
func (r *run) readHeads(which string, names []any) (n int, err error) {
	rows, err := r.tx.Rows(`SELECT log, workspace, kid, base, size, listed, frontier, checkpoint FROM log WHERE closed = 0`+which+` ORDER BY log`+r.tx.ForUpdate(), names...)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	var found []scanned
	for rows.Next() {
		var s scanned
		if err := rows.Scan(&s.log, &s.ws, &s.kid, &s.base, &s.size, &s.listed, &s.stored, &s.checkpoint); err != nil {
			return 0, err
		}
		found = append(found, s)
	}
	if err := rows.Err(); err != nil {
		return 0, err
	}
	rows.Close() // before the next statement on the same connection
	for _, s := range found {
		if r.heads[s.ws] != nil {
			continue
		}
		if err := r.take(s); err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

// scanned is a row of the table.
type scanned struct {
	head
	ws     id.Workspace
	kid    id.Key
	size   int64
	stored []byte
}

// take holds a head to what is known of it.
func (r *run) take(s scanned) (err error) {
	h := s.head
	if h.frontier, err = evidence.ParseFrontier(s.size, s.stored); err != nil {
		return fmt.Errorf("%w: %w", errForked, err)
	}
	known := r.log.known(h.log)
	if known == nil || known.checkpoint != h.checkpoint || known.frontier != h.frontier {
		if err := r.admit(&h, known, s.kid); err != nil {
			return err
		}
	} else {
		h.signer = known.signer
	}
	if known != nil {
		h.altered, h.applied, h.from = known.altered, known.applied, known.from
	} else {
		h.applied, h.from = h.base+s.size, h.base+s.size
	}
	r.heads[s.ws] = &h
	return nil
}

func (l *Log) known(log string) *head {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.heads[log]
}

// admit checks a head that another process, or an earlier life of this one, wrote: our signature, the frontier's root, and no step back.
func (r *run) admit(h, known *head, kid id.Key) error {
	key, err := r.log.cfg.Ring.Find(r.tx.ctx, kid)
	if err != nil {
		return err
	}
	if h.signer, err = evidence.NewLogSigner(key.Purpose, key.Signer()); err != nil {
		return err
	}
	c, err := evidence.OpenCheckpoint([]byte(h.checkpoint), h.signer.LogKey)
	if err != nil {
		return fmt.Errorf("%w: %w", errForked, err)
	}
	if c.Size != h.frontier.Size() || c.Root != h.frontier.Root() {
		return fmt.Errorf("%w: the checkpoint is of %d entries, the frontier of %d, or their roots differ", errForked, c.Size, h.frontier.Size())
	}
	if known != nil && (h.frontier.Size() < known.frontier.Size() || h.frontier.Size() == known.frontier.Size() && h.frontier != known.frontier) {
		return fmt.Errorf("%w: it had %d entries, now %d", errForked, known.frontier.Size(), h.frontier.Size())
	}
	return nil
}

// readAltered applies the altering events that other processes appended since the last batch.
func (r *run) readAltered(h *head) error {
	end := h.base + h.frontier.Size()
	if h.applied >= end {
		return nil
	}
	rows, err := r.tx.Rows(`SELECT seq, body FROM event WHERE log = $1 AND seq >= $2 AND alters = 1 ORDER BY seq`, h.log, h.applied-h.base)
	if err != nil {
		return err
	}
	defer rows.Close()
	h.altered = slices.Clone(h.altered)
	for rows.Next() {
		var seq int64
		var body []byte
		if err := rows.Scan(&seq, &body); err != nil {
			return err
		}
		e, err := evidence.ParseEvent(body)
		if err != nil {
			return fmt.Errorf("entry %d of %s: %w", seq, h.log, err)
		}
		h.alter(h.base+seq, e.Touches())
	}
	h.applied = end
	return rows.Err()
}

// alter remembers an altering event, bounded: what is forgotten makes older snapshots stale.
func (h *head) alter(rev int64, touches []string) {
	if len(touches) == 0 {
		return
	}
	h.altered = append(h.altered, altered{rev, touches})
	if over := len(h.altered) - ringLength; over > 0 {
		h.from = h.altered[over-1].rev + 1
		h.altered = slices.Clone(h.altered[over:])
	}
}

// ended reports whether something that d rests on ended after d's snapshot: no permit follows the end of what it rests on.
func (h *head) ended(d evidence.Draft) bool {
	if len(d.Depends) == 0 || d.Why == nil || d.Why.AsOf == 0 {
		return false
	}
	if d.Why.AsOf < h.from {
		return true
	}
	for _, a := range slices.Backward(h.altered) {
		if a.rev < d.Why.AsOf {
			return false
		}
		for _, t := range a.touches {
			if slices.Contains(d.Depends, t) {
				return true
			}
		}
	}
	return false
}

// places are the heads that a draft's event goes to, its own workspace's first.
func (r *run) places(d evidence.Draft) ([]*head, error) {
	places := make([]*head, 0, 1+len(d.Also))
	for _, ws := range append([]id.Workspace{d.Workspace}, d.Also...) {
		h := r.heads[ws]
		if h == nil {
			return nil, unknownWorkspace(ws)
		}
		if !slices.Contains(places, h) {
			places = append(places, h)
		}
	}
	if d.Everywhere {
		for _, ws := range slices.SortedFunc(maps.Keys(r.heads), func(a, b id.Workspace) int { return strings.Compare(a.String(), b.String()) }) {
			if h := r.heads[ws]; !slices.Contains(places, h) {
				places = append(places, h)
			}
		}
	}
	return places, nil
}

func placeholders(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "$%d", i+1)
	}
	return b.String()
}
