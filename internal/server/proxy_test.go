package server

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// Who may say where a request comes from, and what they said.
func TestForwardedAddresses(t *testing.T) {
	trusted, err := networks([]string{"127.0.0.1", "10.0.0.0/8", "fd00::/8"})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		peer string
		says []string
		want string
	}{
		"nobody's header counts but a proxy's":  {"203.0.113.9:5000", []string{"198.51.100.1"}, "203.0.113.9:5000"},
		"a proxy that says nothing":             {"127.0.0.1:5000", nil, "127.0.0.1:0"},
		"one proxy":                             {"127.0.0.1:5000", []string{"198.51.100.1"}, "198.51.100.1:0"},
		"a forged entry before":                 {"127.0.0.1:5000", []string{"192.0.2.66, 198.51.100.1"}, "198.51.100.1:0"},
		"a forged trusted entry before":         {"127.0.0.1:5000", []string{"10.0.0.1, 198.51.100.1"}, "198.51.100.1:0"},
		"two proxies":                           {"127.0.0.1:5000", []string{"198.51.100.1, 10.1.2.3"}, "198.51.100.1:0"},
		"two proxies and a forger":              {"127.0.0.1:5000", []string{"127.0.0.1,192.0.2.66, 198.51.100.1 ,10.1.2.3"}, "198.51.100.1:0"},
		"two lines":                             {"127.0.0.1:5000", []string{"192.0.2.66", "198.51.100.1"}, "198.51.100.1:0"},
		"a client inside":                       {"127.0.0.1:5000", []string{"10.1.2.3"}, "10.1.2.3:0"},
		"version 6":                             {"[fd00::1]:5000", []string{"2001:db8::7"}, "[2001:db8::7]:0"},
		"with a port":                           {"127.0.0.1:5000", []string{"198.51.100.1:4711"}, "198.51.100.1:0"},
		"version 6 with a port":                 {"127.0.0.1:5000", []string{"[2001:db8::7]:4711"}, "[2001:db8::7]:0"},
		"version 6 in brackets":                 {"127.0.0.1:5000", []string{"[2001:db8::7]"}, "[2001:db8::7]:0"},
		"mapped":                                {"[::ffff:127.0.0.1]:5000", []string{"::ffff:198.51.100.1"}, "198.51.100.1:0"},
		"a zone is left out":                    {"127.0.0.1:5000", []string{"fe80::1%eth0"}, "[fe80::1]:0"},
		"unknown":                               {"127.0.0.1:5000", []string{"198.51.100.1, unknown"}, "127.0.0.1:0"},
		"rubbish after a proxy":                 {"127.0.0.1:5000", []string{"198.51.100.1, <script>, 10.1.2.3"}, "10.1.2.3:0"},
		"an empty entry":                        {"127.0.0.1:5000", []string{"198.51.100.1,"}, "127.0.0.1:0"},
		"a peer that looks like a proxy's name": {"127.0.0.10:5000", []string{"198.51.100.1"}, "127.0.0.10:5000"},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			h := behind(trusted, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.RemoteAddr }))
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr = c.peer
			for _, line := range c.says {
				r.Header.Add("X-Forwarded-For", line)
			}
			h.ServeHTTP(httptest.NewRecorder(), r)
			if got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = "127.0.0.1:5000"
	r.Header.Set("X-Forwarded-For", "198.51.100.1")
	behind(nil, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.RemoteAddr != "127.0.0.1:5000" {
			t.Errorf("without a trusted proxy: %s", r.RemoteAddr)
		}
	})).ServeHTTP(httptest.NewRecorder(), r)
}

// Rate limits count clients, not their proxy: a client behind it is stopped alone, and cannot escape by a header of its own.
func TestLimitsBehindAProxy(t *testing.T) {
	s, err := Open(t.Context(), Config{Dev: true, Data: filepath.Join(t.TempDir(), "d"), Node: "n", Trusted: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	try := func(peer, says string) int {
		r := httptest.NewRequest("POST", "/signin/begin", strings.NewReader("{}"))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Forwarded-For", says)
		r.RemoteAddr = peer + ":5000"
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		return w.Code
	}
	stopped := func(peer string, says func(n int) string) bool {
		for n := range 70 {
			if try(peer, says(n)) == http.StatusTooManyRequests {
				return true
			}
		}
		return false
	}
	if stopped("127.0.0.1", func(n int) string { return fmt.Sprintf("198.51.100.%d", n) }) {
		t.Error("clients behind the proxy are counted as one")
	}
	if !stopped("127.0.0.1", func(n int) string { return fmt.Sprintf("192.0.2.%d, 203.0.113.7", n) }) {
		t.Error("a client behind the proxy escapes by what it writes before")
	}
	if !stopped("203.0.113.8", func(n int) string { return fmt.Sprintf("192.0.2.%d", n) }) {
		t.Error("a client that is no proxy escapes by its header")
	}
	if try("127.0.0.1", "203.0.113.9") != http.StatusOK {
		t.Error("one client's limit is another's")
	}
}
