package attorn

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"net/http"
	"testing"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/jose"
)

// A service that does not say so takes no token by itself; one that does takes those alone that are bound to no key, and tells its handler.
func TestVerifierBearer(t *testing.T) {
	p := newProving(t)
	strict := *p.v
	strict.cfg.Bearer = false
	free, bound := p.with(false), p.with(true)
	signed := p.signed()
	for name, c := range map[string]struct {
		v      *Verifier
		change func(*http.Request)
		of     func() *http.Request
		want   string
	}{
		"a bearer token":                   {p.v, nil, free, ""},
		"again: nothing is spent":          {p.v, nil, free, ""},
		"lower case":                       {p.v, func(r *http.Request) { r.Header.Set("Authorization", "bearer"+r.Header.Get("Authorization")[6:]) }, free, ""},
		"a bound one with its proof":       {p.v, nil, bound, ""},
		"a service that takes none":        {&strict, nil, free, "invalid_token"},
		"bound there, with its proof":      {&strict, nil, bound, ""},
		"a bound one as Bearer":            {p.v, func(r *http.Request) { r.Header.Set("Authorization", "Bearer"+r.Header.Get("Authorization")[4:]) }, bound, "invalid_token"},
		"and without its proof":            {p.v, func(r *http.Request) { bare(r) }, bound, "invalid_token"},
		"as DPoP":                          {p.v, func(r *http.Request) { r.Header.Set("Authorization", "DPoP"+r.Header.Get("Authorization")[6:]) }, free, "invalid_token"},
		"as DPoP where none is taken":      {&strict, func(r *http.Request) { r.Header.Set("Authorization", "DPoP"+r.Header.Get("Authorization")[6:]) }, free, "invalid_token"},
		"with anybody's proof":             {p.v, func(r *http.Request) { r.Header.Set("DPoP", bound().Header.Get("DPoP")) }, free, "invalid_token"},
		"with anybody's message signature": {p.v, func(r *http.Request) { r.Header.Set("Signature-Input", signed.Header.Get("Signature-Input")) }, free, "invalid_token"},
		"no token":                         {p.v, func(r *http.Request) { r.Header.Set("Authorization", "Bearer ") }, free, "token_malformed"},
	} {
		r := c.of()
		if c.change != nil {
			c.change(r)
		}
		got, err := c.v.Verify(r)
		if fault.Code(err) != c.want {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		want := "[bearer]"
		if r.Header.Get("DPoP") != "" {
			want = "[dpop]"
		}
		if err == nil && (fmt.Sprint(got.Proofs) != want || got.Instance.IsZero() != (want == "[bearer]")) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	p.v.cfg.Signed = true
	if _, err := p.v.Verify(free()); fault.Code(err) != "signature_required" {
		t.Errorf("where a signature is demanded: %v", err)
	}
}

func bare(r *http.Request) {
	r.Header.Set("Authorization", "Bearer"+r.Header.Get("Authorization")[4:])
	r.Header.Del("DPoP")
}

// A token may be bound to a P-256 key, as those of apps are.
func TestVerifierES256(t *testing.T) {
	p := newProving(t)
	ed := p.agent
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p.ok(err)
	p.agent, err = jose.NewES256Signer(key)
	p.ok(err)
	make := p.with(true)
	for range 2 {
		if c, err := p.v.Verify(make()); err != nil || c.Instance != p.agent.Public().Thumbprint() || fmt.Sprint(c.Proofs) != "[dpop]" {
			t.Errorf("%+v, %v", c, err)
		}
	}
	p.agent = ed
	if _, err := p.v.Verify(make()); fault.Code(err) != "dpop_binding" {
		t.Errorf("another key's proof: %v", err)
	}
}
