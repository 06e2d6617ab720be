package evidence

import (
	"fmt"
	"time"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

// issuerKey is a key of the issuer in the server's history.
type issuerKey struct {
	key   jose.PublicKey
	at    int64  // microseconds, when it was published
	ended *entry // the key.retired in the log of the event's workspace; nil while the key is not known to have ended
}

// clocks is how far the clocks of the server's nodes may differ: a token has no place in the log but its time.
const clocks = 30 * time.Second

// issuerKeys collects the keys that the server had published for tokens, countersignatures and ballots. That they were published is said by the server's
// own log; when one ended, in relation to what happened in the workspace, by the workspace's.
func (v *verifier) issuerKeys() (string, error) {
	for i := range v.entries {
		e := &v.entries[i]
		if e.workspace != id.Server || e.Kind != KeyPublished || e.Outcome != OK || e.What == nil || e.What.Use != UseToken {
			continue
		}
		if e.What.Key == nil || e.What.Key.IsZero() {
			return "", wrong("server #%d publishes no key", e.Rev)
		}
		v.issuer[e.What.Key.Thumbprint()] = issuerKey{key: *e.What.Key, at: e.At}
	}
	ended := 0
	for i := range v.entries {
		e := &v.entries[i]
		if e.workspace != v.event.workspace || e.Kind != KeyRetired || e.Outcome != OK || e.What == nil || e.What.Use != UseToken || e.What.Key == nil {
			continue
		}
		kid := e.What.Key.Thumbprint()
		if k, ok := v.issuer[kid]; ok && (k.ended == nil || e.Rev < k.ended.Rev) {
			k.ended = e
			v.issuer[kid] = k
			ended++
		}
	}
	said := fmt.Sprintf("%d published in the server log", len(v.issuer))
	if ended > 0 {
		said += fmt.Sprintf(", %d of them retired since", ended)
	}
	return said, nil
}

// key finds an issuer key that was published before the event; signatures of the server are checked with nothing else.
func (v *verifier) key(kid id.Key) (jose.PublicKey, bool) {
	k, ok := v.issuer[kid]
	return k.key, ok && k.at <= v.event.At+clocks.Microseconds()
}

// nowKey finds an issuer key whenever it was published: the server's word on now is younger than the event.
func (v *verifier) nowKey(kid id.Key) (jose.PublicKey, bool) {
	k, ok := v.issuer[kid]
	return k.key, ok
}

// signedAt demands that the key had not been retired where in the log what it signed was accepted: the log's order decides, not what a clock said.
func (v *verifier) signedAt(what string, kid id.Key, rev int64) error {
	if k := v.issuer[kid]; k.ended != nil && rev >= k.ended.Rev {
		return wrong("%s, at #%d, is by a key that had been retired at #%d", what, rev, k.ended.Rev)
	}
	return nil
}

// tokenSigned demands of a token, which says only when it was issued, that its key signed then; and, of a key that somebody else may have had, that it was
// used before that was known: such tokens ended together.
func (v *verifier) tokenSigned(kid id.Key, c token.Claims) error {
	k := v.issuer[kid]
	if time.Unix(c.IssuedAt, 0).Add(clocks).Before(time.UnixMicro(k.at).Truncate(time.Second)) {
		return wrong("the token was issued before its key was published")
	}
	if k.ended == nil {
		return nil
	}
	if time.Unix(c.IssuedAt, 0).After(time.UnixMicro(k.ended.At).Add(clocks)) {
		return wrong("the token was issued after its key had been retired, at #%d", k.ended.Rev)
	}
	if k.ended.What.Status == KeyCompromised && v.event.Rev > k.ended.Rev {
		return wrong("the token is by a key that was known at #%d to be compromised: it had ended", k.ended.Rev)
	}
	return nil
}
