//go:build !race

package attorn

import (
	"net/http"
	"testing"
)

// What the Verifier may allocate for a request, besides what the replay memory grows by: numbers that only a change with a reason raises.
// The race detector has pools forget at random.
func TestAllocs(t *testing.T) {
	p := newProving(t)
	for _, c := range []struct {
		what string
		make func() *http.Request
		most float64
	}{
		{"a bearer token that was seen", p.with(false), 1}, {"a token that was seen, with a proof", p.with(true), 14}, {"a signed request", p.signed, 19},
	} {
		const runs = 200
		requests := make([]*http.Request, runs+2)
		for i := range requests {
			requests[i] = c.make()
		}
		next := func() *http.Request {
			r := requests[0]
			requests = requests[1:]
			return r
		}
		if _, err := p.v.verify(next()); err != nil { // the first is not one that was seen
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(runs, func() {
			if _, err := p.v.verify(next()); err != nil {
				t.Fatal(err)
			}
		}); n > c.most {
			t.Errorf("%s: %v allocations, at most %v are expected", c.what, n, c.most)
		}
	}
}
