package guard

import (
	"context"
	"slices"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/lending"
)

// manyEnds is for how many delegations of a tree it is asked whether the reader may end them.
const manyEnds = 200

// Tree is a delegation with what it was lent on from, as far up as the reader may see, and all that descends from that.
type Tree struct {
	Above []lending.Delegation // of the first of All, the root first: whether that lives rests on them
	All   []lending.Delegation // parents before children
	More  bool                 // there is more
	Ends  map[id.Delegation]bool
}

// Tree reads the tree that a delegation stands in, and which of it the reader may end. Code: not_found, also for one that they may not see.
func (p *Page) Tree(ctx context.Context, d id.Delegation) (Tree, error) {
	chain, err := p.g.Lending.Chain(ctx, p.c.ws, d)
	if err != nil {
		return Tree{}, err
	}
	root := chain[0].Link.Statement
	ask := func(verb string, d lending.Delegation) (bool, error) {
		return p.may(ctx, "attorn:delegation:"+verb, "delegation:"+d.ID.String(), rooted(lendAttrs(d.Link.Statement), root))
	}
	top := -1
	for i, d := range chain {
		may, err := ask("read", d)
		if err != nil {
			return Tree{}, err
		}
		if may {
			top = i
			break
		}
	}
	if top < 0 {
		return Tree{}, fault.New(fault.NotFound, "not_found", "there is no such delegation")
	}
	t := Tree{Above: chain[:top], Ends: map[id.Delegation]bool{}}
	if t.All, t.More, err = p.g.Lending.Tree(ctx, p.c.ws, chain[top].ID); err != nil {
		return Tree{}, err
	}
	asked := 0
	for _, d := range t.All {
		if d.StatusAt(p.s.now) != lending.Active || asked == manyEnds && !slices.ContainsFunc(chain, func(c lending.Delegation) bool { return c.ID == d.ID }) {
			continue
		}
		asked = min(asked+1, manyEnds)
		if t.Ends[d.ID], err = ask("revoke", d); err != nil {
			return Tree{}, err
		}
	}
	return t, nil
}
