package gateway

import (
	"context"
	"errors"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/evidence"
)

// upstream is one connection to an MCP server, in one revision: for legacy one session, for modern one place that all callers share.
type upstream interface {
	// call sends the request once and returns its response, whose id is the request's. Before it returns it calls note, in order and from one
	// goroutine, for each notification that came on the request's own stream. Ending ctx cancels the request at the upstream too. Its error
	// is an *upstreamError, or ctx's.
	call(ctx context.Context, o outbound, note func(message)) (message, error)
	// notify sends a notification; nothing answers it.
	notify(ctx context.Context, method string, params []byte) error
	// close ends the connection, politely first; it returns when nothing of it is left.
	close()
	// gone is closed when the connection can take no more calls.
	gone() <-chan struct{}
}

// upstreamError says why a call has no answer that could be delivered, and how its finish is recorded.
type upstreamError struct {
	code    string // upstream_unavailable, upstream_invalid, response_too_large
	reason  string
	outcome evidence.Outcome
	cause   error // for the log
}

func (e *upstreamError) Error() string { return e.reason }
func (e *upstreamError) Unwrap() error { return e.cause }

// notSent: the upstream was out of reach, so that the call had no effect.
func notSent(reason string, cause error) *upstreamError {
	return &upstreamError{"upstream_unavailable", reason, evidence.RPCError, cause}
}

// lost: the upstream went away with the call; whether it ran is not known.
func lost(reason string, cause error) *upstreamError {
	return &upstreamError{"upstream_unavailable", reason, evidence.Lost, cause}
}

// invalid: the upstream's answer breaks a rule of the wire.
func invalid(reason string, cause error) *upstreamError {
	return &upstreamError{"upstream_invalid", reason, evidence.Lost, cause}
}

// tooLarge: the answer was cut off.
func tooLarge() *upstreamError {
	return &upstreamError{"response_too_large", "the server's answer is over the limit", evidence.Cut, nil}
}

var errGone = errors.New("connection closed")

// ownResponse checks that m is the response to request id.
func ownResponse(m message, id int64) bool {
	return m.Method == "" && isToken(m.ID, id)
}

// refuseRequest answers a request that an upstream sends to its client: ping is answered, anything else is refused, since client features that
// would need it are not declared to legacy servers.
func refuseRequest(m message) []byte {
	if m.Method == "ping" {
		return encodeResult(m.ID, []byte("{}"))
	}
	return encodeError(m.ID, (&rpcError{Code: codeMethod, Message: "Method not found"}).object())
}

// errorOf reads the code of a JSON-RPC error object; 0 if it has none.
func errorCode(object jsontext.Value) int {
	var e struct {
		Code jsontext.Value `json:"code"`
	}
	if foreign(object, &e) != nil {
		return 0
	}
	n, ok := integerOf(e.Code)
	if !ok || n < -1<<31 || n >= 1<<31 {
		return 0
	}
	return int(n)
}
