package token

import (
	"bytes"
	"cmp"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// The uses of a key statement.
const (
	UseRotate = "rotate" // the new key takes the place of the old one
	UseSpawn  = "spawn"  // the new key is a child beside it
)

const (
	keyTyp        = "attorn-key+jws"
	maxKeyBytes   = 8 << 10
	maxKeyIssuer  = 255
	minNonce      = 22 // 128 bits
	maxNonce      = 64
	maxKeySeconds = 253_402_300_799 // the last second of the year 9999
	defaultPast   = 60 * time.Second
)

// KeyStatement is how one live key of an agent vouches for a new key. Both keys sign the same bytes: the old one says whose the new one is, the
// new one that it is held by who asks. It names one use, one server, one workspace and one agent, so that it is good for nothing else, and Nonce lets a
// server take it once.
type KeyStatement struct {
	Use       string         // UseRotate or UseSpawn
	Issuer    string         // the server that is to take the new key
	Workspace id.Workspace   //
	Agent     id.Agent       // whose the new key is to be
	By        id.Key         // thumbprint of the key that vouches
	Key       jose.PublicKey // the new key, Ed25519
	Nonce     string         // 22 to 64 characters of base64url: at least 128 random bits; once per By
	IssuedAt  int64          // seconds
	// Expires, in seconds, is when the child ends (spawn; 0: with its agent), or when the old key ends (rotate; IssuedAt: at once).
	Expires int64
}

// keyWire is the statement as it is signed; names are in canonical order.
type keyWire struct {
	Agent id.Agent       `json:"agent"`
	By    id.Key         `json:"by"`
	Exp   int64          `json:"exp,omitzero"`
	Iat   int64          `json:"iat"`
	Iss   string         `json:"iss"`
	Key   jose.PublicKey `json:"key"`
	Nonce string         `json:"nonce"`
	Use   string         `json:"use"`
	Ws    id.Workspace   `json:"ws"`
}

// KeyWant is what a key statement must be for.
type KeyWant struct {
	Use    string
	Issuer string
	Now    time.Time
	Past   time.Duration // how old it may be; 0 means 60 s
	Future time.Duration // how far ahead its clock may be; 0 means 30 s
}

// SignKeyStatement makes the two compact JWS of a statement: the voucher, signed by the old key, and the proof of possession, signed by the new one,
// over the same RFC 8785 bytes. By and Key are those of the signers, whatever s says. Code: key_statement_malformed for a statement that
// VerifyKeyStatement would not accept.
func SignKeyStatement(s KeyStatement, by, fresh jose.Signer) (voucher, possession string, err error) {
	s.By, s.Key = by.Public().Thumbprint(), fresh.Public()
	if by.Public().Type() != "Ed25519" {
		return "", "", keyRefused("malformed", "the key that vouches is an agent's, Ed25519")
	}
	if err := s.check(); err != nil {
		return "", "", err
	}
	payload, err := jose.Canonical(s.wire())
	if err != nil {
		return "", "", keyMalformed(err)
	}
	if voucher, err = jose.Sign(keyTyp, payload, by); err != nil {
		return "", "", err
	}
	if possession, err = jose.Sign(keyTyp, payload, fresh); err != nil {
		return "", "", err
	}
	return voucher, possession, nil
}

// VerifyKeyStatement checks both signatures, of by over the voucher and of the new key, which the voucher names, over the possession; that both are over
// the same bytes and these in canonical form; every member; use, issuer and time. That by was live, that workspace and agent are its own and that
// the nonce is fresh is its caller's to check. Codes: key_statement_malformed, key_statement_signature, key_statement_use,
// key_statement_issuer, key_statement_time.
func VerifyKeyStatement(voucher, possession string, by jose.PublicKey, want KeyWant) (KeyStatement, error) {
	payload, err := keyPayload(voucher, by)
	if err != nil {
		return KeyStatement{}, err
	}
	var w keyWire
	if err := jose.Decode(payload, &w, jose.Limits{Bytes: maxKeyBytes, Depth: 2, Values: 32}); err != nil {
		return KeyStatement{}, keyMalformed(err)
	}
	s := w.statement()
	if err := s.check(); err != nil {
		return KeyStatement{}, err
	}
	if canonical, err := jose.Canonical(w); err != nil || !bytes.Equal(canonical, payload) {
		return KeyStatement{}, keyRefused("malformed", "the signed bytes are not the RFC 8785 form of what they say")
	}
	if s.By != by.Thumbprint() {
		return KeyStatement{}, keyRefused("signature", "it names another key than the one that vouches for it")
	}
	second, err := keyPayload(possession, s.Key)
	if err != nil {
		return KeyStatement{}, err
	}
	if !bytes.Equal(second, payload) {
		return KeyStatement{}, keyRefused("signature", "the old key and the new one signed different statements")
	}
	if err := s.fits(want); err != nil {
		return KeyStatement{}, err
	}
	return s, nil
}

// keyPayload is what k signed.
func keyPayload(compact string, k jose.PublicKey) ([]byte, error) {
	j, err := jose.Parse(compact, maxKeyBytes)
	if err == nil {
		err = j.Is(keyTyp)
	}
	if err != nil {
		return nil, keyMalformed(err)
	}
	if kid, err := id.ParseKey(j.Header.Kid); err != nil || !j.Header.JWK.IsZero() {
		return nil, keyRefused("malformed", "its header names the key by kid, the RFC 7638 thumbprint, and has no jwk")
	} else if kid != k.Thumbprint() || k.Type() != "Ed25519" || j.Verify(k) != nil {
		return nil, keyRefused("signature", "a signature is not by the key that it must be by")
	}
	return j.Payload, nil
}

func (s KeyStatement) wire() keyWire {
	return keyWire{s.Agent, s.By, s.Expires, s.IssuedAt, s.Issuer, s.Key, s.Nonce, s.Use, s.Workspace}
}

func (w keyWire) statement() KeyStatement {
	return KeyStatement{w.Use, w.Iss, w.Ws, w.Agent, w.By, w.Key, w.Nonce, w.Iat, w.Exp}
}

// check holds the statement to the rules that need neither time nor expectation.
func (s KeyStatement) check() error {
	switch {
	case s.Use != UseRotate && s.Use != UseSpawn:
		return keyRefused("malformed", "use is %s or %s", UseRotate, UseSpawn)
	case s.Issuer == "" || len(s.Issuer) > maxKeyIssuer:
		return keyRefused("malformed", "iss is the server that is asked, of 1 to %d bytes", maxKeyIssuer)
	case s.Workspace.IsZero() || s.Agent.IsZero() || s.By.IsZero():
		return keyRefused("malformed", "one of ws, agent and by is missing")
	case s.Key.Type() != "Ed25519":
		return keyRefused("malformed", "key is the new key, Ed25519")
	case s.Key.Thumbprint() == s.By:
		return keyRefused("malformed", "a key does not vouch for itself")
	case !nonceForm(s.Nonce):
		return keyRefused("malformed", "nonce has %d to %d characters of base64url", minNonce, maxNonce)
	case s.IssuedAt <= 0 || s.IssuedAt > maxKeySeconds:
		return keyRefused("malformed", "iat is whole seconds after 1970")
	case s.Use == UseRotate && s.Expires == 0:
		return keyRefused("malformed", "a rotation says in exp when the old key ends; iat for at once")
	case s.Expires != 0 && s.Expires < s.IssuedAt, s.Use == UseSpawn && s.Expires == s.IssuedAt, s.Expires > maxKeySeconds:
		return keyRefused("malformed", "exp does not come before iat, and a child lives")
	}
	return nil
}

// nonceForm accepts 22 to 64 characters of the base64url alphabet.
func nonceForm(s string) bool {
	if len(s) < minNonce || len(s) > maxNonce {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

func (s KeyStatement) fits(want KeyWant) error {
	past, future := want.Past, want.Future
	if past <= 0 {
		past = defaultPast
	}
	if future <= 0 {
		future = defaultLeeway
	}
	age := want.Now.Sub(time.Unix(s.IssuedAt, 0))
	switch {
	case want.Use == "" || s.Use != want.Use:
		return keyRefused("use", "it was made to %s a key, not to %s one", s.Use, want.Use)
	case want.Issuer == "" || s.Issuer != want.Issuer:
		return keyRefused("issuer", "iss is the issuer of this server, byte for byte")
	case age > past:
		return keyRefused("time", "it is %s old; at most %s is accepted: make a new one, and check the clock", age.Truncate(time.Second), past)
	case age < -future:
		return keyRefused("time", "it is from %s ahead; at most %s is accepted: check the clock", (-age).Truncate(time.Second), future)
	case s.Use == UseSpawn && s.Expires != 0 && !want.Now.Before(time.Unix(s.Expires, 0)):
		return keyRefused("time", "the child's time is over")
	}
	return nil
}

const keyAnew = "sign a new statement for this server, of the key that is to come, by the key that vouches for it and by the new one"

func keyRefused(code, reason string, args ...any) error {
	return fault.New(fault.Unauthenticated, "key_statement_"+code, "the key statement is not acceptable: "+reason, args...).Try(keyAnew)
}

// keyMalformed keeps the reason and the remedy of a fault of package jose under this package's code.
func keyMalformed(err error) error {
	reason, remedy := "it could not be read", ""
	if f := fault.Of(err); f != nil {
		reason, remedy = f.Reason, f.Remedy
	}
	out := fault.Wrap(err, fault.Unauthenticated, "key_statement_malformed", "the key statement is not acceptable: %s", reason)
	return out.Try("%s", cmp.Or(remedy, keyAnew))
}
