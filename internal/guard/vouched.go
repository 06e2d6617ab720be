package guard

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"slices"
	"strconv"
	"strings"
	"time"

	gojose "github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// vouched is what another issuer vouches for in an assertion (RFC 7523), read and not yet believed.
type vouched struct {
	raw     string
	typ     string    // that it must have; "": that of any assertion
	signed  id.Digest // of what was signed: the signature itself could be written in another way
	alg     gojose.SignatureAlgorithm
	kid     string
	issuer  string // "" where it has none, as SPIFFE's have
	subject string
	expires time.Time
	claims  map[string]jsontext.Value
}

const (
	maxVouched     = 16 << 10 // bytes
	maxVouchedLife = 24 * time.Hour
	minRSA, maxRSA = 2048, 8192 // bits
)

// algorithms are those that others' assertions may be signed with: asymmetric ones alone, or whoever verifies could forge.
var algorithms = []gojose.SignatureAlgorithm{
	gojose.RS256, gojose.RS384, gojose.RS512, gojose.PS256, gojose.PS384, gojose.PS512, gojose.ES256, gojose.ES384, gojose.ES512, gojose.EdDSA,
}

// notAcceptable is what is wrong with an assertion, in words for an administrator: its sender is told nothing but that it is not trusted.
func notAcceptable(reason string, args ...any) *fault.Error {
	return fault.New(fault.Unauthenticated, "assertion_invalid", reason, args...)
}

// parseVouched reads an assertion strictly and holds it to audience and time (RFC 7523 §3): aud is audience and nobody else, exp is there. Code:
// assertion_invalid.
func parseVouched(raw, audience string, now time.Time) (vouched, error) {
	return parseTyped(raw, "", audience, now)
}

// parseTyped is parseVouched for assertions of another type, which must say so (RFC 8725 §3.11); "" is a plain one.
func parseTyped(raw, typ, audience string, now time.Time) (vouched, error) {
	f := vouched{raw: raw, typ: typ}
	if len(raw) > maxVouched {
		return f, notAcceptable("it has more than %d bytes", maxVouched)
	}
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return f, notAcceptable("it is not a signed token of three parts")
	}
	for _, part := range parts {
		if decoded, err := jose.DecodeBase64(part); err != nil || len(decoded) == 0 {
			return f, notAcceptable("a part of it is not base64url")
		}
	}
	if err := f.header(parts[0]); err != nil {
		return f, err
	}
	payload, _ := jose.DecodeBase64(parts[1])
	f.claims = map[string]jsontext.Value{}
	if err := jose.DecodeForeign(payload, &f.claims, jose.Limits{Bytes: maxVouched}); err != nil {
		return f, notAcceptable("its claims are not acceptable JSON: %v", err)
	}
	f.signed = id.Sum([]byte(parts[0] + "." + parts[1]))
	if err := f.parties(audience); err != nil {
		return f, err
	}
	return f, f.times(now)
}

// header reads what decides how the signature is verified. What asks for more than a plain signature by a known key is refused (RFC 7515 §4.1.11).
func (f *vouched) header(part string) error {
	raw, _ := jose.DecodeBase64(part)
	var h struct {
		Alg  string         `json:"alg"`
		Kid  string         `json:"kid"`
		Typ  string         `json:"typ"`
		Crit jsontext.Value `json:"crit"`
		B64  jsontext.Value `json:"b64"`
		Zip  jsontext.Value `json:"zip"`
	}
	if err := jose.DecodeForeign(raw, &h, jose.Limits{Bytes: maxVouched}); err != nil {
		return notAcceptable("its header is not acceptable JSON: %v", err)
	}
	f.alg, f.kid = gojose.SignatureAlgorithm(h.Alg), h.Kid
	switch {
	case h.Crit != nil || h.B64 != nil || h.Zip != nil:
		return notAcceptable("its header asks for an extension")
	case !slices.Contains(algorithms, f.alg):
		return notAcceptable("it is not signed with an asymmetric algorithm that is accepted")
	case f.typ != "" && h.Typ != f.typ:
		return notAcceptable("it is not of the type %s", f.typ)
	case f.typ == "" && h.Typ != "" && !strings.EqualFold(h.Typ, "JWT") && h.Typ != "JOSE": // a token made for another use is no assertion (RFC 8725 §3.11)
		return notAcceptable("it is a token of another type")
	}
	return nil
}

func (f *vouched) text(claim string) (string, error) {
	v := f.claims[claim]
	if v == nil {
		return "", nil
	}
	var s string
	if v.Kind() != '"' || json.Unmarshal(v, &s) != nil {
		return "", notAcceptable("its %s is not a text", claim)
	}
	return s, nil
}

