package attorn

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

// Token is an access token, bound to the key that got it: it goes with a DPoP proof by that key.
type Token struct {
	AccessToken string
	Permissions []delegation.Permission
	Expires     time.Time

	by jose.Signer // the key that it is bound to
}

const (
	assertionType   = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	grantPerson     = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	grantExchange   = "urn:ietf:params:oauth:grant-type:token-exchange"
	typeDelegation  = "urn:attorn:params:oauth:token-type:delegation"
	typeChain       = "urn:attorn:params:oauth:token-type:delegation-chain"
	typeAccessToken = "urn:ietf:params:oauth:token-type:access_token"
	assertionLife   = time.Minute
	maxHeld         = 1000 // tokens
	tokenLifeTenths = 8    // of ten: a token is renewed after this much of its life
)

// Each try for a token is signed anew, so one that was refused for its number may simply be made again, when the server says.
const (
	maxGrantTries = 4
	maxPatience   = 5 * time.Second
)

// patient waits as long as the answer asks (RFC 9110 §10.2.3), and reports false where that is too long or the caller gave up.
func patient(ctx context.Context, res *http.Response) bool {
	seconds, err := strconv.Atoi(res.Header.Get("Retry-After"))
	wait := time.Duration(seconds) * time.Second
	if err != nil || wait < 0 || wait > maxPatience {
		return false
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// grant asks the token endpoint. complete adds a new assertion to the form each time.
func (d *door) grant(ctx context.Context, by jose.Signer, form url.Values, complete func(url.Values, string), client string) (Token, error) {
	nonced := false
	for tries := 1; ; tries++ {
		asked := time.Now()
		assertion, err := token.SignAssertion(by, client, d.server, rand.Text(), asked, assertionLife)
		if err != nil {
			return Token{}, err
		}
		complete(form, assertion)
		res, answer, err := d.ask(ctx, http.MethodPost, d.server+"/oauth/token", "application/x-www-form-urlencoded", []byte(form.Encode()), Token{by: by}, maxAnswer)
		if err != nil {
			return Token{}, err
		}
		if res.StatusCode != http.StatusOK {
			err := oauthProblem(res.StatusCode, answer)
			if fault.Code(err) == "use_dpop_nonce" && !nonced {
				nonced = true
				continue
			}
			if res.StatusCode == http.StatusTooManyRequests && tries < maxGrantTries && patient(ctx, res) {
				continue
			}
			return Token{}, err
		}
		got, err := readToken(answer, asked)
		got.by = by
		return got, err
	}
}

func readToken(answer []byte, asked time.Time) (Token, error) {
	var got struct {
		AccessToken string         `json:"access_token"`
		TokenType   string         `json:"token_type"`
		ExpiresIn   int64          `json:"expires_in"`
		Scope       string         `json:"scope"`
		Details     []token.Detail `json:"authorization_details"`
	}
	if err := understand(answer, &got); err != nil {
		return Token{}, err
	}
	if got.AccessToken == "" || got.TokenType != "DPoP" {
		return Token{}, fault.New(fault.Unavailable, "bad_answer", "the server's answer has no token that is bound to a key")
	}
	return Token{
		AccessToken: got.AccessToken, Permissions: token.Claims{Scope: got.Scope, Details: got.Details}.Permissions(),
		Expires: asked.Add(time.Duration(got.ExpiresIn) * time.Second),
	}, nil
}

// setPermissions asks for permissions: those without constraints as scope, others as authorization_details.
func setPermissions(form url.Values, ps []delegation.Permission) error {
	var c token.Claims
	c.SetPermissions(ps)
	if c.Scope != "" {
		form.Set("scope", c.Scope)
	}
	if len(c.Details) > 0 {
		details, err := json.Marshal(c.Details, json.Deterministic(true))
		if err != nil {
			return fault.Wrap(err, fault.Invalid, "malformed", "the permissions cannot be written as JSON: %v", err)
		}
		form.Set("authorization_details", string(details))
	}
	return nil
}

// token is the token under a name that is bound to the key of now, or a new one.
func (d *door) token(ctx context.Context, name string, fresh func(context.Context) (Token, error)) (Token, error) {
	return d.tokens.get(ctx, d.bound(name, d.keys.key()), fresh)
}

// drop forgets a token that was refused.
func (d *door) drop(name string, t Token) {
	d.tokens.drop(d.bound(name, t.by), t.AccessToken)
}

func (*door) bound(name string, by jose.Signer) string {
	return by.Public().Thumbprint().String() + "\n" + name
}

// wallet keeps tokens until they have lived 80 % of their life. The zero value is empty. For each key one request is in flight.
type wallet struct {
	mu   sync.Mutex
	held map[string]*slot
}

type slot struct {
	turn  chan struct{} // holds one value while somebody gets the token
	token Token
	renew time.Time
}

// forget drops every token: they were ended.
func (w *wallet) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held = nil
}

// get returns the token under key, or gets a new one.
func (w *wallet) get(ctx context.Context, key string, fresh func(context.Context) (Token, error)) (Token, error) {
	w.mu.Lock()
	if w.held == nil || len(w.held) >= maxHeld {
		w.held = map[string]*slot{}
	}
	s := w.held[key]
	if s == nil {
		s = &slot{turn: make(chan struct{}, 1)}
		w.held[key] = s
	}
	w.mu.Unlock()
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return Token{}, ctx.Err()
	}
	defer func() { <-s.turn }()
	now := time.Now()
	if now.Before(s.renew) {
		return s.token, nil
	}
	t, err := fresh(ctx)
	if err != nil {
		return Token{}, err
	}
	s.token, s.renew = t, now.Add(t.Expires.Sub(now)*tokenLifeTenths/10)
	return t, nil
}

// drop forgets a token that was refused; one that took its place meanwhile stays.
func (w *wallet) drop(key, refused string) {
	w.mu.Lock()
	s := w.held[key]
	w.mu.Unlock()
	if s == nil {
		return
	}
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	if s.token.AccessToken == refused {
		s.renew = time.Time{}
	}
}
