package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/guard"
)

// Limits of legacy sessions.
const (
	maxSessionsServer = 16              // of one server whose sessions are children
	maxSessionsAgent  = 4               // of one agent there
	maxHTTPServer     = 256             // of one server over HTTP
	maxHTTPAgent      = 64              // of one agent there
	streamTime        = 5 * time.Minute // a GET stream; then the client opens it again, with a fresh token
	maxWatched        = 16
)

var (
	errSessionOver = errors.New("the session is over")
	errClientGave  = errors.New("the client cancelled the request")
)

// session is a legacy client's session (2025-11-25, Session Management). Its id is ours and random; it is worth nothing in another caller's
// hands, at another server, or on another node.
type session struct {
	id       string
	caller   string // guard.Caller.ClientKey
	sub      string // the agent, for limits
	place    place
	print    id.Digest // of the server's registration
	up       upstream
	features clientFeatures
	g        *Gateway

	ctx  context.Context
	end  context.CancelCauseFunc
	says chan []byte // for the client's GET stream

	mu       sync.Mutex
	lastUse  time.Time
	busy     int
	inFlight map[string]context.CancelCauseFunc // by the client's request id
	watched  map[id.Approval]bool
}

// began notes a call in flight, so that the client can cancel it.
func (s *session) began(rid jsontext.Value, cancel context.CancelCauseFunc) (ended func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inFlight[string(rid)] = cancel
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.inFlight, string(rid))
	}
}

// cancel ends the call that a client's notifications/cancelled names; an unknown one is ignored.
func (s *session) cancel(params jsontext.Value) {
	var p struct {
		RequestID jsontext.Value `json:"requestId"`
	}
	if params == nil || foreign(params, &p) != nil {
		return
	}
	s.mu.Lock()
	end := s.inFlight[string(decodeID(p.RequestID))]
	s.mu.Unlock()
	if end != nil {
		end(errClientGave)
	}
}

// use keeps the session from being idle until release.
func (s *session) use() (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.busy--
		s.lastUse = s.g.Clock.Now()
	}
}

func (s *session) idleSince(t time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.busy == 0 && s.lastUse.Before(t)
}

// say sends a notification on the GET stream, if there is room.
func (s *session) say(m []byte) {
	select {
	case s.says <- m:
	default:
	}
}

// watch tells the client when an approval that it was sent away for is decided.
func (s *session) watch(c *guard.Caller, p *guard.Pending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watched[p.ID] || len(s.watched) >= maxWatched {
		return
	}
	s.watched[p.ID] = true
	go func() {
		ctx, cancel := pendingOf(s.ctx, s.g, p)
		defer cancel()
		status, err := s.g.Guard.Wait(ctx, c, p.ID)
		s.mu.Lock()
		delete(s.watched, p.ID)
		s.mu.Unlock()
		if err == nil && status != "pending" {
			s.say(encodeNotification("notifications/elicitation/complete", (&object{}).text("elicitationId", p.ID.String()).end()))
		}
	}()
}

// loose handles what a session's own child says outside of requests.
func (s *session) loose(m message) {
	if isListChanged(m.Method) {
		s.g.places.stale(placeKey{s.place.workspace, s.place.server})
		return
	}
	if m.Method == "notifications/message" {
		if b := encodeNote(m, 0, nil); b != nil {
			s.say(b)
		}
	}
}

// findSession finds the session of a legacy request. When it is false the client has been answered.
func (x *exchange) findSession() bool {
	ids := x.header.Values(headerSession)
	if len(ids) == 0 {
		x.out.fail(&rpcError{Status: http.StatusBadRequest, Code: codeRequest, Message: "Mcp-Session-Id is missing: send initialize first"})
		return false
	}
	s := x.g.sessions.get(ids[0])
	if len(ids) != 1 || s == nil || s.caller != x.caller.ClientKey() || s.place.url != x.place.url {
		x.out.fail(&rpcError{Status: http.StatusNotFound, Code: codeRequest, Message: "There is no such session: send initialize"})
		return false
	}
	x.session = s
	return true
}

