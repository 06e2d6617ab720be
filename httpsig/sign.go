package httpsig

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/attorn/attorn/jose"
)

const (
	label = "attorn"
	tag   = "attorn-action"

	defaultLifetime = 60 * time.Second
	maxLifetime     = 300 * time.Second
	minNonce        = 22 // characters: 128 bits in base64url
	maxNonce        = 64
	maxSeconds      = 999_999_999_999 // what an RFC 9651 integer of a time may be, and far enough
)

// Params is what a signature is made with.
type Params struct {
	Audience string        // the URI of the resource that is asked, or its origin
	Created  time.Time     // now, cut to seconds
	Lifetime time.Duration // 0: 60 s; at most 300 s
	Nonce    string        // unique for the key: 16 random bytes in base64url
	Cover    []string      // further components: plain fields in lower case that the request has, @authority, @path, @query
}

// Headers are the fields to send with a signed request. Audience and Digest replace what the request has under their names; Input and Signature
// are added as lines, since others may sign it too.
type Headers struct {
	Audience  string // Attorn-Audience
	Digest    string // Content-Digest
	Input     string // Signature-Input
	Signature string // Signature
}

// Sign signs a request as it will be sent: its Authorization and Attorn-Call-Digest must be there already. Code: signature_malformed, or
// signature_coverage for a component in Cover that this profile does not take or the request does not have.
func Sign(s jose.Signer, r Request, p Params) (Headers, error) {
	t, ok := r.target()
	switch {
	case !ok:
		return Headers{}, malformed("the request has no method, or its target URI is not an absolute http or https URL without fragment and user information")
	case s.Public().Type() != "Ed25519":
		return Headers{}, malformed("requests are signed with Ed25519 keys only").Try("sign with an Ed25519 key")
	case p.Audience == "" || strings.Trim(p.Audience, " \t") != p.Audience:
		return Headers{}, malformed("the audience is the URI of the resource that is asked, or its origin").Try("name the audience")
	}
	life := p.Lifetime
	if life == 0 {
		life = defaultLifetime
	}
	created := p.Created.Unix()
	in := params{
		created: created, expires: created + int64(life/time.Second), nonce: p.Nonce, keyid: s.Public().Thumbprint().String(), tag: tag,
		order: []string{"created", "expires", "nonce", "keyid", "tag"},
	}
	if err := in.check(); err != nil {
		return Headers{}, err
	}
	h := Headers{Audience: p.Audience, Digest: ContentDigest(r.Body)}
	r.Header = h.over(r.Header)
	covered, err := r.toCover(p.Cover)
	if err != nil {
		return Headers{}, err
	}
	values, err := r.values(t, covered)
	if err != nil {
		return Headers{}, err
	}
	sig, err := s.Sign(in.base(covered, values))
	if err != nil {
		return Headers{}, err
	}
	h.Input = string(in.append([]byte(label+"="), covered))
	h.Signature = label + "=:" + base64.StdEncoding.EncodeToString(sig) + ":"
	return h, nil
}

// over is the request's header with Attorn-Audience and Content-Digest as they will be sent.
func (h Headers) over(next func(string) []string) func(string) []string {
	return func(name string) []string {
		switch {
		case name == "attorn-audience":
			return []string{h.Audience}
		case name == "content-digest":
			return []string{h.Digest}
		case next == nil:
			return nil
		}
		return next(name)
	}
}

// toCover lists what a signature of the request covers, in the order in which it is sent.
func (r Request) toCover(more []string) ([]string, error) {
	covered := slices.Clone(always[:])
	for _, name := range ifPresent {
		if err := r.once(name); err != nil {
			return nil, err
		}
		if len(r.Header(name)) > 0 {
			covered = append(covered, name)
		}
	}
	for _, name := range more {
		if err := acceptable(name); err != nil {
			return nil, err
		}
		if !slices.Contains(covered, name) {
			covered = append(covered, name)
		}
	}
	if len(covered) > maxCovers {
		return nil, malformed("a signature covers at most %d components", maxCovers)
	}
	return covered, nil
}

// params are the signature's parameters (RFC 9421 §2.3), and the order in which they come.
type params struct {
	created, expires       int64
	nonce, keyid, tag, alg string
	order                  []string
}

// append adds covered components and parameters in their one form (RFC 9651 §4.1). None that is accepted has anything to escape.
func (p params) append(b []byte, covered []string) []byte {
	b = append(b, '(')
	for i, name := range covered {
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(b, '"')
		b = append(b, name...)
		b = append(b, '"')
	}
	b = append(b, ')')
	for _, name := range p.order {
		b = append(b, ';')
		b = append(b, name...)
		b = append(b, '=')
		switch name {
		case "created":
			b = strconv.AppendInt(b, p.created, 10)
		case "expires":
			b = strconv.AppendInt(b, p.expires, 10)
		default:
			b = append(b, '"')
			b = append(b, *p.text(name)...)
			b = append(b, '"')
		}
	}
	return b
}

// size is at least the length of what append adds.
func (p params) size(covered []string) int {
	n := 256 + len(p.nonce) + len(p.keyid)
	for _, name := range covered {
		n += len(name) + 3
	}
	return n
}

// text is where a parameter that is a string is kept; nil for all others.
func (p *params) text(name string) *string {
	switch name {
	case "nonce":
		return &p.nonce
	case "keyid":
		return &p.keyid
	case "tag":
		return &p.tag
	case "alg":
		return &p.alg
	}
	return nil
}

// check holds the parameters to the rules that need no clock.
func (p params) check() error {
	switch {
	case p.created <= 0 || p.expires <= p.created || p.expires > maxSeconds:
		return malformed("created and expires are whole seconds, the second after the first").Try("set created to the time of signing, and expires to 60 s later")
	case p.expires-p.created > int64(maxLifetime/time.Second):
		return malformed("the signature lives for %d s; at most %d are accepted", p.expires-p.created, int64(maxLifetime/time.Second)).Try("sign each request when it is sent, and let the signature live for 60 s")
	case len(p.nonce) < minNonce || len(p.nonce) > maxNonce:
		return malformed("nonce has %d characters, not %d to %d", len(p.nonce), minNonce, maxNonce).Try("set nonce to 16 random bytes in base64url, new for each request")
	case strings.ContainsFunc(p.nonce, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '"' || c == '\\' }):
		return malformed("nonce has a character that is not plain ASCII, a quotation mark or a backslash").Try("set nonce to 16 random bytes in base64url, new for each request")
	}
	return nil
}
