package gateway

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/catalog"
	"github.com/attorn/attorn/internal/guard"
)

// finishTime is how long recording the end of a call may take, whether or not the client still waits.
const finishTime = 30 * time.Second

// errAuthority ends a call whose authority ended by itself.
var errAuthority = errors.New("the authority for this call has ended")

// gated is the path of a call: what it is, whether it may be, then once to the upstream and its end on record.
func (x *exchange) gated() {
	c, bad := decodeGated(x.msg, x.revision)
	if bad != nil {
		x.out.fail(bad)
		return
	}
	tool, ok := x.find(c)
	if !ok {
		return
	}
	headers, bad := x.paramHeaders(c, tool)
	if bad != nil {
		x.out.fail(bad)
		return
	}
	digest, err := evidence.CallDigest(evidence.Call{Server: x.place.url, Method: c.Method, Name: c.Name + c.URI, Arguments: c.Arguments, Definition: tool.Pin})
	if err != nil {
		x.failed(err)
		return
	}
	st, bad := x.openState(c, digest)
	if bad != nil {
		x.out.fail(bad)
		return
	}
	up, err := x.upstream() // ready before anything is spent
	if err != nil {
		x.upstreamFailed(err)
		return
	}
	w := &wanted{call: c, tool: tool, state: st, up: up, asked: guard.Call{
		Server: x.place.server, Method: c.Method, Tool: tool.Segment(), Action: tool.Action(), Class: tool.Class,
		Arguments: c.Arguments, Pin: tool.Pin, Digest: digest, Protocol: x.revision,
	}}
	v, ok := x.decide(w)
	if !ok {
		return
	}
	var r resume
	if st != nil && st.Stage == stageUpstream {
		r = resume{State: st.Upstream, Responses: c.Responses}
	}
	o := encodeGated(c, x.revision, x.g.ids.Add(1), r)
	o.Headers = headers
	x.run(w, o, v)
}

// wanted is a call on its way to a decision.
type wanted struct {
	call  gatedCall
	tool  catalog.Tool
	state *sealedState
	up    upstream
	asked guard.Call
}

// find looks the call's tool, prompt or resource up. When it is false the client has been answered.
func (x *exchange) find(c gatedCall) (catalog.Tool, bool) {
	segment := c.Name
	switch c.Method {
	case "prompts/get":
		segment = "prompts/" + c.Name
	case "resources/read":
		segment = catalog.ResourcesRead
	}
	tool, err := x.g.Catalog.Callable(x.ctx, x.place.workspace, x.place.server, segment)
	if c.Method == "tools/call" && tool.Kind != catalog.KindTool { // "prompts/x" is no tool's name
		err = fault.New(fault.NotFound, "unknown_tool", "no such tool")
	}
	if err == nil && tool.Status != catalog.Unaccepted {
		return tool, true
	}
	if err != nil && fault.Code(err) != "unknown_tool" {
		x.failed(err)
		return tool, false
	}
	x.stranger(nil, nil)
	return tool, false
}

// stranger answers a call that was refused, or of something that does not exist, so that a caller that could never use it cannot tell which.
// What is wrong with the caller as such is said in both cases.
func (x *exchange) stranger(call *guard.Call, known func()) {
	var calls []guard.Call
	if call != nil {
		calls = []guard.Call{*call}
	}
	sights, err := x.g.Guard.Visible(x.ctx, x.caller, calls)
	switch {
	case err != nil:
		x.failed(err)
	case len(sights) == 1 && sights[0] != guard.Hidden:
		known()
	default:
		x.unknown()
	}
}

// paramHeaders checks the headers that mirror arguments, and makes those that go to an HTTP upstream: ours from the arguments, unknown ones
// as they came (MCP 2026-07-28, Server Behavior for Custom Headers).
func (x *exchange) paramHeaders(c gatedCall, tool catalog.Tool) (http.Header, *rpcError) {
	if x.revision != modern || tool.Kind != catalog.KindTool {
		return nil, nil
	}
	bs := bindings(tool.Definition)
	if bad := checkParamHeaders(x.header, bs, c.Arguments); bad != nil {
		return nil, bad
	}
	out := http.Header{}
	for name, values := range x.header {
		if len(name) > len(headerParam) && name[:len(headerParam)] == headerParam && len(values) == 1 && len(values[0]) <= 1<<10 && len(out) < 16 {
			out[name] = values
		}
	}
	for _, b := range bs { // ours replace what the client sent under the same name
		out.Del(headerParam + b.header)
	}
	for name, v := range paramHeaders(bs, c.Arguments) {
		out.Set(name, encodeHeader(headerText(v)))
	}
	return out, nil
}

