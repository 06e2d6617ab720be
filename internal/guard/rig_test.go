package guard_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"net/http"
	"testing"
	"time"

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

const issuer = "http://localhost:7070"

// rig is the door over real rooms on a real database, with a clock that tests turn.
type rig struct {
	*guard.Guard
	t   testing.TB
	log *audit.Log
	now time.Time

	reader *db.Reader
	writer *db.Writer
}

func newRig(t testing.TB, dsn string) *rig {
	t.Helper()
	r := &rig{t: t, now: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return r.now }
	reader, writer, err := db.Open(t.Context(), dsn)
	r.ok(err)
	t.Cleanup(func() { writer.Close() })
	r.reader, r.writer = reader, writer
	sealer, err := keyring.NewSealer(make([]byte, 32))
	r.ok(err)
	ring, err := keyring.Open(t.Context(), reader, sealer)
	r.ok(err)
	r.log, err = audit.Open(t.Context(), audit.Config{Reader: reader, Writer: writer, Ring: ring, Issuer: issuer, Node: "n1", Now: clock})
	r.ok(err)
	t.Cleanup(r.log.Close)
	r.Guard = guard.New(guard.Config{
		Issuer: issuer, Log: r.log, Ring: ring, People: people.New(reader), Agents: agents.New(reader), Lending: lending.New(reader), Rules: rules.New(reader),
		Approvals: approvals.New(reader), Catalog: catalog.New(reader), Clients: clients.New(reader), Tickets: tickets.New(reader), Now: clock,
	})
	r.ok(r.FirstKey(t.Context()))
	r.ok(r.PublishShipped(t.Context(), id.Default))
	return r
}

