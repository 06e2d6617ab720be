package oauth_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/attorntest"
	"github.com/attorn/attorn/dpop"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

const (
	grantExchange   = "urn:ietf:params:oauth:grant-type:token-exchange"
	grantJWTBearer  = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	assertionType   = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	typeAccessToken = "urn:ietf:params:oauth:token-type:access_token"
	typeDelegation  = "urn:attorn:params:oauth:token-type:delegation"
	resource        = "https://repo.example/api"
	otherResource   = "https://wiki.example/api"
)

// world is the whole product behind HTTP, with Priya who owns it, two services, and a clock that tests turn.
type world struct {
	*attorntest.Server
	t     testing.TB
	priya *party
	repo  *party // the service with the resource, ES256
	wiki  *party // the service with the other resource, Ed25519

	mu   sync.Mutex
	time time.Time
}

func start(t testing.TB, dsn string) *world {
	t.Helper()
	w := &world{t: t, time: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)}
	w.Server = attorntest.Start(t, attorntest.Config{DSN: dsn, Now: w.now})
	w.priya = &party{world: w, signer: newSigner(t)}
	var in api.SignedIn
	w.priya.open("/v1/signin", api.SignIn{Secret: w.Link, Name: "Priya Nair"}, &in)
	w.priya.sub, w.priya.user = in.User.String(), in.User
	w.repo = w.service("repo", resource, newES256(t))
	w.wiki = w.service("wiki", otherResource, newSigner(t))
	return w
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.time
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.time = w.time.Add(d)
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// nonce is one that the server accepts now.
func (w *world) nonce() string {
	got := w.send("POST", "/oauth/token", "", nil)
	return got.header.Get("DPoP-Nonce")
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	raw    []byte
	body   map[string]any
}

func (a answer) text(member string) string { s, _ := a.body[member].(string); return s }

// send sends a request as it is.
func (w *world) send(method, path, body string, header http.Header) answer {
	w.t.Helper()
	r, err := http.NewRequest(method, w.URL+path, strings.NewReader(body))
	w.ok(err)
	for name, values := range header {
		r.Header[name] = values
	}
	if body != "" && r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := http.DefaultClient.Do(r)
	w.ok(err)
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	w.ok(err)
	got := answer{status: res.StatusCode, header: res.Header, raw: raw}
	if strings.HasSuffix(res.Header.Get("Content-Type"), "json") && len(raw) > 0 {
		w.ok(json.Unmarshal(raw, &got.body))
	}
	return got
}

// post sends a form with DPoP proofs.
func (w *world) post(path string, form url.Values, proofs ...string) answer {
	w.t.Helper()
	return w.send("POST", path, form.Encode(), http.Header{"Dpop": proofs, "Content-Type": {"application/x-www-form-urlencoded"}})
}

// party is somebody with a key.
type party struct {
	*world
	signer  jose.Signer
	sub     string // client_id
	user    id.User
	agent   id.Agent
	access  string
	renewed time.Time
}

