package policy

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// maxProperties bounds the attributes of an object, and what an action is told, in bytes.
const maxProperties = 16 << 10

// Entity is an object of the type as policy sees it. properties is a JSON object of its attributes: those that the type does not have are left out, as AuthZEN
// demands of what is unknown; a User or Agent is written as its id, an object of another type as its id there, a decimal as a number or as text. Codes: schema, where
// one is of another type or one that must be there is not; too_large, malformed.
func (t *Type) Entity(object string, parents []UID, properties jsontext.Value) (Entity, error) {
	e := Entity{UID: UID{t.Name, object}, Parents: parents}
	if err := e.UID.check(); err != nil {
		return e, err
	}
	for _, p := range parents {
		if !slices.Contains(t.Parents, p.Type) {
			return e, fault.New(fault.Invalid, "schema", "a %s is in no %s", t.Name, p.Type)
		}
	}
	given, err := members(properties)
	if err != nil {
		return e, err
	}
	e.Attrs = map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(t.Attributes)) {
		a := t.Attributes[name]
		raw, there := given[name]
		switch {
		case !there && a.Optional:
			continue
		case !there:
			return e, fault.New(fault.Invalid, "schema", "the %s has no %s", t.Name, name).Try("%s is a %s", name, a.Type)
		}
		if e.Attrs[name], err = a.Type.read(raw); err != nil {
			return e, fault.New(fault.Invalid, "schema", "%s of the %s is no %s", name, t.Name, a.Type)
		}
	}
	if len(e.Attrs) == 0 {
		e.Attrs = nil
	}
	return e, nil
}

// PrincipalOf is the person or agent that an object of the type stands for; ok is false where it stands for nobody.
func (t *Type) PrincipalOf(e Entity) (UID, bool) {
	u, ok := e.Attrs[t.Principal].(UID)
	return u, ok && t.Principal != ""
}

// Tags are what an object that stands for a principal says of it: its texts, as "<type>.<attribute>".
func (t *Type) Tags(e Entity) map[string]string {
	tags := map[string]string{}
	for name, v := range e.Attrs {
		if s, ok := v.(string); ok {
			tags[t.Name+"."+name] = s
		}
	}
	return tags
}

// Context is what an action is told, in the form of Facts.Arguments: of properties, a JSON object, those that the type declares for it. Whether they are of the right
// types and all there is Decide's to say. Codes: too_large, malformed.
func (t *Type) Context(action string, properties jsontext.Value) (jsontext.Value, error) {
	given, err := members(properties)
	if err != nil {
		return nil, err
	}
	declared := t.Actions[action].Context
	for name := range given {
		if _, ok := declared[name]; !ok {
			delete(given, name)
		}
	}
	if given == nil {
		given = map[string]jsontext.Value{}
	}
	raw, err := json.Marshal(given, json.Deterministic(true))
	if err != nil {
		return nil, err
	}
	return jose.CanonicalRaw(raw, argumentLimits())
}

// Shape is what an action of the type is told, as policy sees it; nil where the type has no such action.
func (t *Type) Shape(action string) *Shape { return t.shapes[action] }

func shapeOfContext(context map[string]Attribute) *Shape {
	kinds := map[string]argKind{"string": argString, "long": argLong, "bool": argBool, "decimal": argDecimal}
	args := argType{kind: argRecord, fields: make(map[string]argField, len(context))}
	for name, a := range context {
		of := argType{kind: kinds[a.Type.Of]}
		if a.Type.Set {
			of = argType{kind: argSet, element: &argType{kind: kinds[a.Type.Of]}}
		}
		args.fields[name] = argField{of, a.Optional || of.uncertain()}
	}
	return newShape(args, nil)
}

func members(properties jsontext.Value) (map[string]jsontext.Value, error) {
	var given map[string]jsontext.Value
	if len(properties) == 0 {
		return nil, nil
	}
	return given, jose.Decode(properties, &given, jose.Limits{Bytes: maxProperties, Depth: 16, Values: 1000})
}

// read reads a value of the type from JSON.
func (t ValueType) read(raw jsontext.Value) (any, error) {
	if !t.Set {
		return t.one(raw)
	}
	var all []jsontext.Value
	if err := json.Unmarshal(raw, &all); err != nil || raw.Kind() != '[' {
		return nil, errShape
	}
	values := make([]any, 0, len(all))
	for _, v := range all {
		one, err := t.one(v)
		if err != nil {
			return nil, err
		}
		values = append(values, one)
	}
	return values, nil
}

func (t ValueType) one(raw jsontext.Value) (any, error) {
	kind := raw.Kind()
	switch {
	case t.Of == "bool" && (kind == 't' || kind == 'f'):
		return kind == 't', nil
	case t.Of == "long" && kind == '0':
		n, err := strconv.ParseInt(string(raw), 10, 64)
		if err != nil || n < -maxInteger || n > maxInteger {
			return nil, errShape
		}
		return n, nil
	case t.Of == "decimal" && (kind == '0' || kind == '"'):
		return decimal(strings.Trim(string(raw), `"`))
	case kind != '"':
		return nil, errShape
	}
	text, err := jsontext.AppendUnquote(nil, raw)
	s := string(text)
	switch {
	case err != nil:
		return nil, errShape
	case t.Of == "string":
		return s, nil
	case t.scalar(t.Of):
		return nil, errShape
	}
	switch t.Of {
	case TypeUser:
		_, err = id.Parse[id.User](s)
	case TypeAgent:
		_, err = id.Parse[id.Agent](s)
	}
	u := UID{t.Of, s}
	if err == nil {
		err = u.check()
	}
	return u, err
}

func decimal(text string) (any, error) {
	if !strings.ContainsRune(text, '.') {
		text += ".0"
	}
	d, err := types.ParseDecimal(text)
	if err != nil {
		return nil, errShape
	}
	return Decimal(d.String()), nil
}
