package guard

import (
	"context"
	"slices"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/approvals"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/policy"
)

// maxEndedKeys bounds the list of keys that ended with an agent or instance, as maxEnded does that of delegations: an event is small. What is not
// listed rests on what is.
const maxEndedKeys = 200

// EndInstance suspends, resumes or revokes the running copy that key is of, and with it all that it spawned. The instance that it returns, and that
// the event names, is the one that stands for it now.
func (g *Guard) EndInstance(ctx context.Context, c *Caller, key id.Key, verb, why string) (agents.Instance, []id.Delegation, evidence.Receipt, error) {
	type result struct {
		agents.Instance
		ended []id.Delegation
		got   evidence.Receipt
	}
	r, err := settled(func() (r result, err error) {
		r.Instance, r.ended, r.got, err = g.endInstance(ctx, c, key, verb, why)
		return r, err
	})
	return r.Instance, r.ended, r.got, err
}

func (g *Guard) endInstance(ctx context.Context, c *Caller, key id.Key, verb, why string) (agents.Instance, []id.Delegation, evidence.Receipt, error) {
	kind := map[string]evidence.Kind{"suspend": evidence.InstanceSuspended, "resume": evidence.InstanceResumed, "revoke": evidence.InstanceRevoked}[verb]
	head, a, err := g.instanceAct(ctx, c, key, verb, kind)
	if err != nil {
		return head, nil, evidence.Receipt{}, err
	}
	a.personal = g.reason(c, why)
	var ended []id.Delegation
	got, err := g.try(ctx, c, a, func(tx *audit.Tx) error {
		family, err := g.Agents.Family(tx, c.ws, head.Agent, head.Key)
		if err != nil {
			return err
		}
		i, err := map[string]func(*audit.Tx, id.Workspace, id.Key) (agents.Instance, error){
			"suspend": g.Agents.SuspendInstance, "resume": g.Agents.ResumeInstance, "revoke": g.Agents.RevokeInstance,
		}[verb](tx, c.ws, head.Key)
		if err != nil {
			return err
		}
		if i.Key != head.Key { // it was rotated since we looked
			return audit.ErrAgain
		}
		if head = i; verb == "resume" {
			return nil
		}
		if err := g.Agents.EndInstanceTokens(tx, c.ws, head.Key); err != nil {
			return err
		}
		if ended, err = g.endFamily(tx, c, family, verb, why); err != nil {
			return err
		}
		return g.stopped(tx, c.ws, ended, verb)
	})
	return head, ended, got, err
}

// instanceAct is an act on the running copy that key is of: on the instance that stands for it now.
func (g *Guard) instanceAct(ctx context.Context, c *Caller, key id.Key, verb string, kind evidence.Kind) (agents.Instance, act, error) {
	a := act{action: "attorn:instance:" + verb, noun: "instance:" + key.String(), kind: kind, target: key.String(), what: &evidence.What{Instance: key}}
	head, err := g.Agents.Head(ctx, c.ws, key)
	if err == nil {
		a.noun, a.target, a.what = "instance:"+head.Key.String(), head.Key.String(), &evidence.What{Instance: head.Key}
		a.look = func(s *standing, a *act) error {
			of, err := g.Agents.Agent(ctx, c.ws, head.Agent)
			if err != nil {
				return err
			}
			s.ownsNow(c, of)
			a.attrs, err = g.instanceAttrs(ctx, head)
			return err
		}
	}
	if err != nil {
		err = g.refuseAct(ctx, c, nil, a, nil, err)
	}
	return head, a, err
}

// instanceAttrs lets policy speak of whose the instance is, and of who spawned it, as it is called now.
func (g *Guard) instanceAttrs(ctx context.Context, i agents.Instance) (map[string]any, error) {
	of, err := g.Agents.Agent(ctx, i.Workspace, i.Agent)
	if err != nil {
		return nil, err
	}
	attrs := map[string]any{"agent": policy.UID{Type: policy.TypeAgent, ID: i.Agent.String()}, "instance": i.Key.String()}
	if !of.Owner.IsZero() {
		attrs["owner"] = policy.UID{Type: policy.TypeUser, ID: of.Owner.String()}
	}
	if !i.Parent.IsZero() {
		parent, err := g.Agents.Head(ctx, i.Workspace, i.Parent)
		if err != nil {
			return nil, err
		}
		attrs["parent"] = parent.Key.String()
	}
	return attrs, nil
}

// endFamily notes which keys stop with the event, and finds, and unless they are only suspended ends, the delegations that these lent or were lent.
func (g *Guard) endFamily(tx *audit.Tx, c *Caller, family []agents.Member, verb, why string) ([]id.Delegation, error) {
	what := *tx.Event().What
	what.Ended = slices.Clone(what.Ended)
	var all []id.Delegation
	for _, m := range family {
		if m.Live && m.Key != what.Instance && len(what.Ended) < maxEndedKeys {
			what.Ended = append(what.Ended, m.Key.String())
		}
		under, err := g.endOf(tx, c, m.Agent, m.Key, verb, why)
		if err != nil {
			return nil, err
		}
		all = append(all, under...)
	}
	tx.Event().What = &what
	return all, nil
}

// endOf finds, and unless they are only suspended ends, the delegations that an agent, or one key of it, lent or was lent.
func (g *Guard) endOf(tx *audit.Tx, c *Caller, agent id.Agent, instance id.Key, verb, why string) ([]id.Delegation, error) {
	if verb == "suspend" {
		return g.Lending.Under(tx, c.ws, agent.String(), instance)
	}
	return g.Lending.RevokeOf(tx, c.ws, agent.String(), instance, c.Sub(), why)
}

// stopped notes which delegations ended, and voids the approvals that rest on them, or on those that for now stand still.
func (g *Guard) stopped(tx *audit.Tx, ws id.Workspace, under []id.Delegation, verb string) error {
	if verb != "suspend" {
		return g.endWith(tx, ws, under)
	}
	if len(under) == 0 {
		return nil
	}
	_, err := g.Approvals.VoidAll(tx, ws, approvals.Ground{Delegations: under})
	return err
}

// foreign leaves those out that are the agent's own.
func foreign(family []agents.Member, agent id.Agent) []agents.Member {
	return slices.DeleteFunc(slices.Clone(family), func(m agents.Member) bool { return m.Agent == agent })
}

// alsoEnded notes further keys that ended with the event.
func (g *Guard) alsoEnded(tx *audit.Tx, keys []id.Key) {
	what := *tx.Event().What
	what.Ended = slices.Clone(what.Ended)
	for _, k := range keys {
		if len(what.Ended) < maxEndedKeys && !slices.Contains(what.Ended, k.String()) {
			what.Ended = append(what.Ended, k.String())
		}
	}
	tx.Event().What = &what
}
