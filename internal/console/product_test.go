package console_test

import (
	"context"
	"crypto/ed25519"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/attorntest"
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

const gate = `
@id("release") @approve("1 of release-manager") @reason("A release manager approves what goes to production.")
forbid (principal, action == Action::"tool:files:write", resource) when { context has args && context.args has path && context.args.path like "production/*" };
`

// The whole product over HTTP: Priya, who has a key and a passkey, lends with the passkey; the agent's call to a real MCP server is held; Maya, who
// has a passkey alone, approves it in the browser; it runs; and the pack proves all of it offline.
func TestPasskeysInTheWholeProduct(t *testing.T) {
	ctx := t.Context()
	server := attorntest.Start(t, attorntest.Config{})
	_, key, err := ed25519.GenerateKey(nil)
	ok(t, err)
	signer, err := jose.NewSigner(key)
	ok(t, err)
	in, err := attorn.SignIn(ctx, attorn.SignInConfig{Server: server.URL, Secret: server.Link, Name: "Priya Nair", Signer: signer})
	ok(t, err)
	priya, err := attorn.NewClient(attorn.ClientConfig{Server: server.URL, User: in.User, Signer: signer})
	ok(t, err)

	link, err := priya.NewLink(ctx, "me")
	ok(t, err)
	hers := newBrowser(t, server.URL)
	hers.open(link.Link)
	invited, err := priya.Invite(ctx, api.NewUser{Name: "Maya Chen"})
	ok(t, err)
	maya := newBrowser(t, server.URL)
	maya.open(invited.Link)
	_, err = priya.Bind(ctx, api.Binding{Principal: invited.ID.String(), Role: "release-manager"})
	ok(t, err)

	resource := addFiles(t, priya)
	_, err = priya.Publish(ctx, api.Publish{Files: []api.PolicyFile{{Path: "policies/release.cedar", Text: gate}}})
	ok(t, err)
	bot := enrol(t, server.URL, priya, "release-bot")

	signed := hers.signStatement(delegation.Statement{
		Version: 1, ID: id.New[id.Delegation](time.Now()), Issuer: server.URL, Workspace: id.Default,
		Delegator: delegation.Delegator{User: in.User}, Delegate: delegation.Delegate{Agent: bot.ID()},
		Permissions: []delegation.Permission{{Permission: "tool:files:write"}}, NotBefore: time.Now().Unix(), ExpiresAt: time.Now().Add(time.Hour).Unix(),
	})
	tampered := signed
	tampered.Statement.MaxDepth = 8
	if _, err := priya.Lend(ctx, tampered); fault.Code(err) != "passkey_challenge" {
		t.Errorf("a tampered statement: %v", err)
	}
	lent, err := priya.Lend(ctx, signed)
	ok(t, err)
	chain, err := priya.Chain(ctx, lent.Statement.ID)
	ok(t, err)
	ok(t, delegation.VerifyChain(chain, published(t, server.URL)))
	if len(chain) != 1 || chain[0].Delegator.Passkey == nil {
		t.Errorf("%+v", chain)
	}
	contains(t, hers.page("/"), lent.Statement.ID.String(), "release-bot")

	done := make(chan error, 1)
	go func() { done <- write(ctx, bot, resource, lent.Statement.ID) }()
	asked := regexp.MustCompile(`href="/approvals/(apr_\w+)"`)
	var found []string
	for found == nil {
		select {
		case err := <-done:
			t.Fatal("the call was not held:", err)
		default:
			found = asked.FindStringSubmatch(maya.page("/"))
		}
	}
	approval := id.Must[id.Approval](found[1])
	if got := hers.vote(approval, "approve", ""); got.status != http.StatusForbidden {
		t.Errorf("Priya votes on her own chain: %d %s", got.status, got.body)
	}
	if got := maya.vote(approval, "approve", "go"); got.status != http.StatusOK {
		t.Fatal(got.body)
	}
	ok(t, <-done)

	events, err := priya.Events(ctx, attorn.EventQuery{Kind: string(evidence.ToolStarted)})
	ok(t, err)
	pack, err := priya.Pack(ctx, events.Items[0].ID)
	ok(t, err)
	trust, err := priya.Trust(ctx)
	ok(t, err)
	report, err := evidence.Verify(pack, trust)
	ok(t, err)
	if !report.OK() {
		t.Error(report.Tree())
	}
	contains(t, hers.page("/events/"+events.Items[0].ID.String()), "Permitted", "with a passkey", "Did it happen, exactly like this?")
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v (%s)", err, fault.Code(err))
	}
}

