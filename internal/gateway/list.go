package gateway

import (
	"context"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/catalog"
	"github.com/attorn/attorn/internal/guard"
)

// gateKey marks a listed tool that needs approval or step-up.
const gateKey = "io.github.attorn/gate"

const pageSize = 250

// visible are the accepted definitions of a kind that the caller could be permitted to use, by name. When it is false the client has been
// answered.
func (x *exchange) visible(kind catalog.Kind) (tools []catalog.Tool, sights []guard.Sight, ok bool) {
	all, err := x.g.Catalog.Tools(x.ctx, x.place.workspace, x.place.server)
	if err != nil {
		x.failed(err)
		return nil, nil, false
	}
	var calls []guard.Call
	for _, t := range all {
		if t.Kind == kind && t.Status == catalog.Accepted && catalog.Suspended(x.server, t) == nil {
			tools = append(tools, t)
		}
	}
	slices.SortFunc(tools, func(a, b catalog.Tool) int { return strings.Compare(a.Name, b.Name) })
	for _, t := range tools {
		calls = append(calls, x.callOf(t))
	}
	if sights, err = x.g.Guard.Visible(x.ctx, x.caller, calls); err == nil && len(sights) != len(calls) {
		err = fault.New(fault.Internal, "internal", "the guard answered for %d of %d tools", len(sights), len(calls))
	}
	if err != nil {
		x.failed(err)
		return nil, nil, false
	}
	return tools, sights, true
}

// callOf is a use of a tool whose arguments are not known.
func (x *exchange) callOf(t catalog.Tool) guard.Call {
	method := map[catalog.Kind]string{catalog.KindTool: "tools/call", catalog.KindPrompt: "prompts/get", catalog.KindResource: "resources/read"}[t.Kind]
	return guard.Call{Server: t.Server, Method: method, Tool: t.Segment(), Action: t.Action(), Class: t.Class, Pin: t.Pin, Protocol: x.revision}
}

// listPinned answers tools/list and prompts/list from the catalogue alone.
func (x *exchange) listPinned(kind catalog.Kind) {
	after, bad := cursorOf(x.msg)
	if bad != nil {
		x.out.fail(bad)
		return
	}
	tools, sights, ok := x.visible(kind)
	if !ok {
		return
	}
	items, next := []byte{'['}, ""
	n, last := 0, ""
	for i, t := range tools {
		if sights[i] == guard.Hidden || t.Name <= after {
			continue
		}
		if n == pageSize {
			next = base64.RawURLEncoding.EncodeToString([]byte(last))
			break
		}
		if n > 0 {
			items = append(items, ',')
		}
		items = append(items, listed(t, sights[i])...)
		n, last = n+1, t.Name
	}
	o := &object{}
	if x.revision == modern {
		o.text("resultType", "complete")
	}
	o.raw(string(kind)+"s", append(items, ']'))
	if next != "" {
		o.text("nextCursor", next)
	}
	x.out.result(x.cacheable(o).end())
}

// listed is the accepted definition, marked when gated.
func listed(t catalog.Tool, sight guard.Sight) []byte {
	if sight != guard.Gated {
		return t.Definition
	}
	mark := (&object{}).raw("_meta", (&object{}).text(gateKey, "approval").end()).end()
	return append(append(slices.Clone(mark[:len(mark)-1]), ','), t.Definition[1:]...)
}

// cacheable adds what modern lists say about keeping them: for this caller alone, half a minute at most.
func (x *exchange) cacheable(o *object) *object {
	if x.revision == modern {
		o.number("ttlMs", 30000).text("cacheScope", "private")
	}
	return o
}

// cursorOf reads the cursor of a list; "" for the first page.
func cursorOf(m message) (string, *rpcError) {
	var p struct {
		Cursor *string `json:"cursor"`
	}
	if m.Params != nil && foreign(m.Params, &p) != nil {
		return "", broken("params", codeParams, "params.cursor is not a string")
	}
	if p.Cursor == nil {
		return "", nil
	}
	name, err := base64.RawURLEncoding.DecodeString(*p.Cursor)
	if err != nil || len(*p.Cursor) > 256 || len(name) == 0 {
		return "", broken("params", codeParams, "params.cursor is not one of ours")
	}
	return string(name), nil
}

