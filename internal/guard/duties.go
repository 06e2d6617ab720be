package guard

import (
	"context"
	"slices"
	"strings"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/rules"
	"github.com/attorn/attorn/policy"
)

// apart makes a change by which these hold other roles, unless one of them would hold together what is to be held apart. It looks before and after, inside the
// transaction, so that of two changes at once the later one sees the earlier. set says what roles inherit. Code: sod_conflict.
func (g *Guard) apart(tx *audit.Tx, ws id.Workspace, set *policy.Set, who func(*audit.Tx) ([]string, error), change func() error) error {
	sets, err := g.Rules.DutySetsIn(tx, ws)
	if err != nil {
		return err
	}
	if len(sets) == 0 {
		return change()
	}
	subs, err := who(tx)
	if err != nil {
		return err
	}
	before, err := g.holdingIn(tx, ws, subs)
	if err != nil {
		return err
	}
	if err := change(); err != nil {
		return err
	}
	after, err := g.holdingIn(tx, ws, subs)
	if err != nil {
		return err
	}
	return rules.Separate(sets, before, after, set.Inherited)
}

func (g *Guard) holdingIn(tx *audit.Tx, ws id.Workspace, subs []string) (map[string]rules.Holding, error) {
	groups, err := g.People.GroupsIn(tx, ws, subs...)
	if err != nil {
		return nil, err
	}
	return g.Rules.HoldingIn(tx, ws, groups, subs...)
}

// holdersIn are those who have what is bound to a principal: of a group its members.
func (g *Guard) holdersIn(ws id.Workspace, principal string) func(*audit.Tx) ([]string, error) {
	return func(tx *audit.Tx) ([]string, error) {
		if group, ok := strings.CutPrefix(principal, rules.Group); ok {
			return g.People.MembersIn(tx, ws, group)
		}
		return []string{principal}, nil
	}
}

// separable are those of a person's groups by another provider's word, now and wanted, that they may be in: what they are in already, by whose word ever, comes before
// what is new, so that of two which are to be held apart the later one stays out. It leaves the person in those that they stay in.
func (g *Guard) separable(tx *audit.Tx, ws id.Workspace, set *policy.Set, provider string, user id.User, has, wanted []string) (in, out []string, err error) {
	sets, err := g.Rules.DutySetsIn(tx, ws)
	if err != nil || len(sets) == 0 {
		return wanted, nil, err
	}
	person := user.String()
	var fresh []string
	for _, name := range wanted {
		if slices.Contains(has, name) {
			in = append(in, name)
		} else {
			fresh = append(fresh, name)
		}
	}
	if err := g.People.SetUpstreamGroups(tx, ws, user, provider, in); err != nil {
		return nil, nil, err
	}
	all, err := g.People.GroupsIn(tx, ws, person)
	if err != nil {
		return nil, nil, err
	}
	now := all[person]
	for _, name := range fresh {
		then := append(slices.Clone(now), name)
		before, err := g.Rules.HoldingIn(tx, ws, map[string][]string{person: now}, person)
		if err != nil {
			return nil, nil, err
		}
		after, err := g.Rules.HoldingIn(tx, ws, map[string][]string{person: then}, person)
		if err != nil {
			return nil, nil, err
		}
		if rules.Separate(sets, before, after, set.Inherited) != nil {
			out = append(out, name)
			continue
		}
		in, now = append(in, name), then
	}
	return in, out, nil
}

func dutyAct(name string) act {
	return act{
		action: "attorn:sod:write", noun: "sod:" + name, kind: evidence.DutiesChanged, target: "sod:" + name, what: &evidence.What{Use: name},
	}
}

// SetDuties makes or changes a set of roles that are held apart. Codes: sod_invalid, role_invalid.
func (g *Guard) SetDuties(ctx context.Context, c *Caller, s rules.DutySet, reason string) (evidence.Receipt, error) {
	a := dutyAct(s.Name)
	s.ChangedBy = c.Sub()
	a.what.Status, a.what.Scope, a.what.Count = "set", strings.Join(s.Roles, " "), int64(s.Max)
	if s.Dynamic {
		a.what.Status = "set, dynamic"
	}
	a.personal = g.reason(c, reason)
	return g.do(ctx, c, a, func(tx *audit.Tx) error { return g.Rules.SetDuties(tx, c.ws, s) })
}

// RemoveDuties ends a set. Code: not_found.
func (g *Guard) RemoveDuties(ctx context.Context, c *Caller, name string) (evidence.Receipt, error) {
	a := dutyAct(name)
	a.what.Status = "removed"
	return g.do(ctx, c, a, func(tx *audit.Tx) error { return g.Rules.RemoveDuties(tx, c.ws, name) })
}

// Duties is a set of roles that are held apart, with who holds more of it than they may: since before it was made, or because a role inherits another by now.
type Duties struct {
	rules.DutySet
	Over []string
}

// Duties lists the sets.
func (g *Guard) Duties(ctx context.Context, c *Caller) ([]Duties, error) {
	if err := g.May(ctx, c, "attorn:sod:read", "workspace"); err != nil {
		return nil, err
	}
	sets, err := g.Rules.DutySets(ctx, c.ws)
	if err != nil || len(sets) == 0 {
		return nil, err
	}
	set, err := g.live(ctx, c.ws)
	if err != nil {
		return nil, err
	}
	who, err := g.everyHolder(ctx, c.ws)
	if err != nil {
		return nil, err
	}
	groups, err := g.People.GroupsOf(ctx, c.ws, who...)
	if err != nil {
		return nil, err
	}
	has, err := g.Rules.HoldingOf(ctx, c.ws, g.Now(), groups, who...)
	all := make([]Duties, len(sets))
	for i, s := range sets {
		all[i].DutySet = s
		for _, p := range who {
			if len(s.Of(has[p], set.Inherited)) > s.Max {
				all[i].Over = append(all[i].Over, p)
			}
		}
	}
	return all, err
}

// everyHolder lists, sorted, all users and agents that any role is bound to, by their own name or a group's.
func (g *Guard) everyHolder(ctx context.Context, ws id.Workspace) ([]string, error) {
	bound, err := g.Rules.Bindings(ctx, ws)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(bound))
	for i, b := range bound {
		names[i] = b.Principal
	}
	return g.withMembers(ctx, ws, names)
}
