package lending_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/lending"
)

// node is one delegation of the model.
type node struct {
	st      delegation.Statement
	parent  int // -1 at a root
	holder  party
	uses    int64
	max     *int64
	revoked bool
}

type model []node

// chain is the node and its ancestors, the root first.
func (m model) chain(i int) (all []int) {
	for ; i >= 0; i = m[i].parent {
		all = append([]int{i}, all...)
	}
	return all
}

func (m model) ids(nodes []int) (ids []id.Delegation) {
	for _, i := range nodes {
		ids = append(ids, m[i].st.ID)
	}
	return ids
}

// refusal is the code with which the model refuses a use of node i.
func (m model) refusal(i int) string {
	for _, j := range m.chain(i) {
		switch n := m[j]; {
		case n.revoked:
			return "delegation_revoked"
		case n.max != nil && n.uses >= *n.max:
			return "delegation_exhausted"
		}
	}
	return ""
}

// step is one thing that a random plan does, to the node that at falls on.
type step struct {
	do  string
	at  int
	max *int64
}

func plan(rt *rapid.T) (all []step) {
	for range rapid.IntRange(1, 40).Draw(rt, "steps") {
		s := step{do: rapid.SampledFrom([]string{"lend", "lend", "use", "use", "use", "revoke"}).Draw(rt, "do"), at: rapid.IntRange(0, 39).Draw(rt, "at")}
		if s.do == "lend" && rapid.Bool().Draw(rt, "counts") {
			s.max = ptr(rapid.Int64Range(1, 4).Draw(rt, "max"))
		}
		all = append(all, s)
	}
	return all
}

// run does the plan to the room and to the model, and says where they differ.
func (m *model) run(g *rig, tx *audit.Tx, plan []step) error {
	*m = nil // a change may run twice
	for i, s := range plan {
		var err error
		switch at := s.at%(len(*m)+1) - 1; {
		case s.do == "lend":
			err = m.lend(g, tx, at, s.max)
		case at < 0:
		case s.do == "use":
			err = m.use(g, tx, at)
		default:
			err = m.revoke(g, tx, at)
		}
		if err != nil {
			return fmt.Errorf("step %d, %s: %w", i, s.do, err)
		}
	}
	return nil
}

// lend puts a delegation under a node, or a root at -1.
func (m *model) lend(g *rig, tx *audit.Tx, at int, limit *int64) error {
	n := node{parent: at, holder: agent(), max: limit}
	by := person()
	var parent *delegation.Statement
	refuse := ""
	if at >= 0 {
		if len(m.chain(at)) > 4 {
			return nil
		}
		parent, by, refuse = &(*m)[at].st, (*m)[at].holder, m.refusal(at)
		if top := parent.MaxUses; limit != nil && top != nil && *limit > *top {
			n.max = top
		}
	}
	n.st = statement(parent, by, n.holder, func(st *delegation.Statement) { st.MaxUses = n.max })
	_, fresh, err := g.lendIn(tx, n.st, by)
	if got := fault.Code(err); got != refuse {
		return fmt.Errorf("%q, want %q: %w", got, refuse, err)
	}
	if err == nil && fresh {
		*m = append(*m, n)
	}
	return nil
}

func (m model) use(g *rig, tx *audit.Tx, i int) error {
	chain, refuse := m.chain(i), m.refusal(i)
	left, exhausted, err := g.Use(tx, id.Default, m.ids(chain))
	if got := fault.Code(err); got != refuse {
		return fmt.Errorf("%q, want %q: %w", got, refuse, err)
	}
	if err != nil {
		return nil
	}
	var least *int64
	var ended []id.Delegation
	for _, j := range chain {
		n := &m[j]
		if n.max == nil {
			continue
		}
		if n.uses++; n.uses == *n.max {
			ended = append(ended, n.st.ID)
		}
		if rest := *n.max - n.uses; least == nil || rest < *least {
			least = &rest
		}
	}
	if (left == nil) != (least == nil) || left != nil && *left != *least || !same(exhausted, ended) {
		return fmt.Errorf("left %v, want %v; exhausted %v, want %v", left, least, exhausted, ended)
	}
	return nil
}

func (m model) revoke(g *rig, tx *audit.Tx, i int) error {
	ended, err := g.Revoke(tx, id.Default, m[i].st.ID, "usr_x", "")
	if err != nil {
		return err
	}
	var want []id.Delegation
	for j := range m {
		if !m[j].revoked && slices.Contains(m.chain(j), i) {
			m[j].revoked, want = true, append(want, m[j].st.ID)
		}
	}
	if !same(ended, want) {
		return fmt.Errorf("revoking ended %v, want exactly the descendants %v", ended, want)
	}
	return nil
}

// same compares without regard to order.
func same(a, b []id.Delegation) bool {
	byText := func(a, b id.Delegation) int { return strings.Compare(a.String(), b.String()) }
	return slices.Equal(slices.SortedFunc(slices.Values(a), byText), slices.SortedFunc(slices.Values(b), byText))
}

// holds compares what is stored in the end.
func (m model) holds(t testing.TB, g *rig) error {
	for i, n := range m {
		want := lending.Active
		switch {
		case n.revoked:
			want = lending.Revoked
		case n.max != nil && n.uses >= *n.max:
			want = lending.Exhausted
		}
		chain, err := g.Chain(t.Context(), id.Default, n.st.ID)
		if err != nil {
			return err
		}
		if d := chain[len(chain)-1]; d.Uses != n.uses || d.Status != want || n.max != nil && d.Uses > *n.max {
			return fmt.Errorf("delegation %d: %d uses, %s; want %d, %s", i, d.Uses, d.Status, n.uses, want)
		}
		if got := fault.Code(lending.Live(chain, start)); got != m.refusal(i) {
			return fmt.Errorf("delegation %d: live says %q, want %q", i, got, m.refusal(i))
		}
	}
	return nil
}

// The room agrees with the model on random trees under random lending, use and revocation: a revocation ends exactly the descendants, no link is
// ever used more often than it says, and nothing that ended permits anything again.
func TestTreesHold(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		g := open(t, dsn)
		rapid.Check(t, func(rt *rapid.T) {
			var m model
			plan := plan(rt)
			if err := g.Do(id.Default, func(tx *audit.Tx) error { return m.run(g, tx, plan) }); err != nil {
				rt.Fatal(err)
			}
			if err := m.holds(t, g); err != nil {
				rt.Fatal(err)
			}
		})
	})
}
