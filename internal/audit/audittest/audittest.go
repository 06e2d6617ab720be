// Package audittest opens a database with the real log on it, so that a room's tests change state as the server does: in a transaction, with an
// event. Only tests import it.
package audittest

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db"
	"github.com/attorn/attorn/internal/keyring"
)

// Rig is what one process of the server has of the database, with a clock that the test turns. Safe for concurrent use.
type Rig struct {
	Reader *db.Reader
	Writer *db.Writer
	Ring   *keyring.Ring
	Log    *audit.Log

	t     testing.TB
	clock atomic.Int64 // microseconds
}

// Open opens the database and its log until the test ends. The clock stands at start.
func Open(t testing.TB, dsn string, start time.Time) *Rig {
	t.Helper()
	r := &Rig{t: t}
	r.clock.Store(start.UnixMicro())
	var err error
	if r.Reader, r.Writer, err = db.Open(t.Context(), dsn); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Writer.Close() })
	seal, err := keyring.NewSealer(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	if r.Ring, err = keyring.Open(t.Context(), r.Reader, seal); err != nil {
		t.Fatal(err)
	}
	r.Log, err = audit.Open(t.Context(), audit.Config{
		Reader: r.Reader, Writer: r.Writer, Ring: r.Ring, Issuer: "http://localhost:7070", Node: "n1", Now: r.Now,
		Fatal: func(err error) { t.Errorf("fatal: %v", err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Log.Close)
	return r
}

// Now is the time of the clock, in whole microseconds as rooms keep it.
func (r *Rig) Now() time.Time { return time.UnixMicro(r.clock.Load()) }

// Pass moves the clock; back, if d is negative.
func (r *Rig) Pass(d time.Duration) { r.clock.Add(d.Microseconds()) }

// Do makes a change, with an event in the log of ws.
func (r *Rig) Do(ws id.Workspace, change func(*audit.Tx) error) error {
	d := evidence.Draft{Workspace: ws}
	d.Kind, d.Outcome, d.Who.Sub, d.Where.Face = evidence.DecisionMade, evidence.OK, evidence.ServerSub, "test"
	_, err := r.Log.Record(r.t.Context(), d, change)
	return err
}

// Nodes opens the database as the processes that share it: twice on PostgreSQL, once on SQLite, which has one process.
func Nodes[R any](t testing.TB, dsn string, open func(testing.TB, string) R) []R {
	t.Helper()
	all := []R{open(t, dsn)}
	if !strings.HasPrefix(dsn, "sqlite:") {
		all = append(all, open(t, dsn))
	}
	return all
}

// Together makes n calls at once, the nodes in turn, and counts the codes of their errors; a success has the code "". The first error of each
// code is told where the test tells anything.
func Together[R any](t testing.TB, nodes []R, n int, call func(r R, i int) error) map[string]int {
	t.Helper()
	results := make([]error, n)
	begin := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-begin
			results[i] = call(nodes[i%len(nodes)], i)
		})
	}
	close(begin)
	wg.Wait()
	codes := map[string]int{}
	for _, err := range results {
		code := fault.Code(err)
		if codes[code]++; codes[code] == 1 && err != nil {
			t.Log(err)
		}
	}
	return codes
}
