package httpsig

import (
	"slices"
	"strings"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

const defaultLeeway = 30 * time.Second

// Want is what a request must have been signed for.
type Want struct {
	Audience string // the URI of this resource
	// Key finds a key by its thumbprint. No key is one that is not known, or no longer good; an error is passed on.
	Key    func(keyid id.Key) (jose.PublicKey, error)
	Now    time.Time
	Leeway time.Duration // how far clocks may differ; 0 means 30 s
}

// Signature is a signature that was verified.
type Signature struct {
	Method        string
	TargetURI     string
	Audience      string
	Authorization string // "" where the request had none
	CallDigest    string // Attorn-Call-Digest; "" where the request had none
	ContentDigest string // the field; CheckBody holds a body to it
	Covered       []string
	Key           jose.PublicKey
	KeyID         id.Key // thumbprint of Key
	Nonce         string // once per KeyID, until Expires and the leeway are over
	Created       time.Time
	Expires       time.Time
	Base          []byte // what was signed (RFC 9421 §2.5)
	Bytes         []byte // the signature

	digest digest
}

// Verify checks a request and its body. Codes: all that the package has but signature_replayed.
func Verify(r Request, want Want) (Signature, error) {
	s, err := VerifyHead(r, want)
	if err != nil {
		return Signature{}, err
	}
	if err := s.CheckBody(r.Body); err != nil {
		return Signature{}, err
	}
	return s, nil
}

// VerifyHead is Verify before the body was read: all that a signature says of a body is what CheckBody then holds it to, and until that returned nil
// nothing may be done with a body. Codes: all that the package has but signature_replayed and digest_mismatch.
func VerifyHead(r Request, want Want) (Signature, error) {
	t, ok := r.target()
	switch {
	case ok:
	case r.Method == "" || r.TargetURI == "":
		return Signature{}, fault.New(fault.Internal, "", "the request that the signature is to be compared with has no method or URL")
	default: // servers let through what no URL has
		return Signature{}, malformed("no signature covers a request of this method and URL: the URL has more than %d bytes, or a character that no URL has", maxTarget)
	}
	list, sig, err := ours(r)
	if err != nil {
		return Signature{}, err
	}
	in, covered, err := read(list)
	if err != nil {
		return Signature{}, err
	}
	if err := in.check(); err != nil {
		return Signature{}, err
	}
	kid, err := id.ParseKey(in.keyid)
	if err != nil {
		return Signature{}, malformed("keyid is not the RFC 7638 thumbprint of a key").Try("set keyid to the SHA-256 thumbprint of the instance's key, in base64url")
	}
	if err := r.covers(covered); err != nil {
		return Signature{}, err
	}
	values, err := r.values(t, covered)
	if err != nil {
		return Signature{}, err
	}
	s := Signature{
		Method: r.Method, TargetURI: t.uri, Covered: covered, KeyID: kid, Nonce: in.nonce, Created: time.Unix(in.created, 0), Expires: time.Unix(in.expires, 0),
		Base: in.base(covered, values), Bytes: sig,
	}
	if err := s.fields(r, values); err != nil {
		return Signature{}, err
	}
	if err := s.verify(want); err != nil {
		return Signature{}, err
	}
	return s, nil
}

// ours finds the one signature of this profile among those of the request, by its tag; what others signed is theirs to check.
func ours(r Request) (list member, sig []byte, err error) {
	inputs, signatures := r.Header("signature-input"), r.Header("signature")
	if len(inputs) == 0 && len(signatures) == 0 {
		return list, nil, required()
	}
	members, err := dictionary("Signature-Input", inputs)
	if err != nil {
		return list, nil, err
	}
	found := false
	for _, m := range members {
		if !m.list || !slices.Contains(m.params, param{"tag", bare{kindString, tag}}) {
			continue
		}
		if found {
			return list, nil, malformed("the request has two signatures with the tag %s", tag).Try("send one")
		}
		found, list = true, m
	}
	if !found {
		return list, nil, required()
	}
	if members, err = dictionary("Signature", signatures); err != nil {
		return list, nil, err
	}
	m, _ := under(members, list.label)
	sig, ok := m.bytes(64)
	if !ok || m.list || len(m.params) > 0 {
		return list, nil, malformed("Signature has no 64 bytes under the label that Signature-Input has")
	}
	return list, sig, nil
}

func required() error {
	return fault.New(fault.Unauthenticated, "signature_required", "the request has no signature with the tag %s", tag).
		Try("sign the request as the Accept-Signature header of the answer says (RFC 9421)")
}

// read takes the covered components and the parameters from an inner list; their values are not checked yet.
func read(l member) (params, []string, error) {
	if len(l.items) > maxCovers {
		return params{}, nil, malformed("a signature covers at most %d components", maxCovers)
	}
	covered := make([]string, 0, len(l.items))
	for _, i := range l.items {
		name, err := component(i)
		if err != nil {
			return params{}, nil, err
		}
		if slices.Contains(covered, name) {
			return params{}, nil, malformed("the signature covers %s twice (RFC 9421 §2)", name)
		}
		covered = append(covered, name)
	}
	p := params{order: make([]string, len(l.params))}
	for i, is := range l.params {
		ok := false
		switch is.name {
		case "created":
			p.created, ok = is.value.integer()
		case "expires":
			p.expires, ok = is.value.integer()
		default:
			if to := p.text(is.name); to != nil {
				*to, ok = is.value.plain()
			}
		}
		if !ok {
			return p, nil, malformed("the signature has a parameter that this profile does not take, or one of the wrong type")
		}
		if is.name == "alg" && p.alg != "ed25519" {
			return p, nil, malformed("the signature names another algorithm than ed25519").Try("leave alg out: the key decides")
		}
		p.order[i] = is.name
	}
	return p, covered, nil
}

// covers refuses a signature that leaves out what it must cover.
func (r Request) covers(covered []string) error {
	for _, name := range always {
		if !slices.Contains(covered, name) {
			return coverage("the signature does not cover %s", name)
		}
	}
	for _, name := range ifPresent {
		if len(r.Header(name)) > 0 && !slices.Contains(covered, name) {
			return coverage("the request has %s, which its signature does not cover", name)
		}
	}
	return nil
}

// fields takes those that have a meaning here from the values of what is covered.
func (s *Signature) fields(r Request, values []string) (err error) {
	for i, name := range s.Covered {
		var to *string
		switch name {
		case "attorn-audience":
			to = &s.Audience
		case "authorization":
			to = &s.Authorization
		case "attorn-call-digest":
			to = &s.CallDigest
		case "content-digest":
			s.ContentDigest = values[i]
			s.digest, err = parseDigest(r.Header(name))
		}
		if to != nil {
			*to, err = values[i], r.once(name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// verify checks time, audience, key and signature, in this order: what costs least first.
func (s *Signature) verify(want Want) error {
	leeway := want.Leeway
	if leeway <= 0 {
		leeway = defaultLeeway
	}
	expired := func(reason string) error {
		return fault.New(fault.Unauthenticated, "signature_expired", "%s", reason).Try("sign each request when it is sent, and check the clock")
	}
	switch {
	case s.Created.After(want.Now.Add(leeway)):
		return expired("the signature was created later than now")
	case s.Expires.Before(want.Now.Add(-leeway)):
		return expired("the signature has expired")
	case want.Audience == "" || s.Audience != want.Audience:
		return fault.New(fault.Unauthenticated, "signature_invalid", "the signature is for another audience").Try("sign with Attorn-Audience: %s", want.Audience)
	}
	key, err := want.Key(s.KeyID)
	if err != nil {
		return err
	}
	if key.IsZero() || key.Thumbprint() != s.KeyID || key.Type() != "Ed25519" {
		return fault.New(fault.Unauthenticated, "signature_key_unknown", "the key of the signature is not one that may sign here").
			Try("sign with the key of a live instance, and name it in keyid by its RFC 7638 thumbprint")
	}
	if key.Verify(s.Base, s.Bytes) != nil {
		return fault.New(fault.Unauthenticated, "signature_invalid", "the signature does not fit this request: something that it covers was changed, or another key made it").
			Try("sign method, target URI, audience, digest and authorization exactly as they are sent")
	}
	s.Key = key
	return nil
}

// CheckBody holds the body of the request to what was signed. Code: digest_mismatch.
func (s Signature) CheckBody(body []byte) error { return s.digest.check(body) }

// Replayed is the refusal of a signature whose nonce was seen under its key before.
func Replayed() error {
	return fault.New(fault.Unauthenticated, "signature_replayed", "the signature was used before: its nonce is accepted once").Try("sign each request anew")
}

// Challenge is the Accept-Signature field (RFC 9421 §5.1) that asks for a signature of this profile. Where the request has an access token, authorization is
// asked for too.
func Challenge(authorization bool) string {
	names := always[:]
	if authorization {
		names = append(slices.Clone(names), "authorization")
	}
	return label + `=("` + strings.Join(names, `" "`) + `");created;expires;tag="` + tag + `"`
}
