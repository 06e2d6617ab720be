package admin_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/attorntest"
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/dpop"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// world is the whole product over HTTP: Priya owns it, Noor is a member without any role, Maya is a release manager.
type world struct {
	*attorntest.Server
	t                 testing.TB
	ctx               context.Context
	priya, noor, maya person
	upstream          string // URL of an MCP server with one tool, write

	mu    sync.Mutex
	ahead time.Duration
}

type person struct {
	*attorn.Client
	signer jose.Signer
}

func start(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, ctx: t.Context()}
	w.Server = attorntest.Start(t, attorntest.Config{Now: w.now, Registration: "token"})
	w.priya = w.signIn(w.Link, "Priya Nair")
	w.noor, w.maya = w.invite("Noor Haddad"), w.invite("Maya Chen")
	return w
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.ahead)
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ahead += d
}

func newSigner(t testing.TB) jose.Signer {
	t.Helper()
	_, priv, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := jose.NewSigner(priv)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (w *world) signIn(secret, name string) person {
	w.t.Helper()
	s := newSigner(w.t)
	in, err := attorn.SignIn(w.ctx, attorn.SignInConfig{Server: w.URL, Secret: secret, Name: name, Signer: s})
	w.ok(err)
	c, err := attorn.NewClient(attorn.ClientConfig{Server: w.URL, User: in.User, Signer: s})
	w.ok(err)
	return person{c, s}
}

func (w *world) invite(name string) person {
	w.t.Helper()
	u, err := w.priya.Invite(w.ctx, api.NewUser{Name: name})
	w.ok(err)
	return w.signIn(u.Link, "")
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatalf("%v (%s)", err, fault.Code(err))
	}
}

// agent registers and enrols an agent of Priya's.
func (w *world) agent(name string) *attorn.Agent {
	w.t.Helper()
	a, err := w.priya.CreateAgent(w.ctx, api.NewAgent{Name: name})
	w.ok(err)
	offer, err := w.priya.OfferEnrolment(w.ctx, a.ID)
	w.ok(err)
	opened, err := attorn.Enrol(w.ctx, attorn.EnrolConfig{Server: w.URL, Token: offer.Token, KeyFile: filepath.Join(w.t.TempDir(), name+".jwk")})
	w.ok(err)
	return opened
}

// server puts an MCP server with the tool write behind the gateway.
func (w *world) server(name string) api.Server {
	w.t.Helper()
	s, err := w.priya.AddServer(w.ctx, api.NewServer{Name: name, URL: w.mcp(), AllowPrivate: true})
	w.ok(err)
	return s
}

// mcp is the URL of somebody's MCP server.
func (w *world) mcp() string {
	if w.upstream != "" {
		return w.upstream
	}
	srv := mcp.NewServer(&mcp.Implementation{Name: "files", Version: "1"}, nil)
	type args struct {
		Path string `json:"path"`
	}
	mcp.AddTool(srv, &mcp.Tool{Name: "write", Description: "Write a file"}, func(context.Context, *mcp.CallToolRequest, args) (*mcp.CallToolResult, any, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "written"}}}, nil, nil
	})
	up := httptest.NewServer(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return srv }, nil))
	w.t.Cleanup(up.Close)
	w.upstream = up.URL
	return w.upstream
}

// lend has Priya lend writing to an agent.
func (w *world) lend(a *attorn.Agent) delegation.Link {
	w.t.Helper()
	l, err := w.priya.Delegate(w.ctx, a.ID().String(), attorn.Lend{Permissions: []delegation.Permission{{Permission: "tool:files:write"}}, Depth: 1})
	w.ok(err)
	return l
}

const gate = `
@id("release")
@approve("1 of release-manager")
@ttl("10m")
@reason("A release manager approves what is written.")
forbid (principal, action == Action::"tool:files:write", resource);
`

// gated is a server whose tool asks for approval, and an agent that may use it under what Priya lent. call starts a call, which is held.
func (w *world) gated() (a *attorn.Agent, call func(path string)) {
	w.t.Helper()
	s, a := w.server("files"), w.agent("bot")
	_, err := w.priya.Publish(w.ctx, api.Publish{Files: []api.PolicyFile{{Path: "policies/release.cedar", Text: gate}}})
	w.ok(err)
	for who, role := range map[string]string{a.ID().String(): "tool-user", w.maya.User().String(): "release-manager"} {
		_, err := w.priya.Bind(w.ctx, api.Binding{Principal: who, Role: role})
		w.ok(err)
	}
	hc := &http.Client{Transport: a.Transport(nil, s.Resource, attorn.TokenRequest{Delegation: w.lend(a).Statement.ID.String()})}
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil).
		Connect(w.ctx, &mcp.StreamableClientTransport{Endpoint: s.Resource, HTTPClient: hc}, nil)
	w.ok(err)
	w.t.Cleanup(func() { session.Close() })
	return a, func(path string) {
		go session.CallTool(w.ctx, &mcp.CallToolParams{Name: "write", Arguments: map[string]any{"path": path}}) // ends with the approval, or the test
	}
}

