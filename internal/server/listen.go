package server

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/attorn/attorn/fault"
)

// Listen opens the listener of a server that is then opened: before it, so that a start that fails for its port has made and changed nothing. The
// fault port_taken says that another process has the port.
func Listen(cfg Config) (net.Listener, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, fault.Wrap(err, fault.Conflict, "port_taken", "cannot listen on %s: %v", cfg.Listen, err).Try("stop the other process, or use --listen")
	}
	return l, nil
}

// Serve answers on l until ctx ends, then drains for at most 30 s. Its error is the log's, when the log can no longer be kept.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	hs := patient(s.Handler())
	hs.BaseContext = func(net.Listener) context.Context { return context.WithoutCancel(ctx) }
	hs.RegisterOnShutdown(s.gateway.Drain)
	ended := make(chan error, 1)
	go func() { ended <- hs.Serve(l) }()
	go s.sweep(ctx)
	var broken error
	select {
	case err := <-ended:
		return err
	case broken = <-s.fatal:
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := hs.Shutdown(drain); err != nil {
		hs.Close()
	}
	if err := <-ended; err != nil && !errors.Is(err, http.ErrServerClosed) && broken == nil {
		return err
	}
	return broken
}

// patient serves with limits on how long a client may take: for a request's head, for its body, which must arrive within a minute, more than the longest
// poll, for taking the answer, and between requests. The gateway, which holds longer, lifts them for its own requests.
func patient(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, WriteTimeout: 3 * time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
	}
}

// sweep writes down each minute what time has ended, until ctx does.
func (s *Server) sweep(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := errors.Join(s.guard.SweepKeys(ctx), s.log.RollDue(ctx), s.guard.SweepUses(ctx), s.guard.SweepAll(ctx)); err != nil {
				s.cfg.Logger.Warn("the sweep failed; it runs again in a minute", "error", err.Error())
			}
		}
	}
}
