package guard

import (
	"context"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/rules"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/policy"
)

// What becomes of a resource: What.Status of a resource.changed.
const (
	resourceSet     = "set"
	resourceRemoved = "removed"
)

const typePath = storePath + "types/"

// ResourceTypes lists the live bundle's resource types.
func (g *Guard) ResourceTypes(ctx context.Context, c *Caller) (*policy.Set, error) {
	if err := g.May(ctx, c, "attorn:resource:read", "workspace"); err != nil {
		return nil, err
	}
	return g.live(ctx, c.ws)
}

// SetResourceType makes a resource type, or changes one that was made so. text is its file, and makes a new bundle with the rest of the live one. Codes: policy_invalid;
// type_published where the type is in the policies that are published; stale_base.
func (g *Guard) SetResourceType(ctx context.Context, c *Caller, name string, text []byte) (*policy.Type, evidence.Receipt, error) {
	a := typeAct(name)
	set, got, err := g.changeStored(ctx, c, a, typePath+name+".yaml", text, func(live *policy.Set) error {
		if _, p := policy.ParseType(typePath+name+".yaml", text); p != nil {
			return invalid([]policy.Problem{*p})
		}
		return ours(live, name, false)
	})
	if err != nil {
		return nil, got, err
	}
	return set.Type(name), got, nil
}

// RemoveResourceType takes a resource type away that no resource is of. Codes: not_found, type_published, type_in_use; policy_invalid where another type speaks of it.
func (g *Guard) RemoveResourceType(ctx context.Context, c *Caller, name string) (evidence.Receipt, error) {
	_, got, err := g.changeStored(ctx, c, typeAct(name), typePath+name+".yaml", nil, func(live *policy.Set) error {
		if err := ours(live, name, true); err != nil {
			return err
		}
		some, err := g.Rules.Resources(ctx, c.ws, name, "", 1)
		if err == nil && len(some) > 0 {
			err = fault.New(fault.Conflict, "type_in_use", "there are resources of the type %s", name).Try("remove them first: attorn resource ls %s", name)
		}
		return err
	})
	return got, err
}

func typeAct(name string) act {
	if !policy.GoodType(name) { // before it names anything in the log
		name = ""
	}
	return act{action: "attorn:resource:write", noun: "type:" + name, target: "type:" + name}
}

// ours refuses a type that the API did not make.
func ours(live *policy.Set, name string, there bool) error {
	t := live.Type(name)
	switch {
	case t == nil && there:
		return noType(name)
	case t != nil && t.Path() != typePath+name+".yaml":
		return fault.New(fault.Conflict, "type_published", "the type %s is in the published policies (%s)", name, t.Path()).Try("change it there, and publish them")
	}
	return nil
}

func noType(name string) error {
	return fault.New(fault.NotFound, "unknown_type", "there is no resource type %.64q", name).Try("see what there is: attorn resource type ls")
}

// Resources lists those of a type by id, after the given one, at most limit. Code: unknown_type.
func (g *Guard) Resources(ctx context.Context, c *Caller, of, after string, limit int) ([]rules.Resource, error) {
	if err := g.May(ctx, c, "attorn:resource:read", "workspace"); err != nil {
		return nil, err
	}
	if _, err := g.storedType(ctx, c.ws, of); err != nil {
		return nil, err
	}
	return g.Rules.Resources(ctx, c.ws, of, after, limit)
}

// Resource reads one. Codes: unknown_type, not_found.
func (g *Guard) Resource(ctx context.Context, c *Caller, u policy.UID) (rules.Resource, error) {
	if err := g.May(ctx, c, "attorn:resource:read", "workspace"); err != nil {
		return rules.Resource{}, err
	}
	if _, err := g.storedType(ctx, c.ws, u.Type); err != nil {
		return rules.Resource{}, err
	}
	return g.Rules.Resource(ctx, c.ws, u)
}

func (g *Guard) storedType(ctx context.Context, ws id.Workspace, name string) (*policy.Type, error) {
	set, err := g.live(ctx, ws)
	if err != nil {
		return nil, err
	}
	t := set.Type(name)
	switch {
	case t == nil:
		return nil, noType(name)
	case t.Source != policy.SourceStored:
		return nil, fault.New(fault.Conflict, "type_unkept", "resources of the type %s are not kept here: whoever asks about one says what it is like", name)
	}
	return t, nil
}

