package policy

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Type is a resource type of somebody's own service (policy.md §1): what its objects are like, and what is done with them. It is immutable.
//
// An object of it is <Name>::"<id>" in Cedar. What is done is Action::"<Name>:<action>", and the permission asked for is "<Name>:<id>:<action>": that is what roles
// and delegations cover, and what context.perm holds. An id outside the alphabet of a segment of permissions has no permission (context.perm.n is 0), so only a policy
// that was written for it permits anything with it.
type Type struct {
	Name       string                `json:"name"`
	Doc        string                `json:"doc,omitempty"`
	Parents    []string              `json:"parents,omitempty"` // types of what an object may be in
	Attributes map[string]Attribute  `json:"attributes,omitempty"`
	Actions    map[string]TypeAction `json:"actions"`

	// Source says where attributes and parents come from: SourceStored (attorn keeps the objects, and knows no others) or SourceRequest (whoever asks says them).
	Source string `json:"source"`

	// Principal names an attribute of type User or Agent: an object that has it is how the service calls that person or agent, who is meant where it stands for who
	// acts. Stored types alone have one. A principal's objects give it tags: "<type>.<attribute>" for each of their texts.
	Principal string `json:"principal,omitempty"`

	path   string
	shapes map[string]*Shape
}

// Attribute is what an object has, or an action is told.
type Attribute struct {
	Type     ValueType `json:"type"`
	Optional bool      `json:"optional,omitempty"`
	Doc      string    `json:"doc,omitempty"`
}

// TypeAction is what is done with objects of a type. Class is read, write or destroy, which it counts as where none is given; Context is what it is told.
type TypeAction struct {
	Doc     string               `json:"doc,omitempty"`
	Class   string               `json:"class,omitempty"`
	Context map[string]Attribute `json:"context,omitempty"`
}

// The sources of a type's objects.
const (
	SourceStored  = "stored"
	SourceRequest = "request"
)

// ValueType is string, long, bool, decimal, User, Agent, or a type's name: one, or a set of them.
type ValueType struct {
	Of  string
	Set bool
}

const setOf = "set of "

// String is the form in files: "string", "set of User".
func (t ValueType) String() string {
	if t.Set {
		return setOf + t.Of
	}
	return t.Of
}

// MarshalText makes the form in files.
func (t ValueType) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads it.
func (t *ValueType) UnmarshalText(b []byte) error {
	of, set := strings.CutPrefix(string(b), setOf)
	if !t.scalar(of) && of != TypeUser && of != TypeAgent && !GoodType(of) {
		return fmt.Errorf("a type is string, long, bool, decimal, User, Agent or a resource type's name, or %q and one of these", setOf)
	}
	*t = ValueType{of, set}
	return nil
}

func (ValueType) scalar(of string) bool {
	return slices.Contains([]string{"string", "long", "bool", "decimal"}, of)
}

// The bounds of a type.
const (
	maxTypeName   = 64 // bytes
	maxAttributeN = 64 // attributes of a type or an action
	maxActionsN   = 128
	maxParentsN   = 16
	maxDoc        = 1000 // bytes
	maxTypes      = 1000 // of a bundle
)

