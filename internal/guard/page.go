package guard

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/approvals"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/catalog"
	"github.com/attorn/attorn/internal/lending"
	"github.com/attorn/attorn/internal/people"
	"github.com/attorn/attorn/policy"
)

// Page reads for a page of the console what its reader may see. What they may not see is left out: a page that shows less is no attempt at
// anything, so no refusal is recorded. It is good for one request.
type Page struct {
	g *Guard
	c *Caller
	s *standing
}

// Page begins a page for c. Its error is why c may not act at all.
func (g *Guard) Page(ctx context.Context, c *Caller) (*Page, error) {
	s, err := g.resolve(ctx, c)
	if err != nil {
		return nil, err
	}
	return &Page{g, c, s}, nil
}

func (p *Page) may(ctx context.Context, action, noun string, attrs map[string]any) (bool, error) {
	if _, err := p.s.covers(p.c, action, nil); err != nil {
		return false, nil
	}
	workspace := policy.UID{Type: "Workspace", ID: p.c.ws.String()}
	ans, err := p.g.decide(ctx, p.c, p.s, question{
		action:   action,
		resource: policy.Entity{UID: policy.UID{Type: "Noun", ID: noun}, Parents: []policy.UID{workspace}, Attrs: attrs},
		more:     []policy.Entity{{UID: workspace}},
	}, nil)
	return err == nil && ans.Outcome == policy.Permit, err
}

// Seen is an agent with some of its instances.
type Seen struct {
	agents.With
	App bool // it is an app's; asked of those without instances alone
}

// Agents reads the workspace's first agents, each with a few of its instances, or, where not all, those of them that are the reader's own.
func (p *Page) Agents(ctx context.Context, limit, instances int) (seen []Seen, all bool, err error) {
	all, err = p.may(ctx, "attorn:agent:read", "workspace", nil)
	if err != nil {
		return nil, all, err
	}
	q := agents.Query{Limit: limit}
	if !all {
		if q.Owner = p.c.person; !p.c.agent.IsZero() {
			return nil, all, nil
		}
		own, err := p.may(ctx, "attorn:agent:read", "workspace", owned(q.Owner))
		if err != nil || !own {
			return nil, all, err
		}
	}
	found, err := p.g.Agents.WithInstances(ctx, p.c.ws, q, instances, p.s.now)
	if err != nil {
		return nil, all, err
	}
	asOf, err := p.g.memory.asOf(ctx, p.c.ws)
	for _, a := range found {
		p.g.used.told(a.Instances)
		app := ""
		if err == nil && len(a.Instances) == 0 {
			app, err = p.g.ofApp(ctx, p.c.ws, asOf, a.ID)
		}
		seen = append(seen, Seen{a, app != ""})
	}
	return seen, all, err
}

// Delegations reads the newest delegations, or, where not all, those that the reader lent, each as its chain, the root first.
func (p *Page) Delegations(ctx context.Context, limit int) (chains [][]lending.Delegation, all bool, err error) {
	all, err = p.may(ctx, "attorn:delegation:read", "workspace", nil)
	if err != nil {
		return nil, all, err
	}
	q := lending.Query{Limit: limit}
	if !all {
		q.Delegator = p.c.Sub()
	}
	found, err := p.g.Lending.List(ctx, p.c.ws, q)
	if err != nil {
		return nil, all, err
	}
	chains = make([][]lending.Delegation, len(found))
	for i, d := range found {
		chains[i] = []lending.Delegation{d}
		if d.Parent.IsZero() {
			continue
		}
		if chains[i], err = p.g.Lending.Chain(ctx, p.c.ws, d.ID); err != nil {
			return nil, all, err
		}
	}
	return chains, all, nil
}

// Approvals reads the newest approvals of each of these statuses, newest first: all, or those that are asked in the reader's name or that the reader
// could vote on.
func (p *Page) Approvals(ctx context.Context, limit int, statuses ...approvals.Status) ([]approvals.Approval, error) {
	all, err := p.may(ctx, "attorn:approval:read", "workspace", nil)
	if err != nil {
		return nil, err
	}
	var seen []approvals.Approval
	for _, status := range statuses {
		found, err := p.g.Approvals.List(ctx, p.c.ws, status, id.Approval{}, limit)
		if err != nil {
			return nil, err
		}
		for _, a := range found {
			if !all && a.Object.Subject != p.c.person {
				err := p.g.eligible(ctx, p.c.ws, p.c.person, a)
				if err != nil && fault.Of(err) == nil {
					return nil, err
				}
				if err != nil {
					continue
				}
			}
			seen = append(seen, a)
		}
	}
	slices.SortFunc(seen, func(a, b approvals.Approval) int { return cmp.Compare(b.ID.String(), a.ID.String()) })
	return seen[:min(len(seen), limit)], nil
}

// Events reads the newest events, or, where not all, those of the reader's own.
func (p *Page) Events(ctx context.Context, limit int) (found []audit.Entry, all bool, err error) {
	all, err = p.may(ctx, "attorn:log:read", "log", nil)
	if err != nil {
		return nil, all, err
	}
	f := audit.Filter{Limit: limit}
	if !all {
		f.Person = p.c.person
	}
	found, err = p.g.Log.Search(ctx, p.c.ws, f)
	return found, all, err
}

// MayExplain says whether the reader may be told all about an event that they may see: whom it names, and who may explain decisions.
func (p *Page) MayExplain(ctx context.Context, e audit.Entry) (bool, error) {
	if names(e.Event, p.c) {
		return true, nil
	}
	return p.may(ctx, "attorn:decision:explain", "event:"+e.ID.String(), nil)
}

