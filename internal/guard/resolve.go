package guard

import (
	"context"
	"slices"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/clients"
	"github.com/attorn/attorn/internal/lending"
	"github.com/attorn/attorn/internal/people"
	"github.com/attorn/attorn/policy"
)

// standing is a caller as the state says now: who is on the chain, that all of them may act, and what was lent. Everything in it was read
// after asOf, and depends names all of it, so that the log refuses a permit that any of it no longer supports.
type standing struct {
	asOf       int64
	now        time.Time
	chain      []lending.Delegation // the root first
	principals []policy.UID         // the current actor first, the person last
	entities   []policy.Entity
	depends    []string
	who        evidence.Who
	under      *evidence.Under
	actor      policy.Actor
	content    []evidence.Content
	agents     map[id.Agent]agents.Agent // on the chain
	ends       people.Ends               // of the workspace
	person     people.Person             // who acts themselves; zero where an agent does
}

// resolve walks the chain of c from the state (authority.md §5, step 1). Its faults say who or what on the chain has ended.
func (g *Guard) resolve(ctx context.Context, c *Caller) (*standing, error) {
	if err := c.bodyHeld(); err != nil {
		return nil, err
	}
	asOf, err := g.Log.Rev(ctx, c.ws)
	if err != nil {
		return nil, err
	}
	s := &standing{asOf: asOf, now: g.Now(), depends: []string{evidence.Policy, evidence.Workspace}, agents: map[id.Agent]agents.Agent{}}
	s.who = evidence.Who{Sub: c.Sub(), Instance: c.instance}
	if c.proof.Type != "" {
		p := c.proof
		s.who.Proof = &p
	}
	s.actor = policy.Actor{Instance: c.instance.String(), Proof: c.proof.Type}
	if err := g.resolveToken(ctx, c, s); err != nil {
		return s, err
	}
	if s.ends, err = g.People.Ends(ctx, c.ws); err != nil {
		return s, err
	}
	if !c.service.IsZero() {
		return s, fault.New(fault.Denied, "feed_only", "a service's own token is for the feed alone").Try("GET %s/v1/feed", g.in(c.ws))
	}
	if c.agent.IsZero() {
		return s, g.resolvePerson(ctx, c, s)
	}
	if err := s.ends.Live(); err != nil {
		return s, err
	}
	is, err := g.acting(ctx, c, s.now)
	if err != nil {
		return s, err
	}
	a, i := is.Agent, is.Instance
	if a.ID != c.agent || a.Workspace != c.ws {
		return s, fault.New(fault.Unauthenticated, "key_mismatch", "the token's key is not an instance of the agent that it names")
	}
	if err := c.issuedAfter(s.ends.TokensFrom, a.TokensFrom, i.TokensFrom); err != nil {
		return s, err
	}
	if c.claims.Via == nil {
		if err := notPartner(i); err != nil {
			return s, err
		}
	}
	s.actor.Origin = string(i.Trust)
	s.who.Owner = a.Owner
	s.addAgent(is)
	if !c.claims.Delegation.IsZero() {
		if err := g.resolveChain(ctx, c, s); err != nil {
			return s, err
		}
	}
	for agent := range s.agents { // a rule that is changed touches the workspace
		if err := g.appStands(ctx, c.ws, s.asOf, agent); err != nil {
			return s, err
		}
	}
	return s, g.entities(ctx, c.ws, s)
}

func (g *Guard) resolveToken(ctx context.Context, c *Caller, s *standing) error {
	if c.raw == "" {
		return nil
	}
	kid, err := tokenKid(c.raw)
	if err != nil {
		return err
	}
	doc := evidence.ContentOf([]byte(c.raw))
	if c.proof.Type != proofBearer { // which opens what it opens to whoever reads it
		s.content = append(s.content, doc)
	}
	s.under = &evidence.Under{
		Token:      &evidence.TokenRef{ID: c.claims.ID, Kid: kid, Expires: c.claims.Expires, SHA256: doc.Digest},
		Delegation: c.claims.Delegation, Task: c.claims.Task, Via: c.claims.Via,
	}
	s.depends = append(s.depends, c.claims.ID, kid.String())
	if err := g.tokenKey(ctx, kid, c.claims.IssuedAt); err != nil {
		return err
	}
	ended, err := g.Tickets.Ended(ctx, c.ws, c.claims.ID)
	if err == nil && ended {
		err = fault.New(fault.Unauthenticated, "token_revoked", "the access token was revoked").Try("get a new token")
	}
	if err == nil && clients.IsApp(c.claims.ClientID) { // a rule that is changed touches the workspace
		err = g.ClientStands(ctx, c.ws, c.claims.ClientID, c.claims.JKT.IsZero())
	}
	return err
}

