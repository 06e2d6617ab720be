package policy

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/fault"
)

// request is a checked Facts in Cedar's terms. Along the chain only the principal changes.
type request struct {
	entities         types.EntityMap
	action, resource types.EntityUID
	context          types.RecordMap
	shared           []axisKey // of action and resource
	shape            *Shape
}

// newRequest expects f to be checked. args, which have the shape, become context.args unless nil.
func newRequest(s *Set, shape *Shape, f Facts, args types.Value) request {
	r := request{
		shape:    shape,
		entities: make(types.EntityMap, len(f.Entities)+1),
		action:   types.NewEntityUID("Action", types.String(f.Action)),
		resource: entityUID(f.Resource),
		context:  contextOf(f),
	}
	for _, e := range f.Entities {
		c := e.cedar()
		r.entities[c.UID] = c
	}
	s.roles.inherit(r.entities)
	groups := actionGroups(f)
	r.entities[r.action] = types.Entity{UID: r.action, Parents: types.NewEntityUIDSet(groups...)}
	if args != nil {
		r.context["args"] = args
	}
	r.shared = append(entityKeys('a', r.action, groups), entityKeys('r', r.resource, ancestors(r.entities, r.resource))...)
	return r
}

// actionGroups are the parents that the facts give the action and those that follow from its name, which denials are filed under.
func actionGroups(f Facts) []types.EntityUID {
	var groups []types.EntityUID
	add := func(name string) {
		if uid := types.NewEntityUID("Action", types.String(name)); !slices.Contains(groups, uid) {
			groups = append(groups, uid)
		}
	}
	for _, p := range f.ActionParents {
		add(p)
	}
	if segments := segmentsOf(f.Action); len(segments) > 2 && segments[0] == "tool" {
		add("tool:" + segments[1] + ":*")
	}
	return groups
}

// keys are those under which the index finds the policies for one principal.
func (r *request) keys(principal types.EntityUID) []axisKey {
	return entityKeys('p', principal, ancestors(r.entities, principal))
}

// ancestors lists everything that uid is in, by way of the entities that are known; uid itself if it is in a circle.
func ancestors(entities types.EntityMap, uid types.EntityUID) []types.EntityUID {
	var out []types.EntityUID
	known := map[types.EntityUID]bool{}
	for next := []types.EntityUID{uid}; len(next) > 0; {
		e := entities[next[0]]
		next = next[1:]
		for p := range e.Parents.All() {
			if !known[p] {
				known[p] = true
				out, next = append(out, p), append(next, p)
			}
		}
	}
	return out
}

func contextOf(f Facts) types.RecordMap {
	actor := types.RecordMap{
		"instance": types.String(f.Actor.Instance), "origin": types.String(f.Actor.Origin), "proof": types.String(f.Actor.Proof),
	}
	if f.Principals[0].Type == TypeAgent {
		actor["agent"] = entityUID(f.Principals[0])
	}
	var chain []types.Value
	for _, p := range f.Principals {
		if p.Type == TypeAgent {
			chain = append(chain, entityUID(p))
		}
	}
	facts := types.RecordMap{"now": types.NewDatetimeFromMillis(f.Now / 1000), "risk": types.Long(f.Risk)}
	if ip, err := types.ParseIPAddr(f.IP); err == nil { // checked: fails only for ""
		facts["ip"] = ip
	}
	c := types.RecordMap{
		"actor": types.NewRecord(actor), "chain": types.NewSet(chain...), "facts": types.NewRecord(facts), "perm": perm(f.permission()),
	}
	if person, ok := f.Person(); ok {
		c["subject"] = entityUID(person)
	}
	if d := f.Delegation; d != (Lent{}) {
		lent := types.RecordMap{"id": types.String(d.ID), "depth": types.Long(d.Depth)}
		if d.Task != "" {
			lent["task"] = types.String(d.Task)
		}
		if d.Purpose != "" {
			lent["purpose"] = types.String(d.Purpose)
		}
		c["delegation"] = types.NewRecord(lent)
	}
	if f.Auth != nil {
		c["auth"] = types.NewRecord(types.RecordMap{"acr": types.Long(f.Auth.ACR), "age": types.Long(f.Auth.Age)})
	}
	return c
}

// perm is the permission asked for split at ":"; n is 0 for what is no permission.
func perm(permission string) types.Value {
	segments := segmentsOf(permission)
	m := types.RecordMap{"n": types.Long(len(segments))}
	for i := range 8 {
		s := ""
		if i < len(segments) {
			s = segments[i]
		}
		m[types.String("s"+strconv.Itoa(i))] = types.String(s)
	}
	return types.NewRecord(m)
}

// The bounds of projected arguments. An attribute is a member of an object, or an object or array in an array. Cedar's sets compare
// colliding elements one by one and numbers collide at will, so arrays are bounded too.
const (
	maxArgDepth   = 8
	maxAttributes = 256
	maxElements   = 4096
)

var (
	errTooLarge = errors.New("args_too_large")
	errInteger  = errors.New("schema")
	errShape    = errors.New("shape")
)

