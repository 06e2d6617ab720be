package guard

import (
	"sync/atomic"
	"time"

	"github.com/attorn/attorn/dpop"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/approvals"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/catalog"
	"github.com/attorn/attorn/internal/clients"
	"github.com/attorn/attorn/internal/keyring"
	"github.com/attorn/attorn/internal/lending"
	"github.com/attorn/attorn/internal/people"
	"github.com/attorn/attorn/internal/rules"
	"github.com/attorn/attorn/internal/tickets"
	"github.com/attorn/attorn/jose"
)

// Config says what a Guard composes.
type Config struct {
	Issuer    string // the server's external URL, byte for byte, without a final slash
	Log       *audit.Log
	Ring      *keyring.Ring
	People    *people.Room
	Agents    *agents.Room
	Lending   *lending.Room
	Rules     *rules.Room
	Approvals *approvals.Room
	Catalog   *catalog.Room
	Clients   *clients.Room
	Tickets   *tickets.Room
	Fetch     Fetcher // of other issuers' keys and of apps' metadata; nil: none are discovered
	LocalApps bool    // the metadata of apps may be on this machine, over http: for development

	Registration AppRegistration // of apps, by themselves
	Now          func() time.Time
	Asserting    []Asserter    // whose identity assertions lend (draft-ietf-oauth-identity-assertion-authz-grant)
	TokenTTL     time.Duration // life of an access token; zero is 5 minutes
}

// maxGuesses is how many user codes that nothing waits under a person may type in a minute (oauth.md §12).
const maxGuesses = 5

// Guard is the one door. Safe for concurrent use.
type Guard struct {
	Config
	nonces    dpop.Nonces
	guesses   *Limiter // user codes that nothing waits under, by who typed them
	exposures *Limiter // events about private keys that were sent, by holder and by network
	places    []byte   // the key under which places are hashed: another sealing key makes every place a new one, once
	used      used
	memory    *memory
	headers   jose.Headers // of assertions and proofs by keys that are known
	running   running
	following following
	issuers   issuers
	apps      apps
	replays   atomic.Int32 // under way
}

// New makes a Guard.
func New(cfg Config) *Guard {
	if cfg.TokenTTL == 0 {
		cfg.TokenTTL = 5 * time.Minute
	}
	s := cfg.Ring.Sealer()
	g := &Guard{
		Config: cfg, nonces: dpop.Nonces{Key: s.Derive("dpop-nonce/1")}, guesses: NewLimiter(maxGuesses, time.Minute), exposures: NewLimiter(maxExposures, time.Minute), places: s.Derive("instance-place/1"),
		memory: newMemory(cfg.Log),
	}
	g.running.init()
	g.following.init()
	g.apps.init()
	return g
}

// ParseJWS is jose.Parse for what a client sends to prove itself, whose header may be known.
func (g *Guard) ParseJWS(compact string) (*jose.JWS, error) {
	return g.headers.Of(compact).Parse(compact, 0)
}

// Challenge is a fresh DPoP nonce, for the answer's DPoP-Nonce header.
func (g *Guard) Challenge() string { return g.nonces.Issue(g.Now()) }

// API is the audience of tokens for attorn's own API in a workspace.
func (g *Guard) API(ws id.Workspace) string { return g.in(ws) + "/api" }

// MCP is the audience of tokens for an MCP server behind the gateway, and its URL.
func (g *Guard) MCP(ws id.Workspace, server string) string { return g.in(ws) + "/mcp/" + server }

func (g *Guard) in(ws id.Workspace) string {
	if ws == id.Default {
		return g.Issuer
	}
	return g.Issuer + "/w/" + ws.String()
}
