package guard

import (
	"context"
	"slices"
	"strings"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/rules"
	"github.com/attorn/attorn/policy"
)

// PublishShipped makes the built-in policies the live bundle of a workspace that has none. It is the server's own act.
func (g *Guard) PublishShipped(ctx context.Context, ws id.Workspace) error {
	set, problems := policy.Compile(policy.Shipped())
	if set == nil {
		return fault.New(fault.Internal, "shipped_policy", "the built-in policies do not compile: %v", problems)
	}
	_, err := settled(func() (evidence.Receipt, error) { // another process may do the same, or somebody publish already
		asOf, err := g.Log.Rev(ctx, ws)
		if err != nil {
			return evidence.Receipt{}, err
		}
		if _, err := g.Rules.Live(ctx, ws); fault.Code(err) != "not_found" {
			return evidence.Receipt{}, err
		}
		d := evidence.Draft{Workspace: ws, Target: "policy", Depends: []string{evidence.Policy}, Content: bundleContent(set)}
		d.Kind, d.Outcome, d.Who.Sub, d.Where.Face = evidence.PolicyPublished, evidence.OK, evidence.ServerSub, "server"
		d.What, d.Why = &evidence.What{Bundle: set.Digest()}, &evidence.Why{AsOf: asOf}
		return g.Log.Record(ctx, d, func(tx *audit.Tx) error { return g.Rules.Publish(tx, ws, set, id.Digest{}) })
	})
	return err
}

// bundleContent is the bundle as evidence keeps it: its manifest, whose digest names it, and each file by its own.
func bundleContent(set *policy.Set) []evidence.Content {
	content := []evidence.Content{evidence.ContentOf(set.Manifest())}
	for _, f := range set.Files() {
		content = append(content, evidence.ContentOf(f.Text))
	}
	return content
}

// Publish makes files, with the built-in policies and what the API made, the live bundle. base, unless zero, must be the one that is live. Codes: policy_invalid,
// with what is wrong and where; stale_base.
func (g *Guard) Publish(ctx context.Context, c *Caller, files []policy.File, base id.Digest) (id.Digest, []policy.Problem, evidence.Receipt, error) {
	a := act{action: "attorn:policy:publish", noun: "policy", kind: evidence.PolicyPublished, target: "policy"}
	if _, _, err := g.judge(ctx, c, a); err != nil { // before anything is compiled, and before what is wrong with it tells of the catalogue
		return id.Digest{}, nil, evidence.Receipt{}, err
	}
	if slices.ContainsFunc(files, func(f policy.File) bool { return strings.HasPrefix(f.Path, storePath) }) {
		return id.Digest{}, nil, evidence.Receipt{}, g.refuseAct(ctx, c, nil, a, nil, fault.New(fault.Invalid, "bad_path", "%s holds what commands made, and stays as it is", storePath))
	}
	before, err := g.live(ctx, c.ws)
	if err != nil {
		return id.Digest{}, nil, evidence.Receipt{}, err
	}
	set, problems, err := g.compile(ctx, c.ws, slices.Concat(policy.Shipped(), kept(before), files), nil)
	if err != nil {
		return id.Digest{}, nil, evidence.Receipt{}, err
	}
	if set == nil {
		return id.Digest{}, problems, evidence.Receipt{}, g.refuseAct(ctx, c, nil, a, nil, invalid(problems))
	}
	a.what, a.content = &evidence.What{Bundle: set.Digest()}, bundleContent(set)
	if base.IsZero() && len(kept(before)) > 0 { // or it could take back what a command made just now
		base = before.Digest()
	}
	got, err := g.do(ctx, c, a, func(tx *audit.Tx) error { return g.Rules.Publish(tx, c.ws, set, base) })
	return set.Digest(), problems, got, err
}

// compile makes a set of files whose policies type for what the workspace has; no set where one of the problems is an error. What does not type in before either,
// if that is given, is no reason to refuse.
func (g *Guard) compile(ctx context.Context, ws id.Workspace, files []policy.File, before *policy.Set) (*policy.Set, []policy.Problem, error) {
	set, problems := policy.Compile(files)
	if set == nil {
		return nil, problems, nil
	}
	actions, err := g.actions(ctx, ws)
	if err != nil {
		return nil, nil, err
	}
	types := policy.Check(set, actions)
	if before != nil && len(types) > 0 {
		was := policy.Check(before, actions)
		types = slices.DeleteFunc(types, func(p policy.Problem) bool { return slices.Contains(was, p) })
	}
	if len(types) > 0 {
		return nil, append(types, problems...), nil
	}
	return set, problems, nil
}

// LivePolicy reads the live bundle.
func (g *Guard) LivePolicy(ctx context.Context, c *Caller) (*policy.Set, error) {
	if err := g.May(ctx, c, "attorn:policy:read", "policy"); err != nil {
		return nil, err
	}
	live, err := g.Rules.Live(ctx, c.ws)
	if err != nil {
		return nil, err
	}
	return g.Rules.Load(ctx, c.ws, live)
}

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
