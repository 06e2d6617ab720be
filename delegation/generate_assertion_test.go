package delegation_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"math/big"
	"strings"
	"testing"
	"testing/cryptotest"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/id"
)

// A case of kind "assertion" reads a COSE key; where an assertion is given it is verified with it. ok is true.
type assertionCase struct {
	COSE      delegation.Bytes      `json:"cose"`
	Assertion *delegation.Assertion `json:"assertion,omitzero"`
	Challenge id.Digest             `json:"challenge,omitzero"`
	RPID      string                `json:"rp_id,omitzero"`
	Origin    string                `json:"origin,omitzero"`
}

func TestVectorsAssertion(t *testing.T) {
	run(t, "assertion", func(in assertionCase) (bool, error) {
		key, err := delegation.ParseCOSE(in.COSE)
		if err == nil && in.Assertion != nil {
			err = in.Assertion.Verify(key, in.Challenge, in.RPID, in.Origin)
		}
		return err == nil, err
	})
}

// assertionParts are what an authenticator signs, before it does.
type assertionParts struct {
	client string
	data   []byte
}

func wholeParts(challenge id.Digest) *assertionParts {
	hash := sha256.Sum256([]byte(theRP))
	return &assertionParts{
		client: `{"type":"webauthn.get","challenge":"` + challenge.String() + `","origin":"` + theIssuer + `","crossOrigin":false}`,
		data:   append(hash[:], 0x05, 0, 0, 0, 0),
	}
}

func (p *assertionParts) sign(t *testing.T, key crypto.Signer, hash crypto.Hash) *delegation.Assertion {
	t.Helper()
	client := sha256.Sum256([]byte(p.client))
	message := append(bytes.Clone(p.data), client[:]...)
	if hash != 0 {
		sum := sha256.Sum256(message)
		message = sum[:]
	}
	sig, err := key.Sign(nil, message, hash)
	if err != nil {
		t.Fatal(err)
	}
	return &delegation.Assertion{CredentialID: []byte("credential"), AuthenticatorData: p.data, ClientDataJSON: []byte(p.client), Signature: sig}
}

