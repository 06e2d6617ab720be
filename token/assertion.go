package token

import (
	"cmp"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

const (
	assertionTyp = "client-authentication+jwt" // draft-ietf-oauth-rfc7523bis
	maxAssertion = 300 * time.Second           // how far ahead exp may be
	maxClientID  = 2048
)

// Assertion is a client assertion that ParseAssertion read. Until its signature holds nothing in it may be believed.
type Assertion struct {
	Issuer   string // equal to Subject: the client_id
	Subject  string
	JTI      string // once per Kid
	Audience string // the issuer of the server that is asked
	IssuedAt time.Time
	Expires  time.Time
	Kid      id.Key // the key that must have signed it
	Raw      string
}

// audience is one string, or a list of one (RFC 7519 §4.1.3): a list of several would let one server replay it to another.
type audience string

func (a *audience) UnmarshalJSON(raw []byte) error {
	if jsontext.Value(raw).Kind() != '[' {
		return jose.Decode(raw, (*string)(a), jose.Limits{})
	}
	var list []string
	if err := jose.Decode(raw, &list, jose.Limits{}); err != nil {
		return err
	}
	if len(list) != 1 {
		return assertion("audience", "aud names one server")
	}
	*a = audience(list[0])
	return nil
}

// assertionClaims is the claim set (RFC 7523 §3). Names are in canonical order.
type assertionClaims struct {
	Aud audience `json:"aud"`
	Exp int64    `json:"exp"`
	Iat int64    `json:"iat,omitzero"`
	Iss string   `json:"iss"`
	Jti string   `json:"jti"`
	Nbf int64    `json:"nbf,omitzero"`
	Sub string   `json:"sub"`
}

// SignAssertion makes the assertion by which clientID authenticates to issuer for ttl, at most 300 s. The jti must be unique for the key.
// Code: assertion_malformed for claims that no assertion may have.
func SignAssertion(s jose.Signer, clientID, issuer, jti string, now time.Time, ttl time.Duration) (string, error) {
	c := assertionClaims{Aud: audience(issuer), Exp: now.Add(ttl).Unix(), Iat: now.Unix(), Iss: clientID, Jti: jti, Sub: clientID}
	if ttl < time.Second || ttl > maxAssertion {
		return "", assertion("malformed", "it lives for 1 s to %s", maxAssertion)
	}
	if err := c.check(issuer); err != nil {
		return "", err
	}
	payload, err := jose.Canonical(c)
	if err != nil {
		return "", err
	}
	return jose.Sign(assertionTyp, payload, s)
}

// ParseAssertion reads a client assertion and holds it to every rule but the signature, which its caller checks on the returned JWS with the live key
// of the client that Kid names; then it spends JTI. The rules: typ absent, JWT or client-authentication+jwt; kid is a thumbprint; iss = sub;
// aud is issuer alone; exp at most 300 s ahead; iat and nbf, where present, not ahead; clocks may differ by 30 s; agents sign with Ed25519. seen is the
// header of one that was verified before, or the zero value: where this one has the same, byte for byte, it is not read again.
func ParseAssertion(raw, issuer string, now time.Time, seen jose.Header) (Assertion, *jose.JWS, error) {
	j, err := seen.Parse(raw, 0)
	if err == nil {
		err = j.Is("", "JWT", assertionTyp)
	}
	if err != nil {
		return Assertion{}, nil, assertionRefused(err)
	}
	kid, err := id.ParseKey(j.Header.Kid)
	if err != nil || !j.Header.JWK.IsZero() {
		return Assertion{}, nil, assertion("malformed", "its header names the key by kid, the RFC 7638 thumbprint, and has no jwk")
	}
	var c assertionClaims
	if err := jose.DecodeForeign(j.Payload, &c, jose.Limits{}); err != nil {
		return Assertion{}, nil, assertionRefused(err)
	}
	if err := c.check(issuer); err != nil {
		return Assertion{}, nil, err
	}
	if err := c.checkTime(now); err != nil {
		return Assertion{}, nil, err
	}
	if _, notAgent := id.Parse[id.Agent](c.Sub); notAgent == nil && j.Header.Alg == "ES256" {
		return Assertion{}, nil, assertion("alg", "agents sign with Ed25519")
	}
	a := Assertion{Issuer: c.Iss, Subject: c.Sub, JTI: c.Jti, Audience: string(c.Aud), Expires: time.Unix(c.Exp, 0), Kid: kid, Raw: raw}
	if c.Iat != 0 {
		a.IssuedAt = time.Unix(c.Iat, 0)
	}
	return a, j, nil
}

func (c assertionClaims) check(issuer string) error {
	switch {
	case c.Iss == "" || len(c.Iss) > maxClientID:
		return assertion("malformed", "iss is the client_id, of 1 to %d bytes", maxClientID)
	case c.Jti == "" || len(c.Jti) > maxJTI:
		return assertion("malformed", "jti has 1 to %d bytes", maxJTI)
	case c.Exp <= 0 || c.Exp > maxTime || c.Iat < 0 || c.Iat >= c.Exp || c.Nbf < 0 || c.Nbf >= c.Exp:
		return assertion("malformed", "exp is present and comes after iat and nbf, all in whole seconds after 1970")
	case c.Iss != c.Sub:
		return assertion("subject", "iss and sub are both the client_id")
	case issuer == "" || string(c.Aud) != issuer:
		return assertion("audience", "aud is the issuer of this server alone, byte for byte")
	}
	return nil
}

func (c assertionClaims) checkTime(now time.Time) error {
	exp, ahead := time.Unix(c.Exp, 0), now.Add(defaultLeeway)
	switch {
	case !now.Add(-defaultLeeway).Before(exp):
		return assertion("time", "it has expired")
	case exp.After(ahead.Add(maxAssertion)):
		return assertion("time", "exp is more than %s ahead", maxAssertion)
	case ahead.Before(time.Unix(c.Iat, 0)) || ahead.Before(time.Unix(c.Nbf, 0)):
		return assertion("time", "iat or nbf is ahead: check the clock")
	}
	return nil
}

const assertionAnew = "sign a new assertion: kid is the thumbprint of the key, iss and sub are the client_id, aud is the issuer, with jti, iat, and exp 60 s later"

func assertion(code, reason string, args ...any) error {
	return fault.New(fault.Unauthenticated, "assertion_"+code, "the client assertion is not acceptable: "+reason, args...).Try(assertionAnew)
}

// assertionRefused keeps the reason and the remedy of a fault of package jose under this package's code.
func assertionRefused(err error) error {
	f := fault.Of(err)
	if f == nil || strings.HasPrefix(f.Code, "assertion_") {
		return err
	}
	out := fault.Wrap(err, fault.Unauthenticated, "assertion_malformed", "the client assertion is not acceptable: %s", f.Reason)
	return out.Try("%s", cmp.Or(f.Remedy, assertionAnew))
}
