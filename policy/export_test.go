package policy

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	cedar "github.com/cedar-policy/cedar-go"
	cedarast "github.com/cedar-policy/cedar-go/ast"
	"github.com/cedar-policy/cedar-go/types"
	"github.com/go-json-experiment/json/jsontext"
)

// CedarText prints every policy of a set that has one file, in the order of the file.
func CedarText(s *Set) string {
	var all []*compiled
	for _, p := range s.byID {
		all = append(all, p)
	}
	at := func(c *compiled) int { return c.ast.Position.Offset }
	slices.SortFunc(all, func(a, b *compiled) int { return cmp.Compare(at(a), at(b)) })
	var out [][]byte
	for _, p := range all {
		out = append(out, cedar.NewPolicyFromAST((*cedarast.Policy)(p.ast)).MarshalCedar())
	}
	return string(bytes.Join(out, []byte("\n\n")))
}

// Flat is s without its index: every policy is asked about every request.
func Flat(s *Set) *Set {
	flat := *s
	flat.rules, flat.gates = index{}, index{}
	for _, p := range s.byID {
		if p.gate.kind == "" {
			flat.rules.any = append(flat.rules.any, p)
		} else {
			flat.gates.any = append(flat.gates.any, p)
		}
	}
	return &flat
}

// Asked is the number of policies that the index has Cedar look at for the first principal.
func Asked(s *Set, f Facts) int {
	h := newHearing(newRequest(s, nil, &f, nil), entityUID(f.Principals[0]))
	return len(h.asked())
}

// Project shows arguments as Cedar would write them.
func Project(shape *Shape, raw []byte, open bool) (string, error) {
	v, err := project(shape, jsontext.Value(raw), open)
	if err != nil {
		return "", err
	}
	return string(v.(types.Record).MarshalCedar()), nil
}

// Like is a shape that the arguments of f fit: each has the type of its value. It is nil where f has none.
func Like(f Facts) *Shape {
	if f.Arguments == nil {
		return nil
	}
	d := jsontext.NewDecoder(bytes.NewReader(f.Arguments), jsontext.AllowDuplicateNames(true))
	t, err := like(d)
	if err != nil || t.kind != argRecord {
		t = argType{kind: argRecord}
	}
	return newShape(t, nil)
}

func like(d *jsontext.Decoder) (t argType, err error) {
	token, err := d.ReadToken()
	if err != nil {
		return t, err
	}
	switch token.Kind() {
	case '"':
		return argType{kind: argString}, nil
	case 't', 'f':
		return argType{kind: argBool}, nil
	case '0':
		if text := token.String(); strings.ContainsAny(text, ".") || strings.Contains(text, "e-") {
			return argType{kind: argDecimal}, nil
		}
		return argType{kind: argLong}, nil
	case '{':
		t = argType{kind: argRecord, fields: map[string]argField{}}
		for d.PeekKind() == '"' {
			name, _ := d.ReadToken()
			key := name.String()
			of, err := like(d)
			if err != nil {
				return t, err
			}
			t.fields[key] = argField{of, of.nullable || of.uncertain()}
		}
		_, err = d.ReadToken()
		return t, err
	case '[':
		t = argType{kind: argSet, element: &argType{kind: argString}}
		mixed := false
		for first := true; d.PeekKind() != ']'; first = false {
			of, err := like(d)
			if err != nil {
				return t, err
			}
			if !first && of.kind != t.element.kind {
				mixed = true
			}
			t.element = &of
		}
		if _, err = d.ReadToken(); mixed {
			return argType{}, err
		}
		return t, err
	}
	return argType{kind: argString, nullable: true}, nil
}

// CedarRequest is a request in Cedar's own types, for one of its principals, made apart from how Decide makes them.
func CedarRequest(f Facts, i int) (types.Request, types.EntityMap) {
	args, _ := arguments(Like(f), f)
	r := newRequest(&Set{perms: &perms{}}, nil, &f, args)
	entities := types.EntityMap{r.action.self: {UID: r.action.self, Parents: types.NewEntityUIDSet(r.action.in[1:]...)}}
	for _, e := range f.Entities {
		c := e.cedar(nil)
		entities[c.UID] = c
	}
	return types.Request{Principal: entityUID(f.Principals[i]), Action: r.action.self, Resource: r.resource.self, Context: r.context(allMembers)}, entities
}

// IsForbid reports whether id names a forbid of s.
func IsForbid(s *Set, id string) bool { return s.byID[id].forbid }

// Parted checks, for each principal, that every policy of s whose scope fits matches, or errs, exactly as its conditions do one by one; it says of which this is not so.
func Parted(s *Set, f Facts) (wrong []string) {
	args, err := arguments(Like(f), f)
	if err != nil {
		return nil
	}
	r := newRequest(s, Like(f), &f, args)
	for _, p := range f.Principals {
		h := newHearing(r, entityUID(p))
		for _, c := range s.byID {
			if near, _ := h.fits(c); near.missed != 0 {
				continue
			}
			if !h.types(c) {
				continue
			}
			matches, errs := h.says(c)
			for _, conditions := range [][]condition{s.conditions(c), made(c)} {
				all, failed := true, false
				for _, part := range conditions {
					ok, err := h.holds(part)
					failed = err != nil
					if all = ok; !ok {
						break
					}
				}
				if all != matches || failed != errs {
					wrong = append(wrong, c.id)
				}
			}
		}
	}
	return wrong
}

// Untyped is s as Cedar alone has it: every policy is evaluated, whether it types or not.
func Untyped(s *Set) *Set {
	loose := *s
	loose.byID = map[string]*compiled{}
	bare := func(in []*compiled) (out []*compiled) {
		for _, c := range in {
			p := *c
			p.args = false
			loose.byID[c.id] = &p
			out = append(out, &p)
		}
		return out
	}
	flat := Flat(s)
	loose.rules, loose.gates = index{any: bare(flat.rules.any)}, index{any: bare(flat.gates.any)}
	return &loose
}

// Pieces are the tokens and comments of a text, as Format keeps them.
func Pieces(text string) []string {
	var all []string
	for _, p := range pieces(text) {
		all = append(all, p.text)
	}
	return all
}

// Nearest is nearest.
func Nearest(word string, known []string) string { return nearest(word, known) }

// Kept is how many nodes of syntax trees are kept for scoped roles and constraints.
func Kept(s *Set) int {
	n := 0
	add := func(p *compiled) {
		if p != nil {
			more, _ := measure(p.ast, maxNodes)
			n += more
		}
	}
	for _, held := range s.roles.kept.scoped {
		for _, bucket := range held.rules.buckets {
			for _, p := range bucket {
				add(p)
			}
		}
	}
	for _, p := range s.roles.kept.wheres {
		add(p)
	}
	return n
}

// RolesType types strictly what the roles of the principals of f became for its action, with arguments of the shape.
func RolesType(s *Set, shape *Shape, f Facts) error {
	r := newRequest(s, shape, &f, nil)
	for _, p := range f.Principals {
		q := r.about(entityUID(p))
		for _, c := range s.roles.more(s.rules.lookup(nil, &q), r, &q) {
			if err := typeCheck(c, s.entities, actionOf(shape, &f, entityUID(p).Type)); err != nil {
				return fmt.Errorf("%s: %w\n%s", c.id, err, cedar.NewPolicyFromAST((*cedarast.Policy)(c.ast)).MarshalCedar())
			}
		}
	}
	return nil
}
