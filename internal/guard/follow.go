package guard

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
)

// The times of following the log (evidence.md §3). What another process ends reaches this one with the next poll, what this one ends at once.
const (
	pollEvery  = 500 * time.Millisecond
	pollApart  = 50 * time.Millisecond // at least, however much is altered
	staleAfter = 2 * time.Second
	beatEvery  = 40          // polls: what is idle is written down each 20 s
	goneAfter  = time.Minute // of a process or follower that is not seen
)

// pageSize is how many alterations are read at once.
const pageSize = 256

// following wakes who waits for news of the logs.
type following struct {
	mu   sync.Mutex
	news chan struct{} // closed and replaced when something was heard of
}

func (f *following) init() { f.news = make(chan struct{}) }

// next is closed when this process next hears of an alteration.
func (f *following) next() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.news
}

func (f *following) tell() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.news)
	f.news = make(chan struct{})
}

// Follow keeps this process up with what ends in the logs until ctx ends: it cuts what goes on under authority that has ended, and confirms that it did
// under a name that no other process has, for whoever ended it to see.
func (g *Guard) Follow(ctx context.Context, node string) {
	n := &listener{g: g, wants: node, heard: map[id.Workspace]int64{}, dirty: map[id.Workspace]int64{}}
	if !g.Log.Alone() {
		n.stale = time.AfterFunc(staleAfter, n.cutAll)
		defer n.stale.Stop()
	}
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for beat := 0; ; beat++ {
		altered := g.Log.Altered()
		if n.listen(ctx) == nil && n.stale != nil {
			n.stale.Reset(staleAfter)
		}
		n.confirm(ctx, beat%beatEvery == 0)
		select {
		case <-ctx.Done():
			n.leave()
			return
		case <-altered:
			select { // many changes at once are one look
			case <-ctx.Done():
			case <-time.After(pollApart):
			}
		case <-tick.C:
		}
	}
}

// listener is the loop of Follow.
type listener struct {
	g     *Guard
	wants string
	name  string                 // "" until it has one
	stale *time.Timer            // fires when the logs could not be read for too long; nil where nobody else writes them
	heard map[id.Workspace]int64 // applied
	dirty map[id.Workspace]int64 // and not confirmed yet
}

// cutAll ends what goes on, for nobody knows any more whether it may.
func (n *listener) cutAll() {
	gone := fault.New(fault.Unavailable, "stale", "the log could not be read for %s: whether this may go on is not known any more", staleAfter).Try("try again")
	for _, x := range n.g.running.everything() {
		x.cut(gone)
	}
}

func (n *listener) listen(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, staleAfter)
	defer cancel()
	g := n.g
	revs, err := g.Log.Revs(ctx)
	if err != nil {
		return err
	}
	news := false
	for ws, rev := range revs {
		from, known := n.heard[ws]
		if !known { // what ended before is known to whatever begins from now on
			n.heard[ws] = rev - 1
			n.review(ctx, slices.DeleteFunc(g.running.everything(), func(x *run) bool { return x.caller.ws != ws }))
			continue
		}
		for from < rev-1 {
			page, err := g.Log.Alterations(ctx, ws, from, pageSize)
			if err != nil {
				return err
			}
			from = rev - 1
			if len(page) == pageSize {
				from = page[pageSize-1].Rev
			}
			for _, a := range page {
				n.review(ctx, g.running.apply(ws, a.Rev, a.Touches))
				n.dirty[ws], news = a.Rev, true
			}
			n.heard[ws] = from
		}
	}
	if news {
		g.following.tell()
	}
	return nil
}

// reviewers is how many are looked at again at the same time.
const reviewers = 8

// review looks at all of these, and cuts what has ended.
func (n *listener) review(ctx context.Context, hit []*run) {
	work := make(chan *run)
	var all sync.WaitGroup
	for range min(reviewers, len(hit)) {
		all.Go(func() {
			for x := range work {
				n.g.review(ctx, x)
			}
		})
	}
	for _, x := range hit {
		work <- x
	}
	close(work)
	all.Wait()
}

