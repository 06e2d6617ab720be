package lending_test

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/audit/audittest"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/lending"
)

func TestUsesAreSharedByDescendantsAtOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		all := audittest.Nodes(t, dsn, open)
		g := all[0]
		chain, _, _ := g.line(t, 3, func(i int, st *delegation.Statement) {
			st.MaxUses = []*int64{nil, ptr(10), ptr(7)}[i]
		})
		var mu sync.Mutex
		permitted := map[int]int{} // by length of the chain
		codes := audittest.Together(t, all, 64, func(g *rig, i int) error {
			n := 2 + i%2
			_, _, _, err := g.use(chain[:n]...)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			permitted[n]++
			return nil
		})
		if permitted[2]+permitted[3] != 10 || permitted[3] > 7 || codes["delegation_exhausted"] != 54 {
			t.Errorf("permitted %v, want 10 in all and at most 7 below; results: %v", permitted, codes)
		}
		links, err := g.Chain(t.Context(), id.Default, chain[2])
		if err != nil || links[1].Uses != 10 || links[2].Uses != int64(permitted[3]) || links[1].Status != lending.Exhausted {
			t.Errorf("%d and %d uses, %s, %v", links[1].Uses, links[2].Uses, links[1].Status, err)
		}
	})
}

func TestNoUseFollowsTheRevocation(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		all := audittest.Nodes(t, dsn, open)
		chain, _, _ := all[0].line(t, 3, func(i int, st *delegation.Statement) {
			if i == 2 {
				st.MaxUses = ptr(1_000_000)
			}
		})
		revoked := make(chan struct{})
		var mu sync.Mutex
		var used []int64
		var ended int64
		codes := audittest.Together(t, all, 16, func(g *rig, i int) error {
			if i == 7 {
				defer close(revoked)
				for range 5 { // uses go on before
					if _, _, _, err := g.use(chain...); err != nil {
						return err
					}
				}
				_, rev, err := g.revoke(chain[0])
				ended = rev
				return err
			}
			for {
				last := false
				select {
				case <-revoked:
					last = true
				default:
				}
				_, _, rev, err := g.use(chain...)
				if err != nil {
					return err
				}
				if last {
					return errors.New("used after the revocation had been answered")
				}
				mu.Lock()
				used = append(used, rev)
				mu.Unlock()
			}
		})
		if codes[""] != 1 || codes["delegation_revoked"] != 15 {
			t.Errorf("results: %v", codes)
		}
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
		all := audittest.Nodes(t, dsn, open)
		priya, bot := person(), agent()
		root := statement(nil, priya, bot)
		all[0].mustLend(t, root, priya)
		child := statement(&root, bot, agent())
		var mu sync.Mutex
		made := 0
		codes := audittest.Together(t, all, 32, func(g *rig, _ int) error {
			d, fresh, err := g.lend(t, child, bot)
			if d.ID != child.ID {
				t.Error(d.ID, err)
			}
			mu.Lock()
			defer mu.Unlock()
			if fresh {
				made++
			}
			return err
		})
		if made != 1 || codes[""] != 32 {
			t.Errorf("recorded %d times; results: %v", made, codes)
		}
	})
}

// A delegation that is lent while its parent is revoked either came first and was ended with it, or was refused.
func TestRevokeMeetsLend(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		all := audittest.Nodes(t, dsn, open)
		priya, bot := person(), agent()
		root := statement(nil, priya, bot)
		all[0].mustLend(t, root, priya)
		var mu sync.Mutex
		var lent, ended []id.Delegation
		codes := audittest.Together(t, all, 24, func(g *rig, i int) error {
			if i == 12 {
				got, _, err := g.revoke(root.ID)
				ended = got
				return err
			}
			st := statement(&root, bot, agent())
			_, _, err := g.lend(t, st, bot)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			lent = append(lent, st.ID)
			return nil
		})
		for _, d := range lent {
			if !slices.Contains(ended, d) {
				t.Errorf("%s was lent and outlived the revocation", d)
			}
		}
		if len(ended) != len(lent)+1 || codes[""]+codes["delegation_revoked"] != 24 {
			t.Errorf("ended %d, lent %d; results: %v", len(ended), len(lent), codes)
		}
		if err := all[0].Do(id.Default, func(*audit.Tx) error { return nil }); err != nil {
			t.Error(err)
		}
	})
}
