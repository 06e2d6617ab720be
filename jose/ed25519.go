package jose

import (
	"crypto/ed25519"

	"github.com/attorn/attorn/fault"
)

// The numbers of the curve edwards25519 (RFC 8032 §5.1) as keys and signatures carry them: 32 bytes, little-endian.
const (
	fieldPrime = "\xed\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f" // p = 2^255 - 19
	groupOrder = "\xed\xd3\xf5\x5c\x1a\x63\x12\x58\xd6\x9c\xf7\xa2\xde\xf9\xde\x14\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x10" // L
)

// The y coordinates of the points whose order divides the cofactor 8, which a key or a commitment must not be: with such a key one fixed
// signature fits every message.
const (
	yOrder1  = "\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" // (0, 1)
	yOrder2  = "\xec\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f" // (0, -1)
	yOrder4  = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" // two points
	yOrder8a = "\x26\xe8\x95\x8f\xc2\xb2\x27\xb0\x45\xc3\xf4\x89\xf2\xef\x98\xf0\xd5\xdf\xac\x05\xd3\xc6\x33\x39\xb1\x38\x02\x88\x6d\x53\xfc\x05" // two points
	yOrder8b = "\xc7\x17\x6a\x70\x3d\x4d\xd8\x4f\xba\x3c\x0b\x76\x0d\x10\x67\x0f\x2a\x20\x53\xfa\x2c\x39\xcc\xc6\x4e\xc7\xfd\x77\x92\xac\x03\x7a" // two points
)

// checkPoint accepts 32 bytes that encode a point canonically (y < p) which is not of small order. That x exists is left to the library.
func checkPoint(b []byte) bool {
	y := [32]byte(b)
	y[31] &= 0x7f // the top bit is the sign of x
	switch string(y[:]) {
	case yOrder1, yOrder2, yOrder4, yOrder8a, yOrder8b: // with both signs: where x is 0 the set sign is not canonical either
		return false
	}
	return below(y[:], fieldPrime)
}

// below compares two little-endian numbers of 32 bytes. Keys and signatures are public: the time may depend on them.
func below(b []byte, limit string) bool {
	for i := 31; i >= 0; i-- {
		if b[i] != limit[i] {
			return b[i] < limit[i]
		}
	}
	return false
}

// verifyEd25519 is the one rule that every attorn SDK keeps: canonical A, R and S and no A or R of small order, checked before the library is
// called, because libraries differ there; then the equation without cofactor. The key was checked when it was made.
func verifyEd25519(key *[32]byte, message, sig []byte) error {
	if len(sig) != ed25519.SignatureSize || !checkPoint(sig[:32]) || !below(sig[32:], groupOrder) || !ed25519.Verify(key[:], message, sig) {
		return errSignature()
	}
	return nil
}

func errSignature() error {
	return fault.New(fault.Unauthenticated, "signature_invalid", "the signature does not fit the key and the signed bytes").
		Try("sign the bytes exactly as they are sent, with the key that is named")
}
