package guard

import (
	"context"
	"strings"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/rules"
	"github.com/attorn/attorn/policy"
)

// NewBinding is a role that is to be given to somebody.
type NewBinding struct {
	Principal string // "usr_…", "agt_…" or "group:<name>"
	Role      string
	Scope     string        // "": the whole workspace
	Eligible  bool          // to be activated by its holder, and nothing before
	TTL       time.Duration // how long it lasts; zero: until Until
	Until     time.Time     // zero, as TTL: for ever, or as long as the role may be bound
	Reason    string
}

// What.Status of a binding that gives nothing until it is activated.
const bindingEligible = "eligible"

// bindingAct begins what is done about a binding, once its principal is known to be of the workspace. A refusal is recorded.
func (g *Guard) bindingAct(ctx context.Context, c *Caller, action string, kind evidence.Kind, principal string, what rules.Grant) (act, error) {
	a := act{action: action, noun: "role:" + what.Role, kind: kind, target: principal, what: &evidence.What{Role: what.Role, Scope: what.Scope}}
	err := g.nameHolder(ctx, c.ws, principal, a.what)
	if err != nil {
		err = g.refuseAct(ctx, c, nil, a, nil, err)
	}
	return a, err
}

// nameHolder puts whom a role is bound to into the event, if they are of the workspace. Codes: malformed, not_found.
func (g *Guard) nameHolder(ctx context.Context, ws id.Workspace, principal string, what *evidence.What) (err error) {
	user, notUser := id.Parse[id.User](principal)
	agent, notAgent := id.Parse[id.Agent](principal)
	group, isGroup := strings.CutPrefix(principal, rules.Group)
	switch {
	case notUser == nil:
		what.User = user
		_, err = g.People.Person(ctx, ws, user)
	case notAgent == nil:
		what.Agent = agent
		_, err = g.Agents.Agent(ctx, ws, agent)
	case isGroup:
		what.Group = group
		_, _, err = g.People.Group(ctx, ws, group)
	default:
		err = fault.New(fault.Invalid, "malformed", "a role is bound to a user (usr_…), an agent (agt_…) or a group (group:NAME)")
	}
	return err
}

// Bind gives a principal a role. Codes: those of rules.Room.Bind; escalation, where the caller gives what they have not, or not for so long (policy.md §7); binding_too_long,
// where the role may not be bound for so long; sod_conflict.
func (g *Guard) Bind(ctx context.Context, c *Caller, n NewBinding) (made rules.Binding, got evidence.Receipt, err error) {
	what := rules.Grant{Role: n.Role, Scope: n.Scope}
	a, err := g.bindingAct(ctx, c, "attorn:role:bind", evidence.BindingAdded, n.Principal, what)
	if err != nil {
		return made, got, err
	}
	if n.Eligible {
		a.what.Status = bindingEligible
	}
	a.personal = g.reason(c, n.Reason)
	a.gives = func() ([]string, error) { return []string{what.String()}, nil }
	b := rules.Binding{Principal: n.Principal, Role: n.Role, Scope: n.Scope, State: rules.Active, BoundBy: c.Sub(), Reason: n.Reason}
	if n.Eligible {
		b.State = rules.Eligible
	}
	a.lasts = func() time.Time { return b.ExpiresAt }
	var set *policy.Set
	a.look = func(s *standing, a *act) (err error) {
		if set, err = g.live(ctx, c.ws); err != nil {
			return err
		}
		if b.ExpiresAt, err = n.end(s.now, boundFor(set, n.Role)); err == nil && !b.ExpiresAt.IsZero() {
			a.what.Until = b.ExpiresAt.UnixMicro()
		}
		return err
	}
	got, err = g.do(ctx, c, a, func(tx *audit.Tx) error {
		return g.apart(tx, c.ws, set, g.holdersIn(c.ws, n.Principal), func() (err error) {
			made, err = g.Rules.Bind(tx, c.ws, b)
			return err
		})
	})
	return made, got, err
}

