package guard

import (
	"context"
	"slices"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/people"
	"github.com/attorn/attorn/token"
)

// mayAct is who may be lent to on the token, in the caller's stead: where the chain is a person's own statement that says so, and the token has a key.
func (s *subject) mayAct(c *Client) id.Agent {
	if c.instance.IsZero() {
		return id.Agent{}
	}
	return s.statements[len(s.statements)-1].MayAct // of a root alone
}

// steadSubject is an access token whose may_act names the caller (RFC 8693 §4.4): what the server lends on it, in the person's name, below what the token rests
// on. Of one token it is always the same delegation, however often and by how many of the agent's instances it is exchanged; it is lent in the transaction
// that issues the first token for it. The token was found to be good now; rests is what it depends on. Codes: not_lent, token_expired, those of chainSubject.
func (g *Guard) steadSubject(ctx context.Context, c *Client, claims token.Claims, raw string, rests []string) (*subject, error) {
	if g.Now().Unix() >= claims.Expires { // what is lent on it has no leeway
		return nil, fault.New(fault.Unauthenticated, "token_expired", "the access token has expired").Try("get a new token")
	}
	s, err := g.chainSubject(ctx, c, claims.Delegation)
	if err != nil {
		return nil, err
	}
	st, at, err := claims.InStead(raw, s.statements[len(s.statements)-1])
	if err != nil {
		return nil, err
	}
	digest, err := st.Digest()
	if err != nil {
		return nil, err
	}
	known, err := g.Lending.ByStatement(ctx, c.ws, digest)
	if err == nil {
		if s, err = g.chainSubject(ctx, c, known.ID); err == nil {
			s.rests = rests
		}
		return s, err
	} else if fault.Code(err) != "not_found" {
		return nil, err
	}
	s.statements, s.through, s.rests = append(s.statements, st), claims.JKT, rests
	s.lend = func(tx *audit.Tx) error {
		if err := people.Running(tx, c.ws); err != nil {
			return err
		}
		what := *tx.Event().What
		what.Delegation = st.ID
		tx.Event().What = &what
		tx.Keep(evidence.ContentOf([]byte(raw))) // what later events of its chain rest on
		_, err := g.lendIn(tx, c.ws, delegation.Signed{Statement: st, Signature: delegation.Signature{Type: delegation.ByAttested}}, delegation.DelegatorKey{Attested: &at})
		return err
	}
	return s, nil
}

// steadStands refuses what was lent on a token that ended with all that somebody on its chain had then: what is lent on a token begins when that was issued, and
// ends no later than it. marks are up to when tokens of those were ended. That the token itself was revoked has ended what was lent on it. Code: delegation_ended.
func steadStands(l delegation.Link, marks ...int64) error {
	if st := l.Statement; !st.InStead() || st.NotBefore > slices.Max(marks) {
		return nil
	}
	return fault.New(fault.Denied, "delegation_ended", "delegation %s rests on a token that was ended, with all that somebody on its chain had then", l.Statement.ID).
		Try("get a new token of whoever handed it on")
}

// endStead ends what was lent on a token's may_act, if anything was, with the token.
func (g *Guard) endStead(tx *audit.Tx, claims token.Claims, raw string) ([]id.Delegation, error) {
	ended, err := g.endLent(tx, claims.Workspace, claims.MayAct, claims.SteadID(raw), "the token that it rests on was revoked")
	if fault.Code(err) == "not_found" {
		return nil, nil
	}
	return ended, err
}

// mayBeNamed holds the agent that is to be able to act in another's stead, if one is named, to the workspace: one that can act and is no app's, for an app asks
// for nothing as an agent. Code: may_act_invalid, the same for all that is wrong with it.
func (g *Guard) mayBeNamed(ctx context.Context, ws id.Workspace, to id.Agent) error {
	if to.IsZero() {
		return nil
	}
	a, err := g.Agents.Agent(ctx, ws, to)
	if err == nil {
		err = a.Live(g.Now())
	}
	if err == nil {
		err = g.noApp(ctx, ws, to)
	}
	if err == nil {
		return nil
	}
	if f := fault.Of(err); f == nil || f.Kind == fault.Internal || f.Kind == fault.Unavailable {
		return err
	}
	return fault.New(fault.Invalid, "may_act_invalid", "who is to act in another's stead is no agent of the workspace that can").Try("name an active agent by its id, or nobody")
}

// keysNow are the keys with which an agent can act now.
func (g *Guard) keysNow(ctx context.Context, agent id.Agent) (keys []id.Key, err error) {
	if agent.IsZero() {
		return nil, nil
	}
	all, err := g.Agents.LiveKeys(ctx, agent, g.Now())
	for _, k := range all {
		keys = append(keys, k.Thumbprint())
	}
	return keys, err
}
