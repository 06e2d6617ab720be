package evidence_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/dpop"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/policy"
	"github.com/attorn/attorn/token"
)

// onStaging is a call that no gate asks about.
func onStaging(t testing.TB) *story {
	s := newStory(t)
	s.args, s.approved = `{"content":"v2","path":"staging/app.txt"}`, false
	return s
}

func alone(e *evidence.Event) {
	e.Who.Chain, e.Under.Delegation, e.Under.Statement, e.Under.Task = nil, id.Delegation{}, id.Digest{}, ""
}

func TestAnAgentForNobody(t *testing.T) {
	s := onStaging(t)
	s.claims = func(c *token.Claims) {
		c.Subject, c.Act, c.Delegation, c.Task, c.ACR, c.AuthTime = agent("deployer").String(), nil, id.Delegation{}, "", "", 0
	}
	s.facts = func(f *policy.Facts) { f.Principals, f.Auth, f.Delegation = f.Principals[:1], nil, policy.Lent{} }
	s.event = alone
	pack, trust := s.tell()
	if r := mustVerify(t, pack, trust); !r.OK() || !strings.Contains(r.String(), "acts for nobody else · signed by") {
		t.Error(r.Tree())
	}
	again := onStaging(t)
	again.claims, again.facts = s.claims, s.facts
	again.event = func(e *evidence.Event) {
		statement := e.Under.Statement
		alone(e)
		e.Under.Statement = statement
	}
	pack, trust = again.tell()
	if r := mustVerify(t, pack, trust); r.OK() || r.FirstFailure.Name != "chain" {
		t.Errorf("a statement and no chain: %s", r.Tree())
	}
}

func TestAPersonThemselves(t *testing.T) {
	s := onStaging(t)
	s.proofKey = s.priya
	s.claims = func(c *token.Claims) {
		c.Act, c.Delegation, c.Task, c.Session, c.JKT = nil, id.Delegation{}, "", "session", s.priya.Public().Thumbprint()
	}
	s.facts = func(f *policy.Facts) {
		f.Principals, f.Delegation, f.Actor = f.Principals[2:], policy.Lent{}, policy.Actor{Proof: "dpop"}
	}
	s.event = func(e *evidence.Event) {
		alone(e)
		e.Who = evidence.Who{Sub: user("priya").String(), Proof: e.Who.Proof}
	}
	pack, trust := s.tell()
	if r := mustVerify(t, pack, trust); !r.OK() || !strings.Contains(r.Tree(), "the key of "+user("priya").String()+" was registered at #1") {
		t.Error(r.Tree())
	}
	s = onStaging(t) // the same with a key that is nobody's
	s.proofKey = mallory(t)
	s.claims = func(c *token.Claims) {
		c.Act, c.Delegation, c.Task, c.Session, c.JKT = nil, id.Delegation{}, "", "session", mallory(t).Public().Thumbprint()
	}
	s.facts = func(f *policy.Facts) {
		f.Principals, f.Delegation, f.Actor = f.Principals[2:], policy.Lent{}, policy.Actor{Proof: "dpop"}
	}
	s.event = func(e *evidence.Event) {
		alone(e)
		e.Who = evidence.Who{Sub: user("priya").String(), Proof: e.Who.Proof}
	}
	pack, trust = s.tell()
	if r := mustVerify(t, pack, trust); r.OK() || r.FirstFailure.Name != "keys" {
		t.Error(r.Tree())
	}
}

func TestWhatPolicyRefused(t *testing.T) {
	s := onStaging(t)
	s.bundle = `@id("freeze") @reason("No changes this week.") forbid (principal, action, resource);`
	s.event = func(e *evidence.Event) {
		e.Kind, e.Outcome, e.Why.Code, e.Why.Reasons = evidence.ToolRefused, evidence.Deny, policy.CodeForbidden, []string{"freeze"}
	}
	pack, trust := s.tell()
	if r := mustVerify(t, pack, trust); !r.OK() || !strings.Contains(r.String(), "says deny") {
		t.Error(r.Tree())
	}
	for code, want := range map[string]evidence.Verdict{policy.CodeNoPermit: evidence.Fails, "not_lent": evidence.NotShown} {
		again := onStaging(t)
		again.bundle = s.bundle
		again.event = func(e *evidence.Event) {
			e.Kind, e.Outcome, e.Why.Code = evidence.ToolRefused, evidence.Deny, code
		}
		pack, trust := again.tell()
		if r := mustVerify(t, pack, trust); r.OK() || r.FirstFailure.Name != "decision" || r.FirstFailure.Verdict != want {
			t.Errorf("%s: %s", code, r.Tree())
		}
	}
	s = newStory(t) // nobody but the requester could have approved, which only the server knows
	s.approved = false
	s.event = func(e *evidence.Event) {
		e.Kind, e.Outcome, e.Why.Code = evidence.ToolRefused, evidence.Deny, policy.CodeUnmeetable
	}
	pack, trust = s.tell()
	if r := mustVerify(t, pack, trust); r.FirstFailure == nil || r.FirstFailure.Code != hidden {
		t.Error(r.Tree())
	}
}

