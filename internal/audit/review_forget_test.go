package audit_test

import (
	"context"
	"fmt"
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

// TestNoncesThatAreOldAnywayAreForgotten: what a server remembers of proofs does not grow for ever, and nothing is forgotten that a node with a
// clock that is behind might still accept.
func TestNoncesThatAreOldAnywayAreForgotten(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		var elapsed atomic.Int64 // seconds
		now := func() time.Time { return start.Add(time.Duration(elapsed.Load()) * time.Second) }
		r, w, err := db.Open(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { w.Close() })
		seal, err := keyring.NewSealer(make([]byte, 32))
		if err != nil {
			t.Fatal(err)
		}
		ring, err := keyring.Open(t.Context(), r, seal)
		if err != nil {
			t.Fatal(err)
		}
		l, err := audit.Open(t.Context(), audit.Config{Reader: r, Writer: w, Ring: ring, Issuer: "http://localhost:7070", Node: "n1", Now: now})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(l.Close)

		nonce := func(i int) []evidence.Nonce {
			return []evidence.Nonce{{Kind: "dpop", Key: "k", ID: id.Sum(fmt.Append(nil, i)), Expires: now().Add(2 * time.Minute)}}
		}
		var wg sync.WaitGroup
		const many = 6000 // more than are forgotten at a time
		for i := range many {
			wg.Go(func() {
				if err := l.Once(context.Background(), nonce(i)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		count := func() (n int) {
			if err := r.Row(t.Context(), `SELECT COUNT(*) FROM seen`).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		elapsed.Store(180) // a minute past their end
		if err := l.Once(t.Context(), nonce(many)); err != nil {
			t.Fatal(err)
		}
		if n := count(); n != many+1 {
			t.Fatalf("%d of %d are left a minute after their end, when a clock that is behind may accept them", n, many+1)
		}
		for i := range 5 {
			elapsed.Store(int64(3600 + i))
			if err := l.Once(t.Context(), nonce(many+1+i)); err != nil {
				t.Fatal(err)
			}
		}
		if n := count(); n != 5 {
			t.Errorf("an hour later %d are left, want the 5 that are new", n)
		}
		if err := l.Once(t.Context(), nonce(many+1)); fault.Code(err) != "replayed" {
			t.Errorf("one that is not old: %v", err)
		}
	})
}

// TestOnceIsByName: a value is the same whatever end it claims, and another one under another key or of another kind.
func TestOnceIsByName(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		n := startNode(t, dsn, 0)
		same := proof(1, 2*time.Minute)
		longer, kind, key := same, same, same
		longer.Expires = longer.Expires.Add(time.Hour)
		kind.Kind, key.Key = "dpop", "K"
		for _, c := range []struct {
			name string
			evidence.Nonce
			want string
		}{
			{"the first time", same, ""},
			{"again", same, "replayed"},
			{"with a later end", longer, "replayed"},
			{"of another kind", kind, ""},
			{"of another key", key, ""},
			{"that, again", key, "replayed"},
		} {
			if code := n.once(c.Nonce); code != c.want {
				t.Errorf("%s: %q, not %q", c.name, code, c.want)
			}
		}
	})
}
