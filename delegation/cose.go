package delegation

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"fmt"
	"math/big"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/jose"
)

// A CredentialKey is a passkey's public key in the one form that authenticators give it: a COSE_Key (RFC 9052 §7) in CTAP2 canonical CBOR
// with the required parameters alone (WebAuthn §6.5.1.1). It is ES256 on P-256 (RFC 9053 §2.1), EdDSA on Ed25519 (§2.2), or RS256 with a
// modulus of 2048 to 4096 bits and the exponent 65537 (RFC 8812 §2), which many Windows authenticators offer alone. It exists only parsed.
type CredentialKey struct {
	cose string
	key  any // *ecdsa.PublicKey, jose.PublicKey (Ed25519) or *rsa.PublicKey
}

// The COSE parameters in use (IANA COSE registries).
const (
	coseKty, coseAlg                           = 1, 3
	ktyOKP, ktyEC2, ktyRSA                     = 1, 2, 3
	algES256, algEdDSA, algRS256               = -7, -8, -257
	crvP256, crvEd25519                        = 1, 6
	maxCOSE                                    = 1024
	minModulusBits, maxModulusBits, exponentF4 = 2048, 4096, 65537
)

// ParseCOSE reads a COSE_Key. Codes: key_malformed, weak_key.
func ParseCOSE(raw []byte) (CredentialKey, error) {
	if len(raw) > maxCOSE {
		return CredentialKey{}, badKey("it has more than %d bytes", maxCOSE)
	}
	r := &cbor{rest: raw}
	members := r.head(majorMap)
	kty, alg := r.at(coseKty).integer(), r.at(coseAlg).integer()
	var key any
	var err error
	switch {
	case r.bad:
	case kty == ktyEC2 && alg == algES256 && members == 5:
		key, err = r.p256()
	case kty == ktyOKP && alg == algEdDSA && members == 4:
		key, err = r.ed25519()
	case kty == ktyRSA && alg == algRS256 && members == 4:
		key, err = r.rsa()
	default:
		return CredentialKey{}, badKey("its type and algorithm are not ES256 on P-256, EdDSA on Ed25519 or RS256")
	}
	if r.bad || len(r.rest) > 0 && err == nil {
		return CredentialKey{}, badKey("it is not one canonical CBOR map of the parameters that its type requires")
	}
	if err != nil {
		return CredentialKey{}, err
	}
	return CredentialKey{cose: string(raw), key: key}, nil
}

func badKey(reason string, args ...any) error {
	return fault.New(fault.Invalid, "key_malformed", "not the COSE key of a passkey: %s", fmt.Sprintf(reason, args...))
}

// IsZero reports whether k is no key.
func (k CredentialKey) IsZero() bool { return k.cose == "" }

// Bytes is the COSE_Key.
func (k CredentialKey) Bytes() []byte { return []byte(k.cose) }

// MarshalText implements encoding.TextMarshaler: base64url of Bytes.
func (k CredentialKey) MarshalText() ([]byte, error) {
	return []byte(jose.EncodeBase64([]byte(k.cose))), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *CredentialKey) UnmarshalText(b []byte) error {
	raw, err := jose.DecodeBase64(string(b))
	if err != nil {
		return err
	}
	*k, err = ParseCOSE(raw)
	return err
}

func (r *cbor) p256() (any, error) {
	crv, x, y := r.at(-1).integer(), r.at(-2).bytes(), r.at(-3).bytes()
	if r.bad || crv != crvP256 || len(x) != 32 || len(y) != 32 {
		return nil, badKey("an ES256 key is on P-256, with coordinates of 32 bytes")
	}
	point := append(append([]byte{4}, x...), y...)
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point) // refuses a point off the curve
	if err != nil {
		return nil, badKey("its point is not on P-256")
	}
	return key, nil
}

func (r *cbor) ed25519() (any, error) {
	crv, x := r.at(-1).integer(), r.at(-2).bytes()
	if r.bad || crv != crvEd25519 || len(x) != ed25519.PublicKeySize {
		return nil, badKey("an EdDSA key is on Ed25519, of 32 bytes")
	}
	return jose.Ed25519Key(x)
}

func (r *cbor) rsa() (any, error) {
	n, e := r.at(-1).bytes(), r.at(-2).bytes()
	if r.bad || len(n) == 0 || n[0] == 0 || len(e) != 3 {
		return nil, badKey("an RS256 key has a modulus without leading zeros and the exponent 65537")
	}
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(e[0])<<16 | int(e[1])<<8 | int(e[2])}
	if bits := key.N.BitLen(); bits < minModulusBits || bits > maxModulusBits || key.N.Bit(0) == 0 || key.E != exponentF4 {
		return nil, fault.New(fault.Invalid, "weak_key", "an RS256 key has an odd modulus of %d to %d bits and the exponent 65537", minModulusBits, maxModulusBits)
	}
	return key, nil
}

// cbor reads the few CBOR items of a COSE key (RFC 8949): definite lengths, the shortest head, integers and lengths below 2^16. Once
// something else was met, bad is set and everything reads as zero.
type cbor struct {
	rest []byte
	bad  bool
}

const (
	majorUint  = 0
	majorNint  = 1
	majorBytes = 2
	majorMap   = 5
)

func (r *cbor) fail() uint64 {
	r.bad, r.rest = true, nil
	return 0
}

// next reads the head of an item: its major type and argument (RFC 8949 §3).
func (r *cbor) next() (major byte, arg uint64) {
	if len(r.rest) == 0 {
		return 0, r.fail()
	}
	major, info := r.rest[0]>>5, r.rest[0]&0x1f
	r.rest = r.rest[1:]
	switch {
	case info < 24:
		return major, uint64(info)
	case info == 24 && len(r.rest) >= 1 && r.rest[0] >= 24:
		arg, r.rest = uint64(r.rest[0]), r.rest[1:]
	case info == 25 && len(r.rest) >= 2 && r.rest[0] > 0:
		arg, r.rest = uint64(r.rest[0])<<8|uint64(r.rest[1]), r.rest[2:]
	default:
		return 0, r.fail()
	}
	return major, arg
}

func (r *cbor) head(want byte) uint64 {
	major, arg := r.next()
	if major != want {
		return r.fail()
	}
	return arg
}

func (r *cbor) integer() int64 {
	switch major, arg := r.next(); major {
	case majorUint:
		return int64(arg)
	case majorNint:
		return -1 - int64(arg)
	}
	return int64(r.fail())
}

func (r *cbor) bytes() []byte {
	n := r.head(majorBytes)
	if n > uint64(len(r.rest)) {
		n = r.fail()
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

// at reads the label of the next member, which must be this one: the canonical order leaves no choice.
func (r *cbor) at(label int64) *cbor {
	if r.integer() != label {
		r.fail()
	}
	return r
}
