package attorn

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

// Replay remembers proofs that were used. A service of several processes shares one, or a proof works once in each of them.
type Replay interface {
	// Once is nil for the first caller with this key and nonce, and a fault for every other until expires. A proof is never remembered less long: it is
	// the last moment at which one would be accepted, and 30 s for clocks of processes that share a Replay and differ.
	Once(ctx context.Context, key id.Key, nonce string, expires time.Time) error
}

// The proofs that a process remembers: longer than any is good for, and never more than this many. Over that, requests are refused.
const (
	replaySpan   = 6 * time.Minute
	replayShards = 64
	replayMax    = 1 << 21
)

// memory is a Replay for one process: two generations of each shard, the older of which is dropped whole. What was dropped is not forgotten
// altogether: proofs that would still be good at its latest expiry are refused, so that a clock that jumps forward and back lets none in twice.
type memory struct {
	elapsed func() time.Duration // does not jump
	shards  [replayShards]shard
}

type shard struct {
	mu          sync.Mutex
	turned      time.Duration
	now, before generation
	floor       int64 // microseconds: no proof that expires by then is known to be new
}

type generation struct {
	seen   map[[16]byte]struct{}
	latest int64 // the latest expiry in it
}

func newMemory() *memory {
	begin := time.Now()
	return &memory{elapsed: func() time.Duration { return time.Since(begin) }}
}

// Once implements Replay. Codes: replayed, overloaded.
func (m *memory) Once(_ context.Context, key id.Key, nonce string, expires time.Time) error {
	of := key.Digest().Bytes()
	sum := sha256.Sum256(append(append(make([]byte, 0, 256), of[:]...), nonce...))
	short := [16]byte(sum[:])
	s := &m.shards[sum[16]%replayShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn(m.elapsed())
	_, now := s.now.seen[short]
	_, before := s.before.seen[short]
	switch {
	case now || before:
		return fault.New(fault.Unauthenticated, "replayed", "the proof was used before; each one is accepted once").Try("make a proof for each request")
	case expires.UnixMicro() <= s.floor:
		return fault.New(fault.Unauthenticated, "replayed", "the proof is from before what this service remembers: its clock moved, or the proof's maker's did").
			Try("make a proof for each request, and check the clock")
	case len(s.now.seen) >= replayMax/replayShards:
		return fault.New(fault.Unavailable, "overloaded", "this service has more proofs to remember than it can").Try("try again in a few minutes")
	}
	if s.now.seen == nil {
		s.now.seen = map[[16]byte]struct{}{}
	}
	s.now.seen[short] = struct{}{}
	s.now.latest = max(s.now.latest, expires.UnixMicro())
	return nil
}

// turn drops the older generation when the newer one is as old as a proof can be good for.
func (s *shard) turn(at time.Duration) {
	for at-s.turned >= replaySpan {
		s.floor = max(s.floor, s.before.latest)
		s.before, s.now = s.now, generation{}
		if at-s.turned >= 3*replaySpan { // idle for long: everything is old
			s.turned = at - 2*replaySpan
		}
		s.turned += replaySpan
	}
}
