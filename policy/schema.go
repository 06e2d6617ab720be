package policy

import (
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go/types"
	xast "github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/schema/resolved"
)

// The fixed part of the schema (policy.md §1): what policies may say of principals, of attorn's own objects and of the context.

// typeNoun is the type of attorn's own objects.
const typeNoun = "Noun"

func attr(t resolved.IsType) resolved.Attribute { return resolved.Attribute{Type: t} }
func maybe(t resolved.IsType) resolved.Attribute {
	return resolved.Attribute{Type: t, Optional: true}
}

// fixedEntities are the types that every bundle knows.
func fixedEntities() map[types.EntityType]resolved.Entity {
	user, agent, text := resolved.EntityType(TypeUser), resolved.EntityType(TypeAgent), resolved.StringType{}
	all := map[types.EntityType]resolved.Entity{}
	add := func(name types.EntityType, shape resolved.RecordType, tags resolved.IsType, in ...types.EntityType) {
		all[name] = resolved.Entity{Name: name, Shape: shape, Tags: tags, ParentTypes: in}
	}
	add("Workspace", nil, text)
	add("Environment", nil, nil, "Workspace")
	add("Role", nil, nil, "Role")
	add("Group", nil, nil, "Group", "Role")
	add(TypeUser, nil, text, "Group", "Role", "Workspace")
	add(TypeAgent, resolved.RecordType{"owner": maybe(user)}, text, "Group", "Role", "Workspace")
	add("Server", nil, text, "Workspace", "Environment")
	add(TypeTool, resolved.RecordType{"pin": attr(text)}, text, "Server")
	add(typeNoun, resolved.RecordType{
		"owner": maybe(user), "offered": maybe(user), "person": maybe(user), "agent": maybe(agent), "instance": maybe(text), "parent": maybe(text),
		"delegator": maybe(user), "delegate": maybe(agent), "root": maybe(user), "requester": maybe(agent), "subject": maybe(user),
	}, nil, "Workspace")
	return all
}

// entityTypes are the fixed types and a bundle's own.
func entityTypes(own map[string]*Type) map[types.EntityType]resolved.Entity {
	all := fixedEntities()
	for name, t := range own {
		shape := make(resolved.RecordType, len(t.Attributes))
		for a, v := range t.Attributes {
			shape[types.String(a)] = resolved.Attribute{Type: v.Type.cedar(), Optional: v.Optional || v.Type.Of == "decimal"}
		}
		in := make([]types.EntityType, len(t.Parents))
		for i, p := range t.Parents {
			in[i] = types.EntityType(p)
		}
		all[types.EntityType(name)] = resolved.Entity{Name: types.EntityType(name), Shape: shape, ParentTypes: in}
	}
	return all
}

func (t ValueType) cedar() (of resolved.IsType) {
	switch t.Of {
	case "string":
		of = resolved.StringType{}
	case "long":
		of = resolved.LongType{}
	case "bool":
		of = resolved.BoolType{}
	case "decimal":
		of = resolved.ExtensionType("decimal")
	default:
		of = resolved.EntityType(t.Of)
	}
	if t.Set {
		return resolved.SetType{Element: of}
	}
	return of
}

// contextType is that of a request's context, with the type of its arguments if it has any.
func contextType(args resolved.IsType) resolved.RecordType {
	text, long := resolved.StringType{}, resolved.LongType{}
	perm := resolved.RecordType{"n": attr(long)}
	for _, s := range []types.String{"s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7"} {
		perm[s] = attr(text)
	}
	c := resolved.RecordType{
		"actor":      attr(resolved.RecordType{"agent": maybe(resolved.EntityType(TypeAgent)), "instance": attr(text), "origin": attr(text), "proof": attr(text)}),
		"subject":    maybe(resolved.EntityType(TypeUser)),
		"chain":      attr(resolved.SetType{Element: resolved.EntityType(TypeAgent)}),
		"delegation": maybe(resolved.RecordType{"id": attr(text), "depth": attr(long), "task": maybe(text), "purpose": maybe(text)}),
		"auth":       maybe(resolved.RecordType{"acr": attr(long), "age": attr(long)}),
		"facts":      attr(resolved.RecordType{"now": attr(resolved.ExtensionType("datetime")), "ip": maybe(resolved.ExtensionType("ipaddr")), "risk": attr(long)}),
		"perm":       attr(perm),
	}
	if args != nil {
		c["args"] = attr(args)
	}
	return c
}

