package oauth_test

import (
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/dpop"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/approvals"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/catalog"
	"github.com/attorn/attorn/internal/clients"
	"github.com/attorn/attorn/internal/db"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/keyring"
	"github.com/attorn/attorn/internal/lending"
	"github.com/attorn/attorn/internal/oauth"
	"github.com/attorn/attorn/internal/people"
	"github.com/attorn/attorn/internal/rules"
	"github.com/attorn/attorn/internal/tickets"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

const (
	flowIssuer   = "http://localhost:7070"
	filesURL     = flowIssuer + "/mcp/files"
	callback     = "http://127.0.0.1:5173/callback"
	codeVerifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636 appendix B
	codeS256     = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	desktopApp   = `{"client_name":"Desktop","redirect_uris":["http://127.0.0.1/callback","https://app.example/cb?x=1"],"grant_types":["authorization_code","refresh_token"]}`
)

// node is one process of the server: its door, and its authorization server.
type node struct {
	*guard.Guard
	http.Handler
	log *audit.Log
}

// flow is a server of one or several processes, with a person in a browser and an app of theirs.
type flow struct {
	t     testing.TB
	nodes []node
	clock *atomic.Int64
	priya *guard.Caller
	user  id.User
	cookie,
	app string
	signer jose.Signer // the app's DPoP key
}

func (f *flow) now() time.Time       { return time.UnixMicro(f.clock.Load()) }
func (f *flow) pass(d time.Duration) { f.clock.Add(d.Microseconds()) }

func (f *flow) ok(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func startFlow(t testing.TB, dsn string) *flow {
	t.Helper()
	f := &flow{t: t, clock: &atomic.Int64{}, signer: newSigner(t)}
	f.clock.Store(time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC).UnixMicro())
	f.nodes = []node{f.node(dsn)}
	g := f.nodes[0]
	f.ok(g.FirstKey(t.Context()))
	f.ok(g.PublishShipped(t.Context(), id.Default))
	if !strings.HasPrefix(dsn, "sqlite:") {
		f.nodes = append(f.nodes, f.node(dsn))
	}
	secret, err := g.BootstrapLink(t.Context())
	f.ok(err)
	session, p, _, err := g.SignInPage(t.Context(), secret, "Priya Nair", "")
	f.ok(err)
	f.cookie, f.user = session, p.ID
	f.priya, _, err = g.Session(t.Context(), session, id.Default, "")
	f.ok(err)
	offer := catalog.Offer{Era: catalog.Legacy}
	for _, name := range []string{"read", "write"} {
		item, err := catalog.ReadItem(catalog.KindTool, fmt.Appendf(nil, `{"name":%q,"description":"d","inputSchema":{"type":"object"}}`, name))
		f.ok(err)
		offer.Items = append(offer.Items, item)
	}
	for _, name := range []string{"files", "wiki"} {
		_, err = g.RegisterServer(t.Context(), f.priya, catalog.Server{Name: name, Transport: "stdio", Command: []string{name}}, offer)
		f.ok(err)
	}
	f.app = f.register(desktopApp)
	return f
}

func (f *flow) node(dsn string) node {
	t := f.t
	reader, writer, err := db.Open(t.Context(), dsn)
	f.ok(err)
	t.Cleanup(func() { writer.Close() })
	sealer, err := keyring.NewSealer(make([]byte, 32))
	f.ok(err)
	ring, err := keyring.Open(t.Context(), reader, sealer)
	f.ok(err)
	log, err := audit.Open(t.Context(), audit.Config{Reader: reader, Writer: writer, Ring: ring, Issuer: flowIssuer, Node: "n", Now: f.now})
	f.ok(err)
	t.Cleanup(log.Close)
	g := guard.New(guard.Config{
		Issuer: flowIssuer, Log: log, Ring: ring, People: people.New(reader), Agents: agents.New(reader), Lending: lending.New(reader), Rules: rules.New(reader),
		Approvals: approvals.New(reader), Catalog: catalog.New(reader), Clients: clients.New(reader), Tickets: tickets.New(reader), Now: f.now,
	})
	mux := http.NewServeMux()
	oauth.Mount(mux, oauth.Config{Issuer: flowIssuer, Guard: g, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	return node{g, mux, log}
}

// register is an app that says what metadata says.
func (f *flow) register(metadata string) string {
	f.t.Helper()
	m, err := clients.ParseRegistration([]byte(metadata))
	f.ok(err)
	app := id.New[id.App](f.now())
	d := evidence.Draft{Workspace: id.Default}
	d.Kind, d.Outcome, d.Who.Sub, d.Where.Face = evidence.ClientRegistered, evidence.OK, evidence.ServerSub, "test"
	_, err = f.nodes[0].log.Record(f.t.Context(), d, func(tx *audit.Tx) error {
		_, err := f.nodes[0].Clients.RegisterApp(tx, app, id.Default, m)
		return err
	})
	f.ok(err)
	return app.String()
}

// bearer lets the workspace's apps have tokens without a key, or takes that away.
func (f *flow) bearer(allow bool) {
	f.t.Helper()
	d := evidence.Draft{Workspace: id.Default}
	d.Kind, d.Outcome, d.Who.Sub, d.Where.Face, d.What = evidence.ClientChanged, evidence.OK, evidence.ServerSub, "test", &evidence.What{Client: "*"}
	_, err := f.nodes[0].log.Record(f.t.Context(), d, func(tx *audit.Tx) error {
		return f.nodes[0].Clients.SetRule(tx, clients.Rule{Workspace: id.Default, Client: "*", Allow: true, Bearer: allow})
	})
	f.ok(err)
}

func (f *flow) serve(n int, method, target, body string, header http.Header) answer {
	r := httptest.NewRequest(method, flowIssuer+target, strings.NewReader(body))
	r.RemoteAddr = "203.0.113.7:4711"
	for name, values := range header {
		r.Header[name] = values
	}
	if body != "" && r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	w := httptest.NewRecorder()
	f.nodes[n%len(f.nodes)].ServeHTTP(w, r)
	got := answer{status: w.Code, header: w.Header(), raw: w.Body.Bytes()}
	if w.Header().Get("Content-Type") == "application/json" {
		if err := json.Unmarshal(got.raw, &got.body); err != nil {
			f.t.Error(err)
		}
	}
	return got
}

// query is a good authorization request of the app's, changed.
func (f *flow) query(changes ...string) url.Values {
	q := url.Values{
		"response_type": {"code"}, "client_id": {f.app}, "redirect_uri": {callback}, "code_challenge": {codeS256}, "code_challenge_method": {"S256"},
		"resource": {filesURL}, "scope": {"tool:files:read"}, "state": {"s t&=ä"},
	}
	for i := 0; i < len(changes); i += 2 {
		if q.Del(changes[i]); changes[i+1] != "" {
			q.Set(changes[i], changes[i+1])
		}
	}
	return q
}

// asks opens the page that a request leads to, and returns its handle.
func (f *flow) asks(q url.Values) string {
	f.t.Helper()
	got := f.serve(0, "GET", "/oauth/authorize?"+q.Encode(), "", nil)
	handle, ok := strings.CutPrefix(got.header.Get("Location"), flowIssuer+"/consent/")
	if got.status != 303 || !ok || len(handle) != 43 {
		f.t.Fatalf("%d %v %s", got.status, got.header, got.raw)
	}
	return handle
}

// consents says yes to all of it, and returns the resume handle.
func (f *flow) consents(handle string) string {
	f.t.Helper()
	x, err := f.nodes[0].Consent(f.t.Context(), f.priya, handle)
	f.ok(err)
	ch := guard.ConsentChoice{Depth: x.Request.Task.MaxDepth, MayAct: !x.Request.Task.Delegate.IsZero()}
	for n := range x.Request.Permissions {
		ch.Keep = append(ch.Keep, n)
	}
	resume, err := f.nodes[0].GiveConsentAttested(f.t.Context(), f.priya, handle, ch)
	f.ok(err)
	return resume
}

func (f *flow) resume(n int, handle, cookie string) answer {
	return f.serve(n, "GET", "/oauth/resume/"+handle, "", http.Header{"Cookie": {"attorn-dev=" + cookie}})
}

// code goes the whole way up to a code.
func (f *flow) code(q url.Values) string {
	f.t.Helper()
	got := f.resume(0, f.consents(f.asks(q)), f.cookie)
	to, err := url.Parse(got.header.Get("Location"))
	f.ok(err)
	if got.status != 303 || to.Query().Get("code") == "" || to.Query().Get("iss") != flowIssuer || to.Query().Get("state") != q.Get("state") {
		f.t.Fatalf("%d %v %s", got.status, got.header, got.raw)
	}
	return to.Query().Get("code")
}

func (f *flow) proof(s jose.Signer, path string) string {
	return f.proofAt(s, "POST", path, f.nodes[0].Challenge(), "")
}

func (f *flow) proofAt(s jose.Signer, method, path, nonce, access string) string {
	raw, err := dpop.Sign(s, dpop.Claims{Method: method, URL: flowIssuer + path, JTI: rand.Text(), Nonce: nonce, AccessToken: access, IssuedAt: f.now()})
	if err != nil {
		f.t.Error(err)
	}
	return raw
}

// token asks a node for one; proof "" sends none.
func (f *flow) token(n int, form url.Values, proof string) answer {
	h := http.Header{}
	if proof != "" {
		h["Dpop"] = []string{proof}
	}
	return f.serve(n, "POST", "/oauth/token", form.Encode(), h)
}

// redeem is a good redemption of a code, changed.
func (f *flow) redeem(code string, changes ...string) url.Values {
	v := url.Values{"grant_type": {"authorization_code"}, "client_id": {f.app}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {codeVerifier}}
	for i := 0; i < len(changes); i += 2 {
		if v.Del(changes[i]); changes[i+1] != "" {
			v.Set(changes[i], changes[i+1])
		}
	}
	return v
}

func (f *flow) refresh(rt string, changes ...string) url.Values {
	v := url.Values{"grant_type": {"refresh_token"}, "client_id": {f.app}, "refresh_token": {rt}}
	for i := 0; i < len(changes); i += 2 {
		v.Set(changes[i], changes[i+1])
	}
	return v
}

// bound gets tokens by the app's key.
func (f *flow) bound(form url.Values) answer {
	return f.token(0, form, f.proof(f.signer, tokenPath))
}

// good is bound where tokens must come.
func (f *flow) good(form url.Values) answer {
	f.t.Helper()
	got := f.bound(form)
	if got.status != 200 {
		f.t.Fatalf("%d %s", got.status, got.raw)
	}
	return got
}

func (f *flow) claims(a answer) token.Claims {
	f.t.Helper()
	set := f.serve(0, "GET", "/oauth/jwks", "", nil)
	c, err := token.Verify(a.text("access_token"), keysOf(f.t, set.raw), token.Want{Issuer: flowIssuer, AnyAudience: true, Now: f.now()})
	f.ok(err)
	return c
}

// call shows a token at the MCP server, and returns why it is not good.
func (f *flow) call(a answer) error {
	f.t.Helper()
	raw := a.text("access_token")
	cr := guard.Credentials{Method: "POST", URL: filesURL, Authorization: []string{a.text("token_type") + " " + raw}, Face: "gateway"}
	if a.text("token_type") == "DPoP" {
		cr.DPoP = []string{f.proofAt(f.signer, "POST", "/mcp/files", "", raw)}
	}
	c, err := f.nodes[0].Authenticate(f.t.Context(), cr, filesURL)
	if err != nil {
		return err
	}
	return f.nodes[0].Self(f.t.Context(), c)
}

func (f *flow) newest(kind evidence.Kind) audit.Entry {
	f.t.Helper()
	found, err := f.nodes[0].log.Search(f.t.Context(), id.Default, audit.Filter{Kind: kind, Limit: 1})
	f.ok(err)
	if len(found) == 0 {
		return audit.Entry{}
	}
	return found[0]
}

func (f *flow) live(d id.Delegation) bool {
	f.t.Helper()
	got, err := f.nodes[0].Lending.Get(f.t.Context(), id.Default, d)
	f.ok(err)
	return got.StatusAt(f.now()) == lending.Active
}

// agent registers one with an instance, which is a client of its own.
func (f *flow) agent(name string) (id.Agent, jose.Signer) {
	f.t.Helper()
	g, s := f.nodes[0], newSigner(f.t)
	a, _, err := g.RegisterAgent(f.t.Context(), f.priya, agents.NewAgent{Name: name})
	f.ok(err)
	secret, _, err := g.OfferEnrolment(f.t.Context(), f.priya, a.ID)
	f.ok(err)
	_, _, err = g.Enrol(f.t.Context(), secret, guard.Credentials{Method: "POST", URL: flowIssuer + "/v1/enrol", DPoP: []string{f.proof(s, "/v1/enrol")}, Face: "admin"})
	f.ok(err)
	return a.ID, s
}

func (f *flow) assertion(s jose.Signer, sub string) string {
	f.t.Helper()
	raw, err := token.SignAssertion(s, sub, flowIssuer, rand.Text(), f.now(), time.Minute)
	f.ok(err)
	return raw
}
