package main

import (
	"context"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
)

// browser is a person's, without JavaScript. They have no passkey: what they say yes to is attested by the server.
type browser struct {
	issuer string
	http   *http.Client
}

// signIn opens a one-time sign-in link.
func signIn(issuer, link string) (*browser, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	b := &browser{issuer, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	_, secret, _ := strings.Cut(link, "#")
	status, _, body, err := b.send(context.Background(), http.MethodPost, issuer+"/signin/link", url.Values{"secret": {secret}})
	if err == nil && status != http.StatusSeeOther {
		err = fmt.Errorf("signing in: status %d: %s", status, text(body))
	}
	return b, err
}

var (
	checkbox = regexp.MustCompile(`name="(keep\d+)"`)
	tags     = regexp.MustCompile(`(?s)<style.*?</style>|<svg.*?</svg>|<[^>]*>`)
)

// decide opens an authorization request, answers the question on the page, and returns where the browser is sent then.
func (b *browser) decide(ctx context.Context, request string, allow bool) (string, error) {
	at, fields := request, url.Values(nil)
	for range 6 {
		method := http.MethodGet
		if fields != nil {
			method = http.MethodPost
		}
		status, to, body, err := b.send(ctx, method, at, fields)
		if err != nil {
			return "", err
		}
		if status/100 == 3 {
			next, err := url.Parse(at)
			if err != nil {
				return "", err
			}
			if next, err = next.Parse(to); err != nil {
				return "", err
			}
			if !strings.HasPrefix(next.String(), b.issuer+"/") {
				return next.String(), nil
			}
			at, fields = next.String(), nil
			continue
		}
		if status != http.StatusOK || fields != nil || !strings.Contains(at, "/consent/") {
			return "", fmt.Errorf("the browser is at %s with status %d: %s", strings.TrimPrefix(at, b.issuer), status, text(body))
		}
		fields = url.Values{"verdict": {"refuse"}}
		if allow {
			fields = url.Values{"verdict": {"allow"}, "ttl": {"3600"}, "depth": {"0"}}
			for _, m := range checkbox.FindAllStringSubmatch(body, -1) {
				fields.Set(m[1], "1")
			}
		}
	}
	return "", fmt.Errorf("the browser goes round and round, now at %s", at)
}

func (b *browser) send(ctx context.Context, method, at string, fields url.Values) (status int, to, body string, err error) {
	q, err := http.NewRequestWithContext(ctx, method, at, strings.NewReader(fields.Encode()))
	if err != nil {
		return 0, "", "", err
	}
	if fields != nil {
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		q.Header.Set("Origin", b.issuer)
	}
	res, err := b.http.Do(q)
	if err != nil {
		return 0, "", "", err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	return res.StatusCode, res.Header.Get("Location"), string(raw), err
}

// text is what a page says.
func text(page string) string {
	return strings.Join(strings.Fields(html.UnescapeString(tags.ReplaceAllString(page, " "))), " ")
}
