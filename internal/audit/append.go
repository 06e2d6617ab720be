package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/db"
)

// spendNonces inserts every single-use value of the batch with as few statements as may be; what is not returned had been seen.
func (r *run) spendNonces() error {
	r.fresh = map[nonce]int{}
	var rows [][]any
	for i, e := range r.batch {
		for _, n := range e.draft.Once {
			name := nameOf(n)
			if _, again := r.fresh[name]; !again {
				r.fresh[name] = i // the first of a batch; confirmed below
				rows = append(rows, []any{name[:], n.Expires.UnixMicro()})
			}
		}
	}
	if len(rows) == 0 {
		return nil
	}
	r.spent += len(rows)
	slices.SortFunc(rows, func(a, b []any) int { return bytes.Compare(a[0].([]byte), b[0].([]byte)) }) // neighbours together, and nodes in one order
	inserted := make(map[nonce]bool, len(rows))
	err := r.insert(`INSERT INTO seen (id, expires_at) VALUES `, ` ON CONFLICT DO NOTHING RETURNING id`, rows, func(scan func(...any) error) error {
		var name sql.RawBytes
		if err := scan(&name); err != nil {
			return err
		}
		inserted[nonce(name)] = true
		return nil
	})
	for n := range r.fresh {
		if !inserted[n] {
			r.fresh[n] = -1
		}
	}
	if err != nil {
		return err
	}
	return r.readForgotten(rows)
}

// nonce is what a single-use value is known by: half a SHA-256 of its kind, key and identifier, without its end, which who made it chose. Before it stands a
// little of its key's, so that those that one request spends lie together.
type nonce [20]byte

func nameOf(n evidence.Nonce) (name nonce) {
	key := sha256.Sum256([]byte(n.Key))
	digest := n.ID.Bytes() // of a fixed length, and then one of a few kinds: what others choose comes last
	whole := sha256.Sum256(append(append(append(digest[:], n.Kind...), 0), n.Key...))
	copy(name[:4], key[:])
	copy(name[4:], whole[:])
	return name
}

// readForgotten reads what was forgotten among the ends of the values in rows. It comes after their insert, which waits for whoever forgets one of them
// just now.
func (r *run) readForgotten(rows [][]any) error {
	first, last := int64(math.MaxInt64), int64(math.MinInt64)
	for _, row := range rows {
		end := row[1].(int64)
		first, last = min(first, end), max(last, end)
	}
	found, err := r.tx.Rows(`SELECT from_at, to_at FROM forgotten WHERE from_at <= $1 AND to_at >= $2`, last, first)
	if err != nil {
		return err
	}
	defer found.Close()
	r.forgotten = nil
	for found.Next() {
		var span [2]int64
		if err := found.Scan(&span[0], &span[1]); err != nil {
			return err
		}
		r.forgotten = append(r.forgotten, span)
	}
	return found.Err()
}

// tooLate refuses single-use values that end while others did that were forgotten: they may have been used, and nobody knows any more. The clock stood later
// then than it does now. Code: clock_moved.
func (r *run) tooLate(once []evidence.Nonce) error {
	for _, n := range once {
		end := n.Expires.UnixMicro()
		for _, span := range r.forgotten {
			if end < span[0] || end > span[1] {
				continue
			}
			at := time.UnixMicro(span[1]).UTC().Format(time.RFC3339)
			return fault.New(fault.Unavailable, "clock_moved", "the server's clock was set back: what was used at this time was forgotten already, so that no proof of it can be known to be new").
				Try("check the server's clock; proofs that end after %s are accepted", at)
		}
	}
	return nil
}

const (
	forgetEvery = time.Second
	forgetAfter = 10 * time.Minute // past its end: other nodes' clocks may be behind
	forgetLook  = 4096             // at a time, and two more for each that was spent since: so the sweep keeps up with any rate
	forgetSpan  = time.Hour        // of ends at a time
)

