package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

const browserTests = "../../internal/console/testdata/browser"

// provider starts the certified OpenID provider of the console's tests, with the users of a JSON file, and puts its issuer into a configuration file in
// the place of ISSUER; or, where it runs, gives it other users.
func (s *stage) provider(args []string) {
	s.atLeast(args, 1)
	users := bytes.ReplaceAll([]byte(s.ReadFile(args[0])), []byte("\n"), []byte(" "))
	if s.idp != nil {
		_, err := s.idp.in.Write(append(users, '\n'))
		s.Check(err)
		if _, err := s.idp.says("changed"); err != nil {
			s.Fatalf("%v", err)
		}
		return
	}
	s.atLeast(args, 2)
	script, err := filepath.Abs(filepath.Join(browserTests, "provider.mjs"))
	s.Check(err)
	if _, err := os.Stat(filepath.Join(filepath.Dir(script), "node_modules")); err != nil {
		s.Fatalf("the provider is not installed; run: npm --prefix internal/console/testdata/browser ci --no-audit --no-fund")
	}
	cmd := exec.Command("node", script, fmt.Sprintf(`{"redirect":%q,"secret":"hush","alg":"RS256","inToken":false,"users":%s}`,
		s.Getenv("URL")+"/signin/oidc/acme/callback", users))
	in, err := cmd.StdinPipe()
	s.Check(err)
	p, err := start(cmd)
	s.Check(err)
	s.idp = &idp{p, in}
	s.Defer(func() {
		in.Close()
		if !waitFor(p.hasEnded) {
			p.kill()
		}
	})
	port, err := p.says("http://127.0.0.1:")
	s.Check(err)
	config := s.MkAbs(args[1])
	text, err := os.ReadFile(config)
	s.Check(err)
	s.Check(os.WriteFile(config, bytes.ReplaceAll(text, []byte("ISSUER"), []byte("http://127.0.0.1:"+port)), 0o600))
}

// idp is the provider as it runs.
type idp struct {
	*process
	in io.Writer
}

var onward = regexp.MustCompile(`^0; url=(.*)$`)

// through signs in at the server through its provider acme, as one of the provider's users, in a new browser of the stage's own, which keeps the
// session; it prints the page that the browser ends at.
func (s *stage) through(args []string) {
	s.atLeast(args, 1)
	jar, err := cookiejar.New(nil)
	s.Check(err)
	s.web = &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	at, form := s.Getenv("URL")+"/signin/oidc/acme", url.Values{}
	for range 16 {
		var res *http.Response
		if form != nil {
			res, err = s.web.PostForm(at, form)
		} else {
			res, err = s.web.Get(at)
		}
		s.Check(err)
		body, err := io.ReadAll(res.Body)
		s.Check(err)
		res.Body.Close()
		form = nil
		if to, err := res.Location(); err == nil {
			at = to.String()
		} else if to := onward.FindStringSubmatch(res.Header.Get("Refresh")); to != nil {
			at = to[1]
		} else if strings.Contains(string(body), `name="user"`) {
			form = url.Values{"user": {args[0]}}
		} else {
			fmt.Fprintf(s.Stdout(), "%d %s\n%s", res.StatusCode, res.Request.URL.Path, body)
			return
		}
	}
	s.Fatalf("it goes round in circles")
}
