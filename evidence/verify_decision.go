package evidence

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/policy"
)

// FactsContent is the form in which the facts of a decision are kept as content: without arguments and address, which are somebody's and can be
// erased. Verify puts them back from the details "args" and "ip" of the event.
func FactsContent(f policy.Facts) (Content, error) {
	f.Arguments, f.IP = nil, ""
	b, err := f.Bytes()
	return ContentOf(b), err
}

// checkFacts reads what the decision was made on and holds it to what the event and its chain say.
func (v *verifier) checkFacts() (string, error) {
	e := v.event
	raw, ok := v.content[e.Why.Facts]
	if !ok {
		return "", notShown("the facts of the decision are not in the pack")
	}
	f, err := policy.ParseFacts(raw)
	if err != nil {
		return "", err
	}
	if err := v.restore(&f); err != nil {
		return "", err
	}
	if f.Auth != nil && v.claims == nil && v.aCall() {
		return "", notShown("the token, which says how the person signed in, is not in the pack")
	}
	for _, m := range v.factMembers(f) {
		if !m.same {
			return "", wrong("the facts are of another %s than the event", m.name)
		}
	}
	if err := v.checkOwners(f); err != nil {
		return "", err
	}
	if err := v.checkShape(f); err != nil {
		return "", err
	}
	v.facts = &f
	return fmt.Sprintf("agree with the event on %d principals, the action and its arguments", len(f.Principals)), nil
}

// checkShape reads the definition of the tool that was called, by which policy reads its arguments.
func (v *verifier) checkShape(f policy.Facts) error {
	if f.Resource.Type != policy.TypeTool || f.Arguments == nil {
		return nil
	}
	definition, ok := v.content[v.event.Did.Pin]
	if !ok && !v.event.Did.Pin.IsZero() {
		return notShown("the definition of the tool is not in the pack")
	}
	shape, err := policy.ShapeOf(definition)
	v.shape = shape
	return err
}

// restore puts back what FactsContent took out, and compares what it did not.
func (v *verifier) restore(f *policy.Facts) error {
	e := v.event
	var args jsontext.Value
	ip := ""
	if e.Did.Args != nil || e.Did.Basis != "" { // of what a service asks, no arguments are empty ones
		raw, err := v.arguments()
		if err != nil {
			return err
		}
		args = raw
	}
	if e.Where.IP != nil {
		raw, ok := v.details["ip"]
		if !ok {
			return notShown("the address is not disclosed")
		}
		text, err := jsontext.AppendUnquote(nil, raw)
		if err != nil {
			return wrong("the address is no text")
		}
		ip = string(text)
	}
	if f.Arguments != nil && string(f.Arguments) != string(args) || f.IP != "" && f.IP != ip {
		return wrong("the facts are of other arguments or another address than the event")
	}
	f.Arguments, f.IP = args, ip
	return nil
}

type factMember struct {
	name string
	same bool
}

func (v *verifier) factMembers(f policy.Facts) []factMember {
	e := v.event
	var principals []policy.UID
	for _, h := range slices.Backward(e.Who.Chain) {
		principals = append(principals, principal(h.Sub))
	}
	if principals == nil {
		principals = []policy.UID{principal(e.Who.Sub)}
	}
	if e.Did.Subject != nil {
		return v.assertedMembers(f)
	}
	proof := ""
	if e.Who.Proof != nil {
		proof = e.Who.Proof.Type
	}
	lent, task := v.under().Delegation.String(), v.under().Task
	apart := time.Duration(f.Now-e.At) * time.Microsecond
	return []factMember{
		{"chain", slices.Equal(f.Principals, principals)},
		{"action", f.Action == e.Did.Action},
		{"group of actions", v.knownGroups(f)},
		{"resource", f.Resource == policy.UID{Type: e.Did.Resource.Type, ID: e.Did.Resource.ID}},
		{"instance", f.Actor.Instance == e.Who.Instance.String()},
		{"proof", f.Actor.Proof == proof},
		{"delegation", f.Delegation.ID == lent && f.Delegation.Task == task},
		{"moment", -held <= apart && apart <= held},
		{"sign-in", v.sameSignIn(f)},
	}
}

