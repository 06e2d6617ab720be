package gateway

import (
	"bytes"
	"errors"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/jose"
)

// Limits of the wire, in bytes unless said otherwise.
const (
	maxBody   = 4 << 20  // a request
	maxResult = 8 << 20  // an upstream's answer
	maxEvent  = 4 << 20  // one SSE event
	maxDepth  = 64       // levels
	maxValues = 100_000  // values in one message
	maxName   = 128      // names, ids, progress tokens
	maxURI    = 2 << 10  // a resource's URI
	maxState  = 24 << 10 // requestState as it comes from a client
)

// JSON-RPC codes: JSON-RPC 2.0 §5.1, MCP 2026-07-28 schema, MCP 2025-11-25 (URL elicitation), and ours.
const (
	codeParse           = -32700
	codeRequest         = -32600
	codeMethod          = -32601
	codeParams          = -32602
	codeInternal        = -32603
	codeHeader          = -32020
	codeVersion         = -32022
	codeURLElicitation  = -32042
	codeUnauthenticated = -31001
	codeForbidden       = -31002
	codeRefused         = -31003
)

// rpcError is an answer of the gateway's own in JSON-RPC form. Rule, where set, is the wire rule that was broken.
type rpcError struct {
	Status  int // of HTTP; 0: by the code and the era
	Code    int
	Message string
	Rule    string
	Data    jsontext.Value // instead of {"rule": Rule}
}

func (e *rpcError) Error() string { return e.Message }

func broken(rule string, code int, message string) *rpcError {
	return &rpcError{Code: code, Message: message, Rule: rule}
}

// message is one JSON-RPC message of which nothing is left unread but the values themselves. Values are raw and valid: no member occurs twice
// at any depth.
type message struct {
	ID     jsontext.Value // canonical string or integer; nil in a notification
	Method string         // "" in a response
	Params jsontext.Value // an object, or nil
	Result jsontext.Value // an object, or nil
	Error  jsontext.Value // an object, or nil
}

func (m message) isRequest() bool      { return m.Method != "" && m.ID != nil }
func (m message) isNotification() bool { return m.Method != "" && m.ID == nil }

// envelope is the closed set of members that a message may have (JSON-RPC 2.0 §4, §5).
type envelope struct {
	JSONRPC jsontext.Value `json:"jsonrpc"`
	ID      jsontext.Value `json:"id"`
	Method  jsontext.Value `json:"method"`
	Params  jsontext.Value `json:"params"`
	Result  jsontext.Value `json:"result"`
	Error   jsontext.Value `json:"error"`
}

// decodeMessage reads one message of at most limit bytes: rules size, syntax, batch, duplicate and envelope. When the envelope is wrong but the
// id could be read, the message that is returned beside the error has it.
func decodeMessage(raw []byte, limit int) (message, *rpcError) {
	if len(raw) > limit {
		return message{}, &rpcError{Status: http.StatusRequestEntityTooLarge, Code: codeRequest, Message: "The message is over the limit of " + strconv.Itoa(limit) + " bytes", Rule: "size"}
	}
	if first := bytes.TrimLeft(raw, " \t\r\n"); len(first) > 0 && first[0] == '[' {
		return message{}, broken("batch", codeRequest, "Batches are not accepted: send one message at a time")
	}
	var e envelope
	if err := jose.Decode(raw, &e, jose.Limits{Bytes: limit, Depth: maxDepth, Values: maxValues}); err != nil {
		return message{}, decodeError(err)
	}
	var m message
	if e.ID != nil {
		if m.ID = decodeID(e.ID); m.ID == nil {
			return m, broken("envelope", codeRequest, "id must be a string or an integer, at most 128 bytes")
		}
	}
	if string(e.JSONRPC) != `"2.0"` {
		return m, broken("envelope", codeRequest, `jsonrpc must be "2.0"`)
	}
	if e.Method == nil {
		return decodeResponse(m, e)
	}
	if e.Result != nil || e.Error != nil {
		return m, broken("envelope", codeRequest, "A message is either a request or a response")
	}
	name, ok := decodeString(e.Method)
	if !ok || name == "" || len(name) > maxName {
		return m, broken("envelope", codeRequest, "method must be a string of 1 to 128 bytes")
	}
	if e.Params != nil && e.Params.Kind() != '{' {
		return m, broken("envelope", codeRequest, "params must be an object")
	}
	m.Method, m.Params = name, e.Params
	return m, nil
}

func decodeResponse(m message, e envelope) (message, *rpcError) {
	switch {
	case e.Params != nil || (e.Result == nil) == (e.Error == nil):
		return m, broken("envelope", codeRequest, "A response has exactly one of result and error, and no params")
	case m.ID == nil && e.Error == nil:
		return m, broken("envelope", codeRequest, "A result needs the id of its request")
	case e.Result != nil && e.Result.Kind() != '{', e.Error != nil && e.Error.Kind() != '{':
		return m, broken("envelope", codeRequest, "result and error must be objects")
	}
	m.Result, m.Error = e.Result, e.Error
	return m, nil
}

// decodeError names the rule that a JSON text broke.
func decodeError(err error) *rpcError {
	reason := "The message is not acceptable JSON"
	if f := fault.Of(err); f != nil {
		reason = f.Reason
	}
	var semantic *json.SemanticError
	switch {
	case fault.Code(err) == "too_large":
		return broken("size", codeRequest, reason)
	case errors.Is(err, jsontext.ErrDuplicateName):
		return broken("duplicate", codeRequest, reason)
	case errors.Is(err, json.ErrUnknownName), errors.As(err, &semantic):
		return broken("envelope", codeRequest, reason)
	}
	return broken("syntax", codeParse, reason)
}

// decodeID returns the canonical form of a request's id or progress token, or nil: a string or an integer of at most 128 bytes
// (MCP 2026-07-28, RequestId). A fraction or an exponent is refused even where the value is whole, so that every reader compares ids alike.
func decodeID(v jsontext.Value) jsontext.Value {
	switch v.Kind() {
	case '"':
		s, ok := decodeString(v)
		if !ok || len(s) > maxName {
			return nil
		}
		q, err := jsontext.AppendQuote(nil, s)
		if err != nil {
			return nil
		}
		return q
	case '0':
		if _, ok := integerOf(v); ok {
			return v
		}
	}
	return nil
}

// integerOf reads an integer in plain digits that every reader keeps exactly.
func integerOf(v jsontext.Value) (int64, bool) {
	n, err := strconv.ParseInt(string(v), 10, 64)
	return n, err == nil && v.Kind() == '0' && n > -1<<53 && n < 1<<53 && string(v) != "-0"
}

// decodeString reads a JSON string that is known to be valid.
func decodeString(v jsontext.Value) (string, bool) {
	if v.Kind() != '"' {
		return "", false
	}
	b, err := jsontext.AppendUnquote(nil, v)
	return string(b), err == nil
}