// ask makes an approval that waits, and returns it as Maya sees it.
func (w *world) ask(call func(string), path string) api.Approval {
	w.t.Helper()
	call(path)
	for range 500 {
		l, err := w.maya.Approvals(w.ctx, "pending", attorn.Page{})
		w.ok(err)
		for _, a := range l.Items {
			if strings.Contains(a.Arguments, `"`+path+`"`) {
				return a
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.t.Fatal("the call made no approval")
	return api.Approval{}
}

// request is one request to the API by hand.
type request struct {
	method, path, body string
	token              string // "": none
	proofURL           string // "": the request's
	proof              string // as it is, unless ""
	nonce              string // of the proof
	header             http.Header
}

// send sends it with a proof by s, unless s is nil.
func (w *world) send(s jose.Signer, q request) (*http.Response, api.Problem, []byte) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.ctx, q.method, w.URL+q.path, bytes.NewReader([]byte(q.body)))
	w.ok(err)
	if q.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if q.token != "" {
		r.Header.Set("Authorization", "DPoP "+q.token)
	}
	if s != nil {
		if q.proof == "" {
			q.proof = w.proof(s, q)
		}
		r.Header.Set("DPoP", q.proof)
	}
	for name, values := range q.header {
		r.Header[name] = values
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	w.ok(err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	w.ok(err)
	var p api.Problem
	if res.StatusCode/100 != 2 {
		if got := res.Header.Get("Content-Type"); got != "application/problem+json" {
			w.t.Fatalf("%s %s: %d with %s: %s", q.method, q.path, res.StatusCode, got, b)
		}
		w.ok(jose.Decode(b, &p, jose.Limits{}))
		if p.Detail == "" || p.Title == "" || !strings.HasPrefix(p.RequestID, "req_") || p.Status != res.StatusCode || p.Type != w.URL+"/docs/errors/"+p.Code {
			w.t.Errorf("a problem is not whole: %s", b)
		}
	}
	for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} {
		if res.Header.Get(name) != want {
			w.t.Errorf("%s %s: %s is %q", q.method, q.path, name, res.Header.Get(name))
		}
	}
	return res, p, b
}

func (w *world) proof(s jose.Signer, q request) string {
	w.t.Helper()
	target := q.proofURL
	if target == "" {
		target, _, _ = strings.Cut(w.URL+q.path, "?")
	}
	p, err := dpop.Sign(s, dpop.Claims{Method: q.method, URL: target, JTI: rand.Text(), Nonce: q.nonce, AccessToken: q.token, IssuedAt: w.now()})
	w.ok(err)
	return p
}

// token is a person's, for a resource.
func (w *world) token(p person, resource string) string {
	w.t.Helper()
	t, err := p.Token(w.ctx, resource)
	w.ok(err)
	return t.AccessToken
}

// agentToken is an agent's, in its own right, for the API.
func (w *world) agentToken(a *attorn.Agent) string {
	w.t.Helper()
	t, err := a.Token(w.ctx, w.URL+"/api", attorn.TokenRequest{})
	w.ok(err)
	return t.AccessToken
}

// state is all that requests can change, as Priya sees it.
func (w *world) state() string {
	w.t.Helper()
	var all []any
	add := func(v any, err error) {
		w.t.Helper()
		w.ok(err)
		all = append(all, v)
	}
	people, err := w.priya.Users(w.ctx, attorn.Page{})
	for i := range people.Items {
		people.Items[i].Seen = "" // who is refused was there
	}
	add(people, err)
	agents, err := w.priya.Agents(w.ctx, attorn.AgentQuery{})
	add(agents, err)
	for _, a := range agents.Items {
		all, err := w.priya.Instances(w.ctx, a.ID)
		for i := range all.Items {
			all.Items[i].LastUsed = "" // to be refused is to have asked
		}
		add(all, err)
	}
	add(w.priya.Delegations(w.ctx, attorn.DelegationQuery{}))
	servers, err := w.priya.Servers(w.ctx)
	add(servers, err)
	for _, s := range servers.Items {
		add(w.priya.Tools(w.ctx, s.Name))
	}
	add(w.priya.Policy(w.ctx))
	add(w.priya.Bindings(w.ctx))
	for _, status := range []string{"pending", "approved", "denied", "expired", "cancelled", "void", "spent"} {
		add(w.priya.Approvals(w.ctx, status, attorn.Page{}))
	}
	b, err := json.Marshal(all, json.Deterministic(true))
	w.ok(err)
	return string(b)
}

// refusal demands that do is refused with a code and a reason and changes nothing. Where it names who was refused, an event says that and why.
func (w *world) refusal(what, code string, who id.User, do func() error) {
	w.t.Helper()
	before, head := w.state(), w.rev()
	err := do()
	f := fault.Of(err)
	if f == nil || f.Code != code || f.Reason == "" {
		w.t.Errorf("%s: got %v (%s), want %s", what, err, fault.Code(err), code)
		return
	}
	if after := w.state(); after != before {
		w.t.Errorf("%s was refused, but changed\n%s\nto\n%s", what, before, after)
	}
	if who.IsZero() {
		return
	}
	l, err := w.priya.Events(w.ctx, attorn.EventQuery{Refused: true, Page: attorn.Page{Limit: 1}})
	w.ok(err)
	if len(l.Items) == 0 || l.Items[0].Rev < head {
		w.t.Errorf("%s was refused, but no event says so", what)
		return
	}
	e, err := evidence.ParseEvent(l.Items[0].Body)
	w.ok(err)
	if e.Who.Sub != who.String() || e.Why == nil || e.Why.Code != code && e.Why.Code != "no_permit" || e.Outcome != evidence.Deny {
		w.t.Errorf("%s was refused, and the event says %s", what, l.Items[0].Body)
	}
}

func (w *world) rev() int64 {
	w.t.Helper()
	h, err := w.priya.Head(w.ctx)
	w.ok(err)
	return h.Rev
}
