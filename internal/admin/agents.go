package admin

import (
	"github.com/attorn/attorn/api"
)

func findAgent(x *request, _ none) (api.Agent, error) {
	a, err := x.Guard.FindAgent(x.ctx, x.caller, x.path("id"))
	return x.agentOf(a), err
}

func agentDetail(x *request, _ none) (api.AgentDetail, error) {
	d, err := x.Guard.AgentDetail(x.ctx, x.caller, x.path("id"))
	if err != nil {
		return api.AgentDetail{}, err
	}
	return api.AgentDetail{
		Agent: x.agentOf(d.Agent), Groups: d.Groups, Roles: rolesOf(d.Roles), Instances: page(d.Instances, 0, x.instanceOf, nil).Items, Stopped: stoppedOf(d.Stopped),
	}, nil
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
