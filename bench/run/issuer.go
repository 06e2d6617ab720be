package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/dpop"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/token"
)

// issuing reports whether a scenario is of the product, not of a handler behind its Verifier.
func issuing(scenario string) bool {
	return scenario == "token" || scenario == "exchange" || scenario == "exchange-new" || scenario == "decide"
}

// copies is how many agents ask for tokens: each key may do so 50 times a second.
const copies = 128

// product is where the measured authorization server is to run.
type product struct {
	url, dir string
	port     int
	made     bool

	delegations int // others' that are there already
}

func newProduct(dir string, delegations int) (*product, error) {
	p := &product{dir: dir, delegations: delegations}
	if dir == "" {
		var err error
		if p.dir, err = os.MkdirTemp("", "attorn-bench-"); err != nil {
			return nil, err
		}
		p.made = true
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p.port = free.Addr().(*net.TCPAddr).Port
	p.url = fmt.Sprintf("http://localhost:%d", p.port)
	return p, free.Close()
}

func (p *product) remove() {
	if p.made {
		os.RemoveAll(p.dir)
	}
}

// issuer is the running product with those who ask it for tokens: a person who lent to an agent, which lent on to each of many.
type issuer struct {
	*product
	db     *sql.DB
	asking []asker
	person id.User
	first  id.Agent
	lender *attorn.Agent // the first
	root   string        // what the person lent to it

	deciding deciding
}

type asker struct {
	agent  id.Agent
	signer jose.Signer
	link   string
}

const resource = "https://files.example/api"

// prepare enrols everybody through the API, as in life.
func (p *product) prepare(ctx context.Context, secret string) (*issuer, error) {
	i := &issuer{product: p}
	var err error
	if i.db, err = sql.Open("sqlite", "file:"+filepath.Join(p.dir, "attorn.db")+"?mode=ro"); err != nil {
		return nil, err
	}
	_, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	signer, err := jose.NewSigner(priv)
	if err != nil {
		return nil, err
	}
	in, err := attorn.SignIn(ctx, attorn.SignInConfig{Server: p.url, Secret: secret, Name: "Priya", Signer: signer})
	if err != nil {
		return nil, err
	}
	i.person = in.User
	priya, err := attorn.NewClient(attorn.ClientConfig{Server: p.url, User: in.User, Signer: signer})
	if err != nil {
		return nil, err
	}
	if _, err := priya.AddService(ctx, api.NewService{Name: "files", Resource: resource, Prefix: "files:api", JWK: signer.Public()}); err != nil {
		return nil, err
	}
	first, _, err := i.enrol(ctx, priya, "assistant")
	if err != nil {
		return nil, err
	}
	i.first, i.lender = first.ID(), first
	lent := attorn.Lend{Permissions: []delegation.Permission{{Permission: "files:api:read"}, {Permission: "files:api:write"}}, TTL: 24 * time.Hour, Depth: 2}
	root, err := priya.Delegate(ctx, first.ID().String(), lent)
	if err != nil {
		return nil, err
	}
	i.root = root.String()
	for n := range copies {
		agent, key, err := i.enrol(ctx, priya, fmt.Sprintf("worker-%d", n))
		if err != nil {
			return nil, err
		}
		link, err := i.lend(ctx, agent.ID())
		if err != nil {
			return nil, err
		}
		i.asking = append(i.asking, asker{agent.ID(), key, link})
	}
	return i, i.prepareDecisions(ctx, priya)
}

// lend has the first agent lend to another.
func (i *issuer) lend(ctx context.Context, to id.Agent) (string, error) {
	link, err := i.lender.Delegate(ctx, to.String(), attorn.Lend{
		Permissions: []delegation.Permission{{Permission: "files:api:read"}}, TTL: 12 * time.Hour, Parent: i.root,
	})
	return link.String(), err
}

// unseen is n delegations that are recorded and were never exchanged, one after the other to each who asks.
func (i *issuer) unseen(ctx context.Context, n int) ([]string, error) {
	links := make([]string, n)
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for k := int(next.Add(1)) - 1; k < n; k = int(next.Add(1)) - 1 {
				var err error
				if links[k], err = i.lend(ctx, i.asking[k%len(i.asking)].agent); err != nil {
					failed.CompareAndSwap(nil, &err)
					return
				}
			}
		})
	}
	all.Wait()
	if err := failed.Load(); err != nil {
		return nil, *err
	}
	return links, nil
}

func (i *issuer) enrol(ctx context.Context, by *attorn.Client, name string) (*attorn.Agent, jose.Signer, error) {
	name += "-" + strings.ToLower(rand.Text()[:6])
	a, err := by.CreateAgent(ctx, api.NewAgent{Name: name})
	if err != nil {
		return nil, nil, err
	}
	offer, err := by.OfferEnrolment(ctx, a.ID)
	if err != nil {
		return nil, nil, err
	}
	file := filepath.Join(i.dir, "keys", name+".jwk")
	agent, err := attorn.Enrol(ctx, attorn.EnrolConfig{Server: i.url, Token: offer.Token, KeyFile: file})
	if err != nil {
		return nil, nil, err
	}
	key, err := attorn.OpenKeyFile(file)
	return agent, key, err
}

