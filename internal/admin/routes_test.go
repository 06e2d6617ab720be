package admin_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn"
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

// only is the error of a call whose answer does not matter.
func only[T any](_ T, err error) error { return err }

// check is what a route must do, and must refuse. Each runs in a world of its own.
type check struct {
	ok      func(t *testing.T, w *world)
	refused func(w *world)
}

// Every route: it does what it is for, and refuses whoever may not, with an event where authority was attempted and nothing changed.
func TestEveryRoute(t *testing.T) {
	checks := map[string]check{}
	for _, more := range []map[string]check{peopleChecks, accountChecks, agentChecks, instanceChecks, deviceChecks, trustChecks, issuerChecks, clientChecks, lendingChecks, catalogChecks, killChecks, keyChecks, rulesChecks, replayChecks, schemaChecks, resourceChecks, rolesChecks, explainChecks, authzenChecks, permissionChecks, approvalChecks, logChecks, manyChecks} {
		for name, c := range more {
			checks[name] = c
		}
	}
	for _, r := range api.Routes() {
		c, ok := checks[r.Name]
		if !ok {
			t.Errorf("the route %s is not tested", r.Name)
			continue
		}
		delete(checks, r.Name)
		t.Run(r.Name, func(t *testing.T) {
			t.Parallel()
			t.Run("ok", func(t *testing.T) { c.ok(t, start(t)) })
			t.Run("refused", func(t *testing.T) { c.refused(start(t)) })
		})
	}
	for name := range checks {
		t.Errorf("there is no route %s", name)
	}
}

// Every route is a method of the SDK's client, but the two that come before there is one; what an instance does to itself is a method of its Agent.
func TestRoutesAndClient(t *testing.T) {
	client, agent := reflect.TypeFor[*attorn.Client](), reflect.TypeFor[*attorn.Agent]()
	for _, r := range api.Routes() {
		_, own := agent.MethodByName(r.Name)
		if _, ok := client.MethodByName(r.Name); !ok && r.Name != "SignIn" && r.Name != "Enrol" && !(own && (r.Name == "Rotate" || r.Name == "Spawn")) {
			t.Errorf("the client has no method %s", r.Name)
		}
	}
}

