package guard

import (
	"context"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/rules"
	"github.com/attorn/attorn/policy"
)

// How long a role is activated where nothing else is said, and at most where the role itself says nothing.
const (
	activeFor     = time.Hour
	activeForMost = 24 * time.Hour
)

// Activate gives the caller, a person, the role of an eligible binding of theirs for a time: an hour, if ttl is zero, or less where the role may not be
// bound for so long. Codes: not_a_person, activation_unknown, reason_missing, binding_too_long, sod_conflict.
func (g *Guard) Activate(ctx context.Context, c *Caller, what rules.Grant, ttl time.Duration, reason string) (made rules.Activation, got evidence.Receipt, err error) {
	a, err := g.ownBinding(ctx, c, evidence.BindingActivated, what)
	if err != nil {
		return made, got, err
	}
	a.personal = g.reason(c, reason)
	var set *policy.Set
	var until time.Time
	a.look = func(s *standing, a *act) (err error) {
		if set, err = g.live(ctx, c.ws); err != nil {
			return err
		}
		most := boundFor(set, what.Role)
		if most == 0 {
			most = activeForMost
		}
		lasts := ttl
		if ttl == 0 {
			lasts = min(activeFor, most)
		}
		if lasts > most {
			return tooLong(what.Role, most)
		}
		until = s.now.Add(lasts)
		return nil
	}
	got, err = g.do(ctx, c, a, func(tx *audit.Tx) error {
		groups, err := g.People.GroupsIn(tx, c.ws, c.Sub())
		if err != nil {
			return err
		}
		return g.apart(tx, c.ws, set, g.holdersIn(c.ws, c.Sub()), func() error {
			made, err = g.Rules.Activate(tx, c.ws, groups[c.Sub()], what, rules.Activation{Principal: c.Sub(), Until: until, Reason: reason})
			told := *tx.Event().What
			told.Until = made.Until.UnixMicro()
			tx.Event().What = &told
			return err
		})
	})
	return made, got, err
}

// Deactivate ends what the caller activated of a role. Codes: not_a_person, not_found.
func (g *Guard) Deactivate(ctx context.Context, c *Caller, what rules.Grant, reason string) (evidence.Receipt, error) {
	a, err := g.ownBinding(ctx, c, evidence.BindingDeactivated, what)
	if err != nil {
		return evidence.Receipt{}, err
	}
	a.personal = g.reason(c, reason)
	return g.do(ctx, c, a, func(tx *audit.Tx) error { return g.Rules.Deactivate(tx, c.ws, c.Sub(), what) })
}

// ownBinding begins what a person does with a binding of their own. An agent does not, in nobody's name.
func (g *Guard) ownBinding(ctx context.Context, c *Caller, kind evidence.Kind, what rules.Grant) (act, error) {
	a := act{
		action: "attorn:role:activate", noun: "role:" + what.Role, kind: kind, target: c.Sub(), attrs: aboutHolder(c.Sub()),
		what: &evidence.What{User: c.person, Role: what.Role, Scope: what.Scope},
	}
	if c.person.IsZero() || !c.agent.IsZero() {
		a.what.User, a.what.Agent = c.person, c.agent
		return a, g.refuseAct(ctx, c, nil, a, nil, fault.New(fault.Denied, "not_a_person", "only a person activates a role, signed in themselves and not through an agent"))
	}
	return a, nil
}
