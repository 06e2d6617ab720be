package guard

import (
	"context"
	"slices"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/lending"
	"github.com/attorn/attorn/policy"
	"github.com/attorn/attorn/token"
)

// Exchange turns a delegation that names the agent into an access token with the person in sub and the agents nested in act (RFC 8693,
// authority.md §4). A statement that its lender has not yet recorded is lent in the same transaction.
func (g *Guard) Exchange(ctx context.Context, c *Client, r TokenRequest) (Issued, error) {
	return settled(func() (Issued, error) { return g.exchange(ctx, c, r) })
}

func (g *Guard) exchange(ctx context.Context, c *Client, r TokenRequest) (Issued, error) {
	if c.agent.IsZero() {
		return Issued{}, g.refuseToken(ctx, c, fault.New(fault.Denied, "grant_not_allowed", "only an agent's instance exchanges"))
	}
	if err := g.recheck(ctx, c); err != nil {
		return Issued{}, g.refuseToken(ctx, c, err)
	}
	prefix, aud, err := g.forTarget(ctx, c, r.Resource)
	if err != nil {
		return Issued{}, g.refuseToken(ctx, c, err)
	}
	if r.Actor != "" {
		if err := g.isActor(ctx, c, r.Actor); err != nil {
			return Issued{}, g.refuseToken(ctx, c, err)
		}
	}
	sub, err := g.subject(ctx, c, r)
	if err != nil {
		return Issued{}, g.refuseToken(ctx, c, err)
	}
	if err := g.fits(ctx, c, sub); err != nil {
		return Issued{}, g.refuseToken(ctx, c, err)
	}
	if sub.lend != nil {
		may := g.mayLend
		if sub.statements[len(sub.statements)-1].InStead() {
			may = g.mayAssert
		}
		if err := may(ctx, c, sub); err != nil {
			return Issued{}, g.refuseToken(ctx, c, err)
		}
	}
	last := sub.statements[len(sub.statements)-1]
	claims := token.Claims{
		Subject: sub.statements[0].Delegator.User.String(), Workspace: c.ws, Delegation: last.ID, Task: last.Task,
		Act: sub.actors(c), MayAct: sub.mayAct(c),
	}
	all := last.Permissions
	if sub.limit != nil {
		all = meet(all, sub.limit)
	}
	return g.issue(ctx, c, aud, r, within(all, prefix), claims, sub, sub.lend)
}

// subject is the chain that an exchange rests on.
type subject struct {
	statements []delegation.Statement  // the root first, the one that names the caller last
	links      []lending.Delegation    // those of them that are recorded
	sums       []id.Digest             // of their bytes
	lend       func(*audit.Tx) error   // records the last, where it was not
	through    id.Key                  // that the last rests on, where it was not recorded and is lent in a stead
	limit      []delegation.Permission // what the subject token permits; nil for a delegation
	rests      []string                // what it depends on beside those
	word       *word                   // of another server; nil: nobody's there
	told       string                  // what somebody asserted of the person, which is personal; "": nothing
	ends       int64                   // seconds, where it ends before its statements do; 0: it does not
	marks      int64                   // up to where tokens of somebody on the chain were ended
}

// hops is the chain as events tell it: the person first, the caller last.
func (s *subject) hops(c *Client) []evidence.Hop {
	hops := []evidence.Hop{{Sub: s.statements[0].Delegator.User.String()}}
	for i, st := range s.statements {
		h := evidence.Hop{Sub: st.Delegate.Agent.String(), Instance: c.instance, Delegation: st.ID}
		if i+1 < len(s.statements) {
			_, h.Instance = s.from(i + 1)
		}
		if i < len(s.links) {
			h.Link = s.sums[i]
		}
		hops = append(hops, h)
	}
	return hops
}

