package approvals

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db"
)

// Room reads approvals; what changes them takes the transaction.
type Room struct{ r *db.Reader }

// New makes the room.
func New(r *db.Reader) *Room { return &Room{r} }

const columns = `id, digest, object, quorum, role, excluded, delegation, arguments, reason, ttl, asked, status, uses, max_uses, created_at, expires_at, use_by, changed_at`

const byID = `SELECT ` + columns + ` FROM approval WHERE workspace = $1 AND id = $2`

// Get reads one approval. Code: not_found.
func (r *Room) Get(ctx context.Context, ws id.Workspace, a id.Approval) (Approval, error) {
	return one(r.r.Row(ctx, byID, ws, a))
}

func lock(tx *audit.Tx, ws id.Workspace, a id.Approval) (Approval, error) {
	return one(tx.Row(byID+tx.ForUpdate(), ws, a))
}

const live = `SELECT ` + columns + ` FROM approval WHERE workspace = $1 AND digest = $2 AND status IN ('pending', 'approved')`

// ByDigest reads the approval for an object that is pending or may be used now.
func (r *Room) ByDigest(ctx context.Context, ws id.Workspace, digest id.Digest, now time.Time) (Approval, bool, error) {
	a, err := one(r.r.Row(ctx, live, ws, digest))
	return found(a, err, now)
}

func liveOf(tx *audit.Tx, ws id.Workspace, digest id.Digest) (Approval, bool, error) {
	a, err := one(tx.Row(live, ws, digest))
	return found(a, err, tx.Now())
}

func found(a Approval, err error, now time.Time) (Approval, bool, error) {
	if fault.Code(err) == "not_found" || err == nil && !a.StatusAt(now).Live() {
		return Approval{}, false, nil
	}
	return a, err == nil, err
}

// StatusOf reads how an approval stands now: what a caller that waits asks again and again. Code: not_found.
func (r *Room) StatusOf(ctx context.Context, ws id.Workspace, a id.Approval, now time.Time) (Status, error) {
	var s Status
	var expires, useBy int64
	err := r.r.Row(ctx, `SELECT status, expires_at, use_by FROM approval WHERE workspace = $1 AND id = $2`, ws, a).Scan(&s, &expires, &useBy)
	if errors.Is(err, sql.ErrNoRows) {
		return "", notFound()
	}
	if err != nil {
		return "", err
	}
	return Approval{Status: s, ExpiresAt: instant(expires), UseBy: instant(useBy)}.StatusAt(now), nil
}

// List reads a page of the approvals with a status as stored, the newest first; before is the last one of the page before. limit is 1 to 200.
func (r *Room) List(ctx context.Context, ws id.Workspace, s Status, before id.Approval, limit int) ([]Approval, error) {
	query, args := `SELECT `+columns+` FROM approval WHERE workspace = $1 AND status = $2`, []any{ws, s, min(max(limit, 1), 200)}
	if !before.IsZero() {
		query, args = query+` AND id < $4`, append(args, before)
	}
	rows, err := r.r.Rows(ctx, query+` ORDER BY id DESC LIMIT $3`, args...)
	return collect(rows, err, scan)
}

// Votes reads the votes that were counted on an approval, in the order they came.
func (r *Room) Votes(ctx context.Context, ws id.Workspace, a id.Approval) ([]evidence.Ballot, error) {
	rows, err := r.r.Rows(ctx, `SELECT v.ballot FROM vote v JOIN approval a ON a.id = v.approval WHERE a.workspace = $1 AND a.id = $2 ORDER BY v.at, v.voter`, ws, a)
	return collect(rows, err, func(s scanner) (evidence.Ballot, error) {
		var compact string
		if err := s.Scan(&compact); err != nil {
			return evidence.Ballot{}, err
		}
		return evidence.ParseBallot(compact)
	})
}

// overdue is a live approval whose time has run out at $2.
const overdue = `(status = 'pending' AND expires_at <= $2 OR status = 'approved' AND use_by <= $2)`

