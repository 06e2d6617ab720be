package evidence

import (
	"bytes"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// TypeNow is the `typ` of the JWS that a Now is carried in.
const TypeNow = "attorn-now+jws"

// Now is the server's word on whether the act of an event would be allowed at Rev. It is signed, so that it is the server's; whether it is true shows only
// on the server.
type Now struct {
	V         int          `json:"v"` // 1
	Issuer    string       `json:"iss"`
	Workspace id.Workspace `json:"ws"`
	Event     id.Event     `json:"event"`
	Rev       int64        `json:"rev"` // of the workspace's log when it was said
	At        int64        `json:"at"`  // Unix microseconds
	Outcome   Outcome      `json:"outcome"`
	Code      string       `json:"code,omitempty"`
	Reason    string       `json:"reason,omitempty"` // the first that does not hold
}

// SignNow makes the member now.jws of a pack.
func SignNow(n Now, s jose.Signer) (string, error) {
	b, err := jose.Canonical(n)
	if err != nil {
		return "", err
	}
	return jose.Sign(TypeNow, b, s)
}

// openNow reads what SignNow made and checks the server's signature.
func openNow(compact string, keys func(kid id.Key) (jose.PublicKey, bool)) (Now, error) {
	j, err := jose.Parse(compact, 0)
	if err != nil {
		return Now{}, err
	}
	if err := j.Is(TypeNow); err != nil {
		return Now{}, err
	}
	if err := verifyServer(j, keys); err != nil {
		return Now{}, err
	}
	var n Now
	if err := jose.Decode(j.Payload, &n, jose.Limits{}); err != nil {
		return Now{}, err
	}
	if again, err := jose.Canonical(n); err != nil || !bytes.Equal(again, j.Payload) || n.V != 1 {
		return Now{}, fault.New(fault.Invalid, "malformed", "the server's word is not of version 1 in RFC 8785 form")
	}
	return n, nil
}
