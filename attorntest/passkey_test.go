package attorntest_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"testing"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/attorn/attorn/attorntest"
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

const rpID, origin = "localhost", "http://localhost:7070"

type person struct {
	handle      []byte
	credentials []webauthn.Credential
}

func (p *person) WebAuthnID() []byte                         { return p.handle }
func (p *person) WebAuthnName() string                       { return "priya" }
func (p *person) WebAuthnDisplayName() string                { return "Priya Nair" }
func (p *person) WebAuthnCredentials() []webauthn.Credential { return p.credentials }

func relyingParty(t *testing.T) *webauthn.WebAuthn {
	t.Helper()
	rp, err := webauthn.New(&webauthn.Config{
		RPID: rpID, RPDisplayName: "attorn", RPOrigins: []string{origin},
		AuthenticatorSelection: protocol.AuthenticatorSelection{ResidentKey: protocol.ResidentKeyRequirementRequired, UserVerification: protocol.VerificationRequired},
	})
	if err != nil {
		t.Fatal(err)
	}
	return rp
}

func newPasskey(t *testing.T) *attorntest.SoftPasskey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return attorntest.NewSoftPasskey(key)
}

// register has the relying party accept the passkey, and gives the user it is then of.
func register(t *testing.T, rp *webauthn.WebAuthn, passkey *attorntest.SoftPasskey) *person {
	t.Helper()
	user := &person{handle: []byte("usr_priya")}
	options, session, err := rp.BeginRegistration(user)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := protocol.ParseCredentialCreationResponseBytes(passkey.Register(options.Response.Challenge, rpID, origin))
	if err != nil {
		t.Fatal(err)
	}
	credential, err := rp.CreateCredential(user, *session, answer)
	if err != nil {
		t.Fatal(err)
	}
	user.credentials = append(user.credentials, *credential)
	return user
}

func TestSoftPasskeyRegistersAndSignsIn(t *testing.T) {
	rp, passkey := relyingParty(t), newPasskey(t)
	user := register(t, rp, passkey)
	if stored := user.credentials[0]; !bytes.Equal(stored.PublicKey, passkey.Key().Bytes()) || !bytes.Equal(stored.ID, passkey.ID()) {
		t.Errorf("the relying party keeps %x of %x", stored.PublicKey, stored.ID)
	}

	passkey.UserHandle = user.handle
	options, session, err := rp.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		t.Fatal(err)
	}
	signIn := func(passkey *attorntest.SoftPasskey, challenge []byte, rpID, origin string) error {
		answer, err := protocol.ParseCredentialRequestResponseBytes(passkey.SignIn(challenge, rpID, origin))
		if err != nil {
			return err
		}
		_, err = rp.ValidateDiscoverableLogin(func(_, handle []byte) (webauthn.User, error) { return user, nil }, *session, answer)
		return err
	}
	challenge := options.Response.Challenge
	if err := signIn(passkey, challenge, rpID, origin); err != nil {
		t.Error(err)
	}
	stranger := newPasskey(t)
	stranger.UserHandle = user.handle
	for name, err := range map[string]error{
		"another passkey":   signIn(stranger, challenge, rpID, origin),
		"another challenge": signIn(passkey, []byte("0123456789abcdef0123456789abcdef"), rpID, origin),
		"another party":     signIn(passkey, challenge, "localhost.example", origin),
		"another origin":    signIn(passkey, challenge, rpID, "http://localhost:7071"),
	} {
		if err == nil {
			t.Errorf("%s signed in", name)
		}
	}
}

