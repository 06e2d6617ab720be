package audit_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/audit/audittest"
	"github.com/attorn/attorn/internal/db"
	"github.com/attorn/attorn/internal/db/dbtest"
)

var start = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

type rig struct {
	*audit.Log
	reader *db.Reader
	writer *db.Writer
}

func open(t testing.TB, dsn string) rig {
	t.Helper()
	r := audittest.Open(t, dsn, start)
	return rig{r.Log, r.Reader, r.Writer}
}

func draft(kind evidence.Kind, target string) evidence.Draft {
	d := evidence.Draft{Workspace: id.Default, Target: target}
	d.Kind, d.Outcome, d.Who.Sub, d.Where.Face = kind, evidence.OK, evidence.ServerSub, "test"
	return d
}

// checkLog is property A of evidence.md §12: every place filled once, leaf = hash(body), root = checkpoint.
func checkLog(t testing.TB, l rig, ws id.Workspace) audit.Head {
	t.Helper()
	h, err := l.Head(t.Context(), ws)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := l.reader.Rows(t.Context(), `SELECT seq, leaf, body FROM event WHERE log = $1 ORDER BY seq`, h.Log)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var f evidence.Frontier
	for rows.Next() {
		var seq int64
		var leaf, body []byte
		if err := rows.Scan(&seq, &leaf, &body); err != nil {
			t.Fatal(err)
		}
		e, err := evidence.ParseEvent(body)
		if err != nil {
			t.Fatal(err)
		}
		if seq != f.Size() || tlog.RecordHash(body) != tlog.Hash(leaf) || e.Rev != h.Shard.Base+seq {
			t.Fatalf("entry %d stands at place %d with rev %d", seq, f.Size(), e.Rev)
		}
		f.Append(tlog.Hash(leaf))
	}
	key, _ := evidence.ParseVKey(h.Shard.VKey)
	c, err := evidence.OpenCheckpoint([]byte(h.Shard.Checkpoint), key)
	if err != nil || c.Size != f.Size() || c.Root != f.Root() {
		t.Fatalf("checkpoint of %d entries, stored %d; roots equal: %v; %v", c.Size, f.Size(), c.Root == f.Root(), err)
	}
	return h
}

func TestFirstEntryOpensTheLog(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		l := open(t, dsn)
		for _, ws := range []id.Workspace{id.Server, id.Default} {
			h := checkLog(t, l, ws)
			e, err := l.First(t.Context(), ws, evidence.LogOpened, h.Shard.Origin)
			if err != nil || e.Seq != 0 || e.What.Log.VKey != h.Shard.VKey {
				t.Errorf("%s: %+v, %v", ws, e, err)
			}
		}
		h, _ := l.Head(t.Context(), id.Default)
		if _, err := l.First(t.Context(), id.Server, evidence.LogOpened, h.Shard.Origin); err != nil {
			t.Errorf("the server's log does not name the default workspace's: %v", err)
		}
	})
}

func TestRecordKeepsChangeEventAndNonceTogether(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		l := open(t, dsn)
		insert := func(key string) func(*audit.Tx) error {
			return func(tx *audit.Tx) error {
				_, err := tx.Exec(`INSERT INTO live_bundle (workspace, digest) VALUES ($1, $2)`, key, "x")
				return err
			}
		}
		stored := func(key string) (n int) {
			l.reader.Row(t.Context(), `SELECT COUNT(*) FROM live_bundle WHERE workspace = $1`, key).Scan(&n)
			return n
		}
		size := func() int64 { h, _ := l.Head(t.Context(), id.Default); return h.Size }
		nonce := evidence.Nonce{Kind: "dpop", Key: "k", ID: id.Sum([]byte("1")), Expires: start.Add(time.Minute)}
		before := size()

		boom := errors.New("boom")
		d := draft(evidence.BindingAdded, "a")
		d.Once = []evidence.Nonce{nonce}
		if _, err := l.Record(t.Context(), d, func(tx *audit.Tx) error { insert("a")(tx); return boom }); !errors.Is(err, boom) {
			t.Fatalf("the change's error comes back as %v", err)
		}
		if _, err := l.Record(t.Context(), d, func(*audit.Tx) error { panic("oops") }); err == nil {
			t.Fatal("a panic passed")
		}
		if stored("a") != 0 || size() != before {
			t.Fatal("a failed change left something behind")
		}

		got, err := l.Record(t.Context(), d, insert("a")) // the nonce was given back
		if err != nil || got.Outcome != evidence.OK || stored("a") != 1 || size() != before+1 {
			t.Fatalf("%+v, %v", got, err)
		}
		got, err = l.Record(t.Context(), d, insert("b"))
		if err != nil || got.Outcome != evidence.Deny || got.Code != "replayed" || stored("b") != 0 || size() != before+2 {
			t.Fatalf("a replay: %+v, %v; stored %d", got, err, stored("b"))
		}
		if err := l.Once(t.Context(), []evidence.Nonce{nonce}); fault.Code(err) != "replayed" {
			t.Fatalf("a replay for a read: %v", err)
		}

		d.Once = nil
		got, err = l.Record(t.Context(), d, func(tx *audit.Tx) error { tx.Refuse("spent", "gone"); return insert("c")(tx) })
		if err != nil || got.Outcome != evidence.Deny || got.Code != "spent" || stored("c") != 1 {
			t.Fatalf("a refusal keeps its writes: %+v, %v", got, err)
		}
		e, err := l.Event(t.Context(), id.Default, got.ID)
		if err != nil || e.Outcome != evidence.Deny || e.Why.Code != "spent" {
			t.Fatalf("%+v, %v", e, err)
		}
		checkLog(t, l, id.Default)
	})
}

