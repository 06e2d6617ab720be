package policy

import (
	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/eval"
)

// Visible reports whether the request could be permitted with some arguments; those of f are not looked at. For every principal a permit must
// survive, and no hard forbid may match or err whatever the arguments are. Gates hide nothing. It errs on the side of showing where the
// arguments decide, which is harmless: every call is decided for itself.
func Visible(s *Set, f Facts) bool {
	f.Arguments = nil
	if f.check() != nil {
		return false
	}
	r := newRequest(f, eval.Variable("args"))
	env := eval.Env{Entities: r.entities, Action: r.action, Resource: r.resource, Context: types.NewRecord(r.context)}
	for _, p := range f.Principals {
		principal := entityUID(p)
		env.Principal = principal
		permit := false
		for _, c := range s.rules.lookup(nil, r.keys(principal), r.shared) {
			switch v := survives(env, c); {
			case c.forbid && (v == surely || v == errs):
				return false
			case !c.forbid && (v == surely || v == perhaps):
				permit = true
			}
		}
		if !permit {
			return false
		}
	}
	return true
}

// verdict is what is known of a policy before the arguments are.
type verdict int

const (
	never   verdict = iota // does not match; for some arguments it may err instead
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
