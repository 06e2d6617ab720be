package audit

import (
	"context"
	"errors"
	"runtime"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
)

// ErrAgain is what a change returns when what the decision rested on is gone (an approval that another call spent): everything is undone,
// the nonces are given back, and package guard decides once more.
var ErrAgain = errors.New("decide again: what the decision rested on is gone")

// ErrStale is what Record returns when something in Draft.Depends ended after the snapshot that the decision was made on (Draft.Why.AsOf).
var ErrStale = errors.New("decide again: the decision's snapshot is older than the end of what it rests on")

type entry struct {
	draft  evidence.Draft
	change func(*Tx) error
	plain  bool  // no event: only nonces, or bookkeeping
	roll   *Roll // the log goes on in another shard: a batch of its own
	done   chan struct{}
	got    evidence.Receipt
	err    error
}

// Record makes d and change durable together, or neither; it returns after the commit.
//
// change may be nil and may run twice (see Tx). When it returns nil its writes and nonces are kept and the event is stored as drafted and
// amended, or as a denial after Tx.Refuse. When it returns an error, or panics, nothing is kept, and Record returns that error. When a nonce
// was seen before, change is skipped and the event is a denial, code "replayed". Faults: overloaded, storage_busy, storage_full,
// storage_down; all mean that nothing was changed.
func (l *Log) Record(ctx context.Context, d evidence.Draft, change func(*Tx) error) (evidence.Receipt, error) {
	return l.submit(ctx, &entry{draft: d, change: change})
}

// Once spends nonces without an event, for reads that change nothing. The fault replayed means that one had been seen.
func (l *Log) Once(ctx context.Context, nonces []evidence.Nonce) error {
	return l.note(ctx, nonces, nil)
}

// note spends nonces and keeps books, without an event.
func (l *Log) note(ctx context.Context, once []evidence.Nonce, change func(*Tx) error) error {
	got, err := l.submit(ctx, &entry{draft: evidence.Draft{Once: once}, change: change, plain: true})
	if err == nil && got.Code != "" {
		err = fault.New(fault.Unauthenticated, got.Code, "%s", got.Reason)
	}
	return err
}

// Keep makes a change without an event. It is for bookkeeping alone: what nobody decides by, and whose loss permits nothing (evidence.md §1). The
// change's Tx has no event to speak of.
func (l *Log) Keep(ctx context.Context, change func(*Tx) error) error {
	return l.note(ctx, nil, change)
}

func (l *Log) submit(ctx context.Context, e *entry) (evidence.Receipt, error) {
	e.done = make(chan struct{})
	select {
	case l.queue <- e:
	default:
		wait := time.NewTimer(queueWait)
		defer wait.Stop()
		select {
		case l.queue <- e:
		case <-wait.C:
			return evidence.Receipt{}, overloaded()
		case <-ctx.Done():
			return evidence.Receipt{}, ctx.Err()
		case <-l.ended:
			return evidence.Receipt{}, closedError()
		}
	}
	// A draft that was taken is finished, whether its caller still waits or not: so the caller waits for the truth.
	select {
	case <-e.done:
		return e.got, e.err
	case <-l.ended:
		select {
		case <-e.done:
			return e.got, e.err
		default:
			return evidence.Receipt{}, closedError()
		}
	}
}

func closedError() error {
	return fault.New(fault.Unavailable, "storage_down", "the log is closed: this process is ending").Try("try again: another process will answer")
}

// maxYields is how often a batch lets others run who may be about to add to it. Where nobody else is ready to run that takes no time.
const maxYields = 8

// loop takes what waits, commits it as one batch, and answers.
func (l *Log) loop() {
	defer close(l.ended)
	var held *entry
	for {
		first := held
		if held = nil; first == nil {
			select {
			case first = <-l.queue:
			case <-l.quit:
				select {
				case first = <-l.queue:
				default:
					return
				}
			}
		}
		batch := []*entry{first}
		bytes, yields := first.draft.Size(), 0
	fill:
		for first.roll == nil && len(batch) < batchDrafts && bytes < batchBytes {
			select {
			case e := <-l.queue:
				if e.roll != nil {
					held = e
					break fill
				}
				batch = append(batch, e)
				bytes += e.draft.Size()
			default:
				if yields == maxYields {
					break fill
				}
				yields++
				runtime.Gosched() // who is about to ask shares this commit; nobody waits for who is not
				if len(l.queue) == 0 {
					break fill
				}
			}
		}
		l.commit(batch)
		for _, e := range batch {
			close(e.done)
		}
	}
}
