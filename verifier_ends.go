package attorn

import (
	"slices"
	"sync"
	"time"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/token"
)

// ends is what the issuer's log said has ended, or changed, since the Verifier began to follow it. A token that rests on any of it is not believed by its
// signature alone any more: the issuer is asked.
type ends struct {
	mu    sync.RWMutex
	seq   uint64
	all   end            // about everything: the beginning, a gap, a halt
	about map[string]end // by what ended
}

// end is the latest time that something was touched.
type end struct {
	seq uint64
	at  time.Time
}

// How long an end is remembered: no token that was issued before lives longer. And how many, before they are taken together as one about everything.
const (
	endKept = time.Hour + 2*clockSkew
	maxEnds = 1 << 16
)

// everything is what a token rests on beside its own names: the feed's words for what concerns all of a workspace, and the issuer's keys.
const (
	everything = "workspace"
	issuerKey  = "issuer-key"
)

// note remembers what ended at a time.
func (e *ends) note(touched []string, at time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seq++
	if slices.Contains(touched, everything) || slices.Contains(touched, issuerKey) {
		e.since(at)
		return
	}
	if e.about == nil {
		e.about = map[string]end{}
	}
	for _, name := range touched {
		e.about[name] = end{e.seq, at}
	}
	if len(e.about) > maxEnds {
		for name, is := range e.about {
			if at.Sub(is.at) > endKept {
				delete(e.about, name)
			}
		}
		if len(e.about) > maxEnds {
			e.since(at)
		}
	}
}

// gap is called where it is not known what ended before at.
func (e *ends) gap(at time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seq++
	e.since(at)
}

func (e *ends) since(at time.Time) { e.all, e.about = end{e.seq, at}, nil }

// now is the place up to which an answer by the issuer that was begun after this call knows everything.
func (e *ends) now() uint64 {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.seq
}

// sure reports whether a token that rests on these names, was issued at a time (seconds) and was last known to be live at a place is still known to be.
func (e *ends) sure(rests []string, issued int64, known uint64) bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	after := func(is end) bool { // or issued so much later that clocks do not matter
		return known >= is.seq || time.Unix(issued, 0).After(is.at.Add(clockSkew))
	}
	if !after(e.all) {
		return false
	}
	for _, name := range rests {
		if is, ok := e.about[name]; ok && !after(is) {
			return false
		}
	}
	return true
}

// restsOn names everything whose end ends a token, as far as the token says it itself: the issuer's event of an end names what descended from it.
func restsOn(c token.Claims) []string {
	all := []string{c.Subject, c.ID}
	for _, name := range []string{c.Session, c.Delegation.String()} {
		if name != "" {
			all = append(all, name)
		}
	}
	if !c.JKT.IsZero() {
		all = append(all, c.JKT.String())
	}
	for _, a := range c.Actors() {
		all = append(all, a.Sub.String())
		if a.Instance != (id.Key{}) {
			all = append(all, a.Instance.String())
		}
	}
	return all
}
