package gateway

import (
	"net/http"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// answer writes the one response to a request. It is plain JSON, unless something must be said before it: then it becomes a stream of events,
// if the client reads those. Safe for use by the goroutines of one request; after the final message nothing more is written.
type answer struct {
	w        http.ResponseWriter
	id       jsontext.Value
	revision string
	streams  bool // the client accepts text/event-stream

	mu     sync.Mutex
	stream bool // the header of a stream has been written
	over   bool
}

func newAnswer(w http.ResponseWriter, r *http.Request) *answer {
	accept := strings.Join(r.Header.Values("Accept"), ",")
	return &answer{w: w, streams: accept == "" || strings.Contains(accept, "text/event-stream") || strings.Contains(accept, "*/*")}
}

// note sends a notification ahead of the response; a client that reads no streams does without.
func (a *answer) note(m []byte) { a.early(appendEvent(nil, m)) }

// comment keeps the connection alive through intermediaries.
func (a *answer) comment() { a.early([]byte(": waiting\n\n")) }

func (a *answer) early(b []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over || !a.streams {
		return
	}
	if !a.stream {
		startStream(a.w)
		a.stream = true
	}
	_, _ = a.w.Write(b) // the client is gone: its context ends the call
	_ = http.NewResponseController(a.w).Flush()
}

// startStream writes the header of an event stream.
func startStream(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
}

// result is the final answer; the bytes are delivered as they are.
func (a *answer) result(result []byte) { a.last(http.StatusOK, encodeResult(a.id, result)) }

// fail is the final answer.
func (a *answer) fail(e *rpcError) { a.last(e.status(a.revision), encodeError(a.id, e.object())) }

// upstreamError passes an upstream's error object on.
func (a *answer) upstreamError(object []byte) {
	e := rpcError{Code: errorCode(object)}
	a.last(e.status(a.revision), encodeError(a.id, object))
}

// fail401 answers with write, which sets headers and status itself; once a stream has begun, the message alone is sent.
func (a *answer) fail401(write func()) {
	a.mu.Lock()
	if !a.stream && !a.over {
		a.over = true
		a.mu.Unlock()
		write()
		return
	}
	a.mu.Unlock()
	a.fail(&rpcError{Code: codeUnauthenticated, Message: "the proof is not valid any more"})
}

// close lets nothing more be written: the frame is about to give the connection back.
func (a *answer) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
}

func (a *answer) last(status int, m []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		return
	}
	a.over = true
	if a.stream {
		_, _ = a.w.Write(appendEvent(nil, m)) // the client is gone: nothing to do
		return
	}
	writeJSON(a.w, status, m)
}
