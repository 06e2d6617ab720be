package guard

import (
	"context"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/policy"
)

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