var peopleChecks = map[string]check{
	"SignIn": {
		func(t *testing.T, w *world) {
			u, err := w.priya.Invite(w.ctx, api.NewUser{Name: "Omar"})
			w.ok(err)
			s := newSigner(t)
			in, err := attorn.SignIn(w.ctx, attorn.SignInConfig{Server: w.URL, Secret: u.Link, Label: "laptop", Signer: s})
			w.ok(err)
			if in.User != u.ID || in.Name != "Omar" || in.Key != s.Public().Thumbprint() || in.Workspace != id.Default {
				t.Errorf("signed in as %+v", in)
			}
		},
		func(w *world) {
			signIn := func(secret string) func() error {
				return func() error {
					return only(attorn.SignIn(w.ctx, attorn.SignInConfig{Server: w.URL, Secret: secret, Name: "x", Signer: newSigner(w.t)}))
				}
			}
			w.refusal("a link used again", "ticket_spent", id.User{}, signIn(w.Link))
			w.refusal("a link that never was", "ticket_unknown", id.User{}, signIn(strings.Repeat("A", 43)))
			u, err := w.priya.Invite(w.ctx, api.NewUser{Name: "Omar"})
			w.ok(err)
			w.pass(16 * time.Minute)
			if err := signIn(u.Link)(); fault.Code(err) == "" || fault.Code(err) == "internal" {
				w.t.Errorf("an old link: %v", err)
			}
		},
	},
	"Me": {
		func(t *testing.T, w *world) {
			me, err := w.priya.Me(w.ctx)
			w.ok(err)
			if me.Sub != w.priya.User().String() || me.Name != "Priya Nair" || len(me.Roles) != 1 || me.Roles[0] != "owner" {
				t.Errorf("me: %+v", me)
			}
		},
		func(w *world) {
			_, err := w.noor.Me(w.ctx) // gets a token
			w.ok(err)
			_, err = w.priya.SuspendUser(w.ctx, w.noor.User(), "left")
			w.ok(err)
			_, p, _ := w.send(w.noor.signer, request{method: "GET", path: "/v1/me", token: w.token(w.noor, "")})
			if p.Status != 401 || p.Code != "person_suspended" {
				w.t.Errorf("a suspended person: %+v", p)
			}
		},
	},
	"Invite": {
		func(t *testing.T, w *world) {
			u, err := w.priya.Invite(w.ctx, api.NewUser{Name: "Omar"})
			w.ok(err)
			if u.ID.IsZero() || u.Name != "Omar" || !strings.HasPrefix(u.Link, w.URL+"/signin/link#") || u.Status != "invited" {
				t.Errorf("invited %+v", u)
			}
		},
		func(w *world) {
			w.refusal("an invitation", "no_permit", w.noor.User(), func() error { return only(w.noor.Invite(w.ctx, api.NewUser{Name: "x"})) })
			for _, name := range []string{"", "a\nb", strings.Repeat("x", 10_000)} {
				if err := only(w.priya.Invite(w.ctx, api.NewUser{Name: name})); fault.Of(err) == nil || fault.Of(err).Kind != fault.Invalid {
					w.t.Errorf("a person called %.20q: %v", name, err)
				}
			}
		},
	},
	"Users": {
		func(t *testing.T, w *world) {
			first, err := w.priya.Users(w.ctx, attorn.Page{Limit: 2})
			w.ok(err)
			rest, err := w.priya.Users(w.ctx, attorn.Page{Limit: 2, After: first.Next})
			w.ok(err)
			if len(first.Items) != 2 || len(rest.Items) != 1 || rest.Next != "" || first.Items[0].Link != "" || first.Items[1].ID == rest.Items[0].ID {
				t.Errorf("pages %+v and %+v", first, rest)
			}
		},
		func(w *world) {
			w.refusal("a list of people", "no_permit", w.noor.User(), func() error { return only(w.noor.Users(w.ctx, attorn.Page{})) })
			w.refusal("a page of 201", "malformed", id.User{}, func() error { return only(w.priya.Users(w.ctx, attorn.Page{Limit: 201})) })
		},
	},
	"FindUser": {
		func(t *testing.T, w *world) {
			for _, text := range []string{"Priya Nair", w.priya.User().String()} {
				if u, err := w.noor.FindUser(w.ctx, text); err != nil || u.ID != w.priya.User() || u.Name != "Priya Nair" {
					t.Errorf("%s: %+v %v", text, u, err)
				}
			}
			for _, text := range []string{"priya nair", "Priya", "", "me", "Priya Nair ", id.New[id.User](time.Now()).String()} {
				if _, err := w.noor.FindUser(w.ctx, text); fault.Code(err) != "not_found" {
					t.Errorf("%q: %v", text, err)
				}
			}
			_, err := w.priya.Invite(w.ctx, api.NewUser{Name: "Maya Chen"})
			w.ok(err)
			if _, err := w.noor.FindUser(w.ctx, "Maya Chen"); fault.Code(err) != "ambiguous" {
				t.Errorf("a name of two: %v", err)
			}
			if _, err := w.workspace("acme").FindUser(w.ctx, "Noor Haddad"); fault.Code(err) != "not_found" {
				t.Errorf("a member of another workspace: %v", err)
			}
		},
		func(w *world) {
			a := w.agent("bot")
			w.lend(a)
			if _, p, _ := w.send(newSigner(w.t), request{method: "GET", path: "/v1/find/user?name=Maya+Chen", token: w.agentToken(a)}); p.Status != 401 {
				w.t.Errorf("with an agent's token and another key: %+v", p)
			}
			w.ok(only(w.priya.Publish(w.ctx, api.Publish{Files: []api.PolicyFile{{Path: "policies/find.cedar", Text: `@id("nobody/finds")
forbid (principal, action == Action::"attorn:user:find", resource) unless { principal in Role::"owner" };`}}})))
			w.refusal("where policy forbids it", "forbidden", w.noor.User(), func() error { return only(w.noor.FindUser(w.ctx, "Maya Chen")) })
		},
	},
	"UserDetail": {
		func(t *testing.T, w *world) {
			w.ok(only(w.priya.CreateGroup(w.ctx, api.NewGroup{Name: "crew"})))
			w.ok(only(w.priya.AddToGroup(w.ctx, "crew", api.Membership{Member: w.noor.User().String()})))
			w.ok(only(w.priya.Bind(w.ctx, api.Binding{Principal: "group:crew", Role: "developer"})))
			w.ok(only(w.priya.Bind(w.ctx, api.Binding{Principal: w.noor.User().String(), Role: "approver"})))
			for _, read := range []func() (api.UserDetail, error){
				func() (api.UserDetail, error) { return w.noor.UserDetail(w.ctx, "me") },
				func() (api.UserDetail, error) { return w.priya.UserDetail(w.ctx, w.noor.User().String()) },
			} {
				u, err := read()
				w.ok(err)
				if u.ID != w.noor.User() || u.Status != "active" || u.Seen == "" || len(u.Keys) != 1 || u.Stopped != nil || !slices.Equal(u.Groups, []string{"crew"}) ||
					!slices.Equal(u.Roles, []api.HeldRole{{Role: "approver"}, {Role: "developer", Group: "crew"}}) || u.Accounts == nil {
					t.Errorf("%+v", u)
				}
			}
			got, err := w.priya.SuspendUser(w.ctx, w.noor.User(), "left")
			w.ok(err)
			u, err := w.priya.UserDetail(w.ctx, w.noor.User().String())
			w.ok(err)
			if u.Status != "suspended" || u.Stopped == nil || u.Stopped.Event != got.Event || u.Stopped.By != w.priya.User().String() || u.Stopped.Reason != "left" {
				t.Errorf("suspended: %+v", u)
			}
			omar, err := w.priya.Invite(w.ctx, api.NewUser{Name: "Omar"})
			w.ok(err)
			if u, err := w.priya.UserDetail(w.ctx, omar.ID.String()); err != nil || u.Status != "invited" || u.Seen != "" {
				t.Errorf("never signed in: %+v %v", u, err)
			}
		},
		func(w *world) {
			w.refusal("another's", "no_permit", w.noor.User(), func() error { return only(w.noor.UserDetail(w.ctx, w.maya.User().String())) })
			w.refusal("nobody's", "not_found", w.priya.User(), func() error { return only(w.priya.UserDetail(w.ctx, id.New[id.User](time.Now()).String())) })
			w.refusal("a name", "malformed", id.User{}, func() error { return only(w.priya.UserDetail(w.ctx, "Noor")) })
		},
	},
	"NewLink": {
		func(t *testing.T, w *world) {
			own, err := w.noor.NewLink(w.ctx, "me")
			w.ok(err)
			if c := w.signIn(own.Link, ""); c.User() != w.noor.User() {
				t.Errorf("signed in as %s", c.User())
			}
		},
		func(w *world) {
			w.refusal("another's", "no_permit", w.noor.User(), func() error { return only(w.noor.NewLink(w.ctx, w.priya.User().String())) })
			w.refusal("another's, as owner", "not_yourself", w.priya.User(), func() error { return only(w.priya.NewLink(w.ctx, w.noor.User().String())) })
			w.refusal("nobody's", "not_found", w.priya.User(), func() error { return only(w.priya.NewLink(w.ctx, id.New[id.User](time.Now()).String())) })
			a := w.agent("bot")
			_, p, _ := w.send(newSigner(w.t), request{method: "POST", path: "/v1/users/me/link", token: w.agentToken(a)})
			if p.Status != 401 {
				w.t.Errorf("with an agent's token and another key: %+v", p)
			}
		},
	},
	"SuspendUser": {
		func(t *testing.T, w *world) {
			a := w.agent("bot")
			_, err := w.priya.Bind(w.ctx, api.Binding{Principal: w.noor.User().String(), Role: "developer"})
			w.ok(err)
			_, err = w.noor.Delegate(w.ctx, a.ID().String(), attorn.Lend{Permissions: []delegation.Permission{{Permission: "tool:files:write"}}})
			w.ok(err)
			got, err := w.priya.SuspendUser(w.ctx, w.noor.User(), "left")
			w.ok(err)
			if got.Event.IsZero() || got.Rev == 0 {
				t.Errorf("suspended: %+v", got)
			}
			if err := only(w.noor.Me(w.ctx)); err == nil {
				t.Error("a suspended person still acts")
			}
		},
		func(w *world) {
			w.refusal("a suspension", "no_permit", w.noor.User(), func() error { return only(w.noor.SuspendUser(w.ctx, w.priya.User(), "")) })
			w.refusal("of nobody", "not_found", w.priya.User(), func() error { return only(w.priya.SuspendUser(w.ctx, id.New[id.User](time.Now()), "")) })
			w.refusal("with a long reason", "malformed", id.User{}, func() error {
				return only(w.priya.SuspendUser(w.ctx, w.noor.User(), strings.Repeat("x", 501)))
			})
		},
	},
	"ResumeUser": {
		func(t *testing.T, w *world) {
			_, err := w.priya.SuspendUser(w.ctx, w.noor.User(), "")
			w.ok(err)
			_, err = w.priya.ResumeUser(w.ctx, w.noor.User(), "")
			w.ok(err)
			w.ok(only(w.noor.Me(w.ctx)))
		},
		func(w *world) {
			_, err := w.priya.SuspendUser(w.ctx, w.maya.User(), "")
			w.ok(err)
			w.refusal("a resumption", "no_permit", w.noor.User(), func() error { return only(w.noor.ResumeUser(w.ctx, w.maya.User(), "")) })
		},
	},
}

