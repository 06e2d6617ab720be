package guard

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/lending"
)

// lentInstances is how many instances of an agent are looked at to say when it was last used.
const lentInstances = 20

// Lent reads what the reader lent themselves: at most limit of what lives, of what ended since, and all below what lives; and the agents that it was lent to.
func (p *Page) Lent(ctx context.Context, since time.Time, limit int) (lent lending.Lent, to map[id.Agent]agents.With, err error) {
	if p.c.person.IsZero() || !p.c.agent.IsZero() {
		return lent, nil, nil
	}
	if lent, err = p.g.Lending.LentBy(ctx, p.c.ws, p.c.person, since, p.s.now, limit); err != nil {
		return lent, nil, err
	}
	var of []id.Agent
	for _, d := range slices.Concat(lent.Live, lent.Ended) {
		of = append(of, d.Link.Statement.Delegate.Agent)
	}
	slices.SortFunc(of, func(a, b id.Agent) int { return strings.Compare(a.String(), b.String()) })
	to = map[id.Agent]agents.With{}
	for some := range slices.Chunk(slices.Compact(of), 200) { // as many as a page of them has
		found, err := p.g.Agents.WithInstances(ctx, p.c.ws, agents.Query{In: some}, lentInstances, p.s.now)
		if err != nil {
			return lent, nil, err
		}
		for _, a := range found {
			p.g.used.told(a.Instances)
			to[a.ID] = a
		}
	}
	return lent, to, nil
}

// Workspaces are those that the reader belongs to, by name.
func (p *Page) Workspaces(ctx context.Context) ([]id.Workspace, error) {
	return p.g.People.Workspaces(ctx, p.c.person)
}
