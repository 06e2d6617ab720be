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
	maxDocument = 256 << 10
)

// issuerKeys are the keys that the issuer signs tokens with, as it published them last.
type issuerKeys struct {
	url  string
	http *http.Client

	asking sync.Mutex // one question at a time

	mu    sync.RWMutex
	keys  map[id.Key]jose.PublicKey
	read  time.Time // when they were read
	tried time.Time
}

// find knows a key by its thumbprint; an unknown one is asked for, not too often. Code: issuer_unreachable.
func (k *issuerKeys) find(ctx context.Context, kid id.Key, now time.Time) (jose.PublicKey, bool, error) {
	key, ok, fresh, may := k.known(kid, now)
	if ok && fresh {
		return key, true, nil
	}
	if may {
		k.asking.Lock()
		if _, _, _, still := k.known(kid, now); still {
			k.refresh(ctx, now)
		}
		k.asking.Unlock()
		key, ok, _, _ = k.known(kid, now)
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	if now.Sub(k.read) > keysKept {
		return jose.PublicKey{}, false, unreachableIssuer(k.url)
	}
	return key, ok, nil
}

func unreachableIssuer(url string) error {
	return fault.New(fault.Unavailable, "issuer_unreachable", "the issuer's keys cannot be read from %s", url).Try("check that the issuer runs and can be reached from this service")
}

// known looks a key up, and whether it is time to ask again.
func (k *issuerKeys) known(kid id.Key, now time.Time) (key jose.PublicKey, ok, fresh, may bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	key, ok = k.keys[kid]
	fresh = now.Sub(k.read) < keysFresh
	return key, ok, fresh, (!ok || !fresh) && now.Sub(k.tried) >= keysBetween
}

func (k *issuerKeys) refresh(ctx context.Context, now time.Time) {
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
	k.tried = now
	if err == nil && len(keys) > 0 {
		k.keys, k.read = keys, now
	}
}

// stale makes the next look-up ask again: the feed said that a key of the issuer changed.
func (k *issuerKeys) stale() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.read, k.tried = k.read.Add(-keysFresh), time.Time{}
}

// fetchDocument reads a public JSON document.
func fetchDocument(ctx context.Context, hc *http.Client, url string, out any) error {
	answer, err := fetchBytes(ctx, hc, url)
	if err != nil {
		return err
	}
	return jose.DecodeForeign(answer, out, jose.Limits{Bytes: maxDocument, Values: 100_000})
}
