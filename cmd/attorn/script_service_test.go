package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"

	attorn "github.com/attorn/attorn"
	"github.com/attorn/attorn/id"
)

// place finds a port that is free, so that a service can be registered before it runs.
func (s *stage) place([]string) {
	port, err := freePort()
	s.Check(err)
	s.Setenv("SERVICE", "http://127.0.0.1:"+port)
}

// front runs a proxy, as one stands before a server for TLS.
func (s *stage) front([]string) {
	to, err := url.Parse(s.Getenv("URL"))
	s.Check(err)
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		if from, ok := s.client.Load().(string); ok {
			r.Out.Header.Set("X-Forwarded-For", from)
		}
	}})
	s.Defer(proxy.Close)
	s.Setenv("FRONT", proxy.URL)
}

func (s *stage) from(args []string) {
	s.atLeast(args, 1)
	s.client.Store(args[0])
}

// guarded runs somebody's service in this process, as their Go program would have it.
func (s *stage) guarded(args []string) {
	if len(args) != 2 && (len(args) != 3 || args[2] != "bearer") {
		s.Fatalf("usage: guarded KEYFILE SVC [bearer]")
	}
	key, err := attorn.OpenKeyFile(s.MkAbs(args[0]))
	s.Check(err)
	service, err := id.Parse[id.Service](args[1])
	s.Check(err)
	resource := s.Getenv("SERVICE") + "/api"
	v, err := attorn.NewVerifier(attorn.VerifierConfig{Issuer: s.Getenv("URL"), Resource: resource, Service: service, Signer: key, Bearer: len(args) == 3})
	s.Check(err)
	l, err := net.Listen("tcp", strings.TrimPrefix(s.Getenv("SERVICE"), "http://"))
	s.Check(err)
	srv := &http.Server{Handler: v.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _ := attorn.CallerOf(r)
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s by %s (%s) for %s, %d between, %v, may write: %v, %s\n",
			r.Method, r.URL.RequestURI(), c.Agent, c.Instance.Short(), c.Person, len(c.Chain), c.Proofs, c.Allows("repo:acme:write", nil), body)
	}))}
	go srv.Serve(l)
	s.Defer(func() { srv.Close(); v.Close() })
}