// assertedMembers are those of a decision about somebody who showed nothing: whoever asked says that they act.
func (v *verifier) assertedMembers(f policy.Facts) []factMember {
	e := v.event
	apart := time.Duration(f.Now-e.At) * time.Microsecond
	return []factMember{
		{"chain", slices.Equal(f.Principals, []policy.UID{{Type: e.Did.Subject.Type, ID: e.Did.Subject.ID}})},
		{"action", f.Action == e.Did.Action},
		{"group of actions", v.knownGroups(f)},
		{"resource", f.Resource == policy.UID{Type: e.Did.Resource.Type, ID: e.Did.Resource.ID}},
		{"proof", f.Actor == policy.Actor{} && f.Delegation == policy.Lent{} && f.Auth == nil},
		{"moment", -held <= apart && apart <= held},
	}
}

// knownGroups holds the groups of an action to those of one of the classes that there are.
func (v *verifier) knownGroups(f policy.Facts) bool {
	return slices.ContainsFunc([]string{"read", "write", "destroy"}, func(class string) bool {
		return slices.Equal(f.ActionParents, policy.ActionParents(f.Action, class))
	})
}

// sameSignIn holds the facts about the person's sign-in to the token.
func (v *verifier) sameSignIn(f policy.Facts) bool {
	if f.Auth == nil || v.claims == nil {
		return true
	}
	level, _ := strings.CutPrefix(v.claims.ACR, "urn:attorn:acr:")
	acr, _ := strconv.ParseInt(level, 10, 64) // what is no level is 0: unknown
	age := f.Now/1e6 - v.claims.AuthTime
	return f.Auth.ACR <= acr && f.Auth.Age >= age-int64(held/time.Second)
}

func principal(sub string) policy.UID {
	if strings.HasPrefix(sub, "usr_") {
		return policy.UID{Type: policy.TypeUser, ID: sub}
	}
	return policy.UID{Type: policy.TypeAgent, ID: sub}
}

// checkOwners holds the owners that the facts name, who may not vote, to the agents' registrations.
func (v *verifier) checkOwners(f policy.Facts) error {
	for _, p := range f.Principals {
		agent, err := id.Parse[id.Agent](p.ID)
		if p.Type != policy.TypeAgent || err != nil {
			continue
		}
		i := slices.IndexFunc(f.Entities, func(e policy.Entity) bool { return e.UID == p })
		named, _ := f.Entities[i].Attrs["owner"].(policy.UID) // ParseFacts: every principal has an entity
		owner, ok := v.owner(agent)
		switch {
		case !ok:
			return notShown("the registration of %s is not in the pack", agent)
		case named != policy.UID{Type: policy.TypeUser, ID: owner.String()}:
			return wrong("the facts name another owner of %s than its registration", agent)
		}
	}
	return nil
}

// checkBundle compiles the policies that decided and looks for their publication.
func (v *verifier) checkBundle() (string, error) {
	why := v.event.Why
	if why.Engine != policy.Engine {
		return "", notShown("decided by %s; this verifier has %s", why.Engine, policy.Engine)
	}
	raw, ok := v.content[why.Bundle]
	if !ok {
		return "", notShown("the policies that decided are not in the pack")
	}
	var sums map[string]id.Digest
	if err := jose.Decode(raw, &sums, jose.Limits{Bytes: maxManifest, Values: maxFiles}); err != nil {
		return "", err
	}
	var files []policy.File
	for path, sum := range sums {
		text, ok := v.content[sum]
		if !ok {
			return "", notShown("the policy file %s is not in the pack", path)
		}
		files = append(files, policy.File{Path: path, Text: text})
	}
	set, problems := policy.Compile(files)
	if set == nil {
		return "", wrong("the policies do not compile: %s", problems[0])
	}
	if set.Digest() != why.Bundle {
		return "", wrong("the policies are not those of the bundle %s", why.Bundle)
	}
	published := v.last(func(e *entry) bool { return e.Kind == PolicyPublished && e.Rev < why.AsOf })
	switch {
	case published == nil:
		return "", notShown("the publication of the bundle is not in the pack")
	case published.What.Bundle != why.Bundle:
		return "", wrong("the bundle published last before the decision, at #%d, is another one", published.Rev)
	}
	v.set = set
	if v.facts != nil {
		v.shape = cmp.Or(v.shape, set.ShapeOf(*v.facts))
	}
	return fmt.Sprintf("%s, published at #%d", why.Bundle, published.Rev), nil
}

