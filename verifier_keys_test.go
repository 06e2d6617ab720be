package attorn

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/jose"
)

// hold is a question that has arrived and is not answered until it is let go.
type hold struct {
	once             sync.Once
	arrived, release chan struct{}
}

// published is an issuer whose keys can be changed, and which can be held up before it answers.
type published struct {
	keys  atomic.Pointer[[]jose.PublicKey] // nil: it is out of order
	asked atomic.Int32
	hold  atomic.Pointer[hold]
	*issuerKeys
}

func publishes(t *testing.T, keys ...jose.PublicKey) *published {
	t.Helper()
	p := &published{}
	p.keys.Store(&keys)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.asked.Add(1)
		keys := p.keys.Load()
		if h := p.hold.Load(); h != nil {
			h.once.Do(func() { close(h.arrived) })
			<-h.release
		}
		if keys == nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		all := ""
		for i, k := range *keys {
			if i > 0 {
				all += ","
			}
			all += string(k.JWK())
		}
		fmt.Fprintf(w, `{"keys":[%s]}`, all)
	}))
	t.Cleanup(s.Close)
	p.issuerKeys = &issuerKeys{url: s.URL, http: s.Client()}
	return p
}

func (p *published) held() (arrived chan struct{}, release func()) {
	h := &hold{arrived: make(chan struct{}), release: make(chan struct{})}
	p.hold.Store(h)
	return h.arrived, func() { p.hold.Store(nil); close(h.release) }
}

// wait is until the question that is open is answered.
func (p *published) wait() {
	p.mu.Lock()
	asking := p.asking
	p.mu.Unlock()
	if asking != nil {
		<-asking
	}
}

// Keys that are old serve while the issuer is asked for new ones, once, however long it takes.
func TestOldKeysServeMeanwhile(t *testing.T) {
	key, now := someKey(t), time.Unix(1_800_000_000, 0)
	p := publishes(t, key)
	if _, ok, err := p.find(t.Context(), key.Thumbprint(), now); !ok || err != nil {
		t.Fatal(ok, err)
	}
	_, release := p.held()
	now = now.Add(keysFresh)
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			if _, ok, err := p.find(t.Context(), key.Thumbprint(), now); !ok || err != nil {
				t.Error(ok, err)
			}
		})
	}
	all.Wait() // none waits for the answer
	asking, cancel := context.WithCancel(t.Context())
	cancel()
	if _, ok, err := p.find(asking, someKey(t).Thumbprint(), now); ok || fault.Code(err) != "issuer_unreachable" {
		t.Error("an unknown key did not wait for the answer:", ok, err)
	}
	release()
	p.wait()
	if n := p.asked.Load(); n != 2 {
		t.Errorf("asked %d times", n)
	}
	p.keys.Store(nil) // an hour without an answer is too long
	if _, ok, err := p.find(t.Context(), key.Thumbprint(), now.Add(keysKept+time.Second)); ok || fault.Code(err) != "issuer_unreachable" {
		t.Error(ok, err)
	}
}

// A key that nobody knows is asked for by all who want it together, and then not again at once.
func TestUnknownKeysAreAskedForOnce(t *testing.T) {
	key, next, now := someKey(t), someKey(t), time.Unix(1_800_000_000, 0)
	p := publishes(t, key)
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			if _, ok, err := p.find(t.Context(), key.Thumbprint(), now); !ok || err != nil {
				t.Error(ok, err)
			}
		})
	}
	all.Wait()
	for range 10 {
		if _, ok, err := p.find(t.Context(), next.Thumbprint(), now); ok || err != nil {
			t.Error(ok, err)
		}
	}
	if n := p.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	p.keys.Store(&[]jose.PublicKey{key, next})
	if _, ok, err := p.find(t.Context(), next.Thumbprint(), now.Add(keysBetween)); !ok || err != nil {
		t.Error(ok, err)
	}
}

// After the feed said that a key changed, none serves until the issuer has said which there are: an answer that was on its way does not count.
func TestChangedKeysDoNotServe(t *testing.T) {
	exposed, next, now := someKey(t), someKey(t), time.Unix(1_800_000_000, 0)
	p := publishes(t, exposed)
	if _, ok, _ := p.find(t.Context(), exposed.Thumbprint(), now); !ok {
		t.Fatal("the key is not known")
	}
	arrived, release := p.held()
	now = now.Add(keysFresh)
	if _, ok, _ := p.find(t.Context(), exposed.Thumbprint(), now); !ok {
		t.Fatal("an old key does not serve")
	}
	p.mu.Lock()
	before := p.asking
	p.mu.Unlock()
	<-arrived // its answer will have the exposed key
	p.keys.Store(&[]jose.PublicKey{next})
	p.forget()
	release()
	<-before
	if _, ok, err := p.find(t.Context(), exposed.Thumbprint(), now); ok || err != nil {
		t.Error("the exposed key serves:", ok, err)
	}
	if _, ok, err := p.find(t.Context(), next.Thumbprint(), now); !ok || err != nil {
		t.Error(ok, err)
	}
	p.keys.Store(nil)
	p.forget()
	if _, ok, err := p.find(t.Context(), next.Thumbprint(), now); ok || fault.Code(err) != "issuer_unreachable" {
		t.Error("a key serves of which it is not known whether it ended:", ok, err)
	}
	p.keys.Store(&[]jose.PublicKey{next})
	if _, ok, err := p.find(t.Context(), next.Thumbprint(), now.Add(keysAgain)); !ok || err != nil {
		t.Error("not asked again soon:", ok, err)
	}
}
