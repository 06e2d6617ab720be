//go:build !race

package oauth_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestAllocs holds what a token allocates, from the connection to the log and back, one request after the other: numbers that only a change with a reason
// raises. They are of the whole process, which does nothing else meanwhile; each may be over by a twentieth, since maps and B-trees grow when they must.
func TestAllocs(t *testing.T) {
	const requests, slack = 40, 1.05
	w := start(t, "")
	assistant, worker := w.agentNamed("assistant"), w.agentNamed("worker")
	root := w.priya.lend(assistant, terms{depth: 2}, bare("repo:acme:*")...)
	link := assistant.lend(worker, terms{under: root}, bare("repo:acme:read")...)
	for _, c := range []struct {
		what          string
		fields        []string
		counts, bytes float64
	}{
		{"a token of one's own", []string{"grant_type", "client_credentials"}, 640, 53_300},
		{
			"an exchange, seen before",
			[]string{"grant_type", grantExchange, "subject_token", link.String(), "subject_token_type", typeDelegation},
			695, 64_100,
		},
	} {
		t.Run(c.what, func(t *testing.T) {
			send := connected(t, w)
			var before, after runtime.MemStats
			for range 2 { // the first round is what is seen before
				w.pass(2 * time.Second) // each key may ask so often a second
				all := make([][]byte, requests)
				for i := range all {
					all[i] = worker.wire(append(c.fields, "resource", resource)...)
				}
				runtime.ReadMemStats(&before)
				for _, r := range all {
					send(r)
				}
				runtime.ReadMemStats(&after)
			}
			counts, bytes := float64(after.Mallocs-before.Mallocs)/requests, float64(after.TotalAlloc-before.TotalAlloc)/requests
			t.Logf("%.0f allocations, %.0f bytes", counts, bytes)
			if counts > c.counts*slack || bytes > c.bytes*slack {
				t.Errorf("%.0f allocations and %.0f bytes for each; %.0f and %.0f are expected", counts, bytes, c.counts, c.bytes)
			}
		})
	}
}

// wire is a token request as it goes over the connection.
func (p *party) wire(fields ...string) []byte {
	body := p.with(fields...).Encode()
	host := strings.TrimPrefix(p.URL, "http://")
	return fmt.Appendf(nil, "POST /oauth/token HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nDPoP: %s\r\nContent-Length: %d\r\n\r\n%s",
		host, p.proof("/oauth/token", p.nonce()), len(body), body)
}

// connected sends requests over one connection, each of which must be answered with a token; it allocates nothing for them.
func connected(t *testing.T, w *world) func(request []byte) {
	c, err := net.Dial("tcp", strings.TrimPrefix(w.URL, "http://"))
	w.ok(err)
	t.Cleanup(func() { c.Close() })
	buffer := make([]byte, 16<<10)
	return func(request []byte) {
		if _, err := c.Write(request); err != nil {
			t.Fatal(err)
		}
		n := 0
		for !bytes.HasSuffix(buffer[:n], []byte("}")) { // an answer is one JSON object
			more, err := c.Read(buffer[n:])
			if n += more; err != nil && err != io.EOF || more == 0 {
				t.Fatalf("%v, after %q", err, buffer[:n])
			}
		}
		if !bytes.HasPrefix(buffer[:n], []byte("HTTP/1.1 200 ")) {
			t.Fatalf("%s", buffer[:n])
		}
	}
}
