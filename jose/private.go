package jose

import (
	"bytes"
	"encoding/asn1"
	"encoding/base64"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	maxNesting     = 4  // texts inside strings of texts that HoldsPrivateKey opens
	shortestKey    = 20 // bytes; no JWK is shorter, {"k":"","kty":"oct"}
	shortestBase64 = 27 // characters: shortestKey in base64
	longestPrivate = 4  // characters of the longest name that privateMember knows
	beginPEM       = "-----BEGIN "
)

// HoldsPrivateKey reports whether text holds a private or secret key in one of the forms that keys are kept in, so that a server can refuse it
// and say so before anything of it is parsed, stored or logged: a JWK with a private member (RFC 7518 §6, RFC 8037 §2), a PEM block of a private
// key (RFC 7468 §10, §11), or the DER of one in base64 (RFC 5958, RFC 5915, RFC 8017 §A.1.2). It looks at any depth of a JSON text, whether valid
// to its end or not; into strings that hold JSON; and into base64, so also into the parts of a JWS. Its work is linear in the length of text,
// which its caller bounds. A secret without a form, such as the 32 bytes of a seed, cannot be told from other text.
func HoldsPrivateKey(text []byte) bool { return holdsPrivate(text, maxNesting) }

func holdsPrivate(text []byte, nesting int) bool {
	if holdsPEM(text) {
		return true
	}
	text = bytes.TrimSpace(text)
	if len(text) == 0 || nesting == 0 {
		return false
	}
	if c := text[0]; c == '{' || c == '[' || c == '"' {
		return holdsJWK(text, nesting)
	}
	for more := true; more; {
		var part []byte
		if part, text, more = bytes.Cut(text, []byte{'.'}); encodedPrivate(part, nesting) {
			return true
		}
	}
	return false
}

// holdsPEM finds -----BEGIN … PRIVATE KEY-----, whatever stands for the dots.
func holdsPEM(text []byte) bool {
	for {
		_, rest, ok := bytes.Cut(text, []byte(beginPEM))
		if !ok {
			return false
		}
		if bytes.Contains(rest[:min(len(rest), 48)], []byte("PRIVATE KEY-----")) {
			return true
		}
		text = rest
	}
}

// holdsJWK finds a private key in a JSON text. Without escapes a string is what stands between two quotation marks, so that the strings can be looked into one
// after the other, and only a text that names a private member need be walked. Public keys, which come with every proof, are not.
func holdsJWK(text []byte, nesting int) bool {
	if bytes.IndexByte(text, '\\') >= 0 {
		return walkJWK(bytes.Clone(text), nesting) // a copy, so that what is not walked need not be on the heap
	}
	for rest := text; ; {
		_, after, opened := bytes.Cut(rest, []byte{'"'})
		one, next, closed := bytes.Cut(after, []byte{'"'})
		if !opened || !closed {
			return false
		}
		if len(one) <= longestPrivate && privateMember(string(one)) {
			return walkJWK(bytes.Clone(text), nesting)
		}
		if len(one) >= shortestKey-2 && holdsPrivate(one, nesting-1) {
			return true
		}
		rest = next
	}
}

