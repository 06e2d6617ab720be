package people

import (
	"bytes"
	"encoding/binary"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// Ceremony is one use of a passkey in a browser (WebAuthn §7): for which relying party, on which origin, and what is signed. A ceremony is good
// once because its challenge is: that is the caller's to see to.
type Ceremony struct {
	RPID      string // the domain that passkeys are made for
	Origin    string // scheme, host and port of the pages, byte for byte
	Challenge string // 32 bytes as 43 characters of base64url
}

// ceremonyTime is how long a browser waits for the person, in milliseconds.
const ceremonyTime = 300_000

// The algorithms that passkeys may have, the best first (oauth.md §11).
var algorithms = []webauthncose.COSEAlgorithmIdentifier{webauthncose.AlgEdDSA, webauthncose.AlgES256, webauthncose.AlgRS256}

// CreationOptions is what navigator.credentials.create is asked for, as JSON (WebAuthn §5.1.9); byte strings are base64url.
type CreationOptions struct {
	RP struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"rp"`
	User struct {
		ID          delegation.Bytes `json:"id"`
		Name        string           `json:"name"`
		DisplayName string           `json:"displayName"`
	} `json:"user"`
	Challenge string       `json:"challenge"`
	Params    []Algorithm  `json:"pubKeyCredParams"`
	Timeout   int          `json:"timeout"`
	Exclude   []Descriptor `json:"excludeCredentials"`
	Selection struct {
		ResidentKey        string `json:"residentKey"`
		RequireResidentKey bool   `json:"requireResidentKey"`
		UserVerification   string `json:"userVerification"`
	} `json:"authenticatorSelection"`
	Attestation string `json:"attestation"`
}

// RequestOptions is what navigator.credentials.get is asked for, as JSON (WebAuthn §5.1.10).
type RequestOptions struct {
	Challenge        string       `json:"challenge"`
	Timeout          int          `json:"timeout"`
	RPID             string       `json:"rpId"`
	Allow            []Descriptor `json:"allowCredentials"` // empty: any discoverable one
	UserVerification string       `json:"userVerification"`
}

// Descriptor names a credential.
type Descriptor struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

// Algorithm is one that a new credential may have.
type Algorithm struct {
	Type string `json:"type"`
	Alg  int64  `json:"alg"`
}

const publicKey = "public-key"

// Creation asks for a new discoverable passkey of p, beside those that p has.
func (c Ceremony) Creation(p Person, has []Passkey) CreationOptions {
	o := CreationOptions{Challenge: c.Challenge, Timeout: ceremonyTime, Exclude: describe(has), Attestation: "none"}
	o.RP.ID, o.RP.Name = c.RPID, "attorn"
	o.User.ID, o.User.Name, o.User.DisplayName = delegation.Bytes(p.ID.String()), p.Name, p.Name
	o.Selection.ResidentKey, o.Selection.RequireResidentKey, o.Selection.UserVerification = "required", true, "required"
	for _, alg := range algorithms {
		o.Params = append(o.Params, Algorithm{publicKey, int64(alg)})
	}
	return o
}

// Request asks for a signature of the challenge by one of these passkeys; by any discoverable one where there are none.
func (c Ceremony) Request(by []Passkey) RequestOptions {
	return RequestOptions{c.Challenge, ceremonyTime, c.RPID, describe(by), "required"}
}

func describe(ks []Passkey) []Descriptor {
	all := []Descriptor{}
	for _, k := range ks {
		all = append(all, Descriptor{publicKey, k.Credential})
	}
	return all
}

// Register accepts a new passkey of person: its authenticator verified its user, and it was made for exactly this ceremony (WebAuthn §7.1).
// Whether the credential is anybody's already is AddPasskey's to say. Of what the authenticator says about itself nothing is asked or believed.
// Codes: passkey_malformed, passkey_challenge, passkey_origin, passkey_refused, and those of delegation.ParseCOSE.
func (c Ceremony) Register(person id.User, a Created) (NewPasskey, error) {
	if err := c.check(a.client, protocol.CreateCeremony); err != nil {
		return NewPasskey{}, err
	}
	object := a.parsed.Response.AttestationObject
	if _, certified := object.AttStatement["x5c"]; certified || object.Format != "none" && object.Format != "packed" {
		return NewPasskey{}, refused(nil, "it brought an attestation of its maker, which was not asked for")
	}
	params := make([]protocol.CredentialParameter, len(algorithms))
	for i, alg := range algorithms {
		params[i] = protocol.CredentialParameter{Type: publicKey, Algorithm: alg}
	}
	_, err := a.parsed.Verify(c.Challenge, c.RPID, []string{c.Origin}, nil, nil, protocol.TopOriginExplicitVerificationMode, false, true, true,
		nil, params, protocol.AttestationPolicy{}, protocol.SignaturePolicy{})
	if err != nil {
		return NewPasskey{}, refused(err, "it was not made here, or its authenticator did not verify its user")
	}
	key, err := delegation.ParseCOSE(object.AuthData.AttData.CredentialPublicKey)
	if err != nil {
		return NewPasskey{}, err
	}
	return NewPasskey{
		Credential: jose.EncodeBase64(a.parsed.RawID), Person: person, COSE: key, RPID: c.RPID, Origin: c.Origin, SignCount: object.AuthData.Counter,
	}, nil
}

// Verify reports, by a nil error, that the holder of k, verified by their authenticator, signed exactly this ceremony's challenge (WebAuthn
// §7.2), and returns the signature counter, for UsePasskey. Codes: passkey_malformed, passkey_challenge, passkey_origin, passkey_refused.
func (c Ceremony) Verify(k Passkey, a Asserted) (uint32, error) {
	if err := c.check(a.client, protocol.AssertCeremony); err != nil {
		return 0, err
	}
	if k.Credential != a.Credential {
		return 0, refused(nil, "it is of another passkey")
	}
	if handle := a.parsed.Response.UserHandle; !bytes.Equal(handle, []byte(k.Person.String())) {
		return 0, refused(nil, "it is not of the user whose passkey this is")
	}
	err := a.parsed.Verify(c.Challenge, c.RPID, "", []string{c.Origin}, nil, nil, protocol.TopOriginExplicitVerificationMode, false, true, true,
		k.COSE.Bytes(), protocol.SignaturePolicy{})
	if err != nil {
		return 0, refused(err, "its signature does not verify, or its authenticator did not verify its user")
	}
	return a.parsed.Response.AuthenticatorData.Counter, nil
}

// check holds what the browser says it showed to the ceremony, byte for byte; the library compares origins more leniently.
func (c Ceremony) check(got client, kind protocol.CeremonyType) error {
	switch {
	case got.Type != string(kind):
		return malformed(nil, "it is of another ceremony")
	case len(c.Challenge) == 0 || got.Challenge != c.Challenge:
		return fault.New(fault.Unauthenticated, "passkey_challenge", "the passkey's answer is refused: it signs something else")
	case len(c.Origin) == 0 || got.Origin != c.Origin || got.CrossOrigin || got.TopOrigin != "":
		return fault.New(fault.Unauthenticated, "passkey_origin", "the passkey's answer is refused: it was given to another origin or inside a frame of one").
			Try("open %s", c.Origin)
	}
	return nil
}

// Decoy is nobody's passkey with the credential that an answer names: what to verify an answer with where there is none, so that both cost the
// same. Its private key is 1, known to all: that it verifies means nothing.
func Decoy(credential string) (Passkey, error) {
	point := binary.BigEndian.AppendUint64
	x := point(point(point(point(nil, 0x6b17d1f2e12c4247), 0xf8bce6e563a440f2), 0x77037d812deb33a0), 0xf4a13945d898c296)
	y := point(point(point(point(nil, 0x4fe342e2fe1a7f9b), 0x8ee7eb4a7c0f9e16), 0x2bce33576b315ece), 0xcbb6406837bf51f5)
	cose := append([]byte("\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20"), x...)
	key, err := delegation.ParseCOSE(append(append(cose, "\x22\x58\x20"...), y...))
	return Passkey{Credential: credential, COSE: key}, err
}

func refused(cause error, why string) error {
	return fault.Wrap(cause, fault.Unauthenticated, "passkey_refused", "the passkey's answer is refused: %s", why).
		Try("use a passkey with a PIN, fingerprint or face, and try again")
}

func malformed(cause error, why string) error {
	return fault.Wrap(cause, fault.Invalid, "passkey_malformed", "the passkey's answer is malformed: %s", why)
}
