package audit_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db/dbtest"
)

// TestTextThatAnEngineRefusesHarmsNobodyElse writes targets and tasks that PostgreSQL takes neither as text (U+0000, other than UTF-8) nor into
// an index (over 2,704 bytes): a refusal names what was asked for, whatever it was, and whoever's event shares its batch is stored all the same.
func TestTextThatAnEngineRefusesHarmsNobodyElse(t *testing.T) {
	long := ""
	for len(long) < 9000 {
		long += rand.Text()
	}
	dbtest.Each(t, func(t *testing.T, dsn string) {
		l := open(t, dsn)
		hostile := []string{"a\x00b", long, "\xff\xfe", strings.Repeat("\xe2\x82", 600)}
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() {
				d := draft(evidence.DecisionMade, fmt.Sprint(i))
				if i%10 == 0 {
					d.Target, d.Task = hostile[i/10%len(hostile)], hostile[(i/10+1)%len(hostile)]
				}
				if _, err := l.Record(context.Background(), d, nil); err != nil {
					t.Errorf("draft %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		checkLog(t, l, id.Default)
		found, err := l.Search(t.Context(), id.Default, audit.Filter{Target: long})
		if err != nil || len(found) == 0 {
			t.Errorf("what was stored under a long target is found by it: %d, %v", len(found), err)
		}
	})
}

// TestAReplayOfWhatIsTooLargeEnds: a draft whose proof was seen, and whose event is over the limit, fails alone; the loop goes on.
func TestAReplayOfWhatIsTooLargeEnds(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		l := open(t, dsn)
		nonce := []evidence.Nonce{{Kind: "dpop", Key: "k", ID: id.Sum([]byte("1")), Expires: start.Add(time.Minute)}}
		if err := l.Once(t.Context(), nonce); err != nil {
			t.Fatal(err)
		}
		d := draft(evidence.ClientRegistered, "x")
		d.Once, d.What = nonce, &evidence.What{Audience: strings.Repeat("x", evidence.MaxEvent)}
		done := make(chan error, 1)
		go func() {
			_, err := l.Record(context.Background(), d, func(*audit.Tx) error { return nil })
			done <- err
		}()
		select {
		case err := <-done:
			if fault.Code(err) != "event_too_large" {
				t.Errorf("got %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("the loop never ends: nobody can record anything any more")
		}
		if _, err := l.Record(t.Context(), draft(evidence.DecisionMade, "x"), nil); err != nil {
			t.Errorf("the next one: %v", err)
		}
		if err := l.Once(t.Context(), nonce); fault.Code(err) != "replayed" {
			t.Errorf("the proof that was seen is good again: %v", err)
		}
	})
}
