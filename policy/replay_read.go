package policy

import (
	"strings"

	"github.com/cedar-policy/cedar-go/types"
	xast "github.com/cedar-policy/cedar-go/x/exp/ast"
)

// looks says which parts of a request, beside who asks for what, policies look at.
type looks uint8

const (
	looksArgs looks = 1 << iota
	looksActor
	looksAuth
	looksDelegation
	looksNow
	looksIP
	looksRisk

	looksAll = looksArgs | looksActor | looksAuth | looksDelegation | looksNow | looksIP | looksRisk
)

// looksAt is what the policies look at that may be about a request: those that the index finds for its principals.
func (s *Set) looksAt(f Facts) (all looks) {
	r := newRequest(s, nil, &f, nil)
	for _, p := range f.Principals {
		q := r.about(entityUID(p))
		for held := range s.roles.of(&q) {
			if len(held.constrained(r)) > 0 { // which are policies on arguments as soon as there are any
				all |= looksArgs
			}
		}
		for _, c := range s.gates.lookup(s.roles.more(s.rules.lookup(nil, &q), r, &q), &q) {
			all |= c.looks()
		}
	}
	return all
}

// looks is what a policy looks at; more than it does where that is not plain.
func (p *compiled) looks() (all looks) {
	if p.whole {
		return looksAll
	}
	if p.gate.kind == KindStepUp {
		all |= looksActor | looksAuth
	}
	facts, inside := 0, 0
	for _, c := range p.ast.Conditions {
		xast.Inspect(xast.NewNode(c.Body), func(n xast.IsNode) bool {
			switch n := n.(type) {
			case xast.NodeTypeAccess:
				all |= member(n.Arg, n.Value, &facts, &inside)
			case xast.NodeTypeHas:
				all |= member(n.Arg, n.Value, &facts, &inside)
			}
			return true
		})
	}
	if facts != inside { // facts as a whole
		all |= looksNow | looksIP | looksRisk
	}
	return all
}

// member is what is looked at by naming a member of context, or one of context.facts. What is derived from who asks for what is not counted.
func member(of xast.IsNode, name types.String, facts, inside *int) looks {
	if v, ok := of.(xast.NodeTypeVariable); ok && v.Name == "context" {
		switch name {
		case "args":
			return looksArgs
		case "actor":
			return looksActor
		case "auth":
			return looksAuth
		case "delegation":
			return looksDelegation
		case "facts":
			*facts++
			return 0
		case "subject", "chain", "perm":
			return 0
		}
		return looksAll
	}
	a, ok := of.(xast.NodeTypeAccess)
	if !ok || a.Value != "facts" {
		return 0
	}
	if v, ok := a.Arg.(xast.NodeTypeVariable); !ok || v.Name != "context" {
		return 0
	}
	*inside++
	switch name {
	case "now":
		return looksNow
	case "ip":
		return looksIP
	case "risk":
		return looksRisk
	}
	return 0
}

// storedFacts are the parts of stored facts, as they stand there.
type storedFacts struct {
	action, parents, principals, entities, resource, actor, auth, delegation, now, risk, open string
}

// takeApart takes stored facts apart without reading what is in them; false for what Facts.Bytes does not write.
func takeApart(raw string) (m storedFacts, ok bool) {
	if !strings.HasPrefix(raw, "{") {
		return m, false
	}
	for at := 1; at < len(raw); at++ {
		end := strings.IndexByte(raw[at+1:], '"')
		if raw[at] != '"' || end < 0 {
			return m, false
		}
		name := raw[at+1 : at+1+end]
		at += end + 3
		if at > len(raw) || raw[at-1] != ':' {
			return m, false
		}
		n := valueEnd(raw[at:])
		if n <= 0 || at+n >= len(raw) {
			return m, false
		}
		if to := m.place(name); to != nil {
			*to = raw[at : at+n]
		} else if name != "v" {
			return m, false
		}
		if at += n; raw[at] == '}' {
			return m, at == len(raw)-1
		} else if raw[at] != ',' {
			return m, false
		}
	}
	return m, false
}

func (m *storedFacts) place(name string) *string {
	switch name {
	case "action":
		return &m.action
	case "action_parents":
		return &m.parents
	case "principals":
		return &m.principals
	case "entities":
		return &m.entities
	case "resource":
		return &m.resource
	case "actor":
		return &m.actor
	case "auth":
		return &m.auth
	case "delegation":
		return &m.delegation
	case "now":
		return &m.now
	case "risk":
		return &m.risk
	case "open_arguments":
		return &m.open
	}
	return nil
}

// valueEnd is the length of the JSON value that raw begins with, which is known to be valid JSON.
func valueEnd(raw string) int {
	depth := 0
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			for i++; i < len(raw) && raw[i] != '"'; i++ {
				if raw[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',':
			if depth == 0 {
				return i
			}
		}
	}
	return -1
}
