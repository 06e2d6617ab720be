package jose

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"math/big"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

// PublicKey is an Ed25519 or P-256 public key that was checked when it was made. Values are comparable with ==; the zero value is no key and
// verifies nothing.
type PublicKey struct {
	alg   string   // algEdDSA or algES256: the key's type decides the algorithm
	x, y  [32]byte // Ed25519: the encoded point in x; P-256: both coordinates, big-endian
	thumb id.Key
}

// Ed25519Key wraps an Ed25519 key. Codes: malformed, and weak_key for a key of small order or with a y that is not canonical.
func Ed25519Key(pub ed25519.PublicKey) (PublicKey, error) {
	if len(pub) != ed25519.PublicKeySize {
		return PublicKey{}, fault.New(fault.Invalid, "malformed", "an Ed25519 public key has 32 bytes, not %d", len(pub)).Try("send the key as RFC 8037 §2 writes it")
	}
	if !checkPoint(pub) {
		return PublicKey{}, fault.New(fault.Invalid, "weak_key", "the Ed25519 public key is of small order or not canonical: one signature would fit every message").
			Try("make a new key pair with a standard generator")
	}
	return PublicKey{alg: algEdDSA, x: [32]byte(pub)}.named(), nil
}

// P256Key wraps an ECDSA key on the curve P-256. Codes: alg_unsupported for another curve, malformed for a point that is not on it.
func P256Key(pub *ecdsa.PublicKey) (PublicKey, error) {
	if pub == nil || pub.Curve != elliptic.P256() {
		return PublicKey{}, fault.New(fault.Invalid, "alg_unsupported", "the ECDSA key is not on the curve P-256").Try("use an Ed25519 key")
	}
	//lint:ignore SA1019 only asked whether they are there: Bytes would panic
	if pub.X == nil || pub.Y == nil {
		return PublicKey{}, errPoint(nil)
	}
	b, err := pub.Bytes()
	if err != nil {
		return PublicKey{}, errPoint(err)
	}
	return p256([32]byte(b[1:33]), [32]byte(b[33:]))
}

func p256(x, y [32]byte) (PublicKey, error) {
	k := PublicKey{alg: algES256, x: x, y: y}
	if _, err := k.ecdsa(); err != nil {
		return PublicKey{}, errPoint(err)
	}
	return k.named(), nil
}

func errPoint(cause error) error {
	return fault.Wrap(cause, fault.Invalid, "malformed", "the key's coordinates are not a point of the curve P-256").Try("send the key as RFC 7518 §6.2 writes it")
}

func (k PublicKey) ecdsa() (*ecdsa.PublicKey, error) {
	b := make([]byte, 0, 65)
	b = append(b, 4) // uncompressed, SEC 1 §2.3.3
	b = append(b, k.x[:]...)
	return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(b, k.y[:]...))
}

func (k PublicKey) named() PublicKey {
	k.thumb = id.KeyOf(id.Sum(k.JWK()))
	return k
}

// jwk is what is read of a JWK. The members of the second group hold private or secret parts (RFC 7518 §6.2.2, §6.3.2, §6.4; RFC 8037 §2).
type jwk struct {
	Kty string `json:"kty"`
	Crv string `json:"crv"`
	X   string `json:"x"`
	Y   string `json:"y"`

	D    jsontext.Value `json:"d"`
	P    jsontext.Value `json:"p"`
	Q    jsontext.Value `json:"q"`
	DP   jsontext.Value `json:"dp"`
	DQ   jsontext.Value `json:"dq"`
	QI   jsontext.Value `json:"qi"`
	Oth  jsontext.Value `json:"oth"`
	K    jsontext.Value `json:"k"`
	Priv jsontext.Value `json:"priv"`
}