// confirm tells how far this process is, if there is anything to tell or it is time to be seen.
func (n *listener) confirm(ctx context.Context, beat bool) {
	if n.name == "" {
		name, err := n.g.Log.Arrive(ctx, n.wants, strings.ToLower(rand.Text()[:4]), goneAfter)
		if err != nil {
			return
		}
		n.name = name
	}
	if len(n.dirty) == 0 && !beat {
		return
	}
	here := []audit.Follower{{Workspace: id.Server, Kind: "node", Name: n.name}}
	for ws, rev := range n.dirty {
		if ws != id.Server {
			here = append(here, audit.Follower{Workspace: ws, Kind: "node", Name: n.name, Rev: rev})
		}
	}
	if n.g.Log.Confirm(ctx, nil, here...) == nil {
		clear(n.dirty)
	}
}

// leave says that this process is no more.
func (n *listener) leave() {
	if n.name == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), staleAfter)
	defer cancel()
	_ = n.g.Log.Leave(ctx, n.name) // else it is not seen for a minute, and gone
}

// Heard is what a follower is told (evidence.md §3).
type Heard struct {
	Rev    int64 // of the workspace's log; everything up to it is in Ended or was before
	Server int64 // of the server's own log
	Ended  []audit.Alteration
	More   bool
}

// feedKept is how far back the feed reaches.
const feedKept = 24 * time.Hour

// Feed reads what ended since the revisions that the caller has applied, and waits up to wait for something. Whoever asks confirms that what ended up to
// there is applied. after < 0 begins with now. Registered services may, and whom policy lets. name tells processes of one follower apart. Code: feed_gap,
// where that is so long ago that everything has to be dropped.
func (g *Guard) Feed(ctx context.Context, c *Caller, name string, after, server int64, wait time.Duration) (Heard, error) {
	who, err := g.follower(ctx, c)
	if err != nil {
		return Heard{}, err
	}
	if name != "" {
		who.Name += "/" + name
	}
	revs, err := g.Log.Revs(ctx)
	if err != nil {
		return Heard{}, err
	}
	if who.Rev = after; after < 0 {
		who.Rev = revs[c.ws] - 1
	}
	if err := g.Log.Confirm(ctx, c.nonces(), who); err != nil {
		return Heard{}, err
	}
	c.spent.Store(true)
	if after < 0 {
		return Heard{Rev: revs[c.ws] - 1, Server: revs[id.Server] - 1}, nil
	}
	if after >= revs[c.ws] || server >= revs[id.Server] {
		return Heard{}, feedGap("the log is not that long: it is another one, or an older copy")
	}
	over := time.NewTimer(wait)
	defer over.Stop()
	for {
		news := g.following.next()
		h, err := g.heard(ctx, c.ws, after, server)
		if err != nil || len(h.Ended) > 0 || wait <= 0 {
			return h, err
		}
		select {
		case <-news:
		case <-ctx.Done():
			return h, nil
		case <-over.C:
			return g.heard(ctx, c.ws, after, server)
		}
	}
}

func (g *Guard) heard(ctx context.Context, ws id.Workspace, after, server int64) (Heard, error) {
	revs, err := g.Log.Revs(ctx) // before what ended: what is read after it is at least as new
	if err != nil {
		return Heard{}, err
	}
	h := Heard{Rev: revs[ws] - 1, Server: revs[id.Server] - 1}
	if h.Ended, err = g.Log.Alterations(ctx, ws, after, pageSize); err != nil {
		return Heard{}, err
	}
	if len(h.Ended) == pageSize {
		h.Rev, h.More = h.Ended[pageSize-1].Rev, true
	} else if n := len(h.Ended); n > 0 {
		h.Rev = max(h.Rev, h.Ended[n-1].Rev)
	}
	own, err := g.Log.Alterations(ctx, id.Server, server, pageSize)
	if err != nil {
		return Heard{}, err
	}
	if len(own) == pageSize {
		h.Server, h.More = own[pageSize-1].Rev, true
	}
	for _, a := range own {
		if strings.HasPrefix(string(a.Kind), "key.") {
			h.Ended = append(h.Ended, a)
		}
	}
	for _, a := range h.Ended {
		if g.Now().Sub(a.At) > feedKept {
			return Heard{}, feedGap("the feed reaches back a day")
		}
	}
	return h, nil
}

