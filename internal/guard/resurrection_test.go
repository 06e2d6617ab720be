package guard_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
)

// deed is one thing that a history does, at one of the doors, to what at and to fall on.
type deed struct {
	do       string
	at, to   int
	door     int
	max      int64 // uses; 0: no limit
	holds    bool  // a token is kept, and used again later
	lifetime int   // seconds
}

var deeds = rapid.Custom(func(t *rapid.T) deed {
	return deed{
		do: rapid.SampledFrom([]string{"lend", "lend", "lend", "use", "use", "use", "use", "use", "revoke", "suspend", "resume", "resume", "replace", "replace"}).Draw(t, "do"),
		at: rapid.IntRange(0, 99).Draw(t, "at"), to: rapid.IntRange(0, 99).Draw(t, "to"), door: rapid.IntRange(0, 1).Draw(t, "door"),
		max: rapid.SampledFrom([]int64{0, 0, 1, 2, 5}).Draw(t, "max"), holds: rapid.Bool().Draw(t, "holds"), lifetime: rapid.SampledFrom([]int{9, 3600, 3600}).Draw(t, "lifetime"),
	}
})

// grown is a delegation as the model knows it.
type grown struct {
	link      *delegation.Link
	parent    int // -1 at a root
	by, to    *party
	uses, max int64
	ended     bool
	next      int // what was lent in its place; 0: nothing
}

// kept is a token that somebody still has: the caller is made anew for each use.
type kept struct {
	access string
	of     int
	at     time.Time
}

// history runs deeds at the doors and in a model of its own, and says where a door permits what has ended, or refuses what has not.
type history struct {
	*story
	doors     []*guard.Guard
	agents    []*party
	suspended map[*party]bool
	stopped   map[*party]time.Time // when last
	grown     []grown
	kept      []kept
	permitted int
	refused   map[string]int
}

func (h *history) chain(i int) (all []int) {
	for ; i >= 0; i = h.grown[i].parent {
		all = append([]int{i}, all...)
	}
	return all
}

// lives is the model's word: nothing on the chain has ended, and nobody on it has been stopped since.
func (h *history) lives(i int, since time.Time) bool {
	for _, j := range h.chain(i) {
		if n := h.grown[j]; h.suspended[n.to] || h.stopped[n.to].Unix() >= since.Unix() {
			return false
		}
	}
	return h.lent(i)
}

// lent is whether every delegation of the chain is live, whoever stands still: what is lent on meanwhile has no effect before they go on.
func (h *history) lent(i int) bool {
	return !slices.ContainsFunc(h.chain(i), func(j int) bool {
		n := h.grown[j]
		return n.ended || h.now.Unix() >= n.link.Statement.ExpiresAt || n.max > 0 && n.uses >= n.max
	})
}

func (h *history) end(i int) {
	for j := range h.grown {
		if slices.Contains(h.chain(j), i) {
			h.grown[j].ended = true
		}
	}
}

func (h *history) lend(d deed, g *guard.Guard) {
	n := grown{parent: d.at%(len(h.grown)+1) - 1, by: h.priya, to: h.agents[d.to%len(h.agents)], max: d.max}
	l := lent{uses: d.max, depth: 3, ttl: time.Duration(d.lifetime) * time.Second}
	fits := true
	if n.parent >= 0 {
		above := h.grown[n.parent]
		if n.by = above.to; n.by == n.to || above.link.Statement.MaxDepth == 0 || h.suspended[n.by] {
			return
		}
		st := above.link.Statement
		l.under, l.depth = above.link, st.MaxDepth-1
		l.ttl = min(l.ttl, time.Unix(st.ExpiresAt, 0).Sub(h.now))
		if m := st.MaxUses; m != nil && n.max > *m {
			n.max, l.uses = *m, *m
		}
		if fits = h.lent(n.parent); l.ttl <= 0 {
			return
		}
	}
	signed, err := delegation.Sign(n.by.statement(n.to, l, "tool:files:*"), n.by.signer)
	h.ok(err)
	link, err := g.Lend(h.t.Context(), n.by.api(), signed)
	if fits = fits && !h.suspended[n.to]; fits != (err == nil) {
		h.t.Fatalf("lending under %d: %v, and the model says %v", n.parent, err, fits)
	}
	if err == nil {
		n.link = &link
		h.grown = append(h.grown, n)
	}
}

