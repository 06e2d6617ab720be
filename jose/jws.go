package jose

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/attorn/attorn/fault"
)

// The algorithms. Ed25519 signatures are issued as EdDSA (RFC 8037 §3.1) and accepted under the fully specified name too (RFC 9864 §2.2).
const (
	algEdDSA   = "EdDSA"
	algEd25519 = "Ed25519"
	algES256   = "ES256"
)

// maxKept is the length of a header, in base64url, that is remembered to be known again.
const maxKept = 1 << 10

// signatureSize is that of both algorithms.
const signatureSize = 64

// maxJWS is the length of a compact JWS that Parse accepts when its caller names none.
const maxJWS = 16 << 10

// Header is the whole protected header of a JWS; any other member, crit, b64 and zip among them, is refused, and jku, x5u and x5c are never
// followed (RFC 7515 §4.1).
type Header struct {
	Alg string    `json:"alg"` // EdDSA, Ed25519 or ES256
	Typ string    `json:"typ"` // "" when absent
	Kid string    `json:"kid"` // "" when absent
	JWK PublicKey `json:"jwk"` // zero when absent

	text string // as it was sent, in base64url; "" where it is too long to be remembered
}

// JWS is a compact JWS that was parsed, not verified: until Verify returns nil nothing in it may be believed.
type JWS struct {
	Header    Header
	Payload   []byte
	signed    string // RFC 7515 §5.1: header and payload as sent
	signature []byte
}

// Sign makes a compact JWS whose header is exactly {"alg":…,"kid":…,"typ":…}: EdDSA or ES256 by the key's type, and the key's thumbprint.
func Sign(typ string, payload []byte, s Signer) (string, error) {
	pub := s.Public()
	return sign(typ, `"kid":"`+pub.thumb.String()+`"`, payload, s)
}

// SignEmbedded makes a compact JWS whose header is exactly {"alg":…,"jwk":…,"typ":…} with the public key itself (DPoP, RFC 9449 §4.2).
func SignEmbedded(typ string, payload []byte, s Signer) (string, error) {
	pub := s.Public()
	return sign(typ, `"jwk":`+string(pub.JWK()), payload, s)
}

func sign(typ, key string, payload []byte, s Signer) (string, error) {
	pub := s.Public()
	if pub.IsZero() {
		return "", fault.New(fault.Invalid, "malformed", "the signer has no public key")
	}
	if len(payload) == 0 || !mediaType(typ) {
		return "", fault.New(fault.Invalid, "malformed", "a JWS is signed with a payload and a typ of letters, digits and -+._/")
	}
	header := []byte(`{"alg":"` + pub.alg + `",` + key + `,"typ":"` + typ + `"}`)
	raw := make([]byte, 0, base64.RawURLEncoding.EncodedLen(len(header)+len(payload)+signatureSize)+8)
	raw = base64.RawURLEncoding.AppendEncode(raw, header)
	raw = base64.RawURLEncoding.AppendEncode(append(raw, '.'), payload)
	sig, err := s.Sign(raw)
	if err != nil {
		return "", err
	}
	return string(base64.RawURLEncoding.AppendEncode(append(raw, '.'), sig)), nil
}

func mediaType(typ string) bool {
	for _, c := range []byte(typ) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte("-+._/", c) < 0 {
			return false
		}
	}
	return typ != ""
}

// Parse reads a compact JWS of at most max bytes (0: 16 KiB): three parts of strict base64url, a header with known members only, an algorithm that
// attorn accepts, a payload that is there (detached ones, RFC 7515 appendix F, are refused). It verifies nothing. Codes: malformed,
// too_large, alg_unsupported, and those of ParseJWK.
func Parse(compact string, max int) (*JWS, error) { return Header{}.Parse(compact, max) }

// Parse is Parse for who has seen h, the Header of a JWS that was parsed before: where the next one's is h byte for byte, it is not read again.
func (h Header) Parse(compact string, max int) (*JWS, error) {
	if max <= 0 {
		max = maxJWS
	}
	if len(compact) > max {
		return nil, fault.New(fault.TooLarge, "too_large", "the JWS has %d bytes; at most %d are accepted", len(compact), max).Try("send less")
	}
	head, rest, _ := strings.Cut(compact, ".")
	body, tail, ok := strings.Cut(rest, ".")
	if !ok || head == "" || body == "" || tail == "" || strings.Contains(tail, ".") {
		return nil, fault.New(fault.Invalid, "malformed", "a compact JWS is three parts, none of them empty, with a dot between (RFC 7515 §7.1)").
			Try("send the compact serialization, with its payload")
	}
	j := &JWS{Header: h, signed: compact[:len(head)+1+len(body)]}
	if head != h.text {
		if err := j.Header.parse(head); err != nil {
			return nil, err
		}
	}
	var err error
	if j.Payload, err = DecodeBase64(body); err != nil {
		return nil, err
	}
	if j.signature, err = DecodeBase64(tail); err != nil {
		return nil, err
	}
	return j, nil
}

func (h *Header) parse(text string) error {
	raw, err := DecodeBase64(text)
	if err != nil {
		return err
	}
	*h = Header{}
	if len(text) <= maxKept {
		h.text = strings.Clone(text)
	}
	if err := Decode(raw, h, Limits{Bytes: 8 << 10, Depth: 5, Values: 128}); err != nil {
		return err
	}
	if alg := h.Alg; alg != algEdDSA && alg != algEd25519 && alg != algES256 {
		return fault.New(fault.Invalid, "alg_unsupported", "the JWS has an alg other than EdDSA, Ed25519 and ES256, or none").Try("sign with an Ed25519 key and alg EdDSA")
	}
	return nil
}

// Is checks that the header's typ is one of accepted, byte for byte, so that an object made for one purpose is useless for another (RFC 8725
// §3.11); "" accepts an absent one. Code: typ_wrong.
func (j *JWS) Is(accepted ...string) error {
	if slices.Contains(accepted, j.Header.Typ) {
		return nil
	}
	return fault.New(fault.Invalid, "typ_wrong", "the JWS is of another kind: its typ must be %s", strings.Join(accepted, " or ")).Try("sign what this place takes, with its own typ")
}

// Verify checks the signature with k. The key's type decides which alg the header may name, never the other way round. Codes: alg_key_mismatch,
// signature_invalid.
func (j *JWS) Verify(k PublicKey) error {
	if alg := j.Header.Alg; alg != k.alg && (alg != algEd25519 || k.alg != algEdDSA) || k.IsZero() {
		return fault.New(fault.Invalid, "alg_key_mismatch", "the header's alg is not the algorithm of the key's type").
			Try("set alg to EdDSA for an Ed25519 key, ES256 for a P-256 key")
	}
	return k.Verify([]byte(j.signed), j.signature)
}
