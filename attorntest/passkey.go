package attorntest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/binary"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/jose"
)

// SoftPasskey is an authenticator in software, for tests and demonstrations: it holds its private key in memory and says of every use that it
// verified its user. It answers as a browser with a platform authenticator does (WebAuthn Level 3), with ES256 and without attestation.
type SoftPasskey struct {
	// UserHandle is what SignIn says the passkey is of: the user id of the registration. Assert does not need it.
	UserHandle []byte

	key *ecdsa.PrivateKey
}

// NewSoftPasskey makes a passkey of a private key on P-256. The same key gives the same passkey and, for the same challenge, the same bytes.
func NewSoftPasskey(key *ecdsa.PrivateKey) *SoftPasskey {
	if key.Curve != elliptic.P256() {
		panic("attorntest: a SoftPasskey has a key on P-256")
	}
	return &SoftPasskey{key: key}
}

// Flags of authenticator data (WebAuthn §6.1): the user is present and verified; a new credential is attested.
const (
	presentVerified = 1<<0 | 1<<2
	attested        = 1 << 6
)

// Key is the public key, as a relying party keeps it.
func (p *SoftPasskey) Key() delegation.CredentialKey {
	key, err := delegation.ParseCOSE(p.cose())
	if err != nil {
		panic(err) // a point on P-256 always has this form
	}
	return key
}

// ID is the credential's identifier: 16 bytes of the hash of its key.
func (p *SoftPasskey) ID() []byte {
	sum := sha256.Sum256(p.cose())
	return sum[:16]
}

// Register answers navigator.credentials.create: the JSON of a RegistrationResponseJSON (WebAuthn §5.1.8.1) with attestation "none".
func (p *SoftPasskey) Register(challenge []byte, rpID, origin string) []byte {
	data := authenticatorData(rpID, presentVerified|attested)
	data = append(data, make([]byte, 16)...) // AAGUID: none
	data = binary.BigEndian.AppendUint16(data, uint16(len(p.ID())))
	data = append(append(data, p.ID()...), p.cose()...)

	// CBOR: a map of three; the last is a byte string with one byte of length, since data always has 148 bytes.
	object := append([]byte("\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58"), byte(len(data)))
	object = append(object, data...)
	return p.credential(map[string]any{
		"attestationObject": delegation.Bytes(object),
		"clientDataJSON":    delegation.Bytes(clientData("webauthn.create", challenge, origin)),
		"transports":        []string{"internal"},
	})
}

// Assert signs a challenge. What it returns verifies with Key by delegation.Assertion.Verify.
func (p *SoftPasskey) Assert(challenge []byte, rpID, origin string) delegation.Assertion {
	data, client := authenticatorData(rpID, presentVerified), clientData("webauthn.get", challenge, origin)
	hash := sha256.Sum256(client)
	hash = sha256.Sum256(append(append([]byte(nil), data...), hash[:]...))
	sig, err := p.key.Sign(nil, hash[:], crypto.SHA256) // without randomness: RFC 6979
	if err != nil {
		panic(err) // only for a hash of another size
	}
	return delegation.Assertion{CredentialID: p.ID(), AuthenticatorData: data, ClientDataJSON: client, Signature: sig}
}

// SignIn answers navigator.credentials.get: Assert as the JSON of an AuthenticationResponseJSON (WebAuthn §5.1.8.2).
func (p *SoftPasskey) SignIn(challenge []byte, rpID, origin string) []byte {
	a := p.Assert(challenge, rpID, origin)
	response := map[string]any{"authenticatorData": a.AuthenticatorData, "clientDataJSON": a.ClientDataJSON, "signature": a.Signature}
	if len(p.UserHandle) > 0 {
		response["userHandle"] = delegation.Bytes(p.UserHandle)
	}
	return p.credential(response)
}

func (p *SoftPasskey) credential(response map[string]any) []byte {
	return mustJSON(map[string]any{
		"id": delegation.Bytes(p.ID()), "rawId": delegation.Bytes(p.ID()), "type": "public-key", "authenticatorAttachment": "platform",
		"clientExtensionResults": struct{}{}, "response": response,
	})
}

// cose is the key as a COSE_Key (RFC 9053 §7.1.1): {1: 2, 3: -7, -1: 1, -2: x, -3: y}.
func (p *SoftPasskey) cose() []byte {
	point, err := p.key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		panic(err) // NewSoftPasskey checked the curve
	}
	key := append([]byte("\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20"), point[1:33]...)
	return append(append(key, "\x22\x58\x20"...), point[33:]...)
}

// authenticatorData has a counter of zero, as passkeys that live on several devices do (WebAuthn §6.1.1).
func authenticatorData(rpID string, flags byte) []byte {
	hash := sha256.Sum256([]byte(rpID))
	return append(hash[:], flags, 0, 0, 0, 0)
}

// clientData is in the serialisation of WebAuthn §5.8.1.1.
func clientData(typ string, challenge []byte, origin string) []byte {
	return []byte(`{"type":` + string(mustJSON(typ)) + `,"challenge":"` + jose.EncodeBase64(challenge) + `","origin":` + string(mustJSON(origin)) + `,"crossOrigin":false}`)
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings and byte strings of ours
	}
	return b
}
