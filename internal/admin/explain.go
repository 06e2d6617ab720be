package admin

import (
	"time"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/explain"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/policy"
)

// decided reads which event is meant: by its id, or by the decision's.
func (x *request) decided() (id.Event, error) {
	if d, err := id.Parse[id.Decision](x.path("event")); err == nil {
		return id.EventOf(d), nil
	}
	return read(id.Parse[id.Event], "event", x.path("event"))
}

func explainDecision(x *request, _ none) (api.Explanation, error) {
	e, err := x.decided()
	if err != nil {
		return api.Explanation{}, err
	}
	var with *policy.Set
	if ref := x.query.Get("with"); ref != "" {
		with, err = x.Guard.MayExplainWith(x.ctx, x.caller, e, ref, nil)
	} else {
		err = x.Guard.MayExplain(x.ctx, x.caller, e)
	}
	if err != nil {
		return api.Explanation{}, err
	}
	return x.Explain.Decision(x.ctx, x.caller.Workspace(), e, with)
}

func explainWith(x *request, in api.ExplainWith) (api.Explanation, error) {
	e, err := x.decided()
	if err != nil {
		return api.Explanation{}, err
	}
	with, err := x.Guard.MayExplainWith(x.ctx, x.caller, e, "", filesOf(in.Files))
	if err != nil {
		return api.Explanation{}, err
	}
	return x.Explain.Decision(x.ctx, x.caller.Workspace(), e, with)
}

func simulate(x *request, in api.Simulation) (api.Explanation, error) {
	ask := guard.Simulation{
		Actor: x.me(in.Actor), Action: in.Call, On: in.On, Arguments: in.Args, IP: in.Facts.IP, Risk: in.Facts.Risk, Proof: in.Facts.Proof, Origin: in.Facts.Origin, Task: in.Facts.Task,
	}
	var err error
	if ask.For, err = read(id.Parse[id.User], "for", x.me(in.For)); err != nil {
		return api.Explanation{}, err
	}
	if ask.Actor == "" {
		return api.Explanation{}, fault.New(fault.Invalid, "malformed", "actor is missing: who would act?")
	}
	if ask.Now, err = read(func(s string) (time.Time, error) { return time.Parse(time.RFC3339, s) }, "facts.now", in.Facts.Now); err != nil {
		return api.Explanation{}, err
	}
	if in.Facts.ACR != 0 || in.Facts.Age != 0 {
		ask.Auth = &policy.Auth{ACR: in.Facts.ACR, Age: in.Facts.Age}
	}
	for who, roles := range in.Roles {
		switch who {
		case "actor":
			ask.Roles = roles
		case "for":
			ask.ForRoles = roles
		default:
			return api.Explanation{}, fault.New(fault.Invalid, "malformed", "roles are given to actor or for, not to %q", who)
		}
	}
	var files []policy.File // nil: the live ones
	if in.Files != nil {
		files = filesOf(in.Files)
	}
	got, err := x.Guard.Simulate(x.ctx, x.caller, ask, files)
	if err != nil {
		return api.Explanation{}, err
	}
	out := api.Explanation{Names: got.Names}
	explain.Say(&out, got.Set, got.Facts, got.Explanation)
	return out, nil
}
