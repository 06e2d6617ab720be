package server

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/agents"
)

func TestMayFetch(t *testing.T) {
	for address, want := range map[string][2]bool{ // for all; where private addresses are allowed
		"93.184.216.34": {true, true}, "2606:2800:220:1::1": {true, true}, "1.1.1.1": {true, true}, "::ffff:93.184.216.34": {true, true}, "64:ff9b::5db8:d822": {true, true},
		"127.0.0.1": {false, true}, "127.9.9.9": {false, true}, "::1": {false, true}, "10.0.0.1": {false, true}, "172.16.0.1": {false, true}, "192.168.1.1": {false, true},
		"100.64.0.1": {false, true}, "198.18.0.1": {false, true}, "fd12::1": {false, true}, "::ffff:127.0.0.1": {false, true}, "::ffff:10.0.0.1": {false, true},
		"64:ff9b::7f00:1": {false, true}, "64:ff9b::a00:1": {false, true}, "2002:7f00:1::": {false, true}, "2002:a00:1::1": {false, true},
		"0.0.0.0": {}, "::": {}, "169.254.169.254": {}, "::ffff:169.254.169.254": {}, "64:ff9b::a9fe:a9fe": {}, "2002:a9fe:a9fe::": {}, "fe80::1": {}, "fec0::1": {},
		"224.0.0.1": {}, "255.255.255.255": {}, "240.0.0.1": {}, "ff02::1": {}, "192.0.0.192": {}, "168.63.129.16": {}, "100.100.100.200": {}, "fd00:ec2::254": {},
		"2001:2::1": {}, "2001:20::1": {}, "3fff::1": {}, "100::1": {}, "5f00::1": {}, "4000::1": {}, "2606:2800:220:1:0:5efe:a00:1": {}, "2606:2800:220:1:200:5efe:5db8:d822": {},
		"2001::1": {}, "2001:db8::1": {}, "::7f00:1": {}, "192.0.2.1": {}, "203.0.113.1": {}, "64:ff9b:1::1": {},
	} {
		a := netip.MustParseAddr(address)
		if got := [2]bool{mayFetch(a, false), mayFetch(a, true)}; got != want {
			t.Errorf("%s: %v, want %v", address, got, want)
		}
	}
	if mayFetch(netip.Addr{}, true) || mayFetch(netip.MustParseAddr("fe80::1%eth0"), true) || mayFetch(netip.MustParseAddr("2606:2800::1%eth0"), true) {
		t.Error("no address, or one with a zone")
	}
}

// names answers DNS questions for A with the next of these addresses, the last one for ever.
func names(t *testing.T, addresses ...string) *net.Resolver {
	t.Helper()
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		next := 0
		for buf := make([]byte, 512); ; {
			n, from, err := l.ReadFrom(buf)
			if err != nil {
				return
			}
			q := buf[:n]
			end := 12
			for q[end] != 0 {
				end += int(q[end]) + 1
			}
			end += 5 // the root, type and class
			answer := append([]byte(nil), q[:end]...)
			answer[2], answer[3] = 0x81, 0x80
			binary.BigEndian.PutUint16(answer[10:], 0) // additional
			if binary.BigEndian.Uint16(q[end-4:]) == 1 {
				binary.BigEndian.PutUint16(answer[6:], 1)
				ip := netip.MustParseAddr(addresses[min(next, len(addresses)-1)]).As4()
				next++
				answer = append(append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4), ip[:]...)
			}
			l.WriteTo(answer, from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", l.LocalAddr().String())
	}}
}

// resolved is a fetcher whose names are answered by r.
func resolved(dev bool, r *net.Resolver) *fetcher {
	return &fetcher{dev: dev, public: fetchClient(dev, r), private: fetchClient(true, r)}
}

// target is a server on loopback, and how often it was asked.
func target(t *testing.T, answer http.HandlerFunc) (port string, asked *atomic.Int64) {
	t.Helper()
	asked = &atomic.Int64{}
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		answer(w, r)
	}))
	s.Config.ErrorLog = nil
	t.Cleanup(s.Close)
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port, asked
}

