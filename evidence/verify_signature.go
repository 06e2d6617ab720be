package evidence

import (
	"fmt"
	"strings"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/httpsig"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// bySignature reports whether the request was proved by a message signature, alone or beside a token.
func (v *verifier) bySignature() bool {
	p := v.event.Who.Proof
	return p != nil && p.Type == "httpsig"
}

// checkSignature verifies the message signature of the request of a call, from its record: what was signed names method, URL, audience, the token and, where
// the caller said it, the call.
func (v *verifier) checkSignature() (string, error) {
	e := v.event
	raw, ok := v.details["proof"]
	if !ok || v.under().Token != nil && v.claims == nil {
		return "", notShown("the message signature, or the token that it covers, is not in the pack")
	}
	audience, err := v.audience()
	if err != nil {
		return "", err
	}
	s, err := httpsig.VerifyRecord(string(raw), httpsig.Want{Audience: audience, Key: v.recordedKey, Now: v.when(), Leeway: held})
	if fault.Code(err) == "signature_key_unknown" {
		return "", notShown("the entry of the log that has the key of the signature is not in the pack")
	}
	if err != nil {
		return "", err
	}
	_, token, _ := strings.Cut(s.Authorization, " ")
	switch {
	case s.Method != "POST" || s.TargetURI != audience:
		return "", wrong("the signature is on %s %s, not on POST %s", s.Method, s.TargetURI, audience)
	case token != v.raw || v.claims != nil && v.claims.JKT != s.KeyID:
		return "", wrong("the signature is beside another token, or by another key than the token is bound to")
	case s.KeyID != e.Who.Instance && !v.person():
		return "", wrong("the signature is by the key %s, the event names %s", s.KeyID.Short(), e.Who.Instance.Short())
	case s.CallDigest != "" && s.CallDigest != e.Did.Digest.String():
		return "", wrong("the signature is on another call than the event")
	}
	v.signer = s.Key
	what := "the token"
	if v.claims == nil {
		what = "no token"
	}
	if s.CallDigest != "" {
		what += ", the call"
	}
	return fmt.Sprintf("signed by %s, bound to POST %s, %s and the body", s.KeyID.Short(), audience, what), nil
}

// recordedKey finds a key in what the log says of keys. Which key it must be, its name says: whose it is, checkKeys.
func (v *verifier) recordedKey(kid id.Key) (jose.PublicKey, error) {
	e := v.last(func(e *entry) bool { return e.What.Key != nil && e.What.Key.Thumbprint() == kid })
	if e == nil {
		return jose.PublicKey{}, nil
	}
	return *e.What.Key, nil
}
