package attorntest

import (
	"crypto/ed25519"
	"path/filepath"
	"testing"

	"github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/jose"
)

// Admin is the first administrator, signed in with a key of the test's own. It can be called once for a Server, which has no administrator before.
func (s *Server) Admin(t testing.TB) *attorn.Client {
	t.Helper()
	signer := NewSigner(t)
	in, err := attorn.SignIn(t.Context(), attorn.SignInConfig{Server: s.URL, Secret: s.Link, Name: "Admin", Signer: signer})
	if err != nil {
		t.Fatalf("sign the first administrator in: %v", err)
	}
	c, err := attorn.NewClient(attorn.ClientConfig{Server: s.URL, User: in.User, Signer: signer})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Agent registers an agent that by owns, and enrols an instance of it in this process.
func (s *Server) Agent(t testing.TB, by *attorn.Client, name string) *attorn.Agent {
	t.Helper()
	a, err := by.CreateAgent(t.Context(), api.NewAgent{Name: name})
	if err != nil {
		t.Fatalf("register the agent %s: %v", name, err)
	}
	offer, err := by.OfferEnrolment(t.Context(), a.ID)
	if err != nil {
		t.Fatal(err)
	}
	agent, err := attorn.Enrol(t.Context(), attorn.EnrolConfig{Server: s.URL, Token: offer.Token, KeyFile: filepath.Join(t.TempDir(), name+".jwk")})
	if err != nil {
		t.Fatalf("enrol an instance of %s: %v", name, err)
	}
	return agent
}

// Lend has by lend permissions to an agent, for an hour.
func (s *Server) Lend(t testing.TB, by *attorn.Client, to *attorn.Agent, permissions ...string) delegation.Link {
	t.Helper()
	var l attorn.Lend
	for _, p := range permissions {
		l.Permissions = append(l.Permissions, delegation.Permission{Permission: p})
	}
	link, err := by.Delegate(t.Context(), to.ID().String(), l)
	if err != nil {
		t.Fatalf("lend to %s: %v", to.ID(), err)
	}
	return link
}

// Verifier registers a service with a URL and the beginning of its permissions, and makes the Verifier that stands before it; the Verifier follows
// what ends, and is closed when the test ends.
func (s *Server) Verifier(t testing.TB, by *attorn.Client, resource, prefix string) *attorn.Verifier {
	t.Helper()
	signer := NewSigner(t)
	made, err := by.AddService(t.Context(), api.NewService{Name: "service", Resource: resource, Prefix: prefix, JWK: signer.Public()})
	if err != nil {
		t.Fatalf("register the service %s: %v", resource, err)
	}
	v, err := attorn.NewVerifier(attorn.VerifierConfig{Issuer: s.URL, Resource: resource, Service: made.ID, Signer: signer})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

// NewSigner makes an Ed25519 key that lives in the test's memory.
func NewSigner(t testing.TB) jose.Signer {
	t.Helper()
	_, priv, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(priv)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}
