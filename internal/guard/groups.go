package guard

import (
	"context"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/people"
	"github.com/attorn/attorn/internal/rules"
	"github.com/attorn/attorn/policy"
)

// What becomes of a group: What.Status of a group.changed.
const (
	groupMade    = "created"
	groupAdded   = "added"
	groupRemoved = "removed"
	groupGone    = "deleted"
)

func groupAct(verb, name, status string) act {
	return act{
		action: "attorn:group:" + verb, noun: "group:" + name, kind: evidence.GroupChanged, target: evidence.Group + name,
		what: &evidence.What{Group: name, Status: status}, depends: []string{evidence.Group + name},
	}
}

// CreateGroup makes an empty group. Codes: group_invalid, group_exists.
func (g *Guard) CreateGroup(ctx context.Context, c *Caller, name, description string) (made people.Group, err error) {
	if !people.GoodGroup(name) { // before it names anything in the log
		name = ""
	}
	_, err = g.do(ctx, c, groupAct("create", name, groupMade), func(tx *audit.Tx) (err error) {
		made, err = g.People.CreateGroup(tx, c.ws, name, description)
		return err
	})
	return made, err
}

// DeleteGroup ends a group, its memberships and what was bound to it. Code: not_found.
func (g *Guard) DeleteGroup(ctx context.Context, c *Caller, name, why string) (evidence.Receipt, error) {
	a := groupAct("delete", name, groupGone)
	if _, _, err := g.People.Group(ctx, c.ws, name); err != nil {
		return evidence.Receipt{}, g.refuseAct(ctx, c, nil, a, nil, err)
	}
	a.personal, a.gives, a.frees = g.reason(c, why), g.namedByPolicy(ctx, c.ws, name), g.deniedBy(ctx, c.ws, name)
	return g.do(ctx, c, a, func(tx *audit.Tx) error {
		if err := g.People.DeleteGroup(tx, c.ws, name); err != nil {
			return err
		}
		return g.Rules.UnbindGroup(tx, c.ws, name)
	})
}

// namedByPolicy is the group itself where live policy speaks of it: whoever changes its members then gives, or lifts, what the policy says of them, which nobody has
// to give by a role.
func (g *Guard) namedByPolicy(ctx context.Context, ws id.Workspace, name string) func() ([]string, error) {
	return func() ([]string, error) {
		set, err := g.live(ctx, ws)
		if err != nil || !policy.Names(set, policy.UID{Type: "Group", ID: name}) {
			return nil, err
		}
		return []string{rules.Group + name}, nil
	}
}

// deniedBy is what the roles of a group deny its members.
func (g *Guard) deniedBy(ctx context.Context, ws id.Workspace, name string) func(*policy.Set) ([]policy.Holding, error) {
	return func(set *policy.Set) ([]policy.Holding, error) {
		given, err := g.Rules.Given(ctx, ws, g.Now(), rules.Group+name, nil)
		var grants []rules.Grant
		for _, has := range given {
			grants = append(grants, has.Grant)
		}
		return effective(set, grants...), err
	}
}

// AddToGroup makes a user or agent a member of a group; who does it gives the group's roles, and what policy says of it. Codes: not_found, already_member,
// escalation, sod_conflict.
func (g *Guard) AddToGroup(ctx context.Context, c *Caller, name, member, why string) (evidence.Receipt, error) {
	a, err := g.memberAct(ctx, c, "add", name, member, groupAdded)
	if err != nil {
		return evidence.Receipt{}, err
	}
	a.personal = g.reason(c, why)
	var last time.Time
	a.gives = func() ([]string, error) {
		named, err := g.namedByPolicy(ctx, c.ws, name)()
		if err != nil {
			return nil, err
		}
		bound, err := g.Rules.BoundTo(ctx, c.ws, g.Now(), rules.Group+name) // what members may activate, too
		for i, b := range bound {
			named = append(named, b.Grant().String())
			if i == 0 || b.ExpiresAt.IsZero() || !last.IsZero() && b.ExpiresAt.After(last) {
				last = b.ExpiresAt
			}
		}
		return named, err
	}
	a.lasts = func() time.Time { return last }
	var set *policy.Set
	a.look = func(*standing, *act) (err error) {
		set, err = g.live(ctx, c.ws)
		return err
	}
	return g.do(ctx, c, a, func(tx *audit.Tx) error {
		return g.apart(tx, c.ws, set, g.holdersIn(c.ws, member), func() error { return g.People.AddToGroup(tx, c.ws, name, member) })
	})
}

// RemoveFromGroup ends a membership. Codes: not_found, escalation where policy names the group, and may hold its members back.
func (g *Guard) RemoveFromGroup(ctx context.Context, c *Caller, name, member, why string) (evidence.Receipt, error) {
	a, err := g.memberAct(ctx, c, "remove", name, member, groupRemoved)
	if err != nil {
		return evidence.Receipt{}, err
	}
	a.personal, a.gives, a.frees = g.reason(c, why), g.namedByPolicy(ctx, c.ws, name), g.deniedBy(ctx, c.ws, name)
	return g.do(ctx, c, a, func(tx *audit.Tx) error {
		if err := g.People.RemoveFromGroup(tx, c.ws, name, member); err != nil {
			return err
		}
		return g.Rules.LeftGroups(tx, c.ws, member, name)
	})
}

// memberAct begins what is done about a member, once group and member are known to be of the workspace. A refusal is recorded.
func (g *Guard) memberAct(ctx context.Context, c *Caller, verb, name, member, status string) (act, error) {
	a := groupAct(verb, name, status)
	_, _, err := g.People.Group(ctx, c.ws, name)
	if err == nil {
		user, notUser := id.Parse[id.User](member)
		agent, notAgent := id.Parse[id.Agent](member)
		switch {
		case notUser == nil:
			a.what.User = user
			_, err = g.People.Person(ctx, c.ws, user)
		case notAgent == nil:
			a.what.Agent = agent
			_, err = g.Agents.Agent(ctx, c.ws, agent)
		default:
			err = fault.New(fault.Invalid, "malformed", "a group's members are users (usr_…) and agents (agt_…)")
		}
	}
	if err != nil {
		return a, g.refuseAct(ctx, c, nil, a, nil, err)
	}
	return a, nil
}

// Groups lists the workspace's groups.
func (g *Guard) Groups(ctx context.Context, c *Caller) ([]people.Group, error) {
	if err := g.May(ctx, c, "attorn:group:read", "workspace"); err != nil {
		return nil, err
	}
	return g.People.Groups(ctx, c.ws)
}

// Group reads a group with its members and roles.
func (g *Guard) Group(ctx context.Context, c *Caller, name string) (people.Group, []people.Member, []string, error) {
	if err := g.May(ctx, c, "attorn:group:read", "group:"+name); err != nil {
		return people.Group{}, nil, nil, err
	}
	found, members, err := g.People.Group(ctx, c.ws, name)
	if err != nil {
		return found, nil, nil, err
	}
	given, err := g.Rules.Given(ctx, c.ws, g.Now(), rules.Group+name, nil)
	var roles []string
	for _, has := range given {
		roles = append(roles, has.String())
	}
	return found, members, roles, err
}