var (
	typeForm   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	actionForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_./@-]*$`)
	typePath   = regexp.MustCompile(`^(?:store/)?types/([A-Za-z_][A-Za-z0-9_]*)\.yaml$`)
)

// notTypes are names that mean something else: Cedar's own words and types, attorn's entities, and what permissions of attorn's and of tools begin with.
var notTypes = strings.Fields(`if then else true false in is like has principal action resource context permit forbid when unless __cedar
	Bool Boolean Long String Set Record Entity Extension decimal datetime duration ipaddr string long bool
	Workspace Environment Role Group Noun User Agent Server Tool Action Perm Actor Lent Auth Facts Ask tool attorn call read write destroy`)

// GoodType reports whether a resource type can have this name: an identifier of Cedar's that is none of attorn's.
func GoodType(name string) bool {
	return len(name) <= maxTypeName && typeForm.MatchString(name) && !slices.Contains(notTypes, name)
}

// ParseType reads the file of a type, whose path is types/<name>.yaml or, for what the API made, store/types/<name>.yaml. What it says of other types is checked by
// Compile. Codes: too_complex, bad_text, syntax, unknown_key, bad_path, bad_type.
func ParseType(path string, text []byte) (*Type, *Problem) {
	t := &Type{path: path}
	if p := decodeYAML(path, text, t); p != nil {
		return nil, p
	}
	isNone := func(message string, args ...any) (*Type, *Problem) {
		return nil, &Problem{File: path, Code: "bad_type", Message: fmt.Sprintf(message, args...), Severity: SeverityError}
	}
	m := typePath.FindStringSubmatch(path)
	switch {
	case !GoodType(t.Name):
		return isNone("%q is no name of a type: letters, digits and _ that mean nothing else", t.Name)
	case m == nil || m[1] != t.Name:
		return nil, &Problem{File: path, Code: "bad_path", Message: fmt.Sprintf("the type %s belongs into types/%s.yaml", t.Name, t.Name), Severity: SeverityError}
	case t.Source != SourceStored && t.Source != SourceRequest:
		return isNone("source is %s or %s", SourceStored, SourceRequest)
	case len(t.Actions) == 0 || len(t.Actions) > maxActionsN:
		return isNone("a type has 1 to %d actions", maxActionsN)
	case len(t.Parents) > maxParentsN || len(t.Attributes) > maxAttributeN:
		return isNone("a type has at most %d parents and %d attributes", maxParentsN, maxAttributeN)
	case len(t.Doc) > maxDoc:
		return isNone("doc has at most %d bytes", maxDoc)
	}
	if what := t.wrong(); what != "" {
		return isNone("%s", what)
	}
	t.shapes = make(map[string]*Shape, len(t.Actions))
	for name, a := range t.Actions {
		t.shapes[name] = shapeOfContext(a.Context)
	}
	return t, nil
}

// wrong says what is wrong with the members of a type; "" is nothing.
func (t *Type) wrong() string {
	for _, p := range t.Parents {
		if !GoodType(p) {
			return fmt.Sprintf("%q is no name of a type that one could be in", p)
		}
	}
	for name, a := range t.Attributes {
		if what := wrongAttribute(name, a); what != "" {
			return what
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Actions)) {
		a := t.Actions[name]
		switch {
		case !actionForm.MatchString(name) || len(name) > maxTypeName:
			return fmt.Sprintf("%q is no name of an action: letters, digits and _ . / @ -, at most %d", name, maxTypeName)
		case !slices.Contains([]string{"", "read", "write", "destroy"}, a.Class):
			return fmt.Sprintf("the class of %s is read, write or destroy", name)
		case len(a.Context) > maxAttributeN || len(a.Doc) > maxDoc:
			return fmt.Sprintf("the action %s has at most %d members in its context, and a doc of at most %d bytes", name, maxAttributeN, maxDoc)
		}
		for member, c := range a.Context {
			if what := wrongAttribute(member, c); what != "" {
				return what
			}
			if !c.Type.scalar(c.Type.Of) {
				return fmt.Sprintf("%s of the action %s is a string, long, bool or decimal, or a set of them", member, name)
			}
		}
	}
	return t.wrongPrincipal()
}

func (t *Type) wrongPrincipal() string {
	if t.Principal == "" {
		return ""
	}
	a, ok := t.Attributes[t.Principal]
	switch {
	case t.Source != SourceStored:
		return "only a stored type can say who a principal is: whoever asks would say it otherwise"
	case !ok || a.Type.Set || a.Type.Of != TypeUser && a.Type.Of != TypeAgent:
		return "principal names an attribute of type User or Agent"
	}
	return ""
}

func wrongAttribute(name string, a Attribute) string {
	switch {
	case !typeForm.MatchString(name) || len(name) > maxTypeName || name == "__cedar":
		return fmt.Sprintf("%q is no name of an attribute: letters, digits and _, at most %d", name, maxTypeName)
	case a.Type.Of == "":
		return fmt.Sprintf("the attribute %s has no type", name)
	case len(a.Doc) > maxDoc:
		return fmt.Sprintf("the doc of %s has at most %d bytes", name, maxDoc)
	}
	return ""
}

// Path is the file that it came from.
func (t *Type) Path() string { return t.path }

// Action is the id of what is done, in Cedar: "<type>:<action>".
func (t *Type) Action(name string) string { return t.Name + ":" + name }

// Class is what an action counts as: read, write or destroy.
func (t *Type) Class(action string) string {
	if c := t.Actions[action].Class; c != "" {
		return c
	}
	return "destroy"
}

// ActionNames lists what is done with objects of the type, sorted.
func (t *Type) ActionNames() []string { return slices.Sorted(maps.Keys(t.Actions)) }

// Types lists the resource types of the bundle, by name.
func (s *Set) Types() []*Type {
	all := make([]*Type, 0, len(s.types))
	for _, name := range slices.Sorted(maps.Keys(s.types)) {
		all = append(all, s.types[name])
	}
	return all
}

// Type finds a resource type of the bundle; nil where there is none.
func (s *Set) Type(name string) *Type { return s.types[name] }

// permission is what Facts.Action asks for as a permission. An action of two segments whose first is the resource's type is of a resource type, and names the object
// between them; every other action is its own. "" is none: an id outside a segment's alphabet.
func (f Facts) permission() string { return PermissionOf(f.Action, f.Resource) }

// PermissionOf is the permission to do an action with a resource: "<type>:<id>:<action>" for a resource type's, the action itself for others. "" is none.
func PermissionOf(action string, resource UID) string {
	of, verb, ok := strings.Cut(action, ":")
	if !ok || of != resource.Type || strings.Contains(verb, ":") || of == "tool" || of == "attorn" {
		return action
	}
	if strings.Contains(resource.ID, ":") { // would be several segments, and perhaps another object's
		return ""
	}
	return of + ":" + resource.ID + ":" + verb
}

// typed takes the files that are types out of those of a bundle.
func (c *compiler) typed(path, text string) {
	t, p := ParseType(path, []byte(text))
	switch {
	case p != nil:
		c.bad(*p)
	case c.types[t.Name] != nil:
		c.bad(Problem{File: path, Code: "duplicate_type", Message: fmt.Sprintf("the type %s is in %s already", t.Name, c.types[t.Name].path)})
	case len(c.types) == maxTypes:
		c.bad(Problem{File: path, Code: "too_complex", Message: fmt.Sprintf("from here on the bundle has more than %d types", maxTypes)})
	default:
		c.types[t.Name] = t
	}
}

// related checks what types say of one another, when all are known.
func (c *compiler) related() {
	for _, name := range slices.Sorted(maps.Keys(c.types)) {
		t := c.types[name]
		for _, p := range t.Parents {
			c.known(t, p)
		}
		for _, a := range slices.Sorted(maps.Keys(t.Attributes)) {
			if of := t.Attributes[a].Type; !of.scalar(of.Of) && of.Of != TypeUser && of.Of != TypeAgent {
				c.known(t, of.Of)
			}
		}
	}
}

func (c *compiler) known(t *Type, other string) {
	if c.types[other] == nil {
		c.bad(Problem{File: t.path, Code: "unknown_type", Message: fmt.Sprintf("there is no type %s", other)})
	}
}

// ShapeOf is the shape of what the action of f is told, where it is one of a resource type of the bundle; else nil.
func (s *Set) ShapeOf(f Facts) *Shape {
	t := s.types[f.Resource.Type]
	verb, ok := strings.CutPrefix(f.Action, f.Resource.Type+":")
	if t == nil || !ok {
		return nil
	}
	return t.Shape(verb)
}