// The same assertion, held to by the library and by delegation: both accept it, and each single change is refused by both.
func TestAssertionAgreesWithTheLibrary(t *testing.T) {
	rp, passkey := relyingParty(t), newPasskey(t)
	user := register(t, rp, passkey)
	passkey.UserHandle = user.handle
	challenge := id.Sum([]byte("a statement"))
	raw := challenge.Bytes()
	session := webauthn.SessionData{Challenge: challenge.String(), RelyingPartyID: rpID, UserVerification: protocol.VerificationRequired}

	theirs := func(a delegation.Assertion) error {
		answer, err := protocol.ParseCredentialRequestResponseBytes(passkey.SignIn(raw[:], rpID, origin))
		if err != nil {
			t.Fatal(err)
		}
		answer.Raw.AssertionResponse.AuthenticatorData = protocol.URLEncodedBase64(a.AuthenticatorData)
		answer.Raw.AssertionResponse.ClientDataJSON = protocol.URLEncodedBase64(a.ClientDataJSON)
		answer.Raw.AssertionResponse.Signature = protocol.URLEncodedBase64(a.Signature)
		if answer, err = answer.Raw.Parse(); err != nil {
			return err
		}
		_, err = rp.ValidateDiscoverableLogin(func(_, _ []byte) (webauthn.User, error) { return user, nil }, session, answer)
		return err
	}
	ours := func(a delegation.Assertion) error { return a.Verify(passkey.Key(), challenge, rpID, origin) }

	whole := passkey.Assert(raw[:], rpID, origin)
	if err := ours(whole); err != nil {
		t.Error("ours:", err)
	}
	if err := theirs(whole); err != nil {
		t.Error("theirs:", err)
	}
	for name, change := range map[string]func(a *delegation.Assertion){
		"counter":     func(a *delegation.Assertion) { a.AuthenticatorData = flip(a.AuthenticatorData, 36) },
		"verified":    func(a *delegation.Assertion) { a.AuthenticatorData = with(a.AuthenticatorData, 32, 0x01) },
		"present":     func(a *delegation.Assertion) { a.AuthenticatorData = with(a.AuthenticatorData, 32, 0x04) },
		"backup":      func(a *delegation.Assertion) { a.AuthenticatorData = with(a.AuthenticatorData, 32, 0x15) },
		"short":       func(a *delegation.Assertion) { a.AuthenticatorData = a.AuthenticatorData[:36] },
		"longer":      func(a *delegation.Assertion) { a.AuthenticatorData = append(bytes.Clone(a.AuthenticatorData), 0) },
		"client data": func(a *delegation.Assertion) { a.ClientDataJSON = append(bytes.Clone(a.ClientDataJSON), ' ') },
		"create": func(a *delegation.Assertion) {
			a.ClientDataJSON = bytes.Replace(a.ClientDataJSON, []byte("get"), []byte("create"), 1)
		},
		"signature": func(a *delegation.Assertion) { a.Signature = flip(a.Signature, len(a.Signature)-1) },
		"no signature": func(a *delegation.Assertion) {
			a.Signature = nil
		},
	} {
		a := whole
		change(&a)
		if ours(a) == nil || theirs(a) == nil {
			t.Errorf("%s: ours %v, theirs %v", name, ours(a), theirs(a))
		}
	}
}

func flip(b []byte, i int) []byte { return with(b, i, b[i]^1) }

func with(b []byte, i int, v byte) []byte {
	b = bytes.Clone(b)
	b[i] = v
	return b
}

// Keys of every algorithm, encoded by the library, are read by ParseCOSE, and a signature that the library verifies verifies here.
func TestCOSEKeysOfTheLibrary(t *testing.T) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	big, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := ec.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		signer crypto.Signer
		hash   crypto.Hash
		cose   any
	}{
		{"EdDSA", ed, 0, webauthncose.OKPPublicKeyData{
			PublicKeyData: webauthncose.PublicKeyData{KeyType: int64(webauthncose.OctetKey), Algorithm: int64(webauthncose.AlgEdDSA)},
			Curve:         int64(webauthncose.Ed25519), XCoord: ed.Public().(ed25519.PublicKey),
		}},
		{"RS256", big, crypto.SHA256, webauthncose.RSAPublicKeyData{
			PublicKeyData: webauthncose.PublicKeyData{KeyType: int64(webauthncose.RSAKey), Algorithm: int64(webauthncose.AlgRS256)},
			Modulus:       big.N.Bytes(), Exponent: []byte{1, 0, 1},
		}},
		{"ES256", ec, crypto.SHA256, webauthncose.EC2PublicKeyData{
			PublicKeyData: webauthncose.PublicKeyData{KeyType: int64(webauthncose.EllipticKey), Algorithm: int64(webauthncose.AlgES256)},
			Curve:         int64(webauthncose.P256), XCoord: point[1:33], YCoord: point[33:],
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			encoded, err := webauthncbor.Marshal(c.cose)
			if err != nil {
				t.Fatal(err)
			}
			key, err := delegation.ParseCOSE(encoded)
			if err != nil {
				t.Fatal(err)
			}
			challenge := id.Sum([]byte(c.name))
			a := sign(t, c.signer, c.hash, challenge)
			if err := a.Verify(key, challenge, rpID, origin); err != nil {
				t.Error(err)
			}
			client := sha256.Sum256(a.ClientDataJSON)
			theirs, err := webauthncose.ParsePublicKey(encoded)
			if err != nil {
				t.Fatal(err)
			}
			if ok, err := webauthncose.VerifySignature(theirs, append(bytes.Clone(a.AuthenticatorData), client[:]...), a.Signature); !ok || err != nil {
				t.Error("theirs:", ok, err)
			}
			a.Signature = flip(a.Signature, len(a.Signature)-1)
			if err := a.Verify(key, challenge, rpID, origin); fault.Code(err) != "signature_invalid" {
				t.Error("with a bit changed:", err)
			}
		})
	}
}

// sign makes an assertion with any key: the parts of a SoftPasskey's answer, signed anew.
func sign(t *testing.T, key crypto.Signer, hash crypto.Hash, challenge id.Digest) delegation.Assertion {
	t.Helper()
	raw := challenge.Bytes()
	a := newPasskey(t).Assert(raw[:], rpID, origin)
	client := sha256.Sum256(a.ClientDataJSON)
	message := append(bytes.Clone(a.AuthenticatorData), client[:]...)
	if hash != 0 {
		sum := sha256.Sum256(message)
		message = sum[:]
	}
	sig, err := key.Sign(rand.Reader, message, hash)
	if err != nil {
		t.Fatal(err)
	}
	a.Signature = sig
	return a
}