// cedar is the argument's type in a schema; nil where it has none.
func (t argType) cedar() resolved.IsType {
	switch t.kind {
	case argLong:
		return resolved.LongType{}
	case argDecimal:
		return resolved.ExtensionType("decimal")
	case argBool:
		return resolved.BoolType{}
	case argString:
		return resolved.StringType{}
	case argSet:
		return resolved.SetType{Element: t.element.cedar()}
	case argRecord:
		r := make(resolved.RecordType, len(t.fields))
		for name, f := range t.fields {
			if of := f.cedar(); of != nil {
				r[types.String(name)] = resolved.Attribute{Type: of, Optional: f.optional}
			}
		}
		return r
	}
	return nil
}

// schemaAction is an action as a policy is typed for it.
type schemaAction struct {
	id         string
	parents    []string
	principals []types.EntityType
	resources  []types.EntityType
	args       resolved.IsType // nil: none
}

// schemaFor knows the fixed types and those of the bundle, the actions, and of what else a policy names that it is there: what a policy does with a type that nobody has
// is Check's to report.
func schemaFor(known map[types.EntityType]resolved.Entity, p *xast.Policy, actions ...schemaAction) *resolved.Schema {
	s := &resolved.Schema{Entities: known, Actions: map[types.EntityUID]resolved.Action{}}
	for _, a := range actions {
		uid := types.NewEntityUID("Action", types.String(a.id))
		parents := make([]types.EntityUID, len(a.parents))
		for i, name := range a.parents {
			parents[i] = types.NewEntityUID("Action", types.String(name))
		}
		s.Actions[uid] = resolved.Action{
			Entity:    types.Entity{UID: uid, Parents: types.NewEntityUIDSet(parents...)},
			AppliesTo: &resolved.AppliesTo{Principals: a.principals, Resources: a.resources, Context: contextType(a.args)},
		}
		for _, g := range parents {
			stub(s, g)
		}
	}
	for _, uid := range named(p) {
		if uid.Type == "Action" {
			stub(s, uid)
		}
	}
	return s
}

// stub makes an action or a group of actions known, which applies to nothing.
func stub(s *resolved.Schema, uid types.EntityUID) {
	if _, ok := s.Actions[uid]; !ok {
		s.Actions[uid] = resolved.Action{Entity: types.Entity{UID: uid}}
	}
}

// named are the entities that a policy names, in its scope or in a condition, each once and in order.
func named(p *xast.Policy) []types.EntityUID {
	var all []types.EntityUID
	add := func(uid types.EntityUID) {
		if !slices.Contains(all, uid) {
			all = append(all, uid)
		}
	}
	for _, axis := range scopeKeys(p) {
		for _, k := range axis {
			if !k.isType {
				add(k.uid)
			}
		}
	}
	for _, c := range p.Conditions {
		xast.Inspect(xast.NewNode(c.Body), func(n xast.IsNode) bool {
			if v, ok := n.(xast.NodeValue); ok {
				if uid, ok := v.Value.(types.EntityUID); ok {
					add(uid)
				}
			}
			return true
		})
	}
	return all
}

// resourceType is the type of what an action or group of actions is done to.
func resourceType(action string) types.EntityType {
	first, _, _ := strings.Cut(action, ":")
	switch first {
	case "attorn":
		return typeNoun
	case "tool", "call", "read", "write", "destroy":
		return TypeTool
	}
	return types.EntityType(first)
}
