package evidence

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// Salt makes a disclosure's digest tell nothing about its value: 128 random bits, new for each disclosure (RFC 9901 §9.3). The zero salt is refused.
type Salt [16]byte

// Arguments of an MCP message may have 4 MiB (mcp.md's rule "size"); a disclosure adds its salt and path.
func disclosureLimits() jose.Limits {
	return jose.Limits{Bytes: 4<<20 + 1024, Depth: 66, Values: 100_004}
}

// Disclose is what opens a Sealed: the RFC 8785 form of the array [salt, path, value], a salted triple as in SD-JWT (RFC 9901 §4.2.1). The salt
// is base64url; path names the member of the event that is sealed, as Detail.Field does: "args", "ip", "name", "text"; value is one JSON text. What is
// sealed is the SHA-256 of these bytes (Seal). Codes: malformed, too_large.
func Disclose(salt Salt, path string, value []byte) ([]byte, error) {
	if salt == (Salt{}) {
		return nil, fault.New(fault.Invalid, "malformed", "a disclosure needs a random salt")
	}
	head, err := jose.Canonical([]string{jose.EncodeBase64(salt[:]), path})
	if err != nil {
		return nil, err
	}
	tail, err := jose.CanonicalRaw(value, disclosureLimits())
	if err != nil {
		return nil, err
	}
	d := append(append(bytes.TrimSuffix(head, []byte("]")), ','), tail...)
	d = append(d, ']')
	if len(d) > disclosureLimits().Bytes {
		return nil, fault.New(fault.TooLarge, "too_large", "a disclosure has at most %d bytes, not %d", disclosureLimits().Bytes, len(d))
	}
	return d, nil
}

// DiscloseText is Disclose for a string.
func DiscloseText(salt Salt, path, text string) ([]byte, error) {
	value, err := jose.Canonical(text)
	if err != nil {
		return nil, err
	}
	return Disclose(salt, path, value)
}

// Seal is what an event holds in the place of a disclosed value.
func Seal(disclosure []byte) *Sealed { return &Sealed{SD: id.Sum(disclosure)} }

// Open checks that disclosure is the one that was sealed and of the member path, and returns its value in RFC 8785 form. Codes:
// disclosure_mismatch, malformed, too_large.
func (s Sealed) Open(disclosure []byte, path string) ([]byte, error) {
	if s.SD.IsZero() || id.Sum(disclosure) != s.SD {
		return nil, fault.New(fault.Denied, "disclosure_mismatch", "the disclosed %s is not what the event sealed", path)
	}
	var parts []jsontext.Value
	if err := jose.Decode(disclosure, &parts, disclosureLimits()); err != nil {
		return nil, err
	}
	bad := fault.New(fault.Invalid, "malformed", "not the disclosure of %s: [salt, path, value] in RFC 8785 form", path)
	if len(parts) != 3 || parts[0].Kind() != '"' {
		return nil, bad
	}
	salt, err := jsontext.AppendUnquote(nil, parts[0])
	if err != nil {
		return nil, bad
	}
	raw, err := jose.DecodeBase64(string(salt))
	if err != nil || len(raw) != len(Salt{}) {
		return nil, bad
	}
	again, err := Disclose(Salt(raw), path, parts[2])
	if err != nil || !bytes.Equal(again, disclosure) { // another path, or another form
		return nil, bad
	}
	return parts[2], nil
}
