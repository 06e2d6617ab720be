package policy

import (
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
)

// Shape is what policy sees of an action's arguments (policy.md §1): which there are, of which types, and which may be absent. It is immutable.
type Shape struct {
	args   argType // a record
	text   string
	digest id.Digest
	left   []string
}

// argKind is a type of Cedar's that an argument can have.
type argKind byte

const (
	argNone argKind = iota // has no form in Cedar: left out
	argLong
	argDecimal
	argBool
	argString
	argRecord
	argSet
)

// argType is the type of an argument, and what it holds.
type argType struct {
	kind     argKind
	nullable bool
	fields   map[string]argField // of a record
	element  *argType            // of a set
}

type argField struct {
	argType
	optional bool
}

// The bounds of a shape: what lies beyond them is left out.
const (
	maxRefs   = 8    // references and choices that lead to one another
	maxShapes = 4096 // types
)

// ShapeOf reads the definition of a tool or prompt (MCP, Tool.inputSchema, Prompt.arguments) that the catalogue accepted; nil is that of reading a resource, whose one
// argument is its uri. What Cedar has no type for is left out, and said in LeftOut. Codes: malformed, too_large, schema.
func ShapeOf(definition []byte) (*Shape, error) {
	if definition == nil {
		return newShape(argType{kind: argRecord, fields: map[string]argField{"uri": {argType{kind: argString}, false}}}, nil), nil
	}
	var d struct {
		InputSchema jsontext.Value `json:"inputSchema"`
		Arguments   []struct {
			Name     string `json:"name"`
			Required bool   `json:"required"`
		} `json:"arguments"`
	}
	if err := jose.DecodeForeign(definition, &d, jose.Limits{Bytes: 1 << 20, Depth: 64, Values: 100_000}); err != nil {
		return nil, err
	}
	r := shapeReader{}
	args := argType{kind: argRecord, fields: map[string]argField{}}
	for _, a := range d.Arguments {
		args.fields[a.Name] = argField{argType{kind: argString}, !a.Required}
	}
	if d.InputSchema != nil {
		if err := jose.DecodeForeign(d.InputSchema, &r.root, jose.Limits{Bytes: 1 << 20, Depth: 64, Values: 100_000}); err != nil {
			return nil, err
		}
		if args = r.typeOf(r.root, "", 0); args.kind != argRecord {
			return nil, fault.New(fault.Invalid, "schema", "the input schema is of no object")
		}
	}
	return newShape(args, r.left), nil
}

func newShape(args argType, left []string) *Shape {
	var b strings.Builder
	args.write(&b)
	slices.Sort(left)
	return &Shape{args, b.String(), id.Sum([]byte(b.String())), slices.Compact(left)}
}

// String is the type of context.args in the notation of Cedar's schemas.
func (s *Shape) String() string { return s.text }

// LeftOut lists the arguments that policy does not see, as paths: digests still cover them.
func (s *Shape) LeftOut() []string { return slices.Clone(s.left) }

// kindAt is the kind of the argument at a path of names; argNone for one that policy does not see.
func (s *Shape) kindAt(path ...string) argKind {
	if s == nil {
		return argNone
	}
	t := s.args
	for _, name := range path {
		t = t.fields[name].argType
	}
	return t.kind
}

func (t argType) write(b *strings.Builder) {
	switch t.kind {
	case argLong:
		b.WriteString("Long")
	case argDecimal:
		b.WriteString("decimal")
	case argBool:
		b.WriteString("Bool")
	case argString:
		b.WriteString("String")
	case argSet:
		b.WriteString("Set<")
		t.element.write(b)
		b.WriteString(">")
	case argRecord:
		b.WriteString("{")
		sep := " "
		for _, name := range slices.Sorted(maps.Keys(t.fields)) {
			f := t.fields[name]
			if f.kind == argNone {
				continue
			}
			b.WriteString(sep)
			quoted, _ := jsontext.AppendQuote(nil, strings.ToValidUTF8(name, "�")) // cannot fail
			b.Write(quoted)
			if f.optional {
				b.WriteByte('?')
			}
			b.WriteString(": ")
			f.write(b)
			sep = ", "
		}
		b.WriteString(" }")
	}
}

// shapeReader reads a JSON Schema, of which it believes only what it understands.
type shapeReader struct {
	root  map[string]any
	left  []string
	types int // that were read
}

