package guard

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/jose"
)

// The bounds of what this process remembers of instances between two sweeps.
const (
	maxUsed   = 10_000 // instances, and as many places
	placeGood = time.Hour
)

// used is when instances were used since the last sweep, to the minute, and where they were seen lately. It is told to people, and permits nothing:
// what is over the bounds, or lost with the process, is not told. The zero value is empty.
type used struct {
	mu     sync.Mutex
	at     map[id.Key]time.Time
	places map[string]time.Time
}

// note takes down that an instance proved itself just now.
func (u *used) note(key id.Key, now time.Time) {
	if key.IsZero() {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, known := u.at[key]; !known && len(u.at) >= maxUsed {
		return
	}
	if u.at == nil {
		u.at = map[id.Key]time.Time{}
	}
	u.at[key] = now.Truncate(time.Minute)
}

// take empties it.
func (u *used) take() map[id.Key]time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	at := u.at
	u.at = nil
	return at
}

// told adds what only this process knows yet.
func (u *used) told(all []agents.Instance) []agents.Instance {
	u.mu.Lock()
	defer u.mu.Unlock()
	for i := range all {
		if at := u.at[all[i].Key]; at.After(all[i].LastUsedAt) {
			all[i].LastUsedAt = at
		}
		if i := &all[i]; !i.LastUsedAt.IsZero() && i.LastUsedAt.Before(i.CreatedAt) {
			i.LastUsedAt = i.CreatedAt // the minute began before the instance
		}
	}
	return all
}

// recent reports whether a place was looked up lately; been says that it now was.
func (u *used) recent(place string, now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	at, ok := u.places[place]
	return ok && now.Sub(at).Abs() < placeGood
}

func (u *used) been(place string, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.places == nil || len(u.places) >= maxUsed {
		u.places = map[string]time.Time{}
	}
	u.places[place] = now
}

// SweepUses writes down when instances were last used. It is called each minute.
func (g *Guard) SweepUses(ctx context.Context) error {
	minutes := map[time.Time][]id.Key{}
	for key, at := range g.used.take() {
		minutes[at] = append(minutes[at], key)
	}
	if len(minutes) == 0 {
		return nil
	}
	return g.Log.Keep(ctx, func(tx *audit.Tx) error {
		for at, keys := range minutes {
			slices.SortFunc(keys, func(a, b id.Key) int { return cmp.Compare(a.String(), b.String()) }) // nodes lock them in one order
			if err := g.Agents.Used(tx, at, keys); err != nil {
				return err
			}
		}
		return nil
	})
}

// errKnown undoes the event of a place that another request has taken down.
var errKnown = errors.New("the place is known")

// seenFrom tells, once for each place, that a running copy got a token from where it had not been before. A place is a network: an IPv4 /24 or IPv6
// /48. The first one is no news. The address is personal, and sealed as in every event; the table has a keyed hash alone.
func (g *Guard) seenFrom(ctx context.Context, c *Client, cause id.Event) error {
	place := g.place(c.line, c.ip)
	if place == "" || g.used.recent(place, g.Now()) {
		return nil
	}
	known := false
	err := g.Log.Keep(ctx, func(tx *audit.Tx) (err error) {
		known, err = g.Agents.SeenBefore(tx, c.line, place)
		return err
	})
	if err != nil {
		return err
	}
	if !known {
		s := &standing{who: c.who()}
		d := s.draft(&c.Caller, evidence.InstanceSeen)
		d.Once, d.Details = nil, slices.DeleteFunc(d.Details, func(x evidence.Detail) bool { return x.Field == "proof" }) // the token's event has both
		d.Who.Proof, d.Outcome, d.Target, d.Cause = nil, evidence.OK, c.instance.String(), cause
		d.What = &evidence.What{Agent: c.agent, Instance: c.instance}
		_, err := g.Log.Record(ctx, d, func(tx *audit.Tx) error {
			fresh, err := g.Agents.SeenAt(tx, c.line, place)
			if err == nil && !fresh {
				err = errKnown
			}
			return err
		})
		if err != nil && !errors.Is(err, errKnown) {
			return err
		}
	}
	g.used.been(place, g.Now())
	return nil
}

// place names the network of an address for one running copy; "" where the address is not known.
func (g *Guard) place(line id.Key, ip string) string {
	a, err := netip.ParseAddr(ip)
	if err != nil || line.IsZero() {
		return ""
	}
	bits := 48
	if a.Is4() {
		bits = 24
	}
	network, err := a.Prefix(bits)
	if err != nil {
		return ""
	}
	mac := hmac.New(sha256.New, g.places)
	mac.Write([]byte(strings.Join([]string{line.String(), network.String()}, "\n")))
	return jose.EncodeBase64(mac.Sum(nil)[:16])
}
