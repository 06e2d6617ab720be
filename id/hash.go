package id

import (
	"crypto/sha256"
	"crypto/subtle"
	"database/sql/driver"
	"encoding/base64"
	"errors"
)

// Digest is a SHA-256 hash, printed as 43 characters of unpadded base64url. The zero value is no digest and prints as "".
type Digest struct{ b [32]byte }

// Key names a public key by its RFC 7638 SHA-256 thumbprint. An instance is its key, so this is also the identifier of an instance.
type Key struct{ d Digest }

var errDigest = errors.New("not a SHA-256 digest: 43 characters of unpadded base64url")

// Sum is the digest of data.
func Sum(data []byte) Digest { return Digest{sha256.Sum256(data)} }

// DigestOf wraps 32 bytes that are a hash already.
func DigestOf(b [32]byte) Digest { return Digest{b} }

// ParseDigest reads exactly what String prints.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	if len(s) != 43 {
		return d, errDigest
	}
	for i := range len(s) { // the decoder would skip newlines
		if s[i] == '\n' || s[i] == '\r' {
			return d, errDigest
		}
	}
	if n, err := base64.RawURLEncoding.Strict().Decode(d.b[:], []byte(s)); err != nil || n != 32 {
		return Digest{}, errDigest
	}
	return d, nil
}

// MustDigest is ParseDigest for literals in tests; it panics on anything else.
func MustDigest(s string) Digest {
	d, err := ParseDigest(s)
	if err != nil {
		panic(err)
	}
	return d
}

// Bytes is the hash itself.
func (d Digest) Bytes() [32]byte { return d.b }

// IsZero reports whether d is no digest.
func (d Digest) IsZero() bool { return d == Digest{} }

// Equal compares in constant time.
func (d Digest) Equal(o Digest) bool { return subtle.ConstantTimeCompare(d.b[:], o.b[:]) == 1 }

func (d Digest) String() string {
	if d.IsZero() {
		return ""
	}
	var text [43]byte
	base64.RawURLEncoding.Encode(text[:], d.b[:])
	return string(text[:])
}

// MarshalText implements encoding.TextMarshaler.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// AppendText implements encoding.TextAppender.
func (d Digest) AppendText(to []byte) ([]byte, error) {
	if d.IsZero() {
		return to, nil
	}
	return base64.RawURLEncoding.AppendEncode(to, d.b[:]), nil
}

// UnmarshalText implements encoding.TextUnmarshaler; it accepts what ParseDigest accepts.
func (d *Digest) UnmarshalText(b []byte) error {
	v, err := ParseDigest(string(b))
	if err == nil {
		*d = v
	}
	return err
}

// Value implements driver.Valuer: text, or NULL for no digest.
func (d Digest) Value() (driver.Value, error) {
	if d.IsZero() {
		return nil, nil
	}
	return d.String(), nil
}

// Scan implements sql.Scanner.
func (d *Digest) Scan(src any) error {
	s, null, err := scanText(src)
	if err != nil || null {
		*d = Digest{}
		return err
	}
	return d.UnmarshalText([]byte(s))
}

// KeyOf wraps the digest of a key's RFC 7638 form; package jose computes it.
func KeyOf(d Digest) Key { return Key{d} }

// Digest is the thumbprint as a digest.
func (k Key) Digest() Digest { return k.d }

// ParseKey reads exactly what String prints.
func ParseKey(s string) (Key, error) {
	d, err := ParseDigest(s)
	if err != nil {
		return Key{}, errors.New("not a key thumbprint: 43 characters of unpadded base64url (RFC 7638)")
	}
	return Key{d}, nil
}

// IsZero reports whether k names no key.
func (k Key) IsZero() bool { return k.d.IsZero() }

func (k Key) String() string { return k.d.String() }

// Short is the form for people's eyes: the first and last three characters. It identifies nothing.
func (k Key) Short() string {
	s := k.String()
	if s == "" {
		return ""
	}
	return s[:3] + "…" + s[len(s)-3:]
}

// MarshalText implements encoding.TextMarshaler.
func (k Key) MarshalText() ([]byte, error) { return k.d.MarshalText() }

// AppendText implements encoding.TextAppender.
func (k Key) AppendText(to []byte) ([]byte, error) { return k.d.AppendText(to) }

// UnmarshalText implements encoding.TextUnmarshaler; it accepts what ParseKey accepts.
func (k *Key) UnmarshalText(b []byte) error {
	v, err := ParseKey(string(b))
	if err == nil {
		*k = v
	}
	return err
}

// Value implements driver.Valuer: text, or NULL for no key.
func (k Key) Value() (driver.Value, error) { return k.d.Value() }

// Scan implements sql.Scanner.
func (k *Key) Scan(src any) error { return k.d.Scan(src) }
