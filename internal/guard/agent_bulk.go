package guard

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
)

// Bulk is one change of many agents: of IDs, or of the page that Query finds.
type Bulk struct {
	IDs    []id.Agent
	Query  AgentQuery
	Do     string // approve, suspend, resume, revoke, change, owner
	Change agents.Change
	Owner  id.User
	Assign bool
	Reason string
	DryRun bool // say what would become of it
}

// Outcome is what became of one agent of many.
type Outcome struct {
	ID   id.Agent
	Name string
	Done string // done, created, there, would; nothing where Err says why not
	Err  error
}

// side is how many acts of one request go on at a time: their events share commits.
const side = 32

// BulkAgents makes a change of many agents, each decided and recorded for itself, so that some may be refused and others not. next is where the
// filter's next page begins; zero on the last.
func (g *Guard) BulkAgents(ctx context.Context, c *Caller, b Bulk) (all []Outcome, next id.Agent, err error) {
	do := map[string]func(*Caller, id.Agent) error{
		"approve": func(c *Caller, a id.Agent) error { _, _, err := g.ApproveAgent(ctx, c, a, b.Reason); return err },
		"change":  func(c *Caller, a id.Agent) error { _, _, err := g.ChangeAgent(ctx, c, a, b.Change); return err },
		"owner":   func(c *Caller, a id.Agent) error { _, _, err := g.HandOver(ctx, c, a, b.Owner, b.Assign); return err },
	}[b.Do]
	if slices.Contains([]string{"suspend", "resume", "revoke"}, b.Do) {
		do = func(c *Caller, a id.Agent) error { _, _, _, err := g.EndAgent(ctx, c, a, b.Do, b.Reason); return err }
	}
	if do == nil {
		return nil, next, fault.New(fault.Invalid, "malformed", "what can be done to many agents is approve, suspend, resume, revoke, change and owner, not %.40q", b.Do)
	}
	if all, next, err = g.meant(ctx, c, b); err != nil {
		return nil, next, err
	}
	done := "done"
	if b.DryRun {
		c, done = c.rehearsing(), "would"
	}
	together(len(all), func(i int) { all[i].Done, all[i].Err = done, do(c, all[i].ID) })
	return all, next, nil
}

// meant finds the agents that a change is of, and spends the proof.
func (g *Guard) meant(ctx context.Context, c *Caller, b Bulk) (all []Outcome, next id.Agent, err error) {
	if b.IDs == nil {
		found, err := g.ListAgents(ctx, c, b.Query)
		if err != nil {
			return nil, next, err
		}
		for _, a := range found {
			all = append(all, Outcome{ID: a.ID, Name: a.Name})
		}
		if n := len(found); n > 0 && (n == b.Query.Limit || n == maxAgents) {
			next = found[n-1].ID
		}
		return all, next, nil
	}
	ids := slices.Clone(b.IDs)
	slices.SortFunc(ids, func(a, b id.Agent) int { return strings.Compare(a.String(), b.String()) })
	if ids = slices.Compact(ids); len(ids) > maxAgents {
		return nil, next, tooManyAgents()
	}
	if err := g.Self(ctx, c); err != nil {
		return nil, next, err
	}
	found, err := g.Agents.List(ctx, c.ws, agents.Query{In: ids}, g.Now())
	names := map[id.Agent]string{}
	for _, a := range found {
		names[a.ID] = a.Name
	}
	for _, a := range ids {
		all = append(all, Outcome{ID: a, Name: names[a]})
	}
	return all, next, err
}

func tooManyAgents() error {
	return fault.New(fault.TooLarge, "too_large", "one request is about at most %d agents", maxAgents).Try("send them in parts")
}

// together runs work n times, some at a time.
func together(n int, work func(int)) {
	var wg sync.WaitGroup
	free := make(chan struct{}, side)
	for i := range n {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			work(i)
		})
	}
	wg.Wait()
}

// Registration is one agent of an import, or what is wrong with it.
type Registration struct {
	agents.NewAgent
	Wrong error
}

// ImportAgents registers agents as RegisterAgent does, each decided and recorded for itself. One whose name is taken by an agent that is no different is
// there already, so that an import that broke off is repeated; of two with one name in the request the second is refused. Codes: too_large.
func (g *Guard) ImportAgents(ctx context.Context, c *Caller, all []Registration, dry bool) ([]Outcome, error) {
	if len(all) > maxAgents {
		return nil, tooManyAgents()
	}
	if err := g.Self(ctx, c); err != nil {
		return nil, err
	}
	there, err := g.named(ctx, c.ws, all)
	if err != nil {
		return nil, err
	}
	done := "created"
	if dry {
		c, done = c.rehearsing(), "would"
	}
	out := make([]Outcome, len(all))
	seen := map[string]bool{}
	for i, r := range all {
		out[i].Name, out[i].Err = r.Name, r.Wrong
		if r.Wrong == nil && seen[r.Name] {
			out[i].Err = fault.New(fault.Conflict, "name_taken", "the import has the name %s before", r.Name)
		}
		seen[r.Name] = true
	}
	together(len(all), func(i int) {
		o, n := &out[i], all[i].NewAgent
		if o.Err != nil {
			return
		}
		if n.Owner.IsZero() {
			n.Owner = c.person
		}
		if a, ok := there[n.Name]; ok {
			o.ID, o.Done = a.ID, "there"
			if other := a.Differs(n); len(other) > 0 {
				o.Err = fault.New(fault.Conflict, "name_taken", "the workspace has, or had, an agent named %s, with another %s", n.Name, strings.Join(other, ", "))
			}
			return
		}
		a, _, err := g.RegisterAgent(ctx, c, n)
		if o.Done, o.Err = done, err; err == nil && !dry {
			o.ID = a.ID
		}
	})
	return out, nil
}

// named reads the agents that have the names of registrations.
func (g *Guard) named(ctx context.Context, ws id.Workspace, all []Registration) (map[string]agents.Agent, error) {
	names := make([]string, 0, len(all))
	for _, r := range all {
		if r.Wrong == nil && agents.GoodName(r.Name) {
			names = append(names, r.Name)
		}
	}
	there := map[string]agents.Agent{}
	found, err := g.Agents.List(ctx, ws, agents.Query{Names: names}, g.Now())
	for _, a := range found {
		there[a.Name] = a
	}
	return there, err
}
