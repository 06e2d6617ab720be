package guard

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/catalog"
	"github.com/attorn/attorn/policy"
	"github.com/attorn/attorn/token"
)

// Warning says of a permission that was lent that it has no effect as things are, or not all of it. It may have one later: what counts is what its delegator may
// do when the call comes (authority.md §3).
type Warning struct {
	Code       string // unknown_server, unknown_tool, not_yours, partly_yours, unknown_instance
	Permission string // "" where it is about all of them
	Reason     string
}

// maxLooked bounds how many tools Warnings looks at.
const maxLooked = 500

// Warnings says what of a statement that the caller lends they could not do themselves now. It decides nothing and spends no proof.
func (g *Guard) Warnings(ctx context.Context, c *Caller, st delegation.Statement) ([]Warning, error) {
	lender, err := g.lender(ctx, c, st)
	if err != nil {
		return nil, err
	}
	s, err := g.resolve(ctx, lender)
	if err != nil {
		return nil, err
	}
	live, err := g.Rules.Live(ctx, c.ws)
	if err != nil {
		return nil, err
	}
	set, err := g.Rules.Load(ctx, c.ws, live)
	if err != nil {
		return nil, err
	}
	l := &lens{Guard: g, c: lender, s: s, set: set, left: maxLooked, servers: map[string]catalog.Server{}, tools: map[string][]catalog.Tool{}}
	var all []Warning
	if key := st.Delegate.Instance; !key.IsZero() {
		i, err := g.Agents.Instance(ctx, key)
		if err != nil && fault.Code(err) != "instance_unknown" {
			return nil, err
		}
		if err != nil || i.Agent != st.Delegate.Agent || i.Workspace != c.ws {
			all = append(all, Warning{"unknown_instance", "", fmt.Sprintf("no running copy of %s has the key %s", st.Delegate.Agent, key)})
		}
	}
	for _, p := range st.Permissions {
		code, reason, err := l.look(ctx, p.Permission)
		if err != nil {
			return nil, err
		}
		if code != "" {
			all = append(all, Warning{code, p.Permission, reason})
		}
	}
	return all, nil
}

// lender is the caller, and for an agent with the chain under which it lends.
func (g *Guard) lender(ctx context.Context, c *Caller, st delegation.Statement) (*Caller, error) {
	if st.Parent == nil {
		return c, nil
	}
	parent, err := g.Lending.ByStatement(ctx, c.ws, *st.Parent)
	if err != nil {
		return nil, err
	}
	chain, err := g.Lending.Chain(ctx, c.ws, parent.ID)
	if err != nil {
		return nil, err
	}
	return &Caller{
		ws: c.ws, agent: c.agent, instance: c.instance, person: chain[0].Link.Statement.Delegator.User, claims: token.Claims{Delegation: parent.ID}, ip: c.ip, face: c.face,
	}, nil
}

// lens looks at what somebody may do now.
type lens struct {
	*Guard
	c       *Caller
	s       *standing
	set     *policy.Set
	left    int // tools that may still be looked at
	servers map[string]catalog.Server
	tools   map[string][]catalog.Tool
}

// may reports whether an act could be permitted with some arguments.
func (l *lens) may(q question) bool {
	return policy.Visible(l.set, l.facts(l.c, l.s, q))
}

// facts are those of a question, its arguments unknown.
func (g *Guard) facts(c *Caller, s *standing, q question) policy.Facts {
	return policy.Facts{
		Principals: s.principals, Action: q.action, ActionParents: policy.ActionParents(q.action, q.class), Resource: q.resource.UID,
		Actor: s.actor, Delegation: s.lent(), Auth: s.auth(c), Now: s.now.UnixMicro(), IP: c.ip,
		Entities: merge(s.entities, append([]policy.Entity{q.resource}, q.more...)),
	}
}