var agentChecks = map[string]check{
	"CreateAgent": {
		func(t *testing.T, w *world) {
			a, err := w.priya.CreateAgent(w.ctx, api.NewAgent{Name: "bot", Description: "releases", Expires: "2099-01-01T00:00:00Z"})
			w.ok(err)
			if a.ID.IsZero() || a.Owner != w.priya.User() || a.Status != "active" || a.Expires != "2099-01-01T00:00:00Z" {
				t.Errorf("registered %+v", a)
			}
		},
		func(w *world) {
			create := func(c person, in api.NewAgent) func() error {
				return func() error { return only(c.CreateAgent(w.ctx, in)) }
			}
			w.ok(create(w.priya, api.NewAgent{Name: "bot"})())
			w.refusal("a name again", "name_taken", w.priya.User(), create(w.priya, api.NewAgent{Name: "bot"}))
			w.refusal("a bad name", "agent_invalid", w.priya.User(), create(w.priya, api.NewAgent{Name: "Bot!"}))
			w.refusal("a stranger's agent", "not_found", w.priya.User(), create(w.priya, api.NewAgent{Name: "b", Owner: id.New[id.User](time.Now())}))
			w.refusal("a time that is none", "malformed", id.User{}, create(w.priya, api.NewAgent{Name: "b", Expires: "tomorrow"}))
			w.refusal("an agent for another person", "no_permit", w.noor.User(), create(w.noor, api.NewAgent{Name: "b", Owner: w.priya.User()}))
		},
	},
	"AgentDetail": {
		func(t *testing.T, w *world) {
			a := w.agent("bot")
			w.ok(only(w.priya.CreateGroup(w.ctx, api.NewGroup{Name: "crew"})))
			w.ok(only(w.priya.AddToGroup(w.ctx, "crew", api.Membership{Member: a.ID().String()})))
			got, err := w.priya.SuspendAgent(w.ctx, a.ID(), "odd")
			w.ok(err)
			d, err := w.priya.AgentDetail(w.ctx, "bot")
			w.ok(err)
			if d.ID != a.ID() || d.Status != "suspended" || !slices.Equal(d.Groups, []string{"crew"}) || len(d.Instances) != 1 || d.Instances[0].Key != a.Instance() ||
				d.Stopped == nil || d.Stopped.Event != got.Event || d.Stopped.Reason != "odd" {
				t.Errorf("%+v", d)
			}
			_, err = w.priya.HandOver(w.ctx, a.ID(), api.NewOwner{Owner: w.noor.User(), Assign: true})
			w.ok(err)
			if d, err := w.noor.AgentDetail(w.ctx, a.ID().String()); err != nil || d.Stopped == nil || len(d.Instances) != 1 {
				t.Errorf("as its owner: %+v %v", d, err)
			}
			before := w.rev()
			if d, err := w.maya.AgentDetail(w.ctx, "bot"); err != nil || d.ID != a.ID() || d.Groups != nil || d.Roles != nil || d.Instances != nil || d.Stopped != nil {
				t.Errorf("as somebody else: %+v %v", d, err)
			}
			if after := w.rev(); after > before+1 { // her token
				t.Errorf("what is left out was recorded as refused: %d events", after-before)
			}
		},
		func(w *world) {
			if _, err := w.noor.AgentDetail(w.ctx, "nobody"); fault.Code(err) != "not_found" {
				w.t.Errorf("an agent that is none: %v", err)
			}
			w.ok(only(w.noor.Me(w.ctx)))
			a := w.agent("bot")
			w.ok(only(w.priya.SuspendUser(w.ctx, w.noor.User(), "left")))
			if _, err := w.noor.AgentDetail(w.ctx, a.ID().String()); err == nil {
				w.t.Error("a suspended person reads an agent")
			}
		},
	},
	"Agents": {
		func(t *testing.T, w *world) {
			w.agent("a")
			w.agent("b")
			first, err := w.priya.Agents(w.ctx, attorn.AgentQuery{Page: attorn.Page{Limit: 1}})
			w.ok(err)
			rest, err := w.priya.Agents(w.ctx, attorn.AgentQuery{Page: attorn.Page{After: first.Next}})
			w.ok(err)
			if len(first.Items) != 1 || len(rest.Items) != 1 || first.Items[0].Name != "a" || rest.Items[0].Name != "b" {
				t.Errorf("pages %+v and %+v", first, rest)
			}
		},
		func(w *world) {
			w.refusal("a list of agents", "no_permit", w.noor.User(), func() error { return only(w.noor.Agents(w.ctx, attorn.AgentQuery{})) })
			w.refusal("after nothing", "malformed", id.User{}, func() error { return only(w.priya.Agents(w.ctx, attorn.AgentQuery{Page: attorn.Page{After: "agt_x"}})) })
		},
	},
	"Agent": {
		func(t *testing.T, w *world) {
			a := w.agent("bot")
			byName, err := w.noor.Agent(w.ctx, "bot")
			w.ok(err)
			byID, err := w.noor.Agent(w.ctx, a.ID().String())
			w.ok(err)
			if !reflect.DeepEqual(byName, byID) || byID.ID != a.ID() {
				t.Errorf("found %+v and %+v", byName, byID)
			}
		},
		func(w *world) {
			for _, name := range []string{"nobody", id.New[id.Agent](time.Now()).String(), "a/b", "%00"} {
				w.refusal("agent "+name, "not_found", id.User{}, func() error { return only(w.priya.Agent(w.ctx, name)) })
			}
		},
	},
	"OfferEnrolment": {
		func(t *testing.T, w *world) {
			a, err := w.priya.CreateAgent(w.ctx, api.NewAgent{Name: "bot"})
			w.ok(err)
			offer, err := w.priya.OfferEnrolment(w.ctx, a.ID)
			w.ok(err)
			if len(offer.Token) != 43 || offer.ExpiresIn != 3600 {
				t.Errorf("offered %+v", offer)
			}
		},
		func(w *world) {
			a := w.agent("bot")
			w.refusal("an enrolment", "no_permit", w.noor.User(), func() error { return only(w.noor.OfferEnrolment(w.ctx, a.ID())) })
			_, err := w.priya.RevokeAgent(w.ctx, a.ID(), "")
			w.ok(err)
			w.refusal("of an agent that has ended", "wrong_state", w.priya.User(), func() error { return only(w.priya.OfferEnrolment(w.ctx, a.ID())) })
			w.refusal("of nobody", "not_found", w.priya.User(), func() error { return only(w.priya.OfferEnrolment(w.ctx, id.New[id.Agent](time.Now()))) })
		},
	},
	"Enrol": {
		func(t *testing.T, w *world) {
			a := w.agent("bot")
			l, err := w.priya.Instances(w.ctx, a.ID())
			w.ok(err)
			if len(l.Items) != 1 || l.Items[0].Key != a.Instance() || l.Items[0].Trust != "enrolled" || l.Items[0].JWK.Thumbprint() != a.Instance() {
				t.Errorf("instances %+v", l)
			}
		},
		func(w *world) {
			a, err := w.priya.CreateAgent(w.ctx, api.NewAgent{Name: "bot"})
			w.ok(err)
			offer, err := w.priya.OfferEnrolment(w.ctx, a.ID)
			w.ok(err)
			enrol := func(token string) error {
				return only(attorn.Enrol(w.ctx, attorn.EnrolConfig{Server: w.URL, Token: token, KeyFile: w.t.TempDir() + "/k.jwk"}))
			}
			w.ok(enrol(offer.Token))
			w.refusal("a token used again", "ticket_spent", id.User{}, func() error { return enrol(offer.Token) })
			w.refusal("a token that never was", "ticket_unknown", id.User{}, func() error { return enrol(strings.Repeat("A", 43)) })
			w.refusal("a sign-in link", "ticket_unknown", id.User{}, func() error { return enrol(w.Link) })
		},
	},
	"SuspendAgent": ended(func(c person, w *world, a *attorn.Agent) (api.Ended, error) {
		return c.SuspendAgent(w.ctx, a.ID(), "odd")
	}),
	"RevokeAgent": ended(func(c person, w *world, a *attorn.Agent) (api.Ended, error) {
		return c.RevokeAgent(w.ctx, a.ID(), "odd")
	}),
	"SuspendInstance": ended(func(c person, w *world, a *attorn.Agent) (api.Ended, error) {
		return c.SuspendInstance(w.ctx, a.Instance(), "odd")
	}),
	"RevokeInstance": ended(func(c person, w *world, a *attorn.Agent) (api.Ended, error) {
		return c.RevokeInstance(w.ctx, a.Instance(), "odd")
	}),
	"ResumeAgent": resumed(
		func(c person, w *world, a *attorn.Agent) (api.Ended, error) { return c.SuspendAgent(w.ctx, a.ID(), "") },
		func(c person, w *world, a *attorn.Agent) (api.Ended, error) { return c.ResumeAgent(w.ctx, a.ID(), "") }),
	"ResumeInstance": resumed(
		func(c person, w *world, a *attorn.Agent) (api.Ended, error) {
			return c.SuspendInstance(w.ctx, a.Instance(), "")
		},
		func(c person, w *world, a *attorn.Agent) (api.Ended, error) {
			return c.ResumeInstance(w.ctx, a.Instance(), "")
		}),
	"Instances": {
		func(t *testing.T, w *world) {
			l, err := w.priya.Instances(w.ctx, w.agent("bot").ID())
			w.ok(err)
			if len(l.Items) != 1 {
				t.Errorf("instances %+v", l)
			}
		},
		func(w *world) {
			a := w.agent("bot")
			w.refusal("a list of instances", "no_permit", w.noor.User(), func() error { return only(w.noor.Instances(w.ctx, a.ID())) })
		},
	},
}

