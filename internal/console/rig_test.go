package console_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/dpop"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/approvals"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/catalog"
	"github.com/attorn/attorn/internal/clients"
	"github.com/attorn/attorn/internal/console"
	"github.com/attorn/attorn/internal/db"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/explain"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/keyring"
	"github.com/attorn/attorn/internal/lending"
	"github.com/attorn/attorn/internal/oauth"
	"github.com/attorn/attorn/internal/people"
	"github.com/attorn/attorn/internal/rules"
	"github.com/attorn/attorn/internal/tickets"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/policy"
	"github.com/attorn/attorn/token"
)

// rig is the console on a listener, over the real door and rooms, with a clock that tests turn.
type rig struct {
	*guard.Guard
	t       testing.TB
	log     *audit.Log
	explain *explain.Explainer
	url     string
	apps    webPages      // the metadata of apps
	clock   *atomic.Int64 // microseconds; nil is the machine's
}

// webPages are other people's documents, by their addresses.
type webPages map[string]string

// Fetch implements guard.Fetcher: there are no documents of other issuers.
func (webPages) Fetch(context.Context, string, bool) ([]byte, time.Duration, error) {
	return nil, 0, fault.New(fault.Unavailable, "fetch_refused", "there is nothing")
}

// Metadata implements guard.Fetcher.
func (w webPages) Metadata(_ context.Context, url string) ([]byte, time.Duration, error) {
	if doc, ok := w[url]; ok {
		return []byte(doc), 0, nil
	}
	return nil, 0, fault.New(fault.Unavailable, "fetch_refused", "there is nothing")
}

func newRig(t testing.TB, upstreams ...console.Upstream) *rig {
	t.Helper()
	r := &rig{t: t, clock: &atomic.Int64{}}
	r.clock.Store(time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC).UnixMicro())
	return r.serve(listen(t), upstreams)
}

