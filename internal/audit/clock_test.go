package audit_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/keyring"
)

// node is a process with a clock of its own on one database.
type node struct {
	*audit.Log
	ahead atomic.Int64 // of start
	stop  func()
}

func (n *node) now() time.Time      { return start.Add(time.Duration(n.ahead.Load())) }
func (n *node) set(d time.Duration) { n.ahead.Store(int64(d)) }
func (n *node) once(x evidence.Nonce) string {
	return fault.Code(n.Once(context.Background(), []evidence.Nonce{x}))
}

func startNode(t *testing.T, dsn string, ahead time.Duration) *node {
	t.Helper()
	r, w, err := db.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	seal, err := keyring.NewSealer(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keyring.Open(t.Context(), r, seal)
	if err != nil {
		t.Fatal(err)
	}
	n := &node{}
	n.set(ahead)
	n.Log, err = audit.Open(t.Context(), audit.Config{Reader: r, Writer: w, Ring: ring, Issuer: "http://localhost:7070", Node: "n", Now: n.now})
	if err != nil {
		t.Fatal(err)
	}
	n.stop = sync.OnceFunc(func() { n.Close(); w.Close() })
	t.Cleanup(n.stop)
	return n
}

func proof(i int, end time.Duration) evidence.Nonce {
	return evidence.Nonce{Kind: "httpsig", Key: "k", ID: id.Sum(fmt.Append(nil, i)), Expires: start.Add(end)}
}

// A clock that jumps ahead, lets proofs be forgotten, and jumps back makes no proof good twice: not in the process that forgot, nor in one that was started
// since; with an event or without. Proofs that end later than all that was forgotten are taken as ever.
func TestClockJumps(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		n := startNode(t, dsn, 0)
		used := proof(1, 2*time.Minute)
		if code := n.once(used); code != "" {
			t.Fatal(code)
		}
		n.set(30 * time.Second)
		if code := n.once(used); code != "replayed" {
			t.Errorf("before any jump: %q", code)
		}
		n.set(-time.Hour)
		if code := n.once(used); code != "replayed" {
			t.Errorf("an hour back: %q", code)
		}
		n.stop()

		n = startNode(t, dsn, time.Hour) // started with the wrong clock, so that nothing tells it that it jumped
		if code := n.once(proof(2, time.Hour+2*time.Minute)); code != "" {
			t.Fatal(code)
		}
		n.set(0) // the clock is set right
		for name, restart := range map[string]bool{"the same process": false, "a new one": true} {
			if restart {
				n.stop()
				n = startNode(t, dsn, 10*time.Second)
			}
			err := n.Once(t.Context(), []evidence.Nonce{used})
			f := fault.Of(err)
			if fault.Code(err) != "clock_moved" || f.Kind != fault.Unavailable || !strings.Contains(f.Reason, "clock was set back") || !strings.Contains(f.Remedy, "2026-") {
				t.Errorf("%s: %v", name, err)
			}
			d := evidence.Draft{Workspace: id.Server, Once: []evidence.Nonce{used}}
			d.Kind, d.Outcome, d.Who.Sub, d.Where.Face = evidence.DecisionMade, evidence.OK, evidence.ServerSub, "server"
			changed := false
			if _, err := n.Record(t.Context(), d, func(*audit.Tx) error { changed = true; return nil }); fault.Code(err) != "clock_moved" || changed {
				t.Errorf("%s, an event: %v, changed %t", name, err, changed)
			}
			if code := n.once(proof(3, 2*time.Minute)); code != "clock_moved" {
				t.Errorf("%s, one that might have been used: %q", name, code)
			}
			if code := n.once(proof(map[bool]int{false: 6, true: 7}[restart], 30*time.Minute)); code != "" { // nothing ends there that was forgotten
				t.Errorf("%s, in the time that was jumped over: %q", name, code)
			}
			fresh := proof(map[bool]int{false: 4, true: 5}[restart], 2*time.Minute+time.Second)
			if code := n.once(fresh); code != "" {
				t.Errorf("%s, one that ends later: %q", name, code)
			}
			if code := n.once(fresh); code != "replayed" {
				t.Errorf("%s, and that again: %q", name, code)
			}
		}
	})
}

// While one node, whose clock is ahead, forgets a proof, others take it no second time.
func TestForgettingIsNoSecondChance(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		right := startNode(t, dsn, 0)
		nodes := []*node{right, right}
		ahead := right
		if !strings.HasPrefix(dsn, "sqlite:") {
			nodes[1], ahead = startNode(t, dsn, 0), startNode(t, dsn, time.Hour)
		}
		for i := range 25 {
			at := time.Duration(i) * 5 * time.Minute
			used := proof(10*i, at+2*time.Minute)
			for _, n := range nodes {
				n.set(at)
			}
			if code := right.once(used); code != "" {
				t.Fatalf("round %d: %q", i, code)
			}
			var wg sync.WaitGroup
			var again atomic.Int64
			for j := range 16 {
				wg.Go(func() {
					if nodes[j%2].once(used) == "" {
						again.Add(1)
					}
				})
				if j == 4 && ahead != right {
					ahead.set(at + time.Hour)
					wg.Go(func() { ahead.once(proof(10*i+1, at+2*time.Minute)) })
				}
			}
			wg.Wait()
			if n := again.Load(); n != 0 {
				t.Fatalf("round %d: taken %d times more", i, n)
			}
		}
	})
}
