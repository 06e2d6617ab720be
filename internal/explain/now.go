package explain

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/catalog"
	"github.com/attorn/attorn/internal/lending"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/policy"
)

// now is the server's signed word on whether the same act would be allowed at the head: the same chain, as it is now, on the live bundle. It
// says nothing for events that decided nothing.
func (g *gathering) now(ws id.Workspace, e audit.Entry) (string, error) {
	if e.Why == nil || e.Why.Facts.IsZero() || e.Did == nil {
		return "", nil
	}
	outcome, err := g.again(ws, e)
	if errors.Is(err, errErased) { // what is not known cannot be asked again: not shown
		return "", nil
	}
	f := fault.Of(err)
	if err != nil && (f == nil || f.Kind == fault.Internal || f.Kind == fault.Unavailable) {
		return "", err
	}
	n := evidence.Now{
		V: 1, Issuer: g.Issuer, Workspace: ws, Event: e.ID, Rev: g.heads[ws].Newest().Rev(), At: g.Explainer.Now().UnixMicro(), Outcome: outcome,
	}
	if f != nil {
		n.Outcome, n.Code, n.Reason = evidence.Deny, f.Code, f.Reason
	}
	return evidence.SignNow(n, g.signer)
}

// again asks the question once more. A fault is the reason why it would be refused now.
func (g *gathering) again(ws id.Workspace, e audit.Entry) (evidence.Outcome, error) {
	at := g.Explainer.Now()
	raw, err := g.Log.Content(g.ctx, e.Why.Facts)
	if err != nil {
		return "", err
	}
	facts, err := policy.ParseFacts(raw)
	if err != nil {
		return "", err
	}
	if err := g.restore(e, &facts); err != nil {
		return "", err
	}
	if err := g.callable(ws, e.Did, &facts); err != nil {
		return "", err
	}
	if e.Under != nil && !e.Under.Delegation.IsZero() {
		chain, err := g.Lending.Chain(g.ctx, ws, e.Under.Delegation)
		if err != nil {
			return "", err
		}
		if err := lending.Live(chain, at); err != nil {
			return "", err
		}
	}
	if err := g.instancesLive(e, at); err != nil {
		return "", err
	}
	if person, ok := facts.Person(); ok {
		if err := g.personLive(ws, person.ID); err != nil {
			return "", err
		}
	}
	live, err := g.Rules.Live(g.ctx, ws)
	if err != nil {
		return "", err
	}
	set, err := g.Rules.Load(g.ctx, ws, live)
	if err != nil {
		return "", err
	}
	if err := g.refresh(ws, &facts); err != nil {
		return "", err
	}
	if err := g.objects(ws, set, &facts); err != nil {
		return "", err
	}
	facts.Now = at.UnixMicro()
	shape, err := g.shape(ws, facts.Resource)
	if err != nil {
		return "", err
	}
	if shape == nil {
		shape = set.ShapeOf(facts)
	}
	d := policy.Decide(set, shape, facts, nil)
	if d.Outcome == policy.Deny {
		return "", fault.New(fault.Denied, d.Code, "%s", d.Message)
	}
	return evidence.Outcome(d.Outcome), nil
}

// instancesLive is nil while the acting key may act, and what the others on the chain signed with theirs still counts.
func (g *gathering) instancesLive(e audit.Entry, at time.Time) error {
	if k := e.Who.Instance; !k.IsZero() {
		if _, err := g.Agents.Acting(g.ctx, k, at); err != nil {
			return err
		}
	}
	for _, h := range e.Who.Chain {
		if h.Instance.IsZero() || h.Instance == e.Who.Instance {
			continue
		}
		if _, err := g.Agents.Signed(g.ctx, h.Instance, at); err != nil {
			return err
		}
	}
	return nil
}

// restore puts back what evidence.FactsContent left out.
func (g *gathering) restore(e audit.Entry, f *policy.Facts) error {
	var err error
	if f.Arguments, err = g.opened(e, e.Did.Args, "args"); err != nil {
		return err
	}
	if f.Arguments == nil && e.Did.Basis != "" { // empty ones are not kept
		f.Arguments = jsontext.Value("{}")
	}
	ip, err := g.opened(e, e.Where.IP, "ip")
	if err != nil || ip == nil {
		return err
	}
	return jose.Decode(ip, &f.IP, jose.Limits{})
}