// Due reports whether Expire has anything to do in a workspace.
func (r *Room) Due(ctx context.Context, ws id.Workspace, now time.Time) (bool, error) {
	var one int
	err := r.r.Row(ctx, `SELECT 1 FROM approval WHERE workspace = $1 AND status IN ('pending', 'approved') AND `+overdue+` LIMIT 1`, ws, now.UnixMicro()).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

func insert(tx *audit.Tx, a Approval, object []byte) (bool, error) {
	excluded, err := json.Marshal(a.Excluded)
	if err != nil {
		return false, err
	}
	o := a.Object
	n, err := tx.Exec(`INSERT INTO approval (id, workspace, digest, object, gate, actor, subject, delegation, resource_type, resource_id, role, quorum, excluded,
			arguments, reason, status, uses, max_uses, ttl, created_at, expires_at, use_by, asked)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 'pending', 0, $16, $17, $18, $19, 0, $20) ON CONFLICT DO NOTHING`,
		a.ID, o.Workspace, a.Digest, string(object), o.Gate, o.Actor, o.Subject, a.Delegation, o.Resource.Type, o.Resource.ID, a.Role, a.Quorum, string(excluded),
		string(a.Arguments), a.Reason, a.MaxUses, a.TTL.Microseconds(), a.CreatedAt.UnixMicro(), a.ExpiresAt.UnixMicro(), a.Asked)
	return n == 1, err
}

// asksOf is what an actor has asked lately: how many are pending, how many it asked in the last hour, and its denials that could still matter.
func asksOf(tx *audit.Tx, ws id.Workspace, actor string) (pending, hourly int, denied []denial, err error) {
	now := tx.Now()
	err = tx.Row(`SELECT (SELECT COUNT(*) FROM approval WHERE workspace = $1 AND status = 'pending' AND actor = $2 AND expires_at > $3),
		(SELECT COUNT(*) FROM approval WHERE workspace = $1 AND actor = $2 AND created_at > $4)`,
		ws, actor, now.UnixMicro(), now.Add(-time.Hour).UnixMicro()).Scan(&pending, &hourly)
	if err != nil {
		return 0, 0, nil, err
	}
	since := now.Add(-time.Hour - pause)
	rows, err := tx.Rows(`SELECT digest, gate, changed_at FROM approval WHERE workspace = $1 AND actor = $2 AND created_at > $3 AND status = 'denied' AND changed_at > $4
		ORDER BY changed_at DESC LIMIT 200`, ws, actor, since.Add(-MaxWait).UnixMicro(), since.UnixMicro())
	denied, err = collect(rows, err, func(s scanner) (denial, error) {
		var d denial
		var at int64
		err := s.Scan(&d.digest, &d.gate, &at)
		d.at = instant(at)
		return d, err
	})
	return pending, hourly, denied, err
}

// cast stores a vote while the approval is pending, the first one of each person alone.
func cast(tx *audit.Tx, a Approval, b evidence.Ballot) (bool, error) {
	n, err := tx.Exec(`INSERT INTO vote (approval, voter, vote, ballot, at)
		SELECT id, CAST($3 AS TEXT), CAST($4 AS TEXT), CAST($5 AS TEXT), CAST($6 AS BIGINT)
		FROM approval WHERE workspace = $1 AND id = $2 AND status = 'pending' AND expires_at > $6 ON CONFLICT DO NOTHING`,
		a.Object.Workspace, a.ID, b.Vote.Voter, b.Vote.Vote, b.String(), tx.Now().UnixMicro())
	return n == 1, err
}

// decide counts: a denial denies, and the quorum's last approval approves.
func decide(tx *audit.Tx, a Approval, vote string) error {
	ws := a.Object.Workspace
	if vote != evidence.Approve {
		_, err := end(tx, ws, Denied, `id = $4 AND expires_at > $2`, a.ID)
		return err
	}
	_, err := tx.Exec(`UPDATE approval SET status = 'approved', use_by = $3 + ttl, changed_at = $3
		WHERE workspace = $1 AND id = $2 AND status = 'pending' AND expires_at > $3
			AND quorum <= (SELECT COUNT(*) FROM vote WHERE approval = $2 AND vote = $4)`, ws, a.ID, tx.Now().UnixMicro(), evidence.Approve)
	return err
}

// spend is policy.md §6's one statement.
func spend(tx *audit.Tx, ws id.Workspace, a id.Approval, digest id.Digest) (bool, error) {
	n, err := tx.Exec(`UPDATE approval SET uses = uses + 1, status = CASE WHEN uses + 1 >= max_uses THEN 'spent' ELSE status END,
			changed_at = CASE WHEN uses + 1 >= max_uses THEN $1 ELSE changed_at END
		WHERE workspace = $2 AND id = $3 AND digest = $4 AND status = 'approved' AND uses < max_uses AND use_by > $1`,
		tx.Now().UnixMicro(), ws, a, digest)
	return n == 1, err
}

func cancel(tx *audit.Tx, ws id.Workspace, a id.Approval) (bool, error) {
	ended, err := end(tx, ws, Cancelled, `id = $4 AND NOT `+overdue, a)
	return len(ended) == 1, err
}

// expire ends what is overdue: of one digest, or up to 100 of any.
func expire(tx *audit.Tx, ws id.Workspace, digest id.Digest) ([]id.Approval, error) {
	if !digest.IsZero() {
		return end(tx, ws, Expired, `digest = $4 AND `+overdue, digest)
	}
	return end(tx, ws, Expired, `id IN (SELECT id FROM approval WHERE workspace = $1 AND status IN ('pending', 'approved') AND `+overdue+` ORDER BY id LIMIT 100)`)
}

// manyIDs is how many identifiers one statement names.
const manyIDs = 500

func void(tx *audit.Tx, ws id.Workspace, g Ground) ([]id.Approval, error) {
	var all []id.Approval
	run := func(cond string, args ...any) error {
		ended, err := end(tx, ws, Void, cond, args...)
		all = append(all, ended...)
		return err
	}
	for ids := range slices.Chunk(g.Delegations, manyIDs) {
		marks, args := make([]string, len(ids)), make([]any, len(ids))
		for i, d := range ids {
			marks[i], args[i] = "$"+strconv.Itoa(i+4), d
		}
		if err := run(`delegation IN (`+strings.Join(marks, ", ")+`)`, args...); err != nil {
			return nil, err
		}
	}
	for _, c := range []struct {
		set  bool
		cond string
		args []any
	}{
		{!g.Approval.IsZero(), `id = $4`, []any{g.Approval}},
		{g.Actor != "", `actor = $4`, []any{g.Actor}},
		{!g.Subject.IsZero(), `subject = $4`, []any{g.Subject}},
		{g.Resource.ID != "", `resource_type = $4 AND resource_id = $5`, []any{g.Resource.Type, g.Resource.ID}},
		{g.All, `1 = 1`, nil},
		{g.Server != "", `resource_type = 'Tool' AND substr(resource_id, 1, length(CAST($4 AS TEXT))) = CAST($4 AS TEXT)`, []any{g.Server + ":"}},
	} {
		if !c.set {
			continue
		}
		if err := run(c.cond, c.args...); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// liveAsks lists the events in which an actor asked for what is still live.
func liveAsks(tx *audit.Tx, ws id.Workspace, actor string) (map[id.Approval]id.Event, error) {
	rows, err := tx.Rows(`SELECT id, asked FROM approval WHERE workspace = $1 AND actor = $2 AND status IN ('pending', 'approved')`, ws, actor)
	asks := map[id.Approval]id.Event{}
	_, err = collect(rows, err, func(s scanner) (struct{}, error) {
		var a id.Approval
		var e id.Event
		err := s.Scan(&a, &e)
		asks[a] = e
		return struct{}{}, err
	})
	return asks, err
}

// end moves the approvals of cond, whose arguments begin at $4, to a status, out of those statuses alone that lead there.
func end(tx *audit.Tx, ws id.Workspace, to Status, cond string, args ...any) ([]id.Approval, error) {
	var from []string
	for _, s := range []Status{Pending, Approved} {
		if s.To(to) {
			from = append(from, "'"+string(s)+"'")
		}
	}
	rows, err := tx.Rows(`UPDATE approval SET status = $3, changed_at = $2 WHERE workspace = $1 AND status IN (`+strings.Join(from, ", ")+`) AND `+cond+` RETURNING id`,
		append([]any{ws, tx.Now().UnixMicro(), to}, args...)...)
	return collect(rows, err, func(s scanner) (id.Approval, error) {
		var a id.Approval
		return a, s.Scan(&a)
	})
}

type scanner interface{ Scan(dest ...any) error }

// collect reads all rows: a transaction's connection takes no other statement before.
func collect[T any](rows *sql.Rows, err error, scan func(scanner) (T, error)) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

func one(row *sql.Row) (Approval, error) {
	a, err := scan(row)
	if errors.Is(err, sql.ErrNoRows) {
		return Approval{}, notFound()
	}
	return a, err
}

func scan(s scanner) (Approval, error) {
	var a Approval
	var object, excluded, arguments string
	var ttl, created, expires, useBy int64
	var changed sql.Null[int64]
	err := s.Scan(&a.ID, &a.Digest, &object, &a.Quorum, &a.Role, &excluded, &a.Delegation, &arguments, &a.Reason, &ttl, &a.Asked,
		&a.Status, &a.Uses, &a.MaxUses, &created, &expires, &useBy, &changed)
	if err != nil {
		return Approval{}, err
	}
	broken := func(err error) (Approval, error) {
		return Approval{}, fault.Wrap(err, fault.Internal, "approval_broken", "the stored approval %s cannot be read", a.ID)
	}
	if a.Object, err = evidence.ParseApproval([]byte(object)); err != nil {
		return broken(err)
	}
	if err := json.Unmarshal([]byte(excluded), &a.Excluded); err != nil {
		return broken(err)
	}
	a.Arguments, a.TTL = []byte(arguments), time.Duration(ttl)*time.Microsecond
	a.CreatedAt, a.ExpiresAt, a.UseBy, a.ChangedAt = instant(created), instant(expires), instant(useBy), instant(changed.V)
	a.Wait = a.ExpiresAt.Sub(a.CreatedAt)
	return a, nil
}

// instant is a stored time; 0 is none.
func instant(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

func notFound() error {
	return fault.New(fault.NotFound, "not_found", "there is no such approval").Try("see what waits: attorn approval ls")
}
