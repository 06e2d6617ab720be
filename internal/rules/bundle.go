package rules

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"

	"github.com/go-json-experiment/json"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db"
	"github.com/attorn/attorn/policy"
)

// Room reads bundles and bindings; what changes them takes the transaction.
type Room struct {
	r     *db.Reader
	cache cache
}

// New makes the room.
func New(r *db.Reader) *Room { return &Room{r: r} }

// Publish stores a bundle and makes it the live one. With a base, only if that is live now: else somebody has published since, code stale_base.
func (*Room) Publish(tx *audit.Tx, ws id.Workspace, set *policy.Set, base id.Digest) error {
	if err := store(tx, ws, set); err != nil {
		return err
	}
	moved, err := point(tx, ws, set.Digest(), base)
	if err == nil && !moved {
		err = fault.New(fault.Conflict, "stale_base", "another bundle than %s is live", base).Try("look at what was published since, and publish on top of that")
	}
	return err
}

// Load is a bundle that was published in the workspace, compiled. It is kept, since it never changes. Codes: not_found, bundle_broken.
func (r *Room) Load(ctx context.Context, ws id.Workspace, digest id.Digest) (*policy.Set, error) {
	for {
		e, mine := r.cache.claim(digest)
		if mine {
			return r.fill(ctx, ws, e)
		}
		select {
		case <-e.ready:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if e.set == nil { // that caller failed, perhaps of something that is its own: this one tries itself
			continue
		}
		if r.cache.knows(e, ws) {
			return e.set, nil
		}
		if _, err := r.manifest(ctx, ws, digest); err != nil { // another workspace's bundle may have the same digest, and is nobody else's business
			return nil, err
		}
		r.cache.learn(e, ws)
		return e.set, nil
	}
}

// fill compiles the bundle of an entry and settles it, whatever happens.
func (r *Room) fill(ctx context.Context, ws id.Workspace, e *cached) (set *policy.Set, err error) {
	err = errors.New("compiling the bundle panicked")
	defer func() { r.cache.settle(e, ws, set, err) }()
	return r.compile(ctx, ws, e.digest)
}

// compile makes a bundle from what is stored, and believes none of it.
func (r *Room) compile(ctx context.Context, ws id.Workspace, digest id.Digest) (*policy.Set, error) {
	manifest, err := r.manifest(ctx, ws, digest)
	if err != nil {
		return nil, err
	}
	broken := func(cause error) error {
		return fault.Wrap(cause, fault.Internal, "bundle_broken", "the stored bundle %s is not what was published", digest)
	}
	var sums map[string]id.Digest
	if err := json.Unmarshal(manifest, &sums); err != nil {
		return nil, broken(err)
	}
	files := make([]policy.File, 0, len(sums))
	for path, sum := range sums {
		text, err := r.file(ctx, sum)
		if errors.Is(err, sql.ErrNoRows) {
			return nil, broken(err)
		} else if err != nil {
			return nil, err
		}
		files = append(files, policy.File{Path: path, Text: text})
	}
	set, problems := policy.Compile(files)
	if set == nil {
		return nil, broken(fmt.Errorf("it does not compile: %v", problems))
	}
	if set.Digest() != digest {
		return nil, broken(fmt.Errorf("its files have the digest %s", set.Digest()))
	}
	return set, nil
}

// maxSets is how many compiled bundles are kept.
const maxSets = 16

// cache keeps compiled bundles by digest, the latest used last, and lets one caller compile what others wait for. The zero value is empty.
type cache struct {
	mu      sync.Mutex
	entries []*cached
}

// cached is a bundle that is compiled or being compiled. set is written before ready is closed; nil after that says that it failed.
type cached struct {
	digest id.Digest
	ready  chan struct{}
	set    *policy.Set
	in     map[id.Workspace]bool // where it is known to be published
}

// claim finds the entry of a digest, or makes one that the caller must settle.
func (c *cache) claim(digest id.Digest) (e *cached, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, e := range c.entries {
		if e.digest == digest {
			copy(c.entries[i:], c.entries[i+1:])
			c.entries[len(c.entries)-1] = e
			return e, false
		}
	}
	if len(c.entries) >= maxSets { // whoever waits for the one that goes has it in hand
		c.entries = c.entries[1:]
	}
	e = &cached{digest: digest, ready: make(chan struct{}), in: map[id.Workspace]bool{}}
	c.entries = append(c.entries, e)
	return e, true
}

// settle answers everybody who waits; a failure is not kept.
func (c *cache) settle(e *cached, ws id.Workspace, set *policy.Set, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		e.set, e.in[ws] = set, true
	} else {
		for i := range c.entries {
			if c.entries[i] == e {
				c.entries = append(c.entries[:i], c.entries[i+1:]...)
				break
			}
		}
	}
	close(e.ready)
}

func (c *cache) knows(e *cached, ws id.Workspace) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return e.in[ws]
}

func (c *cache) learn(e *cached, ws id.Workspace) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.in[ws] = true
}
