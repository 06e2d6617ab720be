package attorn

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/dpop"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// Limits of what is read of an answer, in bytes.
const (
	maxAnswer = 24 << 20
	maxPack   = 64 << 20
)

// door is one server, spoken to with one key: for an Agent, a Client, or a key that is not known yet.
type door struct {
	server string // without a final slash
	ws     id.Workspace
	keys   *held
	http   *http.Client
	tokens wallet
	own    func(ctx context.Context, resource string) (Token, error) // gets a token in one's own right; nil for a key that is nobody's yet

	mu     sync.Mutex
	nonces map[string]string // by origin: what the next proof must hold
}

// newDoor checks the server's URL and takes over hc, which then follows no redirect: an answer from elsewhere is not the server's.
func newDoor(server string, ws id.Workspace, signer jose.Signer, hc *http.Client) (*door, error) {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(server, "/") {
		return nil, fault.New(fault.Invalid, "server_url", "the server is a URL without user name, query, fragment and final slash: %q", server)
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return nil, fault.New(fault.Invalid, "server_url", "a server beyond this machine is reached over https: %q", server)
	}
	if signer == nil {
		return nil, fault.New(fault.Invalid, "key_missing", "there is no key to sign with")
	}
	if ws.IsZero() {
		ws = id.Default
	}
	own := http.Client{Timeout: 2 * time.Minute}
	if hc != nil {
		own = *hc
	}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &door{server: server, ws: ws, keys: &held{signer: signer}, http: &own, nonces: map[string]string{}}, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// base is the URL under which the workspace's paths are.
func (d *door) base() string {
	if d.ws == id.Default {
		return d.server
	}
	return d.server + "/w/" + d.ws.String()
}

// api is the audience of tokens for the server's own API.
func (d *door) api() string { return d.base() + "/api" }

// prove signs a proof for one request, and adds it and the token, if there is one, to the header. The key is the one that the token is bound to.
func (d *door) prove(r *http.Request, t Token) error {
	token, by := t.AccessToken, t.by
	if by == nil {
		by = d.keys.key()
	}
	target := url.URL{Scheme: r.URL.Scheme, Host: r.URL.Host, Path: r.URL.Path, RawPath: r.URL.RawPath}
	proof, err := dpop.Sign(by, dpop.Claims{
		Method: r.Method, URL: target.String(), JTI: rand.Text(), Nonce: d.nonce(r.URL), AccessToken: token, IssuedAt: time.Now(),
	})
	if err != nil {
		return err
	}
	r.Header.Set("DPoP", proof)
	if token != "" {
		r.Header.Set("Authorization", "DPoP "+token)
	}
	return nil
}

func origin(u *url.URL) string { return strings.ToLower(u.Scheme + "://" + u.Host) }

func (d *door) nonce(u *url.URL) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.nonces[origin(u)]
}

// learn keeps the nonce of an answer for the next proof at that origin (RFC 9449 §8.2).
func (d *door) learn(u *url.URL, h http.Header) {
	if n := h.Get("DPoP-Nonce"); n != "" {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.nonces[origin(u)] = n
	}
}

// ask sends one request with a body that is kept for a second try, and reads the answer.
func (d *door) ask(ctx context.Context, method, target, kind string, body []byte, token Token, limit int64) (*http.Response, []byte, error) {
	return d.asking(ctx, sending{method: method, target: target, kind: kind, body: body}, token, limit)
}

// sending is one request, as often as it has to be sent.
type sending struct {
	method, target, kind string
	body                 []byte
	signed               bool // by a message signature too (RFC 9421)
}

// send sends a request once. The answer's body is the caller's to close.
func (d *door) send(ctx context.Context, hc *http.Client, s sending, token Token) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, s.method, s.target, bytes.NewReader(s.body))
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "malformed", "the request cannot be made: %v", err)
	}
	if s.kind != "" {
		r.Header.Set("Content-Type", s.kind)
	}
	if err := d.prove(r, token); err != nil {
		return nil, err
	}
	if s.signed {
		by := token.by
		if by == nil {
			by = d.keys.key()
		}
		if err := sign(by, r, s.body, d.api()); err != nil {
			return nil, err
		}
	}
	res, err := hc.Do(r)
	if err != nil {
		return nil, unreachable(ctx, err)
	}
	d.learn(r.URL, res.Header)
	return res, nil
}

func (d *door) asking(ctx context.Context, s sending, token Token, limit int64) (*http.Response, []byte, error) {
	res, err := d.send(ctx, d.http, s, token)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	if err != nil {
		return nil, nil, unreachable(ctx, err)
	}
	if int64(len(answer)) > limit {
		return nil, nil, fault.New(fault.TooLarge, "too_large", "the server's answer has more than %d bytes", limit)
	}
	return res, answer, nil
}

// unreachable is a lost connection; a context that ended says so itself.
func unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // without the URL
	}
	return fault.Wrap(err, fault.Unavailable, "unreachable", "the server cannot be reached: %v", err).Try("check that it runs, and its address")
}

