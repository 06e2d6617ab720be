package audit

import (
	"context"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
)

// Decided is what an event says of the decision in it, for deciding again. Facts is nil where they are not kept any more.
type Decided struct {
	Rev   int64
	Facts []byte

	Kind    evidence.Kind    `json:"kind"`
	Outcome evidence.Outcome `json:"outcome"`
	Did     *struct {
		Action   string            `json:"action"`
		Args     *evidence.Sealed  `json:"args"`
		Pin      id.Digest         `json:"pin"`
		Resource evidence.Resource `json:"resource"`
	} `json:"did"`
	Under struct {
		Approvals []evidence.ApprovalRef `json:"approvals"`
	} `json:"under"`
	Where struct {
		IP *evidence.Sealed `json:"ip"`
	} `json:"where"`
	Why struct {
		Bundle id.Digest `json:"bundle"`
		Code   string    `json:"code"`
		Facts  id.Digest `json:"facts"`
	} `json:"why"`

	at    int64 // within the shard
	batch *DecidedBatch
}

// DecidedBatch is a stretch of one shard, read at once; what is sealed in it is read when it is first asked for.
type DecidedBatch struct {
	All []*Decided

	log      *Log
	shard    string
	from, to int64
	details  map[detailOf]sealedDetail
}

type detailOf struct {
	seq   int64
	field string
}

type sealedDetail struct {
	subject         string
	sealed, wrapped []byte
}

// decidedBatch is how many entries are read at once.
const decidedBatch = 512

// Decisions reads the decisions of a workspace's log from one revision on and before another, the oldest first, in batches. done is how many revisions are behind.
func (l *Log) Decisions(ctx context.Context, ws id.Workspace, from, before int64, each func(b *DecidedBatch, done int64) error) error {
	all, err := l.Histories(ctx, ws)
	if err != nil {
		return err
	}
	for _, h := range all[ws] {
		base := h.Shard.Base
		for at := max(from-base, 0); at < min(before-base, h.Size); at += decidedBatch {
			b := &DecidedBatch{log: l, shard: h.Log, from: at, to: min(at+decidedBatch, before-base, h.Size)}
			if err := b.read(ctx, base); err != nil {
				return err
			}
			if err := each(b, base+b.to-from); err != nil {
				return err
			}
		}
	}
	return nil
}

// read leaves out the kinds of which most of a log is, and which decide nothing.
func (b *DecidedBatch) read(ctx context.Context, base int64) error {
	rows, err := b.log.cfg.Reader.Rows(ctx, `SELECT e.seq, e.body FROM event e WHERE e.log = $1 AND e.seq >= $2 AND e.seq < $3
		AND e.kind NOT IN ('tool.finished', 'token.issued', 'delegation.lent') ORDER BY e.seq`, b.shard, b.from, b.to)
	if err != nil {
		return err
	}
	defer rows.Close()
	var body []byte
	facts := map[id.Digest][]byte{}
	for rows.Next() {
		d := &Decided{batch: b}
		if err := rows.Scan(&d.at, &body); err != nil {
			return err
		}
		if err := json.Unmarshal(body, d); err != nil { // ours, and unknown members of it are no matter here
			return fmt.Errorf("entry %d of %s: %w", d.at, b.shard, err)
		}
		if d.Rev = base + d.at; d.Did != nil && !d.Why.Facts.IsZero() {
			b.All = append(b.All, d)
			facts[d.Why.Facts] = nil
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	rows.Close() // before the next query
	if err := b.log.contents(ctx, facts); err != nil {
		return err
	}
	for _, d := range b.All {
		d.Facts = facts[d.Why.Facts]
	}
	return nil
}

// contents fills in the documents that are kept.
func (l *Log) contents(ctx context.Context, all map[id.Digest][]byte) error {
	if len(all) == 0 {
		return nil
	}
	names := make([]any, 0, len(all))
	for d := range all {
		names = append(names, d)
	}
	rows, err := l.cfg.Reader.Rows(ctx, `SELECT digest, body FROM content WHERE digest IN (`+placeholders(len(names))+`)`, names...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var d id.Digest
		var body []byte
		if err := rows.Scan(&d, &body); err != nil {
			return err
		}
		all[d] = body
	}
	return rows.Err()
}

// Open reads a value that an event seals, args or ip; false where it was erased, or never kept.
func (d *Decided) Open(ctx context.Context, sealed *evidence.Sealed, field string) ([]byte, bool, error) {
	b := d.batch
	if b.details == nil {
		if err := b.load(ctx); err != nil {
			return nil, false, err
		}
	}
	x, ok := b.details[detailOf{d.at, field}]
	if !ok {
		return nil, false, nil
	}
	key, known := b.log.subjects.get(x.subject)
	if !known {
		var err error
		if key, err = b.log.subjects.sealer.UnwrapSubjectKey(x.subject, x.wrapped); err != nil {
			return nil, false, err
		}
		b.log.subjects.keep(map[string]subjectKey{x.subject: key})
	}
	disclosure, err := key.Open(x.sealed, detailPlace(b.shard, d.at, field))
	if err != nil {
		return nil, false, err
	}
	value, err := sealed.Open(disclosure, field)
	return value, err == nil, err
}

func (b *DecidedBatch) load(ctx context.Context) error {
	b.details = map[detailOf]sealedDetail{}
	rows, err := b.log.cfg.Reader.Rows(ctx, `SELECT d.seq, d.field, d.subject, d.sealed, k.wrapped FROM detail d JOIN subject_key k ON k.subject = d.subject
		WHERE d.log = $1 AND d.seq >= $2 AND d.seq < $3 AND d.field IN ('args', 'ip')`, b.shard, b.from, b.to)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var at detailOf
		var x sealedDetail
		if err := rows.Scan(&at.seq, &at.field, &x.subject, &x.sealed, &x.wrapped); err != nil {
			return err
		}
		b.details[at] = x
	}
	return rows.Err()
}

// RevAt is the revision of a workspace's first event at or after t; that of its next one, where all were before.
func (l *Log) RevAt(ctx context.Context, ws id.Workspace, t time.Time) (int64, error) {
	all, err := l.Histories(ctx, ws)
	if err != nil {
		return 0, err
	}
	at := all[ws].Newest().Rev()
	for i := len(all[ws]) - 1; i >= 0; i-- {
		h := all[ws][i]
		low, high := int64(0), h.Size // the log's clock does not go back, or hardly
		for low < high {
			middle := low + (high-low)/2
			var when int64
			if err := l.cfg.Reader.Row(ctx, `SELECT at FROM event WHERE log = $1 AND seq = $2`, h.Log, middle).Scan(&when); err != nil {
				return 0, err
			}
			if when < t.UnixMicro() {
				low = middle + 1
			} else {
				high = middle
			}
		}
		at = h.Shard.Base + low
		if low > 0 {
			break
		}
	}
	return at, nil
}
