package console

import (
	"sync"
	"time"

	"github.com/attorn/attorn/fault"
)

// The limits of a minute.
const (
	challengesPerPerson = 20 // console.md §5
	signInsPerAddress   = 60 // an address may be a whole office's
	maxCounted          = 10_000
)

// limiter counts attempts by whoever makes them, a minute at a time.
type limiter struct {
	mu    sync.Mutex
	since time.Time
	count map[string]int
}

// take counts one attempt. The fault too_many says that it is over the limit; so it is for newcomers while too many are counted.
func (l *limiter) take(who string, most int, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.count == nil || now.Sub(l.since) >= time.Minute || now.Before(l.since) {
		l.since, l.count = now, map[string]int{}
	}
	if n, known := l.count[who]; n >= most || !known && len(l.count) >= maxCounted {
		return fault.New(fault.Limited, "too_many", "too many attempts in a minute").Try("wait a minute")
	}
	l.count[who]++
	return nil
}
