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
	if _, err := k.find(t.Context(), key.Thumbprint(), time.Now()); err != nil {
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
	if is, err := k.find(t.Context(), key.Thumbprint(), now); err != nil || is.agent.IsZero() {
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
	for range maxQuestions + 1 {
		_, err := k.find(t.Context(), someKey(t).Thumbprint(), now)
		over = fault.Code(err) == "overloaded"
	}
	if !over {
		t.Fatal("there is no limit")
	}
	if is, err := k.find(t.Context(), key.Thumbprint(), now); err != nil || is.agent.IsZero() {
		t.Error(is, err)
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
	for range 3 * maxQuestions {
		wg.Go(func() {
			if is, err := k.find(t.Context(), key.Thumbprint(), now); err != nil || is.agent.IsZero() {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}
