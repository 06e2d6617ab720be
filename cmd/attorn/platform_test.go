package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/attorn/attorn/attorntest"
)

// platform starts one that vouches for its workloads.
func (s *stage) startPlatform([]string) {
	s.platform = attorntest.NewPlatform(s.tb)
	s.Setenv("ISSUER", s.platform.Issuer)
	s.Check(os.WriteFile(s.MkAbs("keys.json"), s.platform.KeySet("sig"), 0o600))
	s.Check(os.WriteFile(s.MkAbs("bundle.json"), s.platform.KeySet("jwt-svid"), 0o600))
}

// vouch writes what the platform says of a workload.
func (s *stage) vouch(args []string) {
	s.atLeast(args, 1)
	s.vouched++
	now := time.Now()
	claims := map[string]any{
		"iss": s.platform.Issuer, "aud": s.Getenv("URL"), "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "jti": fmt.Sprint(s.vouched),
	}
	for _, c := range args[1:] {
		path, value, _ := strings.Cut(c, "=")
		parts, in := strings.Split(path, "/"), claims
		for _, part := range parts[:len(parts)-1] {
			if in[part] == nil {
				in[part] = map[string]any{}
			}
			in = in[part].(map[string]any)
		}
		in[parts[len(parts)-1]] = value
	}
	s.Check(os.WriteFile(s.MkAbs(args[0]), []byte(s.platform.Token(claims)), 0o600))
}
