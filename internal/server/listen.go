package server

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/attorn/attorn/fault"
)

// Listen opens the listener. The fault port_taken says that another process has the port.
func (s *Server) Listen() (net.Listener, error) {
	l, err := net.Listen("tcp", s.cfg.Listen)
	if err != nil {
		return nil, fault.Wrap(err, fault.Conflict, "port_taken", "cannot listen on %s: %v", s.cfg.Listen, err).Try("stop the other process, or use --listen")
	}
	return l, nil
}

// Serve answers on l until ctx ends, then drains for at most 30 s. Its error is the log's, when the log can no longer be kept.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	hs := &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 32 << 10, IdleTimeout: 2 * time.Minute,
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	ended := make(chan error, 1)
	go func() { ended <- hs.Serve(l) }()
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
