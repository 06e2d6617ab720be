package audit_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db/dbtest"
)

// two are the processes that share a database, started at once: two on PostgreSQL, the one that there can be on SQLite.
func two(t *testing.T, dsn string) (a, b rig) {
	t.Helper()
	if strings.HasPrefix(dsn, "sqlite:") {
		a = open(t, dsn)
		return a, a
	}
	var nodes [2]rig
	var errs [2]error
	var wg sync.WaitGroup
	for i := range nodes {
		wg.Go(func() { nodes[i].Log, nodes[i].reader, nodes[i].writer, errs[i] = openLog(t.Context(), dsn) })
	}
	wg.Wait()
	for i := range nodes {
		if errs[i] != nil {
			t.Fatal(errs[i])
		}
		t.Cleanup(func() { nodes[i].Close(); nodes[i].writer.Close() })
	}
	return nodes[0], nodes[1]
}

// spread runs f n times at once, in turn on either log.
func spread(n int, a, b rig, f func(i int, l rig)) {
	var wg sync.WaitGroup
	for i := range n {
		l := a
		if i%2 == 1 {
			l = b
		}
		wg.Go(func() { f(i, l) })
	}
	wg.Wait()
}

func TestTwoFirstStartsOpenEachLogOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		a, b := two(t, dsn)
		for ws, want := range map[id.Workspace]int{id.Server: 2, id.Default: 1} {
			found, err := a.Search(t.Context(), ws, audit.Filter{Kind: evidence.LogOpened})
			if err != nil || len(found) != want {
				t.Errorf("%s was opened by %d events, want %d; %v", ws, len(found), want, err)
			}
		}
		checkLog(t, b, id.Server)
		checkLog(t, a, id.Default)
	})
}

// TestTwoProcessesSpendOnce: of 64 callers on two nodes exactly one uses a nonce and exactly ten a counter of ten, and the history is one line
// without gaps in which nobody's place is given twice.
func TestTwoProcessesSpendOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		a, b := two(t, dsn)
		if _, err := a.Record(t.Context(), draft(evidence.DecisionMade, "counter"), func(tx *audit.Tx) error {
			_, err := tx.Exec(`INSERT INTO live_bundle (workspace, digest) VALUES ('counter', '0')`)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		h, err := a.Head(t.Context(), id.Default)
		if err != nil {
			t.Fatal(err)
		}
		errGone := errors.New("used up")
		var used, accepted, reads, failed atomic.Int64
		var mu sync.Mutex
		var revs []int64
		spread(3*64, a, b, func(i int, l rig) {
			nonce := []evidence.Nonce{{Kind: "dpop", Key: "k", ID: id.Sum([]byte{byte(i % 3)}), Expires: time.Now().Add(time.Minute)}}
			switch i % 3 {
			case 0: // a counter
				_, err := l.Record(context.Background(), draft(evidence.DecisionMade, "use"), func(tx *audit.Tx) error {
					n, err := tx.Exec(`UPDATE live_bundle SET digest = CAST(CAST(digest AS BIGINT) + 1 AS TEXT) WHERE workspace = 'counter' AND CAST(digest AS BIGINT) < 10`)
					if err == nil && n == 0 {
						err = errGone
					}
					return err
				})
				if err == nil {
					used.Add(1)
				} else if !errors.Is(err, errGone) {
					failed.Add(1)
					t.Error(err)
				}
			case 1: // a nonce with an event
				d := draft(evidence.DecisionMade, "nonce")
				d.Once = nonce
				got, err := l.Record(context.Background(), d, nil)
				if err != nil {
					failed.Add(1)
					t.Error(err)
					return
				}
				if got.Outcome == evidence.OK {
					accepted.Add(1)
				}
				mu.Lock()
				revs = append(revs, got.Rev)
				mu.Unlock()
			default: // a nonce of a plain read
				if l.Once(context.Background(), nonce) == nil {
					reads.Add(1)
				}
			}
		})
		if used.Load() != 10 || accepted.Load() != 1 || reads.Load() != 1 {
			t.Errorf("a counter of ten was used %d times, a nonce accepted %d times, a read's nonce %d times", used.Load(), accepted.Load(), reads.Load())
		}
		slices.Sort(revs)
		if len(slices.Compact(revs)) != 64 {
			t.Error("two events were given one place")
		}
		if after := checkLog(t, b, id.Default); after.Size != h.Size+10+64 {
			t.Errorf("%d entries, then %d", h.Size, after.Size)
		}
	})
}

// TestNoPermitFollowsAnEndOnAnotherNode: what one node ended, the other one permits nothing on, though it read its state before.
func TestNoPermitFollowsAnEndOnAnotherNode(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		a, b := two(t, dsn)
		for i := range 20 {
			dlg := id.New[id.Delegation](start)
			asOf, err := b.Rev(t.Context(), id.Default)
			if err != nil {
				t.Fatal(err)
			}
			if i%2 == 0 { // b has seen the log up to here; otherwise it has not
				if _, err := b.Record(t.Context(), draft(evidence.DecisionMade, "x"), nil); err != nil {
					t.Fatal(err)
				}
			}
			end := draft(evidence.DelegationRevoked, dlg.String())
			end.What = &evidence.What{Delegation: dlg}
			if _, err := a.Record(t.Context(), end, nil); err != nil {
				t.Fatal(err)
			}
			d := draft(evidence.ToolStarted, "x")
			d.Depends, d.Why = []string{dlg.String()}, &evidence.Why{AsOf: asOf}
			if _, err := b.Record(t.Context(), d, nil); !errors.Is(err, audit.ErrStale) {
				t.Fatalf("round %d: a permit follows the end of what it rests on: %v", i, err)
			}
		}
	})
}

// TestTwoProcessesSealUnderOneKey: both make the key of a subject that had none, and either opens what the other sealed.
func TestTwoProcessesSealUnderOneKey(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		a, b := two(t, dsn)
		spread(64, a, b, func(i int, l rig) {
			d := draft(evidence.DecisionMade, "x")
			d.Details = []evidence.Detail{{Field: "args", Subject: fmt.Sprintf("agt_%d", i/8), Disclosure: fmt.Appendf(nil, "value %d", i)}}
			got, err := l.Record(context.Background(), d, nil)
			if err != nil {
				t.Error(err)
				return
			}
			for _, reader := range []rig{a, b} {
				e, err := reader.Event(context.Background(), id.Default, got.ID)
				if err != nil {
					t.Error(err)
					return
				}
				if v, err := reader.Detail(context.Background(), e, "args"); err != nil || string(v) != fmt.Sprintf("value %d", i) {
					t.Errorf("%q, %v", v, err)
				}
			}
		})
		checkLog(t, a, id.Default)
	})
}
