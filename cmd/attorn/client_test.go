package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
)

// describes serves a file as an app's metadata, at the address that it sets CLIENT to and puts into the file's place for CLIENT.
func (s *stage) describes(args []string) {
	s.atLeast(args, 1)
	file := s.MkAbs(args[0])
	var address string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := os.ReadFile(file)
		if err != nil || r.URL.Path != "/client.json" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(bytes.ReplaceAll(raw, []byte("CLIENT"), []byte(address)))
	}))
	s.tb.Cleanup(srv.Close)
	address = srv.URL + "/client.json"
	s.Setenv("CLIENT", address)
}

// registers has an app register itself with a file of metadata, by an invitation unless that is "-"; it must be answered with STATUS.
func (s *stage) registers(args []string) {
	s.atLeast(args, 3)
	r, err := http.NewRequest(http.MethodPost, s.Getenv("URL")+"/oauth/register", strings.NewReader(s.ReadFile(args[1])))
	s.Check(err)
	r.Header.Set("Content-Type", "application/json")
	if args[2] != "-" {
		r.Header.Set("Authorization", "Bearer "+args[2])
	}
	res, err := http.DefaultClient.Do(r)
	s.Check(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	s.Check(err)
	s.Stdout().Write(body)
	if !strings.HasPrefix(res.Status, args[0]+" ") {
		s.Fatalf("%s: %s", res.Status, body)
	}
}
