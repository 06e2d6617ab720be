package oauth

import (
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// limiter counts events by key in fixed windows. What it remembers is bounded: where keys run out, one that is remembered is forgotten, so that
// a flood of new names costs nobody else an answer.
type limiter struct {
	limit int
	per   time.Duration
	keys  int
	mu    sync.Mutex
	seen  map[string]window
}

type window struct {
	start time.Time
	n     int
}

func newLimiter(limit int, per time.Duration, keys int) *limiter {
	return &limiter{limit: limit, per: per, keys: keys, seen: map[string]window{}}
}

// wait is how long key has to wait before it is under the limit again; 0: it is.
func (l *limiter) wait(key string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.left(key, now)
}

func (l *limiter) left(key string, now time.Time) time.Duration {
	w, ok := l.seen[key]
	if !ok || w.n < l.limit || l.over(w, now) {
		return 0
	}
	return w.start.Add(l.per).Sub(now)
}

// over also ends a window that begins in the future: the clock was set back.
func (l *limiter) over(w window, now time.Time) bool {
	age := now.Sub(w.start)
	return age < 0 || age >= l.per
}

// hit counts one event.
func (l *limiter) hit(key string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count(key, now)
}

// take is wait, and hit where that is 0.
func (l *limiter) take(key string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if d := l.left(key, now); d > 0 {
		return d
	}
	l.count(key, now)
	return 0
}

func (l *limiter) count(key string, now time.Time) {
	w, ok := l.seen[key]
	if !ok && len(l.seen) >= l.keys {
		l.forget(now)
	}
	if !ok || l.over(w, now) {
		w = window{start: now}
	}
	w.n++
	l.seen[key] = w
}

// forget makes room: windows that are over, or else any one.
func (l *limiter) forget(now time.Time) {
	for k, w := range l.seen {
		if l.over(w, now) {
			delete(l.seen, k)
		}
	}
	for k := range l.seen {
		if len(l.seen) < l.keys {
			return
		}
		delete(l.seen, k)
	}
}

// peer is where the request came from: the connection's other end alone, for what a proxy says could be anybody's word.
func peer(r *http.Request) netip.Addr {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap().WithZone("")
}

// address is the peer's, "" where it has none.
func address(r *http.Request) string {
	if a := peer(r); a.IsValid() {
		return a.String()
	}
	return ""
}

// network is what one customer of a provider holds: an IPv4 address, or a /64 of IPv6.
func network(r *http.Request) string {
	a := peer(r)
	if !a.Is6() {
		return a.String()
	}
	return netip.PrefixFrom(a, 64).Masked().String()
}
