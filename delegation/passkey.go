package delegation

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// Bytes is a byte string that stands in JSON as base64url without padding, in exactly one spelling.
type Bytes []byte

// MarshalText implements encoding.TextMarshaler.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(jose.EncodeBase64(b)), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *Bytes) UnmarshalText(text []byte) (err error) {
	*b, err = jose.DecodeBase64(string(text))
	return err
}

// An Assertion is what a passkey gives when it signs a challenge (WebAuthn §5.2.2, AuthenticatorAssertionResponse).
type Assertion struct {
	CredentialID      Bytes `json:"credential_id"`
	AuthenticatorData Bytes `json:"authenticator_data"`
	ClientDataJSON    Bytes `json:"client_data_json"`
	Signature         Bytes `json:"signature"`
}

// The limits of an assertion's parts, in bytes, and the flags of authenticator data (WebAuthn §6.1).
const (
	maxCredentialID = 1023 // WebAuthn §4
	maxAuthData     = 1024
	maxClientData   = 2048
	maxSignature    = maxModulusBits / 8
	authDataLen     = 37 // rpIdHash, flags, counter

	userPresent       = 1 << 0
	userVerified      = 1 << 2
	backupEligible    = 1 << 3
	backedUp          = 1 << 4
	attestedData      = 1 << 6
	extensionsPresent = 1 << 7
)

// Verify reports, by a nil error, that the holder of key, verified by their authenticator (a PIN, a finger, a face), signed exactly this
// challenge for this relying party on this origin, and not inside somebody else's frame (WebAuthn §7.2, steps 11 to 21). The signature
// counter is not looked at: an assertion is valid once, because its challenge is. Codes: passkey_malformed, passkey_challenge,
// passkey_origin, passkey_rp, passkey_unverified, signature_invalid.
func (a Assertion) Verify(key CredentialKey, challenge id.Digest, rpID, origin string) error {
	if len(a.CredentialID) == 0 || len(a.CredentialID) > maxCredentialID || len(a.AuthenticatorData) > maxAuthData ||
		len(a.ClientDataJSON) > maxClientData || len(a.Signature) > maxSignature {
		return badPasskey("passkey_malformed", "a part of it is missing or too long")
	}
	if challenge.IsZero() || rpID == "" || origin == "" || key.IsZero() {
		return badPasskey("passkey_malformed", "there is no key, challenge, relying party or origin to hold it to")
	}
	if err := a.checkClient(challenge, origin); err != nil {
		return err
	}
	if err := a.checkAuthenticator(rpID); err != nil {
		return err
	}
	client := sha256.Sum256(a.ClientDataJSON)
	signed := append(append(make([]byte, 0, len(a.AuthenticatorData)+len(client)), a.AuthenticatorData...), client[:]...)
	if !key.verifies(signed, a.Signature) {
		return badPasskey("signature_invalid", "its signature does not verify with the key of this passkey")
	}
	return nil
}

// checkClient reads what the browser says it showed (WebAuthn §5.8.1).
func (a Assertion) checkClient(challenge id.Digest, origin string) error {
	var client struct {
		Type        string `json:"type"`
		Challenge   string `json:"challenge"`
		Origin      string `json:"origin"`
		CrossOrigin bool   `json:"crossOrigin"`
	}
	if err := jose.DecodeForeign(a.ClientDataJSON, &client, jose.Limits{Bytes: maxClientData}); err != nil {
		return fault.Wrap(err, fault.Invalid, "passkey_malformed", "the passkey's client data is not well-formed JSON")
	}
	switch {
	case client.Type != "webauthn.get":
		return badPasskey("passkey_malformed", "its client data is not of an assertion")
	case client.Challenge != challenge.String():
		return badPasskey("passkey_challenge", "it signs something else")
	case client.Origin != origin || client.CrossOrigin:
		return badPasskey("passkey_origin", "it was given to another origin or inside a frame of one")
	}
	return nil
}

// checkAuthenticator reads what the authenticator says it did (WebAuthn §6.1).
func (a Assertion) checkAuthenticator(rpID string) error {
	d := a.AuthenticatorData
	if len(d) < authDataLen {
		return badPasskey("passkey_malformed", "its authenticator data is too short")
	}
	flags, hash := d[32], sha256.Sum256([]byte(rpID))
	switch {
	case [32]byte(d[:32]) != hash:
		return badPasskey("passkey_rp", "it is for another relying party")
	case flags&attestedData != 0, (flags&extensionsPresent != 0) != (len(d) > authDataLen), flags&backedUp != 0 && flags&backupEligible == 0:
		return badPasskey("passkey_malformed", "the flags of its authenticator data contradict it")
	case flags&userPresent == 0 || flags&userVerified == 0:
		return badPasskey("passkey_unverified", "the authenticator did not verify its user").Try("use a passkey with a PIN, fingerprint or face")
	}
	return nil
}

func (k CredentialKey) verifies(message, signature []byte) bool {
	hash := sha256.Sum256(message)
	switch key := k.key.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, hash[:], signature)
	case jose.PublicKey:
		return key.Verify(message, signature) == nil
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, hash[:], signature) == nil
	}
	return false
}

func badPasskey(code, reason string) *fault.Error {
	kind := fault.Unauthenticated
	if code == "passkey_malformed" {
		kind = fault.Invalid
	}
	return fault.New(kind, code, "the passkey's answer is refused: %s", reason)
}
