package policy

import (
	"bytes"
	"errors"
	"io"
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
}

// newRequest expects f to be checked. args becomes context.args unless nil.
func newRequest(f Facts, args types.Value) request {
	r := request{
		entities: make(types.EntityMap, len(f.Entities)+1),
		action:   types.NewEntityUID("Action", types.String(f.Action)),
		resource: entityUID(f.Resource),
		context:  contextOf(f),
	}
	for _, e := range f.Entities {
		c := e.cedar()
		r.entities[c.UID] = c
	}
	groups := make([]types.EntityUID, len(f.ActionParents))
	for i, p := range f.ActionParents {
		groups[i] = types.NewEntityUID("Action", types.String(p))
	}
	r.entities[r.action] = types.Entity{UID: r.action, Parents: types.NewEntityUIDSet(groups...)}
	if args != nil {
		r.context["args"] = args
	}
	r.shared = append(entityKeys('a', r.action, groups), entityKeys('r', r.resource, ancestors(r.entities, r.resource))...)
	return r
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
		"actor": types.NewRecord(actor), "chain": types.NewSet(chain...), "facts": types.NewRecord(facts), "perm": perm(f.Action),
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

// perm is the action split at ":"; n is 0 for what is no permission.
func perm(action string) types.Value {
	segments := segmentsOf(action)
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
)

// project turns arguments in RFC 8785 form into a Cedar value, as the package comment says. Codes: schema, args_too_large.
func project(raw jsontext.Value) (types.Value, error) {
	p := projector{dec: jsontext.NewDecoder(bytes.NewReader(raw))}
	v, err := p.value(1)
	switch {
	case errors.Is(err, errTooLarge):
		return nil, fault.New(fault.Invalid, "args_too_large",
			"the arguments are nested more than %d deep, or have more than %d attributes or %d array elements", maxArgDepth, maxAttributes, maxElements)
	case errors.Is(err, errInteger):
		return nil, fault.New(fault.Invalid, "schema", "an argument is an integer beyond 64 bits")
	case err != nil && !errors.Is(err, io.EOF):
		return nil, fault.Wrap(err, fault.Invalid, "schema", "the arguments are not JSON")
	}
	return v, nil
}

type projector struct {
	dec                  *jsontext.Decoder
	attributes, elements int
}

// value reads one value; nil is one that Cedar cannot hold.
func (p *projector) value(depth int) (types.Value, error) {
	t, err := p.dec.ReadToken()
	if err != nil {
		return nil, err
	}
	switch t.Kind() {
	case '"':
		return types.String(t.String()), nil
	case 't', 'f':
		return types.Boolean(t.Bool()), nil
	case '0':
		return number(t.String())
	case '{', '[':
		if depth > maxArgDepth {
			return nil, errTooLarge
		}
		if t.Kind() == '{' {
			return p.object(depth)
		}
		return p.array(depth)
	}
	return nil, nil // null
}

func (p *projector) object(depth int) (types.Value, error) {
	m := types.RecordMap{}
	for p.dec.PeekKind() != '}' {
		name, err := p.dec.ReadToken()
		if err != nil {
			return nil, err
		}
		key := types.String(name.String()) // before the next read, which voids the token
		if p.attributes++; p.attributes > maxAttributes {
			return nil, errTooLarge
		}
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		if v != nil {
			m[key] = v
		}
	}
	_, err := p.dec.ReadToken()
	return types.NewRecord(m), err
}

func (p *projector) array(depth int) (types.Value, error) {
	var all []types.Value
	for {
		switch p.dec.PeekKind() {
		case ']':
			_, err := p.dec.ReadToken()
			return types.NewSet(all...), err
		case '{', '[':
			p.attributes++
		}
		if p.elements++; p.elements > maxElements || p.attributes > maxAttributes {
			return nil, errTooLarge
		}
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		if v != nil {
			all = append(all, v)
		}
	}
}

// number reads a number in RFC 8785's form, where an integer has neither point nor exponent below 10^21 and a positive exponent from there on.
func number(text string) (types.Value, error) {
	switch {
	case strings.Contains(text, "e-"): // below 10^-6
		return nil, nil
	case strings.Contains(text, "e"):
		return nil, errInteger
	case strings.Contains(text, "."):
		if d, err := types.ParseDecimal(text); err == nil {
			return d, nil
		}
		return nil, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, errInteger
	}
	return types.Long(n), nil
}