// walkJWK walks a JSON text. An object is a private key as soon as it has kty as a string and a private member, in whatever order.
func walkJWK(text []byte, nesting int) bool {
	d := jsontext.NewDecoder(bytes.NewBuffer(text), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	type object struct{ kty, private bool }
	open := []object{{}} // the containers that the walk is in; the first is none
	name := ""           // the member whose value comes next, "" where none is known
	for {
		kind := d.PeekKind()
		key := false
		if of, n := d.StackIndex(d.StackDepth()); of == '{' {
			key = n%2 == 0
		}
		if kind == '"' && !key {
			v, err := d.ReadValue()
			if err != nil {
				return false
			}
			if in := &open[len(open)-1]; name == "kty" {
				if in.kty = true; in.private {
					return true
				}
			}
			name = ""
			if len(v) < shortestKey {
				continue
			}
			if plain, err := jsontext.AppendUnquote(nil, v); err == nil && holdsPrivate(plain, nesting-1) {
				return true
			}
			continue
		}
		t, err := d.ReadToken()
		if err != nil {
			return false
		}
		switch in := &open[len(open)-1]; {
		case kind == '{' || kind == '[':
			open = append(open, object{})
			name = ""
		case kind == '}' || kind == ']':
			open = open[:len(open)-1]
		case key:
			if name = t.String(); privateMember(name) {
				if in.private = true; in.kty {
					return true
				}
			}
		default:
			name = ""
		}
	}
}

// privateMember names the members of a JWK that hold private or secret parts: those that ParseJWK refuses.
func privateMember(name string) bool {
	switch name {
	case "d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv":
		return true
	}
	return false
}

// encodedPrivate looks into base64 of either alphabet, with or without padding.
func encodedPrivate(part []byte, nesting int) bool {
	if len(part) < shortestBase64 || !mayEncode(part[0]) {
		return false
	}
	var small [2 << 10]byte // most parts are short, and nothing of them is kept
	raw := small[:]
	if len(part) > len(small) {
		raw = make([]byte, len(part))
	}
	raw = raw[:len(part)]
	n, err := base64.RawURLEncoding.Decode(raw, part) // as in every JWS
	if err != nil {
		if n, err = anyBase64(raw, part); err != nil {
			return false
		}
	}
	raw = raw[:n]
	if raw[0] == 0x30 {
		return privateDER(bytes.Clone(raw))
	}
	if !bytes.Contains(raw, []byte("kty")) && !bytes.ContainsRune(raw, '\\') && !bytes.Contains(raw, []byte("PRIVATE KEY")) {
		return false // the usual case, so that no signed text is walked
	}
	return holdsPrivate(raw, nesting-1)
}

// mayEncode reports whether base64 that begins with c holds a SEQUENCE, {, [, white space, or the hyphens of PEM.
func mayEncode(c byte) bool {
	return c == 'M' || c == 'e' || c == 'W' || c == 'I' || c == 'C' || c == 'L'
}

// anyBase64 decodes either alphabet, or a mixture, with padding and white space anywhere, into raw, which is as long as part.
func anyBase64(raw, part []byte) (int, error) {
	plain := raw[:0]
	for _, c := range part {
		switch c {
		case '-':
			c = '+'
		case '_':
			c = '/'
		case '=', '\r', '\n', ' ':
			continue
		}
		plain = append(plain, c)
	}
	return base64.RawStdEncoding.Decode(plain, plain)
}

// privateDER knows PKCS #8, SEC 1 and PKCS #1 by how they begin: a SEQUENCE of a version 0 or 1 and then an algorithm and an OCTET STRING, an OCTET
// STRING, or a modulus and seven numbers more. No certificate, public key or signature begins so.
func privateDER(raw []byte) bool {
	var all asn1.RawValue
	if _, err := asn1.Unmarshal(raw, &all); err != nil || all.Tag != asn1.TagSequence || !all.IsCompound {
		return false
	}
	var version int
	rest, err := asn1.Unmarshal(all.Bytes, &version)
	if err != nil || version != 0 && version != 1 {
		return false
	}
	var tags []int
	for len(rest) > 0 && len(tags) < 8 {
		var v asn1.RawValue
		if rest, err = asn1.Unmarshal(rest, &v); err != nil {
			return false
		}
		tags = append(tags, v.Tag)
	}
	switch {
	case len(tags) >= 2 && tags[0] == asn1.TagSequence && tags[1] == asn1.TagOctetString:
		return true
	case len(tags) >= 1 && tags[0] == asn1.TagOctetString:
		return true
	}
	return len(tags) == 8 && tags[0] == asn1.TagInteger && tags[7] == asn1.TagInteger
}
