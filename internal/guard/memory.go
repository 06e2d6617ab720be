package guard

import (
	"context"
	"sync"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
)

// memory is what the door has read of the state and has not heard the end of, so that what every token of one agent rests on is read once. It makes nothing
// permitted that is not: what is remembered is let go of when an event touches what it rests on, each decision says as of which revision it was made, and the log
// refuses the commit where anything that the decision rests on ended since then, here or on another node (audit.ErrStale). Only what stood is remembered: a
// refusal is always fresh. What is remembered is bounded. Safe for concurrent use.
type memory struct {
	log    history
	mu     sync.Mutex
	spaces map[id.Workspace]*space
	homes  map[id.Key]id.Workspace // of the instances that are remembered
	n      int
}

// history is audit.Log, of which memory hears.
type history interface {
	Ended(ws id.Workspace, from int64) (ends []audit.End, upTo int64, whole bool)
	Rev(ctx context.Context, ws id.Workspace) (int64, error)
}

// space is what is remembered of a workspace.
type space struct {
	upTo  int64 // all that ended before this revision was let go of
	since int64 // after the last end: what was read as of an earlier revision may have ended already
	facts map[string]fact
	on    map[string]map[string]struct{} // names of facts, by what they rest on
}

// fact is something that was read, what it rests on beside the workspace as a whole, and when time alone ends it (zero: never).
type fact struct {
	value any
	rests []string
	until time.Time
}

// maxFacts bounds what is remembered. A chain of delegations is the largest, with some 10 KB.
const maxFacts = 8192

func newMemory(log history) *memory {
	return &memory{log: log, spaces: map[id.Workspace]*space{}, homes: map[id.Key]id.Workspace{}}
}

// asOf is the revision of a workspace as of which what is remembered stands: what ended before was let go of. What is read after it is at least as new.
func (m *memory) asOf(ctx context.Context, ws id.Workspace) (int64, error) {
	m.mu.Lock()
	upTo := m.hear(ws)
	m.mu.Unlock()
	if upTo > 0 {
		return upTo, nil
	}
	return m.log.Rev(ctx, ws) // nothing was heard of it since this process began
}

// hear applies what ended since the last time.
func (m *memory) hear(ws id.Workspace) int64 {
	s := m.spaces[ws]
	if s == nil {
		s = &space{facts: map[string]fact{}, on: map[string]map[string]struct{}{}}
	}
	ends, upTo, whole := m.log.Ended(ws, s.upTo)
	if upTo == 0 {
		return 0
	}
	if !whole {
		m.clear(s)
		s.since = upTo
	}
	for _, e := range ends {
		if s.since <= e.Rev {
			s.since = e.Rev + 1
		}
		for _, t := range e.Touches {
			if t == evidence.Workspace {
				m.clear(s)
			}
			for name := range s.on[t] {
				m.forget(s, name)
			}
		}
	}
	s.upTo = max(s.upTo, upTo)
	m.spaces[ws] = s
	return s.upTo
}

// home is the workspace of an instance that is remembered.
func (m *memory) home(key id.Key) (id.Workspace, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ws, ok := m.homes[key]
	return ws, ok
}

// get finds what is remembered under a name and stood as of a revision: the log sees to what ends after that. Without one nothing is found.
func (m *memory) get(ws id.Workspace, asOf int64, name string, now time.Time) (any, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.spaces[ws]
	if s == nil || asOf <= 0 || s.upTo < asOf && m.hear(ws) < asOf {
		return nil, false
	}
	f, ok := s.facts[name]
	if ok && !f.until.IsZero() && !now.Before(f.until) {
		m.forget(s, name)
		ok = false
	}
	return f.value, ok
}

// keep remembers what was read as of a revision, unless something ended since.
func (m *memory) keep(ws id.Workspace, asOf int64, name string, f fact) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.hear(ws) == 0 {
		return
	}
	s := m.spaces[ws]
	if asOf < s.since {
		return
	}
	m.forget(s, name)
	for m.n >= maxFacts {
		m.makeRoom()
	}
	s.facts[name] = f
	m.n++
	for _, on := range f.rests {
		if s.on[on] == nil {
			s.on[on] = map[string]struct{}{}
		}
		s.on[on][name] = struct{}{}
	}
}

// settle says where an instance that is remembered belongs.
func (m *memory) settle(key id.Key, ws id.Workspace) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.homes) >= maxFacts {
		clear(m.homes)
	}
	m.homes[key] = ws
}

func (m *memory) forget(s *space, name string) {
	f, ok := s.facts[name]
	if !ok {
		return
	}
	delete(s.facts, name)
	m.n--
	for _, on := range f.rests {
		if delete(s.on[on], name); len(s.on[on]) == 0 {
			delete(s.on, on)
		}
	}
}

func (m *memory) clear(s *space) {
	m.n -= len(s.facts)
	clear(s.facts)
	clear(s.on)
}

// makeRoom forgets any one.
func (m *memory) makeRoom() {
	for _, s := range m.spaces {
		for name := range s.facts {
			m.forget(s, name)
			return
		}
	}
}

// recall is what is remembered under a name, or else what read reads now, which is remembered if it is to be kept.
func recall[T any](m *memory, ws id.Workspace, asOf int64, now time.Time, name string, read func() (T, fact, error)) (T, error) {
	if v, ok := m.get(ws, asOf, name, now); ok {
		return v.(T), nil
	}
	v, f, err := read()
	if err == nil && f.rests != nil {
		f.value = v
		m.keep(ws, asOf, name, f)
	}
	return v, err
}
