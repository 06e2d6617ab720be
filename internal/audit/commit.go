package audit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/db"
)

// errSavepoints says that a change failed in a batch that ran without savepoints (they cost a third of the rate on PostgreSQL): the batch
// runs again with them, so that the failure stays the draft's own.
var errSavepoints = errors.New("run the batch again with savepoints")

// errUnknown wraps the error of a COMMIT whose outcome is not known.
var errUnknown = errors.New("the outcome of the commit is unknown")

const tries = 3

// silence is how long a connection to PostgreSQL may say nothing: its own limits (package db) are shorter, but do not reach us once it is cut off.
const silence = 10 * time.Second

// commit makes a batch durable, or gives each of its entries an error. It never returns with an entry unanswered.
func (l *Log) commit(batch []*entry) {
	ctx := context.Background() // a draft that was taken is finished, its caller's patience or not
	if l.stopped != nil {
		fail(batch, closedError())
		return
	}
	savepoints := l.engine == db.SQLite
	for try := 1; ; {
		r := &run{log: l, ctx: ctx, batch: batch, savepoints: savepoints, heads: map[id.Workspace]*head{}, now: l.now()}
		err := r.do()
		if errors.Is(err, errUnknown) {
			err = r.resolve(err)
		}
		switch {
		case err == nil:
			l.publish(r)
			return
		case errors.Is(err, errSavepoints):
			savepoints = true
			continue
		}
		switch cause := db.CauseOf(err); {
		case (cause == db.Busy || cause == db.Gone) && try < tries:
			try++
			l.cfg.Logger.Warn("the batch runs again", "cause", err.Error())
			time.Sleep(50 * time.Millisecond)
			continue
		case cause == db.Busy || cause == db.Gone:
			fail(batch, fault.Wrap(err, fault.Unavailable, "storage_busy", "the database did not take the change; nothing was changed").Try("try again in a few seconds"))
		case cause == db.Full:
			fail(batch, fault.Wrap(err, fault.Unavailable, "storage_full", "the database has no space left; nothing was changed").Try("free space on the database's volume"))
		case cause == db.Broken || errors.Is(err, errForked):
			l.stop(err)
			fail(batch, closedError())
		default:
			l.cfg.Logger.Error("a batch failed", "error", err.Error())
			fail(batch, err)
		}
		return
	}
}

// stop ends writing for good: an fsync is never retried, and a head that does not continue is never written over.
func (l *Log) stop(err error) {
	l.stopped = err
	l.cfg.Logger.Error("the log can no longer be kept", "error", err.Error())
	if l.cfg.Fatal != nil {
		l.cfg.Fatal(err)
	}
}

func fail(batch []*entry, err error) {
	for _, e := range batch {
		e.got, e.err = evidence.Receipt{}, err
	}
}

// publish makes what the run committed the loop's own knowledge, and wakes who waits.
func (l *Log) publish(r *run) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, h := range r.all() {
		l.heads[h.log] = h
	}
	maps.Copy(l.open, r.heads)
	if r.altered {
		close(l.altered)
		l.altered = make(chan struct{})
	}
	l.forgot = r.forgot
	l.subjects.keep(r.subjects)
	close(l.moved)
	l.moved = make(chan struct{})
}

// run is one try at one batch. All that it learns is in it, so that a failed try leaves nothing behind.
type run struct {
	log        *Log
	ctx        context.Context
	batch      []*entry
	savepoints bool
	now        time.Time
	tx         *Tx
	heads      map[id.Workspace]*head
	closed     []*head       // shards that this run closed
	fresh      map[nonce]int // nonces that this run inserted, and the entry they belong to
	forgotten  [][2]int64    // spans of ends, in µs, of nonces that were forgotten, as far as the batch's may be among them
	forgot     forgot
	spent      int // nonces, seen before or not
	subjects   map[string]subjectKey
	events     [][]any
	details    [][]any
	contents   [][]any
	ids        []id.Event
	altered    bool
	leaves     map[string][]tlog.Hash // by log: what this run appended
}

func (r *run) do() error {
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	var watch *time.Timer
	if r.log.engine == db.Postgres {
		watch = time.AfterFunc(silence, cancel)
		defer watch.Stop()
	}
	tx, err := r.log.cfg.Writer.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	r.tx = &Tx{ctx: ctx, tx: tx, engine: r.log.engine, now: r.now, watch: watch}
	if err := r.lockHeads(); err != nil {
		return err
	}
	if err := r.work(); err != nil {
		return err
	}
	if err := r.write(); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		if r.log.engine == db.Postgres && db.CauseOf(err) != db.Constraint && db.CauseOf(err) != db.Full {
			return fmt.Errorf("%w: %w", errUnknown, err)
		}
		return err
	}
	return nil
}

// work does what the batch is for.
func (r *run) work() error {
	if r.batch[0].roll != nil {
		return r.rollOver(r.batch[0])
	}
	if err := r.spendNonces(); err != nil {
		return err
	}
	if err := r.forget(); err != nil {
		return err
	}
	for i, e := range r.batch {
		e.got, e.err = evidence.Receipt{}, nil
		if err := r.entry(i, e); err != nil {
			return err
		}
	}
	return nil
}

// all are the heads that the run knows: the open ones, and those of shards that it closed.
func (r *run) all() []*head {
	return slices.AppendSeq(slices.Clone(r.closed), maps.Values(r.heads))
}