// subject reads the subject token. Nothing of it is believed before its signature held.
func (g *Guard) subject(ctx context.Context, c *Client, r TokenRequest) (*subject, error) {
	switch r.SubjectType {
	case TypeDelegation:
		return g.delegationSubject(ctx, c, r.Subject)
	case TypeAccessToken:
		return g.tokenSubject(ctx, c, r.Subject)
	}
	return nil, fault.New(fault.Invalid, "malformed", "the subject token type is not one that attorn exchanges").Try("use %s or %s", TypeDelegation, TypeAccessToken)
}

// delegationSubject is a statement in either form. Of bytes that were verified to be a certain record it is remembered that they are.
func (g *Guard) delegationSubject(ctx context.Context, c *Client, raw string) (*subject, error) {
	name := "link " + id.Sum([]byte(raw)).String()
	if d, ok := g.memory.get(c.ws, c.asOf, name, g.Now()); ok {
		return g.chainSubject(ctx, c, d.(id.Delegation))
	}
	signed, link, err := delegation.ParseToken(raw)
	if err != nil {
		return nil, err
	}
	var s *subject
	if link != nil {
		s, err = g.recordedSubject(ctx, c, *link)
	} else {
		s, err = g.newSubject(ctx, c, signed)
	}
	if err == nil && s.lend == nil {
		d := s.statements[len(s.statements)-1]
		g.memory.keep(c.ws, c.asOf, name, fact{value: d.ID, rests: []string{d.ID.String()}, until: time.Unix(d.ExpiresAt, 0)})
	}
	return s, err
}

// recordedSubject is a countersigned statement: it must be the record itself.
func (g *Guard) recordedSubject(ctx context.Context, c *Client, link delegation.Link) (*subject, error) {
	if err := link.Verify(g.issuerKey(ctx)); err != nil {
		return nil, err
	}
	return g.chainSubject(ctx, c, link.Statement.ID)
}

func (g *Guard) chainSubject(ctx context.Context, c *Client, d id.Delegation) (*subject, error) {
	chain, err := g.chainAsOf(ctx, c.ws, c.asOf, d)
	if err != nil {
		return nil, notLent(err)
	}
	return &subject{links: chain.links, statements: slices.Clip(chain.statements), sums: chain.sums}, nil // which others rest on, too
}

// newSubject is a statement that an agent signed and hands on itself.
func (g *Guard) newSubject(ctx context.Context, c *Client, signed delegation.Signed) (*subject, error) {
	st := signed.Statement
	if digest, err := st.Digest(); err != nil {
		return nil, err
	} else if known, err := g.Lending.ByStatement(ctx, c.ws, digest); err == nil {
		return g.chainSubject(ctx, c, known.ID)
	} else if fault.Code(err) != "not_found" {
		return nil, err
	}
	if st.Parent == nil { // authority.md §3: what an agent signed may be lent at exchange
		return nil, fault.New(fault.Denied, "not_lent", "the person has not handed the statement in").Try("have its lender do so: attorn lend")
	}
	key, err := g.delegatorKey(ctx, c.ws, signed)
	if err != nil {
		return nil, err
	}
	parent, err := g.Lending.ByStatement(ctx, c.ws, *st.Parent)
	if err != nil {
		return nil, notLent(err)
	}
	s, err := g.chainSubject(ctx, c, parent.ID)
	if err != nil {
		return nil, err
	}
	s.statements = append(s.statements, st)
	s.lend = func(tx *audit.Tx) error {
		link, err := g.countersign(tx, signed, key)
		if err != nil {
			return err
		}
		d, _, err := g.Lending.Lend(tx, c.ws, link)
		if err != nil {
			return err
		}
		if d.StatusAt(tx.Now()) != lending.Active { // somebody recorded and ended it since we looked
			return fault.New(fault.Denied, "delegation_ended", "the delegation has ended")
		}
		doc := evidence.ContentOf([]byte(d.Link.String())) // what later events of its chain name
		tx.Keep(doc)
		tx.Event().What = &evidence.What{Delegation: d.ID, Link: doc.Digest}
		return nil
	}
	return s, nil
}

