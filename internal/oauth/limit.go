package oauth

import (
	"net/http"
	"net/netip"
	"time"

	"github.com/attorn/attorn/internal/guard"
)

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

// network is what one customer of a provider holds.
func network(r *http.Request) string { return guard.Network(address(r)) }

// attempt is who a request claims to come from: for counting alone.
type attempt struct {
	client string // with the network; "" before that was read
	key    string // that signed, by its own word
}

// failures counts client authentications that failed, from one network: ten a minute for each key, and ten keys for each client. So one stale key of somebody's
// does not hold up their others, and who tries many is stopped all the same.
type failures struct{ keys, clients *guard.Limiter }

func newFailures() failures {
	return failures{guard.NewLimiter(maxFailures, time.Minute), guard.NewLimiter(maxFailures, time.Minute)}
}

func (f failures) wait(a attempt, now time.Time) time.Duration {
	return max(f.keys.Wait(a.client+" "+a.key, now), f.clients.Wait(a.client, now))
}

func (f failures) hit(a attempt, now time.Time) {
	if f.keys.Hit(a.client+" "+a.key, now) == 1 {
		f.clients.Hit(a.client, now)
	}
}
