package oauth

import (
	"fmt"
	"testing"
	"time"
)

func TestLimiter(t *testing.T) {
	now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	l := newLimiter(3, time.Minute, 4)
	for i := range 3 {
		if d := l.take("a", now.Add(time.Duration(i)*time.Second)); d != 0 {
			t.Errorf("take %d waits %s", i, d)
		}
	}
	if d := l.take("a", now.Add(10*time.Second)); d != 50*time.Second {
		t.Errorf("one too many waits %s", d)
	}
	if d := l.wait("a", now.Add(59*time.Second)); d != time.Second {
		t.Errorf("later it waits %s", d)
	}
	if d := l.wait("a", now.Add(time.Minute)); d != 0 {
		t.Errorf("when the window is over it waits %s", d)
	}
	if d := l.wait("a", now.Add(-time.Second)); d != 0 {
		t.Errorf("with the clock set back it waits %s", d)
	}
	if d := l.wait("b", now); d != 0 {
		t.Errorf("another key waits %s", d)
	}
	l.hit("a", now.Add(2*time.Minute)) // a new window
	if d := l.take("a", now.Add(2*time.Minute)); d != 0 {
		t.Errorf("in a new window it waits %s", d)
	}
}

// A flood of names costs no more memory than the limit, and does not stop the count.
func TestLimiterIsBounded(t *testing.T) {
	now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	l := newLimiter(2, time.Minute, 100)
	for i := range 10_000 {
		l.hit(fmt.Sprint(i), now)
		if len(l.seen) > 100 {
			t.Fatalf("%d names are remembered", len(l.seen))
		}
	}
	l.hit("x", now)
	l.hit("x", now)
	if l.wait("x", now) == 0 {
		t.Error("a new name is not counted")
	}
	l.hit("y", now.Add(time.Hour)) // all others are over
	if len(l.seen) != 1 {
		t.Errorf("%d names are remembered", len(l.seen))
	}
}