func (r *shapeReader) leave(path string) argType {
	r.left = append(r.left, path)
	return argType{}
}

// typeOf is the type of what a schema admits; argNone where Cedar has none for all of it.
func (r *shapeReader) typeOf(schema any, path string, depth int) argType {
	m, ok := schema.(map[string]any)
	if r.types++; !ok || r.types > maxShapes || depth > maxArgDepth+maxRefs {
		return r.leave(path)
	}
	if ref, ok := m["$ref"].(string); ok {
		target, found := r.resolve(ref)
		if !found {
			return r.leave(path)
		}
		return r.typeOf(target, path, depth+1) // a circle ends at the depth
	}
	names, nullable := typeNames(m)
	for _, word := range []string{"anyOf", "oneOf"} {
		if all, ok := m[word].([]any); ok && len(names) == 0 {
			return r.orNull(all, path, depth)
		}
	}
	if len(names) != 1 {
		return r.leave(path)
	}
	t := r.named(names[0], m, path, depth)
	t.nullable = nullable
	return t
}

// orNull reads a choice between one type and null; others are left out.
func (r *shapeReader) orNull(all []any, path string, depth int) argType {
	var one any
	null := false
	for _, a := range all {
		m, _ := a.(map[string]any)
		if names, nullable := typeNames(m); len(names) == 0 && nullable {
			null = true
		} else if one == nil {
			one = a
		} else {
			return r.leave(path)
		}
	}
	if one == nil {
		return r.leave(path)
	}
	t := r.typeOf(one, path, depth+1)
	t.nullable = t.nullable || null
	return t
}

// typeNames are the types that a schema names but null, by its word type or by all values that it lists.
func typeNames(m map[string]any) (names []string, nullable bool) {
	add := func(name string) {
		if name == "null" {
			nullable = true
		} else if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	switch t := m["type"].(type) {
	case string:
		add(t)
	case []any:
		for _, v := range t {
			name, _ := v.(string)
			add(name)
		}
	case nil:
		values, _ := m["enum"].([]any)
		if c, ok := m["const"]; ok {
			values = []any{c}
		}
		for _, v := range values {
			switch v.(type) {
			case nil:
				add("null")
			case string:
				add("string")
			case bool:
				add("boolean")
			default:
				add("") // a number in a list says nothing of the others
			}
		}
	}
	return names, nullable
}

func (r *shapeReader) named(name string, m map[string]any, path string, depth int) argType {
	switch name {
	case "integer":
		return argType{kind: argLong}
	case "number":
		return argType{kind: argDecimal}
	case "boolean":
		return argType{kind: argBool}
	case "string":
		return argType{kind: argString}
	case "object":
		return r.object(m, path, depth)
	case "array":
		if m["prefixItems"] != nil || m["items"] == nil {
			return r.leave(path)
		}
		element := r.typeOf(m["items"], path+"[]", depth+1)
		if element.kind == argNone || element.nullable {
			return r.leave(path)
		}
		return argType{kind: argSet, element: &element}
	}
	return r.leave(path)
}

// object reads a record. A mapping from any name is none. What else the schema says of it, in allOf or if, narrows what its properties may be.
func (r *shapeReader) object(m map[string]any, path string, depth int) argType {
	properties, ok := m["properties"].(map[string]any)
	if !ok && path != "" {
		return r.leave(path)
	}
	required, _ := m["required"].([]any)
	t := argType{kind: argRecord, fields: make(map[string]argField, len(properties))}
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		of := r.typeOf(properties[name], strings.TrimPrefix(path+"."+name, "."), depth+1)
		t.fields[name] = argField{of, !slices.Contains(required, any(name)) || of.nullable || of.uncertain()}
	}
	return t
}

// uncertain says that a value of the type may have no form in Cedar: a decimal beyond four places or out of range, also in a set.
func (t argType) uncertain() bool {
	return t.kind == argDecimal || t.kind == argSet && t.element.uncertain()
}

// resolve follows a pointer within the schema (RFC 6901).
func (r *shapeReader) resolve(ref string) (any, bool) {
	at, ok := strings.CutPrefix(ref, "#")
	if !ok {
		return nil, false
	}
	var here any = r.root
	for token := range jsontext.Pointer(at).Tokens() {
		m, ok := here.(map[string]any)
		if !ok {
			return nil, false
		}
		if here, ok = m[token]; !ok {
			return nil, false
		}
	}
	return here, true
}
