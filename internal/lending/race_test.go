package lending_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/lending"
)

// nodes are the processes that share a database: two on PostgreSQL, the one that there can be on SQLite.
func nodes(t *testing.T, dsn string) []*rig {
	all := []*rig{open(t, dsn)}
	if !strings.HasPrefix(dsn, "sqlite:") {
		all = append(all, open(t, dsn))
	}
	return all
}

// together runs n callers at once, spread over the nodes.
func together(all []*rig, n int, call func(g *rig, i int)) {
	begin := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-begin
			call(all[i%len(all)], i)
		})
	}
	close(begin)
	wg.Wait()
}

func TestUsesAreSharedByDescendantsAtOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		all := nodes(t, dsn)
		g := all[0]
		chain, _, _ := g.line(t, 3, func(i int, st *delegation.Statement) {
			st.MaxUses = []*int64{nil, ptr(10), ptr(7)}[i]
		})
		var mu sync.Mutex
		permitted := map[int]int{} // by length of the chain
		together(all, 64, func(g *rig, i int) {
			n := 2 + i%2
			_, _, _, err := g.use(t, chain[:n]...)
			if err != nil {
				if code := fault.Code(err); code != "delegation_exhausted" {
					t.Error(err)
				}
				return
			}
			mu.Lock()
			defer mu.Unlock()
			permitted[n]++
		})
		if permitted[2]+permitted[3] != 10 || permitted[3] > 7 {
			t.Errorf("permitted %v, want 10 in all and at most 7 below", permitted)
		}
		links, err := g.Chain(t.Context(), id.Default, chain[2])
		if err != nil || links[1].Uses != 10 || links[2].Uses != int64(permitted[3]) || links[1].Status != lending.Exhausted {
			t.Errorf("%d and %d uses, %s, %v", links[1].Uses, links[2].Uses, links[1].Status, err)
		}
	})
}

func TestNoUseFollowsTheRevocation(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		all := nodes(t, dsn)
		chain, _, _ := all[0].line(t, 3, func(i int, st *delegation.Statement) {
			if i == 2 {
				st.MaxUses = ptr(1_000_000)
			}
		})
		revoked := make(chan struct{})
		var mu sync.Mutex
		var used []int64
		var ended int64
		together(all, 16, func(g *rig, i int) {
			if i == 7 {
				for range 5 { // uses go on before
					if _, _, _, err := g.use(t, chain...); err != nil {
						t.Error(err)
					}
				}
				_, rev, err := g.revoke(t, chain[0])
				if err != nil {
					t.Error(err)
				}
				ended = rev
				close(revoked)
				return
			}
			for {
				last := false
				select {
				case <-revoked:
					last = true
				default:
				}
				_, _, rev, err := g.use(t, chain...)
				if err != nil {
					wantCode(t, err, "delegation_revoked")
					return
				}
				if last {
					t.Error("used after the revocation had been answered")
				}
				mu.Lock()
				used = append(used, rev)
				mu.Unlock()
			}
		})
		if len(used) == 0 {
			t.Error("nothing was used before the revocation")
		}
		for _, rev := range used {
			if rev > ended {
				t.Errorf("use #%d follows the revocation #%d", rev, ended)
			}
		}
	})
}

func TestOneStatementOneRecord(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		all := nodes(t, dsn)
		priya, bot := person(), agent()
		root := statement(nil, priya, bot)
		all[0].mustLend(t, root, priya)
		child := statement(&root, bot, agent())
		var mu sync.Mutex
		made := 0
		together(all, 32, func(g *rig, _ int) {
			d, fresh, err := g.lend(t, child, bot)
			if err != nil || d.ID != child.ID {
				t.Error(d.ID, err)
			}
			mu.Lock()
			defer mu.Unlock()
			if fresh {
				made++
			}
		})
		if made != 1 {
			t.Errorf("recorded %d times", made)
		}
	})
}

// A delegation that is lent while its parent is revoked either came first and was ended with it, or was refused.
func TestRevokeMeetsLend(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		all := nodes(t, dsn)
		priya, bot := person(), agent()
		root := statement(nil, priya, bot)
		all[0].mustLend(t, root, priya)
		var mu sync.Mutex
		var lent, ended []id.Delegation
		together(all, 24, func(g *rig, i int) {
			if i == 12 {
				got, _, err := g.revoke(t, root.ID)
				if err != nil {
					t.Error(err)
				}
				ended = got
				return
			}
			st := statement(&root, bot, agent())
			_, _, err := g.lend(t, st, bot)
			if err != nil {
				wantCode(t, err, "delegation_revoked")
				return
			}
			mu.Lock()
			defer mu.Unlock()
			lent = append(lent, st.ID)
		})
		for _, d := range lent {
			if !slices.Contains(ended, d) {
				t.Errorf("%s was lent and outlived the revocation", d)
			}
		}
		if len(ended) != len(lent)+1 {
			t.Errorf("ended %d, lent %d", len(ended), len(lent))
		}
		if _, err := all[0].record(t, func(*audit.Tx) error { return nil }); err != nil {
			t.Error(err)
		}
	})
}
