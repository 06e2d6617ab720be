package guard

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/clients"
	"github.com/attorn/attorn/internal/lending"
)

const (
	lentInstances = 20  // of an agent that are looked at to say when it was last used
	manyRows      = 200 // as many as a page of a room has
)

// Borrower is an agent that the reader lent to, and the app that it is, if it is one.
type Borrower struct {
	agents.With
	App clients.AppAgent // zero: it is none
}

// Lent reads what the reader lent themselves: at most limit of what lives, of what ended since, and all below what lives; and the agents that it was lent to.
func (p *Page) Lent(ctx context.Context, since time.Time, limit int) (lent lending.Lent, to map[id.Agent]Borrower, err error) {
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
	to = map[id.Agent]Borrower{}
	for some := range slices.Chunk(slices.Compact(of), manyRows) {
		found, err := p.g.Agents.WithInstances(ctx, p.c.ws, agents.Query{In: some}, lentInstances, p.s.now)
		if err != nil {
			return lent, nil, err
		}
		for _, a := range found {
			p.g.used.told(a.Instances)
			to[a.ID] = Borrower{With: a}
		}
	}
	return lent, to, p.apps(ctx, to)
}

// apps fills in which of them are apps of the reader.
func (p *Page) apps(ctx context.Context, to map[id.Agent]Borrower) error {
	q := clients.AppQuery{Person: p.c.person, Limit: manyRows}
	for {
		found, err := p.g.Clients.AppAgents(ctx, p.c.ws, q)
		for _, app := range found {
			if b, ok := to[app.Agent]; ok {
				b.App = app
				to[app.Agent] = b
			}
			q.After = app.Agent
		}
		if err != nil || len(found) < manyRows {
			return err
		}
	}
}

// Workspaces are those that the reader belongs to, by name.
func (p *Page) Workspaces(ctx context.Context) ([]id.Workspace, error) {
	return p.g.People.Workspaces(ctx, p.c.person)
}
