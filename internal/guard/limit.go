package guard

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/attorn/attorn/fault"
)

// maxCounted is how many keys a Limiter remembers.
const maxCounted = 10_000

// Limiter counts by key in fixed windows, for every face the same. What it remembers is bounded: where keys run out, one that is remembered is forgotten, so
// that a flood of new names costs nobody else an answer. Safe for concurrent use.
type Limiter struct {
	most int
	per  time.Duration
	mu   sync.Mutex
	seen map[string]window
	left chan struct{} // closed when an attempt that had entered leaves
}

type window struct {
	start time.Time
	n     int
	busy  int // attempts that entered and have not left
}

// NewLimiter lets each key have most in a window of per.
func NewLimiter(most int, per time.Duration) *Limiter {
	return &Limiter{most: most, per: per, seen: map[string]window{}, left: make(chan struct{})}
}

// Wait is how long key has to wait before it is under the limit again; 0: it is.
func (l *Limiter) Wait(key string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.wait(key, now)
}

func (l *Limiter) wait(key string, now time.Time) time.Duration {
	w, ok := l.seen[key]
	if !ok || w.n < l.most || l.over(w, now) {
		return 0
	}
	return w.start.Add(l.per).Sub(now)
}

// over also ends a window that begins in the future: the clock was set back.
func (l *Limiter) over(w window, now time.Time) bool {
	age := now.Sub(w.start)
	return age < 0 || age >= l.per
}

// Hit counts one, and says how many the window has now.
func (l *Limiter) Hit(key string, now time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count(key, now, 1, 0)
}

// Take is Wait, and Hit where that is 0.
func (l *Limiter) Take(key string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if d := l.wait(key, now); d > 0 {
		return d
	}
	l.count(key, now, 1, 0)
	return 0
}

// Enter lets in an attempt of which only the failure counts, at most as many at once as may still fail; the others wait for those, so that many at once are no
// way around the limit and nobody who is right is refused for being quick. leave must be called. Code: too_many.
func (l *Limiter) Enter(ctx context.Context, key string, now time.Time) (leave func(failed bool), err error) {
	for {
		l.mu.Lock()
		if d := l.wait(key, now); d > 0 {
			l.mu.Unlock()
			return nil, TooMany(d)
		}
		if w := l.seen[key]; w.busy == 0 || w.busy+w.n < l.most {
			l.count(key, now, 0, 1)
			l.mu.Unlock()
			return func(failed bool) { l.leave(key, now, failed) }, nil
		}
		next := l.left
		l.mu.Unlock()
		select {
		case <-next:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (l *Limiter) leave(key string, now time.Time, failed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	if failed {
		n = 1
	}
	l.count(key, now, n, -1)
	close(l.left)
	l.left = make(chan struct{})
}

func (l *Limiter) count(key string, now time.Time, n, busy int) int {
	w, ok := l.seen[key]
	if !ok && len(l.seen) >= maxCounted {
		l.forget(now)
	}
	if !ok || l.over(w, now) {
		w = window{start: now, busy: w.busy}
	}
	w.n += n
	w.busy = max(0, w.busy+busy)
	if w.n == 0 && w.busy == 0 {
		delete(l.seen, key)
		return 0
	}
	l.seen[key] = w
	return w.n
}

// forget makes room: windows that are over, or else any one.
func (l *Limiter) forget(now time.Time) {
	for k, w := range l.seen {
		if l.over(w, now) && w.busy == 0 {
			delete(l.seen, k)
		}
	}
	for k := range l.seen {
		if len(l.seen) < maxCounted {
			return
		}
		delete(l.seen, k)
	}
}

// overLimit is a fault that says how long to wait.
type overLimit struct {
	refusal *fault.Error
	wait    time.Duration
}

func (e *overLimit) Error() string { return e.refusal.Reason }

func (e *overLimit) Unwrap() error { return e.refusal }

// TooMany is the refusal of one attempt too many, after which wait must pass.
func TooMany(wait time.Duration) error {
	seconds := (wait + time.Second - 1) / time.Second
	return &overLimit{fault.New(fault.Limited, "too_many", "too many attempts that failed").Try("try again in %d seconds", int(seconds)), wait}
}

// RetryAfter is how long to wait before what err refused is tried again, in whole seconds; 0 where it does not say.
func RetryAfter(err error) int {
	var e *overLimit
	if !errors.As(err, &e) {
		return 0
	}
	return int((e.wait + time.Second - 1) / time.Second)
}

// Network is what attempts are counted by: an address, or the 64 bits of an IPv6 one that are a site's own choice. ip is as a connection has it; what is none
// is counted as one.
func Network(ip string) string {
	a, err := netip.ParseAddr(address(ip))
	if err != nil {
		return ""
	}
	if !a.Is6() {
		return a.String()
	}
	return netip.PrefixFrom(a, 64).Masked().String()
}