func assertionCases(t *testing.T) (all []wanted) {
	cryptotest.SetGlobalRandom(t, 1) // for the RSA keys; the others are made of their seeds
	challenge := id.Sum([]byte("what is signed"))
	ed, edCOSE := edKey()
	add := func(id, comment string, cose []byte, a *delegation.Assertion, want any) {
		all = append(all, wanted{id, comment, assertionCase{cose, a, challenge, theRP, theIssuer}, want})
	}
	change := func(id, comment, code string, f func(p *assertionParts)) {
		p := wholeParts(challenge)
		f(p)
		want := ok(true)
		if code != "" {
			want = refused(code)
		}
		add(id, comment, edCOSE, p.sign(t, ed, 0), want)
	}
	raw := challenge.Bytes()
	soft := passkey("priya")
	es := soft.Assert(raw[:], theRP, theIssuer)
	add("es256", "ES256", soft.Key().Bytes(), &es, ok(true))
	add("eddsa", "EdDSA", edCOSE, wholeParts(challenge).sign(t, ed, 0), ok(true))
	for _, bits := range []int{2048, 4096} {
		key := must(rsa.GenerateKey(rand.Reader, bits))
		add("rs256-"+big.NewInt(int64(bits)).String(), "RS256", rsaCOSE(key.N.Bytes(), []byte{1, 0, 1}), wholeParts(challenge).sign(t, key, crypto.SHA256), ok(true))
	}
	add("other-key", "another passkey's key", passkey("maya").Key().Bytes(), &es, refused("signature_invalid"))
	add("other-algorithm", "an Ed25519 key for an ES256 signature", edCOSE, &es, refused("signature_invalid"))
	raw64 := es
	raw64.Signature = make([]byte, 64)
	add("es256-raw", "r and s raw, not in DER", soft.Key().Bytes(), &raw64, refused("signature_invalid"))
	trailing := es
	trailing.Signature = append(bytes.Clone(es.Signature), 0)
	add("es256-trailing", "a byte after the DER", soft.Key().Bytes(), &trailing, refused("signature_invalid"))

	change("counter", "the counter is not looked at", "", func(p *assertionParts) { p.data[36] = 7 })
	change("backup", "eligible for backup and backed up", "", func(p *assertionParts) { p.data[32] |= 0x18 })
	change("extensions", "extensions in the authenticator data", "", func(p *assertionParts) { p.data[32] |= 0x80; p.data = append(p.data, 0xa0) })
	change("member", "a member that browsers may add", "", func(p *assertionParts) { p.client = strings.Replace(p.client, "}", `,"other":{"a":[1.5]}}`, 1) })
	change("no-cross", "crossOrigin left out", "", func(p *assertionParts) { p.client = strings.Replace(p.client, `,"crossOrigin":false`, "", 1) })
	change("type", "the client data of a registration", "passkey_malformed", func(p *assertionParts) { p.client = strings.Replace(p.client, "webauthn.get", "webauthn.create", 1) })
	change("challenge", "another challenge", "passkey_challenge", func(p *assertionParts) {
		p.client = strings.Replace(p.client, challenge.String(), id.Sum([]byte("other")).String(), 1)
	})
	change("challenge-padding", "the challenge in another spelling", "passkey_challenge", func(p *assertionParts) {
		p.client = strings.Replace(p.client, challenge.String(), challenge.String()+"=", 1)
	})
	for i, origin := range []string{theIssuer + ":8443", "http://attorn.example", theIssuer + "/", "https://a.attorn.example", theIssuer + ".evil.example"} {
		change("origin-"+string(rune('1'+i)), "another origin", "passkey_origin", func(p *assertionParts) { p.client = strings.Replace(p.client, theIssuer, origin, 1) })
	}
	change("cross", "inside somebody else's frame", "passkey_origin", func(p *assertionParts) { p.client = strings.Replace(p.client, "false", "true", 1) })
	change("cross-string", "crossOrigin that is no boolean", "passkey_malformed", func(p *assertionParts) { p.client = strings.Replace(p.client, "false", `"false"`, 1) })
	change("twice", "a member twice", "passkey_malformed", func(p *assertionParts) {
		p.client = strings.Replace(p.client, "{", `{"origin":"https://evil.example",`, 1)
	})
	change("case", "a member in another case", "passkey_origin", func(p *assertionParts) { p.client = strings.Replace(p.client, `"origin"`, `"Origin"`, 1) })
	change("trailing", "something after the client data", "passkey_malformed", func(p *assertionParts) { p.client += "{}" })
	change("array", "client data that is no object", "passkey_malformed", func(p *assertionParts) { p.client = "[" + p.client + "]" })
	change("party", "another relying party", "passkey_rp", func(p *assertionParts) { p.data[0] ^= 1 })
	change("not-present", "the user was not present", "passkey_unverified", func(p *assertionParts) { p.data[32] = 0x04 })
	change("not-verified", "the user was not verified", "passkey_unverified", func(p *assertionParts) { p.data[32] = 0x01 })
	change("backed-up", "backed up, but not eligible", "passkey_malformed", func(p *assertionParts) { p.data[32] |= 0x10 })
	change("attested", "a credential in an assertion", "passkey_malformed", func(p *assertionParts) { p.data[32] |= 0x40 })
	change("short", "authenticator data cut short", "passkey_malformed", func(p *assertionParts) { p.data = p.data[:36] })
	change("longer", "something after the counter, and no flag for it", "passkey_malformed", func(p *assertionParts) { p.data = append(p.data, 0xa0) })
	change("no-extensions", "the flag of extensions without any", "passkey_malformed", func(p *assertionParts) { p.data[32] |= 0x80 })
	change("large", "client data of more than 2 KiB", "passkey_malformed", func(p *assertionParts) { p.client += strings.Repeat(" ", 2048) })
	anonymous := es
	anonymous.CredentialID = nil
	add("no-credential", "no credential's id", soft.Key().Bytes(), &anonymous, refused("passkey_malformed"))
	return append(all, coseCases(t)...)
}

func edKey() (ed25519.PrivateKey, []byte) {
	seed := sha256.Sum256([]byte("priya's phone"))
	key := ed25519.NewKeyFromSeed(seed[:])
	return key, append([]byte("\xa4\x01\x01\x03\x27\x20\x06\x21\x58\x20"), key.Public().(ed25519.PublicKey)...)
}

func rsaCOSE(n, e []byte) []byte {
	cose := append([]byte("\xa4\x01\x03\x03\x39\x01\x00\x20\x59"), byte(len(n)>>8), byte(len(n)))
	if len(n) < 256 {
		cose = append(cose[:len(cose)-3], 0x58, byte(len(n)))
	}
	cose = append(append(cose, n...), 0x21, 0x40+byte(len(e)))
	return append(cose, e...)
}

