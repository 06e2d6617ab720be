package dpop

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/jose"
)

const (
	window      = 120 // seconds; a nonce is good in its window and the next
	nonceDomain = "dpop-nonce/1"
	nonceBytes  = 8 + 16
	minNonceKey = 32
)

// Nonces issues and checks DPoP nonces (RFC 9449 §8) without keeping any: a nonce is base64url(window ‖ HMAC-SHA-256(Key, "dpop-nonce/1" ‖
// window)[:16]), where window is the time divided by 120 s as 64 bits, big-endian. Servers that share Key accept each other's. A Key of
// fewer than 32 bytes accepts nothing.
type Nonces struct{ Key []byte }

// Issue is the nonce of now. It is no secret and the same for everybody: it proves that a proof is fresh, not who made it.
func (n Nonces) Issue(now time.Time) string { return n.at(now.Unix() / window) }

// Check reports whether nonce was issued in this window or the last.
func (n Nonces) Check(nonce string, now time.Time) bool {
	w := now.Unix() / window
	is := func(w int64) bool { return hmac.Equal([]byte(nonce), []byte(n.at(w))) }
	return len(n.Key) >= minNonceKey && (is(w) || is(w-1)) // which of the two it is nobody need hide
}

// Demand refuses a proof whose nonce does not pass Check. The answer carries Issue in its DPoP-Nonce header. Code: dpop_nonce_required.
func (n Nonces) Demand(p Proof, now time.Time) error {
	if n.Check(p.Nonce, now) {
		return nil
	}
	return fault.New(fault.Unauthenticated, "dpop_nonce_required", "the DPoP proof needs the nonce that this answer carries").
		Try("repeat the request with a new proof whose nonce is the value of the DPoP-Nonce header")
}

func (n Nonces) at(w int64) string {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, nonceBytes), uint64(w))
	mac := hmac.New(sha256.New, n.Key)
	mac.Write([]byte(nonceDomain))
	mac.Write(b)
	return jose.EncodeBase64(mac.Sum(b)[:nonceBytes])
}
