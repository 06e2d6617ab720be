package vectors

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
)

// JWS is how a case gives a compact JWS: whole, or spelt out so that people can read what is wrong with it. A runner signs the second form
// itself, with a key that is no secret, over exactly the header and payload as written.
type JWS struct {
	Compact string `json:"compact"` // the whole text; the other members are then absent

	Header  string `json:"header"`
	Payload string `json:"payload"`
	Ed25519 string `json:"ed25519"` // seed (RFC 8032 §5.1.5), base64url
	P256    string `json:"p256"`    // private number d, base64url
}

// Text is the compact JWS.
func (j JWS) Text() (string, error) {
	if j.Compact != "" {
		return j.Compact, nil
	}
	b64 := base64.RawURLEncoding
	signed := b64.EncodeToString([]byte(j.Header)) + "." + b64.EncodeToString([]byte(j.Payload))
	secret, err := b64.DecodeString(j.Ed25519 + j.P256)
	if err != nil || len(secret) != 32 {
		return "", errors.New("a JWS needs one of compact, ed25519 and p256")
	}
	if j.Ed25519 != "" {
		return signed + "." + b64.EncodeToString(ed25519.Sign(ed25519.NewKeyFromSeed(secret), []byte(signed))), nil
	}
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), secret)
	if err != nil {
		return "", err
	}
	digest := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		return "", err
	}
	var sig [64]byte
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return signed + "." + b64.EncodeToString(sig[:]), nil
}
