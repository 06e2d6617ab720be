package attorn

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// VerifierConfig says whose requests a service accepts, and what it calls itself. Issuer and Resource are needed.
type VerifierConfig struct {
	Issuer    string           // the attorn server, as it stands in tokens
	Resource  string           // this service: what tokens and message signatures are made for
	Base      string           // the external URL that the service's paths hang on, without a final slash; "" is the origin of Resource
	Signed    bool             // every request must carry a message signature, which binds its body too
	Bearer    bool             // tokens bound to no key are accepted: whoever holds one may use it. Those that are bound still need their proof
	MaxBody   int64            // of a signed request, in bytes; 0 is 1 MiB
	Workspace id.Workspace     // that the service is registered in; zero is default. Tokens of others, and requests that their instances signed, are refused
	Service   id.Service       // as whom the service follows what ends at the issuer, with Signer; zero: an end is noticed when the token expires
	Signer    jose.Signer      // the key that the service was registered with
	Replay    Replay           // nil: this process's memory
	HTTP      *http.Client     // nil is a new one
	Now       func() time.Time // nil is the clock
}

// Verifier proves who sent a request, as the service that receives it: by an access token and the proof that its key signed the request
// (RFC 9449), by an HTTP message signature (RFC 9421), or by a signed object. The issuer's and the agents' public keys are all that it needs;
// what it has seen it remembers. Safe for concurrent use.
type Verifier struct {
	cfg    VerifierConfig
	base   string
	keys   *issuerKeys
	agents *agentKeys
	tokens *seenTokens
	feed   *follower // nil: the service does not follow
	ends   *ends
	now    func() time.Time

	forgets   bool // Replay is this process's memory
	workspace id.Workspace
}

// NewVerifier makes a Verifier, which begins to follow the issuer where it is told as whom; nothing else is sent yet. Close ends it. Code: verifier_invalid.
func NewVerifier(cfg VerifierConfig) (*Verifier, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	own := http.Client{Timeout: 30 * time.Second}
	if cfg.HTTP != nil {
		own = *cfg.HTTP
	}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	cfg.HTTP = &own
	forgets := cfg.Replay == nil
	if forgets {
		cfg.Replay = newMemory()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = 1 << 20
	}
	v := &Verifier{
		cfg: cfg, base: cfg.Base, tokens: newSeenTokens(), now: cfg.Now, keys: &issuerKeys{url: cfg.Issuer + "/oauth/jwks", http: &own},
		agents:  &agentKeys{url: cfg.Issuer + "/.well-known/http-message-signatures-directory", http: &own, known: map[id.Key]agentKey{}},
		forgets: forgets, workspace: cfg.Workspace,
	}
	if v.workspace.IsZero() {
		v.workspace = id.Default
	}
	if v.base == "" {
		u, err := url.Parse(cfg.Resource)
		if err != nil {
			return nil, err
		}
		v.base = u.Scheme + "://" + u.Host
	}
	return v, v.follow()
}

func (cfg *VerifierConfig) check() error {
	bad := func(what, text string) error {
		return fault.New(fault.Invalid, "verifier_invalid", "%s is an https URL, or an http one on this machine, without user name, query, fragment and final slash: %q", what, text)
	}
	switch {
	case !plainURL(cfg.Issuer):
		return bad("the issuer", cfg.Issuer)
	case !plainURL(cfg.Resource):
		return bad("the resource", cfg.Resource)
	case cfg.Base != "" && !plainURL(cfg.Base):
		return bad("the base", cfg.Base)
	case cfg.Service.IsZero() != (cfg.Signer == nil):
		return fault.New(fault.Invalid, "verifier_invalid", "a service follows the issuer with its id and the key that it was registered with: both or neither")
	}
	return nil
}

func plainURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == "" && !strings.HasSuffix(text, "/") &&
		(u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname()))
}

// Middleware lets requests through to next whose sender Verify proves; next reads it with CallerOf. All others are answered: 401 with a challenge
// and a problem (RFC 9457) that says which part failed and what to do, 503 where the answer needs what cannot be reached.
func (v *Verifier) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := v.verify(r)
		if err != nil {
			v.refuse(w, r, err)
			return
		}
		next.ServeHTTP(w, withCaller(r, c))
	})
}

// Verify proves who sent a request. The body of a signed one is read, held to its digest, and put back. Codes, Unauthenticated unless said
// otherwise: token_missing, invalid_token, token_ended, replayed, signature_required, those of packages token, dpop and httpsig; Unavailable:
// issuer_unreachable, stale, overloaded.
func (v *Verifier) Verify(r *http.Request) (Caller, error) {
	c, err := v.verify(r)
	if err != nil {
		return Caller{}, err
	}
	return *c, nil
}

func (v *Verifier) verify(r *http.Request) (*Caller, error) {
	signed := len(r.Header["Signature-Input"]) > 0
	scheme, raw, err := authorization(r.Header)
	if err != nil {
		return nil, err
	}
	var c *Caller // nil: nobody yet
	var key jose.PublicKey
	switch {
	case scheme == "dpop":
		c, key, err = v.bound(r, raw)
	case scheme == "bearer" && v.cfg.Bearer:
		c, err = v.bearer(r, raw)
	case scheme == "bearer":
		err = fault.New(fault.Unauthenticated, "invalid_token", "an access token is bound to a key here; it is no bearer token").
			Try("send it as Authorization: DPoP, with a proof in the DPoP header")
	case !signed:
		err = fault.New(fault.Unauthenticated, "token_missing", "the request has neither an access token nor a message signature").
			Try("get a token with resource=%s and send it as Authorization: DPoP, with a proof in the DPoP header", v.cfg.Resource)
	}
	if err != nil {
		return nil, err
	}
	if signed {
		return v.signed(r, c, key)
	}
	if v.cfg.Signed {
		return nil, fault.New(fault.Unauthenticated, "signature_required", "this service demands a message signature on every request").
			Try("sign the request as Accept-Signature says")
	}
	return c, nil
}

// authorization is the one Authorization header's scheme, in lower case, and what follows it; both "" where there is none.
func authorization(h http.Header) (scheme, raw string, err error) {
	all := h["Authorization"]
	if len(all) == 0 {
		return "", "", nil
	}
	if len(all) > 1 {
		return "", "", fault.New(fault.Unauthenticated, "invalid_token", "the request has %d Authorization headers, not one", len(all)).
			Try("send one: Authorization: DPoP and the access token")
	}
	scheme, raw, _ = strings.Cut(all[0], " ")
	for _, known := range []string{"dpop", "bearer"} {
		if strings.EqualFold(scheme, known) {
			return known, raw, nil
		}
	}
	return "", "", fault.New(fault.Unauthenticated, "invalid_token", "the request's Authorization is of another scheme than DPoP").
		Try("send one: Authorization: DPoP and the access token")
}

// url is the request's, as its sender saw it: nothing that a proxy or the sender says about the host counts.
func (v *Verifier) url(r *http.Request) string { return v.base + r.URL.EscapedPath() }

func readAll(r io.Reader, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "unreachable", "the answer ended early: %v", err)
	}
	if int64(len(body)) > limit {
		return nil, fault.New(fault.TooLarge, "too_large", "the answer has more than %d bytes", limit)
	}
	return body, nil
}

// Close ends what the Verifier does by itself.
func (v *Verifier) Close() {
	if v.feed != nil {
		v.feed.stop()
		<-v.feed.done
	}
}
