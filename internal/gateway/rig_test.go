package gateway

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/dpop"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/httpsig"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/approvals"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/catalog"
	"github.com/attorn/attorn/internal/clients"
	"github.com/attorn/attorn/internal/db"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/keyring"
	"github.com/attorn/attorn/internal/lending"
	"github.com/attorn/attorn/internal/people"
	"github.com/attorn/attorn/internal/rules"
	"github.com/attorn/attorn/internal/tickets"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/policy"
	"github.com/attorn/attorn/token"
)

// rig is the gateway on a real listener, with the real guard and log behind it, and two people: Priya owns, Maya approves.
type rig struct {
	*Gateway
	t           testing.TB
	guard       *guard.Guard
	catalog     *catalog.Room
	reader      *db.Reader
	http        *httptest.Server
	priya, maya person
}

type person struct {
	id     id.User
	key    jose.Signer
	caller *guard.Caller // at attorn's own API
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func newKey(t testing.TB) jose.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := jose.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newRig(t testing.TB) *rig {
	t.Helper()
	mux := http.NewServeMux()
	r := &rig{t: t, http: httptest.NewServer(mux)}
	t.Cleanup(r.http.Close)
	reader, writer, err := db.Open(t.Context(), dbtest.SQLite(t))
	r.must(err)
	t.Cleanup(func() { writer.Close() })
	sealer, err := keyring.NewSealer(make([]byte, 32))
	r.must(err)
	ring, err := keyring.Open(t.Context(), reader, sealer)
	r.must(err)
	log, err := audit.Open(t.Context(), audit.Config{
		Reader: reader, Writer: writer, Ring: ring, Issuer: r.http.URL, Node: "n1", Now: time.Now, Fatal: func(err error) { t.Error(err) },
	})
	r.must(err)
	t.Cleanup(log.Close)
	r.reader, r.catalog = reader, catalog.New(reader)
	r.guard = guard.New(guard.Config{
		Issuer: r.http.URL, Log: log, Ring: ring, People: people.New(reader), Agents: agents.New(reader), Lending: lending.New(reader),
		Rules: rules.New(reader), Approvals: approvals.New(reader), Catalog: r.catalog, Clients: clients.New(reader), Tickets: tickets.New(reader), Now: time.Now,
	})
	r.must(r.guard.FirstKey(t.Context()))
	r.must(r.guard.PublishShipped(t.Context(), id.Default))
	r.Gateway, err = New(Config{
		Issuer: r.http.URL, Guard: r.guard, Catalog: r.catalog, StateKey: bytes.Repeat([]byte{7}, 32), Clock: wall{}, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Stdio: true, Dir: t.TempDir(), Path: os.Getenv("PATH"), Lang: "C.UTF-8",
	})
	r.must(err)
	t.Cleanup(r.Gateway.Close)
	r.Mount(mux)
	r.people()
	return r
}

func (r *rig) people() {
	r.t.Helper()
	secret, err := r.guard.BootstrapLink(r.t.Context())
	r.must(err)
	r.priya = r.signIn(secret, "Priya")
	_, secret, err = r.guard.Invite(r.t.Context(), r.priya.caller, "Maya")
	r.must(err)
	r.maya = r.signIn(secret, "")
	_, _, err = r.guard.Bind(r.t.Context(), r.priya.caller, guard.NewBinding{Principal: r.maya.id.String(), Role: "approver"})
	r.must(err)
	_, _, err = r.guard.Bind(r.t.Context(), r.priya.caller, guard.NewBinding{Principal: r.maya.id.String(), Role: "release-manager"})
	r.must(err)
}

func (r *rig) signIn(secret, name string) person {
	r.t.Helper()
	p := person{key: newKey(r.t)}
	url := r.http.URL + "/signin"
	who, _, err := r.guard.SignIn(r.t.Context(), secret, name, "laptop", guard.Credentials{Method: "POST", URL: url, DPoP: []string{r.proof(p.key, "POST", url, "")}, Face: "admin"})
	r.must(err)
	p.id = who.ID
	issued, err := r.guard.PersonToken(r.t.Context(), r.client(p.key, p.id.String()), id.Default, guard.TokenRequest{})
	r.must(err)
	api := r.guard.API(id.Default)
	p.caller, err = r.guard.Authenticate(r.t.Context(), guard.Credentials{
		Method: "POST", URL: api, Authorization: []string{"DPoP " + issued.Token}, DPoP: []string{r.proof(p.key, "POST", api, issued.Token)}, Face: "admin",
	}, api)
	r.must(err)
	return p
}

func (r *rig) proof(key jose.Signer, method, url, access string) string {
	r.t.Helper()
	p, err := dpop.Sign(key, dpop.Claims{Method: method, URL: url, JTI: rand.Text(), Nonce: r.guard.Challenge(), AccessToken: access, IssuedAt: time.Now()})
	r.must(err)
	return p
}

// client authenticates at the token endpoint.
func (r *rig) client(key jose.Signer, sub string) *guard.Client {
	r.t.Helper()
	url := r.http.URL + "/oauth/token"
	assertion, err := token.SignAssertion(key, sub, r.http.URL, rand.Text(), time.Now(), time.Minute)
	r.must(err)
	c, err := r.guard.AuthenticateClient(r.t.Context(), guard.ClientProof{
		Method: "POST", URL: url, Assertion: assertion, DPoP: []string{r.proof(key, "POST", url, "")}, NeedDPoP: true,
	})
	r.must(err)
	return c
}

// agent is an enrolled agent that acts for nobody, with its roles.
type agent struct {
	r   *rig
	id  id.Agent
	key jose.Signer
}

func (r *rig) agent(name string, roles ...string) agent {
	r.t.Helper()
	a, _, err := r.guard.RegisterAgent(r.t.Context(), r.priya.caller, agents.NewAgent{Name: name})
	r.must(err)
	secret, _, err := r.guard.OfferEnrolment(r.t.Context(), r.priya.caller, a.ID)
	r.must(err)
	key, url := newKey(r.t), r.http.URL+"/enrol"
	_, _, err = r.guard.Enrol(r.t.Context(), secret, guard.Credentials{Method: "POST", URL: url, DPoP: []string{r.proof(key, "POST", url, "")}, Face: "admin"})
	r.must(err)
	for _, role := range roles {
		_, _, err := r.guard.Bind(r.t.Context(), r.priya.caller, guard.NewBinding{Principal: a.ID.String(), Role: role})
		r.must(err)
	}
	return agent{r, a.ID, key}
}

// token is one for an MCP server, with these permissions or all.
func (a agent) token(server string, permissions ...string) string {
	a.r.t.Helper()
	req := guard.TokenRequest{Resource: a.r.guard.MCP(id.Default, server)}
	for _, p := range permissions {
		req.Permissions = append(req.Permissions, delegation.Permission{Permission: p})
	}
	issued, err := a.r.guard.ClientCredentials(a.r.t.Context(), a.r.client(a.key, a.id.String()), req)
	a.r.must(err)
	return issued.Token
}

// signing sends requests with a token and a fresh proof each.
type signing struct {
	a     agent
	token string
}

func (s signing) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "DPoP "+s.token)
	req.Header.Set("DPoP", s.a.r.proof(s.a.key, req.Method, req.URL.Scheme+"://"+req.URL.Host+req.URL.Path, s.token))
	return http.DefaultTransport.RoundTrip(req)
}