// forget deletes nonces that would be refused as old anyway. It sweeps the table from one end to the other, a stretch at a time, and begins again: that needs
// no index by end, and what it deletes lies together. What ended is written down in the same transaction: after a clock that jumps ahead, forgets and jumps
// back, no proof is taken twice.
func (r *run) forget() error {
	if r.forgot = r.log.forgot; r.now.Sub(r.forgot.at).Abs() < forgetEvery {
		r.forgot.spent += r.spent
		return nil
	}
	from := r.forgot.upTo
	var to []byte
	err := r.tx.Row(`SELECT id FROM seen WHERE id >= $1 ORDER BY id LIMIT 1 OFFSET $2`, from, forgetLook+2*(r.forgot.spent+r.spent)).Scan(&to)
	if noRow(err) { // the rest of the table, and then from its start again
		to, err = bytes.Repeat([]byte{0xff}, len(nonce{})+1), nil
		r.forgot = forgot{at: r.now, upTo: []byte{}}
	} else {
		r.forgot = forgot{at: r.now, upTo: to}
	}
	if err != nil {
		return err
	}
	steady := r.log.opened.Add(r.now.Sub(r.log.opened)) // by the monotonic clock: a wall clock that was set ahead forgets nothing early
	first, last, err := r.oldEnds(from, to, min(steady.UnixMicro(), r.now.UnixMicro())-forgetAfter.Microseconds())
	if err != nil || first > last {
		return err
	}
	if err := r.note(first, last); err != nil {
		return err
	}
	_, err = r.tx.Exec(`DELETE FROM seen WHERE id >= $1 AND id < $2 AND expires_at >= $3 AND expires_at <= $4`, from, to, first, last)
	return err
}

// forgot is how far the sweep is: when it last went on, where it does next, and how many were spent in between.
type forgot struct {
	at    time.Time
	upTo  []byte
	spent int
}

// oldEnds are the first and the last end, in µs and before a moment, of the nonces of a stretch, no further apart than forgetSpan: what lies between them is
// refused from then on, and is not to reach over the time over which a clock jumped. first > last: there are none.
func (r *run) oldEnds(from, to []byte, before int64) (first, last int64, err error) {
	rows, err := r.tx.Rows(`SELECT expires_at FROM seen WHERE id >= $1 AND id < $2 AND expires_at < $3`, from, to, before)
	if err != nil {
		return 0, 0, err
	}
	defer rows.Close()
	var ends []int64
	for rows.Next() {
		var end int64
		if err := rows.Scan(&end); err != nil {
			return 0, 0, err
		}
		ends = append(ends, end)
	}
	if len(ends) == 0 {
		return 0, -1, rows.Err()
	}
	first, last = slices.Min(ends), 0
	for _, end := range ends {
		if end-first <= forgetSpan.Microseconds() {
			last = max(last, end)
		}
	}
	return first, last, rows.Err()
}

// note writes down what is forgotten: as the end of the span before, where it goes on from that, or as a span of its own, so that the time over which a clock
// jumped stays free.
func (r *run) note(from, to int64) error {
	n, err := r.tx.Exec(`UPDATE forgotten SET to_at = CASE WHEN to_at > $1 THEN to_at ELSE $1 END
		WHERE from_at = (SELECT MAX(from_at) FROM forgotten WHERE from_at <= $2) AND to_at >= $3`, to, from, from-forgetSpan.Microseconds())
	if err != nil || n > 0 {
		return err
	}
	_, err = r.tx.Exec(`INSERT INTO forgotten (from_at, to_at) VALUES ($1, $2)
		ON CONFLICT (from_at) DO UPDATE SET to_at = CASE WHEN forgotten.to_at > excluded.to_at THEN forgotten.to_at ELSE excluded.to_at END`, from, to)
	return err
}

// replayed gives the kind of the first nonce of entry i that was seen before, in the database or earlier in the batch; "" where none was.
func (r *run) replayed(i int, once []evidence.Nonce) string {
	for _, n := range once {
		if r.fresh[nameOf(n)] != i {
			return n.Kind
		}
	}
	return ""
}

// giveBack undoes the spending of entry i's nonces: its change failed, so the proof was not used.
func (r *run) giveBack(i int, e *entry) error {
	for _, n := range e.draft.Once {
		if r.fresh[nameOf(n)] != i {
			continue
		}
		name := nameOf(n)
		if _, err := r.tx.Exec(`DELETE FROM seen WHERE id = $1`, name[:]); err != nil {
			return err
		}
	}
	return nil
}