// open uses a one-time link as app.js does, and makes a passkey.
func (b *browser) open(link string) {
	b.t.Helper()
	_, secret, _ := strings.Cut(link, "#")
	if got := b.form("/signin/link", "secret", secret); got.status != http.StatusSeeOther {
		b.t.Fatalf("the link: %d %s", got.status, got.body)
	}
	b.makePasskey()
}

func (b *browser) signStatement(st delegation.Statement) delegation.Signed {
	b.t.Helper()
	digest, err := st.Digest()
	ok(b.t, err)
	raw := digest.Bytes()
	a := b.key.Assert(raw[:], "localhost", b.base)
	return delegation.Signed{Statement: st, Signature: delegation.Signature{Type: delegation.ByPasskey, Passkey: &a}}
}

// addFiles puts an MCP server with a tool "write" behind the gateway, and returns its address there.
func addFiles(t *testing.T, by *attorn.Client) string {
	t.Helper()
	type args struct {
		Path string `json:"path"`
	}
	files := mcp.NewServer(&mcp.Implementation{Name: "files", Version: "1"}, nil)
	mcp.AddTool(files, &mcp.Tool{Name: "write", Description: "Write a file"}, func(context.Context, *mcp.CallToolRequest, args) (*mcp.CallToolResult, any, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "written"}}}, nil, nil
	})
	up := httptest.NewServer(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return files }, nil))
	t.Cleanup(up.Close)
	made, err := by.AddServer(t.Context(), api.NewServer{Name: "files", URL: up.URL, AllowPrivate: true})
	ok(t, err)
	return made.Resource
}

func enrol(t *testing.T, server string, by *attorn.Client, name string) *attorn.Agent {
	t.Helper()
	a, err := by.CreateAgent(t.Context(), api.NewAgent{Name: name})
	ok(t, err)
	_, err = by.Bind(t.Context(), api.Binding{Principal: a.ID.String(), Role: "tool-user"})
	ok(t, err)
	offer, err := by.OfferEnrolment(t.Context(), a.ID)
	ok(t, err)
	agent, err := attorn.Enrol(t.Context(), attorn.EnrolConfig{Server: server, Token: offer.Token, KeyFile: filepath.Join(t.TempDir(), name+".jwk")})
	ok(t, err)
	return agent
}

// write calls the tool as an agent under a delegation, through an MCP client that other people wrote.
func write(ctx context.Context, a *attorn.Agent, resource string, under id.Delegation) error {
	hc := &http.Client{Transport: a.Transport(nil, resource, attorn.TokenRequest{Delegation: under.String()})}
	s, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil).
		Connect(ctx, &mcp.StreamableClientTransport{Endpoint: resource, HTTPClient: hc}, nil)
	if err != nil {
		return err
	}
	defer s.Close()
	got, err := s.CallTool(ctx, &mcp.CallToolParams{Name: "write", Arguments: map[string]any{"path": "production/a"}})
	if err == nil && got.IsError {
		err = fault.New(fault.Denied, "tool", "%v", got.Content[0])
	}
	return err
}

// published are the issuer's keys, as anybody gets them.
func published(t *testing.T, server string) func(id.Key) (jose.PublicKey, bool) {
	t.Helper()
	got := newBrowser(t, server).get("/oauth/jwks")
	var set struct {
		Keys []struct {
			KTY string `json:"kty"`
			CRV string `json:"crv"`
			X   string `json:"x"`
		} `json:"keys"`
	}
	ok(t, json.Unmarshal([]byte(got.body), &set))
	return func(kid id.Key) (jose.PublicKey, bool) {
		for _, k := range set.Keys {
			raw, err := json.Marshal(k)
			ok(t, err)
			key, err := jose.ParseJWK(raw)
			ok(t, err)
			if key.Thumbprint() == kid {
				return key, true
			}
		}
		return jose.PublicKey{}, false
	}
}
