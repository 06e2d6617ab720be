package attorn_test

import (
	"context"
	"crypto/ed25519"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/attorntest"
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/jose"
)

// world is the product, with Priya, its first administrator, and an MCP server behind it that writes nothing.
type world struct {
	*attorntest.Server
	t     *testing.T
	priya *attorn.Client
	wrote []string // paths that reached the MCP server
}

const gate = `
@id("release")
@approve("1 of release-manager")
@ttl("10m")
@reason("A release manager approves what goes to production.")
forbid (principal, action == Action::"tool:files:write", resource)
when { context has args && context.args has path && context.args.path like "production/*" };
`

func start(t *testing.T) *world {
	t.Helper()
	w := &world{Server: attorntest.Start(t, attorntest.Config{}), t: t}
	w.priya = w.signIn(w.Link, "Priya Nair")
	return w
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

func (w *world) signIn(secret, name string) *attorn.Client {
	w.t.Helper()
	s := newSigner(w.t)
	in, err := attorn.SignIn(w.t.Context(), attorn.SignInConfig{Server: w.URL, Secret: secret, Name: name, Signer: s})
	if err != nil {
		w.t.Fatal(err)
	}
	if in.Key != s.Public().Thumbprint() {
		w.t.Fatalf("signed in with key %s", in.Key)
	}
	return must[*attorn.Client](w.t)(attorn.NewClient(attorn.ClientConfig{Server: w.URL, User: in.User, Signer: s}))
}

// must fails the test on an error.
func must[T any](t testing.TB) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatalf("%v (%s)", err, fault.Code(err))
		}
		return v
	}
}

// refused demands a refusal with a code.
func refused(t testing.TB, code string, err error) {
	t.Helper()
	if fault.Code(err) != code {
		t.Errorf("got %q (%v), want %q", fault.Code(err), err, code)
	}
}

// person invites somebody and signs them in.
func (w *world) person(name string) *attorn.Client {
	w.t.Helper()
	u := must[api.User](w.t)(w.priya.Invite(w.t.Context(), api.NewUser{Name: name}))
	return w.signIn(u.Link, "")
}

// agentWithKey is agent, with its key for tests that sign by themselves.
func (w *world) agentWithKey(name string) (*attorn.Agent, jose.Signer) {
	w.t.Helper()
	a, path := w.enrolled(name)
	key := must[jose.Signer](w.t)(attorn.OpenKeyFile(path))
	return a, key
}

// agent registers and enrols one.
func (w *world) agent(name string) *attorn.Agent {
	w.t.Helper()
	a, _ := w.enrolled(name)
	return a
}

func (w *world) enrolled(name string) (*attorn.Agent, string) {
	w.t.Helper()
	ctx := w.t.Context()
	a := must[api.Agent](w.t)(w.priya.CreateAgent(ctx, api.NewAgent{Name: name}))
	offer := must[api.Enrolment](w.t)(w.priya.OfferEnrolment(ctx, a.ID))
	path := filepath.Join(w.t.TempDir(), name+".jwk")
	return must[*attorn.Agent](w.t)(attorn.Enrol(ctx, attorn.EnrolConfig{Server: w.URL, Token: offer.Token, KeyFile: path})), path
}

type writeArgs struct {
	Path string `json:"path"`
}

// files puts an MCP server with a tool "write" behind the gateway.
func (w *world) files() api.Server {
	w.t.Helper()
	srv := mcp.NewServer(&mcp.Implementation{Name: "files", Version: "1"}, nil)
	mcp.AddTool(srv, &mcp.Tool{Name: "write", Description: "Write a file"}, func(_ context.Context, _ *mcp.CallToolRequest, in writeArgs) (*mcp.CallToolResult, any, error) {
		w.wrote = append(w.wrote, in.Path)
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "written"}}}, nil, nil
	})
	up := httptest.NewServer(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return srv }, nil))
	w.t.Cleanup(up.Close)
	return must[api.Server](w.t)(w.priya.AddServer(w.t.Context(), api.NewServer{Name: "files", URL: up.URL, AllowPrivate: true}))
}

func write(prefixes ...string) []delegation.Permission {
	var ps []delegation.Permission
	for _, p := range prefixes {
		ps = append(ps, delegation.Permission{Permission: "tool:files:write", Where: map[string]delegation.Constraint{"path": {Prefix: &p}}})
	}
	return ps
}

