package clients_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/clients"
	"github.com/attorn/attorn/internal/db"
	"github.com/attorn/attorn/internal/keyring"
)

// rig is the room on a real database, behind the real log.
type rig struct {
	*clients.Room
	log   *audit.Log
	read  *db.Reader
	clock *atomic.Int64 // microseconds
}

func open(t testing.TB, dsn string) rig {
	t.Helper()
	r, w, err := db.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	seal, err := keyring.NewSealer(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keyring.Open(t.Context(), r, seal)
	if err != nil {
		t.Fatal(err)
	}
	clock := new(atomic.Int64)
	clock.Store(time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC).UnixMicro())
	log, err := audit.Open(t.Context(), audit.Config{
		Reader: r, Writer: w, Ring: ring, Issuer: "http://localhost:7070", Node: "n1",
		Now: func() time.Time { return time.UnixMicro(clock.Load()) }, Fatal: func(err error) { t.Errorf("fatal: %v", err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(log.Close)
	return rig{clients.New(r), log, r, clock}
}

// nodes opens the database as often as its engine lets processes share it.
func nodes(t testing.TB, dsn string) []rig {
	if strings.HasPrefix(dsn, "sqlite:") {
		return []rig{open(t, dsn)}
	}
	return []rig{open(t, dsn), open(t, dsn)}
}

func (r rig) now() time.Time { return time.UnixMicro(r.clock.Load()) }

func (r rig) pass(d time.Duration) { r.clock.Add(d.Microseconds()) }

// do makes a change, recorded in the log of ws.
func (r rig) do(t testing.TB, ws id.Workspace, change func(*audit.Tx) error) error {
	d := evidence.Draft{Workspace: ws}
	d.Kind, d.Outcome, d.Who.Sub, d.Where.Face = evidence.DecisionMade, evidence.OK, evidence.ServerSub, "test"
	_, err := r.log.Record(t.Context(), d, change)
	return err
}
