package policy

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/fault"
)

// request is a checked Facts in Cedar's terms. Along the chain only the principal changes. It serves one decision at a time.
type request struct {
	set              *Set
	facts            *Facts
	shape            *Shape
	args             types.Value // nil: there are none
	perm             permRecord
	entities         entities
	action, resource axis
}

// newRequest expects f to be checked. args, which have the shape, become context.args unless nil.
func newRequest(s *Set, shape *Shape, f *Facts, args types.Value) *request {
	r := &request{set: s, facts: f, shape: shape, args: args, perm: s.perms.of(f.permission())}
	r.entities.init(s, f)
	r.action = newAxis('a', r.entities.action)
	r.resource = newAxis('r', r.entities.above(entityUID(f.Resource)))
	return r
}

// about is the request about one principal.
func (r *request) about(principal types.EntityUID) asking {
	return asking{[3]axis{newAxis('p', r.entities.above(principal)), r.action, r.resource}}
}

// contextSet is a set of members of the context.
type contextSet uint16

const (
	memberActor contextSet = 1 << iota
	memberSubject
	memberChain
	memberDelegation
	memberAuth
	memberFacts
	memberPerm
	memberArgs
	allMembers = 1<<iota - 1
)

// memberOf is the member of a name; 0 is none.
func memberOf(name types.String) contextSet {
	for i, n := range [...]types.String{"actor", "subject", "chain", "delegation", "auth", "facts", "perm", "args"} {
		if n == name {
			return 1 << i
		}
	}
	return 0
}

// context is the context, with those members that are asked for: it costs what is in it.
func (r *request) context(of contextSet) types.Record {
	of &= r.there()
	switch of {
	case 0:
		return types.Record{}
	case memberPerm:
		return r.perm.alone
	}
	f := r.facts
	c := make(types.RecordMap, 8)
	if of&memberActor != 0 {
		actor := types.RecordMap{
			"instance": types.String(f.Actor.Instance), "origin": types.String(f.Actor.Origin), "proof": types.String(f.Actor.Proof),
		}
		if f.Principals[0].Type == TypeAgent {
			actor["agent"] = entityUID(f.Principals[0])
		}
		c["actor"] = types.NewRecord(actor)
	}
	if of&memberSubject != 0 {
		person, _ := f.Person()
		c["subject"] = entityUID(person)
	}
	if of&memberChain != 0 {
		var chain []types.Value
		for _, p := range f.Principals {
			if p.Type == TypeAgent {
				chain = append(chain, entityUID(p))
			}
		}
		c["chain"] = types.NewSet(chain...)
	}
	if of&memberDelegation != 0 {
		c["delegation"] = types.NewRecord(lentRecord(f.Delegation))
	}
	if of&memberAuth != 0 {
		c["auth"] = types.NewRecord(types.RecordMap{"acr": types.Long(f.Auth.ACR), "age": types.Long(f.Auth.Age)})
	}
	if of&memberFacts != 0 {
		facts := types.RecordMap{"now": types.NewDatetimeFromMillis(f.Now / 1000), "risk": types.Long(f.Risk)}
		if ip, err := types.ParseIPAddr(f.IP); err == nil { // checked: fails only for ""
			facts["ip"] = ip
		}
		c["facts"] = types.NewRecord(facts)
	}
	if of&memberPerm != 0 {
		c["perm"] = r.perm.perm
	}
	if of&memberArgs != 0 {
		c["args"] = r.args
	}
	return types.NewRecord(c)
}

// there are the members that the context of the request has.
func (r *request) there() contextSet {
	there := contextSet(allMembers)
	if _, ok := r.facts.Person(); !ok {
		there &^= memberSubject
	}
	if r.facts.Delegation == (Lent{}) {
		there &^= memberDelegation
	}
	if r.facts.Auth == nil {
		there &^= memberAuth
	}
	if r.args == nil {
		there &^= memberArgs
	}
	return there
}

func lentRecord(d Lent) types.RecordMap {
	lent := types.RecordMap{"id": types.String(d.ID), "depth": types.Long(d.Depth)}
	if d.Task != "" {
		lent["task"] = types.String(d.Task)
	}
	if d.Purpose != "" {
		lent["purpose"] = types.String(d.Purpose)
	}
	return lent
}

// perms keeps what permissions are as context.perm, bounded. Safe for concurrent use.
type perms struct {
	mu    sync.RWMutex
	known map[string]permRecord
}

// permRecord is a permission as context.perm, the context that has nothing else, and the group of all tools of its server.
type permRecord struct {
	perm, alone types.Record
	segments    []string
	group       string
}

const maxPerms = 4096

func (p *perms) of(permission string) permRecord {
	p.mu.RLock()
	r, ok := p.known[permission]
	p.mu.RUnlock()
	if ok {
		return r
	}
	segments := segmentsOf(permission)
	r.segments = segments
	if len(segments) > 2 && segments[0] == "tool" {
		r.group = "tool:" + segments[1] + ":*"
	}
	r.perm = perm(segments)
	r.alone = types.NewRecord(types.RecordMap{"perm": r.perm})
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil || len(p.known) >= maxPerms {
		p.known = map[string]permRecord{}
	}
	p.known[permission] = r
	return r
}

// perm are the segments of the permission asked for; n is 0 for what is no permission.
func perm(segments []string) types.Record {
	m := types.RecordMap{"n": types.Long(len(segments))}
	for i, name := range segmentNames {
		s := ""
		if i < len(segments) {
			s = segments[i]
		}
		m[name] = types.String(s)
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
	p := projector{dec: jsontext.NewDecoder(bytes.NewBuffer(raw), jsontext.AllowDuplicateNames(true)), open: open} // none is there twice: checked
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