// use calls a tool: with a new token, or with one that was kept.
func (h *history) use(d deed, g *guard.Guard) {
	if len(h.grown) == 0 {
		return
	}
	k := kept{of: d.at % len(h.grown), at: h.now}
	if d.holds && len(h.kept) > 0 {
		k = h.kept[d.to%len(h.kept)]
	} else {
		n := h.grown[k.of]
		if h.suspended[n.to] {
			return // no client
		}
		got, err := g.Exchange(h.t.Context(), n.to.client(), guard.TokenRequest{Resource: issuer + "/mcp/files", Subject: n.link.String(), SubjectType: guard.TypeDelegation})
		if lives := h.lives(k.of, h.now.Add(time.Hour)); lives != (err == nil) {
			h.t.Fatalf("a token under %d: %v, and the model says %v", k.of, err, lives)
		}
		if err != nil {
			return
		}
		k.access = got.Token
		h.kept = append(h.kept, k)
	}
	c, err := h.holder(k)
	if err != nil { // the token itself has expired
		return
	}
	v, err := g.Start(h.t.Context(), c, h.call("write", `{"path":"staging/a","text":"x"}`))
	h.ok(err)
	lives := h.lives(k.of, k.at)
	if (v.Outcome == evidence.Permit) != lives {
		h.t.Fatalf("a call under %d with a token of %s at %s: %s %s, and the model says %v", k.of, k.at, h.now, v.Outcome, v.Code, lives)
	}
	if !lives {
		h.refused[v.Code]++
		return
	}
	h.permitted++
	for _, j := range h.chain(k.of) {
		h.grown[j].uses++
	}
}

// holder is who has a token, with a new proof.
func (h *history) holder(k kept) (*guard.Caller, error) {
	n := h.grown[k.of]
	url := issuer + "/mcp/files"
	return h.Authenticate(h.t.Context(), guard.Credentials{
		Method: "POST", URL: url, Authorization: []string{"DPoP " + k.access}, DPoP: []string{h.proof(n.to.signer, "POST", url, k.access)}, Face: "gateway",
	}, url)
}

// replace narrows or renews.
func (h *history) replace(d deed, g *guard.Guard) {
	if len(h.grown) == 0 {
		return
	}
	i := d.at % len(h.grown)
	n := h.grown[i]
	if h.suspended[n.by] {
		return
	}
	signed := n.by.replacing(n.link, func(st *delegation.Statement) {
		if d.holds {
			st.ExpiresAt = h.now.Unix() + int64(d.lifetime)
		} else if st.MaxDepth > 0 {
			st.MaxDepth--
		}
	})
	fits := !n.ended && h.now.Unix() < n.link.Statement.ExpiresAt && (n.max == 0 || n.uses < n.max) && !h.suspended[n.to] && signed.Statement.ExpiresAt > h.now.Unix()
	if n.parent >= 0 {
		fits = fits && h.lent(n.parent) && signed.Statement.ExpiresAt <= h.grown[n.parent].link.Statement.ExpiresAt
	}
	got, err := g.Replace(h.t.Context(), n.by.api(), n.link.Statement.ID, signed, false)
	if fits != (err == nil) {
		h.t.Fatalf("replacing %d: %v, and the model says %v", i, err, fits)
	}
	if err != nil {
		return
	}
	h.end(i)
	n.link, n.ended, n.next = &got.Link, false, 0
	h.grown[i].next = len(h.grown)
	h.grown = append(h.grown, n)
}

func (h *history) run(d deed) {
	g := h.doors[d.door%len(h.doors)]
	a := h.agents[d.to%len(h.agents)]
	switch d.do {
	case "lend":
		h.lend(d, g)
	case "use":
		h.use(d, g)
	case "replace":
		h.replace(d, g)
	case "revoke":
		if len(h.grown) > 0 {
			i := d.at % len(h.grown)
			_, _, err := g.Revoke(h.t.Context(), h.priya.api(), h.grown[i].link.Statement.ID, "")
			h.ok(err)
			for h.grown[i].next > 0 { // what stands in its place ends
				i = h.grown[i].next
			}
			h.end(i)
		}
	case "suspend", "resume":
		if h.suspended[a] == (d.do == "suspend") {
			return
		}
		_, _, _, err := g.EndAgent(h.t.Context(), h.priya.api(), a.agent, d.do, "")
		h.ok(err)
		if h.suspended[a] = d.do == "suspend"; h.suspended[a] {
			h.stopped[a] = h.now
		}
	}
	h.now = h.now.Add(time.Second)
}

// TestNothingThatEndedComesBack: over generated histories of lending, use, revocation, suspension and replacement, at two doors of one database, a call is permitted
// exactly while nothing on its chain has ended: once revoked, expired, used up, replaced or suspended, no descendant and no token that somebody kept permits
// anything, not even when who was suspended goes on (authority.md §7.2).
func TestNothingThatEndedComesBack(t *testing.T) {
	const histories = 10
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 10)
		h := &history{story: s, doors: s.doors(dsn), agents: []*party{s.bot, s.deployer, s.priya.register("checker")}, refused: map[string]int{}}
		for seed := range histories {
			h.grown, h.kept, h.suspended, h.stopped = nil, nil, map[*party]bool{}, map[*party]time.Time{}
			for _, d := range rapid.SliceOfN(deeds, 40, 60).Example(seed + 1) {
				h.run(d)
			}
			for a, is := range h.suspended {
				if is {
					_, _, _, err := s.EndAgent(t.Context(), s.priya.api(), a.agent, "resume", "")
					s.ok(err)
				}
			}
		}
		t.Logf("%d permitted, refused %v", h.permitted, h.refused)
		if h.permitted < histories || len(h.refused) < 3 {
			t.Errorf("%d permitted, refused %v: the histories say little", h.permitted, h.refused)
		}
	})
}
