package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/catalog"
	"github.com/attorn/attorn/internal/guard"
)

// exchange is one message of a client and its answer. The frame fills it in, then a method's function answers through out.
type exchange struct {
	g        *Gateway
	w        http.ResponseWriter
	ctx      context.Context // ends when the client goes away
	place    place
	caller   *guard.Caller
	server   catalog.Server
	session  *session // legacy, after initialize
	msg      message
	revision string
	header   http.Header
	sent     guard.Sent // for private keys to be looked for in
	out      *answer
}

// serve is the frame: edge checks, authentication, then the message. Without a token nothing of the body is read.
func (g *Gateway) serve(w http.ResponseWriter, r *http.Request) {
	p, ok := g.placeOf(r)
	if !ok {
		http.NotFound(w, r)
		return
	}
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		http.Error(w, "an MCP endpoint takes no query", http.StatusBadRequest)
		return
	}
	if !g.ours(r) {
		http.Error(w, "this Origin or Host may not call here", http.StatusForbidden)
		return
	}
	session := len(r.Header.Values(headerSession)) > 0
	if r.Method != http.MethodPost && (!session || (r.Method != http.MethodGet && r.Method != http.MethodDelete)) {
		w.Header().Set("Allow", "POST")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	if len(r.Header.Values("Authorization")) == 0 && len(r.Header.Values("Signature-Input")) == 0 {
		g.unauthenticated(w, p, false, nil)
		return
	}
	x := &exchange{g: g, w: w, ctx: r.Context(), place: p, revision: legacy, header: r.Header, out: newAnswer(w, r)}
	defer x.out.close()
	x.sent = guard.Sent{Header: r.Header, IP: address(r), Face: "gateway", Path: r.URL.Path}
	if err := g.Guard.NoPrivateKeySent(x.ctx, x.sent, g.Log); err != nil {
		x.failed(err)
		return
	}
	caller, err := g.Guard.Authenticate(r.Context(), guard.Credentials{
		Method: r.Method, URL: p.url, Authorization: r.Header.Values("Authorization"), DPoP: r.Header.Values("DPoP"), Header: r.Header.Values,
		IP: address(r), Face: "gateway",
	}, p.url)
	if err != nil {
		x.failed(err)
		return
	}
	x.caller, x.sent.Claimed, x.sent.Header = caller, caller.Sub(), http.Header{"Dpop": r.Header.Values("DPoP")} // the others were looked at
	w.Header().Set("DPoP-Nonce", g.Guard.Challenge())
	switch r.Method {
	case http.MethodPost:
		body, bad := readBody(r)
		takeTime(w)
		if bad != nil {
			x.out.fail(bad)
			return
		}
		if len(body) <= maxBody { // what is longer is refused for that
			if err := caller.CheckBody(body); err != nil {
				x.failed(err)
				return
			}
		}
		x.post(body, r)
	default:
		if err := caller.CheckBody(nil); err != nil {
			x.failed(err)
			return
		}
		if r.Method == http.MethodDelete {
			x.hangUp(r)
			return
		}
		takeTime(w)
		x.listen(r)
	}
}

// ours reports whether the request is meant for this server and comes from no foreign page (MCP 2026-07-28, Security & Endpoint): a page that
// rebinds its own name to us sends that name.
func (g *Gateway) ours(r *http.Request) bool {
	host := strings.ToLower(r.Host)
	if host != g.host && !sameLoopback(r, host) {
		return false
	}
	origins := r.Header.Values("Origin")
	if len(origins) == 0 {
		return true
	}
	if len(origins) > 1 {
		return false
	}
	return origins[0] == g.scheme+"://"+g.host || origins[0] == g.scheme+"://"+host || slices.Contains(g.Origins, origins[0])
}

// sameLoopback accepts any loopback name of a request that came in over loopback, on its port.
func sameLoopback(r *http.Request, host string) bool {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	tcp, ok := local.(*net.TCPAddr)
	if !ok || !tcp.IP.IsLoopback() {
		return false
	}
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name, port = strings.Trim(host, "[]"), "80"
	}
	_, localPort, _ := net.SplitHostPort(tcp.String())
	return port == localPort && (name == "localhost" || name == "127.0.0.1" || name == "::1")
}

func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return host
}

// takeTime lifts the listener's time limits, which are for reading a request and writing a page: a call may run for ten minutes, and a read
// limit that passes would look as if the client had gone. The gateway's own limits hold from here.
func takeTime(w http.ResponseWriter) {
	c := http.NewResponseController(w)
	_ = errors.Join(c.SetReadDeadline(time.Time{}), c.SetWriteDeadline(time.Time{})) // not supported: there are none
}

// post decodes one message and hands it to its method.
func (x *exchange) post(body []byte, r *http.Request) {
	m, bad := decodeMessage(body, maxBody)
	x.msg, x.out.id = m, m.ID
	if bad != nil {
		x.out.fail(bad)
		return
	}
	if m.Method == "" {
		x.out.fail(broken("envelope", codeRequest, "A response was sent, but no request was passed on to this client"))
		return
	}
	x.revision = revisionOf(m, r.Header)
	x.out.revision = x.revision
	x.sent.Body = body
	if err := x.g.Guard.NoPrivateKeySent(x.ctx, x.sent, x.g.Log); err != nil { // before any of it is passed on or written down
		x.failed(err)
		return
	}
	server, err := x.g.Catalog.Server(x.ctx, x.place.workspace, x.place.server)
	if fault.Code(err) == "unknown_server" || (err == nil && server.Status != "active") {
		x.out.fail(&rpcError{Status: http.StatusNotFound, Code: codeRequest, Message: "There is no such MCP server"})
		return
	}
	if err != nil {
		x.failed(err)
		return
	}
	x.server = server
	if x.revision == modern {
		x.modern()
		return
	}
	x.legacy()
}

// readBody is rules media and size.
func readBody(r *http.Request) ([]byte, *rpcError) {
	media := &rpcError{Status: http.StatusUnsupportedMediaType, Code: codeRequest, Message: "The body must be application/json in no content coding", Rule: "media"}
	types := r.Header.Values("Content-Type")
	if len(types) != 1 || len(r.Header.Values("Content-Encoding")) > 0 {
		return nil, media
	}
	kind, params, err := mime.ParseMediaType(types[0])
	if err != nil || kind != "application/json" || (params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8")) {
		return nil, media
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return nil, broken("syntax", codeParse, "The body could not be read")
	}
	return body, nil
}

// revisionOf tells the eras apart: a modern request says its version in _meta; one that forgot says it in the header.
func revisionOf(m message, h http.Header) string {
	var p struct {
		Meta map[string]jsontext.Value `json:"_meta"`
	}
	if m.Params != nil && foreign(m.Params, &p) == nil {
		if _, ok := p.Meta[metaVersion]; ok {
			return modern
		}
	}
	switch h.Get(headerVersion) {
	case "", legacy, "2025-06-18", "2025-03-26", "2024-11-05":
		return legacy
	}
	if m.Method == "initialize" {
		return legacy
	}
	return modern
}

// opaque logs an unknown error under a random reference, which is all that leaves.
func (g *Gateway) opaque(err error) string {
	ref := rand.Text()[:10]
	g.Log.Error("gateway", "ref", ref, "error", err)
	return ref
}
