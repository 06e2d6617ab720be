package admin

import (
	"github.com/attorn/attorn/api"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
)

func addTrustRule(x *request, in api.NewTrustRule) (api.TrustRule, error) {
	r, _, err := x.Guard.AddTrustRule(x.ctx, x.caller, agents.TrustRule{
		Agent: in.Agent, Issuer: in.Issuer, Keys: agents.KeySource(in.Keys), KeySet: in.KeySet, AllowPrivate: in.AllowPrivate, Match: in.Match,
		InstanceTTL: in.InstanceTTL, MaxInstances: in.MaxInstances, KeysPerAssertion: in.KeysPerAssertion,
	})
	if err != nil {
		return api.TrustRule{}, err
	}
	return trustRuleOf(r), nil
}

func trustRules(x *request, _ none) (api.List[api.TrustRule], error) {
	var none api.List[api.TrustRule]
	agent, err := read(id.Parse[id.Agent], "agent", x.query.Get("agent"))
	if err != nil {
		return none, err
	}
	after, err := read(id.Parse[id.TrustRule], "after", x.query.Get("after"))
	if err != nil {
		return none, err
	}
	limit, err := x.limit()
	if err != nil {
		return none, err
	}
	found, err := x.Guard.TrustRules(x.ctx, x.caller, agent, after, limit)
	if err != nil {
		return none, err
	}
	return page(found, limit, trustRuleOf, func(r agents.TrustRule) string { return r.ID.String() }), nil
}

func (x *request) trustRule() (id.TrustRule, error) {
	return read(id.Parse[id.TrustRule], "id", x.path("id"))
}

func oneTrustRule(x *request, _ none) (api.TrustRule, error) {
	rule, err := x.trustRule()
	if err != nil {
		return api.TrustRule{}, err
	}
	r, err := x.Guard.TrustRule(x.ctx, x.caller, rule)
	if err != nil {
		return api.TrustRule{}, err
	}
	return trustRuleOf(r), nil
}

func removeTrustRule(x *request, _ none) (api.Done, error) {
	rule, err := x.trustRule()
	if err != nil {
		return api.Done{}, err
	}
	_, got, err := x.Guard.RemoveTrustRule(x.ctx, x.caller, rule)
	return api.Done{Event: got.ID, Rev: got.Rev}, err
}

func testTrust(x *request, in api.TestTrust) (api.TrustTested, error) {
	out := api.TrustTested{Rules: []api.TrustTried{}}
	tries, problem, err := x.Guard.TestTrust(x.ctx, x.caller, in.Assertion)
	if err != nil {
		return out, err
	}
	if problem != nil {
		out.Problem = problem.Error()
	}
	for _, t := range tries {
		tried := api.TrustTried{Rule: t.Rule.ID, Agent: t.Rule.Agent, Trusted: t.Problem == nil && t.Mismatch == "", Claim: t.Mismatch, Pattern: t.Rule.Match[t.Mismatch]}
		if t.Problem != nil {
			tried.Problem = whatFailed(t.Problem)
		}
		out.Rules = append(out.Rules, tried)
	}
	return out, nil
}

// whatFailed says to an administrator what its sender is not told.
func whatFailed(err error) string {
	if f := fault.Of(err); f != nil {
		if inner := fault.Of(f.Unwrap()); inner != nil {
			return f.Reason + ": " + inner.Reason
		}
	}
	return err.Error()
}

func trustRuleOf(r agents.TrustRule) api.TrustRule {
	digest, _ := r.Digest() // it was encoded when it was stored
	return api.TrustRule{
		ID: r.ID, Digest: digest, Agent: r.Agent, Issuer: r.Issuer, Keys: string(r.Keys), KeySet: r.KeySet, AllowPrivate: r.AllowPrivate, Match: r.Match,
		InstanceTTL: r.InstanceTTL, MaxInstances: r.MaxInstances, KeysPerAssertion: r.KeysPerAssertion, Created: when(r.CreatedAt),
	}
}
