package httpsig

import (
	"slices"
	"strings"
	"time"

	"github.com/dunglas/httpsfv"

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
	if err := r.covers(covered); err != nil {
		return Signature{}, err
	}
	text, err := httpsfv.Marshal(list)
	if err != nil {
		return Signature{}, malformed("Signature-Input cannot be written as it was read")
	}
	base, err := r.base(t, covered, text)
	if err != nil {
		return Signature{}, err
	}
	s := Signature{
		Method: r.Method, TargetURI: t.uri, Covered: covered, Nonce: in.nonce, Created: time.Unix(in.created, 0), Expires: time.Unix(in.expires, 0),
		Base: base, Bytes: sig,
	}
	if s.KeyID, err = id.ParseKey(in.keyid); err != nil {
		return Signature{}, malformed("keyid is not the RFC 7638 thumbprint of a key").Try("set keyid to the SHA-256 thumbprint of the instance's key, in base64url")
	}
	if err := s.fields(r); err != nil {
		return Signature{}, err
	}
	return s, s.verify(want)
}

// ours finds the one signature of this profile among those of the request, by its tag; what others signed is theirs to check.
func ours(r Request) (httpsfv.InnerList, []byte, error) {
	none := httpsfv.InnerList{}
	inputs, signatures := r.Header("signature-input"), r.Header("signature")
	if len(inputs) == 0 && len(signatures) == 0 {
		return none, nil, required()
	}
	dict, err := dictionary("Signature-Input", inputs)
	if err != nil {
		return none, nil, err
	}
	found, list := "", none
	for _, name := range dict.Names() {
		m, _ := dict.Get(name)
		l, ok := m.(httpsfv.InnerList)
		if !ok {
			continue
		}
		if t, _ := l.Params.Get("tag"); t != tag {
			continue
		}
		if found != "" {
			return none, nil, malformed("the request has two signatures with the tag %s", tag).Try("send one")
		}
		found, list = name, l
	}
	if found == "" {
		return none, nil, required()
	}
	if dict, err = dictionary("Signature", signatures); err != nil {
		return none, nil, err
	}
	m, _ := dict.Get(found)
	item, _ := m.(httpsfv.Item)
	sig, _ := item.Value.([]byte)
	if len(sig) != 64 || len(item.Params.Names()) > 0 {
		return none, nil, malformed("Signature has no 64 bytes under the label that Signature-Input has")
	}
	return list, sig, nil
}

func required() error {
	return fault.New(fault.Unauthenticated, "signature_required", "the request has no signature with the tag %s", tag).
		Try("sign the request as the Accept-Signature header of the answer says (RFC 9421)")
}

// read takes the covered components and the parameters from an inner list.
func read(l httpsfv.InnerList) (params, []string, error) {
	if len(l.Items) > maxCovers {
		return params{}, nil, malformed("a signature covers at most %d components", maxCovers)
	}
	covered := make([]string, 0, len(l.Items))
	for _, item := range l.Items {
		name, err := component(item)
		if err != nil {
			return params{}, nil, err
		}
		if slices.Contains(covered, name) {
			return params{}, nil, malformed("the signature covers %s twice (RFC 9421 §2)", name)
		}
		covered = append(covered, name)
	}
	var p params
	for _, name := range l.Params.Names() {
		v, _ := l.Params.Get(name)
		ok := false
		switch name {
		case "created":
			p.created, ok = v.(int64)
		case "expires":
			p.expires, ok = v.(int64)
		case "nonce":
			p.nonce, ok = v.(string)
		case "keyid":
			p.keyid, ok = v.(string)
		case "tag":
			p.tag, ok = v.(string)
		case "alg":
			if ok = v == "ed25519"; !ok {
				return p, nil, malformed("the signature names another algorithm than ed25519").Try("leave alg out: the key decides")
			}
		}
		if !ok {
			return p, nil, malformed("the signature has a parameter that this profile does not take, or one of the wrong type")
		}
	}
	return p, covered, p.check()
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

// fields reads the fields that have a meaning here; base has read them as text.
func (s *Signature) fields(r Request) error {
	var err error
	if s.Audience, _, err = r.single("attorn-audience"); err != nil {
		return err
	}
	if s.Authorization, _, err = r.single("authorization"); err != nil {
		return err
	}
	if s.CallDigest, _, err = r.single("attorn-call-digest"); err != nil {
		return err
	}
	if s.ContentDigest, _, err = r.field("content-digest"); err != nil {
		return err
	}
	s.digest, err = parseDigest(r.Header("content-digest"))
	return err
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

// acceptable is component for a name that a signer chose.
func acceptable(name string) error {
	_, err := component(httpsfv.NewItem(name))
	return err
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
