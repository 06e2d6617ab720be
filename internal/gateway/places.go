package gateway

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/catalog"
)

// Time limits of an upstream's beginning, and of what was seen of it.
const (
	startTime  = 60 * time.Second
	freshTime  = 60 * time.Second
	crashSpan  = 2 * time.Minute
	maxCrashes = 5 // in that span; then nothing is started until some of it has passed
	firstWait  = time.Second
	longWait   = time.Minute
)

type placeKey struct {
	workspace id.Workspace
	server    string
}

// spot is what the gateway keeps of one server: the upstream that modern callers share, its crashes, when its definitions were last seen.
type spot struct {
	mu      sync.Mutex // held while the upstream starts: others wait for it
	up      upstream
	print   id.Digest
	crashes []time.Time
	closed  bool // the gateway has ended

	small   sync.Mutex // for the rest
	lastUse time.Time
	seen    time.Time

	looking chan struct{} // one look at the definitions at a time
}

// places are the spots by server.
type places struct {
	mu  sync.Mutex
	all map[placeKey]*spot
}

func (p *places) init() { p.all = map[placeKey]*spot{} }

func (p *places) get(k placeKey) *spot {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.all[k]
	if s == nil {
		s = &spot{looking: make(chan struct{}, 1)}
		p.all[k] = s
	}
	return s
}

// stale makes the next careful call look at the definitions again.
func (p *places) stale(k placeKey) {
	s := p.get(k)
	s.small.Lock()
	s.seen = time.Time{}
	s.small.Unlock()
}

// closeWhere ends upstreams. Their spots stay, one for each server that was ever called, so that nobody starts a child that is then forgotten.
func (p *places) closeWhere(final bool, which func(placeKey, *spot) bool) {
	p.mu.Lock()
	var some []*spot
	for k, s := range p.all {
		if which(k, s) {
			some = append(some, s)
		}
	}
	p.mu.Unlock()
	var all sync.WaitGroup
	for _, s := range some {
		all.Go(func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.closed = final
			if s.up != nil {
				s.up.close()
				s.up = nil
			}
		})
	}
	all.Wait()
}

func (p *places) closeAll() { p.closeWhere(true, func(placeKey, *spot) bool { return true }) }

func (p *places) forget(k placeKey) {
	p.closeWhere(false, func(o placeKey, _ *spot) bool { return o == k })
}

func (p *places) closeIdle(before time.Time) {
	p.closeWhere(false, func(_ placeKey, s *spot) bool {
		s.small.Lock()
		defer s.small.Unlock()
		return s.lastUse.Before(before)
	})
}

// printOf names a registration: another command or URL is another server.
func printOf(s catalog.Server) id.Digest {
	raw, err := json.Marshal([]any{s.Transport, s.URL, s.Command, s.Env, s.AllowPrivate}, json.Deterministic(true))
	if err != nil {
		return id.Digest{}
	}
	return id.Sum(raw)
}

// upstream is the connection for this exchange: the session's own, or the one that all modern callers share, started if need be.
func (x *exchange) upstream() (upstream, error) {
	if x.session != nil {
		if x.session.print != printOf(x.server) {
			x.g.sessions.close(x.session)
		}
		select {
		case <-x.session.up.gone():
			x.g.sessions.close(x.session)
			return nil, notSent("the session's connection to the server has ended: send initialize", nil)
		default:
			return x.session.up, nil
		}
	}
	return x.g.shared(x.ctx, x.server)
}

