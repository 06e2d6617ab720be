package server

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/admin"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/approvals"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/catalog"
	"github.com/attorn/attorn/internal/clients"
	"github.com/attorn/attorn/internal/console"
	"github.com/attorn/attorn/internal/db"
	"github.com/attorn/attorn/internal/explain"
	"github.com/attorn/attorn/internal/gateway"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/keyring"
	"github.com/attorn/attorn/internal/lending"
	"github.com/attorn/attorn/internal/oauth"
	"github.com/attorn/attorn/internal/people"
	"github.com/attorn/attorn/internal/rules"
	"github.com/attorn/attorn/internal/tickets"
)

// Server is the whole product in one process.
type Server struct {
	cfg      Config
	writer   *db.Writer
	log      *audit.Log
	ring     *keyring.Ring
	guard    *guard.Guard
	gateway  *gateway.Gateway
	mux      *http.ServeMux
	fatal    chan error
	unfollow func() // ends following the log, and waits for it
}

// Open starts everything but the listener. What it acknowledges from here on is durable.
func Open(ctx context.Context, cfg Config) (*Server, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	if err := cfg.prepare(); err != nil {
		return nil, err
	}
	sealer, err := cfg.sealer(ctx, false)
	if err != nil {
		return nil, err
	}
	reader, writer, err := db.Open(ctx, cfg.DSN)
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, writer: writer, mux: http.NewServeMux(), fatal: make(chan error, 1)}
	if err := s.wire(ctx, reader, sealer); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Server) wire(ctx context.Context, reader *db.Reader, sealer *keyring.Sealer) error {
	cfg := s.cfg
	var err error
	if s.ring, err = keyring.Open(ctx, reader, sealer); err != nil {
		return err
	}
	s.log, err = audit.Open(ctx, audit.Config{
		Reader: reader, Writer: s.writer, Ring: s.ring, Issuer: cfg.URL, Node: cfg.Node, Now: cfg.Now, Logger: cfg.Logger,
		Fatal: func(err error) { s.fatal <- err },
	})
	if err != nil {
		return err
	}
	if err := s.reseal(ctx, cfg.SealingPrevious != "" || cfg.sealing.previous != ""); err != nil {
		return err
	}
	cat := catalog.New(reader)
	s.guard = guard.New(guard.Config{
		Issuer: cfg.URL, Log: s.log, Ring: s.ring, People: people.New(reader), Agents: agents.New(reader), Lending: lending.New(reader),
		Rules: rules.New(reader), Approvals: approvals.New(reader), Catalog: cat, Clients: clients.New(reader), Tickets: tickets.New(reader),
		Fetch: newFetcher(cfg.Dev), Asserting: cfg.asserting(), LocalApps: cfg.Dev, Registration: guard.AppRegistration(cfg.Registration), Now: cfg.Now,
	})
	if err := s.guard.FirstKey(ctx); err != nil {
		return err
	}
	if err := s.guard.PublishShipped(ctx, id.Default); err != nil {
		return err
	}
	if err := s.started(ctx); err != nil {
		return err
	}
	s.follow()
	return s.mount(sealer, cat)
}

func (s *Server) mount(sealer *keyring.Sealer, cat *catalog.Room) (err error) {
	children, err := filepath.Abs(filepath.Join(s.cfg.Data, "children")) // each child's private HOME and TMPDIR
	if err != nil {
		return err
	}
	s.gateway, err = gateway.New(gateway.Config{
		Issuer: s.cfg.URL, Guard: s.guard, Catalog: cat, StateKey: sealer.Derive("gateway-state/1"), Clock: clock{s.cfg.Now}, Log: s.cfg.Logger,
		Stdio: s.cfg.Dev, Dir: children, Path: os.Getenv("PATH"), Lang: os.Getenv("LANG"),
	})
	if err != nil {
		return err
	}
	s.gateway.Mount(s.mux)
	oauth.Mount(s.mux, oauth.Config{Issuer: s.cfg.URL, Guard: s.guard, Log: s.cfg.Logger})
	g := s.guard
	explainer := explain.New(explain.Config{
		Issuer: s.cfg.URL, Log: s.log, People: g.People, Agents: g.Agents, Lending: g.Lending, Rules: g.Rules, Catalog: cat, Clients: g.Clients, Signer: g.Signer, Now: s.cfg.Now,
	})
	err = admin.Mount(s.mux, admin.Config{Issuer: s.cfg.URL, Guard: g, Upstream: s.gateway, Explain: explainer, Log: s.cfg.Logger})
	if err != nil {
		return err
	}
	console.Mount(s.mux, console.Config{Issuer: s.cfg.URL, Guard: g, Explain: explainer, Upstreams: s.cfg.upstreams(), Now: s.cfg.Now, Log: s.cfg.Logger})
	s.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok\n")) })
	return nil
}

func (s *Server) started(ctx context.Context) error {
	d := s.ownAct(id.Server, evidence.SystemStarted, s.cfg.Node)
	d.ID = s.log.Start()
	_, err := s.log.Record(ctx, d, nil)
	return err
}

// ownAct begins the event of an act of the server's own.
func (s *Server) ownAct(ws id.Workspace, kind evidence.Kind, target string) evidence.Draft {
	d := evidence.Draft{Workspace: ws, Target: target}
	d.Kind, d.Outcome, d.Who.Sub, d.Where.Face = kind, evidence.OK, evidence.ServerSub, "server"
	return d
}

// Handler answers requests.
func (s *Server) Handler() http.Handler { return behind(s.cfg.proxies, s.mux) }

// URL is the external URL.
func (s *Server) URL() string { return s.cfg.URL }

// Fatal yields the error after which the process must end: the log can no longer be kept.
func (s *Server) Fatal() <-chan error { return s.fatal }

// SignInLink is the one-time link that makes the first administrator; "" once there is one.
func (s *Server) SignInLink(ctx context.Context) (string, error) {
	secret, err := s.guard.BootstrapLink(ctx)
	if err != nil || secret == "" {
		return "", err
	}
	return s.guard.Link(secret), nil
}

// Close ends children and the log, in that order; what was acknowledged is stored.
func (s *Server) Close() {
	if s.gateway != nil {
		s.gateway.Close()
	}
	if s.unfollow != nil {
		s.unfollow()
	}
	if s.log != nil {
		if s.guard != nil {
			s.log.Record(context.Background(), s.ownAct(id.Server, evidence.SystemStopped, s.cfg.Node), nil)
		}
		s.log.Close()
	}
	s.writer.Close()
}

// clock is the gateway's.
type clock struct{ now func() time.Time }

func (c clock) Now() time.Time { return c.now() }

func (clock) AfterFunc(d time.Duration, f func()) *time.Timer { return time.AfterFunc(d, f) }
