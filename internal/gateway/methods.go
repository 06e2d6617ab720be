package gateway

import (
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/internal/catalog"
)

// gated reports whether a method acts and so is decided and recorded each time. What else the gateway knows is filtered: authenticated,
// edited, and without effect.
func gated(method string) bool {
	return method == "tools/call" || method == "prompts/get" || method == "resources/read"
}

// modern handles a message of revision 2026-07-28.
func (x *exchange) modern() {
	if x.msg.isNotification() { // closing the stream is what cancels; nothing else is defined over HTTP
		x.accepted()
		return
	}
	if !x.server.Speaks(catalog.Modern) {
		// Eras are not translated. A 400 that is no modern error sends clients of both eras on to initialize (Backward Compatibility).
		http.Error(x.w, "this MCP server speaks "+legacy+": send initialize", http.StatusBadRequest)
		return
	}
	var p struct {
		Meta jsontext.Value `json:"_meta"`
		Name string         `json:"name"`
		URI  string         `json:"uri"`
	}
	if x.msg.Params != nil && foreign(x.msg.Params, &p) != nil {
		x.out.fail(broken("params", codeParams, "params are not of the form"))
		return
	}
	meta, bad := decodeMeta(p.Meta, modern)
	if bad == nil && meta.Version != modern {
		bad = x.unsupported(meta.Version)
	}
	if bad == nil {
		name := ""
		if gated(x.msg.Method) {
			name = p.Name + p.URI // one of them: the closed set is checked later
		}
		bad = checkHeaders(x.header, meta.Version, x.msg.Method, name)
	}
	if bad != nil {
		x.out.fail(bad)
		return
	}
	switch m := x.msg.Method; {
	case gated(m):
		x.gated()
	case m == "tools/list":
		x.listPinned(catalog.KindTool)
	case m == "prompts/list":
		x.listPinned(catalog.KindPrompt)
	case m == "resources/list", m == "resources/templates/list":
		x.listResources(meta)
	case m == "completion/complete":
		x.complete(meta)
	case m == "server/discover":
		x.discover(meta)
	default:
		x.noMethod()
	}
}

// legacy handles a message of revision 2025-11-25.
func (x *exchange) legacy() {
	if x.msg.Method == "initialize" {
		x.initialize()
		return
	}
	if !x.findSession() {
		return
	}
	defer x.session.use()()
	if v := x.header.Values(headerVersion); len(v) > 1 || (len(v) == 1 && v[0] != legacy) {
		x.out.fail(&rpcError{Status: http.StatusBadRequest, Code: codeRequest, Message: "This session speaks " + legacy, Rule: "version"})
		return
	}
	if x.msg.isNotification() {
		if x.msg.Method == "notifications/cancelled" {
			x.session.cancel(x.msg.Params)
		}
		x.accepted()
		return
	}
	meta, bad := metaOf(x.msg)
	if bad != nil {
		x.out.fail(bad)
		return
	}
	switch m := x.msg.Method; {
	case gated(m):
		x.gated()
	case m == "tools/list":
		x.listPinned(catalog.KindTool)
	case m == "prompts/list":
		x.listPinned(catalog.KindPrompt)
	case m == "resources/list", m == "resources/templates/list":
		x.listResources(meta)
	case m == "completion/complete":
		x.complete(meta)
	case m == "ping":
		x.pass(meta, nil)
	case m == "logging/setLevel":
		x.setLevel(meta)
	default:
		x.noMethod()
	}
}

func metaOf(m message) (requestMeta, *rpcError) {
	var p struct {
		Meta jsontext.Value `json:"_meta"`
	}
	if m.Params != nil && foreign(m.Params, &p) != nil {
		return requestMeta{}, broken("params", codeParams, "params are not of the form")
	}
	return decodeMeta(p.Meta, legacy)
}

func (x *exchange) noMethod() {
	x.out.fail(&rpcError{Code: codeMethod, Message: "Method not found"})
}

// unsupported says which revisions this server speaks (MCP 2026-07-28, UnsupportedProtocolVersionError).
func (x *exchange) unsupported(requested string) *rpcError {
	data := (&object{}).raw("supported", x.revisions()).text("requested", requested).text("rule", "version").end()
	return &rpcError{Status: http.StatusBadRequest, Code: codeVersion, Message: "Unsupported protocol version", Data: data}
}

func (x *exchange) revisions() []byte {
	switch {
	case x.server.Era == catalog.Both:
		return []byte(`["` + modern + `","` + legacy + `"]`)
	case x.server.Speaks(catalog.Modern):
		return []byte(`["` + modern + `"]`)
	}
	return []byte(`["` + legacy + `"]`)
}

// accepted answers a notification. Its proof is spent like any other's.
func (x *exchange) accepted() {
	if _, err := x.g.Guard.Visible(x.ctx, x.caller, nil); err != nil {
		x.failed(err)
		return
	}
	x.w.WriteHeader(http.StatusAccepted)
}

// pass sends an ungated request on and its answer back.
func (x *exchange) pass(meta requestMeta, params *object) {
	if _, err := x.g.Guard.Visible(x.ctx, x.caller, nil); err != nil {
		x.failed(err)
		return
	}
	if m, ok := x.ask(meta, params); ok {
		x.out.result(oneLine(m.Result))
	}
}

// setLevel passes the one member that logging/setLevel has.
func (x *exchange) setLevel(meta requestMeta) {
	var p struct {
		Level string `json:"level"`
	}
	if x.msg.Params == nil || foreign(x.msg.Params, &p) != nil || len(p.Level) > maxName {
		x.out.fail(broken("params", codeParams, "params.level is missing"))
		return
	}
	x.pass(meta, (&object{}).text("level", p.Level))
}

// ask sends an ungated request of the client's method to the upstream and returns its result. When it is false the client has been answered.
func (x *exchange) ask(meta requestMeta, params *object) (message, bool) {
	up, err := x.upstream()
	if err != nil {
		x.upstreamFailed(err)
		return message{}, false
	}
	if params == nil {
		params = &object{}
	}
	o := outbound{ID: x.g.ids.Add(1), Method: x.msg.Method}
	if raw := encodeMeta(meta, x.revision, o.ID); raw != nil {
		params.raw("_meta", raw)
	}
	o.Params = params.end()
	m, err := up.call(x.ctx, o, func(n message) { x.note(n, o.ID, meta.Progress) })
	if err != nil {
		x.upstreamFailed(err)
		return message{}, false
	}
	if m.Error != nil {
		x.out.upstreamError(oneLine(m.Error))
		return message{}, false
	}
	return m, true
}

// note passes on what an upstream says before it answers.
func (x *exchange) note(m message, id int64, progress jsontext.Value) {
	if isListChanged(m.Method) {
		x.g.places.stale(placeKey{x.place.workspace, x.place.server})
		return
	}
	if b := encodeNote(m, id, progress); b != nil {
		x.out.note(b)
	}
}

func isListChanged(method string) bool {
	return method == "notifications/tools/list_changed" || method == "notifications/prompts/list_changed"
}

// upstreamFailed answers for a request whose upstream gave no answer that can be delivered.
func (x *exchange) upstreamFailed(err error) {
	b, e := refusalOf(err)
	x.g.Log.Warn("gateway: upstream", "server", x.place.server, "code", b.Code, "error", err, "cause", e)
	if gated(x.msg.Method) {
		x.refuse(b)
		return
	}
	x.out.fail(&rpcError{Code: codeRefused, Message: b.Reason, Data: b.encode()})
}