func feedGap(why string) error {
	return fault.New(fault.Conflict, "feed_gap", "what ended since then cannot be told: %s", why).Try("drop all that was kept, and follow anew without after")
}

// follower says whether the caller may follow, and as whom.
func (g *Guard) follower(ctx context.Context, c *Caller) (audit.Follower, error) {
	f := audit.Follower{Workspace: c.ws, Kind: "user", Name: c.Sub()}
	if !c.service.IsZero() {
		f.Kind = "service"
		return f, g.resolveService(ctx, c)
	}
	if !c.agent.IsZero() {
		f.Kind = "agent"
	}
	_, _, err := g.judge(ctx, c, act{action: "attorn:feed:read", noun: "feed"})
	return f, err
}

// resolveService demands that a service's token is still good. A service may follow the feed, and nothing else.
func (g *Guard) resolveService(ctx context.Context, c *Caller) error {
	s, err := g.Clients.Client(ctx, c.service)
	if err == nil && (s.Workspace != c.ws || s.Key.Thumbprint() != c.key) {
		err = fault.New(fault.Unauthenticated, "key_mismatch", "the token's key is not the service's")
	}
	if err != nil {
		return err
	}
	return g.resolveToken(ctx, c, &standing{})
}

// Confirmation is how far a follower is.
type Confirmation struct {
	audit.Follower
	ID        string // of whoever follows; "" for a process of the server
	Gone      bool   // not seen for a minute
	Confirmed bool   // up to the revision asked about
}

// Confirmations says which processes and followers have applied what ended in the workspace up to a revision. Who did what stands there needs no leave.
func (g *Guard) Confirmations(ctx context.Context, c *Caller, rev int64) ([]Confirmation, error) {
	e, err := g.Log.At(ctx, c.ws, rev)
	if err != nil && fault.Code(err) != "not_found" {
		return nil, err
	}
	if err == nil && e.Who.Sub == c.Sub() {
		err = g.Self(ctx, c)
	} else {
		err = g.May(ctx, c, "attorn:feed:read", "feed")
	}
	if err != nil {
		return nil, err
	}
	found, err := g.Log.Followers(ctx, c.ws)
	if err != nil {
		return nil, err
	}
	all := make([]Confirmation, len(found))
	for i, f := range found {
		x := Confirmation{Follower: f, Gone: g.Now().Sub(f.SeenAt) > goneAfter, Confirmed: f.Rev >= rev}
		if f.Kind != "node" {
			sub, process, _ := strings.Cut(f.Name, "/")
			x.ID, x.Name = sub, g.nameOf(ctx, c.ws, f.Kind, sub)
			if process != "" {
				x.Name += "/" + process
			}
		}
		all[i] = x
	}
	return all, nil
}

// nameOf is what a follower is called; its id where it has no name any more.
func (g *Guard) nameOf(ctx context.Context, ws id.Workspace, kind, sub string) string {
	switch kind {
	case "service":
		if s, err := id.Parse[id.Service](sub); err == nil {
			if found, err := g.Clients.Service(ctx, ws, s); err == nil {
				return found.Name
			}
		}
	case "agent":
		if a, err := id.Parse[id.Agent](sub); err == nil {
			if found, err := g.Agents.Agent(ctx, ws, a); err == nil {
				return found.Name
			}
		}
	}
	return sub
}
