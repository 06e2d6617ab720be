package gateway

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
)

// stdioUpstream speaks with a child, one message a line (MCP, basic/transports/stdio). Ids are the gateway's own, so callers that share a
// child cannot name one another's requests.
type stdioUpstream struct {
	child    *child
	revision string
	log      *slog.Logger
	loose    func(message) // notifications that belong to no request; nil: dropped

	mu      sync.Mutex
	waiting map[int64]*waiter
	over    bool
	done    chan struct{}
}

// waiter is a call in flight. Notes beyond what its buffer holds are dropped: they are progress.
type waiter struct {
	notes  chan message
	answer chan message // one
}

// startStdio runs the command and begins to read.
func startStdio(c childConfig, revision string, loose func(message)) (*stdioUpstream, error) {
	ch, err := start(c)
	if err != nil {
		return nil, notSent("the server's command could not be started", err)
	}
	u := &stdioUpstream{child: ch, revision: revision, log: c.Log, loose: loose, waiting: map[int64]*waiter{}, done: make(chan struct{})}
	go u.read()
	return u, nil
}

func (u *stdioUpstream) gone() <-chan struct{} { return u.done }

// read takes lines until the child ends or breaks the wire's rules; then every call in flight is lost.
func (u *stdioUpstream) read() {
	in := bufio.NewReaderSize(u.child.stdout, 64<<10)
	var err error
	for err == nil {
		var line []byte
		if line, err = readLine(in, maxResult); err == nil {
			err = u.take(line)
		}
	}
	u.mu.Lock()
	u.over = true
	close(u.done)
	u.mu.Unlock()
	if !errors.Is(err, io.EOF) {
		u.log.Warn("upstream: the child's output cannot be read on", "error", err)
	}
	u.child.stop()
}

// take handles one line. What does not begin like a message is not one (some programs greet on standard output); a message that breaks a
// rule ends the child, since an answer may be in it.
func (u *stdioUpstream) take(line []byte) error {
	if first := bytes.TrimLeft(line, " \t"); len(first) == 0 || (first[0] != '{' && first[0] != '[') {
		if len(first) > 0 {
			u.log.Debug("upstream: a line that is no message", "bytes", len(line))
		}
		return nil
	}
	m, bad := decodeMessage(bytes.Clone(line), maxResult)
	switch {
	case bad != nil:
		return invalid("the server's answer breaks rule "+bad.Rule, bad)
	case m.isRequest():
		return u.child.send(refuseRequest(m))
	case m.isNotification():
		u.pass(m)
		return nil
	}
	id, ok := integerOf(m.ID)
	if !ok {
		return nil // an error without an id answers nobody
	}
	u.mu.Lock()
	w := u.waiting[id]
	delete(u.waiting, id)
	u.mu.Unlock()
	if w != nil {
		w.answer <- m
	}
	return nil
}

// pass gives progress to the call whose token it names, the rest to loose.
func (u *stdioUpstream) pass(m message) {
	if m.Method != "notifications/progress" {
		if u.loose != nil {
			u.loose(m)
		}
		return
	}
	var p progressParams
	if m.Params == nil || foreign(m.Params, &p) != nil {
		return
	}
	id, _ := integerOf(p.Token)
	u.mu.Lock()
	w := u.waiting[id]
	u.mu.Unlock()
	if w != nil {
		select {
		case w.notes <- m:
		default:
		}
	}
}

func (u *stdioUpstream) call(ctx context.Context, o outbound, note func(message)) (message, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, callTime, errLimit)
	defer cancel()
	w := &waiter{notes: make(chan message, 64), answer: make(chan message, 1)}
	u.mu.Lock()
	over := u.over
	u.waiting[o.ID] = w
	u.mu.Unlock()
	defer u.forget(o.ID)
	if over {
		return message{}, notSent("the server's process has ended", errGone)
	}
	if err := u.child.send(o.body()); err != nil {
		return message{}, lost("the server's process has ended", err)
	}
	for {
		select {
		case m := <-w.notes:
			note(m)
		case m := <-w.answer:
			for len(w.notes) > 0 {
				note(<-w.notes)
			}
			return m, nil
		case <-u.done:
			select {
			case m := <-w.answer: // it answered, then ended
				return m, nil
			default:
				return message{}, lost("the server's process ended during the call", errGone)
			}
		case <-ctx.Done():
			if o.Method != "initialize" {
				_ = u.child.send(encodeNotification("notifications/cancelled", (&object{}).number("requestId", o.ID).end())) // best effort
			}
			return message{}, endOf(ctx)
		}
	}
}

func (u *stdioUpstream) forget(id int64) {
	u.mu.Lock()
	delete(u.waiting, id)
	u.mu.Unlock()
}

func (u *stdioUpstream) notify(_ context.Context, method string, params []byte) error {
	if err := u.child.send(encodeNotification(method, params)); err != nil {
		return lost("the server's process has ended", err)
	}
	return nil
}

func (u *stdioUpstream) close() {
	u.child.stop()
	<-u.done
}