// Asked is an approval with all that a voter has to see before voting.
type Asked struct {
	approvals.Approval
	Tool     catalog.Tool         // zero where it is no tool's, or is gone
	Chain    []lending.Delegation // the root first; empty where the actor acts for nobody
	Unproved error                // why it is not proved; nil: all is as the digest says, every signature verifies and every link narrows the one before
	Votes    []evidence.Ballot
	By       evidence.Who // that asked: the instance and its proof
	Voters   []string     // who holds the role and is not excluded
	Barred   error        // why the reader may not vote; nil if they may, as long as it is pending

	Recovered []people.Person // of those who are on it or could vote, who were let in again by an administrator's link in the last 30 days
}

// Asked reads an approval for who may see it: who asks, for whom, who could vote, and whom policy lets. Code: not_found.
func (p *Page) Asked(ctx context.Context, a id.Approval) (Asked, error) {
	g, ws := p.g, p.c.ws
	found, err := g.approvalFor(ctx, p.c, a)
	if err != nil {
		return Asked{}, err
	}
	x := Asked{Approval: found}
	if !found.Delegation.IsZero() {
		if x.Chain, err = g.Lending.Chain(ctx, ws, found.Delegation); err != nil {
			return x, err
		}
	}
	x.Unproved = g.proved(ctx, found, x.Chain)
	if x.Votes, err = g.Approvals.Votes(ctx, ws, a); err != nil {
		return x, err
	}
	e, err := g.Log.Event(ctx, ws, found.Asked)
	if err != nil && fault.Of(err) == nil {
		return x, err
	}
	x.By = e.Who
	if x.Tool, err = g.toolOf(ctx, found); err != nil {
		return x, err
	}
	set, err := g.live(ctx, ws)
	if err != nil {
		return x, err
	}
	holders, err := g.holders(ctx, ws, g.Now(), set.Heirs(found.Role)...)
	if err != nil {
		return x, err
	}
	for _, h := range holders {
		if _, err := id.Parse[id.User](h); err == nil && !slices.Contains(found.Excluded, h) {
			x.Voters = append(x.Voters, h)
		}
	}
	if x.Recovered, err = p.recoveredOf(ctx, append(slices.Clone(found.Excluded), x.Voters...)); err != nil {
		return x, err
	}
	x.Barred = g.eligible(ctx, ws, p.c.person, found)
	if x.Barred == nil && slices.ContainsFunc(x.Votes, func(b evidence.Ballot) bool { return b.Vote.Voter == p.c.person }) {
		x.Barred = fault.New(fault.Conflict, "already_voted", "you have voted on this; a vote counts once")
	}
	if x.Barred != nil && fault.Of(x.Barred) == nil {
		return x, x.Barred
	}
	return x, nil
}

// proved verifies a chain from its bytes, and that it and the arguments are those that are asked for: a voter signs the digest of what they read.
func (g *Guard) proved(ctx context.Context, a approvals.Approval, chain []lending.Delegation) error {
	if digest, err := a.Object.Digest(); err != nil || digest != a.Digest || id.Sum(a.Arguments) != a.Object.ArgsSHA256 {
		return fault.New(fault.Conflict, "changed", "the arguments are not those that were asked for")
	}
	links, digests := make([]delegation.Link, len(chain)), make([]id.Digest, len(chain))
	for i, d := range chain {
		links[i], digests[i] = d.Link, d.Digest
	}
	if !slices.Equal(digests, a.Object.Chain) {
		return fault.New(fault.Conflict, "changed", "the chain is not the one that was asked for")
	}
	if len(links) == 0 {
		return nil
	}
	return delegation.VerifyChain(links, g.issuerKey(ctx))
}

// toolOf finds the definition that was pinned when the approval was asked for; the zero value where there is none any more.
func (g *Guard) toolOf(ctx context.Context, a approvals.Approval) (catalog.Tool, error) {
	server, segment, ok := strings.Cut(a.Object.Resource.ID, ":")
	if !ok || a.Object.Resource.Type != "Tool" {
		return catalog.Tool{}, nil
	}
	t, err := g.Catalog.Callable(ctx, a.Object.Workspace, server, segment)
	if err != nil && fault.Of(err) == nil {
		return t, err
	}
	if err != nil || t.Pin != a.Object.Pin {
		return catalog.Tool{}, nil
	}
	return t, nil
}

// Keys reads what the reader signs in with.
func (p *Page) Keys(ctx context.Context) (Keys, error) { return p.g.keysOf(ctx, p.c, p.s.person) }

// recoveredOf are those of these users who were recovered not long ago: voters know who counts as one.
func (p *Page) recoveredOf(ctx context.Context, users []string) (found []people.Person, err error) {
	for _, u := range slices.Compact(slices.Sorted(slices.Values(users))) {
		user, err := id.Parse[id.User](u)
		if err != nil {
			continue
		}
		of, err := p.g.People.Person(ctx, p.c.ws, user)
		if err != nil && fault.Code(err) != "not_found" {
			return nil, err
		}
		if err == nil && !of.RecoveredAt.IsZero() && p.s.now.Before(of.RecoveredAt.Add(people.TieLife)) {
			found = append(found, of)
		}
	}
	return found, nil
}

// Passkeys reads the reader's own passkeys, oldest first.
func (p *Page) Passkeys(ctx context.Context) ([]people.Passkey, error) {
	return p.g.People.PasskeysOf(ctx, p.c.person)
}