// ParseJWK reads a public key from a JWK (RFC 7517, RFC 8037 §2, RFC 7518 §6.2). Members that do not make the key (kid, use, alg …) are
// ignored; a member that holds a private or secret part is refused, whatever its value. Codes: malformed, too_large, alg_unsupported,
// weak_key, private_key.
func ParseJWK(raw []byte) (PublicKey, error) {
	var in jwk
	if err := DecodeForeign(raw, &in, Limits{Bytes: 8 << 10, Depth: 4, Values: 128}); err != nil {
		return PublicKey{}, err
	}
	for _, private := range []jsontext.Value{in.D, in.P, in.Q, in.DP, in.DQ, in.QI, in.Oth, in.K, in.Priv} {
		if private != nil {
			return PublicKey{}, fault.New(fault.Invalid, "private_key", "the key was sent with its private part, which must never leave its holder").
				Try("send the public members alone, and replace this key: it was exposed on the way")
		}
	}
	switch {
	case in.Kty == "OKP" && in.Crv == "Ed25519":
		x, err := DecodeBase64(in.X)
		if err != nil {
			return PublicKey{}, err
		}
		return Ed25519Key(x)
	case in.Kty == "EC" && in.Crv == "P-256":
		x, errX := coordinate(in.X)
		y, errY := coordinate(in.Y)
		if err := cmp.Or(errX, errY); err != nil {
			return PublicKey{}, err
		}
		return p256(x, y)
	case in.Kty == "":
		return PublicKey{}, fault.New(fault.Invalid, "malformed", "the JWK has no kty").Try("send the key as RFC 7517 §4 writes it")
	}
	return PublicKey{}, fault.New(fault.Invalid, "alg_unsupported", "the key's type is neither Ed25519 (kty OKP) nor P-256 (kty EC)").
		Try("use an Ed25519 key")
}

// coordinate is always as long as the field (RFC 7518 §6.2.1.2).
func coordinate(s string) ([32]byte, error) {
	b, err := DecodeBase64(s)
	if err != nil {
		return [32]byte{}, err
	}
	if len(b) != 32 {
		return [32]byte{}, fault.New(fault.Invalid, "malformed", "a coordinate of a P-256 key has 32 bytes, not %d", len(b)).Try("keep leading zeros (RFC 7518 §6.2.1.2)")
	}
	return [32]byte(b), nil
}

// JWK is the key as a JWK with the required members alone, in the order and form that the thumbprint is taken of (RFC 7638 §3.2, RFC 8037 §2).
// It is nil for no key.
func (k PublicKey) JWK() []byte {
	switch k.alg {
	case algEdDSA:
		return []byte(`{"crv":"Ed25519","kty":"OKP","x":"` + EncodeBase64(k.x[:]) + `"}`)
	case algES256:
		return []byte(`{"crv":"P-256","kty":"EC","x":"` + EncodeBase64(k.x[:]) + `","y":"` + EncodeBase64(k.y[:]) + `"}`)
	}
	return nil
}

// MarshalJSON is JWK; no key is null.
func (k PublicKey) MarshalJSON() ([]byte, error) {
	if k.IsZero() {
		return []byte("null"), nil
	}
	return k.JWK(), nil
}

// UnmarshalJSON is ParseJWK; null is refused.
func (k *PublicKey) UnmarshalJSON(raw []byte) error {
	v, err := ParseJWK(raw)
	if err == nil {
		*k = v
	}
	return err
}

// Thumbprint is the key's name: SHA-256 of JWK (RFC 7638 §3).
func (k PublicKey) Thumbprint() id.Key { return k.thumb }

// Type is "Ed25519", "P-256", or "" for no key.
func (k PublicKey) Type() string {
	switch k.alg {
	case algEdDSA:
		return "Ed25519"
	case algES256:
		return "P-256"
	}
	return ""
}

// IsZero reports whether k is no key.
func (k PublicKey) IsZero() bool { return k.alg == "" }

// Verify checks a signature of message by this key: Ed25519 with canonical A, R and S and no A or R of small order, or ES256 as r and s of 32
// bytes each (RFC 7518 §3.4; both values of s are accepted). Code: signature_invalid.
func (k PublicKey) Verify(message, sig []byte) error {
	switch k.alg {
	case algEdDSA:
		return verifyEd25519(&k.x, message, sig)
	case algES256:
		pub, err := k.ecdsa()
		digest := sha256.Sum256(message)
		if err == nil && len(sig) == 64 && ecdsa.Verify(pub, digest[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])) {
			return nil
		}
	}
	return errSignature()
}
