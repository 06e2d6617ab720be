package admin

import (
	"time"

	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/clients"
	"github.com/attorn/attorn/internal/guard"
)

func consentedApps(x *request, _ none) (api.List[api.ConsentedApp], error) {
	var none api.List[api.ConsentedApp]
	q := clients.AppQuery{Client: x.query.Get("client")}
	var err error
	if q.Person, err = read(id.Parse[id.User], "person", x.me(x.query.Get("person"))); err != nil {
		return none, err
	}
	if q.After, err = read(id.Parse[id.Agent], "after", x.query.Get("after")); err != nil {
		return none, err
	}
	if q.Limit, err = x.limit(); err != nil {
		return none, err
	}
	found, err := x.Guard.ConsentedApps(x.ctx, x.caller, q)
	if err != nil {
		return none, err
	}
	return page(found, q.Limit, func(a guard.ConsentedApp) api.ConsentedApp {
		return api.ConsentedApp{
			Client: a.Client, Name: a.Seen.Name, Redirect: a.Seen.Redirect, Person: a.Person, Agent: a.Agent, Consented: when(a.At), Allow: a.Rule.Allow, Bearer: a.Rule.Bearer,
		}
	}, func(a guard.ConsentedApp) string { return a.Agent.String() }), nil
}

func showApp(x *request, _ none) (api.App, error) {
	client := x.query.Get("client")
	if !clients.IsApp(client) {
		return api.App{}, clients.UnknownApp()
	}
	a, rule, problem, err := x.Guard.ShowApp(x.ctx, x.caller, client)
	if err != nil {
		return api.App{}, err
	}
	out := api.App{
		Client: client, Name: a.Name, Host: a.Host, Redirects: append([]string{}, a.Redirects...), Grants: append([]string{}, a.Grants...), Keys: []id.Key{}, Created: when(a.CreatedAt),
		Rule: rule.Client, Allow: rule.Allow, Bearer: rule.Bearer,
	}
	for _, k := range a.Keys {
		out.Keys = append(out.Keys, k.Thumbprint())
	}
	if problem != nil {
		out.Problem = whatFailed(problem)
	}
	return out, nil
}

func inviteApp(x *request, _ none) (api.AppInvited, error) {
	secret, life, err := x.Guard.InviteApp(x.ctx, x.caller)
	return api.AppInvited{Token: secret, ExpiresIn: int64(life / time.Second)}, err
}

func removeApp(x *request, _ none) (api.Done, error) {
	app, err := id.Parse[id.App](x.path("id"))
	if err != nil {
		return api.Done{}, fault.New(fault.Invalid, "malformed", "the id is not that of an app that registered itself, app_…").
			Try("an app with an address is nowhere stored: deny it")
	}
	got, err := x.Guard.RemoveApp(x.ctx, x.caller, app)
	return api.Done{Event: got.ID, Rev: got.Rev}, err
}

func setClientRule(x *request, in api.ClientRule) (api.Done, error) {
	if in.By != "" || in.Created != "" {
		return api.Done{}, fault.New(fault.Invalid, "malformed", "by and created are an answer's alone")
	}
	_, got, err := x.Guard.SetClientRule(x.ctx, x.caller, clients.Rule{Client: in.Client, Allow: in.Allow, Bearer: in.Bearer, Reason: in.Reason})
	return api.Done{Event: got.ID, Rev: got.Rev}, err
}

func removeClientRule(x *request, in api.ClientRef) (api.Done, error) {
	_, got, err := x.Guard.RemoveClientRule(x.ctx, x.caller, in.Client)
	return api.Done{Event: got.ID, Rev: got.Rev}, err
}

func clientRules(x *request, _ none) (api.List[api.ClientRule], error) {
	var none api.List[api.ClientRule]
	limit, err := x.limit()
	if err != nil {
		return none, err
	}
	found, err := x.Guard.ClientRules(x.ctx, x.caller, x.query.Get("after"), limit)
	if err != nil {
		return none, err
	}
	return page(found, limit, func(r clients.Rule) api.ClientRule {
		return api.ClientRule{Client: r.Client, Allow: r.Allow, Bearer: r.Bearer, Reason: r.Reason, By: r.By, Created: when(r.CreatedAt)}
	}, func(r clients.Rule) string { return r.Client }), nil
}
