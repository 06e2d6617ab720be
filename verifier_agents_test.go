package attorn

import (
	"crypto/ed25519"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

func someKey(t *testing.T) jose.PublicKey {
	t.Helper()
	pub, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	k, err := jose.Ed25519Key(pub)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// directory is an issuer that knows one key, and what happens before it answers.
func directory(t *testing.T, key jose.PublicKey, before func()) *agentKeys {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("keyid") != key.Thumbprint().String() {
			http.NotFound(w, r)
			return
		}
		raw, err := key.MarshalJSON()
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"keys":[%s,"agent":"%s","ws":"default"}]}`, raw[:len(raw)-1], id.New[id.Agent](time.Now()))
		if before != nil {
			before()
		}
	}))
	t.Cleanup(s.Close)
	return &agentKeys{url: s.URL, http: s.Client(), known: map[id.Key]agentKey{}}
}

// What ends while an answer is on its way is not believed for a minute more.
func TestAgentKeysForgetWhatIsOnItsWay(t *testing.T) {
	key := someKey(t)
	var k *agentKeys
	k = directory(t, key, func() { k.forget(key.Thumbprint()) })
	if _, err := k.find(t.Context(), key.Thumbprint(), "192.0.2.1:1", time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, kept := k.known[key.Thumbprint()]; kept {
		t.Error("an answer from before the end is kept")
	}
}

// Strangers, however many, do not keep out who was known.
func TestAgentKeysAndStrangers(t *testing.T) {
	key, now := someKey(t), time.Now()
	k := directory(t, key, nil)
	if is, err := k.find(t.Context(), key.Thumbprint(), "192.0.2.1:1", now); err != nil || is.caller == nil {
		t.Fatal(is, err)
	}
	for i := range maxAgents {
		other, err := id.ParseKey(id.Sum([]byte{byte(i), byte(i >> 8)}).String())
		if err != nil {
			t.Fatal(err)
		}
		k.known[other] = agentKey{read: now}
	}
	now = now.Add(agentFresh)
	over := false
	for range networkQuestions + 1 {
		_, err := k.find(t.Context(), someKey(t).Thumbprint(), "192.0.2.1:1", now)
		over = fault.Code(err) == "overloaded"
	}
	if !over {
		t.Fatal("there is no limit")
	}
	if is, err := k.find(t.Context(), key.Thumbprint(), "192.0.2.1:1", now); err != nil || is.caller == nil {
		t.Error(is, err)
	}
}

// Who makes up keys, from a few networks and as many as they like, does not keep a new one out that comes from elsewhere.
func TestStrangersElsewhere(t *testing.T) {
	key, now := someKey(t), time.Unix(1_800_000_000, 0)
	k := directory(t, key, nil)
	for i := range 20 {
		refused := 0
		for range networkQuestions {
			if _, err := k.find(t.Context(), someKey(t).Thumbprint(), fmt.Sprintf("198.51.100.%d:%d", i, 1+i), now); fault.Code(err) == "overloaded" {
				refused++
			}
		}
		if (refused > 0) != (i > 1) {
			t.Errorf("network %d: %d refused", i, refused)
		}
	}
	if is, err := k.find(t.Context(), key.Thumbprint(), "203.0.113.7:4711", now); err != nil || is.caller == nil {
		t.Error(is, err)
	}
	var s strangers
	asked := 0
	for i := range 4096 {
		for range 3 {
			if s.may(fmt.Sprintf("[2001:db8:%x::%x]:1", i, i), now) {
				asked++
			}
		}
	}
	if asked != firstQuestions+sharedQuestions {
		t.Errorf("%d questions in a second", asked)
	}
	if !s.may("[2001:db8:fff::1]:1", now.Add(time.Second)) {
		t.Error("the next second begins with nothing left")
	}
	for _, same := range [][2]string{{"192.0.2.1:1", "[::ffff:192.0.2.1]:2"}, {"[2001:db8::1]:1", "[2001:db8::ffff:1]:2"}, {"[fe80::1%eth0]:1", "[fe80::2]:1"}, {"", "@"}} {
		if network(same[0]) != network(same[1]) {
			t.Errorf("%q are two networks", same)
		}
	}
	if network("192.0.2.1:1") == network("192.0.2.2:1") || network("[2001:db8::1]:1") == network("[2001:db8:0:1::1]:1") {
		t.Error("two networks are one")
	}
}

// Many requests by one key, which a service that just started does not know, are one question to the issuer.
func TestAgentKeysAreAskedForOnce(t *testing.T) {
	key := someKey(t)
	var asked atomic.Int32
	block := make(chan struct{})
	k := directory(t, key, func() { asked.Add(1); <-block })
	now := time.Unix(1_800_000_000, 0)
	time.AfterFunc(100*time.Millisecond, func() { close(block) })
	var wg sync.WaitGroup
	for range 3 * networkQuestions {
		wg.Go(func() {
			if is, err := k.find(t.Context(), key.Thumbprint(), "192.0.2.1:1", now); err != nil || is.caller == nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}
