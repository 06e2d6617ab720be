package attorn

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// How long what the issuer published is believed, and how often it is asked.
const (
	keysFresh   = 5 * time.Minute  // as its max-age says (oauth.md §10)
	keysKept    = time.Hour        // without an answer
	keysBetween = 10 * time.Second // between two questions about keys that nobody knows
	keysAgain   = time.Second      // between two questions while there are none
	keysTime    = 10 * time.Second // of a question
	maxDocument = 256 << 10
)

// issuerKeys are the keys that the issuer signs tokens with, as it published them last.
type issuerKeys struct {
	url  string
	http *http.Client

	mu     sync.Mutex
	keys   map[id.Key]jose.PublicKey // nil: none are known
	read   time.Time                 // when they were asked for
	tried  time.Time
	asking chan struct{} // closed when the question is answered; nil: none is open
	forgot uint64        // how often the keys were dropped: an answer that was asked for before may be of before
}

// find knows a key by its thumbprint. One that is known serves while the keys are asked for again because of their age; for one that is not the answer is
// waited for. One question is open at a time, and not too often. Code: issuer_unreachable.
func (k *issuerKeys) find(ctx context.Context, kid id.Key, now time.Time) (jose.PublicKey, bool, error) {
	for range 2 { // the first answer may be of before the keys were dropped
		key, ok, asking, err := k.known(kid, now)
		if err == nil && ok || asking == nil {
			return key, ok, err
		}
		select {
		case <-asking:
		case <-ctx.Done():
			return jose.PublicKey{}, false, unreachableIssuer(k.url)
		}
	}
	key, ok, _, err := k.known(kid, now)
	return key, ok, err
}

func unreachableIssuer(url string) error {
	return fault.New(fault.Unavailable, "issuer_unreachable", "the issuer's keys cannot be read from %s", url).Try("check that the issuer runs and can be reached from this service")
}

// known looks a key up, and asks where it is time to. Code: issuer_unreachable where no keys are believed.
func (k *issuerKeys) known(kid id.Key, now time.Time) (key jose.PublicKey, ok bool, asking chan struct{}, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	age, between := now.Sub(k.read).Abs(), keysBetween
	if k.keys == nil || age > keysKept {
		between, err = keysAgain, unreachableIssuer(k.url)
	} else {
		key, ok = k.keys[kid]
	}
	if (!ok || age >= keysFresh) && k.asking == nil && now.Sub(k.tried).Abs() >= between {
		k.asking, k.tried = make(chan struct{}), now
		go k.ask(k.asking, k.forgot, now)
	}
	return key, ok, k.asking, err
}

// ask reads the keys anew. Nobody's request ends it: others wait for it too.
func (k *issuerKeys) ask(answered chan struct{}, forgot uint64, now time.Time) {
	ctx, cancel := context.WithTimeout(context.Background(), keysTime)
	defer cancel()
	var set struct {
		Keys []jsontext.Value `json:"keys"`
	}
	err := fetchDocument(ctx, k.http, k.url, &set)
	keys := map[id.Key]jose.PublicKey{}
	for _, raw := range set.Keys {
		if key, err := jose.ParseJWK(raw); err == nil { // one of a kind that we do not know signs no token of ours
			keys[key.Thumbprint()] = key
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	close(answered)
	if k.forgot != forgot { // another question was asked since
		return
	}
	k.asking = nil
	if err == nil && len(keys) > 0 {
		k.keys, k.read = keys, now
	}
}

// forget drops the keys: the feed said that one of them changed. None serves until the issuer has said which there are now.
func (k *issuerKeys) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.forgot++
	k.keys, k.tried, k.asking = nil, time.Time{}, nil
}

// fetchDocument reads a public JSON document.
func fetchDocument(ctx context.Context, hc *http.Client, url string, out any) error {
	answer, err := fetchBytes(ctx, hc, url)
	if err != nil {
		return err
	}
	return jose.DecodeForeign(answer, out, jose.Limits{Bytes: maxDocument, Values: 100_000})
}