// What asked policy for approval is decided again too, and what was refused before policy is authentic and no more.
func TestWhatWaitedAndWhatWasRefusedEarlier(t *testing.T) {
	s := newStory(t)
	s.approved = false
	s.event = func(e *evidence.Event) { e.Kind, e.Outcome = evidence.ApprovalAsked, evidence.Ask }
	pack, trust := s.tell()
	if r := mustVerify(t, pack, trust); !r.OK() {
		t.Error(r.Tree())
	}
	s = onStaging(t)
	s.event = func(e *evidence.Event) {
		e.Kind, e.Outcome, e.Why = evidence.ToolRefused, evidence.Deny, &evidence.Why{Code: "not_lent"}
	}
	pack, trust = s.tell()
	if r := mustVerify(t, pack, trust); r.Answers[0].Verdict != evidence.Holds || r.Answers[1].Verdict != evidence.NotShown {
		t.Error(r.Tree())
	}
}

// Without a key there is nothing that shows who it was.
func TestABearerTokenShowsNobody(t *testing.T) {
	s := onStaging(t)
	s.claims = func(c *token.Claims) { c.JKT, c.Act.Instance = id.Key{}, id.Key{} }
	s.statement = func(i int, st *delegation.Statement) {
		if i == 1 {
			st.Delegate.Instance = id.Key{}
		}
	}
	s.facts = func(f *policy.Facts) { f.Actor = policy.Actor{} }
	s.event = func(e *evidence.Event) {
		e.Who.Instance, e.Who.Chain[2].Instance, e.Who.Proof = id.Key{}, id.Key{}, nil
	}
	s.pack = func(p *evidence.Pack) { p.Details = p.Details[:2] }
	pack, trust := s.tell()
	r := mustVerify(t, pack, trust)
	if got := hiddenLines(r); strings.Join(got, " ") != "proof keys" || r.Answers[1].Verdict != evidence.NotShown {
		t.Errorf("%v\n%s", got, r.Tree())
	}
}

// An event of a bearer token says so: the token is not kept, nothing shows who sent it, and an event that names a key beside is wrong.
func TestABearerTokenIsNotKept(t *testing.T) {
	for _, named := range []bool{false, true} {
		s := onStaging(t)
		s.claims = func(c *token.Claims) { c.JKT, c.Act.Instance = id.Key{}, id.Key{} }
		s.statement = func(i int, st *delegation.Statement) {
			if i == 1 {
				st.Delegate.Instance = id.Key{}
			}
		}
		s.facts = func(f *policy.Facts) { f.Actor = policy.Actor{Proof: "bearer"} }
		var kept id.Digest
		s.event = func(e *evidence.Event) {
			if !named {
				e.Who.Instance, e.Who.Chain[2].Instance = id.Key{}, id.Key{}
			}
			e.Who.Proof, kept = &evidence.ProofRef{Type: "bearer"}, e.Under.Token.SHA256
		}
		s.pack = func(p *evidence.Pack) {
			p.Details = p.Details[:2]
			p.Content = slices.DeleteFunc(p.Content, func(c evidence.Content) bool { return c.Digest == kept })
		}
		pack, trust := s.tell()
		r := mustVerify(t, pack, trust)
		wrong := slices.ContainsFunc(r.Lines, func(l evidence.Line) bool { return l.Name == "proof" && l.Verdict == evidence.Fails })
		if got := strings.Join(hiddenLines(r), " "); wrong != named || !named && (got != "token proof keys covers facts approvals decision" || r.Answers[1].Verdict != evidence.NotShown || !strings.Contains(r.Tree(), "whoever had it could act")) {
			t.Errorf("%s\n%s", got, r.Tree())
		}
	}
}