func (f *vouched) parties(audience string) (err error) {
	if f.issuer, err = f.text("iss"); err != nil {
		return err
	}
	if f.subject, err = f.text("sub"); err != nil {
		return err
	}
	if f.subject == "" {
		return notAcceptable("it has no sub")
	}
	var list []string
	switch aud := f.claims["aud"]; aud.Kind() {
	case '"':
		list = make([]string, 1)
		err = json.Unmarshal(aud, &list[0])
	case '[':
		err = json.Unmarshal(aud, &list)
	}
	if err != nil || len(list) != 1 || list[0] != audience { // whoever else is named could present it here
		return notAcceptable("its aud is not this server's URL alone: %s", audience)
	}
	return nil
}

// times holds exp, nbf and iat to now, give or take 30 seconds.
func (f *vouched) times(now time.Time) (err error) {
	exp, ok, err := f.time("exp")
	if err != nil {
		return err
	}
	if !ok {
		return notAcceptable("it has no exp")
	}
	f.expires = exp
	nbf, _, err := f.time("nbf")
	if err != nil {
		return err
	}
	iat, issued, err := f.time("iat")
	switch {
	case err != nil:
		return err
	case !now.Before(exp.Add(skew)):
		return notAcceptable("it expired at %s", exp.UTC().Format(time.RFC3339))
	case nbf.After(now.Add(skew)), iat.After(now.Add(skew)):
		return notAcceptable("it is not valid yet")
	case exp.Sub(now) > maxVouchedLife+skew, issued && exp.Sub(iat) > maxVouchedLife:
		return notAcceptable("it is good for more than %d hours", maxVouchedLife/time.Hour)
	}
	return nil
}

// time reads a NumericDate (RFC 7519 §2), to the second.
func (f *vouched) time(claim string) (time.Time, bool, error) {
	v := f.claims[claim]
	if v == nil {
		return time.Time{}, false, nil
	}
	seconds, err := strconv.ParseFloat(string(v), 64)
	if v.Kind() != '0' || err != nil || seconds < 0 || seconds > 1<<40 {
		return time.Time{}, false, notAcceptable("its %s is no time", claim)
	}
	return time.Unix(int64(seconds), 0), true, nil
}

// verify holds the signature to keys: those with the kid that the header names, which fit the algorithm. A header without kid is for issuers with a
// single key.
func (f *vouched) verify(keys []gojose.JSONWebKey) error {
	var fitting []gojose.JSONWebKey
	for _, k := range keys {
		if (f.kid == "" || k.KeyID == f.kid) && (k.Algorithm == "" || k.Algorithm == string(f.alg)) && fits(f.alg, k.Key) {
			fitting = append(fitting, k)
		}
	}
	if len(fitting) == 0 {
		return notAcceptable("its issuer has no key with its kid for its alg")
	}
	if f.kid == "" && len(keys) > 1 {
		return notAcceptable("it does not name which of its issuer's keys signed it")
	}
	j, err := gojose.ParseSignedCompact(f.raw, []gojose.SignatureAlgorithm{f.alg})
	if err != nil {
		return notAcceptable("it is not a signed token: %v", err)
	}
	for _, k := range fitting {
		if _, err := j.Verify(k.Key); err == nil {
			return nil
		}
	}
	return notAcceptable("its signature is not by its issuer's key")
}

// fits reports whether a key is one that the algorithm is for: a key's type is not the sender's to choose.
func fits(alg gojose.SignatureAlgorithm, key any) bool {
	switch k := key.(type) {
	case *rsa.PublicKey:
		n := k.N.BitLen()
		return n >= minRSA && n <= maxRSA && (strings.HasPrefix(string(alg), "RS") || strings.HasPrefix(string(alg), "PS"))
	case *ecdsa.PublicKey:
		curves := map[gojose.SignatureAlgorithm]elliptic.Curve{gojose.ES256: elliptic.P256(), gojose.ES384: elliptic.P384(), gojose.ES512: elliptic.P521()}
		return curves[alg] != nil && k.Curve == curves[alg]
	case ed25519.PublicKey:
		_, weak := jose.Ed25519Key(k)
		return alg == gojose.EdDSA && weak == nil
	}
	return false
}

// readKeySet reads the public keys of a JWK Set (RFC 7517 §5) that sign; what it does not understand it passes over (§5), as it does what is private
// or shared.
func readKeySet(set []byte, most int) ([]gojose.JSONWebKey, error) {
	var in struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if err := jose.DecodeForeign(set, &in, jose.Limits{Bytes: most}); err != nil {
		return nil, fault.New(fault.Invalid, "key_set_invalid", "the key set is not acceptable JSON: %v", err)
	}
	var keys []gojose.JSONWebKey
	for _, raw := range in.Keys {
		var k gojose.JSONWebKey
		if k.UnmarshalJSON(raw) == nil && k.Valid() && k.IsPublic() && (k.Use == "" || k.Use == "sig") {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, fault.New(fault.Invalid, "key_set_invalid", "the key set has no public key that signs")
	}
	return keys, nil
}