// listen serves the session's GET stream.
func (x *exchange) listen(r *http.Request) {
	if !x.findSession() {
		return
	}
	if !strings.Contains(strings.Join(r.Header.Values("Accept"), ","), "text/event-stream") {
		http.Error(x.w, "this is a stream of events", http.StatusNotAcceptable)
		return
	}
	if _, err := x.g.Guard.Visible(x.ctx, x.caller, nil); err != nil {
		x.failed(err)
		return
	}
	defer x.session.use()()
	ctx, cancel := context.WithTimeout(x.ctx, streamTime)
	defer cancel()
	startStream(x.w)
	_ = http.NewResponseController(x.w).Flush()
	for {
		select {
		case m := <-x.session.says:
			if _, err := x.w.Write(appendEvent(nil, m)); err != nil {
				return
			}
			_ = http.NewResponseController(x.w).Flush()
		case <-x.session.ctx.Done():
			return
		case <-x.g.draining.Done():
			return
		case <-ctx.Done():
			return
		}
	}
}

// hangUp ends a session at its client's wish.
func (x *exchange) hangUp(*http.Request) {
	if !x.findSession() {
		return
	}
	// Whoever may do nothing any more may still leave; a proof that does not hold ends nothing.
	if _, err := x.g.Guard.Visible(x.ctx, x.caller, nil); err != nil && (fault.Of(err) == nil || fault.Of(err).Kind != fault.Denied) {
		x.failed(err)
		return
	}
	x.g.sessions.close(x.session)
	x.w.WriteHeader(http.StatusNoContent)
}

// sessions are the legacy sessions of this node.
type sessions struct {
	mu  sync.Mutex
	all map[string]*session
}

func (t *sessions) init() { t.all = map[string]*session{} }

func (t *sessions) get(sid string) *session {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.all[sid]
}

// add makes room for a session, or reports that there is none.
func (t *sessions) add(s *session, perServer, perAgent int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	server, agent := 0, 0
	for _, o := range t.all {
		if o.place.url == s.place.url {
			server++
			if o.sub == s.sub {
				agent++
			}
		}
	}
	if server >= perServer || agent >= perAgent {
		return false
	}
	s.id = rand.Text() + rand.Text()
	t.all[s.id] = s
	return true
}

// connected gives a session its upstream; false when the session was closed meanwhile.
func (t *sessions) connected(s *session, up upstream) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all[s.id] != s {
		return false
	}
	s.up = up
	return true
}

func (t *sessions) close(s *session) {
	t.mu.Lock()
	delete(t.all, s.id)
	up := s.up
	t.mu.Unlock()
	s.end(errSessionOver)
	if up != nil {
		up.close()
	}
}

// cut ends a session whose caller may not act any more, and what is in flight in it: first the calls, so that each knows why.
func (t *sessions) cut(s *session, cause error) {
	s.mu.Lock()
	for _, end := range s.inFlight {
		end(cause)
	}
	s.mu.Unlock()
	t.close(s)
}

func (t *sessions) closeWhere(which func(*session) bool) {
	t.mu.Lock()
	some := slices.DeleteFunc(slices.Collect(maps.Values(t.all)), func(s *session) bool { return !which(s) })
	t.mu.Unlock()
	var all sync.WaitGroup
	for _, s := range some {
		all.Go(func() { t.close(s) })
	}
	all.Wait()
}

func (t *sessions) closeAll() { t.closeWhere(func(*session) bool { return true }) }

// counters count something per key.
type counters struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *counters) init() { c.n = map[string]int{} }

// take counts one more, unless there are limit already.
func (c *counters) take(key string, limit int) (release func(), ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n[key] >= limit {
		return nil, false
	}
	c.n[key]++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.n[key]--; c.n[key] == 0 {
			delete(c.n, key)
		}
	}, true
}