// append gives the event its place in each log: from here on its bytes are fixed. Other logs than its own workspace's hold Elsewhere of it.
func (r *run) append(places []*head, d *evidence.Draft) error {
	drafts, bodies := make([]evidence.Draft, len(places)), make([][]byte, len(places))
	for i, h := range places {
		drafts[i] = *d
		if i > 0 {
			drafts[i].Event, drafts[i].Details, drafts[i].Task, drafts[i].Agent = d.Event.Elsewhere(), evidence.ElsewhereDetails(d.Details), "", id.Agent{}
		}
		drafts[i].Rev = h.base + h.frontier.Size()
		var err error
		if bodies[i], err = drafts[i].Event.Bytes(); err != nil {
			return err
		}
	}
	for i, h := range places {
		d, seq := drafts[i], h.frontier.Size()
		for _, x := range d.Details {
			sealed, err := r.sealDetail(h.log, seq, x)
			if err != nil {
				return err
			}
			r.details = append(r.details, []any{h.log, seq, x.Field, x.Subject, sealed})
		}
		leaf := tlog.RecordHash(bodies[i])
		h.frontier.Append(leaf)
		if r.leaves == nil {
			r.leaves = map[string][]tlog.Hash{}
		}
		r.leaves[h.log] = append(r.leaves[h.log], leaf)
		touches := d.Touches()
		r.events = append(r.events, []any{
			h.log, seq, d.ID, d.At, string(d.Kind), string(d.Outcome), d.Agent, d.Person, column(d.Target), column(d.Task), d.Thread,
			boolInt(len(touches) > 0), leaf[:], bodies[i],
		})
		h.alter(d.Rev, touches)
		r.altered = r.altered || len(touches) > 0
		h.applied = d.Rev + 1
	}
	d.Rev = drafts[0].Rev
	for _, c := range d.Content {
		r.contents = append(r.contents, []any{c.Digest, r.now.UnixMicro(), c.Body})
	}
	r.ids = append(r.ids, d.ID)
	return nil
}

// write stores what the batch appended and the new, signed heads.
func (r *run) write() error {
	if err := r.insert(`INSERT INTO event (log, seq, id, at, kind, outcome, agent, person, target, task, thread, alters, leaf, body) VALUES `, ``, r.events, nil); err != nil {
		return err
	}
	if err := r.insert(`INSERT INTO detail (log, seq, field, subject, sealed) VALUES `, ``, r.details, nil); err != nil {
		return err
	}
	if err := r.insert(`INSERT INTO content (digest, used_at, body) VALUES `, ` ON CONFLICT DO NOTHING`, r.contents, nil); err != nil {
		return err
	}
	for _, h := range r.all() {
		added := r.leaves[h.log]
		if len(added) == 0 {
			continue
		}
		if err := r.fillTiles(h, added); err != nil {
			return err
		}
		if err := r.list(h); err != nil {
			return err
		}
		checkpoint, err := evidence.SignCheckpoint(h.frontier.Size(), h.frontier.Root(), h.signer)
		if err != nil {
			return err
		}
		h.checkpoint = string(checkpoint)
		n, err := r.tx.Exec(`UPDATE log SET size = $2, frontier = $3, checkpoint = $4, listed = $6 WHERE log = $1 AND size = $5`,
			h.log, h.frontier.Size(), h.frontier.Bytes(), h.checkpoint, h.frontier.Size()-int64(len(added)), h.listed)
		if err != nil {
			return err
		}
		if n != 1 {
			return fmt.Errorf("%w: its row moved under its lock", errForked)
		}
	}
	return nil
}

