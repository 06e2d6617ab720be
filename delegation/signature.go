package delegation

import (
	"strings"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// The kinds of signature.
const (
	ByJWS      = "jws"      // an agent's instance key, or a person's registered key
	ByPasskey  = "passkey"  // a person's passkey
	ByAttested = "attested" // none: the server attests that the person had signed in
)

// TypeStatement is the `typ` of a JWS by which a delegator signs a statement.
const TypeStatement = "attorn-delegation+jws"

// MaxToken bounds both compact forms, in bytes.
const MaxToken = 16 << 10

// A Signature is the delegator's, over Statement.Bytes. JWS is a compact JWS without its payload (RFC 7515 appendix F: "header..signature"),
// because the statement stands beside it.
type Signature struct {
	Type    string     `json:"type"`
	JWS     string     `json:"jws,omitzero"`
	Passkey *Assertion `json:"passkey,omitzero"`
}

// Signed is a statement with its delegator's signature: what a lender hands to the server. Nothing in it is verified until
// VerifySignature has passed with a key that is known to be the delegator's.
type Signed struct {
	Statement Statement `json:"statement"`
	Signature Signature `json:"signature"`
}

// A DelegatorKey is what the delegator's signature is held to, exactly one of: a JWK, a passkey, or, where the person has neither, the
// server's own word about their sign-in.
type DelegatorKey struct {
	JWK      jose.PublicKey `json:"jwk,omitzero"`
	Passkey  *Passkey       `json:"passkey,omitzero"`
	Attested *Attestation   `json:"attested,omitzero"`
}

// A Passkey is a credential's key with the relying party and origin that it is used at.
type Passkey struct {
	Key    CredentialKey `json:"cose"`
	RPID   string        `json:"rp_id"`
	Origin string        `json:"origin"`
}

// ByMayAct is the method of an attestation of what a token's may_act says (RFC 8693 §4.4).
const ByMayAct = "may_act"

// An Attestation is how and when the person signed in, in the server's word. AuthTime is Unix seconds.
type Attestation struct {
	Method   string    `json:"method"`
	Issuer   string    `json:"issuer"`
	AuthTime int64     `json:"auth_time"` // 0 with ByMayAct alone: the token does not say
	ACR      string    `json:"acr"`
	Token    *TokenRef `json:"token,omitzero"` // with ByMayAct alone: the token that said so
}

// A TokenRef names an access token of the server's, with a key that it is bound to.
type TokenRef struct {
	ID     string    `json:"jti"`
	SHA256 id.Digest `json:"sha256"` // of its compact form
	JKT    id.Key    `json:"jkt"`
}

func (a Attestation) check() error {
	if t := a.Token; (t != nil) != (a.Method == ByMayAct) || t != nil && (t.ID == "" || len(t.ID) > maxTask || !plain(t.ID) || t.SHA256.IsZero() || t.JKT.IsZero()) {
		return badStatement("an attestation by %s, and no other, names the token that it rests on", ByMayAct)
	}
	for _, s := range []string{a.Method, a.Issuer, a.ACR} {
		if len(s) > maxIssuer || !plain(s) {
			return badStatement("an attestation's method, issuer and acr are plain strings of at most %d bytes", maxIssuer)
		}
	}
	if a.Method == "" || a.AuthTime < 0 || a.AuthTime == 0 && a.Token == nil || a.AuthTime > maxSeconds {
		return badStatement("an attestation says how and when the person signed in")
	}
	return nil
}

// Sign makes the delegator's signature with a key: for an agent the key must be the instance that the statement names. Codes: those of
// Statement.Bytes, and key_mismatch.
func Sign(st Statement, s jose.Signer) (Signed, error) {
	b, err := st.Bytes()
	if err != nil {
		return Signed{}, err
	}
	if err := st.Delegator.holds(s.Public()); err != nil {
		return Signed{}, err
	}
	compact, err := jose.Sign(TypeStatement, b, s)
	if err != nil {
		return Signed{}, err
	}
	return Signed{st, Signature{Type: ByJWS, JWS: detach(compact)}}, nil
}

// holds refuses a key that is not the instance which the statement says is lending. A user's statement names no key: the server says which.
func (d Delegator) holds(key jose.PublicKey) error {
	if d.User.IsZero() && key.Thumbprint() != d.Instance {
		return fault.New(fault.Unauthenticated, "key_mismatch", "the key is not the instance that the statement names as its delegator")
	}
	return nil
}

// VerifySignature reports, by a nil error, that the holder of key signed exactly this statement; for an attested one, that key is an
// attestation, which is as good as the word of who made it. It does not know whose key it is: for an agent the statement names it, for a
// user the caller must. Codes: signature_malformed, key_mismatch, typ_wrong, those of Statement.Bytes, jose.JWS.Verify and Assertion.Verify.
func VerifySignature(sd Signed, key DelegatorKey) error {
	sig, st := sd.Signature, sd.Statement
	b, err := st.Bytes()
	if err != nil {
		return err
	}
	if err := sig.check(); err != nil {
		return err
	}
	if err := key.fits(sig.Type, st.Delegator); err != nil {
		return err
	}
	if (key.Attested != nil && key.Attested.Token != nil) != st.InStead() {
		return fault.New(fault.Unauthenticated, "key_mismatch", "what is lent in a delegate's stead is attested by the server, on a token, and nothing else is")
	}
	switch sig.Type {
	case ByPasskey:
		return sig.Passkey.Verify(key.Passkey.Key, id.Sum(b), key.Passkey.RPID, key.Passkey.Origin)
	case ByAttested:
		return key.Attested.check()
	}
	j, err := parseOwn(attach(sig.JWS, b))
	if err != nil {
		return err
	}
	if j.Header.Kid != key.JWK.Thumbprint().String() {
		return fault.New(fault.Unauthenticated, "key_mismatch", "the statement is signed with another key than the delegator's")
	}
	return j.Verify(key.JWK)
}

// fits demands the one kind of key that the kind of signature is made with. Passkeys and attestations are a person's.
func (k DelegatorKey) fits(signature string, by Delegator) error {
	jwk, passkey, attested := !k.JWK.IsZero(), k.Passkey != nil, k.Attested != nil
	if jwk != (signature == ByJWS) || passkey != (signature == ByPasskey) || attested != (signature == ByAttested) {
		return fault.New(fault.Unauthenticated, "key_mismatch", "the signature is of another kind than the delegator's key")
	}
	if jwk {
		return by.holds(k.JWK)
	}
	if by.User.IsZero() {
		return fault.New(fault.Unauthenticated, "key_mismatch", "an agent signs with the key of its instance")
	}
	return nil
}

// check demands that exactly the member of the type is there.
func (s Signature) check() error {
	if known := s.Type == ByJWS || s.Type == ByPasskey || s.Type == ByAttested; !known ||
		(s.JWS != "") != (s.Type == ByJWS) || (s.Passkey != nil) != (s.Type == ByPasskey) {
		return fault.New(fault.Invalid, "signature_malformed", "a signature has a type, jws, passkey or attested, and the member of that type alone")
	}
	return nil
}

// Encode is the compact form in which a delegator hands on a statement that they signed with a key: a JWS of type TypeStatement. Codes:
// signature_malformed for other signatures (they travel as JSON), those of Statement.Bytes, too_large.
func Encode(sd Signed) (string, error) {
	b, err := sd.Statement.Bytes()
	if err != nil {
		return "", err
	}
	if err := sd.Signature.check(); err != nil || sd.Signature.Type != ByJWS {
		return "", fault.Wrap(err, fault.Invalid, "signature_malformed", "only a statement signed with a key has a compact form of its own")
	}
	compact := attach(sd.Signature.JWS, b)
	_, err = parseOwn(compact)
	return compact, err
}

// parseOwn reads a JWS of type TypeStatement; its signature is not looked at.
func parseOwn(compact string) (*jose.JWS, error) {
	j, err := jose.Parse(compact, MaxToken)
	if err != nil {
		return nil, err
	}
	return j, j.Is(TypeStatement)
}

// detach takes the payload out of a compact JWS.
func detach(compact string) string {
	head, rest, _ := strings.Cut(compact, ".")
	_, signature, _ := strings.Cut(rest, ".")
	return head + ".." + signature
}

// attach puts payload into a detached JWS; anything else becomes a text that does not parse.
func attach(detached string, payload []byte) string {
	head, signature, ok := strings.Cut(detached, "..")
	if !ok {
		return ""
	}
	return head + "." + jose.EncodeBase64(payload) + "." + signature
}
