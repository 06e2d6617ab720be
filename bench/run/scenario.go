package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/attorn/attorn/dpop"
	"github.com/attorn/attorn/httpsig"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

// maker makes requests of one agent, and publishes the keys that they are verified with.
type maker struct {
	issuer, resource string
	issuerKey, agent jose.Signer
	name             id.Agent
}

func newMaker(issuer, resource string) (*maker, error) {
	m := &maker{issuer: issuer, resource: resource, name: id.New[id.Agent](time.Now())}
	for _, to := range []*jose.Signer{&m.issuerKey, &m.agent} {
		_, priv, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		if *to, err = jose.NewSigner(priv); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// documents is what the issuer publishes.
func (m *maker) documents() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /oauth/jwks", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"keys":[%s]}`, m.issuerKey.Public().JWK())
	})
	mux.HandleFunc("GET /.well-known/http-message-signatures-directory", func(w http.ResponseWriter, _ *http.Request) {
		k := m.agent.Public()
		fmt.Fprintf(w, `{"keys":[%s,"kid":"%s","agent":"%s","ws":"default"}]}`, bytes.TrimSuffix(k.JWK(), []byte("}")), k.Thumbprint(), m.name)
	})
	return mux
}

func (m *maker) token(bound bool) (string, error) {
	now := time.Now().Unix()
	c := token.Claims{
		Issuer: m.issuer, Subject: m.name.String(), Audience: m.resource, ClientID: m.name.String(), Scope: "tool:files:*", ID: rand.Text(),
		IssuedAt: now, Expires: now + 300, Workspace: id.Default,
	}
	if bound {
		c.JKT = m.agent.Public().Thumbprint()
	}
	return token.Issue(c, m.issuerKey)
}

// payload is 1 KB of JSON, and payloadAnswer what a handler that decoded it says.
var (
	payload       = `{"items":[` + strings.TrimSuffix(strings.Repeat(`{"name":"an item of the list","value":4711},`, 24), ",") + `]}`
	payloadAnswer = "{\"items\":24}\n"
)

// batch is the requests of a run, what each is to be answered, and how many events each leaves in the log.
type batch struct {
	address  string
	requests [][]byte
	check    func(n int64, body []byte) error
	events   int

	kind, outcome string // of those
}

// make makes n requests of a scenario, no two with the same proof, and says what each is answered.
func (s *server) make(ctx context.Context, name string, n int) (batch, error) {
	if issuing(name) {
		return s.issuing.make(ctx, name, n)
	}
	requests, answer, err := s.maker.make(name, n)
	return batch{address: s.address, requests: requests, check: exactly(answer)}, err
}

func (m *maker) make(name string, n int) (requests [][]byte, answer string, err error) {
	host := strings.TrimPrefix(m.resource, "http://")
	same := func(r []byte, answer string) ([][]byte, string, error) {
		for range n {
			requests = append(requests, r)
		}
		return requests, answer, nil
	}
	post := map[string]string{"Content-Type": "application/json"}
	switch name {
	case "hello", "hello+v", "64v":
		return same(wire("GET", "/"+name, host, nil, ""), "ok\n")
	case "json+v", "floor", "floor+2v", "row+v":
		return same(wire("POST", "/"+name, host, post, payload), payloadAnswer)
	case "token-bearer":
		t, err := m.token(false)
		if err != nil {
			return nil, "", err
		}
		return same(wire("GET", "/token", host, map[string]string{"Authorization": "Bearer " + t}, ""), "ok\n")
	case "token-dpop":
		t, err := m.token(true)
		if err != nil {
			return nil, "", err
		}
		for range n {
			p, err := dpop.Sign(m.agent, dpop.Claims{Method: "GET", URL: m.resource + "/token", JTI: rand.Text(), AccessToken: t, IssuedAt: time.Now()})
			if err != nil {
				return nil, "", err
			}
			requests = append(requests, wire("GET", "/token", host, map[string]string{"Authorization": "DPoP " + t, "DPoP": p}, ""))
		}
		return requests, "ok\n", nil
	}
	if name != "signed" {
		return nil, "", fmt.Errorf("there is no scenario %q", name)
	}
	for range n {
		var nonce [16]byte
		rand.Read(nonce[:])
		h, err := httpsig.Sign(m.agent, httpsig.Request{Method: "POST", TargetURI: m.resource + "/signed", Body: []byte(payload)},
			httpsig.Params{Audience: m.resource, Created: time.Now(), Nonce: jose.EncodeBase64(nonce[:])})
		if err != nil {
			return nil, "", err
		}
		requests = append(requests, wire("POST", "/signed", host, map[string]string{
			"Content-Type": "application/json", "Attorn-Audience": h.Audience, "Content-Digest": h.Digest, "Signature-Input": h.Input, "Signature": h.Signature,
		}, payload))
	}
	return requests, payloadAnswer, nil
}
