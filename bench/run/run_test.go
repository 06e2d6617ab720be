package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
)

func TestRatioWithinRepeat(t *testing.T) {
	r := []row{{"op", "s", "y", 1, 1.3}}
	// Both halves of each repeat are twice as slow in the second: the ratio is not.
	found := judge(r, []map[string]float64{{"y": 10, "s": 12}, {"y": 11, "s": 13.2}, {"y": 10, "s": 15}}, plan{})
	if got := found[0]; got.Ratio != 1.2 || got.Min != 1.2 || got.Max != 1.5 || got.Verdict != "ok" {
		t.Errorf("%+v", got)
	}
	found = judge(r, []map[string]float64{{"y": 10, "s": 14}, {"y": 10, "s": 14}}, plan{})
	if got := found[0]; got.Verdict != "missed" || verdict(found) != exitMissed {
		t.Errorf("%+v", got)
	}
}

func TestNoisyIsNotJudged(t *testing.T) {
	found := judge([]row{{"op", "s", "y", 1, 1.3}}, []map[string]float64{{"y": 10, "s": 20}, {"y": 12, "s": 24}}, plan{})
	if found[0].Verdict != "noisy" || verdict(found) != exitNoisy {
		t.Errorf("%+v", found)
	}
}

func TestRunRejects(t *testing.T) {
	var n atomic.Int64
	answer := func(w http.ResponseWriter, at int64) { fmt.Fprint(w, "ok\n") }
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w, n.Add(1)) }))
	defer s.Close()
	address := strings.TrimPrefix(s.URL, "http://")
	run := func() error {
		n.Store(0)
		requests := make([][]byte, 100)
		for i := range requests {
			requests[i] = wire("GET", "/", address, nil, "")
		}
		return load(address, 4, requests, http.StatusOK, exactly("ok\n"))
	}
	if err := run(); err != nil || n.Load() != 100 {
		t.Errorf("%d requests arrived: %v", n.Load(), err)
	}
	answer = func(w http.ResponseWriter, at int64) {
		if at == 50 {
			w.WriteHeader(http.StatusForbidden)
		}
		fmt.Fprint(w, "ok\n")
	}
	if run() == nil {
		t.Error("one 403 among 200s counts")
	}
	answer = func(w http.ResponseWriter, at int64) { fmt.Fprintf(w, "ok%s\n", strings.Repeat("!", int(at/100))) }
	if run() == nil {
		t.Error("a right status with a wrong body counts")
	}
}

func TestOnlyTheListenerIsMeasured(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	if ok, err := listens(os.Getpid(), port); !ok || err != nil {
		t.Error(ok, err)
	}
	if ok, _ := listens(os.Getppid(), port); ok {
		t.Error("another process is said to listen")
	}
	u, err := usageOf(os.Getpid())
	if err != nil || u.start == 0 {
		t.Error(u, err)
	}
	if other, err := usageOf(os.Getppid()); err != nil || other.start == u.start {
		t.Error(other, err)
	}
}
