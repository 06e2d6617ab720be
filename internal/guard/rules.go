package guard

import (
	"context"
	"strings"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/rules"
)

// Bind gives a principal a role, or takes it away. Code: escalation, where the caller gives what they have not (policy.md §7).
func (g *Guard) Bind(ctx context.Context, c *Caller, principal, role, reason string, remove bool) (evidence.Receipt, error) {
	a := act{action: "attorn:role:bind", noun: "role:" + role, kind: evidence.BindingAdded, target: principal, what: &evidence.What{Role: role}}
	user, notUser := id.Parse[id.User](principal)
	agent, notAgent := id.Parse[id.Agent](principal)
	group, isGroup := strings.CutPrefix(principal, rules.Group)
	var err error
	switch {
	case notUser == nil:
		a.what.User = user
		_, err = g.People.Person(ctx, c.ws, user)
	case notAgent == nil:
		a.what.Agent = agent
		_, err = g.Agents.Agent(ctx, c.ws, agent)
	case isGroup:
		a.what.Group = group
		_, _, err = g.People.Group(ctx, c.ws, group)
	default:
		err = fault.New(fault.Invalid, "malformed", "a role is bound to a user (usr_…), an agent (agt_…) or a group (group:NAME)")
	}
	if err != nil {
		return evidence.Receipt{}, g.refuseAct(ctx, c, nil, a, nil, err)
	}
	a.personal = g.reason(c, reason)
	if remove {
		a.kind = evidence.BindingRemoved
		return g.do(ctx, c, a, func(tx *audit.Tx) error { return g.Rules.Unbind(tx, c.ws, principal, role) })
	}
	a.gives = func() ([]string, error) { return []string{role}, nil }
	return g.do(ctx, c, a, func(tx *audit.Tx) error { return g.Rules.Bind(tx, c.ws, principal, role, c.Sub(), reason) })
}

// Bindings lists who has which role.
func (g *Guard) Bindings(ctx context.Context, c *Caller) ([]rules.Binding, error) {
	if err := g.May(ctx, c, "attorn:role:read", "workspace"); err != nil {
		return nil, err
	}
	return g.Rules.Bindings(ctx, c.ws)
}