// issuedAfter refuses a token that was issued before all tokens of somebody on its chain were ended: the end of tokens outlives a suspension. Code:
// token_ended.
func (c *Caller) issuedAfter(marks ...int64) error {
	if c.raw == "" || c.claims.IssuedAt > slices.Max(marks) {
		return nil
	}
	return fault.New(fault.Unauthenticated, "token_ended", "the access token was ended, with all that somebody on its chain had then").Try("get a new token")
}

func (g *Guard) resolvePerson(ctx context.Context, c *Caller, s *standing) error {
	p, err := g.People.Person(ctx, c.ws, c.person)
	if err != nil {
		return err
	}
	if err := p.Live(); err != nil {
		return err
	}
	if err := c.issuedAfter(p.TokensFrom); err != nil {
		return err
	}
	if !c.key.IsZero() {
		owner, _, err := g.People.PersonByKey(ctx, c.key)
		if err != nil {
			return err
		}
		if owner.ID != c.person {
			return fault.New(fault.Unauthenticated, "key_mismatch", "the token's key is not the person's")
		}
		s.depends = append(s.depends, c.key.String())
	}
	s.person = p
	s.principals = []policy.UID{{Type: policy.TypeUser, ID: c.person.String()}}
	s.depends = append(s.depends, c.person.String())
	return g.entities(ctx, c.ws, s)
}

// resolveChain reads the delegations from the root to the caller, and that everybody on the way may still act.
func (g *Guard) resolveChain(ctx context.Context, c *Caller, s *standing) error {
	chain, err := g.Lending.Chain(ctx, c.ws, c.claims.Delegation)
	if err != nil {
		return err
	}
	s.chain = chain
	if err := s.addLinks(c); err != nil {
		return err
	}
	if err := lending.Live(chain, s.now); err != nil && (!c.goesOn || fault.Code(err) != "delegation_exhausted") {
		return err
	}
	marks := []int64{s.ends.TokensFrom}
	for i, d := range slices.Backward(chain) {
		st := d.Link.Statement
		if i == 0 {
			p, err := g.People.Person(ctx, c.ws, st.Delegator.User)
			if err != nil {
				return err
			}
			if err := p.Live(); err != nil {
				return err
			}
			if err := c.issuedAfter(p.TokensFrom); err != nil {
				return err
			}
			s.principals = append(s.principals, policy.UID{Type: policy.TypeUser, ID: p.ID.String()})
			s.depends = append(s.depends, p.ID.String())
			marks = append(marks, p.TokensFrom)
			break
		}
		by, err := g.Agents.Signed(ctx, d.Link.Through(), s.now)
		if err != nil {
			return err
		}
		a, in := by.Agent, by.Instance
		if a.ID != chain[i-1].Link.Statement.Delegate.Agent || a.Workspace != c.ws {
			return fault.New(fault.Denied, "chain_broken", "a delegation is signed by a key that is not its delegator's")
		}
		if err := c.issuedAfter(a.TokensFrom, in.TokensFrom); err != nil {
			return err
		}
		marks = append(marks, a.TokensFrom, in.TokensFrom)
		s.addAgent(by)
	}
	return steadStands(chain[len(chain)-1].Link, marks...)
}

// addLinks notes the chain in the event's terms, whether or not it turns out to be live, and that it leads to this caller.
func (s *standing) addLinks(c *Caller) error {
	last := s.chain[len(s.chain)-1]
	st := last.Link.Statement
	if s.under != nil { // there is a token
		s.under.Statement = last.Digest
	}
	root := s.chain[0].Link.Statement
	s.who.Chain = append(s.who.Chain, evidence.Hop{Sub: root.Delegator.User.String()})
	for i, d := range s.chain {
		hop := evidence.Hop{Sub: d.Link.Statement.Delegate.Agent.String(), Delegation: d.ID, Link: id.Sum([]byte(d.Link.String()))}
		if i+1 < len(s.chain) {
			hop.Instance = s.chain[i+1].Link.Through()
		} else {
			hop.Instance = c.instance
		}
		s.who.Chain = append(s.who.Chain, hop)
		s.depends = append(s.depends, d.ID.String())
	}
	switch {
	case st.Delegate.Agent != c.agent, !st.Delegate.Instance.IsZero() && st.Delegate.Instance != c.instance:
		return fault.New(fault.Denied, "not_lent", "the token's delegation lends to another agent or instance")
	case root.Delegator.User != c.person:
		return fault.New(fault.Denied, "chain_broken", "the token's person is not the one at the root of its delegation")
	}
	return nil
}

