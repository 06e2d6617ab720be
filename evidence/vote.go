package evidence

import (
	"bytes"
	"strings"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// The two ways to vote, and the one way to reuse an approval: not at all.
const (
	Approve   = "approve"
	Refuse    = "deny"
	ReuseOnce = "once"
)

// TypeVote is the `typ` of a JWS by which a person signs a vote with a registered key.
const TypeVote = "attorn-vote+jws"

const (
	typVote   = "attorn-vote"
	maxAsked  = 20      // approvals in one vote to deny
	maxReason = 500     // bytes
	maxVote   = 8 << 10 // bytes
)

// Vote is a person's word on approvals, as they sign it (policy.md §6). Times are Unix seconds; it counts from At until before ExpiresAt.
type Vote struct {
	V         int          `json:"v"`   // 1
	Typ       string       `json:"typ"` // attorn-vote
	Issuer    string       `json:"iss"`
	Workspace id.Workspace `json:"ws"`
	Asks      []Asked      `json:"asks"` // one to approve, up to 20 to deny
	Vote      string       `json:"vote"` // Approve or Refuse
	Reuse     string       `json:"reuse"`
	Voter     id.User      `json:"voter"`
	For       *id.User     `json:"for"` // whom the voter stands in for
	Reason    string       `json:"reason"`
	At        int64        `json:"at"`
	ExpiresAt int64        `json:"expires_at"`
	Nonce     string       `json:"nonce"` // the server's, used once
}

// Asked names an approval, the stage of its flow that the vote is for (of a flow "<n> of <role>" the role), and the digest of its object.
type Asked struct {
	ID     id.Approval `json:"id"`
	Stage  string      `json:"stage"`
	Object id.Digest   `json:"object"`
}

// Bytes is the vote's one form, which the voter signs: RFC 8785. Codes: vote_invalid, too_large.
func (v Vote) Bytes() ([]byte, error) {
	if err := v.Check(); err != nil {
		return nil, err
	}
	b, err := jose.Canonical(v)
	if err == nil && len(b) > maxVote {
		err = fault.New(fault.TooLarge, "too_large", "a vote has at most %d bytes, not %d", maxVote, len(b))
	}
	return b, err
}

// Challenge is the SHA-256 of Bytes: what a passkey signs.
func (v Vote) Challenge() (id.Digest, error) {
	b, err := v.Bytes()
	if err != nil {
		return id.Digest{}, err
	}
	return id.Sum(b), nil
}

// ParseVote reads exactly what Bytes writes. Codes: malformed, too_large, vote_invalid.
func ParseVote(raw []byte) (Vote, error) {
	var v Vote
	if err := jose.Decode(raw, &v, jose.Limits{Bytes: maxVote}); err != nil {
		return Vote{}, err
	}
	again, err := v.Bytes()
	if err != nil {
		return Vote{}, err
	}
	if !bytes.Equal(again, raw) {
		return Vote{}, fault.New(fault.Invalid, "malformed", "the vote is not in RFC 8785 form")
	}
	return v, nil
}

// Check holds the vote to the rules that need nothing else. Code: vote_invalid.
func (v Vote) Check() error {
	bad := func(reason string) error { return fault.New(fault.Invalid, "vote_invalid", "a vote %s", reason) }
	switch {
	case v.V != 1 || v.Typ != typVote:
		return bad("is of version 1 and typ attorn-vote")
	case v.Issuer == "" || v.Workspace.IsZero() || v.Voter.IsZero() || v.Nonce == "" || len(v.Nonce) > 128:
		return bad("names its issuer, workspace, voter and nonce")
	case v.Vote != Approve && v.Vote != Refuse:
		return bad("approves or denies")
	case v.Vote == Approve && len(v.Asks) != 1 || len(v.Asks) < 1 || len(v.Asks) > maxAsked:
		return bad("is to approve one thing, or to deny up to 20")
	case v.Reuse != ReuseOnce:
		return bad("is for one use")
	case v.For != nil && (v.For.IsZero() || *v.For == v.Voter):
		return bad("stands in for somebody else or for nobody")
	case v.At <= 0 || v.ExpiresAt <= v.At:
		return bad("ends after it begins")
	case len(v.Reason) > maxReason:
		return bad("has a reason of at most 500 bytes")
	}
	for _, a := range v.Asks {
		if a.ID.IsZero() || a.Object.IsZero() || len(a.Stage) > 128 {
			return bad("names what it is on by id and digest")
		}
	}
	return nil
}

// SignedVote is a vote with its voter's signature: what a voter hands to the server. The signature is a passkey's over Challenge, or a detached JWS
// of type TypeVote by a key that the person registered, as in a delegation.
type SignedVote struct {
	Vote      Vote                 `json:"vote"`
	Signature delegation.Signature `json:"signature"`
}

// SignVote makes the signature with a registered key.
func SignVote(v Vote, s jose.Signer) (SignedVote, error) {
	b, err := v.Bytes()
	if err != nil {
		return SignedVote{}, err
	}
	compact, err := jose.Sign(TypeVote, b, s)
	if err != nil {
		return SignedVote{}, err
	}
	head, rest, _ := strings.Cut(compact, ".")
	_, signature, _ := strings.Cut(rest, ".")
	return SignedVote{v, delegation.Signature{Type: delegation.ByJWS, JWS: head + ".." + signature}}, nil
}

// Verify reports, by a nil error, that the holder of key signed exactly this vote. Whose key it is, and whether they may vote, is the caller's to
// ask. Codes: those of Vote.Check, signature_malformed, key_mismatch, typ_wrong, those of jose.JWS.Verify and delegation.Assertion.Verify.
func (sv SignedVote) Verify(key delegation.DelegatorKey) error {
	b, err := sv.Vote.Bytes()
	if err != nil {
		return err
	}
	sig := sv.Signature
	switch {
	case sig.Type == delegation.ByPasskey && sig.Passkey != nil && sig.JWS == "":
		if key.Passkey == nil {
			return wrongKey()
		}
		return sig.Passkey.Verify(key.Passkey.Key, id.Sum(b), key.Passkey.RPID, key.Passkey.Origin)
	case sig.Type == delegation.ByJWS && sig.Passkey == nil:
		return verifyDetached(sig.JWS, b, key.JWK)
	}
	return fault.New(fault.Invalid, "signature_malformed", "a vote is signed with a passkey or a registered key")
}

func verifyDetached(detached string, payload []byte, key jose.PublicKey) error {
	head, signature, ok := strings.Cut(detached, "..")
	if !ok {
		return fault.New(fault.Invalid, "signature_malformed", "the signature is not a detached JWS: header..signature")
	}
	j, err := jose.Parse(head+"."+jose.EncodeBase64(payload)+"."+signature, 0)
	if err != nil {
		return err
	}
	if err := j.Is(TypeVote); err != nil {
		return err
	}
	if key.IsZero() || j.Header.Kid != key.Thumbprint().String() {
		return wrongKey()
	}
	return j.Verify(key)
}

func wrongKey() error {
	return fault.New(fault.Unauthenticated, "key_mismatch", "the vote is signed with another key than the voter's")
}