// connect is the official client, in a revision, with what more the options say.
func (a agent) connect(server, revision string, opts *mcp.ClientOptions, permissions ...string) *mcp.ClientSession {
	a.r.t.Helper()
	s, err := a.tryConnect(server, revision, opts, permissions...)
	a.r.must(err)
	a.r.t.Cleanup(func() { s.Close() })
	return s
}

func (a agent) tryConnect(server, revision string, opts *mcp.ClientOptions, permissions ...string) (*mcp.ClientSession, error) {
	a.r.t.Helper()
	c := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, opts)
	return c.Connect(a.r.t.Context(), &mcp.StreamableClientTransport{
		Endpoint: a.r.guard.MCP(id.Default, server), HTTPClient: &http.Client{Transport: signing{a, a.token(server, permissions...)}},
	}, &mcp.ClientSessionOptions{ProtocolVersion: revision})
}

// register adds a server as an administrator does.
func (r *rig) register(s catalog.Server, name string) {
	r.t.Helper()
	s.Name, s.Workspace = name, id.Default
	offer, err := r.Inspect(r.t.Context(), s)
	r.must(err)
	s.Era = offer.Era
	_, err = r.guard.RegisterServer(r.t.Context(), r.priya.caller, s, offer)
	r.must(err)
}

func (r *rig) publish(cedar string) {
	r.t.Helper()
	_, err := r.guard.Publish(r.t.Context(), r.signed(r.priya), guard.Candidate{Files: []policy.File{{Path: "policies/test.cedar", Text: []byte(cedar)}}})
	r.must(err)
}

