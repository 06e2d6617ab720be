package guard

import (
	"context"
	"slices"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/policy"
)

// Events searches the log, newest first, for who may read it. A search for the caller's own events, as the agent that acted or the person in whose
// name, needs no leave.
func (g *Guard) Events(ctx context.Context, c *Caller, f audit.Filter) ([]audit.Entry, error) {
	own := c.agent.IsZero() && f.Person == c.person || !c.agent.IsZero() && f.Agent == c.agent
	if own {
		if err := g.Self(ctx, c); err != nil {
			return nil, err
		}
	} else if err := g.May(ctx, c, "attorn:log:read", "log"); err != nil {
		return nil, err
	}
	return g.Log.Search(ctx, c.ws, f)
}

// Event reads one event, for whom it names or who may read the log. Code: not_found also for who may not see it.
func (g *Guard) Event(ctx context.Context, c *Caller, e id.Event) (audit.Entry, error) {
	return g.event(ctx, c, e, "attorn:log:read")
}

// MayExplain decides whether the caller may be told all about an event: whom it names, and who may explain decisions. Code: not_found also for who
// may not see it.
func (g *Guard) MayExplain(ctx context.Context, c *Caller, e id.Event) error {
	_, err := g.event(ctx, c, e, "attorn:decision:explain")
	return err
}

// MayExplainWith decides whether the caller may have an event explained by policies that did not decide it, and gives these: what publishing files would make, or, where
// they are nil, a bundle that was published, by its digest's beginning, live or previous. It takes leave to simulate too, also of whom the event names. Codes: not_found,
// also for who may not see the event; ambiguous, policy_invalid, bad_path.
func (g *Guard) MayExplainWith(ctx context.Context, c *Caller, e id.Event, ref string, files []policy.File) (*policy.Set, error) {
	a := act{action: "attorn:decision:explain", noun: "event:" + e.String(), needs: []string{"attorn:policy:simulate"}}
	if err := g.may(ctx, c, a); err != nil {
		if f := fault.Of(err); f == nil || f.Kind != fault.Denied {
			return nil, err
		}
		return nil, noEvent()
	}
	if _, err := g.Log.Event(ctx, c.ws, e); err != nil {
		return nil, err
	}
	return g.tried(ctx, c.ws, ref, files)
}

func noEvent() error {
	return fault.New(fault.NotFound, "not_found", "there is no such event in this workspace").Try("see the newest: attorn audit tail")
}

// event asks for leave before it says whether there is such an event, so that both answers are the same for a stranger.
func (g *Guard) event(ctx context.Context, c *Caller, e id.Event, action string) (audit.Entry, error) {
	found, err := g.Log.Event(ctx, c.ws, e)
	if err != nil && fault.Code(err) != "not_found" {
		return audit.Entry{}, err
	}
	if err == nil && names(found.Event, c) {
		return found, g.Self(ctx, c)
	}
	if leave := g.May(ctx, c, action, "event:"+e.String()); leave != nil {
		if f := fault.Of(leave); f == nil || f.Kind != fault.Denied {
			return audit.Entry{}, leave
		}
		return audit.Entry{}, noEvent()
	}
	return found, err
}

// names reports whether the caller did, or is on the chain of, an event.
func names(e evidence.Event, c *Caller) bool {
	sub := c.Sub()
	return e.Who.Sub == sub || slices.ContainsFunc(e.Who.Chain, func(h evidence.Hop) bool { return h.Sub == sub })
}

// History reads the checkpoints of the workspace's log; whoever may act in it may know them.
func (g *Guard) History(ctx context.Context, c *Caller) (audit.History, error) {
	if err := g.Self(ctx, c); err != nil {
		return nil, err
	}
	all, err := g.Log.Histories(ctx, c.ws)
	return all[c.ws], err
}

// Me reads what the caller is called, and their roles, sorted.
func (g *Guard) Me(ctx context.Context, c *Caller) (name string, roles []string, err error) {
	if err := g.Self(ctx, c); err != nil {
		return "", nil, err
	}
	if c.agent.IsZero() {
		p, err := g.People.Person(ctx, c.ws, c.person)
		if err != nil {
			return "", nil, err
		}
		name = p.Name
	} else {
		a, err := g.Agents.Agent(ctx, c.ws, c.agent)
		if err != nil {
			return "", nil, err
		}
		name = a.Name
	}
	found, _, err := g.known(ctx, c.ws, g.Now(), c.Sub())
	if err != nil {
		return "", nil, err
	}
	return name, rolesOf(found[0]), nil
}
