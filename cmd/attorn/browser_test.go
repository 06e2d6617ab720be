package main

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
)

// browser opens a one-time sign-in link in a browser of the stage's own, which keeps its session.
func (s *stage) browser(args []string) {
	s.atLeast(args, 1)
	jar, err := cookiejar.New(nil)
	s.Check(err)
	s.web = &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if status, body := s.posts("signin/link", url.Values{"secret": {args[0]}}); status != http.StatusSeeOther {
		s.Fatalf("the link: %d %s", status, body)
	}
}

// submit sends a form of a page in that browser; it must succeed.
func (s *stage) submit(args []string) {
	s.atLeast(args, 1)
	fields := url.Values{}
	for _, field := range args[1:] {
		name, value, _ := strings.Cut(field, "=")
		fields.Set(name, value)
	}
	status, body := s.posts(args[0], fields)
	io.WriteString(s.Stdout(), body)
	if status != http.StatusOK {
		s.Fatalf("%d %s", status, body)
	}
}

func (s *stage) posts(path string, fields url.Values) (int, string) {
	r, err := http.NewRequest(http.MethodPost, s.Getenv("URL")+"/"+path, strings.NewReader(fields.Encode()))
	s.Check(err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", s.Getenv("URL"))
	res, err := s.web.Do(r)
	s.Check(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	s.Check(err)
	return res.StatusCode, string(body)
}