func (s *standing) addAgent(is agents.Standing) {
	a := is.Agent
	s.principals = append(s.principals, policy.UID{Type: policy.TypeAgent, ID: a.ID.String()})
	s.depends = append(append(s.depends, a.ID.String(), is.Instance.Key.String()), is.Rests...)
	s.agents[a.ID] = a
}

// entities reads groups and roles of everybody on the chain; an agent has its owner and its tags beside.
func (g *Guard) entities(ctx context.Context, ws id.Workspace, s *standing) error {
	subs := make([]string, len(s.principals))
	for i, p := range s.principals {
		subs[i] = p.ID
	}
	found, groups, err := g.known(ctx, ws, s.now, subs...)
	if err != nil {
		return err
	}
	s.depends = append(s.depends, groups...)
	for i := range found {
		agent, err := id.Parse[id.Agent](found[i].UID.ID)
		if err != nil {
			continue
		}
		a := s.agents[agent]
		found[i].Attrs, found[i].Tags = owned(a.Owner), a.Tags.Map()
	}
	s.entities = found
	return nil
}

// covers is step 2: the token's scope and every delegation on the chain cover the act. scope alone is reported apart, for step-up.
func (s *standing) covers(c *Caller, action string, args delegation.Args) (lacking string, err error) {
	for i, d := range s.chain {
		st := d.Link.Statement
		if !delegation.Allows(st.Permissions, action, args) {
			by := "the person at its root"
			if i > 0 && !st.InStead() {
				by = "agent " + st.Delegator.Agent.String()
			} else if !st.Delegator.User.IsZero() {
				by = "user " + st.Delegator.User.String()
			}
			return "delegation", fault.New(fault.Denied, "not_lent", "%s is not lent with these arguments: delegation %s (link %d of %d, lent by %s) does not cover it",
				action, d.ID, i+1, len(s.chain), by).Try("ask %s to lend it: attorn lend %s --permission %s", by, st.Delegate.Agent, action)
		}
	}
	if c.raw != "" && !delegation.Allows(c.claims.Permissions(), action, args) {
		return "scope", fault.New(fault.Denied, "insufficient_scope", "the access token's scope does not cover %s with these arguments", action).
			Try("get a token whose scope has %s", action)
	}
	return "", nil
}

// lent is the delegation in policy's terms.
func (s *standing) lent() policy.Lent {
	if len(s.chain) == 0 {
		return policy.Lent{}
	}
	last := s.chain[len(s.chain)-1]
	return policy.Lent{ID: last.ID.String(), Depth: int64(last.Depth), Task: last.Link.Statement.Task, Purpose: last.Link.Statement.Purpose}
}

// auth is how the person signed in, where that is known. Who signed in elsewhere, where it was not said when, did so in 1970.
func (s *standing) auth(c *Caller) *policy.Auth {
	if c.person.IsZero() || c.authTime == 0 && c.acr == 0 {
		return nil
	}
	return &policy.Auth{ACR: c.acr, Age: max(0, s.now.Unix()-c.authTime)}
}

// draft begins the event of an act: who, under which authority, from where.
func (s *standing) draft(c *Caller, kind evidence.Kind) evidence.Draft {
	d := evidence.Draft{Workspace: c.ws, Agent: c.agent, Person: c.person, Once: c.nonces(), Depends: s.depends}
	d.Kind, d.Who, d.Where = kind, s.who, c.where()
	d.Content = slices.Clone(s.content)
	if s.under != nil {
		u := *s.under
		d.Under = &u
		d.Task = u.Task
	}
	if c.ip != "" {
		if err := seal(&d, &d.Where.IP, c.Sub(), "ip", c.ip); err != nil {
			d.Where.IP = nil
		}
	}
	if len(c.proofRaw) > 0 {
		d.Details = append(d.Details, evidence.Detail{Field: "proof", Subject: c.Sub(), Disclosure: c.proofRaw})
	}
	return d
}
