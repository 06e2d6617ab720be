package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"sync/atomic"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/jose"
)

// Sealer encrypts what is kept at rest and derives keys, all from the one sealing key, which is kept apart from the data.
type Sealer struct {
	root   []byte
	aead   cipher.AEAD
	before atomic.Pointer[Sealer] // opens what the sealing key before this one sealed, until that was sealed again
}

// NewSealer takes a sealing key of 32 bytes.
func NewSealer(key []byte) (*Sealer, error) {
	if len(key) != 32 {
		return nil, fault.New(fault.Invalid, "sealing_key", "a sealing key has 32 bytes; this one has %d", len(key)).
			Try("make one with: head -c 32 /dev/urandom > sealing.key")
	}
	s := &Sealer{root: append([]byte(nil), key...)}
	s.aead = newAEAD(s.Derive("seal/1"))
	return s, nil
}

// After makes s open also what old sealed, until Ring.Reseal has sealed it again. s itself seals with its own key alone.
func (s *Sealer) After(old *Sealer) { s.before.Store(old) }

// mark tells sealing keys apart: a value that derives from the key, and from which nothing follows about it.
func (s *Sealer) mark() string { return jose.EncodeBase64(s.Derive("mark/1")) }

// Derive gives 32 bytes for one purpose (HKDF-SHA-256, RFC 5869).
func (s *Sealer) Derive(purpose string) []byte {
	k, err := hkdf.Key(sha256.New, s.root, nil, "attorn/"+purpose, 32)
	if err != nil { // only for an impossible length
		panic(err)
	}
	return k
}

// Seal encrypts plain (AES-256-GCM, random nonce in front); bound names what it belongs to, and must be the same at Open.
func (s *Sealer) Seal(plain []byte, bound string) []byte { return seal(s.aead, plain, bound) }

// Open is the inverse of Seal. Any other sealing key, bytes or bound is the fault sealed.
func (s *Sealer) Open(sealed []byte, bound string) ([]byte, error) {
	plain, err := open(s.aead, sealed, bound)
	if old := s.before.Load(); err != nil && old != nil {
		return open(old.aead, sealed, bound)
	}
	return plain, err
}

// SubjectKey is a person's or agent's own data key: with it gone, what it sealed is gone.
type SubjectKey struct{ aead cipher.AEAD }

// NewSubjectKey makes a key for subject and returns it with its wrapped form, for storage.
func (s *Sealer) NewSubjectKey(subject string) (SubjectKey, []byte) {
	raw := make([]byte, 32)
	rand.Read(raw)
	return SubjectKey{newAEAD(raw)}, s.Seal(raw, "subject/"+subject)
}

// RewrapSubjectKey wraps a stored key again, under the sealing key of now.
func (s *Sealer) RewrapSubjectKey(subject string, wrapped []byte) ([]byte, error) {
	raw, err := s.Open(wrapped, "subject/"+subject)
	if err != nil {
		return nil, err
	}
	return s.Seal(raw, "subject/"+subject), nil
}

// UnwrapSubjectKey opens a stored key.
func (s *Sealer) UnwrapSubjectKey(subject string, wrapped []byte) (SubjectKey, error) {
	raw, err := s.Open(wrapped, "subject/"+subject)
	if err != nil {
		return SubjectKey{}, err
	}
	return SubjectKey{newAEAD(raw)}, nil
}

// Seal encrypts a value of the subject's.
func (k SubjectKey) Seal(plain []byte, bound string) []byte { return seal(k.aead, plain, bound) }

// Open is the inverse of Seal.
func (k SubjectKey) Open(sealed []byte, bound string) ([]byte, error) {
	return open(k.aead, sealed, bound)
}

func newAEAD(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil { // only for an impossible length
		panic(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	return aead
}

func seal(a cipher.AEAD, plain []byte, bound string) []byte {
	return a.Seal(nil, nil, plain, []byte(bound))
}

func open(a cipher.AEAD, sealed []byte, bound string) ([]byte, error) {
	plain, err := a.Open(nil, nil, sealed, []byte(bound))
	if err != nil {
		return nil, fault.New(fault.Internal, "sealed", "a sealed value does not open: it was sealed under another key, or changed")
	}
	return plain, nil
}
