package attorn

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/attorn/attorn/dpop"
	"github.com/attorn/attorn/httpsig"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

// proving makes requests of one agent, and the Verifier of the service that they go to.
type proving struct {
	t             testing.TB
	v             *Verifier
	agent, issuer jose.Signer
	url           string
	now           time.Time
}

func newProving(t testing.TB) *proving {
	p := &proving{t: t, url: "https://files.example", now: time.Unix(1_800_000_000, 0)}
	for _, to := range []*jose.Signer{&p.agent, &p.issuer} {
		_, priv, err := ed25519.GenerateKey(rand.Reader)
		p.ok(err)
		*to, err = jose.NewSigner(priv)
		p.ok(err)
	}
	agent := id.New[id.Agent](p.now)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, more := p.issuer.Public().JWK(), ""
		if r.URL.RawQuery != "" {
			key, more = p.agent.Public().JWK(), fmt.Sprintf(`,"agent":"%s","ws":"default"`, agent)
		}
		fmt.Fprintf(w, `{"keys":[%s%s}]}`, bytes.TrimSuffix(key, []byte("}")), more)
	}))
	t.Cleanup(s.Close)
	var err error
	p.v, err = NewVerifier(VerifierConfig{Issuer: s.URL, Resource: p.url, Bearer: true, Now: func() time.Time { return p.now }})
	p.ok(err)
	t.Cleanup(p.v.Close)
	return p
}

func (p *proving) ok(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// with is a request by a token that is bound to a key, or to none.
func (p *proving) with(bound bool) func() *http.Request {
	c := token.Claims{
		Issuer: p.v.cfg.Issuer, Subject: id.New[id.Agent](p.now).String(), Audience: p.url, Scope: "tool:files:*", ID: "tok_1",
		IssuedAt: p.now.Unix(), Expires: p.now.Unix() + 300, Workspace: id.Default,
	}
	c.ClientID = c.Subject
	if bound {
		c.JKT = p.agent.Public().Thumbprint()
	}
	raw, err := token.Issue(c, p.issuer)
	p.ok(err)
	return func() *http.Request {
		r := httptest.NewRequest(http.MethodGet, p.url+"/a", nil)
		r.Header.Set("Authorization", "Bearer "+raw)
		if bound {
			proof, err := dpop.Sign(p.agent, dpop.Claims{Method: r.Method, URL: p.url + "/a", JTI: rand.Text(), AccessToken: raw, IssuedAt: p.now})
			p.ok(err)
			r.Header.Set("Authorization", "DPoP "+raw)
			r.Header.Set("DPoP", proof)
		}
		return r
	}
}

func (p *proving) signed() *http.Request {
	body := make([]byte, 1024)
	h, err := httpsig.Sign(p.agent, httpsig.Request{Method: http.MethodPost, TargetURI: p.url + "/a", Body: body},
		httpsig.Params{Audience: p.url, Created: p.now, Nonce: rand.Text()})
	p.ok(err)
	r := httptest.NewRequest(http.MethodPost, "/a", bytes.NewReader(body))
	for name, value := range map[string]string{"Attorn-Audience": h.Audience, "Content-Digest": h.Digest, "Signature-Input": h.Input, "Signature": h.Signature} {
		r.Header.Set(name, value)
	}
	return r
}

// The handler reads what was held to the digest, to its end and more than once.
func TestSignedBodyIsPutBack(t *testing.T) {
	p := newProving(t)
	for _, size := range []int64{1024, -1} { // said, and chunked
		r := p.signed()
		r.ContentLength = size
		_, err := p.v.Verify(r)
		p.ok(err)
		if body, err := io.ReadAll(r.Body); err != nil || len(body) != 1024 || r.Body.Close() != nil {
			t.Errorf("%d bytes, %v", len(body), err)
		}
	}
}

// BenchmarkVerifier is to be compared with BenchmarkVerifier/V: its proofs are made beforehand, for each is good once.
func BenchmarkVerifier(b *testing.B) {
	p := newProving(b)
	b.Run("V", func(b *testing.B) {
		message := make([]byte, 400)
		sig, err := p.agent.Sign(message)
		p.ok(err)
		for b.Loop() {
			if p.agent.Public().Verify(message, sig) != nil {
				b.Fatal()
			}
		}
	})
	for name, make := range map[string]func() *http.Request{"signed": p.signed, "dpop": p.with(true), "bearer": p.with(false)} {
		b.Run(name, func(b *testing.B) {
			requests := []*http.Request{}
			for range b.N {
				requests = append(requests, make())
			}
			b.ReportAllocs()
			b.ResetTimer()
			for _, r := range requests {
				if _, err := p.v.verify(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// keeper is a Replay that says how long it was to remember.
type keeper struct{ until time.Time }

func (k *keeper) Once(_ context.Context, _ id.Key, _ string, expires time.Time) error {
	k.until = expires
	return nil
}

// A proof is remembered until the last moment at which it is accepted, and 30 s more.
func TestProofsAreRememberedLongEnough(t *testing.T) {
	p := newProving(t)
	k := &keeper{}
	p.v.cfg.Replay = k
	begin, body := p.now, make([]byte, 1024)
	for what, request := range map[string]func() *http.Request{"signed": p.signed, "dpop": p.with(true)} {
		p.now = begin
		r := request()
		last := time.Time{}
		for p.now = begin; ; p.now = p.now.Add(time.Second) {
			r.Body = io.NopCloser(bytes.NewReader(body))
			if r.Method == http.MethodGet {
				r.Body = http.NoBody
			}
			if _, err := p.v.Verify(r); err != nil {
				break
			}
			last = p.now
		}
		if last.Sub(begin) < time.Minute || k.until.Before(last.Add(clockSkew)) {
			t.Errorf("%s: accepted for %s, remembered for %s", what, last.Sub(begin), k.until.Sub(begin))
		}
	}
}
