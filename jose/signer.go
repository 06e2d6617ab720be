package jose

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"

	"github.com/attorn/attorn/fault"
)

// Signer signs with one private key and never yields it.
type Signer interface {
	// Public is the key that verifies what Sign makes; it does not change.
	Public() PublicKey
	// Sign returns the 64 bytes that Public().Verify accepts for message.
	Sign(message []byte) ([]byte, error)
}

// signer keeps the private key inside a function, where printing the value does not reach it.
type signer struct {
	public PublicKey
	sign   func(message []byte) ([]byte, error)
}

func (s signer) Public() PublicKey                   { return s.public }
func (s signer) Sign(message []byte) ([]byte, error) { return s.sign(message) }

// NewSigner signs with an Ed25519 key (RFC 8032). Code: malformed for a key of another length or whose halves do not belong together: signing
// with those would give the private key away.
func NewSigner(priv ed25519.PrivateKey) (Signer, error) {
	if len(priv) != ed25519.PrivateKeySize {
		return nil, fault.New(fault.Invalid, "malformed", "an Ed25519 private key has 64 bytes, not %d", len(priv))
	}
	own := ed25519.NewKeyFromSeed(priv.Seed())
	if !own.Equal(priv) {
		return nil, fault.New(fault.Invalid, "malformed", "the halves of the Ed25519 private key do not belong together")
	}
	public, err := Ed25519Key(own.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, err
	}
	return signer{public, func(message []byte) ([]byte, error) { return ed25519.Sign(own, message), nil }}, nil
}

// NewES256Signer signs with an ECDSA key on P-256 and SHA-256 (RFC 7518 §3.4). Codes: malformed, alg_unsupported.
func NewES256Signer(priv *ecdsa.PrivateKey) (Signer, error) {
	if priv == nil {
		return nil, fault.New(fault.Invalid, "malformed", "no private key")
	}
	public, err := P256Key(&priv.PublicKey)
	if err != nil {
		return nil, err
	}
	return signer{public, func(message []byte) ([]byte, error) {
		digest := sha256.Sum256(message)
		r, s, err := ecdsa.Sign(rand.Reader, priv, digest[:])
		if err != nil {
			return nil, fault.Wrap(err, fault.Internal, "", "the ES256 key could not sign")
		}
		sig := make([]byte, 64)
		r.FillBytes(sig[:32])
		s.FillBytes(sig[32:])
		return sig, nil
	}}, nil
}
