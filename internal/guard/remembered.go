package guard

import (
	"context"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/keyring"
	"github.com/attorn/attorn/internal/lending"
	"github.com/attorn/attorn/internal/people"
)

// What tokens are issued by, read once and remembered until an event touches it; what does not stand is read each time, for it may stand again, and this
// process be the last to hear of it. In each, asOf was read before.

// endsAsOf is people.Room.Ends.
func (g *Guard) endsAsOf(ctx context.Context, ws id.Workspace, asOf int64) (people.Ends, error) {
	return recall(g.memory, ws, asOf, g.Now(), "ends", func() (people.Ends, fact, error) {
		e, err := g.People.Ends(ctx, ws)
		if err == nil && e.Live() != nil {
			return e, fact{}, nil
		}
		return e, fact{rests: []string{evidence.Workspace}}, err
	})
}

// personAsOf is people.Room.Person.
func (g *Guard) personAsOf(ctx context.Context, ws id.Workspace, asOf int64, person id.User) (people.Person, error) {
	return recall(g.memory, ws, asOf, g.Now(), "person "+person.String(), func() (people.Person, fact, error) {
		p, err := g.People.Person(ctx, ws, person)
		if err == nil && p.Live() != nil {
			return p, fact{}, nil
		}
		return p, fact{rests: []string{person.String()}}, err
	})
}

// actingAsOf is agents.Room.Acting of an instance of the workspace.
func (g *Guard) actingAsOf(ctx context.Context, ws id.Workspace, asOf int64, key id.Key) (agents.Standing, error) {
	return g.instanceStands(ctx, ws, asOf, "acting ", key, g.Agents.Acting)
}

// signedAsOf is agents.Room.Signed of an instance of the workspace.
func (g *Guard) signedAsOf(ctx context.Context, ws id.Workspace, asOf int64, key id.Key) (agents.Standing, error) {
	return g.instanceStands(ctx, ws, asOf, "signed ", key, g.Agents.Signed)
}

func (g *Guard) instanceStands(ctx context.Context, ws id.Workspace, asOf int64, as string, key id.Key,
	read func(context.Context, id.Key, time.Time) (agents.Standing, error),
) (agents.Standing, error) {
	now := g.Now()
	return recall(g.memory, ws, asOf, now, as+key.String(), func() (agents.Standing, fact, error) {
		s, err := read(ctx, key, now)
		if err != nil || s.Agent.Workspace != ws || !s.Agent.OwnerlessSince.IsZero() {
			return s, fact{}, err
		}
		g.memory.settle(key, ws)
		// The owner is among it: while they can act, somebody answers for the agent.
		return s, fact{rests: append([]string{key.String(), s.Agent.ID.String(), s.Agent.Owner.String()}, s.Rests...), until: s.Until}, nil
	})
}

// remembersActing is the standing of a key, whichever workspace it is of, where it is remembered.
func (g *Guard) remembersActing(ctx context.Context, key id.Key) (agents.Standing, bool) {
	ws, ok := g.memory.home(key)
	if !ok {
		return agents.Standing{}, false
	}
	asOf, err := g.memory.asOf(ctx, ws)
	if err != nil {
		return agents.Standing{}, false
	}
	v, ok := g.memory.get(ws, asOf, "acting "+key.String(), g.Now())
	if !ok {
		return agents.Standing{}, false
	}
	return v.(agents.Standing), true
}

// lent is a chain of delegations with its statements, and with the digests of its links, which events name.
type lent struct {
	links      []lending.Delegation
	statements []delegation.Statement
	sums       []id.Digest
}

// chainAsOf is lending.Room.Chain. What counts uses is read each time.
func (g *Guard) chainAsOf(ctx context.Context, ws id.Workspace, asOf int64, d id.Delegation) (lent, error) {
	return recall(g.memory, ws, asOf, g.Now(), "chain "+d.String(), func() (lent, fact, error) {
		var l lent
		var f fact
		var err error
		if l.links, err = g.Lending.Chain(ctx, ws, d); err != nil {
			return l, f, err
		}
		stands := true
		for _, d := range l.links {
			l.statements = append(l.statements, d.Link.Statement)
			l.sums = append(l.sums, id.Sum([]byte(d.Link.String())))
			f.rests = append(f.rests, d.ID.String())
			stands = stands && d.Status == lending.Active && d.Link.Statement.MaxUses == nil
		}
		f.until = time.Unix(l.links[len(l.links)-1].Link.Statement.ExpiresAt, 0)
		if !stands {
			f.rests = nil
		}
		return l, f, nil
	})
}

// standsAsOf is lending.Room.Successor: the delegation that stands in the place of one that lends to an agent.
func (g *Guard) standsAsOf(ctx context.Context, ws id.Workspace, asOf int64, agent id.Agent, d id.Delegation) (id.Delegation, error) {
	return recall(g.memory, ws, asOf, g.Now(), "stands "+d.String(), func() (id.Delegation, fact, error) {
		now, err := g.Lending.SuccessorNow(ctx, ws, agent, d)
		return now, fact{rests: []string{now.String()}}, err // which is touched where another one takes its place
	})
}

// issuerAsOf is the issuer's key that signs now.
func (g *Guard) issuerAsOf(ctx context.Context, ws id.Workspace, asOf int64) (keyring.State, error) {
	return recall(g.memory, ws, asOf, g.Now(), "issuer", func() (keyring.State, fact, error) {
		k, err := g.Ring.Current(ctx, keyring.ForTokens)
		return k, fact{rests: []string{evidence.IssuerKey}}, err
	})
}
