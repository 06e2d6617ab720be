package guard

import (
	"sync"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

const (
	maxGuesses  = 5 // a minute and person (oauth.md §12)
	maxGuessers = 10_000
)

// guesses counts user codes that nothing waits under, by who typed them, a minute at a time. Of newcomers to a minute that is full nobody is let in.
type guesses struct {
	mu    sync.Mutex
	since time.Time
	count map[id.User]int
}

// take counts one guess, right or wrong, before it is looked at, so that many at once are no way around the limit. Code: too_many.
func (g *guesses) take(who id.User, now time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.count == nil || now.Sub(g.since) >= time.Minute || now.Before(g.since) {
		g.since, g.count = now, map[id.User]int{}
	}
	if n, known := g.count[who]; n >= maxGuesses || !known && len(g.count) >= maxGuessers {
		return fault.New(fault.Limited, "too_many", "too many codes that nothing waits under").Try("wait a minute, and compare the code with what the device shows")
	}
	g.count[who]++
	return nil
}

// right takes back a guess that was right.
func (g *guesses) right(who id.User) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.count[who] > 0 {
		g.count[who]--
	}
}