// nonce is the one that proofs need now.
func (i *issuer) nonce() (string, error) {
	res, err := http.Post(i.url+"/oauth/token", "application/x-www-form-urlencoded", strings.NewReader(""))
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	io.Copy(io.Discard, res.Body)
	return res.Header.Get("DPoP-Nonce"), nil
}

// make makes n requests for tokens, each with an assertion and a proof of its own.
func (i *issuer) make(ctx context.Context, name string, n int) (batch, error) {
	if name == "decide" {
		return i.decisions(ctx, n)
	}
	b := batch{address: fmt.Sprintf("127.0.0.1:%d", i.port), events: 1, kind: "token.issued", outcome: "ok"}
	var fresh []string
	if name == "exchange-new" {
		var err error
		if fresh, err = i.unseen(ctx, n); err != nil {
			return b, err
		}
	}
	nonce, err := i.nonce()
	if err != nil {
		return b, err
	}
	at, now := i.url+"/oauth/token", time.Now()
	for k := range n {
		a := i.asking[k%len(i.asking)]
		assertion, err := token.SignAssertion(a.signer, a.agent.String(), i.url, rand.Text(), now, 5*time.Minute)
		if err != nil {
			return b, err
		}
		proof, err := dpop.Sign(a.signer, dpop.Claims{Method: "POST", URL: at, JTI: rand.Text(), Nonce: nonce, IssuedAt: now})
		if err != nil {
			return b, err
		}
		form := url.Values{
			"grant_type": {"client_credentials"}, "resource": {resource}, "client_assertion": {assertion},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		}
		if name != "token" {
			if fresh != nil {
				a.link = fresh[k]
			}
			form.Set("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")
			form.Set("subject_token", a.link)
			form.Set("subject_token_type", "urn:attorn:params:oauth:token-type:delegation")
		}
		b.requests = append(b.requests, wire("POST", "/oauth/token", fmt.Sprintf("localhost:%d", i.port),
			map[string]string{"Content-Type": "application/x-www-form-urlencoded", "DPoP": proof}, form.Encode()))
	}
	b.check = func(k int64, body []byte) error { return i.issued(name, i.asking[int(k)%len(i.asking)], body) }
	return b, nil
}

// issued holds an answer to what it must be: a token for this asker, with everybody of the chain in it.
func (i *issuer) issued(name string, a asker, body []byte) error {
	var got struct {
		Token string `json:"access_token"`
		Type  string `json:"token_type"`
		Scope string `json:"scope"`
	}
	if err := json.Unmarshal(body, &got); err != nil {
		return err
	}
	var claims struct {
		Sub string `json:"sub"`
		Aud string `json:"aud"`
		Act struct {
			Sub string `json:"sub"`
			Act struct {
				Sub string `json:"sub"`
			} `json:"act"`
		} `json:"act"`
		Cnf struct {
			JKT id.Key `json:"jkt"`
		} `json:"cnf"`
	}
	parts := strings.Split(got.Token, ".")
	if len(parts) != 3 {
		return fmt.Errorf("the token has %d parts", len(parts))
	}
	raw, err := jose.DecodeBase64(parts[1])
	if err == nil {
		err = json.Unmarshal(raw, &claims)
	}
	if err != nil {
		return err
	}
	sub, scope := a.agent.String(), "files:api:*"
	if name != "token" {
		sub, scope = i.person.String(), "files:api:read"
		if claims.Act.Sub != a.agent.String() || claims.Act.Act.Sub != i.first.String() {
			return fmt.Errorf("the actors are others")
		}
	}
	if claims.Sub != sub || claims.Aud != resource || claims.Cnf.JKT != a.signer.Public().Thumbprint() || got.Type != "DPoP" || got.Scope != scope {
		return fmt.Errorf("the token is another one")
	}
	return nil
}

// growing notes how long the log is; grown demands that since then it got exactly so many events, all of a kind and outcome.
func (i *issuer) growing(events int, kind, outcome string) (grown func() error, err error) {
	size := func() (n int, err error) {
		return n, i.db.QueryRow(`SELECT base + size FROM log WHERE workspace = 'default' AND closed = 0`).Scan(&n)
	}
	before, err := size()
	return func() error {
		after, err := size()
		if err != nil {
			return err
		}
		var issued int
		err = i.db.QueryRow(`SELECT COUNT(*) FROM event e JOIN log l ON l.log = e.log WHERE l.workspace = 'default' AND l.closed = 0
			AND e.seq >= $1 - l.base AND e.kind = $2 AND e.outcome = $3`, before, kind, outcome).Scan(&issued)
		if err == nil && (after-before != events || issued != events) {
			err = fmt.Errorf("the log grew by %d events, %d of them %s, not by %d", after-before, issued, kind, events)
		}
		return err
	}, err
}