func newSigner(t testing.TB) jose.Signer {
	t.Helper()
	_, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := jose.NewSigner(priv)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newES256(t testing.TB) jose.Signer {
	t.Helper()
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := jose.NewES256Signer(priv)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// proof is a DPoP proof for a POST to path.
func (p *party) proof(path, nonce string) string {
	return p.prove("POST", path, nonce, "")
}

func (p *party) prove(method, path, nonce, access string) string {
	p.t.Helper()
	raw, err := dpop.Sign(p.signer, dpop.Claims{Method: method, URL: p.URL + path, JTI: rand.Text(), Nonce: nonce, AccessToken: access, IssuedAt: p.now()})
	p.ok(err)
	return raw
}

func (p *party) assertion() string {
	p.t.Helper()
	raw, err := token.SignAssertion(p.signer, p.sub, p.URL, rand.Text(), p.now(), time.Minute)
	p.ok(err)
	return raw
}

// with is a form: fields in pairs, and the party's client assertion.
func (p *party) with(fields ...string) url.Values {
	form := fieldsOf(fields)
	form.Set("client_assertion_type", assertionType)
	form.Set("client_assertion", p.assertion())
	return form
}

func fieldsOf(fields []string) url.Values {
	form := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return form
}

// ask sends a token request as the party.
func (p *party) ask(fields ...string) answer {
	p.t.Helper()
	return p.post("/oauth/token", p.with(fields...), p.proof("/oauth/token", p.nonce()))
}

// issued is ask where a token must come.
func (p *party) issued(fields ...string) answer {
	p.t.Helper()
	got := p.ask(fields...)
	if got.status != 200 {
		p.t.Fatalf("%v: %d %s", fields, got.status, got.raw)
	}
	return got
}

// claims reads a token that came.
func (w *world) claims(a answer) token.Claims {
	w.t.Helper()
	set := w.send("GET", "/oauth/jwks", "", nil)
	c, err := token.Verify(a.text("access_token"), keysOf(w.t, set.raw), token.Want{Issuer: w.URL, AnyAudience: true, Now: w.now()})
	w.ok(err)
	return c
}

func keysOf(t testing.TB, set []byte) func(id.Key) (jose.PublicKey, bool) {
	t.Helper()
	var in struct {
		Keys []jose.PublicKey `json:"keys"`
	}
	if err := json.Unmarshal(set, &in); err != nil {
		t.Fatal(err)
	}
	return func(kid id.Key) (jose.PublicKey, bool) {
		for _, k := range in.Keys {
			if k.Thumbprint() == kid {
				return k, true
			}
		}
		return jose.PublicKey{}, false
	}
}

// personAsk sends a person's token request.
func (p *party) personAsk(fields ...string) answer {
	p.t.Helper()
	form := fieldsOf(append([]string{"grant_type", grantJWTBearer, "assertion", p.assertion()}, fields...))
	return p.post("/oauth/token", form, p.proof("/oauth/token", p.nonce()))
}

// open calls the API where a key without a token is enough.
func (p *party) open(path string, in, out any) {
	p.t.Helper()
	p.decode(p.json("POST", path, in, p.prove("POST", path, p.nonce(), ""), ""), out)
}

func (p *party) json(method, path string, in any, proof, access string) answer {
	p.t.Helper()
	header := http.Header{"Dpop": {proof}, "Content-Type": {"application/json"}}
	if access != "" {
		header["Authorization"] = []string{"DPoP " + access}
	}
	var body []byte
	if in != nil {
		var err error
		body, err = json.Marshal(in)
		p.ok(err)
	}
	return p.send(method, path, string(bytes.TrimSpace(body)), header)
}

func (p *party) decode(got answer, out any) {
	p.t.Helper()
	if got.status/100 != 2 {
		p.t.Fatalf("%d %s", got.status, got.raw)
	}
	if out != nil {
		p.ok(json.Unmarshal(got.raw, out))
	}
}

// api calls the API with a token of the party's own.
func (p *party) api(method, path string, in, out any) {
	p.t.Helper()
	if now := p.now(); p.access == "" || now.Sub(p.renewed) > 4*time.Minute {
		got := p.personAsk()
		if !p.agent.IsZero() {
			got = p.ask("grant_type", "client_credentials")
		}
		if got.status != 200 {
			p.t.Fatalf("%d %s", got.status, got.raw)
		}
		p.access, p.renewed = got.text("access_token"), now
	}
	bare, _, _ := strings.Cut(path, "?")
	p.decode(p.json(method, path, in, p.prove(method, bare, "", p.access), p.access), out)
}

func (w *world) service(name, resource string, s jose.Signer) *party {
	w.t.Helper()
	var made api.Service
	w.priya.api("POST", "/v1/services", api.NewService{Name: name, Resource: resource, Prefix: name + ":acme", JWK: s.Public()}, &made)
	return &party{world: w, signer: s, sub: made.ID.String()}
}

func (w *world) agentNamed(name string) *party {
	w.t.Helper()
	var made api.Agent
	w.priya.api("POST", "/v1/agents", api.NewAgent{Name: name}, &made)
	p := &party{world: w, sub: made.ID.String(), agent: made.ID}
	p.signer = w.instance(p)
	return p
}

// instance enrols one more key of the agent.
func (w *world) instance(p *party) jose.Signer {
	w.t.Helper()
	var offer api.Enrolment
	w.priya.api("POST", "/v1/agents/"+p.sub+"/enrolment", struct{}{}, &offer)
	n := &party{world: w, signer: newSigner(w.t)}
	n.open("/v1/enrol", api.Enrol{Token: offer.Token}, nil)
	return n.signer
}

// invite adds a person, who signs in.
func (w *world) invite(name string) *party {
	w.t.Helper()
	var made api.User
	w.priya.api("POST", "/v1/users", api.NewUser{Name: name}, &made)
	p := &party{world: w, signer: newSigner(w.t), sub: made.ID.String(), user: made.ID}
	_, secret, _ := strings.Cut(made.Link, "#")
	p.open("/v1/signin", api.SignIn{Secret: secret}, nil)
	return p
}
