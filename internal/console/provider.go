package console

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/jose"
)

// Upstream is an OpenID provider that people sign in with.
type Upstream struct {
	Name        string // on the button and in the callback's path
	Issuer      string
	ClientID    string
	Secret      string // "" is a public client: PKCE alone
	Scopes      []string
	Create      bool // whether somebody who is not known gets an account
	Workspace   id.Workspace
	GroupsClaim string            // "" is none
	Groups      map[string]string // a group there, and the one here
	ACR         map[string]int    // a value of acr, and the level that it counts as
	MFA         []string          // values of amr that count as several factors
}

const (
	providerWait = 10 * time.Second // for one answer of a provider
	maxAnswer    = 512 << 10        // bytes of one
	keepMetadata = time.Hour
	keepFailure  = 5 * time.Second // so that a provider that is down is not asked by everybody who waits
	maxIDToken   = 32 << 10
	clockSkew    = 30 * time.Second
)

// provider is an Upstream with what it publishes about itself, read when it is first needed and now and then again.
type provider struct {
	Upstream
	callback string
	client   *http.Client
	now      func() time.Time

	mu     sync.Mutex
	known  *metadata
	read   time.Time
	failed time.Time
}

// metadata is what a provider publishes (OpenID Connect Discovery §3), as far as it is used.
type metadata struct {
	Issuer   string   `json:"issuer"`
	AuthURL  string   `json:"authorization_endpoint"`
	TokenURL string   `json:"token_endpoint"`
	JWKS     string   `json:"jwks_uri"`
	UserInfo string   `json:"userinfo_endpoint"`
	Methods  []string `json:"token_endpoint_auth_methods_supported"`
	SaysISS  bool     `json:"authorization_response_iss_parameter_supported"` // RFC 9207 §3

	library *oidc.Provider
}

func newProvider(u Upstream, issuer string, now func() time.Time) *provider {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = providerWait
	return &provider{
		Upstream: u, callback: issuer + "/signin/oidc/" + u.Name + "/callback", now: now,
		client: &http.Client{
			Timeout: providerWait, Transport: bounded{transport},
			CheckRedirect: func(*http.Request, []*http.Request) error { return errRedirect },
		},
	}
}

var (
	errRedirect = errors.New("the provider redirects where it must answer")
	errTooLarge = errors.New("the provider's answer is too large")
)

// bounded is a transport whose answers end with an error where they are too large.
type bounded struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		res.Body = &boundedBody{res.Body, maxAnswer}
	}
	return res, err
}

type boundedBody struct {
	io.ReadCloser
	left int
}

// Read implements io.Reader.
func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left+1)])
	if b.left -= n; b.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}

// raw keeps the JSON that a library would decode more leniently than we do.
type raw []byte

// UnmarshalJSON implements json.Unmarshaler of the library's package.
func (r *raw) UnmarshalJSON(b []byte) error {
	*r = slices.Clone(b)
	return nil
}

// metadata reads what the provider publishes. Code: provider_down.
func (p *provider) metadata(ctx context.Context) (*metadata, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if p.known != nil && now.Sub(p.read) < keepMetadata && !now.Before(p.read) {
		return p.known, nil
	}
	if now.Sub(p.failed) < keepFailure && !now.Before(p.failed) {
		return p.stale(p.down(nil))
	}
	m, err := p.discover(ctx)
	if err != nil {
		p.failed = now
		return p.stale(err)
	}
	p.known, p.read = m, now
	return m, nil
}

// stale is what was known before, or the error: a provider whose metadata is out of reach for a moment may still sign people in.
func (p *provider) stale(err error) (*metadata, error) {
	if p.known != nil {
		return p.known, nil
	}
	return nil, err
}

func (p *provider) discover(ctx context.Context) (*metadata, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), providerWait) // others wait for the same answer
	defer cancel()
	library, err := oidc.NewProvider(oidc.ClientContext(ctx, p.client), p.Issuer)
	if err != nil {
		return nil, p.down(err)
	}
	var text raw
	m := &metadata{library: library}
	if err := library.Claims(&text); err != nil {
		return nil, p.down(err)
	}
	if err := jose.DecodeForeign(text, m, jose.Limits{Bytes: maxAnswer}); err != nil {
		return nil, p.down(err)
	}
	if !p.sound(m.AuthURL) || !p.sound(m.TokenURL) || !p.sound(m.JWKS) || m.UserInfo != "" && !p.sound(m.UserInfo) {
		return nil, p.down(errors.New("an endpoint of the provider is missing, or not at https"))
	}
	return m, nil
}

// sound reports whether an endpoint may be talked to: over https, or http on loopback where the issuer itself is there.
func (p *provider) sound(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return false
	}
	if u.Scheme == "https" {
		return true
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "http" && strings.HasPrefix(p.Issuer, "http:") && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}

func (p *provider) down(cause error) *fault.Error {
	return fault.Wrap(cause, fault.Unavailable, "provider_down", "the provider %s cannot be reached, or does not answer as an OpenID provider does", p.Name).
		Try("try again in a minute, or sign in with a passkey")
}

// invalid is the refusal of an answer: it says which part is wrong.
func (p *provider) invalid(reason string) *fault.Error {
	return fault.New(fault.Unauthenticated, "provider_answer", "%s did not sign you in: %s", p.Name, reason).
		Try("sign in again; if it keeps failing, tell an administrator")
}

// library's configuration for the code flow.
func (p *provider) oauth(m *metadata) *oauth2.Config {
	c := &oauth2.Config{ClientID: p.ClientID, ClientSecret: p.Secret, RedirectURL: p.callback, Scopes: []string{oidc.ScopeOpenID}}
	for _, s := range p.Scopes {
		if !slices.Contains(c.Scopes, s) {
			c.Scopes = append(c.Scopes, s)
		}
	}
	// One way to authenticate, never both in turn: the second would send the code again. Basic is the default (RFC 8414 §2).
	c.Endpoint = oauth2.Endpoint{AuthURL: m.AuthURL, TokenURL: m.TokenURL, AuthStyle: oauth2.AuthStyleInHeader}
	if p.Secret == "" || len(m.Methods) > 0 && !slices.Contains(m.Methods, "client_secret_basic") {
		c.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	return c
}

// authorizeURL is where the browser is sent.
func (p *provider) authorizeURL(m *metadata, t guard.Trip) string {
	options := []oauth2.AuthCodeOption{oidc.Nonce(t.Nonce()), oauth2.S256ChallengeOption(t.Verifier())}
	if t.Fresh {
		options = append(options, oauth2.SetAuthURLParam("prompt", "login"), oauth2.SetAuthURLParam("max_age", "0"))
	}
	return p.oauth(m).AuthCodeURL(t.State, options...)
}
