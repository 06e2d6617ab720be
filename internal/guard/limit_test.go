package guard

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/attorn/attorn/fault"
)

func TestLimiter(t *testing.T) {
	now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	l := NewLimiter(3, time.Minute)
	for i := range 3 {
		if d := l.Take("a", now.Add(time.Duration(i)*time.Second)); d != 0 {
			t.Errorf("take %d waits %s", i, d)
		}
	}
	if d := l.Take("a", now.Add(10*time.Second)); d != 50*time.Second {
		t.Errorf("one too many waits %s", d)
	}
	for shift, want := range map[time.Duration]time.Duration{59 * time.Second: time.Second, time.Minute: 0, -time.Second: 0} { // back: the clock was set
		if d := l.Wait("a", now.Add(shift)); d != want {
			t.Errorf("%s later it waits %s", shift, d)
		}
	}
	if d := l.Wait("b", now); d != 0 {
		t.Errorf("another key waits %s", d)
	}
	l.Hit("a", now.Add(2*time.Minute)) // a new window
	if d := l.Take("a", now.Add(2*time.Minute)); d != 0 {
		t.Errorf("in a new window it waits %s", d)
	}
}

// A flood of names costs no more memory than the limit, and does not stop the count.
func TestLimiterIsBounded(t *testing.T) {
	now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	l := NewLimiter(2, time.Minute)
	for i := range 2 * maxCounted {
		l.Hit(fmt.Sprint(i), now)
		if len(l.seen) > maxCounted {
			t.Fatalf("%d names are remembered", len(l.seen))
		}
	}
	l.Hit("x", now)
	l.Hit("x", now)
	if l.Wait("x", now) == 0 {
		t.Error("a new name is not counted")
	}
	l.Hit("y", now.Add(time.Hour)) // all others are over
	if len(l.seen) != 1 {
		t.Errorf("%d names are remembered", len(l.seen))
	}
}

// Of 64 wrong attempts at once exactly the limit gets through; of 64 right ones all do, and none counts.
func TestManyAtOnceAreNoWayAroundALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, failed := range []bool{true, false} {
			l, now := NewLimiter(10, time.Minute), time.Now()
			var in, at, most, refused atomic.Int64
			var wg sync.WaitGroup
			for range 64 {
				wg.Go(func() {
					leave, err := l.Enter(context.Background(), "a", now)
					if err != nil {
						if refused.Add(1); fault.Code(err) != "too_many" || RetryAfter(err) != 60 || fault.Of(err).Remedy == "" {
							t.Errorf("%v, %d", err, RetryAfter(err))
						}
						return
					}
					in.Add(1)
					if n := at.Add(1); n > most.Load() {
						most.Store(n)
					}
					time.Sleep(time.Millisecond) // of the test's own clock
					at.Add(-1)
					leave(failed)
				})
			}
			wg.Wait()
			if want := map[bool]int64{true: 10, false: 64}[failed]; in.Load() != want || refused.Load() != 64-want || most.Load() > 10 {
				t.Errorf("failed %t: %d got in, %d at once, %d were refused", failed, in.Load(), most.Load(), refused.Load())
			}
			if _, err := l.Enter(context.Background(), "a", now.Add(time.Minute)); err != nil {
				t.Errorf("a minute later: %v", err)
			}
			if _, err := l.Enter(context.Background(), "b", now); err != nil {
				t.Errorf("another key: %v", err)
			}
		}
	})
}

func TestEnterEndsWithItsRequest(t *testing.T) {
	l, now := NewLimiter(1, time.Minute), time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	leave, err := l.Enter(context.Background(), "a", now)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := l.Enter(ctx, "a", now); err != context.Canceled {
		t.Error(err)
	}
	leave(false)
	if _, err := l.Enter(context.Background(), "a", now); err != nil || RetryAfter(fmt.Errorf("x: %w", TooMany(time.Millisecond))) != 1 || RetryAfter(context.Canceled) != 0 {
		t.Error(err)
	}
}

func TestNetworks(t *testing.T) {
	for ip, want := range map[string]string{
		"203.0.113.7": "203.0.113.7", "::ffff:203.0.113.7": "203.0.113.7", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"2001:db8:1:2::9%eth0": "2001:db8:1:2::/64", "": "", "@": "",
	} {
		if got := Network(ip); got != want {
			t.Errorf("%s: %q, want %q", ip, got, want)
		}
	}
}
