package gateway

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// object writes a JSON object member by member; values are written as they are, so that what was digested is what leaves.
type object struct{ b []byte }

func (o *object) raw(name string, value []byte) *object {
	if len(o.b) == 0 {
		o.b = append(o.b, '{')
	} else {
		o.b = append(o.b, ',')
	}
	o.b = appendText(o.b, name)
	o.b = append(o.b, ':')
	o.b = append(o.b, value...)
	return o
}

func (o *object) text(name, value string) *object { return o.raw(name, appendText(nil, value)) }

func (o *object) number(name string, value int64) *object {
	return o.raw(name, strconv.AppendInt(nil, value, 10))
}

func (o *object) end() []byte {
	if len(o.b) == 0 {
		return []byte("{}")
	}
	return append(o.b, '}')
}

// appendText quotes s; text that is no UTF-8 cannot come from decoded JSON, and is mended where it comes from elsewhere.
func appendText(b []byte, s string) []byte {
	out, err := jsontext.AppendQuote(b, strings.ToValidUTF8(s, "\uFFFD"))
	if err != nil {
		return append(b, `""`...)
	}
	return out
}

// outbound is one request on its way to an upstream. Its id is the gateway's own, and is its progress token too.
type outbound struct {
	ID      int64
	Method  string
	Name    string // for Mcp-Name
	Params  []byte
	Headers http.Header // Mcp-Param-*
}

func (o outbound) body() []byte {
	m := (&object{}).text("jsonrpc", "2.0").number("id", o.ID).text("method", o.Method)
	if o.Params != nil {
		m.raw("params", o.Params)
	}
	return m.end()
}

func encodeNotification(method string, params []byte) []byte {
	m := (&object{}).text("jsonrpc", "2.0").text("method", method)
	if params != nil {
		m.raw("params", params)
	}
	return m.end()
}

func encodeResult(id jsontext.Value, result []byte) []byte {
	return (&object{}).text("jsonrpc", "2.0").raw("id", id).raw("result", result).end()
}

// encodeError leaves the id out where it could not be read (MCP 2026-07-28, JSONRPCErrorResponse).
func encodeError(id jsontext.Value, errorObject []byte) []byte {
	m := (&object{}).text("jsonrpc", "2.0")
	if id != nil {
		m.raw("id", id)
	}
	return m.raw("error", errorObject).end()
}

// object is the error in JSON-RPC form (§5.1).
func (e *rpcError) object() []byte {
	o := (&object{}).number("code", int64(e.Code)).text("message", e.Message)
	switch {
	case e.Data != nil:
		o.raw("data", e.Data)
	case e.Rule != "":
		o.raw("data", (&object{}).text("rule", e.Rule).end())
	}
	return o.end()
}

// status is the HTTP status of the answer: MCP 2026-07-28, basic/transports/streamable-http and schema; legacy errors of a call travel with 200.
func (e *rpcError) status(revision string) int {
	switch {
	case e.Status != 0:
		return e.Status
	case e.Code == codeParse, e.Code == codeRequest:
		return http.StatusBadRequest
	case revision != modern:
		return http.StatusOK
	case e.Code == codeMethod:
		return http.StatusNotFound
	case e.Code == codeParams, e.Code <= -32020 && e.Code >= -32099 && e.Code != codeURLElicitation:
		return http.StatusBadRequest
	}
	return http.StatusOK
}

// encodeMeta is the _meta that an upstream gets: what decodeMeta let pass, with our progress token if the client had one.
func encodeMeta(m requestMeta, revision string, id int64) []byte {
	o := &object{}
	if revision == modern {
		o.text(metaVersion, modern).raw(metaCapabilities, m.Capabilities.encode())
		for _, p := range m.pass {
			o.raw(p.name, p.value)
		}
	}
	if m.Progress != nil {
		o.number("progressToken", id)
	}
	if len(o.b) == 0 {
		return nil
	}
	return o.end()
}

// resume is what an upstream's own input_required gave back: its state, and the client's answers.
type resume struct {
	State     *string
	Responses jsontext.Value
}

// encodeGated makes the request that is sent for a judged call. The arguments are the bytes that were digested.
func encodeGated(c gatedCall, revision string, id int64, r resume) outbound {
	p := &object{}
	out := outbound{ID: id, Method: c.Method, Name: c.Name}
	if c.Method == "resources/read" {
		p.text("uri", c.URI)
		out.Name = c.URI
	} else {
		p.text("name", c.Name).raw("arguments", c.Arguments)
	}
	if r.Responses != nil {
		p.raw("inputResponses", r.Responses)
	}
	if r.State != nil {
		p.text("requestState", *r.State)
	}
	if meta := encodeMeta(c.Meta, revision, id); meta != nil {
		p.raw("_meta", meta)
	}
	out.Params = p.end()
	return out
}

// oneLine removes the line breaks between the tokens of valid JSON: a line of stdio and the data of an SSE event hold none. Strings and
// numbers stay as they are.
func oneLine(raw []byte) []byte {
	if bytes.IndexByte(raw, '\n') < 0 && bytes.IndexByte(raw, '\r') < 0 {
		return raw
	}
	v := jsontext.Value(bytes.Clone(raw))
	if v.Compact() != nil {
		return []byte("{}")
	}
	return v
}