// entry runs one draft's change and gives its event its place.
func (r *run) entry(i int, e *entry) error {
	if err := r.tooLate(e.draft.Once); err != nil {
		e.err = err
		return r.giveBack(i, e)
	}
	if kind := r.replayed(i, e.draft.Once); kind != "" {
		e.got.Code, e.got.Reason, e.got.Seen = "replayed", "this proof was used before; each one is accepted once", kind
		if e.plain {
			return nil
		}
	} else if e.plain {
		return r.keep(i, e)
	}
	places, err := r.places(e.draft)
	if err != nil {
		e.err = err
		return r.giveBack(i, e)
	}
	h := places[0]
	if h.ended(e.draft) {
		e.err = ErrStale
		return r.giveBack(i, e)
	}
	d := e.draft // a copy: Amend and Keep must not outlive a failed try
	d.Content = append([]evidence.Content(nil), d.Content...)
	prepare(&d, r.now, r.log)
	t := *r.tx
	t.event, t.draft, t.rev = &d.Event, &d, h.base+h.frontier.Size()
	ran := e.got.Code == "" && e.change != nil
	if ran {
		if err := r.change(e.change, &t); err != nil {
			if errors.Is(err, errSavepoints) || fatal(err) {
				return err
			}
			e.err = err
			return r.giveBack(i, e)
		}
		if t.refuse != nil {
			e.got.Code, e.got.Reason = t.refuse.code, t.refuse.reason
		}
	}
	if e.got.Code != "" {
		deny(&d.Event, e.got.Code, e.got.Reason)
		if d.Refusal != "" {
			d.Kind = d.Refusal
		}
		if d.Unborn {
			nobodys(&d)
		}
	}
	err = nil
	for n := 0; n < len(t.before) && err == nil; n++ {
		prepare(&t.before[n], r.now, r.log)
		err = r.append(places[:1], &t.before[n])
	}
	if err == nil {
		err = r.append(places, &d)
	}
	if err != nil {
		if fatal(err) {
			return err
		}
		e.err = err
		if ran { // its writes are in: only a new try without it can undo them
			return r.drop(i, err)
		}
		return r.giveBack(i, e)
	}
	e.got.ID, e.got.Rev, e.got.Outcome = d.ID, d.Rev, d.Outcome
	return nil
}

// nobodys makes a refusal an act of nobody's.
func nobodys(d *evidence.Draft) {
	d.Who, d.Agent, d.Under = evidence.Who{Sub: evidence.ServerSub, Proof: d.Who.Proof}, id.Agent{}, nil
	d.Details = slices.Clone(d.Details)
	for i := range d.Details {
		d.Details[i].Subject = ""
	}
}

// keep runs an entry that has no event.
func (r *run) keep(i int, e *entry) error {
	if e.change == nil {
		return nil
	}
	t := *r.tx
	t.event, t.draft = &evidence.Event{}, &evidence.Draft{}
	err := r.change(e.change, &t)
	if err == nil || errors.Is(err, errSavepoints) || fatal(err) {
		return err
	}
	e.err = err
	return r.giveBack(i, e)
}

// drop takes an entry whose event cannot be stored out of the batch, which then runs again.
func (r *run) drop(i int, err error) error {
	r.batch[i].change = func(*Tx) error { return err }
	r.batch[i].draft.Content, r.batch[i].draft.Details = nil, nil
	return errSavepoints
}

// change runs one change so that its failure, or panic, is its own.
func (r *run) change(change func(*Tx) error, t *Tx) (err error) {
	if r.savepoints {
		if _, err := t.Exec(`SAVEPOINT d`); err != nil {
			return err
		}
	}
	err = guarded(change, t)
	switch {
	case err == nil && r.savepoints:
		_, err = t.Exec(`RELEASE SAVEPOINT d`)
	case err != nil && r.savepoints && !fatal(err):
		if _, undo := t.Exec(`ROLLBACK TO SAVEPOINT d`); undo != nil {
			return undo
		}
		if _, undo := t.Exec(`RELEASE SAVEPOINT d`); undo != nil {
			return undo
		}
	case err != nil && !fatal(err):
		return errSavepoints
	}
	return err
}

func guarded(change func(*Tx) error, t *Tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a change panicked: %v", p)
		}
	}()
	return change(t)
}

// fatal reports whether err is the whole batch's, not the draft's.
func fatal(err error) bool {
	switch db.CauseOf(err) {
	case db.Busy, db.Gone, db.Full, db.Broken:
		return true
	}
	return false
}

func deny(e *evidence.Event, code, reason string) {
	e.Outcome = evidence.Deny
	why := evidence.Why{}
	if e.Why != nil {
		why = *e.Why
	}
	why.Code, why.Reason = code, reason
	e.Why = &why
}

// prepare fills in what every event has.
func prepare(d *evidence.Draft, now time.Time, l *Log) {
	d.V, d.At = 1, now.UnixMicro()
	if d.ID.IsZero() {
		d.ID = id.New[id.Event](now)
	}
	if d.Where.Node == "" {
		d.Where.Node = l.cfg.Node
	}
	if d.Who.Sub == evidence.ServerSub && d.Cause.IsZero() && d.ID != l.start {
		d.Cause = l.start
	}
}