func (r *rig) ok(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
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

// proof signs a DPoP proof, with the nonce that the server would have handed out.
func (r *rig) proof(s jose.Signer, method, url, access string) string {
	r.t.Helper()
	raw, err := dpop.Sign(s, dpop.Claims{Method: method, URL: url, JTI: rand.Text(), Nonce: r.Challenge(), AccessToken: access, IssuedAt: r.now})
	r.ok(err)
	return raw
}

func (r *rig) keyCredentials(s jose.Signer, path string) guard.Credentials {
	return guard.Credentials{Method: "POST", URL: issuer + path, DPoP: []string{r.proof(s, "POST", issuer+path, "")}, Face: "admin"}
}

// party is somebody who can prove who they are.
type party struct {
	*rig
	signer jose.Signer
	user   id.User
	agent  id.Agent
}

func (p *party) sub() string {
	if !p.agent.IsZero() {
		return p.agent.String()
	}
	return p.user.String()
}

// firstOwner signs the first administrator in.
func (r *rig) firstOwner(name string) *party {
	r.t.Helper()
	secret, err := r.BootstrapLink(r.t.Context())
	r.ok(err)
	return r.signIn(secret, name)
}

func (r *rig) signIn(secret, name string) *party {
	r.t.Helper()
	return r.signInBy(newSigner(r.t), secret, name)
}

func (r *rig) signInBy(s jose.Signer, secret, name string) *party {
	r.t.Helper()
	p, _, err := r.SignIn(r.t.Context(), secret, name, "test", r.keyCredentials(s, "/v1/signin"))
	r.ok(err)
	return &party{rig: r, signer: s, user: p.ID}
}

func (p *party) invite(name string) *party {
	p.t.Helper()
	_, secret, err := p.Invite(p.t.Context(), p.api(), name)
	p.ok(err)
	return p.signIn(secret, name)
}

func (p *party) register(name string) *party {
	p.t.Helper()
	a, _, err := p.RegisterAgent(p.t.Context(), p.api(), agents.NewAgent{Name: name})
	p.ok(err)
	secret, _, err := p.OfferEnrolment(p.t.Context(), p.api(), a.ID)
	p.ok(err)
	s := newSigner(p.t)
	_, _, err = p.Enrol(p.t.Context(), secret, p.keyCredentials(s, "/v1/enrol"))
	p.ok(err)
	return &party{rig: p.rig, signer: s, agent: a.ID}
}

// client authenticates at the token endpoint.
func (p *party) client() *guard.Client {
	p.t.Helper()
	assertion, err := token.SignAssertion(p.signer, p.sub(), issuer, rand.Text(), p.now, time.Minute)
	p.ok(err)
	url := issuer + "/oauth/token"
	c, err := p.AuthenticateClient(p.t.Context(), guard.ClientProof{
		Method: "POST", URL: url, Assertion: assertion, DPoP: []string{p.proof(p.signer, "POST", url, "")}, NeedDPoP: true,
	})
	p.ok(err)
	return c
}

// api is the party as a caller of attorn's own API.
func (p *party) api() *guard.Caller {
	p.t.Helper()
	var got guard.Issued
	var err error
	if p.agent.IsZero() {
		got, err = p.PersonToken(p.t.Context(), p.client(), id.Default, guard.TokenRequest{})
	} else {
		got, err = p.ClientCredentials(p.t.Context(), p.client(), guard.TokenRequest{})
	}
	p.ok(err)
	return p.caller(got.Token, issuer+"/api", issuer+"/v1/x")
}

func (p *party) caller(access, audience, url string) *guard.Caller {
	p.t.Helper()
	c, err := p.Authenticate(p.t.Context(), guard.Credentials{
		Method: http.MethodPost, URL: url, Authorization: []string{"DPoP " + access}, DPoP: []string{p.proof(p.signer, "POST", url, access)}, Face: "gateway",
	}, audience)
	p.ok(err)
	return c
}

type lent struct {
	uses  int64
	depth int
	ttl   time.Duration
	under *delegation.Link
}

// statement is what the party would sign.
func (p *party) statement(to *party, l lent, permissions ...string) delegation.Statement {
	p.t.Helper()
	st := delegation.Statement{
		Version: 1, ID: id.New[id.Delegation](p.now), Issuer: issuer, Workspace: id.Default, Delegate: delegation.Delegate{Agent: to.agent},
		NotBefore: p.now.Unix(), ExpiresAt: p.now.Add(max(l.ttl, time.Hour)).Unix(), MaxDepth: l.depth,
	}
	if l.ttl > 0 {
		st.ExpiresAt = p.now.Add(l.ttl).Unix()
	}
	if l.uses > 0 {
		st.MaxUses = &l.uses
	}
	for _, s := range permissions {
		st.Permissions = append(st.Permissions, delegation.Permission{Permission: s})
	}
	if p.agent.IsZero() {
		st.Delegator.User = p.user
		return st
	}
	st.Delegator = delegation.Delegator{Agent: p.agent, Instance: p.signer.Public().Thumbprint()}
	parent, err := l.under.Statement.Digest()
	p.ok(err)
	st.Parent = &parent
	return st
}

func (p *party) lend(to *party, l lent, permissions ...string) *delegation.Link {
	p.t.Helper()
	signed, err := delegation.Sign(p.statement(to, l, permissions...), p.signer)
	p.ok(err)
	link, err := p.Lend(p.t.Context(), p.api(), signed)
	p.ok(err)
	return &link
}

// tool is the party as a caller of the MCP server files, under a delegation.
func (p *party) tool(link *delegation.Link) *guard.Caller {
	p.t.Helper()
	got, err := p.Exchange(p.t.Context(), p.client(), guard.TokenRequest{
		Resource: issuer + "/mcp/files", Subject: link.String(), SubjectType: guard.TypeDelegation,
	})
	p.ok(err)
	return p.caller(got.Token, issuer+"/mcp/files", issuer+"/mcp/files")
}

// addFiles registers an MCP server with three tools.
func (p *party) addFiles() {
	p.t.Helper()
	s := catalog.Server{Name: "files", Transport: "stdio", Command: []string{"files"}}
	offer := catalog.Offer{Era: catalog.Legacy}
	for _, name := range []string{"read", "write", "wipe"} {
		item, err := catalog.ReadItem(catalog.KindTool, fmt.Appendf(nil,
			`{"name":%q,"description":"d","inputSchema":{"type":"object","properties":{"path":{"type":"string"},"text":{"type":"string"}},"required":["path"]}}`, name))
		p.ok(err)
		offer.Items = append(offer.Items, item)
	}
	_, err := p.RegisterServer(p.t.Context(), p.api(), s, offer)
	p.ok(err)
}

// publish makes Cedar text the live policy, beside the built-in one.
func (p *party) publish(text string) {
	p.t.Helper()
	_, err := p.publishing(guard.Candidate{Files: []policy.File{{Path: "policies/test.cedar", Text: []byte(text)}}})
	p.ok(err)
}

func (p *party) publishing(in guard.Candidate) (guard.LiveBundle, error) {
	p.t.Helper()
	return p.Publish(p.t.Context(), p.signed(), in)
}

// signed is api for a request that the party's key also signed as a whole, as publishing takes it.
func (p *party) signed() *guard.Caller {
	p.t.Helper()
	got, err := p.PersonToken(p.t.Context(), p.client(), id.Default, guard.TokenRequest{})
	p.ok(err)
	h, url := http.Header{}, issuer+"/v1/policy"
	h.Set("Authorization", "DPoP "+got.Token)
	made, err := httpsig.Sign(p.signer, httpsig.Request{Method: http.MethodPut, TargetURI: url, Header: h.Values, Body: []byte("{}")},
		httpsig.Params{Audience: issuer + "/api", Created: p.now, Nonce: jose.EncodeBase64([]byte(rand.Text()))})
	p.ok(err)
	for name, value := range map[string]string{"Attorn-Audience": made.Audience, "Content-Digest": made.Digest, "Signature-Input": made.Input, "Signature": made.Signature} {
		h.Set(name, value)
	}
	c, err := p.Authenticate(p.t.Context(), guard.Credentials{
		Method: http.MethodPut, URL: url, Authorization: h.Values("Authorization"), DPoP: []string{p.proof(p.signer, http.MethodPut, url, got.Token)}, Header: h.Values, Face: "admin",
	}, issuer+"/api")
	p.ok(err)
	p.ok(c.CheckBody([]byte("{}")))
	return c
}

// call makes a call of a tool of files.
func (r *rig) call(tool, args string) guard.Call {
	r.t.Helper()
	raw, err := jose.CanonicalRaw([]byte(args), jose.Limits{})
	r.ok(err)
	t, err := r.Catalog.Callable(r.t.Context(), id.Default, "files", tool)
	r.ok(err)
	return guard.Call{
		Server: "files", Method: "tools/call", Tool: tool, Action: "tool:files:" + tool, Class: t.Class, Arguments: raw, Pin: t.Pin,
		Digest: id.Sum(append([]byte(tool), raw...)), Protocol: "2025-11-25",
	}
}

// vote signs and casts a vote with the party's registered key.
func (p *party) vote(a id.Approval, choice string) error {
	v, err := p.ProposeVote(context.Background(), p.api(), a, choice, "")
	if err != nil {
		return err
	}
	sv, err := evidence.SignVote(v, p.signer)
	if err != nil {
		return err
	}
	_, _, err = p.Vote(context.Background(), p.api(), a, sv)
	return err
}