// end is when the binding ends; the zero time is never. What is only to be activated may be so for longer than the role may be held at once. Code:
// binding_too_long.
func (n NewBinding) end(now time.Time, most time.Duration) (time.Time, error) {
	end := n.Until
	if n.TTL != 0 {
		end = now.Add(n.TTL)
	}
	end = end.Truncate(time.Second)
	switch {
	case most == 0 || n.Eligible:
	case end.IsZero():
		end = now.Add(most).Truncate(time.Second)
	case end.After(now.Add(most)):
		return end, tooLong(n.Role, most)
	}
	return end, nil
}

func tooLong(role string, most time.Duration) error {
	return fault.New(fault.Invalid, "binding_too_long", "the role %s is bound for %s at most", role, most).Try("give it a shorter time")
}

// Unbind takes a role in a scope from a principal. Codes: not_found; lockout; escalation, where the role denies what the caller may not do.
func (g *Guard) Unbind(ctx context.Context, c *Caller, principal string, what rules.Grant, reason string) (evidence.Receipt, error) {
	a, err := g.bindingAct(ctx, c, "attorn:role:bind", evidence.BindingRemoved, principal, what)
	if err != nil {
		return evidence.Receipt{}, err
	}
	a.personal = g.reason(c, reason)
	a.frees = func(set *policy.Set) ([]policy.Holding, error) { return effective(set, what), nil }
	return g.do(ctx, c, a, func(tx *audit.Tx) error { return g.Rules.Unbind(tx, c.ws, principal, what) })
}

// Held is a binding with what is activated of it.
type Held struct {
	rules.Binding
	Activations []rules.Activation
}

// Bindings lists who has which role: all of the workspace, for who may read roles, or, by principal ("" is all), what is bound to somebody and to their
// groups, for themselves too.
func (g *Guard) Bindings(ctx context.Context, c *Caller, principal string) ([]Held, error) {
	a := act{action: "attorn:role:read", noun: "workspace"}
	if principal != "" {
		a.noun, a.attrs = "principal:"+principal, aboutHolder(principal)
	}
	if err := g.may(ctx, c, a); err != nil {
		return nil, err
	}
	var found []rules.Binding
	var err error
	if principal == "" {
		found, err = g.Rules.Bindings(ctx, c.ws)
	} else {
		found, err = g.boundTo(ctx, c.ws, g.Now(), principal)
	}
	if err != nil {
		return nil, err
	}
	used, err := g.Rules.Activations(ctx, c.ws, g.Now())
	all := make([]Held, len(found))
	for i, b := range found {
		all[i].Binding = b
		for _, u := range used {
			if u.Binding == b.ID && (principal == "" || u.Principal == principal || b.Principal == principal) {
				all[i].Activations = append(all[i].Activations, u)
			}
		}
	}
	return all, err
}

// aboutHolder names whom a question about roles is about, so that everybody may ask about themselves.
func aboutHolder(principal string) map[string]any {
	if _, err := id.Parse[id.Agent](principal); err == nil {
		return map[string]any{"holder": policy.UID{Type: policy.TypeAgent, ID: principal}}
	}
	if _, err := id.Parse[id.User](principal); err == nil {
		return map[string]any{"holder": policy.UID{Type: policy.TypeUser, ID: principal}}
	}
	return nil
}

// boundTo is what is bound to somebody and to the groups that they are in, active or eligible.
func (g *Guard) boundTo(ctx context.Context, ws id.Workspace, now time.Time, principal string) ([]rules.Binding, error) {
	in, err := g.People.GroupsOf(ctx, ws, principal)
	if err != nil {
		return nil, err
	}
	who := []string{principal}
	for _, name := range in[principal] {
		who = append(who, rules.Group+name)
	}
	return g.Rules.BoundTo(ctx, ws, now, who...)
}