// listResources answers with the upstream's page, if the caller could read resources at all.
func (x *exchange) listResources(meta requestMeta) {
	var p struct {
		Cursor *string `json:"cursor"`
	}
	if x.msg.Params != nil && foreign(x.msg.Params, &p) != nil {
		x.out.fail(broken("params", codeParams, "params.cursor is not a string"))
		return
	}
	member := "resources"
	if x.msg.Method == "resources/templates/list" {
		member = "resourceTemplates"
	}
	may, ok := x.mayRead()
	if !ok {
		return
	}
	page := map[string]jsontext.Value{member: jsontext.Value("[]")}
	if may {
		params := &object{}
		if p.Cursor != nil {
			params.text("cursor", *p.Cursor)
		}
		m, ok := x.ask(meta, params)
		if !ok {
			return
		}
		var items []jsontext.Value
		if foreign(m.Result, &page) != nil || foreign(page[member], &items) != nil {
			x.upstreamFailed(invalid("the server's answer to "+x.msg.Method+" is not of the form", nil))
			return
		}
	}
	o := &object{}
	if x.revision == modern {
		o.text("resultType", "complete")
	}
	o.raw(member, oneLine(page[member]))
	if next, ok := decodeString(page["nextCursor"]); ok {
		o.text("nextCursor", next)
	}
	x.out.result(x.cacheable(o).end())
}

// mayRead reports whether the caller could read a resource.
func (x *exchange) mayRead() (may, ok bool) {
	t, err := x.g.Catalog.Callable(x.ctx, x.place.workspace, x.place.server, catalog.ResourcesRead)
	if err == nil {
		var sights []guard.Sight
		sights, err = x.g.Guard.Visible(x.ctx, x.caller, []guard.Call{x.callOf(t)})
		may = len(sights) == 1 && sights[0] != guard.Hidden && catalog.Suspended(x.server, t) == nil
	}
	if err != nil {
		x.failed(err)
		return false, false
	}
	return may, true
}