// insert writes rows with statements of 64, 8 and 1 rows, so that few texts are prepared. got, when given, sees each returned row.
func (r *run) insert(head, tail string, rows [][]any, got func(scan func(...any) error) error) error {
	for len(rows) > 0 {
		n := 1
		if len(rows) >= 64 {
			n = 64
		} else if len(rows) >= 8 {
			n = 8
		}
		query := r.log.rowsText(head, tail, len(rows[0]), n)
		args := make([]any, 0, n*len(rows[0]))
		for _, row := range rows[:n] {
			args = append(args, row...)
		}
		rows = rows[n:]
		if got == nil {
			if _, err := r.tx.Exec(query, args...); err != nil {
				return err
			}
			continue
		}
		if err := r.collect(query, args, got); err != nil {
			return err
		}
	}
	return nil
}

// rowsText is the text that inserts n rows of so many columns; it is put together once. The loop alone asks.
func (l *Log) rowsText(head, tail string, columns, n int) string {
	name := head + strconv.Itoa(n)
	if text, ok := l.texts[name]; ok {
		return text
	}
	var text strings.Builder
	text.WriteString(head)
	for i := range n * columns {
		switch {
		case i == 0:
			text.WriteString("($")
		case i%columns == 0:
			text.WriteString("), ($")
		default:
			text.WriteString(", $")
		}
		text.WriteString(strconv.Itoa(i + 1))
	}
	text.WriteString(")" + tail)
	l.texts[name] = text.String()
	return l.texts[name]
}

func (r *run) collect(query string, args []any, got func(scan func(...any) error) error) error {
	rows, err := r.tx.Rows(query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := got(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// resolve finds out what became of a commit whose answer was lost. The heads are locked first: the lock is granted once the old transaction
// has ended, so looking cannot come too early.
func (r *run) resolve(cause error) error {
	if len(r.ids) == 0 {
		return fmt.Errorf("nothing to look for: %w", cause)
	}
	var err error
	for range 20 { // the lock waits 2 s at most each time
		var found int
		if found, err = r.look(); err == nil {
			switch found {
			case 0:
				return &undone{cause}
			case len(r.ids):
				return nil
			}
			return fmt.Errorf("%w: %d of %d events of one commit are stored", errForked, found, len(r.ids))
		}
		if c := db.CauseOf(err); c != db.Gone && c != db.Busy {
			break
		}
		time.Sleep(250 * time.Millisecond)
	}
	return fmt.Errorf("%w: and it could not be found out: %w", errForked, errors.Join(cause, err))
}

// undone is a lost commit that turned out not to have happened: the batch may run again.
type undone struct{ error }

func (u *undone) Unwrap() error { return u.error }

func (r *run) look() (found int, err error) {
	ctx, cancel := context.WithTimeout(r.ctx, silence)
	defer cancel()
	tx, err := r.log.cfg.Writer.Begin(ctx)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	for _, h := range r.all() {
		var size int64
		err := tx.QueryRowContext(ctx, `SELECT size FROM log WHERE log = $1`+r.tx.ForUpdate(), h.log).Scan(&size)
		if err != nil && !noRow(err) { // a shard that the lost commit opened is not there
			return 0, err
		}
	}
	for _, e := range r.ids {
		var n int
		if err := tx.QueryRowContext(ctx, `SELECT COUNT(DISTINCT id) FROM event WHERE id = $1`, e).Scan(&n); err != nil {
			return 0, err
		}
		found += n
	}
	return found, nil
}

// sealDetail encrypts a value under its subject's key, bound to its place.
func (r *run) sealDetail(log string, seq int64, d evidence.Detail) ([]byte, error) {
	k, err := r.subjectKey(d.Subject)
	if err != nil {
		return nil, err
	}
	return k.Seal(d.Disclosure, detailPlace(log, seq, d.Field)), nil
}

func detailPlace(log string, seq int64, field string) string {
	return fmt.Sprintf("detail/%s/%d/%s", log, seq, field)
}

// maxColumn bounds text that is indexed: PostgreSQL's index entries hold 2,704 bytes.
const maxColumn = 1 << 10

// column is a text to search by as both engines store and index it: UTF-8 without U+0000, cut to maxColumn. A refusal names what was asked for,
// whatever that was; the event's own bytes have all of it.
func column(s string) any {
	if s == "" {
		return nil
	}
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", "\ufffd"), "\ufffd")
	if len(s) > maxColumn {
		s = strings.ToValidUTF8(s[:maxColumn], "")
	}
	return s
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
