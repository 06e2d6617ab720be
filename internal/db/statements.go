package db

import (
	"context"
	"database/sql"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// maxStatements bounds how many texts are kept prepared: all of ours fit, and a text that is put together from what was asked cannot crowd them out.
const maxStatements = 512

// statements keeps what SQLite compiled, because compiling a text takes longer than most of ours take to run. On PostgreSQL nothing is kept: a statement that is
// prepared on the server does not survive a pooler in transaction mode.
type statements struct {
	db     *sql.DB
	mu     sync.RWMutex
	kept   map[string]*sql.Stmt
	wanted []string // texts that a transaction had to run without
	run    atomic.Int64
}

func newStatements(db *sql.DB, e Engine) *statements {
	s := &statements{db: db}
	if e == SQLite {
		s.kept = map[string]*sql.Stmt{}
	}
	return s
}

// known is the prepared form of a text; nil where there is none.
func (s *statements) known(query string) *sql.Stmt {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.kept[query]
}

// prepare keeps a text, and is nil where there is no room, or it cannot be prepared: then running it says why.
func (s *statements) prepare(ctx context.Context, query string) *sql.Stmt {
	if s.kept == nil {
		return nil
	}
	if st := s.known(query); st != nil {
		return st
	}
	s.mu.RLock()
	full := len(s.kept) >= maxStatements
	s.mu.RUnlock()
	if full {
		return nil
	}
	st, err := s.db.PrepareContext(ctx, query)
	if err != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if have := s.kept[query]; have != nil {
		st.Close()
		return have
	}
	s.kept[query] = st
	return st
}

// want asks for a text to be prepared before the next transaction: within one the only connection is taken.
func (s *statements) want(query string) {
	if s.kept == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.kept)+len(s.wanted) < maxStatements && !slices.Contains(s.wanted, query) {
		s.wanted = append(s.wanted, query)
	}
}

func (s *statements) prepareWanted(ctx context.Context) {
	s.mu.Lock()
	wanted := s.wanted
	s.wanted = nil
	s.mu.Unlock()
	for _, query := range wanted {
		s.prepare(ctx, query)
	}
}

// Tx is a transaction of the Writer.
type Tx struct {
	*sql.Tx
	writer *Writer
	bound  map[string]*sql.Stmt
}

// ExecContext runs a statement.
func (t *Tx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if st := t.statement(query); st != nil {
		return st.ExecContext(ctx, args...)
	}
	return t.Tx.ExecContext(ctx, query, args...)
}

// QueryContext runs a query. Its rows are closed before the same text runs again.
func (t *Tx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if st := t.statement(query); st != nil {
		return st.QueryContext(ctx, args...)
	}
	return t.Tx.QueryContext(ctx, query, args...)
}

// QueryRowContext runs a query for at most one row.
func (t *Tx) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if st := t.statement(query); st != nil {
		return st.QueryRowContext(ctx, args...)
	}
	return t.Tx.QueryRowContext(ctx, query, args...)
}

// Commit makes the transaction durable.
func (t *Tx) Commit() error {
	t.writer.commits.Add(1)
	return t.Tx.Commit()
}

func (t *Tx) statement(query string) *sql.Stmt {
	s := t.writer.statements
	s.run.Add(1)
	if st := t.bound[query]; st != nil {
		return st
	}
	kept := s.known(query)
	if kept == nil {
		s.want(query)
		return nil
	}
	st := t.StmtContext(context.Background(), kept) // it ends with the transaction
	if t.bound == nil {
		t.bound = map[string]*sql.Stmt{}
	}
	t.bound[query] = st
	return st
}

// Work is what was done so far, for tests that hold an operation to what it may cost.
type Work struct{ Statements, Commits int64 }

// Work counts the reader's statements.
func (r *Reader) Work() Work { return Work{Statements: r.statements.run.Load()} }

// Work counts the writer's statements and commits.
func (w *Writer) Work() Work {
	return Work{Statements: w.statements.run.Load(), Commits: w.commits.Load()}
}

// Texts lists what is kept prepared, for tests that look at how it is run.
func (r *Reader) Texts() []string { return r.statements.texts() }

// Texts lists what is kept prepared, for tests that look at how it is run.
func (w *Writer) Texts() []string { return w.statements.texts() }

func (s *statements) texts() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Sorted(maps.Keys(s.kept))
}