// look says what is wrong with a permission; no code where nothing is.
func (l *lens) look(ctx context.Context, permission string) (code, reason string, err error) {
	parts := strings.Split(permission, ":")
	if parts[0] != "tool" {
		if ownable(parts) || strings.Contains(permission, "*") || l.may(act{action: permission, noun: "workspace"}.question(l.c.ws)) {
			return "", "", nil
		}
		return "not_yours", "nothing permits it to " + l.s.whom() + " now", nil
	}
	if len(parts) > 1 && !strings.Contains(parts[1], "*") {
		if _, err := l.Catalog.Server(ctx, l.c.ws, parts[1]); fault.Code(err) == "unknown_server" {
			return "unknown_server", "there is no MCP server " + parts[1], nil
		} else if err != nil {
			return "", "", err
		}
	}
	found, err := l.match(ctx, permission)
	if err != nil {
		return "", "", err
	}
	not := 0
	for _, t := range found {
		if !l.may(toolQuestion(l.servers[t.Server], Call{Server: t.Server, Tool: t.Segment(), Action: t.Action(), Class: t.Class, Pin: t.Pin})) {
			not++
		}
	}
	switch {
	case len(found) == 0 && l.left <= 0: // there are more than are looked at
		return "", "", nil
	case len(found) == 0 && l.may(act{action: "attorn:server:read", noun: "workspace"}.question(l.c.ws)):
		return "unknown_tool", "no tool that is known matches it", nil
	case not == len(found): // whether there is such a tool is told to those who may list them
		return "not_yours", "nothing permits it to " + l.s.whom() + " now", nil
	case not > 0:
		return "partly_yours", fmt.Sprintf("nothing permits %d of the %d tools that match it to %s now", not, len(found), l.s.whom()), nil
	}
	return "", "", nil
}

// ownable reports whether having the thing is enough for the act: then no role tells who may.
func ownable(parts []string) bool {
	return parts[0] == "attorn" && len(parts) > 1 && slices.Contains([]string{"agent", "instance", "owner", "delegation", "approval", "user"}, parts[1])
}

// whom names all whose authority it takes.
func (s *standing) whom() string {
	var all []string
	for _, p := range s.principals {
		all = append(all, p.ID)
	}
	return strings.Join(all, " and ")
}

// match lists the tools, prompts and instructions that a permission is about.
func (l *lens) match(ctx context.Context, permission string) (found []catalog.Tool, err error) {
	wide, err := delegation.ParsePermission(permission)
	if err != nil {
		return nil, err
	}
	servers, err := l.Catalog.Servers(ctx, l.c.ws)
	if err != nil {
		return nil, err
	}
	for _, s := range servers {
		l.servers[s.Name] = s
		if _, meets := meetPattern(permission, "tool:"+s.Name+":*"); !meets || l.left <= 0 {
			continue
		}
		if _, known := l.tools[s.Name]; !known {
			if l.tools[s.Name], err = l.toolsOf(ctx, s.Name); err != nil {
				return nil, err
			}
		}
		for _, t := range l.tools[s.Name] {
			if l.left <= 0 {
				break
			}
			l.left--
			if one, err := delegation.ParsePermission(t.Action()); err == nil && wide.Covers(one) {
				found = append(found, t)
			}
		}
	}
	return found, nil
}

// toolsOf lists what a server offers, with the reading of its resources, which has no definition.
func (l *lens) toolsOf(ctx context.Context, server string) ([]catalog.Tool, error) {
	all, err := l.Catalog.Tools(ctx, l.c.ws, server)
	if err != nil {
		return nil, err
	}
	read, err := l.Catalog.Callable(ctx, l.c.ws, server, catalog.ResourcesRead)
	return append(all, read), err
}

// Names is what people call these principals now: everybody's agents, and people for a caller who is one. Who is not known is absent.
func (g *Guard) Names(ctx context.Context, c *Caller, subs []string) map[string]string {
	names := map[string]string{}
	for _, sub := range subs {
		if _, known := names[sub]; known {
			continue
		}
		if a, err := id.Parse[id.Agent](sub); err == nil {
			if found, err := g.Agents.Agent(ctx, c.ws, a); err == nil {
				names[sub] = found.Name
			}
		} else if u, err := id.Parse[id.User](sub); err == nil && c.agent.IsZero() {
			if found, err := g.People.Person(ctx, c.ws, u); err == nil {
				names[sub] = found.Name
			}
		}
	}
	return names
}