// A name that leads to an address that may not be asked is refused when the connection is made, and also when the name led elsewhere a moment before.
func TestFetchRebinding(t *testing.T) {
	var connections atomic.Int64
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			c.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	const name = "issuer.example.com"
	for what, f := range map[string]*fetcher{
		"loopback by name":        resolved(false, names(t, "127.0.0.1")),
		"loopback by rebinding":   resolved(false, names(t, "192.0.2.1", "127.0.0.1")),
		"metadata by name":        resolved(true, names(t, "169.254.169.254")),
		"nowhere, then loopback":  resolved(false, names(t, "0.0.0.0", "127.0.0.1")),
		"private, then loopback":  resolved(false, names(t, "10.0.0.1", "127.0.0.1")),
		"link-local for any rule": resolved(true, names(t, "169.254.0.1")),
	} {
		for range 2 {
			_, _, err := f.Fetch(t.Context(), "https://"+name+":"+port+"/x", false)
			if fault.Code(err) != "fetch_refused" || !strings.Contains(err.Error(), "private address") {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
	// Where the rule allows private addresses the same name is asked.
	if _, _, err := resolved(false, names(t, "127.0.0.1")).Fetch(t.Context(), "https://"+name+":"+port+"/x", true); fault.Code(err) != "fetch_refused" || connections.Load() == 0 {
		t.Errorf("a private address that is allowed: %v, %d connections", err, connections.Load())
	}
}

func TestFetchRefuses(t *testing.T) {
	port, asked := target(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "{}") })
	f := newFetcher(false)
	for _, address := range []string{
		"http://127.0.0.1:" + port, "http://localhost:" + port, "https://127.0.0.1:" + port, "https://localhost:" + port, "https://[::1]:" + port, "https://[::ffff:127.0.0.1]:" + port,
		"https://2130706433:" + port, "https://0x7f000001:" + port, "https://0177.0.0.1:" + port, "https://127.1:" + port, "file:///etc/passwd", "gopher://127.0.0.1:" + port, "", "https://",
		"https://user@127.0.0.1:" + port, "https://127.0.0.1:" + port + "#x", "://", "https://169.254.169.254/latest/meta-data/",
	} {
		if _, _, err := f.Fetch(t.Context(), address, false); fault.Code(err) != "fetch_refused" || strings.Contains(err.Error(), "127.0.0.1") {
			t.Errorf("%s: %v", address, err)
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("it was asked %d times", n)
	}
	if _, _, err := newFetcher(true).Fetch(t.Context(), "https://127.0.0.1:"+port, false); fault.Code(err) != "fetch_refused" { // its certificate is nobody's
		t.Errorf("an unknown certificate: %v", err)
	}
}

// In development an issuer may be on this machine, over http; what it answers is held to the same limits.
func TestFetchInDevelopment(t *testing.T) {
	var elsewhere atomic.Int64
	away := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer away.Close()
	block := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Cookie")+r.Header.Get("Authorization")+r.Header.Get("Referer") != "" {
			t.Errorf("it was told %v", r.Header)
		}
		kind := "application/json"
		switch r.URL.Path {
		case "/redirect":
			http.Redirect(w, r, away.URL, http.StatusFound)
			return
		case "/page":
			kind = "text/html"
		case "/jwks":
			kind = "application/jwk-set+json; charset=utf-8"
		case "/set":
			w.Header().Set("Set-Cookie", "a=b")
		case "/slow":
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			<-block
			return
		case "/cached":
			w.Header().Set("Cache-Control", "public, max-age=1800")
		}
		w.Header().Set("Content-Type", kind)
		if n := r.URL.Query().Get("n"); n != "" {
			var size int
			fmt.Sscan(n, &size)
			w.Write([]byte(strings.Repeat(" ", size)))
			return
		}
		if r.URL.Path == "/gone" {
			w.WriteHeader(http.StatusGone)
		}
		fmt.Fprint(w, "{}")
	}))
	defer s.Close()
	defer close(block)
	f := newFetcher(true)
	for path, reason := range map[string]string{
		"/": "", "/jwks": "", "/set": "", "/cached": "", fmt.Sprintf("/?n=%d", agents.MaxKeySet): "", fmt.Sprintf("/?n=%d", agents.MaxKeySet+1): "more than", "/redirect": "status is 302",
		"/page": "media type", "/gone": "status is 410", "/slow": "ended early",
	} {
		began := time.Now()
		_, _, err := f.Fetch(t.Context(), s.URL+path, false)
		if (err == nil) != (reason == "") || err != nil && !strings.Contains(err.Error(), reason) || time.Since(began) > 2*fetchTime {
			t.Errorf("%s: %v after %s", path, err, time.Since(began))
		}
	}
	if elsewhere.Load() != 0 {
		t.Error("a redirect was followed")
	}
	if _, age, err := f.Fetch(t.Context(), s.URL+"/cached", false); err != nil || age != 30*time.Minute {
		t.Errorf("%s, %v", age, err)
	}
}

func TestMaxAge(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"": 0, "max-age=60": time.Minute, "public, Max-Age=60, must-revalidate": time.Minute, `max-age="60"`: time.Minute, "max-age=-1": 0, "max-age=x": 0,
		"max-age=99999999999999": 0, "no-store, max-age=60": 0, "max-age=60, no-cache": 0,
	} {
		if got := maxAge(http.Header{"Cache-Control": {value}}); got != want {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
}
