package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/catalog"
	"github.com/attorn/attorn/internal/guard"
)

// Guard is the one door, as far as the gateway needs it. Its methods promise what guard.Guard documents: above all that Start has made the
// decision durable when it returns, and that an error from any of them permits nothing.
type Guard interface {
	Authenticate(ctx context.Context, cr guard.Credentials, audience string) (*guard.Caller, error)
	NoPrivateKeySent(ctx context.Context, s guard.Sent, log *slog.Logger) error
	Challenge() string
	Visible(ctx context.Context, c *guard.Caller, calls []guard.Call) ([]guard.Sight, error)
	Start(ctx context.Context, c *guard.Caller, call guard.Call) (guard.Verdict, error)
	Wait(ctx context.Context, c *guard.Caller, a id.Approval) (string, error)
	Watch(ctx context.Context, c *guard.Caller, v guard.Verdict) (watched context.Context, stop func(), err error)
	Attend(ctx context.Context, c *guard.Caller) (watched context.Context, stop func(), err error)
	Finish(ctx context.Context, v guard.Verdict, f guard.Finished) error
	// Observe records what a server offers now: definitions never seen become new, changed ones quarantined, each with its event.
	Observe(ctx context.Context, ws id.Workspace, server string, items []catalog.Item) error
}

// Catalog is what the gateway reads of the catalogue.
type Catalog interface {
	Server(ctx context.Context, ws id.Workspace, name string) (catalog.Server, error)
	Tools(ctx context.Context, ws id.Workspace, server string) ([]catalog.Tool, error)
	Callable(ctx context.Context, ws id.Workspace, server, segment string) (catalog.Tool, error)
}

// Config says what a Gateway serves.
type Config struct {
	Issuer   string // the server's external URL, byte for byte, without a final slash
	Guard    Guard
	Catalog  Catalog
	StateKey []byte // 32 bytes: keys for requestState are derived from it
	Clock    Clock
	Log      *slog.Logger
	Origins  []string // origins other than our own that browsers may call from
	Stdio    bool     // children may be run
	Dir      string   // where each child's private directories are made
	Path     string   // PATH of children
	Lang     string   // LANG of children
}

// Gateway is the face. Safe for concurrent use.
type Gateway struct {
	Config
	host     string
	scheme   string
	ids      atomic.Int64
	public   *http.Client
	private  *http.Client
	places   places
	sessions sessions
	holds    counters
	draining context.Context
	drain    context.CancelFunc

	holdTime, holdLegacy, beatTime time.Duration
}

// New checks the configuration.
func New(cfg Config) (*Gateway, error) {
	u, err := url.Parse(cfg.Issuer)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(cfg.Issuer, "/") {
		return nil, errors.New("gateway: the issuer is not a URL without user, query, fragment and final slash")
	}
	if cfg.Guard == nil || cfg.Catalog == nil || cfg.Clock == nil || cfg.Log == nil || len(cfg.StateKey) != 32 {
		return nil, errors.New("gateway: guard, catalogue, clock, log and a state key of 32 bytes are needed")
	}
	g := &Gateway{
		Config: cfg, host: strings.ToLower(u.Host), scheme: u.Scheme, public: newClient(false), private: newClient(true),
		holdTime: holdTime, holdLegacy: holdLegacy, beatTime: beatTime,
	}
	g.draining, g.drain = context.WithCancel(context.Background())
	g.places.init()
	g.sessions.init()
	g.holds.init()
	g.sweep()
	return g, nil
}

// Mount adds the gateway's routes.
func (g *Gateway) Mount(mux *http.ServeMux) {
	mux.HandleFunc("/mcp/{server}", g.serve)
	mux.HandleFunc("/w/{workspace}/mcp/{server}", g.serve)
	mux.HandleFunc("/.well-known/oauth-protected-resource/mcp/{server}", g.serveMetadata)
	mux.HandleFunc("/.well-known/oauth-protected-resource/w/{workspace}/mcp/{server}", g.serveMetadata)
}

// Drain is called when the process is about to end: standing streams end, and calls that wait for people are answered that they are pending.
func (g *Gateway) Drain() { g.drain() }

// Close ends all children and upstream sessions. Calls in flight are lost.
func (g *Gateway) Close() {
	g.sessions.closeAll()
	g.places.closeAll()
}

// Forget ends what runs for a server that was removed or changed.
func (g *Gateway) Forget(ws id.Workspace, server string) {
	g.sessions.closeWhere(func(s *session) bool { return s.place.workspace == ws && s.place.server == server })
	g.places.forget(placeKey{ws, server})
}

// place is an MCP endpoint by its URL alone; whether there is such a server is not known yet.
type place struct {
	workspace id.Workspace
	server    string
	path      string
	url       string // audience of tokens, resource of metadata
}

// placeOf reads the endpoint from the path. The default workspace has one form only.
func (g *Gateway) placeOf(r *http.Request) (place, bool) {
	p := place{workspace: id.Default, server: r.PathValue("server")}
	if name := r.PathValue("workspace"); name != "" {
		ws, err := id.ParseWorkspace(name)
		if err != nil || ws == id.Default || ws == id.Server {
			return place{}, false
		}
		p.workspace = ws
	}
	if !catalog.ValidName(p.server) {
		return place{}, false
	}
	p.url = evidence.ServerURL(g.Issuer, p.workspace, p.server)
	p.path = strings.TrimPrefix(p.url, g.Issuer)
	return p, true
}

// sweep closes what nobody used for ten minutes, each minute again.
func (g *Gateway) sweep() {
	g.Clock.AfterFunc(time.Minute, func() {
		before := g.Clock.Now().Add(-idleAfter)
		g.sessions.closeWhere(func(s *session) bool { return s.idleSince(before) })
		g.places.closeIdle(before)
		g.sweep()
	})
}

const idleAfter = 10 * time.Minute
