package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"sync"
	"time"
)

// Time limits of an upstream over HTTP; connecting and the first byte are limited by the client (newClient).
const (
	callTime = 10 * time.Minute // a whole call
	idleTime = 5 * time.Minute  // of silence on a stream
)

// httpUpstream speaks Streamable HTTP (MCP 2026-07-28 and 2025-11-25, basic/transports).
type httpUpstream struct {
	client   *http.Client
	clock    Clock
	url      string
	revision string

	once sync.Once
	done chan struct{}

	mu      sync.Mutex
	session string // legacy: the upstream's session id, from its answer to initialize
}

func newHTTPUpstream(client *http.Client, clock Clock, url, revision string) *httpUpstream {
	return &httpUpstream{client: client, clock: clock, url: url, revision: revision, done: make(chan struct{})}
}

func (u *httpUpstream) gone() <-chan struct{} { return u.done }

func (u *httpUpstream) end() { u.once.Do(func() { close(u.done) }) }

// request makes a request with the headers of the allow list and no other.
func (u *httpUpstream) request(ctx context.Context, httpMethod string, body []byte, o outbound) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, httpMethod, u.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "attorn")
	req.Header.Set("Accept", "application/json, text/event-stream")
	if httpMethod == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	if u.revision == modern {
		req.Header.Set(headerVersion, modern)
		if o.Method != "" {
			req.Header.Set(headerMethod, o.Method)
		}
		if o.Name != "" {
			req.Header.Set(headerName, encodeHeader(o.Name))
		}
		for name, values := range o.Headers {
			req.Header[name] = values
		}
		return req, nil
	}
	u.mu.Lock()
	session := u.session
	u.mu.Unlock()
	if o.Method != "initialize" {
		req.Header.Set(headerVersion, legacy)
		if session != "" {
			req.Header.Set(headerSession, session)
		}
	}
	return req, nil
}

func (u *httpUpstream) call(ctx context.Context, o outbound, note func(message)) (message, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, callTime, errLimit)
	defer cancel()
	req, err := u.request(ctx, http.MethodPost, o.body(), o)
	if err != nil {
		return message{}, notSent("the server's URL is not usable", err)
	}
	resp, err := u.client.Do(req)
	if err != nil {
		return message{}, u.failed(ctx, o, err)
	}
	quiet := u.clock.AfterFunc(idleTime, cancel)
	defer quiet.Stop()
	body := &lively{resp.Body, quiet}
	defer resp.Body.Close()
	m, err := u.answer(ctx, resp, body, o, note)
	if err != nil && ctx.Err() != nil {
		u.cancelled(o)
		return message{}, endOf(ctx)
	}
	return m, err
}

// answer reads what came back for o.
func (u *httpUpstream) answer(ctx context.Context, resp *http.Response, body io.Reader, o outbound, note func(message)) (message, error) {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case resp.StatusCode == http.StatusNotFound && u.revision == legacy && u.hasSession():
		u.end() // 2025-11-25, Session Management: the session is over
		return message{}, notSent("the server ended its session", nil)
	case resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests:
		return message{}, lost("the server answered with status "+resp.Status, nil)
	case resp.StatusCode != http.StatusOK && kind != "application/json", resp.StatusCode >= 300 && resp.StatusCode < 400:
		return message{}, invalid("the server answered with status "+resp.Status, nil)
	case resp.Header.Get("Content-Encoding") != "":
		return message{}, invalid("the server answered in a content coding", nil)
	}
	var m message
	var err error
	switch kind {
	case "application/json":
		m, err = readAnswer(body, o.ID)
		if err == nil && resp.StatusCode != http.StatusOK && m.Error == nil {
			err = invalid("the server answered with status "+resp.Status+" and no error", nil)
		}
	case "text/event-stream":
		m, err = u.stream(ctx, body, o.ID, note)
	default:
		err = invalid("the server answered with an unknown media type", nil)
	}
	if err == nil && o.Method == "initialize" && u.revision == legacy {
		err = u.keepSession(resp.Header.Values(headerSession))
	}
	return m, err
}