// SetResource keeps a resource, or changes one that is kept: attributes and parents become these. Codes: unknown_type, type_unkept, schema, and those of
// rules.SetResource.
func (g *Guard) SetResource(ctx context.Context, c *Caller, u policy.UID, parents []policy.UID, attributes map[string]jsontext.Value) (evidence.Receipt, error) {
	a := resourceAct(u, resourceSet)
	r := rules.Resource{UID: u, Parents: parents}
	if _, _, err := g.judge(ctx, c, a); err != nil { // before a stranger is told what there is
		return evidence.Receipt{}, err
	}
	if err := g.fitResource(ctx, c, &r, attributes); err != nil {
		return evidence.Receipt{}, g.refuseAct(ctx, c, nil, a, nil, err)
	}
	raw, err := json.Marshal(map[string]any{"attributes": r.Attrs, "id": u.ID, "parents": parents, "type": u.Type})
	if err != nil {
		return evidence.Receipt{}, err
	}
	doc, err := jose.CanonicalRaw(raw, jose.Limits{Bytes: 2 * maxBodyOfResource})
	if err != nil {
		return evidence.Receipt{}, err
	}
	content := evidence.ContentOf(doc)
	a.what.Rule, a.content = content.Digest, []evidence.Content{content}
	return g.do(ctx, c, a, func(tx *audit.Tx) error { return g.Rules.SetResource(tx, c.ws, r) })
}

// fitResource holds a resource to its type, and finds whom it stands for.
func (g *Guard) fitResource(ctx context.Context, c *Caller, r *rules.Resource, attributes map[string]jsontext.Value) error {
	t, err := g.storedType(ctx, c.ws, r.UID.Type)
	if err != nil {
		return err
	}
	for name := range attributes {
		if _, ok := t.Attributes[name]; !ok {
			return fault.New(fault.Invalid, "schema", "a %s has no attribute %.64q", t.Name, name).Try("see what it has: attorn resource type show %s", t.Name)
		}
	}
	if attributes == nil {
		attributes = map[string]jsontext.Value{}
	}
	raw, err := json.Marshal(attributes, json.Deterministic(true))
	if err != nil {
		return err
	}
	if r.Attrs, err = jose.CanonicalRaw(raw, jose.Limits{Bytes: maxBodyOfResource}); err != nil {
		return err
	}
	e, err := t.Entity(r.UID.ID, r.Parents, r.Attrs)
	if err != nil {
		return err
	}
	if p, ok := t.PrincipalOf(e); ok {
		r.Principal = p.ID
		return g.principal(ctx, c.ws, p)
	}
	return nil
}

const maxBodyOfResource = 16 << 10

// principal finds a person or agent in the workspace.
func (g *Guard) principal(ctx context.Context, ws id.Workspace, p policy.UID) error {
	if p.Type == policy.TypeUser {
		u, err := id.Parse[id.User](p.ID)
		if err == nil {
			_, err = g.People.Person(ctx, ws, u)
		}
		return err
	}
	a, err := id.Parse[id.Agent](p.ID)
	if err == nil {
		_, err = g.Agents.Agent(ctx, ws, a)
	}
	return err
}

// RemoveResource ends a resource. Codes: not_found, resource_in_use.
func (g *Guard) RemoveResource(ctx context.Context, c *Caller, u policy.UID) (evidence.Receipt, error) {
	return g.do(ctx, c, resourceAct(u, resourceRemoved), func(tx *audit.Tx) error { return g.Rules.RemoveResource(tx, c.ws, u) })
}

func resourceAct(u policy.UID, status string) act {
	if !policy.GoodType(u.Type) || !rules.GoodResourceID(u.ID) {
		u = policy.UID{Type: "none", ID: "none"} // nothing of it enters the log
	}
	r := evidence.Resource{Type: u.Type, ID: u.ID}
	return act{
		action: "attorn:resource:write", noun: evidence.ResourceID(r), kind: evidence.ResourceChanged, target: evidence.ResourceID(r),
		what: &evidence.What{Resource: &r, Status: status}, depends: []string{evidence.ResourceID(r)},
	}
}
