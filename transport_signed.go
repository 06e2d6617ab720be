package attorn

import (
	"bytes"
	"crypto/rand"
	"io"
	"net/http"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/httpsig"
	"github.com/attorn/attorn/jose"
)

// maxSigned is the largest body that is signed, in bytes: it is held in memory while its digest is made.
const maxSigned = 8 << 20

// Signed sends requests to a resource with a message signature by the agent's key (RFC 9421), which binds method, URL, body and, where the request has
// one, the access token. By itself the agent acts for nobody; as the base of Transport the signature comes beside token and proof:
//
//	a.Transport(a.Signed(nil, resource), resource, attorn.TokenRequest{})
//
// base nil is http.DefaultTransport.
func (a *Agent) Signed(base http.RoundTripper, resource string) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return &signing{agent: a, base: base, inside: transport{resource: resource}}
}

type signing struct {
	agent  *Agent
	base   http.RoundTripper
	inside transport
}

// RoundTrip implements http.RoundTripper.
func (s *signing) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil && r.Body != http.NoBody {
		var err error
		body, err = io.ReadAll(io.LimitReader(r.Body, maxSigned+1))
		r.Body.Close()
		if err == nil && len(body) > maxSigned {
			err = fault.New(fault.TooLarge, "too_large", "a request to be signed has a body of at most %d bytes", maxSigned)
		}
		if err != nil {
			return nil, err
		}
	}
	if _, err := s.inside.covers(r.URL); err != nil {
		return nil, err
	}
	out := r.Clone(r.Context())
	if body != nil {
		out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	}
	if err := s.agent.sign(out, body, s.inside.resource); err != nil {
		return nil, err
	}
	return s.base.RoundTrip(out)
}

// sign adds a message signature over everything that the request has by now.
func (a *Agent) sign(r *http.Request, body []byte, audience string) error {
	return sign(a.door.keys.key(), r, body, audience)
}

func sign(by jose.Signer, r *http.Request, body []byte, audience string) error {
	method := r.Method
	if method == "" {
		method = http.MethodGet
	}
	var nonce [16]byte
	rand.Read(nonce[:]) // never fails (crypto/rand)
	for _, name := range []string{"Signature-Input", "Signature"} {
		r.Header.Del(name) // of an earlier try
	}
	h, err := httpsig.Sign(by, httpsig.Request{
		Method: method, TargetURI: r.URL.Scheme + "://" + r.URL.Host + r.URL.RequestURI(), Header: httpsig.Fields(r.Header), Body: body,
	}, httpsig.Params{Audience: audience, Created: time.Now(), Nonce: jose.EncodeBase64(nonce[:])})
	if err != nil {
		return err
	}
	r.Header.Set("Attorn-Audience", h.Audience)
	r.Header.Set("Content-Digest", h.Digest)
	r.Header.Set("Signature-Input", h.Input)
	r.Header.Set("Signature", h.Signature)
	return nil
}