// call uses one route of the API. in, unless nil, is its body; out, unless nil, what is read of the answer: *[]byte takes it as it is. What the
// server asks for once is done once, each with a new proof: its nonce, a new token.
func (d *door) call(ctx context.Context, name string, path []string, query url.Values, in, out any) error {
	route, target, err := d.target(name, path, query)
	if err != nil {
		return err
	}
	var body []byte
	kind := ""
	if in != nil {
		if body, err = json.Marshal(in); err != nil {
			return fault.Wrap(err, fault.Invalid, "malformed", "the request cannot be written as JSON: %v", err)
		}
		kind = "application/json"
	}
	file, _ := out.(*[]byte)
	limit := int64(maxAnswer)
	if file != nil {
		limit = maxPack
	}
	var answer []byte
	res, err := d.persist(ctx, route, func(token Token) (res *http.Response, err error) {
		res, answer, err = d.asking(ctx, sending{route.Method, target, kind, body, route.Signed}, token, limit)
		return res, err
	})
	if err != nil {
		return err
	}
	return read(res, answer, out)
}

// persist sends a request, and once more each for what the server asks for: its nonce, a new token.
func (d *door) persist(ctx context.Context, route api.Route, once func(Token) (*http.Response, error)) (*http.Response, error) {
	nonced, renewed := false, route.Open
	for {
		var token Token
		var err error
		if !route.Open {
			if token, err = d.token(ctx, d.api(), func(ctx context.Context) (Token, error) { return d.own(ctx, d.api()) }); err != nil {
				return nil, err
			}
		}
		res, err := once(token)
		if err != nil {
			return nil, err
		}
		switch challenged(res) {
		case "use_dpop_nonce":
			if !nonced {
				nonced = true
				continue
			}
		case "invalid_token":
			if !renewed {
				renewed = true
				d.drop(d.api(), token)
				continue
			}
		}
		return res, nil
	}
}

// maxLine is the longest line of an answer that has many, in bytes.
const maxLine = 4 << 20

// lines uses a route whose answer is lines of JSON, each handed over when it is there: for as long as it takes.
func (d *door) lines(ctx context.Context, name string, in any, each func(line []byte) error) error {
	route, target, err := d.target(name, nil, nil)
	if err != nil {
		return err
	}
	body, err := json.Marshal(in)
	if err != nil {
		return fault.Wrap(err, fault.Invalid, "malformed", "the request cannot be written as JSON: %v", err)
	}
	patient := *d.http
	patient.Timeout = 0
	var refusal error
	res, err := d.persist(ctx, route, func(token Token) (*http.Response, error) {
		res, err := d.send(ctx, &patient, sending{route.Method, target, "application/json", body, route.Signed}, token)
		if err != nil || res.StatusCode/100 == 2 {
			return res, err
		}
		defer res.Body.Close()
		answer, err := io.ReadAll(io.LimitReader(res.Body, maxLine))
		refusal = problem(res.StatusCode, answer)
		return res, err
	})
	if err != nil {
		return err
	}
	if res.StatusCode/100 != 2 {
		return refusal
	}
	defer res.Body.Close()
	scan := bufio.NewScanner(res.Body)
	scan.Buffer(nil, maxLine)
	for scan.Scan() {
		if err := each(scan.Bytes()); err != nil {
			return err
		}
	}
	if err := scan.Err(); err != nil {
		return unreachable(ctx, err)
	}
	return nil
}

// target fills a route's path in.
func (d *door) target(name string, path []string, query url.Values) (api.Route, string, error) {
	for _, r := range api.Routes() {
		if r.Name != name {
			continue
		}
		text := d.base()
		if r.Open {
			text = d.server
		}
		for _, part := range strings.Split(strings.TrimPrefix(r.Path, "/"), "/") {
			if strings.HasPrefix(part, "{") {
				if len(path) == 0 || path[0] == "" || path[0] == "." || path[0] == ".." {
					return r, "", fault.New(fault.Invalid, "malformed", "%s needs %s", name, strings.Trim(part, "{.}"))
				}
				part, path = url.PathEscape(path[0]), path[1:]
			}
			text += "/" + part
		}
		if len(query) > 0 {
			text += "?" + query.Encode()
		}
		return r, text, nil
	}
	return api.Route{}, "", fault.New(fault.Internal, "internal", "the API has no route %s", name)
}

func read(res *http.Response, answer []byte, out any) error {
	if res.StatusCode/100 != 2 {
		return problem(res.StatusCode, answer)
	}
	if out == nil {
		return nil
	}
	if file, ok := out.(*[]byte); ok {
		*file = answer
		return nil
	}
	return understand(answer, out)
}

// understand reads an answer; members that a newer server added are ignored.
func understand(answer []byte, out any) error {
	if err := jose.DecodeForeign(answer, out, jose.Limits{Bytes: maxAnswer, Values: 1_000_000}); err != nil {
		return fault.Wrap(err, fault.Unavailable, "bad_answer", "the server's answer is not one of attorn's: %v", err)
	}
	return nil
}