type onAgent = func(c person, w *world, a *attorn.Agent) (api.Ended, error)

// ended is a way to stop an agent: it stops at once, and a stranger cannot.
func ended(end onAgent) check {
	return check{
		func(t *testing.T, w *world) {
			a := w.agent("bot")
			_, err := a.Delegations(w.ctx)
			w.ok(err)
			got, err := end(w.priya, w, a)
			w.ok(err)
			if got.Event.IsZero() || got.Rev == 0 {
				t.Errorf("ended: %+v", got)
			}
			if _, err := a.Delegations(w.ctx); err == nil {
				t.Error("it still acts")
			}
		},
		func(w *world) {
			a := w.agent("bot")
			w.refusal("by a stranger", "no_permit", w.noor.User(), func() error { return only(end(w.noor, w, a)) })
			w.ok(only(end(w.priya, w, a)))
			w.refusal("a second time", "wrong_state", w.priya.User(), func() error { return only(end(w.priya, w, a)) })
		},
	}
}

func resumed(suspend, resume onAgent) check {
	return check{
		func(t *testing.T, w *world) {
			a := w.agent("bot")
			w.ok(only(suspend(w.priya, w, a)))
			w.ok(only(resume(w.priya, w, a)))
			w.ok(only(a.Delegations(w.ctx)))
		},
		func(w *world) {
			a := w.agent("bot")
			w.refusal("what was not suspended", "wrong_state", w.priya.User(), func() error { return only(resume(w.priya, w, a)) })
			w.ok(only(suspend(w.priya, w, a)))
			w.refusal("by a stranger", "no_permit", w.noor.User(), func() error { return only(resume(w.noor, w, a)) })
		},
	}
}