// coseCases are keys alone.
func coseCases(t *testing.T) (all []wanted) {
	add := func(id, comment, code string, cose []byte) {
		all = append(all, wanted{"cose-" + id, comment, assertionCase{COSE: cose}, refused(code)})
	}
	const bad = "key_malformed"
	ec := passkey("priya").Key().Bytes()
	_, ed := edKey()
	at := func(key []byte, i int, b ...byte) []byte {
		return append(append(bytes.Clone(key[:i]), b...), key[i+len(b):]...)
	}
	add("empty", "no bytes", bad, []byte{})
	add("no-map", "not a map", bad, []byte{0x01})
	add("cut", "cut short", bad, ec[:len(ec)-1])
	add("trailing", "a byte after the map", bad, append(bytes.Clone(ec), 0))
	add("indefinite", "a map of indefinite length", bad, append(append([]byte{0xbf}, ec[1:]...), 0xff))
	add("long-head", "a length in more bytes than it needs", bad, append([]byte{0xb8, 0x05}, ec[1:]...))
	add("long-int", "an integer in more bytes than it needs", bad, append([]byte{0xa5, 0x01, 0x18, 0x02}, ec[3:]...))
	add("long-length", "a length in two bytes that fits in one", bad, append(append(bytes.Clone(ed[:8]), 0x59, 0x00, 0x20), ed[10:]...))
	add("count-ed", "an EdDSA map that says it has more members", bad, at(ed, 0, 0xa5))
	add("count-rsa", "an RS256 map that says it has more members", bad, at(rsaCOSE(modulus(2048), []byte{1, 0, 1}), 0, 0xa5))
	add("count", "a map that says it has more members", bad, at(ec, 0, 0xa6))
	add("order", "alg before kty", bad, at(ec, 1, 0x03, 0x26, 0x01, 0x02))
	add("twice", "kty twice", bad, at(ec, 3, 0x01, 0x02))
	add("extra", "a key id", bad, append(append([]byte{0xa6}, ec[1:]...), 0x02, 0x41, 0x01))
	add("private", "a private key", bad, append(append([]byte{0xa5}, ed[1:]...), append([]byte{0x23, 0x58, 0x20}, make([]byte, 32)...)...))
	add("es384", "ES384", bad, at(ec, 4, 0x38, 0x22))
	add("kty-alg", "EdDSA on an EC2 key", bad, at(ec, 4, 0x27))
	add("curve", "P-384", bad, at(ec, 6, 0x02))
	add("off-curve", "a point off the curve", bad, at(ec, len(ec)-1, ec[len(ec)-1]^1))
	add("coordinate", "a coordinate of 31 bytes", bad, append(append(bytes.Clone(ec[:8]), 0x58, 0x1f), ec[11:]...))
	add("compressed", "a sign instead of y", bad, append(bytes.Clone(ec[:42]), 0x22, 0xf5))
	add("text", "a text instead of bytes", bad, at(ec, 8, 0x78))
	add("ed448", "Ed448", bad, at(ed, 6, 0x07))
	add("x25519", "X25519", bad, at(ed, 6, 0x04))
	add("small-order", "an Ed25519 key of small order", "weak_key", append(bytes.Clone(ed[:10]), append([]byte{1}, make([]byte, 31)...)...))
	add("rsa-1024", "a modulus of 1024 bits", "weak_key", rsaCOSE(modulus(1024), []byte{1, 0, 1}))
	add("rsa-2047", "a modulus of 2047 bits", "weak_key", rsaCOSE(modulus(2047), []byte{1, 0, 1}))
	add("rsa-4097", "a modulus of 4097 bits", "weak_key", rsaCOSE(modulus(4097), []byte{1, 0, 1}))
	add("rsa-even", "an even modulus", "weak_key", rsaCOSE(new(big.Int).Lsh(big.NewInt(1), 2047).Bytes(), []byte{1, 0, 1}))
	add("rsa-3", "the exponent 3", bad, rsaCOSE(modulus(2048), []byte{3}))
	add("rsa-exponent", "another exponent of three bytes", "weak_key", rsaCOSE(modulus(2048), []byte{1, 0, 3}))
	add("rsa-zero", "a leading zero in the modulus", bad, rsaCOSE(append([]byte{0}, modulus(2048)...), []byte{1, 0, 1}))
	add("large", "more than 1024 bytes", bad, rsaCOSE(modulus(8192), []byte{1, 0, 1}))
	return all
}

// modulus is an odd number of that many bits.
func modulus(bits int) []byte {
	v := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	return v.SetBit(v, 0, 1).Bytes()
}
