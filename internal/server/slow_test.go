package server

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener whose connections are in memory, so that the test's own clock governs their deadlines.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	c, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// A client that sends its request a byte now and then, takes its answer as slowly, or says nothing more, loses its connection when its time is over; one that
// is slow within it is served.
func TestSlowClientsAreLetGo(t *testing.T) {
	const head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\n\r\n"
	for name, c := range map[string]struct {
		sends  string
		every  time.Duration // between two bytes
		takes  bool          // the answer
		within time.Duration
	}{
		"a head in drops":    {"GET / HTTP/1.1\r\nHost: a\r\nX-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", time.Second, true, 10 * time.Second},
		"nothing":            {"", 0, true, 10 * time.Second},
		"a body in drops":    {head + "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 0, true, 2 * time.Minute},
		"an answer not read": {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0, false, 3 * time.Minute},
		"nothing afterwards": {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0, true, 2 * time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := make(pipes, 1)
			hs := patient(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if _, err := io.Copy(io.Discard, r.Body); err != nil {
					return
				}
				_, _ = w.Write(make([]byte, 1<<16))
			}))
			go hs.Serve(l)
			ours, theirs := net.Pipe()
			l <- theirs
			began := time.Now()
			var sender sync.WaitGroup
			sender.Go(func() {
				every := c.every
				for i := range len(c.sends) {
					if i >= len(head) {
						every = 5 * time.Second
					}
					if every > 0 {
						time.Sleep(every)
					}
					if _, err := ours.Write([]byte{c.sends[i]}); err != nil {
						return
					}
				}
			})
			if c.takes {
				_, _ = io.Copy(io.Discard, bufio.NewReader(ours)) // until the server hangs up
			} else {
				time.Sleep(c.within + time.Second/2)
				_, _ = io.Copy(io.Discard, ours)
			}
			if took := time.Since(began); took > c.within+time.Second {
				t.Errorf("%s: let go after %s, want %s", name, took, c.within)
			}
			close(l)
			hs.Close()
			ours.Close()
			sender.Wait()
		})
	}
}
