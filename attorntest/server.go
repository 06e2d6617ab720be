package attorntest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/attorn/attorn/internal/server"
)

// Config says how the product is started; the zero value is a new, empty one on SQLite.
type Config struct {
	DSN  string           // "" is SQLite in the test's own directory
	Data string           // "" is a new directory of the test's own; give one to start again on the same data
	URL  string           // of an earlier Server, to start again at the same address; "" takes a free port on loopback
	Now  func() time.Time // nil is the clock

	Registration string // of apps by themselves (RFC 7591): "" is off, token or open
}

// Server is the whole product, listening on loopback, in the test's own process.
type Server struct {
	URL  string // without a final slash
	Data string // the data directory
	Link string // the one-time secret of the first administrator's sign-in link; "" where there is one already

	server *server.Server
	stop   func()
}

// Start starts the product and stops it when the test ends.
func Start(t testing.TB, cfg Config) *Server {
	t.Helper()
	s := &Server{URL: cfg.URL, Data: cfg.Data}
	if s.Data == "" {
		s.Data = filepath.Join(t.TempDir(), "attorn")
	}
	address := "127.0.0.1:0"
	if s.URL != "" {
		address = "127.0.0.1:" + s.URL[strings.LastIndexByte(s.URL, ':')+1:]
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if s.URL == "" {
		s.URL = fmt.Sprintf("http://localhost:%d", l.Addr().(*net.TCPAddr).Port)
	}
	out := io.Discard
	if testing.Verbose() {
		out = os.Stderr
	}
	s.server, err = server.Open(t.Context(), server.Config{
		Dev: true, URL: s.URL, Listen: l.Addr().String(), Data: s.Data, DSN: cfg.DSN, Node: "test", Now: cfg.Now, Registration: cfg.Registration,
		Logger: slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		l.Close()
		t.Fatal(err)
	}
	link, err := s.server.SignInLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, s.Link, _ = strings.Cut(link, "#")
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.server.Serve(ctx, l) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the server ended: %v", err)
		}
		s.server.Close()
	})
	t.Cleanup(s.stop)
	return s
}

// Stop ends the product before the test does; what it acknowledged is stored.
func (s *Server) Stop() { s.stop() }