// project turns arguments in RFC 8785 form into context.args as shape types them. Of those that it does not know, none may be there unless open. Codes: schema,
// args_too_large.
func project(shape *Shape, raw jsontext.Value, open bool) (types.Value, error) {
	p := projector{dec: jsontext.NewDecoder(bytes.NewReader(raw)), open: open}
	v, err := p.value(&shape.args, 1)
	switch {
	case errors.Is(err, errTooLarge):
		return nil, fault.New(fault.Invalid, "args_too_large",
			"the arguments are nested more than %d deep, or have more than %d attributes or %d array elements", maxArgDepth, maxAttributes, maxElements)
	case errors.Is(err, errInteger):
		return nil, fault.New(fault.Invalid, "schema", "an argument is an integer beyond 64 bits")
	case errors.Is(err, errShape):
		return nil, fault.New(fault.Invalid, "schema", "the arguments are not those that the tool's definition declares")
	case err != nil && !errors.Is(err, io.EOF):
		return nil, fault.Wrap(err, fault.Invalid, "schema", "the arguments are not JSON")
	}
	return v, nil
}

type projector struct {
	dec                  *jsontext.Decoder
	open                 bool
	attributes, elements int
}

// value reads one value; nil is one that has no form in Cedar. t is nil where nobody asks for one, and the limits count all the same.
func (p *projector) value(t *argType, depth int) (types.Value, error) {
	token, err := p.dec.ReadToken()
	if err != nil {
		return nil, err
	}
	kind := argNone
	if t != nil {
		kind = t.kind
	}
	var v types.Value
	is := argNone
	switch token.Kind() {
	case '"':
		v, is = types.String(token.String()), argString
	case 't', 'f':
		v, is = types.Boolean(token.Bool()), argBool
	case '0':
		v, is, err = number(kind, token.String())
	case '{', '[':
		if depth > maxArgDepth {
			return nil, errTooLarge
		}
		if token.Kind() == '{' {
			v, err = p.object(t, depth)
			is = argRecord
		} else {
			v, err = p.array(t, depth)
			is = argSet
		}
	case 'n':
		if kind != argNone && !t.nullable {
			return nil, errShape
		}
		return nil, nil
	}
	if err != nil || kind == argNone {
		return nil, err
	}
	if is != kind {
		return nil, errShape
	}
	return v, nil
}

func (p *projector) object(t *argType, depth int) (types.Value, error) {
	var fields map[string]argField
	if t != nil && t.kind == argRecord {
		fields = t.fields
	}
	m := types.RecordMap{}
	for p.dec.PeekKind() != '}' {
		name, err := p.dec.ReadToken()
		if err != nil {
			return nil, err
		}
		key := name.String() // before the next read, which voids the token
		if p.attributes++; p.attributes > maxAttributes {
			return nil, errTooLarge
		}
		f, known := fields[key]
		if !known && depth == 1 && !p.open {
			return nil, errShape
		}
		v, err := p.value(&f.argType, depth+1)
		if err != nil {
			return nil, err
		}
		if v != nil {
			m[types.String(key)] = v
		}
	}
	for name, f := range fields {
		if _, there := m[types.String(name)]; !there && !f.optional && f.kind != argNone {
			return nil, errShape
		}
	}
	_, err := p.dec.ReadToken()
	return types.NewRecord(m), err
}

// array reads a set; nil if one of its elements has no form in Cedar, for a set without it would say that it is not there.
func (p *projector) array(t *argType, depth int) (types.Value, error) {
	var element *argType
	if t != nil && t.kind == argSet {
		element = t.element
	}
	var all []types.Value
	whole := true
	for {
		switch p.dec.PeekKind() {
		case ']':
			_, err := p.dec.ReadToken()
			if !whole {
				return nil, err
			}
			return types.NewSet(all...), err
		case '{', '[':
			p.attributes++
		}
		if p.elements++; p.elements > maxElements || p.attributes > maxAttributes {
			return nil, errTooLarge
		}
		v, err := p.value(element, depth+1)
		if err != nil {
			return nil, err
		}
		whole = whole && v != nil
		all = append(all, v)
	}
}

// number reads a number in RFC 8785's form, where an integer has neither point nor exponent below 10^21 and a positive exponent from there on. A decimal that
// Cedar cannot hold has no form.
func number(kind argKind, text string) (types.Value, argKind, error) {
	switch kind {
	case argLong:
		if strings.Contains(text, "e-") || strings.Contains(text, ".") {
			return nil, argDecimal, nil
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, argLong, errInteger
		}
		return types.Long(n), argLong, nil
	case argDecimal:
		if strings.Contains(text, "e") {
			return nil, argDecimal, nil
		}
		if !strings.Contains(text, ".") {
			text += ".0"
		}
		if d, err := types.ParseDecimal(text); err == nil {
			return d, argDecimal, nil
		}
		return nil, argDecimal, nil
	}
	return nil, argLong, nil
}
