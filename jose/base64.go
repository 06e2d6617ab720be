package jose

import (
	"encoding/base64"
	"strings"

	"github.com/attorn/attorn/fault"
)

var strict = base64.RawURLEncoding.Strict()

// EncodeBase64 is base64url without padding (RFC 4648 §5, RFC 7515 §2).
func EncodeBase64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// DecodeBase64 reads exactly what EncodeBase64 prints: padding, white space, newlines and spare bits that are not zero are refused, so that
// one value has one text. Code: malformed.
func DecodeBase64(s string) ([]byte, error) {
	if strings.IndexByte(s, '\n') >= 0 || strings.IndexByte(s, '\r') >= 0 { // the library would skip them, even in strict mode
		return nil, errBase64()
	}
	b, err := strict.DecodeString(s)
	if err != nil {
		return nil, errBase64()
	}
	return b, nil
}

func errBase64() error {
	return fault.New(fault.Invalid, "malformed", "not base64url: it has no padding, white space or newline, and no spare bits at its end (RFC 4648 §3.5, §5)").
		Try("encode with the URL-safe alphabet and leave the padding out")
}