func hiddenLines(r *evidence.Report) (names []string) {
	for _, l := range r.Lines {
		if l.Question == evidence.AuthorisedThen && l.Verdict == evidence.NotShown {
			names = append(names, l.Name)
		}
	}
	return names
}

// What rests on something that is not in the pack is not shown either, and nothing is called wrong that could be right.
func TestWhatRestsOnTheMissingIsNotShown(t *testing.T) {
	s := newStory(t)
	pack, trust := s.tell()
	whole, err := evidence.ReadPack(pack)
	if err != nil {
		t.Fatal(err)
	}
	q := s.question
	for name, tt := range map[string]struct {
		content id.Digest
		detail  string
		want    string
	}{
		"token":  {q.Under.Token.SHA256, "", "token proof covers facts approvals decision"},
		"link":   {q.Who.Chain[1].Link, "", "chain live keys covers approvals decision"},
		"facts":  {q.Why.Facts, "", "facts approvals decision"},
		"bundle": {q.Why.Bundle, "", "bundle approvals decision"},
		"vote":   {q.Under.Approvals[0].Votes[0], "", "approvals decision"},
		"args":   {id.Digest{}, "args", "covers facts approvals decision"},
		"ip":     {id.Digest{}, "ip", "facts approvals decision"},
		"proof":  {id.Digest{}, "proof", "proof"},
	} {
		p := whole
		p.Content = slices.DeleteFunc(slices.Clone(p.Content), func(c evidence.Content) bool { return c.Digest == tt.content })
		p.Details = slices.DeleteFunc(slices.Clone(p.Details), func(d evidence.Disclosed) bool { return d.Field == tt.detail })
		var b bytes.Buffer
		if err := p.Write(&b); err != nil {
			t.Fatal(err)
		}
		r := mustVerify(t, b.Bytes(), trust)
		if got := strings.Join(hiddenLines(r), " "); got != tt.want || r.FirstFailure.Verdict != evidence.NotShown {
			t.Errorf("without the %s: not shown are %s; want %s\n%s", name, got, tt.want, r.Tree())
		}
	}
}

// An act of attorn's own API is decided again from its facts; the request behind it is not looked at.
func TestActsOfTheAPI(t *testing.T) {
	s := onStaging(t)
	workspace := policy.UID{Type: "Workspace", ID: "default"}
	noun := policy.UID{Type: "Noun", ID: "agent:" + agent("deployer").String()}
	s.facts = func(f *policy.Facts) {
		person := f.Principals[2]
		*f = policy.Facts{
			Principals: []policy.UID{person}, Action: "attorn:agent:revoke", ActionParents: policy.ActionParents("attorn:agent:revoke", ""), Resource: noun, Now: f.Now,
			Entities: []policy.Entity{
				{UID: person, Parents: []policy.UID{{Type: "Role", ID: "admin"}}}, {UID: noun, Parents: []policy.UID{workspace}}, {UID: workspace},
			},
		}
	}
	s.event = func(e *evidence.Event) {
		e.Kind, e.Outcome, e.Under, e.Who = evidence.AgentRevoked, evidence.OK, nil, evidence.Who{Sub: user("priya").String()}
		e.Did = &evidence.Did{Action: "attorn:agent:revoke", Resource: evidence.Resource{Type: "Noun", ID: noun.ID}}
		e.Where.IP, e.What = nil, &evidence.What{Agent: agent("deployer")}
	}
	s.pack = func(p *evidence.Pack) { p.Details = nil }
	pack, trust := s.tell()
	if r := mustVerify(t, pack, trust); !r.OK() {
		t.Error(r.Tree())
	}
}

