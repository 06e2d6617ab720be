package policy

import (
	"slices"

	xast "github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/eval"
)

// Visible reports whether the request could be permitted with some arguments; those of f are not looked at. For every principal a permit must
// survive, and no hard forbid may match or err whatever the arguments are. Gates hide nothing. It errs on the side of showing where the
// arguments decide, which is harmless: every call is decided for itself.
func Visible(s *Set, f Facts) bool {
	return partially(s, f, &s.rules, func(found []partial) bool {
		permit := false
		for _, p := range found {
			switch {
			case p.forbid && (p.verdict == surely || p.verdict == errs):
				return false
			case !p.forbid && (p.verdict == surely || p.verdict == perhaps):
				permit = true
			}
		}
		return permit
	})
}

// MayAsk reports whether a gate could apply to the request with some arguments; those of f are not looked at. It errs on the side of saying so:
// where it is false, no arguments lead to an obligation.
func MayAsk(s *Set, f Facts) bool {
	return !partially(s, f, &s.gates, func(found []partial) bool {
		return !slices.ContainsFunc(found, func(p partial) bool { return p.verdict != never })
	})
}

// partial is a policy and what is known of it before the arguments are.
type partial struct {
	*compiled
	verdict verdict
}

// partially hands every principal's policies of an index to holds, and reports whether it held for all of them. Facts that break a rule of
// their form hold for nothing.
func partially(s *Set, f Facts, in *index, holds func([]partial) bool) bool {
	f.Arguments = nil
	if f.check() != nil {
		return false
	}
	r := newRequest(s, nil, &f, eval.Variable("args"))
	env := eval.Env{Entities: &r.entities, Action: r.action.self, Resource: r.resource.self, Context: r.context(allMembers)}
	for _, p := range f.Principals {
		principal := entityUID(p)
		env.Principal = principal
		var found []partial
		q := r.about(principal)
		policies := in.lookup(nil, &q)
		if in == &s.rules {
			scoped, maybe := s.roles.loose(r, &q)
			policies = append(policies, scoped...)
			for _, c := range maybe {
				if survives(env, c) == surely {
					found = append(found, partial{c, perhaps})
				}
			}
		}
		for _, c := range policies {
			found = append(found, partial{c, survives(env, c)})
		}
		if !holds(found) {
			return false
		}
	}
	return true
}

// verdict is what is known of a policy before the arguments are.
type verdict int

const (
	never   verdict = iota // does not match, nor does a forbid err
	perhaps                // the arguments decide
	surely                 // matches
	errs                   // errs
)

func survives(env eval.Env, c *compiled) verdict {
	p := *c.ast
	if c.whole { // cedar-go would compare the unknown inside the context as a value
		p.Conditions = nil
	}
	left, keep := eval.PartialPolicy(env, &p)
	switch {
	case !keep && c.forbid:
		return undecided(env, p, c.args)
	case !keep:
		return never
	case c.whole:
		return perhaps
	case len(left.Conditions) == 0:
		return surely
	}
	_, failed := eval.ToPartialError(left.Conditions[len(left.Conditions)-1].Body)
	switch {
	case !failed:
		return perhaps
	case len(left.Conditions) == 1:
		return errs
	case c.forbid: // first a condition that the arguments decide, then an error
		return perhaps
	}
	return never
}

// undecided is the verdict on a forbid that cannot match: conditions are tried in order, so one that the arguments decide may err before the
// one that is false is reached; and one that speaks of arguments may not type for what the tool declares, whatever they are.
func undecided(env eval.Env, p xast.Policy, args bool) verdict {
	conditions := p.Conditions
	for i := range conditions {
		p.Conditions = conditions[:i]
		left, keep := eval.PartialPolicy(env, &p)
		if !keep {
			return never
		}
		if args || len(left.Conditions) > 0 {
			return perhaps
		}
	}
	return never
}
