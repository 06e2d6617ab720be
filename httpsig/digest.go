package httpsig

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"

	"github.com/attorn/attorn/fault"
)

// ContentDigest is the value of a Content-Digest field for this content: its SHA-256 (RFC 9530 §2). An absent body is an empty one.
func ContentDigest(body []byte) string {
	sum := sha256.Sum256(body)
	return "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
}

// CheckDigest holds content to the lines of its Content-Digest field: every sha-256 and sha-512 in it must be that of body and there must be one of them;
// other algorithms are not looked at (RFC 9530 §2, §5). It says nothing about who wrote the field: a signature must cover it. Codes:
// signature_malformed, digest_mismatch.
func CheckDigest(lines []string, body []byte) error {
	d, err := parseDigest(lines)
	if err != nil {
		return err
	}
	return d.check(body)
}

// digest is what a Content-Digest field says under the algorithms that are known; nil is absent.
type digest struct{ sha256, sha512 []byte }

func parseDigest(lines []string) (digest, error) {
	var d digest
	members, err := dictionary("Content-Digest", lines)
	if err != nil {
		return d, err
	}
	if d.sha256, err = bytesOf(members, "sha-256", sha256.Size); err != nil {
		return d, err
	}
	d.sha512, err = bytesOf(members, "sha-512", sha512.Size)
	return d, err
}

func bytesOf(members []member, name string, size int) ([]byte, error) {
	m, ok := under(members, name)
	if !ok {
		return nil, nil
	}
	if b, ok := m.bytes(size); ok && !m.list {
		return b, nil
	}
	return nil, malformed("Content-Digest has a %s that is no byte sequence of %d bytes (RFC 9530 §2)", name, size)
}

func (d digest) check(body []byte) error {
	if d.sha256 == nil && d.sha512 == nil {
		return fault.New(fault.Invalid, "digest_mismatch", "Content-Digest has neither sha-256 nor sha-512").
			Try("send Content-Digest with the sha-256 of the body, of an empty one too")
	}
	fits := true
	if d.sha256 != nil {
		sum := sha256.Sum256(body)
		fits = string(d.sha256) == string(sum[:])
	}
	if d.sha512 != nil {
		sum := sha512.Sum512(body)
		fits = fits && string(d.sha512) == string(sum[:])
	}
	if !fits {
		return fault.New(fault.Invalid, "digest_mismatch", "the body is not the one that Content-Digest was made of").
			Try("compute Content-Digest over the bytes of the body exactly as they are sent, then sign")
	}
	return nil
}