// callable is nil while the tool that the act was on is still served, under the same definition; its server is then in the facts as it is now. Other acts are on no tool.
func (g *gathering) callable(ws id.Workspace, did *evidence.Did, f *policy.Facts) error {
	server, segment, ok := strings.Cut(did.Resource.ID, ":")
	if did.Resource.Type != "Tool" || !ok {
		return nil
	}
	s, err := g.Catalog.Server(g.ctx, ws, server)
	if err != nil {
		return err
	}
	if s.Status != "active" {
		return fault.New(fault.NotFound, "unknown_server", "the server %s was removed", server)
	}
	if i := slices.IndexFunc(f.Entities, func(e policy.Entity) bool { return e.UID == policy.UID{Type: "Server", ID: server} }); i >= 0 {
		f.Entities[i].Parents = s.Within()
	}
	t, err := g.Catalog.Callable(g.ctx, ws, server, segment)
	if err == nil && (t.Status != catalog.Accepted || t.Pin != did.Pin) {
		err = fault.New(fault.Denied, "tool_quarantined", "the definition of %s is not the one that was accepted then", segment)
	}
	return err
}

// shape is that of the arguments of a tool; nil for what is none.
func (g *gathering) shape(ws id.Workspace, resource policy.UID) (*policy.Shape, error) {
	server, segment, ok := strings.Cut(resource.ID, ":")
	if resource.Type != policy.TypeTool || !ok {
		return nil, nil
	}
	t, err := g.Catalog.Callable(g.ctx, ws, server, segment)
	if err != nil {
		return nil, err
	}
	return g.Catalog.Shape(t)
}

var errErased = errors.New("a value of the event was erased")

// opened reads a sealed value of the event; nil where the event has none.
func (g *gathering) opened(e audit.Entry, sealed *evidence.Sealed, field string) ([]byte, error) {
	if sealed == nil {
		return nil, nil
	}
	disclosure, err := g.Log.Detail(g.ctx, e, field)
	if fault.Code(err) == "not_found" {
		return nil, errErased
	} else if err != nil {
		return nil, err
	}
	return sealed.Open(disclosure, field)
}

func (g *gathering) personLive(ws id.Workspace, person string) error {
	u, err := id.Parse[id.User](person)
	if err != nil {
		return err
	}
	p, err := g.People.Person(g.ctx, ws, u)
	if err != nil {
		return err
	}
	return p.Live()
}

// refresh replaces the groups and roles of the principals, and whose the agents are and how they are tagged, by those of now.
func (g *gathering) refresh(ws id.Workspace, f *policy.Facts) error {
	subs := make([]string, len(f.Principals))
	for i, p := range f.Principals {
		subs[i] = p.ID
	}
	groups, err := g.People.GroupsOf(g.ctx, ws, subs...)
	if err != nil {
		return err
	}
	fresh, err := g.Rules.Entities(g.ctx, ws, time.UnixMicro(f.Now), groups, subs...)
	if err != nil {
		return err
	}
	known := map[policy.UID]int{}
	for i, e := range f.Entities {
		known[e.UID] = i
	}
	for _, e := range fresh {
		if i, ok := known[e.UID]; ok {
			e.Attrs = f.Entities[i].Attrs
			if err := g.agentNow(ws, &e); err != nil {
				return err
			}
			f.Entities[i] = e
			continue
		}
		f.Entities = append(f.Entities, e)
	}
	return nil
}

// agentNow gives an agent the owner and the tags that it has now.
func (g *gathering) agentNow(ws id.Workspace, e *policy.Entity) error {
	agent, err := id.Parse[id.Agent](e.UID.ID)
	if err != nil || e.UID.Type != policy.TypeAgent {
		return nil
	}
	a, err := g.Agents.Agent(g.ctx, ws, agent)
	e.Attrs, e.Tags = map[string]any{"owner": policy.UID{Type: policy.TypeUser, ID: a.Owner.String()}}, a.Tags.Map()
	return err
}
