package guard

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/policy"
)

// Simulation is a request that nobody makes. What was lent, tokens and scopes are not part of it: it asks policy alone.
type Simulation struct {
	Actor     string   // an agent's id or name, or a person's id
	For       id.User  // in whose name an agent acts; zero: its own
	Action    string   // the permission
	On        string   // what an act of attorn's own API is on, as a resource: "agent:agt_…"; "" is the workspace
	Arguments []byte   // of a tool, in JSON; nil is none
	Roles     []string // the actor holds beside their own, each NAME or NAME@SCOPE
	ForRoles  []string // likewise the person
	Now       time.Time
	IP        string
	Auth      *policy.Auth
	Risk      int64
	Proof     string // "dpop" where it is not said
	Origin    string // "enrolled" where it is not said
	Task      string
}

// Simulated is what policy would say.
type Simulated struct {
	policy.Explanation
	Facts policy.Facts
	Set   *policy.Set
	Names map[string]string // of the principals, by id
}

// Simulate asks policy about a request that nobody makes, with the roles, groups, owners and tags that there are now: by the live bundle or, where files is not nil, by
// one of them. Nothing is recorded as permitted, and nothing is spent. Whoever may simulate learns which policies apply to anybody, and so who holds which
// role. Codes: malformed, not_found, unknown_server, unknown_tool, policy_invalid, bad_path.
func (g *Guard) Simulate(ctx context.Context, c *Caller, in Simulation, files []policy.File) (Simulated, error) {
	if err := g.May(ctx, c, "attorn:policy:simulate", "policy"); err != nil {
		return Simulated{}, err
	}
	set, err := g.tried(ctx, c.ws, refLive, files)
	if err != nil {
		return Simulated{}, err
	}
	out := Simulated{Set: set, Names: map[string]string{}}
	q, refused, err := g.simulated(ctx, c.ws, in)
	if err != nil {
		return out, err
	}
	if out.Facts, err = g.simulatedFacts(ctx, c.ws, in, q, out.Names); err != nil {
		return out, err
	}
	if refused != nil { // before policy is asked, as a call would be
		out.Decision = policy.Decision{Outcome: policy.Deny, Code: fault.Code(refused), Message: fault.Of(refused).Reason}
		return out, nil
	}
	if q.shape == nil {
		q.shape = set.ShapeOf(out.Facts)
	}
	out.Explanation = policy.Explain(set, q.shape, out.Facts, nil)
	if out.Decision.Outcome != policy.Ask {
		return out, nil
	}
	a := answer{Decision: out.Decision, set: set, facts: out.Facts}
	for _, o := range a.Obligations {
		if err := g.meetable(ctx, c.ws, &a, o); o.Kind == policy.KindApprove && err != nil {
			return out, err
		}
	}
	out.Decision = a.Decision
	return out, nil
}

// tried is the bundle that publishing files would make; where they are nil, one that was published, by what names it (see find).
func (g *Guard) tried(ctx context.Context, ws id.Workspace, ref string, files []policy.File) (*policy.Set, error) {
	if files == nil {
		d, err := g.find(ctx, ws, ref)
		if err != nil {
			return nil, err
		}
		return g.Rules.Load(ctx, ws, d)
	}
	live, err := g.live(ctx, ws)
	if err != nil {
		return nil, err
	}
	set, _, err := g.candidate(ctx, ws, live, files)
	return set, err
}

