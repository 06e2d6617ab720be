package admin

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/jose"
)

// Limits of a request, in bytes.
const (
	maxBody  = 1 << 20 // of a route that names no other
	maxParam = 1 << 10
)

// request is what an endpoint is given beside its body.
type request struct {
	*face
	ctx    context.Context
	caller *guard.Caller // nil on an open route
	creds  guard.Credentials
	path   func(name string) string
	query  url.Values // only parameters of the route, each once
}

// endpoint answers an authenticated request; out is what to encode.
type endpoint func(x *request, body []byte) (out any, err error)

// none is the body of a request that has nothing to say.
type none struct{}

// file is an answer that is not JSON.
type file struct {
	kind string // media type
	body []byte
}

// lines is an answer of many lines of JSON, each sent when it is known. What goes wrong on the way is the last line.
type lines struct {
	run   func(send func(any) error) error
	wrong func(api.Problem) any
}

// on makes an endpoint of a function of its body's type. An absent body is an empty object.
func on[In, Out any](run func(x *request, in In) (Out, error)) endpoint {
	return func(x *request, body []byte) (any, error) {
		var in In
		if len(body) > 0 {
			if err := jose.Decode(body, &in, jose.Limits{Bytes: len(body), Values: 100_000}); err != nil {
				return nil, err
			}
		}
		return run(x, in)
	}
}

// serve is the frame of every endpoint.
func (f *face) serve(w http.ResponseWriter, r *http.Request, m methods) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("DPoP-Nonce", f.Guard.Challenge())
	if name := r.Header.Get(requestIDKey); name != "" && len(name) <= maxParam && isAuthZEN(r) {
		w.Header().Set(requestIDKey, name)
	}
	written := false
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler && !written {
			f.refuse(w, r, fault.New(fault.Internal, "internal", "panic: %v", p))
		} else if p != nil {
			panic(p)
		}
	}()
	a, out, err := f.answer(w, r, m)
	if err != nil {
		f.refuse(w, r, err)
		return
	}
	if l, ok := out.(lines); ok {
		written = true
		f.stream(w, r, a.Status, l)
		return
	}
	kind, body := "application/json", []byte(nil)
	if doc, ok := out.(file); ok {
		kind, body = doc.kind, doc.body
	} else if body, err = json.Marshal(out, json.Deterministic(true)); err != nil {
		f.refuse(w, r, err)
		return
	}
	written = true
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(a.Status)
	_, _ = w.Write(body) // the client is gone: nothing to do
}

// stream sends lines as they come, for as long as it takes.
func (f *face) stream(w http.ResponseWriter, r *http.Request, status int, l lines) {
	out := http.NewResponseController(w)
	_ = out.SetWriteDeadline(time.Time{}) // else the listener's ends it; where it cannot be set there is none
	w.Header().Set("Content-Type", "application/jsonl")
	w.WriteHeader(status)
	send := func(v any) error {
		line, err := json.Marshal(v, json.Deterministic(true))
		if err != nil {
			return err
		}
		if _, err := w.Write(append(line, '\n')); err != nil {
			return err
		}
		return out.Flush()
	}
	if err := l.run(send); err != nil && r.Context().Err() == nil {
		_ = send(l.wrong(f.problem(r, err))) // the client is gone: nothing to do
	}
}

// answer takes a request apart and runs its endpoint. Nothing of the body is read before the caller is known.
func (f *face) answer(w http.ResponseWriter, r *http.Request, m methods) (action, any, error) {
	ws, err := workspaceOf(r)
	if err != nil {
		return action{}, nil, err
	}
	if m == nil {
		return action{}, nil, fault.New(fault.NotFound, "not_found", "the API has no such path")
	}
	a, ok := m[r.Method]
	if !ok {
		allowed := make([]string, 0, len(m))
		for name := range m {
			allowed = append(allowed, name)
		}
		slices.Sort(allowed)
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		return action{}, nil, fault.New(fault.Invalid, "method_not_allowed", "this path takes %s", strings.Join(allowed, " and "))
	}
	x := &request{face: f, ctx: r.Context(), path: r.PathValue, creds: guard.Credentials{
		Method: r.Method, URL: f.Issuer + target(r), Authorization: r.Header.Values("Authorization"), DPoP: r.Header.Values("DPoP"),
		Header: r.Header.Values, IP: address(r), Face: "admin",
	}}
	sent := guard.Sent{Header: r.Header, Query: r.URL.RawQuery, IP: x.creds.IP, Face: "admin", Path: r.URL.Path}
	if err := f.Guard.NoPrivateKeySent(x.ctx, sent, f.Log); err != nil {
		return action{}, nil, err
	}
	if a.suffix != "" {
		if x.path, ok = suffixed(r, a.suffix); !ok {
			return action{}, nil, fault.New(fault.NotFound, "not_found", "the API has no such path")
		}
	}
	if !a.Open {
		if x.caller, err = f.Guard.Authenticate(r.Context(), x.creds, f.Guard.API(ws)); err != nil {
			return action{}, nil, err
		}
	}
	if !plain(r.URL.Path) {
		return action{}, nil, fault.New(fault.Invalid, "malformed", "the path is not plain text in UTF-8")
	}
	if x.query, err = queryOf(r, a.Query); err != nil {
		return action{}, nil, err
	}
	body, err := readBody(w, r, cmp.Or(a.Body, maxBody))
	if err != nil {
		return action{}, nil, err
	}
	sent.Body, sent.Query, sent.Header = body, "", http.Header{"Dpop": x.creds.DPoP} // the others were looked at
	if x.caller != nil {
		sent.Claimed = x.caller.Sub()
	}
	if err := f.Guard.NoPrivateKeySent(x.ctx, sent, f.Log); err != nil {
		return action{}, nil, err
	}
	if err := fitting(r, a, body); err != nil {
		return action{}, nil, err
	}
	if x.caller != nil {
		if err := x.caller.CheckBody(body); err != nil {
			return action{}, nil, err
		}
	}
	if a.Open {
		out, err := x.open(a, body)
		return a, out, err
	}
	out, err := a.run(x, body)
	return a, out, err
}

