package audit_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db/dbtest"
)

// What a wire does to the next COMMIT.
const (
	pass      int32 = iota
	cutBefore       // it never arrives
	cutAfter        // it is done, and the answer is lost
	cutBoth         // it is on its way when both ends lose the connection
	stall           // it never arrives, and nobody says so
)

// wire stands between a log and PostgreSQL.
type wire struct {
	t      testing.TB
	server string
	next   atomic.Int32
	cuts   atomic.Int32
}

// newWire returns the address under which the database of dsn is reached through it.
func newWire(t testing.TB, dsn string) (*wire, string) {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{t: t, server: u.Host}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go w.join(c)
		}
	}()
	u.Host = l.Addr().String()
	q := u.Query()
	q.Set("sslmode", "disable") // the wire reads along
	u.RawQuery = q.Encode()
	return w, u.String()
}

func (w *wire) join(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", w.server)
	if err != nil {
		w.t.Error(err)
		return
	}
	defer server.Close()
	var silent atomic.Bool
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		buf := make([]byte, 1<<16)
		for {
			n, err := server.Read(buf)
			if silent.Load() {
				return
			}
			if err == nil {
				_, err = client.Write(buf[:n])
			}
			if err != nil {
				client.Close()
				return
			}
		}
	}()
	commit := append([]byte{'Q', 0, 0, 0, 11}, "commit\x00"...)
	buf := make([]byte, 1<<16)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		if string(buf[:n]) != string(commit) {
			if _, err := server.Write(buf[:n]); err != nil {
				return
			}
			continue
		}
		mode := w.next.Swap(pass)
		if mode == pass {
			if _, err := server.Write(buf[:n]); err != nil {
				return
			}
			continue
		}
		w.cuts.Add(1)
		silent.Store(true)
		if mode == cutAfter || mode == cutBoth {
			server.Write(buf[:n])
		}
		if mode == cutAfter {
			<-answered
		}
		if mode == stall {
			io.Copy(io.Discard, client) // until the client gives up
		}
		return
	}
}

// TestACommitWhoseAnswerIsLost: whichever side of COMMIT the connection dies on, what is acknowledged is stored once, with its change and its
// nonce, and what is not acknowledged is not there.
func TestACommitWhoseAnswerIsLost(t *testing.T) {
	if os.Getenv("ATTORN_TEST_POSTGRES") == "" {
		t.Log("ATTORN_TEST_POSTGRES is not set: a connection is PostgreSQL's alone (make test starts one)")
		return
	}
	w, dsn := newWire(t, dbtest.Postgres(t))
	l := open(t, dsn)
	for name, mode := range map[string]int32{"before": cutBefore, "after": cutAfter, "both": cutBoth, "silence": stall} {
		for _, n := range []int{1, 40} {
			if mode == stall && n == 1 {
				continue // takes 10 s
			}
			t.Run(fmt.Sprintf("%s %d", name, n), func(t *testing.T) {
				h, err := l.Head(t.Context(), id.Default)
				if err != nil {
					t.Fatal(err)
				}
				cuts := w.cuts.Load()
				w.next.Store(mode)
				var wg sync.WaitGroup
				for i := range n {
					wg.Go(func() {
						key := fmt.Sprintf("%s %d %d", name, n, i)
						d := draft(evidence.BindingAdded, key)
						d.Once = []evidence.Nonce{{Kind: "dpop", Key: "k", ID: id.Sum([]byte(key)), Expires: start.Add(time.Minute)}}
						got, err := l.Record(context.Background(), d, func(tx *audit.Tx) error {
							_, err := tx.Exec(`INSERT INTO policy_file (digest, body) VALUES ($1, 'x')`, key)
							return err
						})
						if err != nil || got.Outcome != evidence.OK {
							t.Errorf("%s: %+v, %v", key, got, err)
							return
						}
						if e, err := l.Event(context.Background(), id.Default, got.ID); err != nil || e.Rev != got.Rev {
							t.Errorf("%s is acknowledged as %s at #%d: %v", key, got.ID, got.Rev, err)
						}
					})
				}
				wg.Wait()
				if w.cuts.Load() != cuts+1 {
					t.Fatal("the wire did nothing")
				}
				if after := checkLog(t, l, id.Default); after.Size != h.Size+int64(n) {
					t.Errorf("%d entries, then %d, of %d", h.Size, after.Size, n)
				}
			})
		}
	}
}
