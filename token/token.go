package token

import (
	"strings"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

const (
	typ           = "at+jwt" // RFC 9068 §2.1
	maxToken      = 8 << 10
	defaultLeeway = 30 * time.Second
)

// Want is what a token must be for.
type Want struct {
	Issuer      string
	Audience    string // the resource that is asked: the token's aud must be this one string
	AnyAudience bool   // an issuer reading its own tokens back: Audience is not looked at
	Now         time.Time
	Leeway      time.Duration // how far clocks may differ; 0 means 30 s
}

// Issue signs an access token with an Ed25519 key. Its header is exactly {"alg":"EdDSA","kid":…,"typ":"at+jwt"}, which is how Verify knows it; its
// payload is in RFC 8785 form. Codes: token_malformed for claims that Verify would not accept, too_large over 8 KiB.
func Issue(c Claims, s jose.Signer) (string, error) {
	if err := c.check(); err != nil {
		return "", err
	}
	if s.Public().Type() != "Ed25519" {
		return "", fault.New(fault.Invalid, "alg_unsupported", "access tokens are signed with Ed25519 keys only")
	}
	payload, err := jose.Canonical(c.wire())
	if err != nil {
		return "", err
	}
	raw, err := jose.Sign(typ, payload, s)
	if err != nil {
		return "", err
	}
	if len(raw) > maxToken {
		return "", fault.New(fault.TooLarge, "too_large", "the access token would have %d bytes; at most %d are allowed", len(raw), maxToken).
			Try("ask for fewer permissions, or for one that covers several")
	}
	return raw, nil
}

// Verify checks an access token of ours: the exact header, a signature by the key that keys knows under its kid, claims of one of the forms that
// Claims names with no member beside them, issuer, audience and time. The claims are looked at only after the signature held. Whether
// token, delegation or principals were ended since, and that the request was signed by Claims.JKT, is its caller's to check.
func Verify(raw string, keys func(kid id.Key) (jose.PublicKey, bool), want Want) (Claims, error) {
	j, err := parse(raw, keys)
	if err != nil {
		return Claims{}, err
	}
	var w wire
	if err := jose.Decode(j.Payload, &w, jose.Limits{}); err != nil {
		return Claims{}, refused(err)
	}
	if w.Cnf != nil && w.Cnf.JKT.IsZero() { // else a token bound in a way that we do not know would pass as a bearer token
		return Claims{}, malformed("cnf without jkt")
	}
	if w.MayAct != nil && w.MayAct.Sub.IsZero() {
		return Claims{}, malformed("may_act without sub")
	}
	c := w.claims()
	if err := c.check(); err != nil {
		return Claims{}, err
	}
	if err := c.fits(want); err != nil {
		return Claims{}, err
	}
	return c, nil
}

// parse reads a token of ours and verifies its signature.
func parse(raw string, keys func(kid id.Key) (jose.PublicKey, bool)) (*jose.JWS, error) {
	j, err := jose.Parse(raw, maxToken)
	if err != nil {
		return nil, refused(err)
	}
	kid, err := id.ParseKey(j.Header.Kid)
	if err != nil || !strings.HasPrefix(raw, header(kid)+".") {
		return nil, malformed("its header is not that of an access token of this kind")
	}
	key, ok := keys(kid)
	if !ok || key.Thumbprint() != kid || j.Verify(key) != nil {
		return nil, fault.New(fault.Unauthenticated, "token_signature", "the access token is not signed by a key of the issuer").
			Try("get a new token from the issuer of this resource")
	}
	return j, nil
}

// header is the first part of every token of ours under kid.
func header(kid id.Key) string {
	return jose.EncodeBase64([]byte(`{"alg":"EdDSA","kid":"` + kid.String() + `","typ":"` + typ + `"}`))
}

// anew is what helps where a token is none of ours: no client makes one.
const anew = "get a new access token from the issuer, and send it as it came"

// refused keeps the reason of a fault of package jose under this package's code.
func refused(err error) error {
	reason := "it could not be read"
	if f := fault.Of(err); f != nil {
		reason = f.Reason
	}
	return fault.Wrap(err, fault.Unauthenticated, "token_malformed", "the access token is not acceptable: %s", reason).Try(anew)
}

func (c Claims) fits(want Want) error {
	leeway := want.Leeway
	if leeway <= 0 {
		leeway = defaultLeeway
	}
	switch {
	case c.Issuer != want.Issuer:
		return fault.New(fault.Unauthenticated, "token_issuer", "the access token is of another issuer").
			Try("get a token from %s", want.Issuer)
	case !want.AnyAudience && c.Audience != want.Audience:
		return fault.New(fault.Unauthenticated, "token_audience", "the access token is for another resource").
			Try("get a token with resource=%s", want.Audience)
	case want.Now.Add(leeway).Before(time.Unix(c.IssuedAt, 0)):
		return fault.New(fault.Unauthenticated, "token_not_yet", "the access token was issued later than now").Try("check the clock")
	case !want.Now.Add(-leeway).Before(time.Unix(c.Expires, 0)):
		return fault.New(fault.Unauthenticated, "token_expired", "the access token has expired").Try("get a new token")
	}
	return nil
}
