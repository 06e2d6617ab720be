package policy

import (
	"fmt"
	"slices"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
)

// Kind is how a gate is lifted.
type Kind string

// The kinds of gates.
const (
	KindApprove Kind = "approve" // by people's votes
	KindStepUp  Kind = "stepup"  // by a better or fresher sign-in, or a stronger proof
)

// Obligation is a gate that stands between a request and its permit.
type Obligation struct {
	Gate       string
	GateSHA256 id.Digest // of the policy's source, from its first annotation or effect to its ";"
	Kind       Kind
	Flow       string        // approve: "<n> of <role>"; its SHA-256 is that of this text
	Quorum     int           // approve: distinct people
	Role       string        // approve: which they must hold
	Binds      []string      // approve: what an approval is bound to: "args"
	TTL        time.Duration // approve: how long an approval may be used; it is used once
	StepUp     StepUp        // stepup
	Reason     string        // for people
}

// StepUp is what a gate wants of sign-in and proof; a zero field wants nothing.
type StepUp struct {
	ACR   int64         // at least
	Age   time.Duration // of the sign-in, less than
	Proof string        // exactly
}

// Lift is an approval for exactly this request. The caller has checked that it is live and bound to the request's digest; Decide checks again that its
// voters are eligible.
type Lift struct {
	Gate     string
	Approval id.Approval
	Voters   []UID
}

func (c *compiled) obligation() Obligation {
	reason := c.reason
	if reason == "" {
		reason = fmt.Sprintf("Policy %q asks for a step-up.", c.id)
		if c.gate.kind == KindApprove {
			reason = fmt.Sprintf("Policy %q asks for approval by %s.", c.id, c.gate.flow)
		}
	}
	return Obligation{
		Gate: c.id, GateSHA256: c.source, Kind: c.gate.kind, Flow: c.gate.flow, Quorum: c.gate.quorum, Role: c.gate.role,
		Binds: slices.Clone(c.gate.binds), TTL: c.gate.ttl, StepUp: c.gate.stepUp, Reason: reason,
	}
}

// Eligible says whether voter may vote on o: a person, nobody of excluded (see Facts.Excluded), holding the role, or one that inherits it, through Parents,
// which must be transitive here. The gate must be the one that s has. Codes: changed, four_eyes, not_eligible.
func Eligible(s *Set, o Obligation, voter Entity, excluded []UID) error {
	if c := s.byID[o.Gate]; c == nil || c.gate.kind != o.Kind || c.source != o.GateSHA256 {
		return fault.New(fault.Conflict, "changed", "the policy %q was changed or removed since this was asked", o.Gate)
	}
	return eligible(s, o, voter, excluded)
}

func eligible(s *Set, o Obligation, voter Entity, excluded []UID) error {
	switch {
	case o.Kind != KindApprove:
		return fault.New(fault.Denied, "not_eligible", "the policy %q is not lifted by votes", o.Gate)
	case voter.UID.Type != TypeUser:
		return fault.New(fault.Denied, "four_eyes", "only a person may vote")
	case slices.Contains(excluded, voter.UID):
		return fault.New(fault.Denied, "four_eyes", "who asks, for whom, and who owns an agent that asks may not vote on it").
			Try("ask another person with the role %s", o.Role)
	case !slices.ContainsFunc(s.Heirs(o.Role), func(heir string) bool { return slices.Contains(voter.Parents, UID{"Role", heir}) }):
		return fault.New(fault.Denied, "not_eligible", "voting on this takes the role %s", o.Role)
	}
	return nil
}

// Unmeetable reports whether fewer of the candidates could vote on o than its quorum wants. A step-up never is unmeetable in this sense.
func Unmeetable(s *Set, o Obligation, candidates []Entity, excluded []UID) bool {
	if o.Kind != KindApprove {
		return false
	}
	able := map[UID]bool{}
	for _, c := range candidates {
		if eligible(s, o, c, excluded) == nil {
			able[c.UID] = true
		}
	}
	return len(able) < o.Quorum
}

// satisfied reports whether l lifts o: its voters, as far as the facts know them, are enough distinct eligible people.
func (l Lift) satisfied(o Obligation, r *request) bool {
	var voters []Entity
	for _, v := range l.Voters {
		if r.entities.find(entityUID(v)) < 0 {
			continue
		}
		e := Entity{UID: v}
		for _, a := range r.entities.above(entityUID(v))[1:] {
			e.Parents = append(e.Parents, UID{string(a.Type), string(a.ID)})
		}
		voters = append(voters, e)
	}
	return l.Gate == o.Gate && o.Kind == KindApprove && !Unmeetable(r.set, o, voters, r.facts.Excluded())
}

// possible reports whether anybody on the chain could do what the step-up wants; met, whether it is done.
func (u StepUp) possible(f *Facts) bool {
	_, person := f.Person()
	return person || u.ACR == 0 && u.Age == 0
}

func (u StepUp) met(f *Facts) bool {
	var auth Auth
	if f.Auth != nil {
		auth = *f.Auth
	}
	return auth.ACR >= u.ACR &&
		(u.Age == 0 || f.Auth != nil && auth.Age < int64(u.Age/time.Second)) &&
		(u.Proof == "" || f.Actor.Proof == u.Proof)
}