func (g *Gateway) shared(ctx context.Context, srv catalog.Server) (upstream, error) {
	s := g.places.get(placeKey{srv.Workspace, srv.Name})
	s.mu.Lock()
	defer s.mu.Unlock()
	now := g.Clock.Now()
	s.small.Lock()
	s.lastUse = now
	s.small.Unlock()
	if s.closed {
		return nil, notSent("the gateway is stopping", nil)
	}
	print := printOf(srv)
	if s.up != nil {
		over := false
		select {
		case <-s.up.gone():
			over = true
			s.crashes = append(s.crashes, now)
		default:
		}
		if !over && s.print == print {
			return s.up, nil
		}
		s.up.close()
		s.up = nil
	}
	if srv.Transport == "stdio" {
		if err := s.mayStart(now); err != nil {
			return nil, err
		}
	}
	up, err := g.open(srv, catalog.Modern, func(m message) { // from a child that all share: only that its lists changed is ours to know
		if isListChanged(m.Method) {
			g.places.stale(placeKey{srv.Workspace, srv.Name})
		}
	})
	if err != nil {
		s.crashes = append(s.crashes, now)
		return nil, err
	}
	if srv.Transport == "stdio" {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), startTime)
		defer cancel()
		if _, err := g.discoverUpstream(ctx, up); err != nil {
			up.close()
			s.crashes = append(s.crashes, now)
			return nil, err
		}
	}
	s.up, s.print = up, print
	return up, nil
}

// mayStart holds a child that keeps crashing back: one to sixty seconds, and after five crashes in two minutes until those have passed.
func (s *spot) mayStart(now time.Time) error {
	s.crashes = slices.DeleteFunc(s.crashes, func(t time.Time) bool { return now.Sub(t) > crashSpan })
	n := len(s.crashes)
	if n == 0 {
		return nil
	}
	wait := min(firstWait<<(n-1), longWait)
	if n >= maxCrashes {
		return notSent("the server's process failed five times in two minutes", nil)
	}
	if now.Sub(s.crashes[n-1]) < wait {
		return notSent("the server's process has just failed and is started again in a moment", nil)
	}
	return nil
}

// open connects to a server in one revision. For stdio it starts the child; over HTTP nothing is sent yet.
func (g *Gateway) open(srv catalog.Server, era string, loose func(message)) (upstream, error) {
	revision := modern
	if era == catalog.Legacy {
		revision = legacy
	}
	if srv.Transport == "http" {
		client := g.public
		if srv.AllowPrivate {
			client = g.private
		}
		return newHTTPUpstream(client, g.Clock, srv.URL, revision), nil
	}
	if !g.Stdio {
		return nil, notSent("this server is not configured to run commands (gateway.stdio)", nil)
	}
	return startStdio(childConfig{
		Command: srv.Command, Env: srv.Env, Path: g.Path, Lang: g.Lang, Clock: g.Clock,
		Dir: filepath.Join(g.Dir, srv.Workspace.String(), srv.Name), Log: g.Log.With("server", srv.Name),
	}, revision, loose)
}

// fresh looks at the server's definitions again, before a call that is not read-only or was approved, when they were last seen over a minute ago. A definition
// that changed is quarantined and so stops the call at the guard. When it is false the client has been answered.
func (x *exchange) fresh(w *wanted, approved bool) bool {
	if w.tool.Class == catalog.Read && w.state == nil && !approved {
		return true
	}
	s := x.g.places.get(placeKey{x.place.workspace, x.place.server})
	select {
	case s.looking <- struct{}{}:
		defer func() { <-s.looking }()
	case <-x.ctx.Done():
		return false
	}
	now := x.g.Clock.Now()
	s.small.Lock()
	known := now.Sub(s.seen) < freshTime
	s.small.Unlock()
	if known {
		return true
	}
	if err := x.look(w); err != nil {
		x.upstreamFailed(err)
		return false
	}
	s.small.Lock()
	s.seen = now
	s.small.Unlock()
	return true
}

func (x *exchange) look(w *wanted) error {
	ctx, cancel := context.WithTimeout(x.ctx, startTime)
	defer cancel()
	items, _, err := x.g.definitions(ctx, w.up, x.revision)
	if err != nil {
		return err
	}
	stored, err := x.g.Catalog.Tools(ctx, x.place.workspace, x.place.server)
	if err != nil {
		return err
	}
	if len(catalog.Compare(stored, items)) == 0 {
		return nil
	}
	return x.g.Guard.Observe(ctx, x.place.workspace, x.place.server, items)
}
