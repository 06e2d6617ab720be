package admin

import (
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
)

func createAgent(x *request, in api.NewAgent) (api.Agent, error) {
	expires, err := read(readTime, "expires", in.Expires)
	if err != nil {
		return api.Agent{}, err
	}
	made, _, err := x.Guard.RegisterAgent(x.ctx, x.caller, agents.NewAgent{Name: in.Name, Owner: in.Owner, Description: in.Description, ExpiresAt: expires})
	return agentOf(made), err
}

func agentOf(a agents.Agent) api.Agent {
	return api.Agent{
		ID: a.ID, Name: a.Name, Owner: a.Owner, Description: a.Description, Status: string(a.Status), Expires: when(a.ExpiresAt), Created: when(a.CreatedAt),
	}
}

func listAgents(x *request, _ none) (api.List[api.Agent], error) {
	var none api.List[api.Agent]
	after, err := read(id.Parse[id.Agent], "after", x.query.Get("after"))
	if err != nil {
		return none, err
	}
	limit, err := x.limit()
	if err != nil {
		return none, err
	}
	found, err := x.Guard.ListAgents(x.ctx, x.caller, after, limit)
	if err != nil {
		return none, err
	}
	return page(found, limit, agentOf, func(a agents.Agent) string { return a.ID.String() }), nil
}

func findAgent(x *request, _ none) (api.Agent, error) {
	a, err := x.Guard.FindAgent(x.ctx, x.caller, x.path("id"))
	return agentOf(a), err
}

func offerEnrolment(x *request, _ none) (api.Enrolment, error) {
	a, err := x.agent()
	if err != nil {
		return api.Enrolment{}, err
	}
	secret, life, err := x.Guard.OfferEnrolment(x.ctx, x.caller, a)
	return api.Enrolment{Token: secret, ExpiresIn: int64(life.Seconds())}, err
}

func enrol(x *request, in api.Enrol) (api.Enrolled, error) {
	a, i, err := x.Guard.Enrol(x.ctx, in.Token, x.creds)
	return api.Enrolled{Agent: a.ID, Name: a.Name, Workspace: a.Workspace, Instance: i.Key}, err
}

func endAgent(verb string) func(*request, api.Reason) (api.Ended, error) {
	return func(x *request, in api.Reason) (api.Ended, error) {
		a, err := x.agent()
		if err != nil {
			return api.Ended{}, err
		}
		why, err := reasonOf(in)
		if err != nil {
			return api.Ended{}, err
		}
		_, ended, got, err := x.Guard.EndAgent(x.ctx, x.caller, a, verb, why)
		return api.Ended{Event: got.ID, Rev: got.Rev, Delegations: ended}, err
	}
}

func instances(x *request, _ none) (api.List[api.Instance], error) {
	a, err := x.agent()
	if err != nil {
		return api.List[api.Instance]{}, err
	}
	found, err := x.Guard.Instances(x.ctx, x.caller, a)
	return page(found, 0, instanceOf, nil), err
}

func instanceOf(i agents.Instance) api.Instance {
	return api.Instance{
		Key: i.Key, Agent: i.Agent, JWK: i.JWK, Trust: string(i.Trust), Status: string(i.Status), Created: when(i.CreatedAt), Ended: when(i.EndedAt),
	}
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