// run dispatches a call that was permitted, once, and records how it ended before the client hears of it.
func (x *exchange) run(w *wanted, o outbound, v guard.Verdict) {
	watched, stop, err := x.g.Guard.Watch(x.ctx, x.caller, v)
	if err != nil {
		x.finish(v, guard.Finished{Outcome: evidence.Cut})
		x.failed(err)
		return
	}
	defer stop()
	ctx, cancel := context.WithCancelCause(watched)
	defer cancel(nil)
	if !v.Deadline.IsZero() {
		timer := x.g.Clock.AfterFunc(v.Deadline.Sub(x.g.Clock.Now()), func() { cancel(errAuthority) })
		defer timer.Stop()
	}
	if x.session != nil {
		defer x.session.began(x.msg.ID, cancel)()
	}
	m, err := w.up.call(ctx, o, func(n message) { x.note(n, o.ID, w.call.Meta.Progress) })
	end := guard.Finished{}
	var deliver func()
	switch {
	case err != nil:
		b, outcome := x.ended(ctx, err)
		end.Outcome, deliver = outcome, func() { x.refuse(b) }
	case m.Error != nil:
		object := oneLine(m.Error)
		end = guard.Finished{Outcome: evidence.RPCError, Result: id.Sum(object), Bytes: int64(len(object))}
		deliver = func() { x.out.upstreamError(object) }
	default:
		result, outcome, err := x.readResult(w, m.Result)
		if err != nil {
			b, _ := refusalOf(err)
			end.Outcome, deliver = outcome, func() { x.refuse(b) }
			break
		}
		end = guard.Finished{Outcome: outcome, Result: id.Sum(result), Bytes: int64(len(result))}
		deliver = func() { x.out.result(result) }
	}
	x.finish(v, end)
	deliver()
}

// finish records the end of a call, though the client may be gone.
func (x *exchange) finish(v guard.Verdict, end guard.Finished) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.ctx), finishTime)
	defer cancel()
	if err := x.g.Guard.Finish(ctx, v, end); err != nil {
		x.g.Log.Error("gateway: the end of a call is not on record: a gap", "event", v.Event.String(), "outcome", string(end.Outcome), "error", err)
	}
}

// ended sorts how a call ended without an answer.
func (x *exchange) ended(ctx context.Context, err error) (refusalBody, evidence.Outcome) {
	if cause := fault.Of(context.Cause(ctx)); cause != nil {
		return refusalBody{
			Code: cause.Code, Reason: "the authority for this call was ended while it ran: " + cause.Reason + "; what it did is not known", Remedy: cause.Remedy,
		}, evidence.Cut
	}
	var up *upstreamError
	if errors.As(err, &up) {
		b, cause := refusalOf(err)
		x.g.Log.Warn("gateway: upstream", "server", x.place.server, "code", b.Code, "error", err, "cause", cause)
		return b, up.outcome
	}
	switch {
	case errors.Is(context.Cause(ctx), errAuthority):
		return refusalBody{Code: "authority_ended", Reason: "the authority for this call ended while it ran; what it did is not known"}, evidence.Cut
	case ctx.Err() != nil:
		return refusalBody{Code: "cancelled", Reason: "the call was cancelled; what it did is not known"}, evidence.Cancelled
	}
	return refusalBody{Code: "upstream_unavailable", Reason: "the server did not answer in time; what it did is not known"}, evidence.Cut
}

// refusalOf is what a client hears of an upstream's failure; the cause is for the log.
func refusalOf(err error) (refusalBody, error) {
	var up *upstreamError
	if !errors.As(err, &up) {
		return refusalBody{Code: "upstream_unavailable", Reason: "the MCP server did not answer", RetryAfter: 5}, err
	}
	b := refusalBody{Code: up.code, Reason: "the MCP server behind the gateway failed: " + up.reason}
	if up.code == "upstream_unavailable" {
		b.RetryAfter = 5
	}
	return b, up.cause
}

// resultHead is what the gateway reads of a result.
type resultHead struct {
	Type     string         `json:"resultType"`
	IsError  bool           `json:"isError"`
	Requests jsontext.Value `json:"inputRequests"`
	State    *string        `json:"requestState"`
	Meta     jsontext.Value `json:"_meta"`
}

// readResult makes the result that is delivered: the upstream's bytes, but for an input_required, which is sealed.
func (x *exchange) readResult(w *wanted, raw jsontext.Value) ([]byte, evidence.Outcome, error) {
	var head resultHead
	if err := foreign(raw, &head); err != nil {
		return nil, evidence.Lost, invalid("the server's result is not of the form", err)
	}
	if head.Type == "input_required" {
		if x.revision != modern {
			return nil, evidence.Lost, invalid("the server asks for input in a form of another revision", nil)
		}
		result, err := x.wrapInput(w, head)
		if err != nil {
			return nil, evidence.Lost, err
		}
		return result, evidence.OK, nil
	}
	raw, err := ownKeysOnly(raw, head.Meta)
	if err != nil {
		return nil, evidence.Lost, err
	}
	if head.IsError && x.msg.Method == "tools/call" {
		return oneLine(raw), evidence.ToolError, nil
	}
	return oneLine(raw), evidence.OK, nil
}

// ownKeysOnly drops keys of ours from an upstream's _meta: it could pass its own page off as one of attorn's refusals.
func ownKeysOnly(raw, meta jsontext.Value) (jsontext.Value, error) {
	const prefix = "io.github.attorn/"
	var result, members map[string]jsontext.Value
	if meta == nil || foreign(meta, &members) != nil {
		return raw, nil
	}
	n := len(members)
	maps.DeleteFunc(members, func(name string, _ jsontext.Value) bool { return strings.HasPrefix(name, prefix) })
	if len(members) == n {
		return raw, nil
	}
	err := foreign(raw, &result)
	if err == nil {
		result["_meta"], err = json.Marshal(members, json.Deterministic(true))
	}
	if err == nil {
		raw, err = json.Marshal(result, json.Deterministic(true))
	}
	if err != nil {
		return nil, invalid("the server's result is not of the form", err)
	}
	return raw, nil
}