// tokenSubject is an access token of the lender: it says itself that the caller may act, or needs exactly one live delegation under its own to the caller.
func (g *Guard) tokenSubject(ctx context.Context, c *Client, raw string) (*subject, error) {
	claims, err := token.Verify(raw, g.issuerKey(ctx), token.Want{Issuer: g.Issuer, AnyAudience: true, Now: g.Now(), Leeway: skew})
	if err != nil {
		return nil, err
	}
	if claims.Workspace != c.ws || claims.Delegation.IsZero() {
		return nil, fault.New(fault.Denied, "not_lent", "the subject token rests on no delegation in this workspace")
	}
	if claims.Via != nil {
		return nil, fault.New(fault.Denied, "not_lent", "the subject token is of another server's agent, which lends nothing on here").Try("have it lend at its own server")
	}
	if ended, err := g.Tickets.Ended(ctx, c.ws, claims.ID); err != nil {
		return nil, err
	} else if ended {
		return nil, fault.New(fault.Denied, "delegation_ended", "the subject token was revoked")
	}
	holder := &Caller{ws: c.ws, claims: claims, raw: raw}
	if err := holder.identify(claims); err != nil {
		return nil, err
	}
	rests, err := g.resolve(ctx, holder) // it must still be good for what it says itself
	if err != nil {
		return nil, err
	}
	if claims.MayAct == c.agent { // the client is an agent
		return g.steadSubject(ctx, c, claims, raw, rests.depends)
	}
	under, err := g.Lending.List(ctx, c.ws, lending.Query{
		Delegator: lenderOf(claims), Delegate: c.agent.String(), Parent: claims.Delegation, Status: lending.Active, Now: g.Now(), Limit: 2,
	})
	if err != nil {
		return nil, err
	}
	switch len(under) {
	case 0:
		return nil, fault.New(fault.Denied, "not_lent", "the subject token's holder has lent nothing to this agent").Try("have it lend: attorn lend %s", c.agent)
	case 1:
		s, err := g.chainSubject(ctx, c, under[0].ID)
		if err == nil {
			s.limit, s.rests = claims.Permissions(), rests.depends
		}
		return s, err
	}
	return nil, fault.New(fault.Conflict, "ambiguous_delegation", "the subject token's holder has lent several times to this agent").Try("name one: exchange the delegation itself")
}

// isActor holds an actor token (RFC 8693 §2.1) to what the client has proved: it must be a live token of this agent's, for itself, that is bound to this key. It
// adds nothing, and so nothing that it permits counts. Codes: actor_mismatch, and those of token.Verify and resolve.
func (g *Guard) isActor(ctx context.Context, c *Client, raw string) error {
	claims, err := token.Verify(raw, g.issuerKey(ctx), token.Want{Issuer: g.Issuer, AnyAudience: true, Now: g.Now(), Leeway: skew})
	if err != nil {
		return err
	}
	if claims.Workspace != c.ws || claims.Subject != c.agent.String() || claims.JKT != c.instance { // an agent is the subject only where it acts for nobody
		return fault.New(fault.Denied, "actor_mismatch", "the actor token is not of the agent and the key that ask, acting for nobody").Try("leave it out: the client that authenticates is the actor")
	}
	holder := &Caller{ws: c.ws, claims: claims, raw: raw}
	if err := holder.identify(claims); err != nil {
		return err
	}
	_, err = g.resolve(ctx, holder)
	return err
}

// mayLend asks policy what it is asked when a lender hands a statement in: to leave that to the delegate is no way around it.
func (g *Guard) mayLend(ctx context.Context, c *Client, sub *subject) error {
	st := sub.statements[len(sub.statements)-1]
	lender := &Caller{ws: c.ws, agent: st.Delegator.Agent, instance: st.Delegator.Instance, ip: c.ip, face: c.face}
	s, err := g.resolve(ctx, lender)
	if err != nil {
		return err
	}
	sub.rests = s.depends
	ans, err := g.decide(ctx, lender, s, lendAct(st).question(c.ws), nil)
	if err == nil && ans.Outcome != policy.Permit {
		err = fault.New(fault.Denied, "not_lent", "policy does not let %s lend this: %s", st.Delegator.Agent, ans.Message)
	}
	return err
}

