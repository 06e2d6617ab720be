package jose

import (
	"bytes"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

const (
	objectTyp     = "attorn-object+jws"
	maxObject     = 64 << 10         // bytes of the payload
	maxObjectJWS  = 88 << 10         // characters: the payload in base64url, header and signature
	maxSeconds    = 253_402_300_799  // the last second of the year 9999
	minNonce      = 22               // characters: 128 bits in base64url
	maxNonce      = 64               //
	objectLeeway  = 30 * time.Second // how far clocks may differ
	maxObjectName = 2048             // bytes of iss and aud
)

// objectLimits are those of a signed object's payload.
var objectLimits = Limits{Bytes: maxObject, Depth: 16}

// ObjectClaims is what a signature adds to an object.
type ObjectClaims struct {
	Issuer   string    // who signs: an agent's identifier
	Audience string    // whom it is for
	Nonce    string    // 22 to 64 characters of base64url, at least 128 bits of them random: once per key
	IssuedAt time.Time // cut to seconds
	Expires  time.Time // cut to seconds; zero: never
}

// Object is a signed object that OpenObject verified.
type Object struct {
	ObjectClaims
	Key     PublicKey
	Object  []byte // what was given to SignObject, in RFC 8785 form
	Payload []byte // what was signed: Object with the members of ObjectClaims
}

// ObjectWant is what an object must have been signed for.
type ObjectWant struct {
	Audience string
	// Key finds the key that issuer has under a thumbprint. No key is one that is not known, or no longer good; an error is passed on.
	Key func(issuer string, kid id.Key) (PublicKey, error)
	Now time.Time
	// Past is how old an object may be that does not say itself when it expires; 0: of any age.
	Past time.Duration
}

// objectClaims is ObjectClaims as members of the payload.
type objectClaims struct {
	Aud   string `json:"aud"`
	Exp   int64  `json:"exp,omitzero"`
	Iat   int64  `json:"iat"`
	Iss   string `json:"iss"`
	Nonce string `json:"nonce"`
}

// reserved are the members that a signature adds.
var reserved = [...]string{"aud", "exp", "iat", "iss", "nonce"}

// SignObject signs any JSON object that is no HTTP request: a message, an item of a queue, a commit. The result is a compact JWS with typ
// attorn-object+jws over the RFC 8785 form of the object with the members iss, iat, aud, nonce and, where it expires, exp. An object that has one of
// these already is refused, and so are numbers other than integers between -(2^53-1) and 2^53-1, more than 16 levels, and more than
// 64 KiB. Codes: malformed, too_large.
func SignObject(object []byte, c ObjectClaims, s Signer) (string, error) {
	in := objectClaims{Aud: c.Audience, Iat: c.IssuedAt.Unix(), Iss: c.Issuer, Nonce: c.Nonce}
	if !c.Expires.IsZero() {
		in.Exp = c.Expires.Unix()
	}
	if err := in.check(!c.Expires.IsZero()); err != nil {
		return "", err
	}
	var members map[string]jsontext.Value
	if err := decodeObject(object, &members); err != nil {
		return "", err
	}
	for _, name := range reserved {
		if _, there := members[name]; there {
			return "", fault.New(fault.Invalid, "malformed", "the object has the member %s, which the signature adds", name).Try("put the object into a member of another one")
		}
	}
	own, err := Canonical(in)
	if err != nil {
		return "", err
	}
	if err := Decode(own, &members, Limits{}); err != nil { // adds to the map
		return "", err
	}
	payload, err := Canonical(members)
	if err != nil {
		return "", err
	}
	if len(payload) > maxObject {
		return "", fault.New(fault.TooLarge, "too_large", "the object would have %d bytes; at most %d are signed", len(payload), maxObject).Try("sign the digest of a large object instead")
	}
	return Sign(objectTyp, payload, s)
}

// OpenObject verifies a signed object: typ, the signature by the key that want.Key finds under the header's kid for the payload's iss, that the payload is
// in RFC 8785 form, byte for byte, audience and time; clocks may differ by 30 s. That Nonce was not seen under Key before is its caller's to check.
// Codes: those of Parse, typ_wrong, alg_key_mismatch, signature_invalid, object_key_unknown, object_audience, object_time.
func OpenObject(compact string, want ObjectWant) (Object, error) {
	j, err := Parse(compact, maxObjectJWS)
	if err != nil {
		return Object{}, err
	}
	if err := j.Is(objectTyp); err != nil {
		return Object{}, err
	}
	kid, err := id.ParseKey(j.Header.Kid)
	if err != nil || !j.Header.JWK.IsZero() {
		return Object{}, fault.New(fault.Invalid, "malformed", "the header of a signed object names the key by kid, the RFC 7638 thumbprint, and has no jwk").
			Try("set kid to the thumbprint of the key that signs")
	}
	var c objectClaims
	var members map[string]jsontext.Value
	if err := decodeObject(j.Payload, &members); err != nil {
		return Object{}, err
	}
	if err := DecodeForeign(j.Payload, &c, objectLimits); err != nil {
		return Object{}, err
	}
	_, expires := members["exp"]
	if err := c.check(expires); err != nil {
		return Object{}, err
	}
	if payload, err := Canonical(members); err != nil || !bytes.Equal(payload, j.Payload) {
		return Object{}, fault.Wrap(err, fault.Invalid, "malformed", "the signed bytes are not the RFC 8785 form of what they say").
			Try("sign the canonical form: members sorted, no white space, integers in plain digits")
	}
	key, err := want.Key(c.Iss, kid)
	if err != nil {
		return Object{}, err
	}
	if key.IsZero() || key.Thumbprint() != kid {
		return Object{}, fault.New(fault.Unauthenticated, "object_key_unknown", "the key of the object is not one that its issuer may sign with").
			Try("sign with a live key of iss")
	}
	if err := j.Verify(key); err != nil {
		return Object{}, err
	}
	if err := c.fits(want); err != nil {
		return Object{}, err
	}
	for _, name := range reserved {
		delete(members, name)
	}
	object, err := Canonical(members)
	return Object{c.claims(), key, object, j.Payload}, err
}

// decodeObject reads an object of a signed payload's limits. Numbers are held to their rule by Canonical.
func decodeObject(raw []byte, into *map[string]jsontext.Value) error {
	if err := Decode(raw, into, objectLimits); err != nil {
		return err
	}
	if *into == nil {
		return fault.New(fault.Invalid, "malformed", "what is signed is a JSON object").Try("put the value into an object")
	}
	return nil
}

func (c objectClaims) claims() ObjectClaims {
	out := ObjectClaims{Issuer: c.Iss, Audience: c.Aud, Nonce: c.Nonce, IssuedAt: time.Unix(c.Iat, 0)}
	if c.Exp != 0 {
		out.Expires = time.Unix(c.Exp, 0)
	}
	return out
}

func (c objectClaims) check(expires bool) error {
	switch {
	case c.Iss == "" || len(c.Iss) > maxObjectName || c.Aud == "" || len(c.Aud) > maxObjectName:
		return fault.New(fault.Invalid, "malformed", "a signed object has iss and aud of 1 to %d bytes", maxObjectName).Try("name who signs in iss, and who is to read it in aud")
	case len(c.Nonce) < minNonce || len(c.Nonce) > maxNonce || strings.ContainsFunc(c.Nonce, notBase64):
		return fault.New(fault.Invalid, "malformed", "a signed object has a nonce of %d to %d characters of base64url", minNonce, maxNonce).Try("set nonce to 16 random bytes in base64url, new for each object")
	case c.Iat <= 0 || c.Iat > maxSeconds || expires && (c.Exp <= c.Iat || c.Exp > maxSeconds):
		return fault.New(fault.Invalid, "malformed", "a signed object has iat, and exp after it or none, in whole seconds after 1970").Try("set iat to the time of signing, and exp later or not at all")
	}
	return nil
}

func notBase64(c rune) bool {
	return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_'
}

func (c objectClaims) fits(want ObjectWant) error {
	iat, exp := time.Unix(c.Iat, 0), time.Unix(c.Exp, 0)
	late := func(reason string) error {
		return fault.New(fault.Unauthenticated, "object_time", "%s", reason).Try("check the clock")
	}
	switch {
	case c.Aud != want.Audience: // which is somebody: iss and aud are never empty
		return fault.New(fault.Unauthenticated, "object_audience", "the signed object is for another audience").Try("sign it for the reader's own name, byte for byte")
	case iat.After(want.Now.Add(objectLeeway)):
		return late("the signed object was issued later than now")
	case c.Exp != 0 && !want.Now.Add(-objectLeeway).Before(exp):
		return late("the signed object has expired")
	case c.Exp == 0 && want.Past > 0 && iat.Before(want.Now.Add(-want.Past)):
		return late("the signed object is too old")
	}
	return nil
}