// call writes a path as an agent under a delegation, through an MCP client that other people wrote.
func (w *world) call(a *attorn.Agent, server api.Server, dlg delegation.Link, path string) (*mcp.CallToolResult, error) {
	w.t.Helper()
	hc := &http.Client{Transport: a.Transport(nil, server.Resource, attorn.TokenRequest{Delegation: dlg.Statement.ID.String()})}
	c := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	s, err := c.Connect(w.t.Context(), &mcp.StreamableClientTransport{Endpoint: server.Resource, HTTPClient: hc}, nil)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return s.CallTool(w.t.Context(), &mcp.CallToolParams{Name: "write", Arguments: map[string]any{"path": path}})
}

// The spine through the SDK: lend, lend on, call, ask, approve, call once, explain, prove, revoke.
func TestStory(t *testing.T) {
	w := start(t)
	ctx := t.Context()
	maya := w.person("Maya Chen")
	bot, deployer := w.agent("release-bot"), w.agent("deployer")
	server := w.files()
	must[api.Published](t)(w.priya.Publish(ctx, api.Publish{Files: []api.PolicyFile{{Path: "policies/release.cedar", Text: gate}}}))
	for principal, role := range map[string]string{bot.ID().String(): "tool-user", deployer.ID().String(): "tool-user", maya.User().String(): "release-manager"} {
		must[api.Bound](t)(w.priya.Bind(ctx, api.Binding{Principal: principal, Role: role}))
	}

	root := must[delegation.Link](t)(w.priya.Delegate(ctx, "release-bot", attorn.Lend{Permissions: write("staging/", "production/"), TTL: 2 * time.Hour, Depth: 2}))
	child := must[delegation.Link](t)(bot.Delegate(ctx, "deployer", attorn.Lend{
		Permissions: write("staging/", "production/"), Uses: 10, Task: "REL-1", Parent: root.Statement.ID.String(),
	}))
	lent := must[[]api.Delegation](t)(deployer.Delegations(ctx))
	if len(lent) != 1 || lent[0].ID != child.Statement.ID || lent[0].Parent != root.Statement.ID {
		t.Fatalf("lent to deployer: %v", lent)
	}

	if res := must[*mcp.CallToolResult](t)(w.call(deployer, server, child, "staging/a")); res.IsError {
		t.Fatal("staging:", res.Content[0])
	}
	type called struct {
		res *mcp.CallToolResult
		err error
	}
	done := make(chan called, 1)
	go func() {
		res, err := w.call(deployer, server, child, "production/a")
		done <- called{res, err}
	}()
	var shown api.Approval
	for shown.ID.IsZero() {
		select {
		case got := <-done:
			t.Fatal("the call was not held:", got.err, got.res)
		case <-time.After(20 * time.Millisecond):
		}
		if l := must[api.List[api.Approval]](t)(maya.Approvals(ctx, "", attorn.Page{})); len(l.Items) > 0 {
			shown = l.Items[0]
		}
	}
	_, err := w.priya.Vote(ctx, shown, evidence.Approve, "")
	refused(t, "four_eyes", err)
	after := must[api.Approval](t)(maya.Vote(ctx, shown, evidence.Approve, "looks right"))
	if after.Status != "approved" {
		t.Fatal("after the vote:", after.Status)
	}
	var got called
	select {
	case got = <-done:
	case <-time.After(30 * time.Second):
		t.Fatal("the held call never ended")
	}
	if got.err != nil || got.res.IsError {
		t.Fatal(got.err, got.res)
	}
	if len(w.wrote) != 2 || w.wrote[1] != "production/a" {
		t.Fatalf("the server wrote %v", w.wrote)
	}

	events := must[api.List[api.Event]](t)(w.priya.Events(ctx, attorn.EventQuery{Kind: string(evidence.ToolStarted), Person: "me"}))
	why := must[api.Answer](t)(w.priya.Why(ctx, events.Items[0].ID))
	if len(why.Chain) != 3 || why.Report == nil || !why.Report.OK() {
		t.Errorf("why: %+v\n%s", why, why.Report.Tree())
	}
	pack := must[[]byte](t)(w.priya.Pack(ctx, events.Items[0].ID))
	trust := must[[]byte](t)(w.priya.Trust(ctx))
	if report := must[*evidence.Report](t)(evidence.Verify(pack, trust)); !report.OK() {
		t.Errorf("the pack: %s", report.Tree())
	}

	ended := must[api.Ended](t)(w.priya.RevokeDelegation(ctx, root.Statement.ID, "the release is out"))
	if len(ended.Delegations) != 2 {
		t.Errorf("revoking ended %v", ended.Delegations)
	}
	if res, err := w.call(deployer, server, child, "staging/b"); err == nil && !res.IsError {
		t.Error("a call after the revocation was permitted")
	}
	if len(w.wrote) != 2 {
		t.Errorf("the server wrote %v", w.wrote)
	}
}