// fits demands that the chain leads to this caller and that everybody on it may act.
func (g *Guard) fits(ctx context.Context, c *Client, s *subject) error {
	last := s.statements[len(s.statements)-1]
	if last.Issuer != g.Issuer || last.Workspace != c.ws {
		return fault.New(fault.Denied, "not_lent", "the delegation is of another server or workspace")
	}
	if last.Delegate.Agent != c.agent || !last.Delegate.Instance.IsZero() && last.Delegate.Instance != c.instance {
		return fault.New(fault.Denied, "not_lent", "the delegation lends to another agent or instance")
	}
	if len(s.statements) > delegation.MaxLinks {
		return fault.New(fault.Denied, "delegation_too_deep", "a chain has at most %d delegations", delegation.MaxLinks)
	}
	switch now := g.Now().Unix(); { // of one that is not recorded yet, too
	case now < last.NotBefore:
		return fault.New(fault.Denied, "delegation_not_yet", "the delegation has not begun")
	case now >= last.ExpiresAt:
		return fault.New(fault.Denied, "delegation_expired", "the delegation has expired")
	}
	if len(s.links) > 0 {
		if err := lending.Live(s.links, g.Now()); err != nil {
			return err
		}
	}
	for i, st := range s.statements {
		if i == 0 {
			p, err := g.personAsOf(ctx, c.ws, c.asOf, st.Delegator.User)
			if err != nil {
				return err
			}
			if err := p.Live(); err != nil {
				return err
			}
			s.marks = p.TokensFrom
			continue
		}
		agent, key := s.from(i)
		by, err := g.signedAsOf(ctx, c.ws, c.asOf, key)
		if err == nil && by.Agent.ID != agent {
			err = fault.New(fault.Denied, "chain_broken", "a delegation came by a key that is not its lender's")
		}
		if err == nil {
			err = g.appStands(ctx, c.ws, c.asOf, by.Agent.ID)
		}
		if err != nil {
			return err
		}
		s.marks = max(s.marks, by.Agent.TokensFrom, by.Instance.TokensFrom)
		s.rests = append(s.rests, by.Rests...)
	}
	if len(s.links) < 2 || len(s.links) < len(s.statements) {
		return nil
	}
	ends, err := g.endsAsOf(ctx, c.ws, c.asOf)
	if err != nil {
		return err
	}
	return steadStands(s.links[len(s.links)-1].Link, s.marks, ends.TokensFrom)
}

// from is the agent that a statement came from, and the key that it came by; not for the root.
func (s *subject) from(i int) (id.Agent, id.Key) {
	agent, st := s.statements[i-1].Delegate.Agent, s.statements[i]
	switch {
	case i < len(s.links):
		return agent, s.links[i].Link.Through()
	case st.InStead():
		return agent, s.through
	}
	return agent, st.Delegator.Instance
}

// actors nests the chain: the caller outermost (RFC 8693 §4.1).
func (s *subject) actors(c *Client) *token.Actor {
	var act *token.Actor
	for i := range s.statements[1:] {
		agent, key := s.from(i + 1)
		act = &token.Actor{Sub: agent, Instance: key, Act: act}
	}
	return &token.Actor{Sub: c.agent, Instance: c.instance, Act: act}
}

func (s *subject) depends() []string {
	ids := slices.Clone(s.rests)
	for i, st := range s.statements {
		ids = append(ids, st.ID.String(), st.Delegator.User.String())
		if i > 0 {
			agent, key := s.from(i)
			ids = append(ids, agent.String(), key.String())
		}
	}
	return slices.DeleteFunc(ids, func(s string) bool { return s == "" })
}

func notLent(cause error) error {
	if fault.Code(cause) == "not_found" {
		return fault.New(fault.Denied, "not_lent", "the delegation is not recorded here")
	}
	return cause
}

// lenderOf is who holds the token: the current actor.
func lenderOf(c token.Claims) string {
	if c.Act != nil {
		return c.Act.Sub.String()
	}
	return c.Subject
}
