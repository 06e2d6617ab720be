package audit

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/keyring"
)

// Roll is how a log goes on in another shard, under another key.
type Roll struct {
	Workspace id.Workspace
	From      string         // the shard that is open until now, as Head.Log names it: another one, and somebody else was faster
	As        keyring.Status // what becomes of its key: retired or compromised
	Cause     id.Event       // what asked for it; zero: the start of this process
}

var errRolled = fault.New(fault.Conflict, "log_rolled", "the log went on in another shard meanwhile; nothing was done").Try("look at the keys: attorn keys ls")

// Roll closes the open shard of a workspace's log and opens the next, in one transaction: log.closed, the last entry, names the next shard's origin and key;
// log.opened, its first, carries the last checkpoint, and is in the server's log too. Revisions go on. Code: log_rolled.
func (l *Log) Roll(ctx context.Context, r Roll) error {
	d := evidence.Draft{Workspace: r.Workspace, Also: []id.Workspace{id.Server}}
	_, err := l.submit(ctx, &entry{draft: d, roll: &r})
	return err
}

// RollDue opens the shards of a new year. It is called each minute on every node; one of them does what is due.
func (l *Log) RollDue(ctx context.Context) error {
	rows, err := l.cfg.Reader.Rows(ctx, `SELECT workspace, log, shard FROM log WHERE closed = 0 ORDER BY log`)
	if err != nil {
		return err
	}
	defer rows.Close()
	year := l.now().UTC().Year()
	var due []Roll
	for rows.Next() {
		r := Roll{As: keyring.Retired}
		var shard string
		if err := rows.Scan(&r.Workspace, &r.From, &shard); err != nil {
			return err
		}
		if opened, _ := splitShard(shard); opened < year {
			due = append(due, r)
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	rows.Close() // before the next query
	var failed error
	for _, r := range due {
		if err := l.Roll(ctx, r); fault.Code(err) != "log_rolled" {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

// splitShard reads a shard's name: the year of its opening, and which one of that year it is.
func splitShard(name string) (year, n int) {
	y, rest, more := strings.Cut(name, "-")
	year, _ = strconv.Atoi(y)
	if n = 1; more {
		n, _ = strconv.Atoi(rest)
	}
	return year, n
}

// nextShard is the name of the shard after one: of the year, or one more of the same year. A clock that was ahead makes no name twice.
func nextShard(name string, year int) string {
	opened, n := splitShard(name)
	if year > opened {
		return strconv.Itoa(year)
	}
	return strconv.Itoa(opened) + "-" + strconv.Itoa(n+1)
}

// rollOver is what a run does for a Roll, instead of entries.
func (r *run) rollOver(e *entry) error {
	e.got, e.err = evidence.Receipt{}, nil
	old := r.heads[e.roll.Workspace]
	switch {
	case old == nil:
		e.err = unknownWorkspace(e.roll.Workspace)
		return nil
	case old.log != e.roll.From:
		e.err = errRolled
		return nil
	}
	ws := e.roll.Workspace
	shard := nextShard(strings.TrimPrefix(old.log, ws.String()+"/"), r.now.UTC().Year())
	origin := evidence.Origin(r.log.cfg.Issuer, ws, shard)
	key, err := r.log.cfg.Ring.Make(origin, r.now)
	if err != nil {
		return err
	}
	fresh := &head{log: ws.String() + "/" + shard, base: old.base + old.frontier.Size() + 1}
	fresh.applied, fresh.from = fresh.base, fresh.base
	if fresh.signer, err = evidence.NewLogSigner(origin, key.Signer()); err != nil {
		return err
	}
	next := evidence.Shard{Workspace: ws, Origin: origin, VKey: fresh.signer.LogKey.String(), Base: fresh.base}
	if err := r.says(e, evidence.LogClosed, old.signer.Name(), &evidence.What{Log: &next, Use: evidence.UseLog, Status: string(e.roll.As)}, old); err != nil {
		return err
	}
	last, err := evidence.SignCheckpoint(old.frontier.Size(), old.frontier.Root(), old.signer)
	if err != nil {
		return err
	}
	next.Checkpoint = string(last)
	if err := r.store(ws, shard, old, fresh, key, e.roll.As); err != nil {
		return err
	}
	r.closed = append(r.closed, old)
	r.heads[ws] = fresh
	places := []*head{fresh}
	if ws != id.Server {
		places = append(places, r.heads[id.Server])
	}
	return r.says(e, evidence.LogOpened, origin, &evidence.What{Log: &next}, places...)
}

// says appends an event of the server's own to logs.
func (r *run) says(e *entry, kind evidence.Kind, target string, what *evidence.What, places ...*head) error {
	d := evidence.Draft{Workspace: e.roll.Workspace, Target: target}
	d.Kind, d.Outcome, d.Who.Sub, d.Where.Face, d.Cause = kind, evidence.OK, evidence.ServerSub, "server", e.roll.Cause
	d.What = what
	prepare(&d, r.now, r.log)
	if err := r.append(places, &d); err != nil {
		return err
	}
	e.got.ID, e.got.Rev, e.got.Outcome = d.ID, d.Rev, d.Outcome
	return nil
}

// store closes one shard and makes the next, empty, with its key.
func (r *run) store(ws id.Workspace, shard string, old, fresh *head, key *keyring.Key, as keyring.Status) error {
	empty, err := evidence.SignCheckpoint(0, fresh.frontier.Root(), fresh.signer)
	if err != nil {
		return err
	}
	n, err := r.tx.Exec(`UPDATE log SET closed = 1 WHERE log = $1 AND closed = 0`, old.log)
	if err == nil && n != 1 {
		err = errForked
	}
	if err != nil {
		return err
	}
	if _, err := r.tx.Exec(`INSERT INTO log (log, workspace, shard, origin, vkey, kid, base, size, listed, frontier, checkpoint, closed) VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0, $8, $9, 0)`,
		fresh.log, ws, shard, key.Purpose, fresh.signer.LogKey.String(), key.Kid, fresh.base, []byte{}, string(empty)); err != nil {
		return err
	}
	if err := r.log.cfg.Ring.End(r.tx, old.signer.Name(), as, r.now); err != nil {
		return err
	}
	return r.log.cfg.Ring.Store(r.tx, key)
}

func unknownWorkspace(ws id.Workspace) error {
	return fault.New(fault.NotFound, "workspace_unknown", "there is no workspace %q", ws)
}