// signed is a request of a person's that their key signed as a whole, as publishing takes it.
func (r *rig) signed(p person) *guard.Caller {
	r.t.Helper()
	got, err := r.guard.PersonToken(r.t.Context(), r.client(p.key, p.id.String()), id.Default, guard.TokenRequest{})
	r.must(err)
	h, url := http.Header{}, r.http.URL+"/v1/policy"
	h.Set("Authorization", "DPoP "+got.Token)
	made, err := httpsig.Sign(p.key, httpsig.Request{Method: http.MethodPut, TargetURI: url, Header: h.Values, Body: []byte("{}")},
		httpsig.Params{Audience: r.guard.API(id.Default), Created: time.Now(), Nonce: jose.EncodeBase64([]byte(rand.Text()))})
	r.must(err)
	for name, value := range map[string]string{"Attorn-Audience": made.Audience, "Content-Digest": made.Digest, "Signature-Input": made.Input, "Signature": made.Signature} {
		h.Set(name, value)
	}
	c, err := r.guard.Authenticate(r.t.Context(), guard.Credentials{
		Method: http.MethodPut, URL: url, Authorization: h.Values("Authorization"), DPoP: []string{r.proof(p.key, http.MethodPut, url, got.Token)}, Header: h.Values, Face: "admin",
	}, r.guard.API(id.Default))
	r.must(err)
	r.must(c.CheckBody([]byte("{}")))
	return c
}

// vote is Maya's word on an approval.
func (r *rig) vote(a id.Approval, choice string) {
	r.t.Helper()
	v, err := r.guard.ProposeVote(context.WithoutCancel(r.t.Context()), r.maya.caller, a, choice, "")
	if err != nil {
		r.t.Error(err)
		return
	}
	sv, err := evidence.SignVote(v, r.maya.key)
	if err != nil {
		r.t.Error(err)
		return
	}
	if _, _, err := r.guard.Vote(context.WithoutCancel(r.t.Context()), r.maya.caller, a, sv); err != nil {
		r.t.Error(err)
	}
}

// waiting are the approvals that wait.
func (r *rig) waiting() []id.Approval {
	r.t.Helper()
	all, err := r.guard.ListApprovals(r.t.Context(), r.priya.caller, approvals.Pending, id.Approval{}, 50)
	r.must(err)
	var ids []id.Approval
	for _, a := range all {
		ids = append(ids, a.ID)
	}
	return ids
}

// events lists what the log has of tools, as "kind outcome", the oldest first.
func (r *rig) events() []string {
	r.t.Helper()
	rows, err := r.reader.Rows(r.t.Context(), `SELECT kind, outcome FROM event WHERE kind LIKE 'tool.%' OR kind LIKE 'approval.%' ORDER BY log, seq`)
	r.must(err)
	defer rows.Close()
	var out []string
	for rows.Next() {
		var kind, outcome string
		r.must(rows.Scan(&kind, &outcome))
		out = append(out, kind+" "+outcome)
	}
	return out
}

func (r *rig) count(event string) (n int) {
	r.t.Helper()
	for _, e := range r.events() {
		if e == event {
			n++
		}
	}
	return n
}

// answered is what came back for a raw request.
type answered struct {
	status int
	header http.Header
	body   string
}

// post sends a raw body as a.
func (a agent) post(server, access, body string, headers ...string) answered {
	a.r.t.Helper()
	return a.send("POST", a.r.guard.MCP(id.Default, server), access, body, headers...)
}

func (a agent) send(method, url, access, body string, headers ...string) answered {
	a.r.t.Helper()
	req, err := http.NewRequestWithContext(a.r.t.Context(), method, url, strings.NewReader(body))
	a.r.must(err)
	req.Header.Set("Content-Type", "application/json")
	if access != "" {
		plain, _, _ := strings.Cut(url, "?")
		req.Header.Set("Authorization", "DPoP "+access)
		req.Header.Set("DPoP", a.r.proof(a.key, method, plain, access))
	}
	for i := 0; i < len(headers); i += 2 {
		switch {
		case headers[i] == "Host":
			req.Host = headers[i+1]
		case headers[i+1] == "":
			req.Header.Del(headers[i])
		default:
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	resp, err := http.DefaultClient.Do(req)
	a.r.must(err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	a.r.must(err)
	return answered{resp.StatusCode, resp.Header, string(raw)}
}

// modernCall is a raw tools/call of revision 2026-07-28 with the headers that go with it.
func modernCall(tool, arguments, capabilities, more string) (body string, headers []string) {
	return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + tool + `","arguments":` + arguments + more +
			`,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":` + capabilities + `}}}`,
		[]string{headerVersion, modern, headerMethod, "tools/call", headerName, tool}
}

func text(res *mcp.CallToolResult) string {
	var all []string
	for _, c := range res.Content {
		if t, ok := c.(*mcp.TextContent); ok {
			all = append(all, t.Text)
		}
	}
	return strings.Join(all, "\n")
}

func mustServer(r *rig, name string) catalog.Server {
	r.t.Helper()
	s, err := r.catalog.Server(r.t.Context(), id.Default, name)
	r.must(err)
	return s
}

// serveSDK serves one server that may change while it runs.
func serveSDK(t testing.TB, server *mcp.Server) string {
	t.Helper()
	s := httptest.NewServer(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{Stateless: true}))
	t.Cleanup(s.Close)
	return s.URL
}
