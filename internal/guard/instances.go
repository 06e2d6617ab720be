package guard

import (
	"context"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/token"
)

// KeyRequest is a key statement as it came in, signed by the live key and by the new one (package token). It needs no memory of its own to be good
// once: it names one new key, and a key becomes an instance once.
type KeyRequest struct {
	Voucher, Possession string
}

// statement verifies that the calling instance vouches for a new key, here and now and for this use.
func (g *Guard) statement(ctx context.Context, c *Caller, use string, in KeyRequest) (st token.KeyStatement, by agents.Instance, err error) {
	if c.agent.IsZero() {
		return st, by, fault.New(fault.Denied, "agent_needed", "only a running copy of an agent vouches for a new key, with its own").
			Try("do it where the agent runs; for another's instance, revoke it and enrol a new one")
	}
	if by, err = g.Agents.Instance(ctx, c.instance); err != nil {
		return st, by, err
	}
	st, err = token.VerifyKeyStatement(in.Voucher, in.Possession, by.JWK, token.KeyWant{
		Use: use, Issuer: g.Issuer, Now: g.Now(), Past: dpopPast, Future: dpopFuture,
	})
	if err == nil && st.Workspace != c.ws {
		err = fault.New(fault.Denied, "workspace_mismatch", "the key statement is for another workspace than your token's")
	}
	return st, by, err
}

// keyAct is the act of making the statement's key an instance.
func keyAct(use string, kind evidence.Kind, st token.KeyStatement, in KeyRequest) act {
	voucher, possession := evidence.ContentOf([]byte(in.Voucher)), evidence.ContentOf([]byte(in.Possession))
	return act{
		action: "attorn:instance:" + use, kind: kind, target: st.Key.Thumbprint().String(), content: []evidence.Content{voucher, possession},
		what: &evidence.What{
			Agent: st.Agent, Instance: st.Key.Thumbprint(), Key: &st.Key, Voucher: voucher.Digest, Possession: possession.Digest,
		},
	}
}

// Rotate replaces the key of the calling instance by one that it vouches for. The old key stays good until the second that the statement names.
func (g *Guard) Rotate(ctx context.Context, c *Caller, key id.Key, in KeyRequest) (old, fresh agents.Instance, got evidence.Receipt, err error) {
	st, by, err := g.statement(ctx, c, token.UseRotate, in)
	switch {
	case err != nil:
	case by.Key != key:
		err = fault.New(fault.Denied, "not_this_instance", "an instance replaces its own key, and the path names another one").
			Try("rotate with the key that is to be replaced")
	case st.Agent != c.agent:
		err = fault.New(fault.Denied, "agent_mismatch", "the key statement is for another agent: a rotation stays with the agent")
	}
	a := keyAct("rotate", evidence.InstanceRotated, st, in)
	a.noun = "instance:" + key.String()
	if err == nil {
		a.attrs, err = g.instanceAttrs(ctx, by)
	}
	if err != nil {
		a.target = key.String()
		return old, fresh, got, g.refuseAct(ctx, c, nil, a, nil, err)
	}
	a.what.Before, a.what.Status = key, string(by.Trust)
	got, err = g.do(ctx, c, a, func(tx *audit.Tx) error {
		held, err := g.People.Known(tx, st.Key.Thumbprint())
		if err != nil {
			return err
		}
		old, fresh, err = g.Agents.Rotate(tx, agents.Rotation{
			Workspace: c.ws, Agent: c.agent, By: key, JWK: st.Key, Grace: time.Duration(st.Expires-st.IssuedAt) * time.Second, Held: held,
		})
		if err != nil {
			return err
		}
		what := *tx.Event().What
		what.Until = old.EndedAt.UnixMicro()
		tx.Event().What = &what
		return nil
	})
	return old, fresh, got, err
}

// Spawn makes the key that the calling instance vouches for an instance below it: of its own agent, or of another one of the workspace, as policy
// says. Codes: app_instance, those of policy, of token.VerifyKeyStatement and of agents.Spawn.
func (g *Guard) Spawn(ctx context.Context, c *Caller, in KeyRequest) (of agents.Agent, made agents.Instance, got evidence.Receipt, err error) {
	st, _, err := g.statement(ctx, c, token.UseSpawn, in)
	a := keyAct("spawn", evidence.InstanceSpawned, st, in)
	a.noun = "agent:" + st.Agent.String()
	if err == nil {
		if of, err = g.Agents.Agent(ctx, c.ws, st.Agent); err == nil {
			err = g.takesKeys(ctx, c.ws, st.Agent)
		}
	} else {
		a.noun, a.target = "workspace", c.instance.String()
	}
	if err != nil {
		return of, made, got, g.refuseAct(ctx, c, nil, a, nil, err)
	}
	a.attrs, a.what.Parent, a.what.Status = owned(of.Owner), c.instance, string(agents.Spawned)
	got, err = g.do(ctx, c, a, func(tx *audit.Tx) error {
		held, err := g.People.Known(tx, st.Key.Thumbprint())
		if err != nil {
			return err
		}
		child := agents.Child{Workspace: c.ws, By: c.instance, Agent: st.Agent, JWK: st.Key, Held: held}
		if st.Expires > 0 {
			child.Until = time.Unix(st.Expires, 0)
		}
		if made, err = g.Agents.Spawn(tx, child); err != nil {
			return err
		}
		what := *tx.Event().What
		what.Until = made.ExpiresAt.UnixMicro()
		tx.Event().What = &what
		return nil
	})
	return of, made, got, err
}

// KeyRecord is one key of a running copy, and the event that made it one.
type KeyRecord struct {
	agents.Instance
	Event id.Event
	Rev   int64
}

// Line reads the history of the running copy that key is of: its keys, the first one first, each with the event that says where it came from.
func (g *Guard) Line(ctx context.Context, c *Caller, key id.Key) ([]KeyRecord, error) {
	_, a, err := g.instanceAct(ctx, c, key, "read", evidence.DecisionMade)
	if err != nil {
		return nil, err
	}
	if err := g.may(ctx, c, a); err != nil {
		return nil, err
	}
	line, err := g.Agents.Line(ctx, c.ws, key)
	if err != nil {
		return nil, err
	}
	all := make([]KeyRecord, len(line))
	for i, k := range line {
		kind := evidence.InstanceEnrolled
		if !k.Predecessor.IsZero() {
			kind = evidence.InstanceRotated
		} else if !k.Parent.IsZero() {
			kind = evidence.InstanceSpawned
		}
		all[i].Instance = k
		found, err := g.Log.Search(ctx, c.ws, audit.Filter{Target: k.Key.String(), Kind: kind, Limit: 200})
		if err != nil {
			return nil, err
		}
		for _, e := range found { // others are attempts that were refused
			if e.Outcome == evidence.OK {
				all[i].Event, all[i].Rev = e.ID, e.Rev
			}
		}
	}
	return all, nil
}
