package policy

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/go-json-experiment/json/jsontext"
)

// CedarText prints every policy of a set that has one file, in the order of the file.
func CedarText(s *Set) string {
	var all []*compiled
	for _, p := range s.byID {
		all = append(all, p)
	}
	at := func(c *compiled) int { return c.policy.Position().Offset }
	slices.SortFunc(all, func(a, b *compiled) int { return cmp.Compare(at(a), at(b)) })
	var out [][]byte
	for _, p := range all {
		out = append(out, p.policy.MarshalCedar())
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
	r := newRequest(f, nil)
	keys := r.keys(entityUID(f.Principals[0]))
	return len(s.rules.lookup(nil, keys, r.shared)) + len(s.gates.lookup(nil, keys, r.shared))
}

// Project shows arguments as Cedar would write them.
func Project(raw []byte) (string, error) {
	v, err := project(jsontext.Value(raw))
	if err != nil {
		return "", err
	}
	return string(v.(types.Record).MarshalCedar()), nil
}

// CedarRequest is a request in Cedar's own types, for one of its principals.
func CedarRequest(f Facts, i int) (types.Request, types.EntityMap) {
	var args types.Value
	if f.Arguments != nil {
		args, _ = project(f.Arguments)
	}
	r := newRequest(f, args)
	return types.Request{Principal: entityUID(f.Principals[i]), Action: r.action, Resource: r.resource, Context: types.NewRecord(r.context)}, r.entities
}

// IsForbid reports whether id names a forbid of s.
func IsForbid(s *Set, id string) bool { return s.byID[id].forbid }