func TestOneBadDraftDoesNotHarmItsBatch(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		l := open(t, dsn)
		var wg sync.WaitGroup
		var ok, bad atomic.Int64
		for i := range 300 {
			wg.Go(func() {
				_, err := l.Record(context.Background(), draft(evidence.BindingAdded, fmt.Sprint(i)), func(tx *audit.Tx) error {
					if _, err := tx.Exec(`INSERT INTO policy_file (digest, body) VALUES ($1, $2)`, fmt.Sprint(i%200), "x"); err != nil {
						return err
					}
					return nil
				})
				if err == nil {
					ok.Add(1)
				} else if db.CauseOf(err) == db.Constraint {
					bad.Add(1)
				} else {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if ok.Load() != 200 || bad.Load() != 100 {
			t.Errorf("%d kept, %d refused", ok.Load(), bad.Load())
		}
		checkLog(t, l, id.Default)
	})
}

func TestNonceIsAcceptedOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		l := open(t, dsn)
		for round := range 5 {
			var wg sync.WaitGroup
			var ok atomic.Int64
			for range 64 {
				wg.Go(func() {
					d := draft(evidence.DecisionMade, "x")
					d.Once = []evidence.Nonce{{Kind: "dpop", Key: "k", ID: id.Sum([]byte{byte(round)}), Expires: start.Add(time.Minute)}}
					if got, err := l.Record(context.Background(), d, nil); err != nil {
						t.Error(err)
					} else if got.Outcome == evidence.OK {
						ok.Add(1)
					}
				})
			}
			wg.Wait()
			if ok.Load() != 1 {
				t.Errorf("accepted %d times", ok.Load())
			}
		}
	})
}

func TestNoPermitFollowsAnEnd(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		l := open(t, dsn)
		asOf, err := l.Rev(t.Context(), id.Default)
		if err != nil {
			t.Fatal(err)
		}
		dlg := id.New[id.Delegation](start)
		call := func(asOf int64) error {
			d := draft(evidence.ToolStarted, "x")
			d.Depends, d.Why = []string{dlg.String()}, &evidence.Why{AsOf: asOf}
			_, err := l.Record(t.Context(), d, nil)
			return err
		}
		if err := call(asOf); err != nil {
			t.Fatal(err)
		}
		end := draft(evidence.DelegationRevoked, dlg.String())
		end.What = &evidence.What{Delegation: dlg}
		if _, err := l.Record(t.Context(), end, nil); err != nil {
			t.Fatal(err)
		}
		if err := call(asOf); !errors.Is(err, audit.ErrStale) {
			t.Errorf("a decision from before the end was recorded after it: %v", err)
		}
		now, _ := l.Rev(t.Context(), id.Default)
		if err := call(now); err != nil {
			t.Errorf("a decision that saw the end: %v", err)
		}
	})
}

func TestDetailsAndContentComeBack(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		l := open(t, dsn)
		d := draft(evidence.DecisionMade, "x")
		d.Details = []evidence.Detail{{Field: "args", Subject: "agt_x", Disclosure: []byte("secret words")}}
		c := evidence.ContentOf([]byte("a document"))
		d.Content = []evidence.Content{c, c}
		got, err := l.Record(t.Context(), d, nil)
		if err != nil {
			t.Fatal(err)
		}
		e, err := l.Event(t.Context(), id.Default, got.ID)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := l.Detail(t.Context(), e, "args"); err != nil || string(v) != "secret words" {
			t.Errorf("%q, %v", v, err)
		}
		if v, err := l.Content(t.Context(), c.Digest); err != nil || string(v) != "a document" {
			t.Errorf("%q, %v", v, err)
		}
		var n int
		l.reader.Row(t.Context(), `SELECT COUNT(*) FROM detail WHERE sealed = $1`, []byte("secret words")).Scan(&n)
		if n != 0 {
			t.Error("a detail is stored in the clear")
		}
		if _, err := l.Event(t.Context(), id.Server, got.ID); fault.Code(err) != "not_found" {
			t.Errorf("another workspace reads the event: %v", err)
		}
	})
}

func TestProofsOfEveryEntryAcrossTiles(t *testing.T) {
	l := open(t, dbtest.SQLite(t))
	var wg sync.WaitGroup
	for i := range 700 {
		wg.Go(func() {
			if _, err := l.Record(context.Background(), draft(evidence.DecisionMade, fmt.Sprint(i)), nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	h := checkLog(t, l, id.Default)
	key, _ := evidence.ParseVKey(h.Shard.VKey)
	for _, i := range []int{0, 1, 254, 255, 256, 257, 511, 512, 699} {
		found, err := l.Search(t.Context(), id.Default, audit.Filter{Before: int64(i) + 1, Limit: 1})
		if err != nil || len(found) != 1 {
			t.Fatal(found, err)
		}
		p, err := l.Prove(t.Context(), h, found[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Check(found[0].Body, key); err != nil {
			t.Errorf("entry %d: %v", i, err)
		}
	}
}

func TestRestartContinuesTheLog(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		l := open(t, dsn)
		for range 3 {
			if _, err := l.Record(t.Context(), draft(evidence.DecisionMade, "x"), nil); err != nil {
				t.Fatal(err)
			}
		}
		before := checkLog(t, l, id.Default)
		l.Log.Close()
		l.writer.Close()
		l2 := open(t, dsn)
		if _, err := l2.Record(t.Context(), draft(evidence.DecisionMade, "y"), nil); err != nil {
			t.Fatal(err)
		}
		if h := checkLog(t, l2, id.Default); h.Size != before.Size+1 {
			t.Errorf("%d entries, then %d", before.Size, h.Size)
		}
	})
}
