package people

import (
	"github.com/go-webauthn/webauthn/protocol"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/jose"
)

// The limits of a browser's answer, in bytes.
const (
	maxAnswer     = 32 << 10
	maxClientData = 2048
)

// Created is the answer to Creation, parsed. Nothing in it is verified before Register.
type Created struct {
	Challenge string // that it says it is the answer to
	client    client
	parsed    *protocol.ParsedCredentialCreationData
}

// Asserted is the answer to Request, parsed. Nothing in it is verified before Verify.
type Asserted struct {
	Challenge  string // that it says it signs
	Credential string // base64url
	client     client
	parsed     *protocol.ParsedCredentialAssertionData
}

// client is what the browser says it showed (WebAuthn §5.8.1).
type client struct {
	Type        string `json:"type"`
	Challenge   string `json:"challenge"`
	Origin      string `json:"origin"`
	TopOrigin   string `json:"topOrigin"`
	CrossOrigin bool   `json:"crossOrigin"`
}

// credential is the JSON form of a PublicKeyCredential (WebAuthn §5.1): what both ceremonies need of it.
type credential struct {
	ID       string           `json:"id"`
	RawID    delegation.Bytes `json:"rawId"`
	Type     string           `json:"type"`
	Response struct {
		ClientData        delegation.Bytes `json:"clientDataJSON"`
		Attestation       delegation.Bytes `json:"attestationObject"`
		AuthenticatorData delegation.Bytes `json:"authenticatorData"`
		Signature         delegation.Bytes `json:"signature"`
		UserHandle        delegation.Bytes `json:"userHandle"`
	} `json:"response"`
}

// ParseCreated reads a RegistrationResponseJSON. Code: passkey_malformed, too_large.
func ParseCreated(raw []byte) (Created, error) {
	c, said, err := parse(raw)
	if err != nil {
		return Created{}, err
	}
	answer := protocol.CredentialCreationResponse{PublicKeyCredential: c.library()}
	answer.AttestationResponse.ClientDataJSON = protocol.URLEncodedBase64(c.Response.ClientData)
	answer.AttestationResponse.AttestationObject = protocol.URLEncodedBase64(c.Response.Attestation)
	parsed, err := answer.Parse()
	if err != nil {
		return Created{}, malformed(err, "it is not of a new credential")
	}
	return Created{said.Challenge, said, parsed}, nil
}

// ParseAsserted reads an AuthenticationResponseJSON. Code: passkey_malformed, too_large.
func ParseAsserted(raw []byte) (Asserted, error) {
	c, said, err := parse(raw)
	if err != nil {
		return Asserted{}, err
	}
	answer := protocol.CredentialAssertionResponse{PublicKeyCredential: c.library()}
	answer.AssertionResponse.ClientDataJSON = protocol.URLEncodedBase64(c.Response.ClientData)
	answer.AssertionResponse.AuthenticatorData = protocol.URLEncodedBase64(c.Response.AuthenticatorData)
	answer.AssertionResponse.Signature = protocol.URLEncodedBase64(c.Response.Signature)
	answer.AssertionResponse.UserHandle = protocol.URLEncodedBase64(c.Response.UserHandle)
	parsed, err := answer.Parse()
	if err != nil {
		return Asserted{}, malformed(err, "it is not of an assertion")
	}
	return Asserted{said.Challenge, c.ID, said, parsed}, nil
}

// parse reads what untrusted JSON there is, strictly, before the library sees any of it.
func parse(raw []byte) (credential, client, error) {
	var c credential
	var said client
	if err := jose.DecodeForeign(raw, &c, jose.Limits{Bytes: maxAnswer}); err != nil {
		return c, said, malformed(err, "it is not well-formed JSON of a credential")
	}
	if id, err := jose.DecodeBase64(c.ID); err != nil || len(id) == 0 || len(id) > maxCredential {
		return c, said, malformed(err, "its id is not that of a credential")
	}
	if err := jose.DecodeForeign(c.Response.ClientData, &said, jose.Limits{Bytes: maxClientData}); err != nil {
		return c, said, malformed(err, "its client data is not well-formed JSON")
	}
	return c, said, nil
}

func (c credential) library() (p protocol.PublicKeyCredential) {
	p.ID, p.Type, p.RawID = c.ID, c.Type, protocol.URLEncodedBase64(c.RawID)
	return p
}