// A person's root statement may be signed with a passkey, or rest on the server's word about their sign-in, which the report then says.
func TestRootsOfPeople(t *testing.T) {
	s := newStory(t)
	p := passkeyOf(t, "priya")
	s.signed = func(i int, sd *delegation.Signed, key *delegation.DelegatorKey) {
		if i == 0 {
			challenge, err := sd.Statement.Digest()
			s.must(err)
			sd.Signature, *key = delegation.Signature{Type: delegation.ByPasskey, Passkey: p.sign(t, challenge)}, p.delegatorKey(t)
		}
	}
	pack, trust := s.tell()
	if r := mustVerify(t, pack, trust); r.OK() || r.FirstFailure.Name != "keys" || r.FirstFailure.Code != hidden {
		t.Errorf("a passkey that nobody registered: %s", r.Tree())
	}
	s = newStory(t)
	s.signed = func(i int, sd *delegation.Signed, key *delegation.DelegatorKey) {
		if i == 0 {
			challenge, err := sd.Statement.Digest()
			s.must(err)
			sd.Signature, *key = delegation.Signature{Type: delegation.ByPasskey, Passkey: p.sign(t, challenge)}, p.delegatorKey(t)
		}
	}
	onOther("priya", func(e *evidence.Event) { e.What.Key, e.What.COSE = nil, jose.EncodeBase64(p.cose(t).Bytes()) })(t, s)
	pack, trust = s.tell()
	if r := mustVerify(t, pack, trust); !r.OK() {
		t.Error(r.Tree())
	}
	s = newStory(t)
	s.signed = func(i int, sd *delegation.Signed, key *delegation.DelegatorKey) {
		if i == 0 {
			sd.Signature = delegation.Signature{Type: delegation.ByAttested}
			*key = delegation.DelegatorKey{Attested: &delegation.Attestation{Method: "oidc", Issuer: "https://idp.example", AuthTime: minute(8).Unix(), ACR: "1"}}
		}
	}
	pack, trust = s.tell()
	if r := mustVerify(t, pack, trust); !r.OK() || !strings.Contains(r.Tree(), "the server attests the sign-in") {
		t.Error(r.Tree())
	}
}

// An entry of the server's own log, and one of a version to come, are authentic; what they mean is not answered.
func TestOtherEntriesAreAuthentic(t *testing.T) {
	s := newStory(t)
	s.pack = func(p *evidence.Pack) {
		p.Question = evidence.Question{Event: event("serverkey"), Workspace: id.Server, Rev: 1}
		p.Now = ""
	}
	pack, trust := s.tell()
	r := mustVerify(t, pack, trust)
	if r.Answers[0].Verdict != evidence.Holds || r.Answers[1].Verdict != evidence.NotShown || r.Event.Kind != evidence.KeyPublished {
		t.Error(r.Tree())
	}

	s = newStory(t)
	s.pack = func(p *evidence.Pack) {
		rev := int64(len(s.log.bodies))
		body := bytes.Replace(s.log.bodies[11], []byte(`"rev":11`), []byte(`"rev":13,"soon":true`), 1)
		s.log.tree.add(t, rev, body)
		s.log.front.Append(tlog.RecordHash(body))
		s.log.bodies = append(s.log.bodies, body)
		p.Question.Rev, p.Details, p.Now = rev, nil, ""
		for i, e := range p.Entries {
			if e.Workspace == id.Default {
				p.Entries[i] = s.log.entry(e.Rev)
			}
		}
		p.Entries = append(p.Entries, s.log.entry(rev))
	}
	pack, trust = s.tell()
	r = mustVerify(t, pack, trust)
	if r.Answers[0].Verdict != evidence.Holds || r.FirstFailure == nil || r.FirstFailure.Name != "kind" {
		t.Error(r.Tree())
	}
}

// Nothing that a pack says moves a terminal's cursor.
func TestReportsArePrintable(t *testing.T) {
	s := newStory(t)
	s.now = func(n *evidence.Now) { n.Reason = "\x1b[2J\u202egone" }
	pack, trust := s.tell()
	r := mustVerify(t, pack, trust)
	if text := r.String() + r.Tree(); strings.ContainsAny(text, "\x1b\u202e") || !strings.Contains(text, "�[2J�gone") {
		t.Errorf("%q", text)
	}
}

func TestVerifyWantsATrustPolicy(t *testing.T) {
	pack, trust := newStory(t).tell()
	for _, bad := range []string{"", "quorum none\n", "log x\nquorum none\n", trust + "witness w x\n", strings.Replace(trust, "none", "w", 1)} {
		if r, err := evidence.Verify(pack, []byte(bad)); err == nil {
			t.Errorf("%q: %s", bad, r)
		}
	}
}

func TestProofOfAnEarlierRequest(t *testing.T) {
	s := newStory(t)
	s.proof = func(c *dpop.Claims) { c.IssuedAt = s.at.Add(-45e9) } // the call waited for its approval
	pack, trust := s.tell()
	if r := mustVerify(t, pack, trust); !r.OK() {
		t.Error(r.Tree())
	}
}
