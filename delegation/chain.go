package delegation

import (
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// TypeCountersigned is the `typ` of a link: the JWS by which the server accepts a signed statement.
const TypeCountersigned = "attorn-countersign+jws"

// A Link is one hop of a chain in portable form: a compact JWS of the server over the RFC 8785 form of
// {"statement","signature","delegator","at","rev"}. The server says by it: this is the delegator's key, I verified the signature, and I
// accepted the statement at this time and log position. So a link needs nothing beside it but the server's published keys. It exists only
// parsed or countersigned; in JSON it is its compact text.
type Link struct {
	Signed
	Delegator DelegatorKey
	At        int64 // Unix microseconds
	Rev       int64 // position in the server's log
	compact   string
	jws       *jose.JWS
}

// payload is the closed set of members of a link.
type payload struct {
	Statement Statement    `json:"statement"`
	Signature Signature    `json:"signature"`
	Delegator DelegatorKey `json:"delegator"`
	At        int64        `json:"at"`
	Rev       int64        `json:"rev"`
}

// Countersign verifies the delegator's signature with key, which must be known to be theirs, and signs the whole with the server's key s. at
// is when and rev where in the log the statement is accepted. Codes: those of VerifySignature, and too_large.
func Countersign(sd Signed, key DelegatorKey, at time.Time, rev int64, s jose.Signer) (Link, error) {
	if err := VerifySignature(sd, key); err != nil {
		return Link{}, err
	}
	b, err := jose.Canonical(payload{sd.Statement, sd.Signature, key, at.UnixMicro(), rev})
	if err != nil {
		return Link{}, err
	}
	compact, err := jose.Sign(TypeCountersigned, b, s)
	if err != nil {
		return Link{}, err
	}
	return ParseLink(compact)
}

// ParseLink reads a link strictly; no signature is verified yet. Codes: those of jose.Parse, typ_wrong, malformed, not_canonical, and
// those of Statement.Check.
func ParseLink(compact string) (Link, error) {
	j, err := jose.Parse(compact, MaxToken)
	if err != nil {
		return Link{}, err
	}
	return linkOf(compact, j)
}

func linkOf(compact string, j *jose.JWS) (Link, error) {
	if err := j.Is(TypeCountersigned); err != nil {
		return Link{}, err
	}
	var p payload
	if err := jose.Decode(j.Payload, &p, jose.Limits{Bytes: MaxToken}); err != nil {
		return Link{}, err
	}
	if err := canonical(p, j.Payload); err != nil {
		return Link{}, err
	}
	if err := p.Signature.check(); err != nil {
		return Link{}, err
	}
	if p.At <= 0 || p.Rev < 0 {
		return Link{}, badStatement("a countersignature has a time and a log position")
	}
	return Link{Signed{p.Statement, p.Signature}, p.Delegator, p.At, p.Rev, compact, j}, p.Statement.Check()
}

// Kid names the server's key that countersigned; zero where nothing valid is named.
func (l Link) Kid() id.Key {
	if l.jws == nil {
		return id.Key{}
	}
	kid, _ := id.ParseKey(l.jws.Header.Kid)
	return kid
}

// Through is the instance key that the link came by: an agent's that signed it, or the one that the token is bound to on which it rests (Statement.InStead); zero
// for a person's own.
func (l Link) Through() id.Key {
	if at := l.Delegator.Attested; at != nil && at.Token != nil {
		return at.Token.JKT
	}
	return l.Statement.Delegator.Instance
}

// String is the compact form.
func (l Link) String() string { return l.compact }

// MarshalText implements encoding.TextMarshaler.
func (l Link) MarshalText() ([]byte, error) { return []byte(l.compact), nil }

// UnmarshalText implements encoding.TextUnmarshaler; it accepts what ParseLink accepts.
func (l *Link) UnmarshalText(b []byte) (err error) {
	*l, err = ParseLink(string(b))
	return err
}

// ParseToken reads a statement in either compact form, told apart by `typ`: a link, or the delegator's own (Encode), for which link is nil. It
// is the form of a subject_token of type urn:attorn:params:oauth:token-type:delegation. No signature is verified yet. Codes: those of
// ParseLink and ParseStatement.
func ParseToken(compact string) (sd Signed, link *Link, err error) {
	j, err := jose.Parse(compact, MaxToken)
	if err != nil {
		return Signed{}, nil, err
	}
	if j.Header.Typ == TypeCountersigned {
		l, err := linkOf(compact, j)
		if err != nil {
			return Signed{}, nil, err
		}
		return l.Signed, &l, nil
	}
	if err := j.Is(TypeStatement, TypeCountersigned); err != nil {
		return Signed{}, nil, err
	}
	st, err := ParseStatement(j.Payload)
	if err != nil {
		return Signed{}, nil, err
	}
	return Signed{st, Signature{Type: ByJWS, JWS: detach(compact)}}, nil, nil
}

// Verify reports, by a nil error, that a server with one of these keys accepted the statement, and that the delegator it names signed it.
// keys finds a published key of the trusted server by its thumbprint. Codes: key_unknown, those of jose.JWS.Verify and VerifySignature.
func (l Link) Verify(keys func(kid id.Key) (jose.PublicKey, bool)) error {
	if l.jws == nil {
		return fault.New(fault.Invalid, "malformed", "there is no countersigned statement")
	}
	kid, err := id.ParseKey(l.jws.Header.Kid)
	if err != nil {
		return fault.Wrap(err, fault.Unauthenticated, "key_unknown", "the countersignature names no key")
	}
	key, ok := keys(kid)
	if !ok {
		return fault.New(fault.Unauthenticated, "key_unknown", "the countersignature is by a key %s that is none of the trusted server's", kid.Short())
	}
	if err := l.jws.Verify(key); err != nil {
		return err
	}
	return VerifySignature(l.Signed, l.Delegator)
}

// VerifyChain verifies a whole chain, the root first, from its bytes alone: 1 to 8 links, each countersigned and signed (Link.Verify), the first a
// root, each next one following and narrowing the one before (Narrows). The error names the link that fails, counted from 0, and has the code of what
// failed: those of Link.Verify and Narrows, and chain_broken.
//
// It proves what was lent, not that it is live: whether now lies within every link's times, and that none is revoked or used up, is the
// caller's to ask, and so is that the last delegate is the one who acts.
func VerifyChain(links []Link, keys func(kid id.Key) (jose.PublicKey, bool)) error {
	if len(links) == 0 || len(links) > MaxLinks {
		return fault.New(fault.Invalid, "chain_broken", "a chain has 1 to %d links, not %d", MaxLinks, len(links))
	}
	for i, l := range links {
		err := l.Verify(keys)
		switch {
		case err != nil:
		case i > 0:
			err = Narrows(links[i-1].Statement, l.Statement)
		case l.Statement.Parent != nil:
			err = broken("a chain begins with a statement that has no parent")
		}
		if err != nil {
			return inLink(i, l, err)
		}
	}
	return nil
}

func inLink(i int, l Link, err error) error {
	f := fault.Of(err)
	if f == nil {
		return err
	}
	return fault.Wrap(err, f.Kind, f.Code, "link %d (%s): %s", i, l.Statement.ID, f.Reason)
}