// checkApprovals finds the gates that asked, and for each the approval of exactly this call by enough people who could vote.
func (v *verifier) checkApprovals() (string, error) {
	if v.facts == nil || v.set == nil || len(v.event.Who.Chain) > 0 && v.aCall() && v.links == nil {
		return "", notShown("the facts, the policies or the chain are not in the pack")
	}
	v.judged = true
	refs := v.under().Approvals
	first := policy.Decide(v.set, v.shape, *v.facts, nil)
	gates := slices.DeleteFunc(first.Obligations, func(o policy.Obligation) bool { return o.Kind != policy.KindApprove })
	if len(refs) == 0 || first.Outcome == policy.Deny { // a denial is the next check's to report
		return fmt.Sprintf("%d gates asked, %d approvals were used", len(gates), len(refs)), nil
	}
	v.judged = false // until all of them hold
	for _, ref := range refs {
		i, err := v.gateOf(ref, gates)
		if err != nil {
			return "", err
		}
		voters, err := v.checkVotes(ref, gates[i])
		if err != nil {
			return "", err
		}
		v.lifts = append(v.lifts, policy.Lift{Gate: gates[i].Gate, Approval: ref.ID, Voters: voters})
		v.voted = append(v.voted, fmt.Sprintf("%s %d of %d", ref.ID.Short(), len(voters), gates[i].Quorum))
		gates = slices.Delete(gates, i, i+1)
	}
	v.judged = true
	return strings.Join(v.voted, ", ") + " by people who could vote, for exactly this call", nil
}

// gateOf makes again what was asked for each gate, and finds the one whose digest the approval has.
func (v *verifier) gateOf(ref ApprovalRef, gates []policy.Obligation) (int, error) {
	asked, err := ParseApproval(v.content[ref.Ask])
	if err != nil && v.content[ref.Ask] != nil {
		return 0, err
	}
	for i, o := range gates {
		want, err := v.approvalOf(o)
		if err != nil {
			return 0, err
		}
		if digest, err := want.Digest(); err == nil && digest == ref.Ask {
			return i, nil
		}
		if asked.Gate == o.Gate {
			return 0, wrong("the approval %s was given for another %s", ref.ID, want.differs(asked))
		}
	}
	return 0, wrong("the approval %s is for no gate that asked", ref.ID)
}

// approvalOf is what people had to be asked for this event and gate.
func (v *verifier) approvalOf(o policy.Obligation) (Approval, error) {
	e := v.event
	args, err := v.arguments()
	if err != nil {
		return Approval{}, err
	}
	a := Approval{
		Issuer: v.pack.Issuer, Workspace: e.workspace, Gate: o.Gate, GateSHA256: o.GateSHA256, Flow: o.Flow, FlowSHA256: id.Sum([]byte(o.Flow)),
		Actor: e.Who.Sub, Task: v.under().Task, Action: e.Did.Action, Resource: e.Did.Resource, Pin: e.Did.Pin, Binds: o.Binds, ArgsSHA256: id.Sum(args), Call: e.Did.Digest,
	}
	if len(e.Who.Chain) > 0 {
		if a.Subject, err = id.Parse[id.User](e.Who.Chain[0].Sub); err != nil {
			return Approval{}, wrong("the chain does not begin with a person")
		}
	}
	for _, l := range v.links {
		digest, err := l.Statement.Digest()
		if err != nil {
			return Approval{}, err
		}
		a.Chain = append(a.Chain, digest)
	}
	return a, nil
}