// newLiveRig is a rig with the clock of the machine, for providers that have no other.
func newLiveRig(t testing.TB, l net.Listener, upstreams ...console.Upstream) *rig {
	t.Helper()
	return (&rig{t: t}).serve(l, upstreams)
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func portOf(l net.Listener) string { return fmt.Sprint(l.Addr().(*net.TCPAddr).Port) }

func (r *rig) serve(l net.Listener, upstreams []console.Upstream) *rig {
	t := r.t
	t.Helper()
	r.url, r.apps = "http://localhost:"+portOf(l), webPages{}

	reader, writer, err := db.Open(t.Context(), dbtest.SQLite(t))
	r.ok(err)
	t.Cleanup(func() { writer.Close() })
	sealer, err := keyring.NewSealer(make([]byte, 32))
	r.ok(err)
	ring, err := keyring.Open(t.Context(), reader, sealer)
	r.ok(err)
	r.log, err = audit.Open(t.Context(), audit.Config{Reader: reader, Writer: writer, Ring: ring, Issuer: r.url, Node: "n1", Now: r.now})
	r.ok(err)
	t.Cleanup(r.log.Close)
	r.Guard = guard.New(guard.Config{
		Issuer: r.url, Log: r.log, Ring: ring, People: people.New(reader), Agents: agents.New(reader), Lending: lending.New(reader), Rules: rules.New(reader),
		Approvals: approvals.New(reader), Catalog: catalog.New(reader), Clients: clients.New(reader), Tickets: tickets.New(reader), Now: r.now, Fetch: r.apps,
	})
	r.ok(r.FirstKey(t.Context()))
	r.ok(r.PublishShipped(t.Context(), id.Default))

	r.explain = explain.New(explain.Config{
		Issuer: r.url, Log: r.log, People: r.People, Agents: r.Agents, Lending: r.Lending, Rules: r.Rules, Catalog: r.Catalog, Clients: r.Clients, Now: r.now,
		Signer: r.Signer,
	})
	mux := http.NewServeMux()
	oauth.Mount(mux, oauth.Config{Issuer: r.url, Guard: r.Guard, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	console.Mount(mux, console.Config{Issuer: r.url, Guard: r.Guard, Explain: r.explain, Upstreams: upstreams, Now: r.now, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	server := httptest.NewUnstartedServer(mux)
	server.Listener.Close()
	server.Listener = l
	server.Start()
	t.Cleanup(server.Close)
	return r
}

func (r *rig) now() time.Time {
	if r.clock == nil {
		return time.Now()
	}
	return time.UnixMicro(r.clock.Load()).UTC()
}

func (r *rig) pass(d time.Duration) { r.clock.Add(d.Microseconds()) }

func (r *rig) ok(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// bot is an agent with one instance.
type bot struct {
	*rig
	signer jose.Signer
	id     id.Agent
}

// register makes an agent of the person's and enrols an instance.
func (p *person) register(name, description string) *bot {
	p.t.Helper()
	a, _, err := p.RegisterAgent(p.t.Context(), p.caller(), agents.NewAgent{Name: name, Description: description})
	p.ok(err)
	return p.enrol(a)
}

func (p *person) enrol(a agents.Agent) *bot {
	p.t.Helper()
	secret, _, err := p.OfferEnrolment(p.t.Context(), p.caller(), a.ID)
	p.ok(err)
	_, key, err := ed25519.GenerateKey(nil)
	p.ok(err)
	s, err := jose.NewSigner(key)
	p.ok(err)
	b := &bot{p.rig, s, a.ID}
	_, _, err = p.Enrol(p.t.Context(), secret, guard.Credentials{Method: "POST", URL: p.url + "/v1/enrol", DPoP: []string{b.proof(p.url+"/v1/enrol", "")}, Face: "admin"})
	p.ok(err)
	return b
}

func (b *bot) proof(url, access string) string {
	b.t.Helper()
	raw, err := dpop.Sign(b.signer, dpop.Claims{Method: "POST", URL: url, JTI: rand.Text(), Nonce: b.Challenge(), AccessToken: access, IssuedAt: b.now()})
	b.ok(err)
	return raw
}

// terms are those of a statement.
type terms struct {
	uses    int64
	depth   int
	ttl     time.Duration
	task    string
	purpose string
}

func (r *rig) statement(to *bot, t terms, permissions []delegation.Permission) delegation.Statement {
	st := delegation.Statement{
		Version: 1, ID: id.New[id.Delegation](r.now()), Issuer: r.url, Workspace: id.Default, Delegate: delegation.Delegate{Agent: to.id}, Permissions: permissions,
		NotBefore: r.now().Unix(), ExpiresAt: r.now().Add(t.ttl).Unix(), MaxDepth: t.depth, Task: t.task, Purpose: t.purpose,
	}
	if t.uses > 0 {
		st.MaxUses = &t.uses
	}
	return st
}

// lend signs with the person's passkey.
func (p *person) lend(to *bot, t terms, permissions ...delegation.Permission) *delegation.Link {
	p.t.Helper()
	st := p.statement(to, t, permissions)
	st.Delegator.User = p.id
	digest, err := st.Digest()
	p.ok(err)
	raw := digest.Bytes()
	a := p.key.Assert(raw[:], "localhost", p.url)
	link, err := p.Lend(p.t.Context(), p.caller(), delegation.Signed{Statement: st, Signature: delegation.Signature{Type: delegation.ByPasskey, Passkey: &a}})
	p.ok(err)
	return &link
}

func (b *bot) lend(to *bot, under *delegation.Link, t terms, permissions ...delegation.Permission) *delegation.Link {
	b.t.Helper()
	st := b.statement(to, t, permissions)
	parent, err := under.Statement.Digest()
	b.ok(err)
	st.Parent, st.Delegator = &parent, delegation.Delegator{Agent: b.id, Instance: b.signer.Public().Thumbprint()}
	signed, err := delegation.Sign(st, b.signer)
	b.ok(err)
	issued, err := b.ClientCredentials(b.t.Context(), b.client(), guard.TokenRequest{})
	b.ok(err)
	link, err := b.Lend(b.t.Context(), b.present(issued.Token, b.url+"/api", b.url+"/v1/delegations"), signed)
	b.ok(err)
	return &link
}

// client authenticates at the token endpoint.
func (b *bot) client() *guard.Client {
	b.t.Helper()
	assertion, err := token.SignAssertion(b.signer, b.id.String(), b.url, rand.Text(), b.now(), time.Minute)
	b.ok(err)
	url := b.url + "/oauth/token"
	c, err := b.AuthenticateClient(b.t.Context(), guard.ClientProof{Method: "POST", URL: url, Assertion: assertion, DPoP: []string{b.proof(url, "")}, NeedDPoP: true})
	b.ok(err)
	return c
}

func (b *bot) present(access, audience, url string) *guard.Caller {
	b.t.Helper()
	c, err := b.Authenticate(b.t.Context(), guard.Credentials{
		Method: "POST", URL: url, Authorization: []string{"DPoP " + access}, DPoP: []string{b.proof(url, access)}, IP: "203.0.113.7", Face: "gateway",
	}, audience)
	b.ok(err)
	return c
}

// call asks for a tool of the MCP server files, under a delegation.
func (b *bot) call(link *delegation.Link, tool, args string) guard.Verdict {
	b.t.Helper()
	got, err := b.Exchange(b.t.Context(), b.client(), guard.TokenRequest{Resource: b.url + "/mcp/files", Subject: link.String(), SubjectType: guard.TypeDelegation})
	b.ok(err)
	raw, err := jose.CanonicalRaw([]byte(args), jose.Limits{})
	b.ok(err)
	t, err := b.Catalog.Callable(b.t.Context(), id.Default, "files", tool)
	b.ok(err)
	digest, err := evidence.CallDigest(evidence.Call{Server: b.url + "/mcp/files", Method: "tools/call", Name: tool, Arguments: raw, Definition: t.Pin})
	b.ok(err)
	v, err := b.Start(b.t.Context(), b.present(got.Token, b.url+"/mcp/files", b.url+"/mcp/files"), guard.Call{
		Server: "files", Method: "tools/call", Tool: tool, Action: "tool:files:" + tool, Class: t.Class, Arguments: raw, Pin: t.Pin,
		Digest: digest, Protocol: "2025-11-25",
	})
	b.ok(err)
	return v
}

// addFiles registers an MCP server with three tools, and policies that ask before production is written to.
func (p *person) addFiles(rules string) {
	p.t.Helper()
	offer := catalog.Offer{Era: catalog.Legacy}
	for _, name := range []string{"read_file", "write_file", "wipe"} {
		item, err := catalog.ReadItem(catalog.KindTool, fmt.Appendf(nil,
			`{"name":%q,"description":"d","inputSchema":{"type":"object","properties":{"path":{"type":"string"},"content":{"type":"string"}},"required":["path"]}}`, name))
		p.ok(err)
		offer.Items = append(offer.Items, item)
	}
	_, err := p.RegisterServer(p.t.Context(), p.caller(), catalog.Server{Name: "files", Transport: "stdio", Command: []string{"files"}}, offer)
	p.ok(err)
	p.publish(rules)
}

// publish replaces the live policy, as the person does at the command line.
func (p *person) publish(rules string) {
	p.t.Helper()
	set, problems := policy.Compile(append(policy.Shipped(), policy.File{Path: "policies/story.cedar", Text: []byte(rules)}))
	if set == nil {
		p.t.Fatal(problems)
	}
	d := evidence.Draft{Workspace: id.Default, Target: "policy", Person: p.id, Content: []evidence.Content{evidence.ContentOf(set.Manifest())}}
	for _, f := range set.Files() {
		d.Content = append(d.Content, evidence.ContentOf(f.Text))
	}
	d.Kind, d.Outcome, d.Who.Sub, d.Where.Face = evidence.PolicyPublished, evidence.OK, p.id.String(), "admin"
	d.What = &evidence.What{Bundle: set.Digest()}
	d.Did = &evidence.Did{Action: "attorn:policy:publish", Resource: evidence.Resource{Type: "Noun", ID: "policy"}}
	_, err := p.log.Record(p.t.Context(), d, func(tx *audit.Tx) error { return p.Rules.Publish(tx, id.Default, set, id.Digest{}) })
	p.ok(err)
}