// readAnswer reads one JSON response to request id. An error may lack the id: it was refused before that was read.
func readAnswer(r io.Reader, id int64) (message, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxResult+1))
	if err != nil {
		return message{}, lost("the server's answer broke off", err)
	}
	if len(raw) > maxResult {
		return message{}, tooLarge()
	}
	m, bad := decodeMessage(raw, maxResult)
	if bad != nil {
		return message{}, invalid("the server's answer breaks rule "+bad.Rule, bad)
	}
	if !ownResponse(m, id) && (m.Error == nil || m.ID != nil) {
		return message{}, invalid("the server's answer is not to this request", nil)
	}
	return m, nil
}

var errAnswered = errors.New("answered")

// stream reads the events of one request's stream until its response.
func (u *httpUpstream) stream(ctx context.Context, r io.Reader, id int64, note func(message)) (message, error) {
	var answer message
	err := readEvents(r, func(data []byte) error {
		m, bad := decodeMessage(data, maxEvent)
		switch {
		case bad != nil:
			return invalid("an event of the server breaks rule "+bad.Rule, bad)
		case m.isNotification():
			note(m)
			return nil
		case ownResponse(m, id):
			answer = m
			return errAnswered
		case m.isRequest() && u.revision == legacy:
			return u.post(ctx, refuseRequest(m))
		}
		return invalid("the server sent something on the stream that does not belong there", nil)
	})
	var own *upstreamError
	switch {
	case errors.Is(err, errAnswered):
		return answer, nil
	case errors.As(err, &own):
		return message{}, own
	case errors.Is(err, errStream):
		return message{}, invalid("the server's event stream breaks its form or a limit", err)
	}
	return message{}, lost("the server's event stream ended without an answer", err)
}

// post sends a message that has no answer.
func (u *httpUpstream) post(ctx context.Context, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := u.request(ctx, http.MethodPost, body, outbound{})
	if err != nil {
		return notSent("the server's URL is not usable", err)
	}
	resp, err := u.client.Do(req)
	if err != nil {
		return notSent("the server is out of reach", err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 4<<10)) // so that the connection can be used again
	if resp.StatusCode >= 300 {
		return invalid("the server answered with status "+resp.Status, nil)
	}
	return nil
}

func (u *httpUpstream) notify(ctx context.Context, method string, params []byte) error {
	return u.post(ctx, encodeNotification(method, params))
}

// cancelled tells a legacy server that a request's answer is not wanted: closing its stream does not (2025-11-25, Sending Messages 6). A
// modern one has seen the stream close.
func (u *httpUpstream) cancelled(o outbound) {
	if u.revision == legacy && o.Method != "initialize" {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		_ = u.notify(ctx, "notifications/cancelled", (&object{}).number("requestId", o.ID).end()) // best effort
	}
}

// failed sorts an error of the HTTP client: a failure to connect had no effect; after that nothing is known.
func (u *httpUpstream) failed(ctx context.Context, o outbound, err error) error {
	if ctx.Err() != nil {
		u.cancelled(o)
		return endOf(ctx)
	}
	var op *net.OpError
	if errors.Is(err, errAddress) {
		return notSent("the server's address is link-local, of a metadata service, or private without allow_private", err)
	}
	if errors.As(err, &op) && op.Op == "dial" {
		return notSent("the server is out of reach", err)
	}
	return lost("the server did not answer", err)
}

func (u *httpUpstream) hasSession() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.session != ""
}

// keepSession remembers the upstream's session id: visible ASCII (2025-11-25, Session Management 1).
func (u *httpUpstream) keepSession(values []string) error {
	if len(values) == 0 {
		return nil
	}
	if len(values) > 1 || len(values[0]) > 1<<10 {
		return invalid("the server's session id is not of the form", nil)
	}
	for _, c := range []byte(values[0]) {
		if c < 0x21 || c > 0x7e {
			return invalid("the server's session id is not of the form", nil)
		}
	}
	u.mu.Lock()
	u.session = values[0]
	u.mu.Unlock()
	return nil
}

func (u *httpUpstream) close() {
	u.end()
	if !u.hasSession() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if req, err := u.request(ctx, http.MethodDelete, nil, outbound{}); err == nil {
		if resp, err := u.client.Do(req); err == nil {
			resp.Body.Close()
		}
	}
}

// lively puts the end of silence off with each read.
type lively struct {
	io.Reader
	quiet *time.Timer
}

func (l *lively) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p)
	l.quiet.Reset(idleTime)
	return n, err
}

var errLimit = errors.New("the time limit of a call is over")

// endOf is the error of a call whose context ended: of the caller, or a limit of ours.
func endOf(ctx context.Context) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return ctx.Err()
}
