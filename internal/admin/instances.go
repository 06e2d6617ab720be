package admin

import (
	"time"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/guard"
)

func instances(x *request, _ none) (api.List[api.Instance], error) {
	a, err := x.agent()
	if err != nil {
		return api.List[api.Instance]{}, err
	}
	found, err := x.Guard.Instances(x.ctx, x.caller, a)
	return page(found, 0, x.instanceOf, nil), err
}

func (x *request) instanceOf(i agents.Instance) api.Instance { return instanceAt(i, x.Guard.Now()) }

func instanceAt(i agents.Instance, now time.Time) api.Instance {
	return api.Instance{
		Key: i.Key, Agent: i.Agent, JWK: i.JWK, Trust: string(i.Trust), Status: string(i.StatusAt(now)), Created: when(i.CreatedAt), Ended: when(i.EndedAt),
		Expires: when(i.ExpiresAt), LastUsed: when(i.LastUsedAt), Line: i.Line, Before: i.Predecessor, Parent: i.Parent,
	}
}

func line(x *request, _ none) (api.List[api.KeyRecord], error) {
	key, err := x.instance()
	if err != nil {
		return api.List[api.KeyRecord]{}, err
	}
	found, err := x.Guard.Line(x.ctx, x.caller, key)
	return page(found, 0, func(k guard.KeyRecord) api.KeyRecord {
		return api.KeyRecord{Instance: x.instanceOf(k.Instance), Until: when(k.Until()), Event: k.Event, Rev: k.Rev}
	}, nil), err
}

func rotate(x *request, in api.KeyStatement) (api.Rotated, error) {
	key, err := x.instance()
	if err != nil {
		return api.Rotated{}, err
	}
	old, fresh, got, err := x.Guard.Rotate(x.ctx, x.caller, key, guard.KeyRequest(in))
	return api.Rotated{Agent: fresh.Agent, Instance: fresh.Key, Before: old.Key, Until: when(old.EndedAt), Event: got.ID, Rev: got.Rev}, err
}

func spawn(x *request, in api.KeyStatement) (api.Spawned, error) {
	of, made, got, err := x.Guard.Spawn(x.ctx, x.caller, guard.KeyRequest(in))
	return api.Spawned{
		Agent: of.ID, Name: of.Name, Workspace: of.Workspace, Instance: made.Key, Parent: made.Parent, Expires: when(made.ExpiresAt), Event: got.ID, Rev: got.Rev,
	}, err
}

func endInstance(verb string) func(*request, api.Reason) (api.Ended, error) {
	return func(x *request, in api.Reason) (api.Ended, error) {
		key, err := x.instance()
		if err != nil {
			return api.Ended{}, err
		}
		why, err := reasonOf(in)
		if err != nil {
			return api.Ended{}, err
		}
		_, ended, got, err := x.Guard.EndInstance(x.ctx, x.caller, key, verb, why)
		return api.Ended{Event: got.ID, Rev: got.Rev, Delegations: ended}, err
	}
}