// checkVotes verifies the ballots of an approval and returns their voters.
func (v *verifier) checkVotes(ref ApprovalRef, o policy.Obligation) ([]policy.UID, error) {
	var voters []policy.UID
	latest := int64(0)
	for _, d := range ref.Votes {
		raw, ok := v.content[d]
		if !ok {
			return nil, notShown("a vote on %s is not in the pack", ref.ID)
		}
		b, err := ParseBallot(string(raw))
		if err != nil {
			return nil, err
		}
		if err := b.Verify(v.key); err != nil {
			return nil, fault.Wrap(err, fault.Denied, fault.Code(err), "a vote on %s: %s", ref.ID, err.Error())
		}
		if err := v.voteIsOn(b, ref); err != nil {
			return nil, err
		}
		if err := v.signedAt("the count of a vote on "+ref.ID.String(), b.Kid(), b.Rev); err != nil {
			return nil, err
		}
		if _, err := v.personKey(b.Vote.Voter, b.Key); err != nil {
			return nil, err
		}
		voter := principal(b.Vote.Voter.String())
		if slices.Contains(voters, voter) {
			return nil, wrong("%s voted twice on %s", voter.ID, ref.ID)
		}
		if err := policy.Eligible(v.set, o, v.entityOf(voter), v.facts.Excluded()); err != nil {
			return nil, fault.Wrap(err, fault.Denied, fault.Code(err), "the vote of %s on %s: %s", voter.ID, ref.ID, err.Error())
		}
		voters, latest = append(voters, voter), max(latest, b.At)
	}
	switch {
	case len(voters) < o.Quorum:
		return nil, wrong("%s has %d votes, its gate wants %d", ref.ID, len(voters), o.Quorum)
	case v.event.At > latest+o.TTL.Microseconds():
		return nil, wrong("%s was used later than %s after it was given", ref.ID, o.TTL)
	}
	slices.SortFunc(voters, func(a, b policy.UID) int { return cmp.Compare(a.ID, b.ID) })
	return voters, nil
}

// voteIsOn holds a vote to the approval that it is counted for.
func (v *verifier) voteIsOn(b Ballot, ref ApprovalRef) error {
	vote := b.Vote
	switch {
	case vote.Issuer != v.pack.Issuer || vote.Workspace != v.event.workspace:
		return wrong("a vote on %s is of another issuer or workspace", ref.ID)
	case vote.Vote != Approve:
		return wrong("%s voted against %s", vote.Voter, ref.ID)
	case vote.Asks[0].ID != ref.ID || vote.Asks[0].Object != ref.Ask:
		return wrong("the vote of %s is on something else than %s", vote.Voter, ref.ID)
	case vote.For != nil:
		return wrong("%s votes in another's place, which this version does not know", vote.Voter)
	case b.Rev >= v.event.Rev || b.At > v.event.At:
		return wrong("the vote of %s was counted only after the act", vote.Voter)
	}
	return nil
}

// entityOf is what the facts know of a voter, with all that they are in.
func (v *verifier) entityOf(uid policy.UID) policy.Entity {
	out := policy.Entity{UID: uid}
	for next := []policy.UID{uid}; len(next) > 0; next = next[1:] {
		i := slices.IndexFunc(v.facts.Entities, func(e policy.Entity) bool { return e.UID == next[0] })
		if i < 0 {
			continue
		}
		for _, p := range v.facts.Entities[i].Parents {
			if !slices.Contains(out.Parents, p) {
				out.Parents = append(out.Parents, p)
				next = append(next, p)
			}
		}
	}
	return out
}

// checkDecision decides again.
func (v *verifier) checkDecision() (string, error) {
	if !v.judged {
		return "", notShown("the facts, the policies or the approvals are not in the pack")
	}
	e := v.event
	if e.Outcome == Deny && !slices.Contains(policyCodes(), e.Why.Code) {
		return "", notShown("refused with %s, which policy does not decide", e.Why.Code)
	}
	want := e.Outcome
	if want == OK { // an act of attorn's own API, done because it was permitted
		want = Permit
	}
	d := policy.Decide(v.set, v.shape, *v.facts, v.lifts)
	switch {
	case want == Deny && e.Why.Code == policy.CodeUnmeetable && d.Outcome == policy.Ask:
		return "", notShown("refused because too few people could approve, which the server knows")
	case string(d.Outcome) != string(want):
		return "", wrong("policy says %s, not %s: %s", d.Outcome, want, d.Message)
	case d.Outcome == policy.Deny && d.Code != e.Why.Code:
		return "", wrong("policy denies with %s, not with %s", d.Code, e.Why.Code)
	case !slices.Equal(d.Waived, slices.Sorted(slices.Values(e.Why.Waived))):
		return "", wrong("the gates that were lifted are others than the event says")
	}
	return fmt.Sprintf("made again: %s", d.Outcome), nil
}

// policyCodes are the refusals that policy.Decide makes.
func policyCodes() []string {
	return []string{
		policy.CodeForbidden, policy.CodePolicyError, policy.CodeNoPermit, policy.CodeUnmeetable, policy.CodeSchema, policy.CodeArgsTooLarge,
	}
}