// completeParams are the members of completion/complete.
type completeParams struct {
	Ref struct {
		Type string `json:"type"`
		Name string `json:"name"`
		URI  string `json:"uri"`
	} `json:"ref"`
	Argument struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"argument"`
	Context jsontext.Value `json:"context"`
}

// complete passes a completion on, if its prompt or template is visible.
func (x *exchange) complete(meta requestMeta) {
	var p completeParams
	if x.msg.Params == nil || foreign(x.msg.Params, &p) != nil {
		x.out.fail(broken("params", codeParams, "params of completion/complete are not of the form"))
		return
	}
	ref := (&object{}).text("type", p.Ref.Type)
	may, ok := false, true
	switch p.Ref.Type {
	case "ref/prompt":
		var tools []catalog.Tool
		var sights []guard.Sight
		tools, sights, ok = x.visible(catalog.KindPrompt)
		for i, t := range tools {
			may = may || (t.Name == p.Ref.Name && sights[i] != guard.Hidden)
		}
		ref.text("name", p.Ref.Name)
	case "ref/resource":
		may, ok = x.mayRead()
		ref.text("uri", p.Ref.URI)
	}
	if !ok {
		return
	}
	if !may {
		x.out.fail(&rpcError{Code: codeParams, Message: "Unknown reference"})
		return
	}
	params := (&object{}).raw("ref", ref.end()).raw("argument", (&object{}).text("name", p.Argument.Name).text("value", p.Argument.Value).end())
	if p.Context.Kind() == '{' {
		params.raw("context", p.Context)
	}
	if m, ok := x.ask(meta, params); ok {
		x.out.result(oneLine(m.Result))
	}
}

// discover answers server/discover with what the gateway serves of the upstream.
func (x *exchange) discover(meta requestMeta) {
	if _, err := x.g.Guard.Visible(x.ctx, x.caller, nil); err != nil {
		x.failed(err)
		return
	}
	m, ok := x.ask(meta, nil)
	if !ok {
		return
	}
	var head serverHead
	if err := foreign(m.Result, &head); err != nil {
		x.upstreamFailed(invalid("the server's answer to server/discover is not of the form", err))
		return
	}
	o := (&object{}).text("resultType", "complete").raw("supportedVersions", x.revisions()).raw("capabilities", head.Capabilities.encode())
	if text, ok := x.instructions(); ok {
		o.text("instructions", text)
	}
	if info := infoOf(head.Meta.Info); info != nil {
		o.raw("_meta", (&object{}).raw(metaPrefix+"serverInfo", info).end())
	}
	x.out.result(x.cacheable(o).end())
}

// instructions are the accepted ones.
func (x *exchange) instructions() (string, bool) {
	all, err := x.g.Catalog.Tools(x.ctx, x.place.workspace, x.place.server)
	if err != nil {
		return "", false
	}
	for _, t := range all {
		if t.Kind == catalog.KindInstructions && t.Status == catalog.Accepted {
			var d struct {
				Instructions string `json:"instructions"`
			}
			err := json.Unmarshal(t.Definition, &d)
			return d.Instructions, err == nil
		}
	}
	return "", false
}

// infoOf keeps the names and version of an implementation.
func infoOf(raw jsontext.Value) []byte {
	var i struct {
		Name    string `json:"name"`
		Title   string `json:"title"`
		Version string `json:"version"`
	}
	if raw.Kind() != '{' || foreign(raw, &i) != nil || len(i.Name) > 256 || len(i.Title) > 256 || len(i.Version) > 256 {
		return nil
	}
	o := (&object{}).text("name", i.Name).text("version", i.Version)
	if i.Title != "" {
		o.text("title", i.Title)
	}
	return o.end()
}

// initialize opens a legacy session: ours to the client, and one of its own to the upstream.
func (x *exchange) initialize() {
	var p struct {
		Capabilities jsontext.Value `json:"capabilities"`
		Info         jsontext.Value `json:"clientInfo"`
	}
	if !x.msg.isRequest() || x.msg.Params == nil || foreign(x.msg.Params, &p) != nil {
		x.out.fail(broken("params", codeParams, "params of initialize are not of the form"))
		return
	}
	can, bad := features(p.Capabilities)
	if bad != nil {
		x.out.fail(bad)
		return
	}
	if !x.server.Speaks(catalog.Legacy) {
		x.out.fail(x.unsupported(legacy))
		return
	}
	if _, err := x.g.Guard.Visible(x.ctx, x.caller, nil); err != nil {
		x.failed(err)
		return
	}
	s := &session{
		caller: x.caller.ClientKey(), sub: x.caller.Sub(), place: x.place, print: printOf(x.server), features: can, g: x.g,
		says: make(chan []byte, 64), inFlight: map[string]context.CancelCauseFunc{}, watched: map[id.Approval]bool{}, lastUse: x.g.Clock.Now(),
	}
	watched, stop, err := x.g.Guard.Attend(context.Background(), x.caller)
	if err != nil {
		x.failed(err)
		return
	}
	s.ctx, s.end = context.WithCancelCause(watched)
	context.AfterFunc(watched, func() {
		if cause := context.Cause(watched); fault.Of(cause) != nil {
			x.g.sessions.cut(s, cause)
		}
	})
	context.AfterFunc(s.ctx, stop)
	head, ok := x.connect(s, infoOf(p.Info))
	if !ok {
		s.end(errSessionOver)
		return
	}
	x.w.Header().Set(headerSession, s.id)
	o := (&object{}).text("protocolVersion", legacy).raw("capabilities", head.Capabilities.encode())
	info := infoOf(head.Info)
	if info == nil {
		info = (&object{}).text("name", x.place.server).text("version", "").end()
	}
	o.raw("serverInfo", info)
	if text, ok := x.instructions(); ok {
		o.text("instructions", text)
	}
	x.out.result(o.end())
}

// connect makes room for a session and opens its upstream. When it is false the client has been answered.
func (x *exchange) connect(s *session, info []byte) (serverHead, bool) {
	perServer, perAgent := maxHTTPServer, maxHTTPAgent
	if x.server.Transport == "stdio" {
		perServer, perAgent = maxSessionsServer, maxSessionsAgent
	}
	if !x.g.sessions.add(s, perServer, perAgent) {
		b := refusalBody{Code: "rate_limited", Reason: "there are too many sessions with this MCP server", Remedy: "end one, or wait until one has been idle for ten minutes", RetryAfter: 60}
		x.out.fail(&rpcError{Status: http.StatusTooManyRequests, Code: codeRefused, Message: b.Reason, Data: b.encode()})
		return serverHead{}, false
	}
	ctx, cancel := context.WithTimeout(x.ctx, startTime)
	defer cancel()
	up, err := x.g.open(x.server, catalog.Legacy, s.loose)
	var head serverHead
	if err == nil {
		if head, err = x.g.initializeUpstream(ctx, up, info); err == nil && !x.g.sessions.connected(s, up) {
			err = notSent("the session was closed while it began", nil)
		}
		if err != nil {
			up.close()
		}
	}
	if err != nil {
		x.g.sessions.close(s)
		x.upstreamFailed(err)
		return head, false
	}
	return head, true
}