// open runs an endpoint that anybody may ask, which for most is to send a secret. Failures are counted by network; a challenge for a nonce, and
// what failed here, are none.
func (x *request) open(a action, body []byte) (any, error) {
	leave, err := x.failures.Enter(x.ctx, guard.Network(x.creds.IP), x.Guard.Now())
	if err != nil {
		return nil, err
	}
	failed := true // also where the endpoint panics
	defer func() { leave(failed) }()
	out, err := a.run(x, body)
	f := fault.Of(err)
	failed = f != nil && f.Kind != fault.Internal && f.Kind != fault.Unavailable && f.Code != "dpop_nonce_required"
	return out, err
}

// target is what was asked for, path and query as they were received.
func target(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/") {
		return r.RequestURI
	}
	return r.URL.RequestURI()
}

// workspaceOf reads the workspace from the path. The default one has one form only, and the server's own has no API.
func workspaceOf(r *http.Request) (id.Workspace, error) {
	name := r.PathValue("ws")
	if name == "" {
		return id.Default, nil
	}
	ws, err := id.ParseWorkspace(name)
	if err != nil || ws == id.Default || ws == id.Server {
		return id.Workspace{}, fault.New(fault.NotFound, "not_found", "no workspace has this path")
	}
	return ws, nil
}

// suffixed reads path parameters where the last one is followed by suffix.
func suffixed(r *http.Request, suffix string) (path func(string) string, ok bool) {
	if !strings.HasSuffix(r.URL.EscapedPath(), suffix) {
		return nil, false
	}
	return func(name string) string { return strings.TrimSuffix(r.PathValue(name), suffix) }, true
}

// queryOf demands that each parameter is one of the route's, and there once.
func queryOf(r *http.Request, known []string) (url.Values, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, fault.New(fault.Invalid, "malformed", "the query is not in the form name=value&name=value")
	}
	for name, values := range q {
		if !slices.Contains(known, name) {
			return nil, fault.New(fault.Invalid, "malformed", "the query has a parameter that this path does not take: %.64q", name)
		}
		if len(values) > 1 {
			return nil, fault.New(fault.Invalid, "malformed", "the query has %s %d times", name, len(values))
		}
		if !plain(values[0]) || len(values[0]) > maxParam {
			return nil, fault.New(fault.Invalid, "malformed", "the query's %s is not plain text in UTF-8 of at most %d bytes", name, maxParam)
		}
	}
	return q, nil
}

// readBody reads the whole body, of at most most bytes.
func readBody(w http.ResponseWriter, r *http.Request, most int64) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, fault.New(fault.TooLarge, "too_large", "a body has at most %d bytes", most)
	case err != nil:
		return nil, fault.New(fault.Invalid, "malformed", "the body ended early")
	}
	return body, nil
}

// fitting says whether the route takes this body: of JSON, where it takes one.
func fitting(r *http.Request, a action, body []byte) error {
	switch {
	case len(body) == 0:
		return nil
	case !a.HasBody():
		return fault.New(fault.Invalid, "malformed", "%s takes no body", a.Method)
	case hasNull(body):
		return fault.New(fault.Invalid, "malformed", "a text in the body has a null character")
	}
	types := r.Header.Values("Content-Type")
	if len(types) == 1 && len(r.Header.Values("Content-Encoding")) == 0 {
		kind, params, err := mime.ParseMediaType(types[0])
		if err == nil && kind == "application/json" && (params["charset"] == "" || strings.EqualFold(params["charset"], "utf-8")) {
			return nil
		}
	}
	return fault.New(fault.Invalid, "media_type", "the body must be application/json in no content coding")
}

// plain holds a text to what every store takes and no terminal obeys.
func plain(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// hasNull finds a null character in JSON text, where it can only be escaped; a backslash that is itself escaped begins nothing.
func hasNull(body []byte) bool {
	for rest := body; ; {
		i := bytes.Index(rest, []byte(`\u0000`))
		if i < 0 {
			return false
		}
		if before := rest[:i]; (len(before)-len(bytes.TrimRight(before, `\`)))%2 == 0 {
			return true
		}
		rest = rest[i+1:]
	}
}

func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return host
}

func requestID() string { return "req_" + strings.ToLower(rand.Text()[:20]) }
