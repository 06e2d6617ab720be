package guard

import (
	"context"
	"strings"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/people"
	"github.com/attorn/attorn/internal/rules"
)

// Stopped says when somebody or something was stopped, by whom and why. The reason is empty where none was given, or it was erased.
type Stopped struct {
	Event  id.Event
	At     time.Time
	By     string
	Reason string
}

// HeldRole is a role that somebody has now ("<role>", or "<role>@<scope>"): bound to them, or to a group that they are in.
type HeldRole struct{ Role, Group string }

// PersonDetail is a person as who may read them sees them in a workspace.
type PersonDetail struct {
	Person     people.Person
	Seen       time.Time // zero: they never signed in
	Groups     []string
	Roles      []HeldRole
	Keys       Keys
	Identities []people.Identity
	Stopped    *Stopped
}

// PersonDetail reads oneself, or, for who may read people, a member. Code: not_found.
func (g *Guard) PersonDetail(ctx context.Context, c *Caller, user id.User) (d PersonDetail, err error) {
	a := act{action: "attorn:user:read", noun: "user:" + user.String(), target: user.String(), attrs: aboutPerson(user)}
	if d.Person, err = g.People.Person(ctx, c.ws, user); err != nil {
		return d, g.refuseAct(ctx, c, nil, a, nil, err)
	}
	if err := g.may(ctx, c, a); err != nil {
		return d, err
	}
	seen, err := g.People.LastSeen(ctx, user)
	if err != nil {
		return d, err
	}
	d.Seen = seen[user]
	if d.Keys, err = g.keysOf(ctx, c, d.Person); err != nil {
		return d, err
	}
	if d.Identities, err = g.People.IdentitiesOf(ctx, user); err != nil {
		return d, err
	}
	if d.Groups, d.Roles, err = g.heldBy(ctx, c.ws, user.String()); err != nil {
		return d, err
	}
	if d.Person.Status == people.Suspended {
		d.Stopped, err = g.stopped(ctx, c.ws, user.String(), evidence.UserSuspended)
	}
	return d, err
}

// AgentDetail is an agent, and for its owner and who may read agents what belongs to it.
type AgentDetail struct {
	Agent     agents.Agent
	Groups    []string
	Roles     []HeldRole
	Instances []agents.Instance
	Stopped   *Stopped
}

// AgentDetail reads an agent by id or name, as FindAgent does. What the caller may not see is left out, which is no attempt at anything: no refusal is
// recorded. Code: not_found.
func (g *Guard) AgentDetail(ctx context.Context, c *Caller, text string) (d AgentDetail, err error) {
	p, err := g.Page(ctx, c)
	if err != nil {
		return d, err
	}
	if d.Agent, err = g.Agents.Find(ctx, c.ws, text); err != nil {
		return d, err
	}
	agent := d.Agent.ID
	told, err := p.may(ctx, "attorn:agent:read", "agent:"+agent.String(), owned(d.Agent.Owner))
	if err == nil {
		err = g.spend(ctx, c)
	}
	if err != nil || !told {
		return d, err
	}
	if d.Groups, d.Roles, err = g.heldBy(ctx, c.ws, agent.String()); err != nil {
		return d, err
	}
	if d.Instances, err = g.Agents.Latest(ctx, c.ws, agent, g.Now()); err != nil {
		return d, err
	}
	g.used.told(d.Instances)
	switch d.Agent.StatusAt(g.Now()) {
	case agents.Suspended:
		d.Stopped, err = g.stopped(ctx, c.ws, agent.String(), evidence.AgentSuspended)
	case agents.Revoked:
		d.Stopped, err = g.stopped(ctx, c.ws, agent.String(), evidence.AgentRevoked)
	}
	return d, err
}

// heldBy lists the groups of a user or agent, and the roles that it has of itself and through each of them.
func (g *Guard) heldBy(ctx context.Context, ws id.Workspace, sub string) (groups []string, roles []HeldRole, err error) {
	in, err := g.People.GroupsOf(ctx, ws, sub)
	if err != nil {
		return nil, nil, err
	}
	groups = append([]string{}, in[sub]...)
	given, err := g.Rules.Given(ctx, ws, g.Now(), sub, groups)
	for _, has := range given {
		group, _ := strings.CutPrefix(has.Bound, rules.Group)
		if has.Bound == sub {
			group = ""
		}
		roles = append(roles, HeldRole{has.String(), group})
	}
	return groups, roles, err
}

// stopped reads the newest event that stopped target; nil where the workspace's log has none: a person may have been stopped before they were a member.
func (g *Guard) stopped(ctx context.Context, ws id.Workspace, target string, kind evidence.Kind) (*Stopped, error) {
	found, err := g.Log.Search(ctx, ws, audit.Filter{Target: target, Kind: kind, Limit: 1})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	e := found[0]
	s := &Stopped{Event: e.ID, At: time.UnixMicro(e.At), By: e.Who.Sub}
	s.Reason, err = g.words(ctx, e)
	return s, err
}
