package main

import (
	"crypto/ed25519"
	"database/sql"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
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

// TestRunRejectsAMissingEvent: a run whose work is not all in the log does not count, nor one that left something else there.
func TestRunRejectsAMissingEvent(t *testing.T) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "log.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	do := func(query string) {
		t.Helper()
		if _, err := db.Exec(query); err != nil {
			t.Fatal(err)
		}
	}
	do(`CREATE TABLE log (log, workspace, base, size, closed); CREATE TABLE event (log, seq, kind, outcome); INSERT INTO log VALUES ('default/1', 'default', 10, 0, 0)`)
	add := func(kind, outcome string) {
		t.Helper()
		do(`INSERT INTO event SELECT log, size, '` + kind + `', '` + outcome + `' FROM log; UPDATE log SET size = size + 1`)
	}
	add("token.issued", "ok")
	i := &issuer{db: db}
	grown, err := i.growing(2, "token.issued", "ok")
	if err != nil {
		t.Fatal(err)
	}
	add("token.issued", "ok")
	if grown() == nil {
		t.Error("one of two events is enough")
	}
	add("token.refused", "deny")
	if grown() == nil {
		t.Error("a refusal counts as a token")
	}
	if grown, err = i.growing(1, "token.issued", "ok"); err != nil {
		t.Fatal(err)
	}
	add("token.issued", "ok")
	if err := grown(); err != nil {
		t.Error(err)
	}
	add("token.issued", "ok")
	if grown() == nil {
		t.Error("something else is in the log")
	}
}

// TestRunRejectsAnotherToken: a token of somebody else's, for something else, or without everybody of the chain in it voids the run.
func TestRunRejectsAnotherToken(t *testing.T) {
	_, priv, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(priv)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	i := &issuer{person: id.New[id.User](now), first: id.New[id.Agent](now)}
	a := asker{agent: id.New[id.Agent](now), signer: signer}
	body := func(sub, aud, act, scope string) []byte {
		payload := fmt.Sprintf(`{"sub":%q,"aud":%q,"act":{"sub":%q,"act":{"sub":%q}},"cnf":{"jkt":%q}}`, sub, aud, a.agent, act, signer.Public().Thumbprint())
		return fmt.Appendf(nil, `{"access_token":"e30.%s.x","token_type":"DPoP","scope":%q}`, jose.EncodeBase64([]byte(payload)), scope)
	}
	person, first := i.person.String(), i.first.String()
	if err := i.issued("exchange", a, body(person, resource, first, "files:api:read")); err != nil {
		t.Error(err)
	}
	for _, other := range [][]byte{
		body(a.agent.String(), resource, first, "files:api:read"), body(person, "https://other.example", first, "files:api:read"),
		body(person, resource, a.agent.String(), "files:api:read"), body(person, resource, first, "files:api:*"), []byte(`{}`), []byte(`{"access_token":"a.b.c"}`),
	} {
		if i.issued("exchange", a, other) == nil {
			t.Errorf("%s counts", other)
		}
	}
}
