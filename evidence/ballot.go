package evidence

import (
	"bytes"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// TypeBallot is the `typ` of a ballot.
const TypeBallot = "attorn-ballot+jws"

const maxBallot = 24 << 10 // bytes of the compact form

// Ballot is a counted vote in portable form: a compact JWS of the server over the RFC 8785 form of {"vote","signature","voter","at","rev"}. The
// server says by it: this is the voter's key, I verified the signature, and I counted the vote at this time and log position. It verifies with
// the server's published keys alone. It exists only parsed or counted; in JSON it is its compact text.
type Ballot struct {
	SignedVote
	Key     delegation.DelegatorKey // the voter's
	At      int64                   // Unix microseconds
	Rev     int64                   // position in the workspace's log
	compact string
	jws     *jose.JWS
}

type ballotPayload struct {
	Vote      Vote                    `json:"vote"`
	Signature delegation.Signature    `json:"signature"`
	Voter     delegation.DelegatorKey `json:"voter"`
	At        int64                   `json:"at"`
	Rev       int64                   `json:"rev"`
}

// Count verifies the voter's signature with key, which must be known to be theirs, and signs the whole with the server's key s. at is when and
// rev where in the log the vote is counted. Codes: those of SignedVote.Verify, and vote_expired.
func Count(sv SignedVote, key delegation.DelegatorKey, at time.Time, rev int64, s jose.Signer) (Ballot, error) {
	if err := sv.Verify(key); err != nil {
		return Ballot{}, err
	}
	if at.Unix() >= sv.Vote.ExpiresAt {
		return Ballot{}, fault.New(fault.Denied, "vote_expired", "the vote was signed too long ago").Try("vote again")
	}
	b, err := jose.Canonical(ballotPayload{sv.Vote, sv.Signature, key, at.UnixMicro(), rev})
	if err != nil {
		return Ballot{}, err
	}
	compact, err := jose.Sign(TypeBallot, b, s)
	if err != nil {
		return Ballot{}, err
	}
	return ParseBallot(compact)
}

// ParseBallot reads a ballot strictly; no signature is verified yet. Codes: those of jose.Parse, typ_wrong, malformed, vote_invalid.
func ParseBallot(compact string) (Ballot, error) {
	j, err := jose.Parse(compact, maxBallot)
	if err != nil {
		return Ballot{}, err
	}
	if err := j.Is(TypeBallot); err != nil {
		return Ballot{}, err
	}
	var p ballotPayload
	if err := jose.Decode(j.Payload, &p, jose.Limits{Bytes: maxBallot}); err != nil {
		return Ballot{}, err
	}
	if again, err := jose.Canonical(p); err != nil || !bytes.Equal(again, j.Payload) {
		return Ballot{}, fault.New(fault.Invalid, "malformed", "the ballot is not in RFC 8785 form")
	}
	if p.At <= 0 || p.Rev < 0 {
		return Ballot{}, fault.New(fault.Invalid, "malformed", "a ballot has a time and a log position")
	}
	return Ballot{SignedVote{p.Vote, p.Signature}, p.Voter, p.At, p.Rev, compact, j}, p.Vote.Check()
}

// Kid names the server's key that counted; zero where nothing valid is named.
func (b Ballot) Kid() id.Key {
	if b.jws == nil {
		return id.Key{}
	}
	kid, _ := id.ParseKey(b.jws.Header.Kid)
	return kid
}

// String is the compact form, whose bytes are kept as content.
func (b Ballot) String() string { return b.compact }

// MarshalText implements encoding.TextMarshaler.
func (b Ballot) MarshalText() ([]byte, error) { return []byte(b.compact), nil }

// UnmarshalText implements encoding.TextUnmarshaler; it accepts what ParseBallot accepts.
func (b *Ballot) UnmarshalText(text []byte) (err error) {
	*b, err = ParseBallot(string(text))
	return err
}

// Verify reports, by a nil error, that a server with one of these keys counted the vote while it was valid, and that the holder of the voter's key
// signed it. keys finds a published key of the trusted server by its thumbprint. Codes: key_unknown, vote_expired, those of jose.JWS.Verify and
// SignedVote.Verify.
func (b Ballot) Verify(keys func(kid id.Key) (jose.PublicKey, bool)) error {
	if b.jws == nil {
		return fault.New(fault.Invalid, "malformed", "there is no ballot")
	}
	if err := verifyServer(b.jws, keys); err != nil {
		return err
	}
	if b.At/1e6 >= b.Vote.ExpiresAt {
		return fault.New(fault.Denied, "vote_expired", "the vote was counted after it had expired")
	}
	return b.SignedVote.Verify(b.Key)
}

// verifyServer checks a JWS of the server with its published keys.
func verifyServer(j *jose.JWS, keys func(kid id.Key) (jose.PublicKey, bool)) error {
	kid, err := id.ParseKey(j.Header.Kid)
	if err != nil {
		return fault.Wrap(err, fault.Unauthenticated, "key_unknown", "the server's signature names no key")
	}
	key, ok := keys(kid)
	if !ok {
		return fault.New(fault.Unauthenticated, "key_unknown", "it is signed with a key %s that is none of the trusted server's", kid.Short())
	}
	return j.Verify(key)
}