// simulated is what is asked, in policy's terms; refused is why a call would not come as far as policy.
func (g *Guard) simulated(ctx context.Context, ws id.Workspace, in Simulation) (q question, refused, err error) {
	permission, err := delegation.ParsePermission(in.Action)
	if err != nil || !permission.Concrete() {
		return q, nil, fault.New(fault.Invalid, "malformed", "call: %q is no permission without *", in.Action).Try("write tool:SERVER:TOOL or attorn:NOUN:VERB")
	}
	rest, isTool := strings.CutPrefix(in.Action, "tool:")
	server, segment, whole := strings.Cut(rest, ":")
	switch {
	case isTool && !whole, !isTool && !strings.HasPrefix(in.Action, "attorn:"):
		return q, nil, fault.New(fault.Invalid, "malformed", "call: %s is neither of a tool nor of attorn's own API", in.Action).Try("write tool:SERVER:TOOL or attorn:NOUN:VERB")
	case !isTool:
		if in.Arguments != nil {
			return q, nil, fault.New(fault.Invalid, "malformed", "args: %s is no tool", in.Action)
		}
		a := act{action: in.Action, noun: in.On}
		if a.noun == "" {
			a.noun = "workspace"
		}
		if agent, err := id.Parse[id.Agent](strings.TrimPrefix(a.noun, "agent:")); err == nil {
			found, err := g.Agents.Agent(ctx, ws, agent)
			if err != nil {
				return q, nil, err
			}
			a.attrs = owned(found.Owner)
		}
		return a.question(ws), nil, nil
	}
	if in.On != "" {
		return q, nil, fault.New(fault.Invalid, "malformed", "on: the call of a tool is on that tool")
	}
	s, t, err := g.callable(ctx, ws, server, segment)
	if err != nil {
		return q, nil, err
	}
	call := Call{Server: server, Tool: segment, Action: in.Action, Pin: t.Pin, Class: t.Class, Arguments: []byte("{}")}
	if in.Arguments != nil {
		if call.Arguments, err = jose.CanonicalRaw(in.Arguments, jose.Limits{Bytes: 1 << 20, Depth: 64, Values: 100_000}); err != nil {
			return q, nil, fault.Wrap(err, fault.Invalid, "malformed", "args: %v", err)
		}
	}
	q = toolQuestion(s, call)
	if q.shape, err = g.Catalog.Shape(t); err != nil {
		return q, nil, err
	}
	refused = g.Catalog.Check(t, call.Arguments)
	if refused != nil && fault.Of(refused) == nil {
		return q, nil, refused
	}
	return q, refused, nil
}

// simulatedFacts are those of the question, as they are now but for what the simulation says.
func (g *Guard) simulatedFacts(ctx context.Context, ws id.Workspace, in Simulation, q question, names map[string]string) (f policy.Facts, err error) {
	at := in.Now
	if at.IsZero() {
		at = g.Now()
	}
	f = policy.Facts{
		Action: q.action, ActionParents: policy.ActionParents(q.action, q.class), Resource: q.resource.UID, Arguments: q.arguments,
		Auth: in.Auth, Now: at.UnixMicro(), Risk: in.Risk, Actor: policy.Actor{Proof: in.Proof, Origin: in.Origin},
	}
	if f.Actor.Proof == "" {
		f.Actor.Proof = "dpop"
	}
	if in.IP != "" {
		ip, err := netip.ParseAddr(in.IP)
		if err != nil {
			return f, fault.New(fault.Invalid, "malformed", "ip: %q is no address", in.IP)
		}
		f.IP = ip.Unmap().WithZone("").String()
	}
	person, actor := in.For, agents.Agent{}
	if u, err := id.Parse[id.User](in.Actor); err == nil {
		if !in.For.IsZero() || len(in.ForRoles) > 0 {
			return f, fault.New(fault.Invalid, "malformed", "for: nobody acts in a person's name but an agent")
		}
		person, in.ForRoles, in.Roles = u, in.Roles, nil
	} else {
		if actor, err = g.Agents.Find(ctx, ws, in.Actor); err != nil {
			return f, err
		}
		names[actor.ID.String()] = actor.Name
		f.Principals = []policy.UID{{Type: policy.TypeAgent, ID: actor.ID.String()}}
		if f.Actor.Origin == "" {
			f.Actor.Origin = string(agents.Enrolled)
		}
		if !person.IsZero() {
			f.Delegation = policy.Lent{ID: "simulated", Task: in.Task}
		}
	}
	if !person.IsZero() {
		p, err := g.People.Person(ctx, ws, person)
		if err != nil {
			return f, err
		}
		names[p.ID.String()] = p.Name
		f.Principals = append(f.Principals, policy.UID{Type: policy.TypeUser, ID: p.ID.String()})
	}
	return f, g.simulatedEntities(ctx, ws, in, q, &f, actor)
}

// simulatedEntities are the principals with what they hold, and the resource.
func (g *Guard) simulatedEntities(ctx context.Context, ws id.Workspace, in Simulation, q question, f *policy.Facts, actor agents.Agent) error {
	subs := make([]string, len(f.Principals))
	for i, p := range f.Principals {
		subs[i] = p.ID
	}
	found, _, err := g.known(ctx, ws, time.UnixMicro(f.Now), subs...)
	if err != nil {
		return err
	}
	for i := range found {
		roles := in.ForRoles
		if found[i].UID.Type == policy.TypeAgent {
			found[i].Attrs, found[i].Tags = owned(actor.Owner), actor.Tags.Map()
			roles = in.Roles
		}
		for _, r := range roles {
			found[i].Parents = append(slices.Clip(found[i].Parents), policy.UID{Type: "Role", ID: r})
		}
	}
	f.Entities = merge(found, append([]policy.Entity{q.resource}, q.more...))
	return nil
}
