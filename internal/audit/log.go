package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/db"
	"github.com/attorn/attorn/internal/keyring"
)

// Config says what a Log works with.
type Config struct {
	Reader *db.Reader
	Writer *db.Writer
	Ring   *keyring.Ring
	Issuer string           // the server's external URL: origins of the logs begin with it, without the scheme
	Node   string           // the name of this process in events
	Now    func() time.Time // the clock
	Fatal  func(error)      // told once when the log can no longer be kept; the process should end. Nil: nothing is told
	Logger *slog.Logger
}

// Log is the log of every workspace of the server. Safe for concurrent use.
type Log struct {
	cfg    Config
	engine db.Engine
	queue  chan *entry
	quit   chan struct{}
	ended  chan struct{}

	closing sync.Once
	start   id.Event

	mu      sync.Mutex
	heads   map[string]*head // by log
	open    map[id.Workspace]*head
	moved   chan struct{} // closed and replaced after each commit
	altered chan struct{} // and after each that may change a later decision
	stopped error
	opened  time.Time
	texts   map[string]string // of INSERT statements: one for each table and number of rows; the loop's own
	forgot  forgot            // the sweep of old nonces; the loop's own

	subjects *subjectKeys
	now      func() time.Time
}

// head is what the loop knows of a log from the last batch: enough to see that it is continued, not replaced.
type head struct {
	log        string
	signer     evidence.LogSigner
	base       int64
	listed     int64 // of its entries: those before are in the table mention
	frontier   evidence.Frontier
	checkpoint string
	altered    []altered // the latest altering events, oldest first
	applied    int64     // rev up to which altered is complete
	from       int64     // rev from which it is complete
}

type altered struct {
	rev     int64
	touches []string
}

const (
	queueLength = 4096
	queueWait   = 2 * time.Second
	batchDrafts = 1024
	batchBytes  = 1 << 20
	ringLength  = 4096 // altering events remembered per log
)

// Open makes the logs of the workspaces server and default if this is the database's first start, and begins the commit loop.
func Open(ctx context.Context, cfg Config) (*Log, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	l := &Log{
		cfg: cfg, engine: cfg.Writer.Engine(), queue: make(chan *entry, queueLength), quit: make(chan struct{}), ended: make(chan struct{}),
		heads: map[string]*head{}, open: map[id.Workspace]*head{}, texts: map[string]string{}, moved: make(chan struct{}), altered: make(chan struct{}), now: cfg.Now, opened: cfg.Now(), forgot: forgot{upTo: []byte{}},
		start:    id.New[id.Event](cfg.Now()),
		subjects: newSubjectKeys(cfg.Ring.Sealer()),
	}
	go l.loop()
	for _, ws := range []id.Workspace{id.Server, id.Default} {
		if err := l.openShard(ctx, ws); err != nil {
			l.Close()
			return nil, fmt.Errorf("open the log of workspace %s: %w", ws, err)
		}
	}
	return l, nil
}

// Close finishes what is queued and ends the loop. It may be called again.
func (l *Log) Close() {
	l.closing.Do(func() { close(l.quit) })
	<-l.ended
}

// Moved returns a channel that is closed when this node next commits. Whoever waits for a change by another node must poll too.
func (l *Log) Moved() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.moved
}

// Altered is Moved for the commits that may change a later decision.
func (l *Log) Altered() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.altered
}

// Start is the number that the event system.started of this process has, or will have: the server's own acts lead to it.
func (l *Log) Start() id.Event { return l.start }

// Now is the log's clock.
func (l *Log) Now() time.Time { return l.now() }

// OpenWorkspace makes the log of a workspace that has none yet, and says in its first entry, and in the server's log, that it is there. Every node can
// write to it from then on. To do it again changes nothing.
func (l *Log) OpenWorkspace(ctx context.Context, ws id.Workspace) error { return l.openShard(ctx, ws) }

// openShard makes the workspace's log if there is none, and sees to it that its first entry says so.
func (l *Log) openShard(ctx context.Context, ws id.Workspace) error {
	shard := strconv.Itoa(l.now().UTC().Year())
	var size int64
	var have evidence.Shard
	read := func() error {
		err := l.cfg.Reader.Row(ctx, `SELECT origin, vkey, base, size FROM log WHERE workspace = $1 AND closed = 0`, ws).
			Scan(&have.Origin, &have.VKey, &have.Base, &size)
		have.Workspace = ws
		return err
	}
	err := read()
	if errors.Is(err, sql.ErrNoRows) {
		if err := l.createShard(ctx, ws, shard); err != nil {
			return err
		}
		err = read()
	}
	if err != nil || size > 0 {
		return err
	}
	d := evidence.Draft{Workspace: ws, Target: have.Origin}
	d.Kind, d.Outcome, d.Who.Sub, d.Where.Face = evidence.LogOpened, evidence.OK, evidence.ServerSub, "server"
	d.What = &evidence.What{Log: &have}
	if ws != id.Server {
		d.Also = []id.Workspace{id.Server} // so that the server's key reaches every shard
	}
	_, err = l.Record(ctx, d, func(tx *Tx) error {
		if tx.Rev() != have.Base {
			return errOpened
		}
		return nil
	})
	if errors.Is(err, errOpened) {
		return nil
	}
	return err
}

var errOpened = errors.New("another process has opened the log")

// createShard stores the shard's key and its empty, signed head. Two nodes' first starts at once make one.
func (l *Log) createShard(ctx context.Context, ws id.Workspace, shard string) error {
	origin := strings.TrimSuffix(l.cfg.Issuer[strings.Index(l.cfg.Issuer, "://")+3:], "/") + "/log/" + ws.String() + "/" + shard
	key, err := l.cfg.Ring.Make(origin, l.now())
	if err != nil {
		return err
	}
	signer, err := evidence.NewLogSigner(origin, key.Signer())
	if err != nil {
		return err
	}
	var empty evidence.Frontier
	checkpoint, err := evidence.SignCheckpoint(0, empty.Root(), signer)
	if err != nil {
		return err
	}
	tx, err := l.cfg.Writer.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	t := &Tx{ctx: ctx, tx: tx, engine: l.engine}
	n, err := t.Exec(`INSERT INTO log (log, workspace, shard, origin, vkey, kid, base, size, listed, frontier, checkpoint, closed)
		VALUES ($1, $2, $3, $4, $5, $6, 0, 0, 0, $7, $8, 0) ON CONFLICT DO NOTHING`,
		ws.String()+"/"+shard, ws, shard, origin, signer.LogKey.String(), key.Kid, []byte{}, string(checkpoint))
	if err != nil || n == 0 {
		return err
	}
	if err := l.cfg.Ring.Store(t, key); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	l.cfg.Ring.Add(key)
	return nil
}

// overloaded and its like are what Record answers instead of an event.
func overloaded() error {
	return fault.New(fault.Unavailable, "overloaded", "the log has more to write than it can; nothing was changed").Try("try again in a few seconds")
}
