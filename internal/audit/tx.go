package audit

import (
	"context"
	"database/sql"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/internal/db"
)

// Tx is the transaction that a change runs in. It may run twice (the batch was tried again), so it must do nothing but SQL on its room's
// tables, amend Event and Keep. It is valid until the change returns.
type Tx struct {
	ctx    context.Context
	tx     *db.Tx
	engine db.Engine
	event  *evidence.Event
	draft  *evidence.Draft
	rev    int64
	now    time.Time
	refuse *refusal
	before []evidence.Draft
	watch  *time.Timer // ends a transaction that the database says nothing in; nil where that cannot be
}

// spoke notes that the database answered.
func (t *Tx) spoke() {
	if t.watch != nil {
		t.watch.Reset(silence)
	}
}

type refusal struct{ code, reason string }

// Exec runs a statement and returns how many rows it changed.
func (t *Tx) Exec(query string, args ...any) (int64, error) {
	res, err := t.tx.ExecContext(t.ctx, query, args...)
	t.spoke()
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// Rows runs a query.
func (t *Tx) Rows(query string, args ...any) (*sql.Rows, error) {
	defer t.spoke()
	return t.tx.QueryContext(t.ctx, query, args...)
}

// Row runs a query for at most one row.
func (t *Tx) Row(query string, args ...any) *sql.Row {
	defer t.spoke()
	return t.tx.QueryRowContext(t.ctx, query, args...)
}

// ForUpdate is what a SELECT ends with to lock its rows until the commit.
func (t *Tx) ForUpdate() string { return t.engine.ForUpdate() }

// Now is the time of the batch; rooms have no clock.
func (t *Tx) Now() time.Time { return t.now }

// Rev is the position that the event will have in its workspace's history if the change succeeds.
func (t *Tx) Rev() int64 { return t.rev }

// Event is the event as it will be stored; a change fills in what only the transaction knows, such as the uses left.
func (t *Tx) Event() *evidence.Event { return t.event }

// Keep adds a document to what the commit stores by digest.
func (t *Tx) Keep(c evidence.Content) { t.draft.Content = append(t.draft.Content, c) }

// Before puts another event of the same transaction and workspace into the log, ahead of Event: what one commit does may be several things, each found by its
// own kind. It stays after Refuse. Of a draft its event, details, content and what it is found by count; it spends nothing and depends on nothing.
func (t *Tx) Before(d evidence.Draft) { t.before = append(t.before, d) }

// Refuse keeps what the change wrote (a spent code stays spent) but makes its event a denial with code and reason.
func (t *Tx) Refuse(code, reason string) { t.refuse = &refusal{code, reason} }
