package evidence_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/dpop"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/jose"
	"github.com/attorn/attorn/policy"
	"github.com/attorn/attorn/token"
)

const issuer = "https://attorn.example"

// began is when the story begins.
var began = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

func minute(n float64) time.Time { return began.Add(time.Duration(n * float64(time.Minute))) }

// text makes the same identifier of a name each time.
func text(prefix, name string) string {
	sum := sha256.Sum256([]byte(prefix + name))
	return prefix + "_" + strings.ToLower(base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:16]))
}

func user(name string) id.User   { return id.Must[id.User](text("usr", name)) }
func agent(name string) id.Agent { return id.Must[id.Agent](text("agt", name)) }
func event(name string) id.Event { return id.Must[id.Event](text("evt", name)) }
func salt(name string) evidence.Salt {
	return evidence.Salt([]byte(id.Sum([]byte(name)).String()[:16]))
}

// prodGate asks a release manager about every write below production/.
const prodGate = `@id("prod-deploy")
@approve("1 of release-manager")
@reason("Production needs a release manager.")
forbid (principal, action in Action::"tool:files:*", resource)
when { context has args && context.args has path && context.args.path like "production/*" };
`

// roles stands for the built-in ones, which may be added to; the story, and with it the golden pack, stays as it is.
const roles = `@id("tool-user") permit (principal in Role::"tool-user", action, resource) when { context.perm.s0 == "tool" };
@id("admin") permit (principal in Role::"admin", action, resource) when { context.perm.s0 == "attorn" };
`

// story is one tool call from its roots to its evidence: Priya lends to release-bot, which lends to deployer, whose write below production/ Maya
// approves. Every function field is a way in which it can go otherwise; nil leaves it as it should be.
type story struct {
	t                                   testing.TB
	server, log                         *ledger
	issuerKey, botKey, deployKey, priya jose.Signer
	maya                                passkey
	action, args, ip                    string
	at                                  time.Time // of the call
	bundle                              string
	approved                            bool // whether the call needs and has Maya's approval

	statement func(i int, st *delegation.Statement)
	lender    func(i int) jose.Signer // who signs link i
	signed    func(i int, sd *delegation.Signed, key *delegation.DelegatorKey)
	linkKey   jose.Signer // countersigns
	linkRev   int64       // of the first link
	claims    func(*token.Claims)
	tokenKey  jose.Signer
	proof     func(*dpop.Claims)
	proofKey  jose.Signer
	signature func(*signing) // a message signature in place of the proof
	ask       func(*evidence.Approval)
	vote      func(*evidence.Vote)
	votes     int // how many times Maya's vote is counted
	voteKey   func(evidence.Vote) (evidence.SignedVote, delegation.DelegatorKey)
	countKey  jose.Signer
	countAt   time.Time
	countRev  int64
	facts     func(*policy.Facts)
	event     func(*evidence.Event)
	other     func(name string, e *evidence.Event)
	also      func() []string // adds events before anything is lent, and names them
	pack      func(*evidence.Pack)
	now       func(*evidence.Now)
	nowKey    jose.Signer
	trust     func(logs []evidence.LogKey) string

	added    []string
	content  []evidence.Content
	details  []evidence.Detail
	links    []delegation.Link
	rawToken string
	question evidence.Event
}

func newStory(t testing.TB) *story {
	s := &story{
		t: t, server: newLedger(t, id.Server), log: newLedger(t, id.Default),
		issuerKey: keyOf(t, "issuer"), botKey: keyOf(t, "release-bot"), deployKey: keyOf(t, "deployer"), priya: keyOf(t, "priya"), maya: passkeyOf(t, "maya"),
		action: "tool:files:write_file", args: `{"content":"v2","path":"production/app.txt"}`, ip: "192.0.2.7", at: minute(32), bundle: prodGate, approved: true,
		linkRev: 8, votes: 1, countAt: minute(31), countRev: 10,
	}
	s.linkKey, s.tokenKey, s.proofKey, s.countKey, s.nowKey = s.issuerKey, s.issuerKey, s.deployKey, s.issuerKey, s.issuerKey
	return s
}

func (s *story) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *story) keep(body []byte) id.Digest {
	c := evidence.ContentOf(body)
	if !slices.ContainsFunc(s.content, func(k evidence.Content) bool { return k.Digest == c.Digest }) {
		s.content = append(s.content, c)
	}
	return c.Digest
}

// happens adds an event by the server itself.
func (s *story) happens(l *ledger, name string, at float64, kind evidence.Kind, what evidence.What) {
	s.t.Helper()
	e := evidence.Event{
		V: 1, ID: event(l.ws.String() + name), At: minute(at).UnixMicro(), Kind: kind, Outcome: evidence.OK, Who: evidence.Who{Sub: evidence.ServerSub}, What: &what,
		Where: evidence.Where{Face: "server", Node: "n1"},
	}
	if s.other != nil {
		s.other(name, &e)
	}
	l.add(name, e)
}

// begin writes what happens before anything is lent.
func (s *story) begin() {
	server, log := s.server.opening(), s.log.opening()
	s.happens(s.server, "opened", 0, evidence.LogOpened, evidence.What{Log: &server})
	pub := s.issuerKey.Public()
	s.happens(s.server, "key", 0, evidence.KeyPublished, evidence.What{Key: &pub, Use: "token"})
	s.happens(s.server, "log", 0, evidence.LogOpened, evidence.What{Log: &log})
	s.happens(s.log, "opened", 0, evidence.LogOpened, evidence.What{Log: &log})
	pub1, pub2, pub3 := s.priya.Public(), s.botKey.Public(), s.deployKey.Public()
	s.happens(s.log, "priya", 1, evidence.UserPasskeyChanged, evidence.What{User: user("priya"), Key: &pub1})
	s.happens(s.log, "maya", 2, evidence.UserPasskeyChanged, evidence.What{User: user("maya"), COSE: jose.EncodeBase64(s.maya.cose(s.t).Bytes())})
	s.happens(s.log, "bot", 3, evidence.AgentRegistered, evidence.What{Agent: agent("release-bot"), User: user("priya")})
	s.happens(s.log, "bot key", 4, evidence.InstanceEnrolled, evidence.What{Agent: agent("release-bot"), Instance: pub2.Thumbprint(), Key: &pub2})
	s.happens(s.log, "deployer", 5, evidence.AgentRegistered, evidence.What{Agent: agent("deployer"), User: user("omar")})
	s.happens(s.log, "deployer key", 6, evidence.InstanceEnrolled, evidence.What{Agent: agent("deployer"), Instance: pub3.Thumbprint(), Key: &pub3})
	set := s.compile()
	s.keep(set.Manifest())
	for _, f := range set.Files() {
		s.keep(f.Text)
	}
	s.happens(s.log, "policy", 7, evidence.PolicyPublished, evidence.What{Bundle: set.Digest()})
	if s.also != nil {
		s.added = s.also()
		s.linkRev, s.countRev = s.linkRev+int64(len(s.added)), s.countRev+int64(len(s.added))
	}
}

func (s *story) compile() *policy.Set {
	s.t.Helper()
	set, problems := policy.Compile([]policy.File{
		{Path: "policies/prod.cedar", Text: []byte(s.bundle)}, {Path: "policies/roles.cedar", Text: []byte(roles)},
	})
	if set == nil {
		s.t.Fatal(problems)
	}
	return set
}

func ptr[T any](v T) *T { return &v }

// lend makes the two links.
func (s *story) lend() {
	s.t.Helper()
	prefix := func(p string) map[string]delegation.Constraint {
		return map[string]delegation.Constraint{"path": {Prefix: &p}}
	}
	st := delegation.Statement{
		Version: 1, ID: id.Must[id.Delegation](text("dlg", "root")), Issuer: issuer, Workspace: id.Default, Delegator: delegation.Delegator{User: user("priya")},
		Delegate: delegation.Delegate{Agent: agent("release-bot")},
		Permissions: []delegation.Permission{
			{Permission: "tool:files:read_file"},
			{Permission: "tool:files:write_file", Where: prefix("staging/")},
			{Permission: "tool:files:write_file", Where: prefix("production/")},
		},
		NotBefore: minute(9).Unix(), ExpiresAt: minute(129).Unix(), MaxDepth: 2,
	}
	for i := range 2 {
		if i == 1 {
			parent, err := s.links[0].Statement.Digest()
			s.must(err)
			st.ID, st.Parent, st.MaxDepth = id.Must[id.Delegation](text("dlg", "child")), &parent, 0
			st.Delegator = delegation.Delegator{Agent: agent("release-bot"), Instance: s.botKey.Public().Thumbprint()}
			st.Delegate = delegation.Delegate{Agent: agent("deployer"), Instance: s.deployKey.Public().Thumbprint()}
			st.Permissions, st.MaxUses, st.Task = st.Permissions[1:], ptr(int64(10)), "REL-481"
		}
		this := st
		if s.statement != nil {
			s.statement(i, &this)
		}
		by := []jose.Signer{s.priya, s.botKey}[i]
		if s.lender != nil {
			by = s.lender(i)
		}
		sd, err := delegation.Sign(this, by)
		s.must(err)
		key := delegation.DelegatorKey{JWK: by.Public()}
		if s.signed != nil {
			s.signed(i, &sd, &key)
		}
		l, err := delegation.Countersign(sd, key, minute(float64(10+i)), s.linkRev+int64(i), s.linkKey)
		s.must(err)
		s.links = append(s.links, l)
		s.happens(s.log, []string{"lent", "lent on"}[i], float64(10+i), evidence.DelegationLent, evidence.What{Delegation: this.ID, Link: s.keep([]byte(l.String()))})
	}
}

// called makes the token and the proof of the call.
func (s *story) called(e *evidence.Event) {
	s.t.Helper()
	last := s.links[1].Statement
	c := token.Claims{
		Issuer: issuer, Subject: user("priya").String(), Audience: issuer + "/mcp/files", ClientID: agent("deployer").String(),
		Act: &token.Actor{
			Sub: agent("deployer"), Instance: s.deployKey.Public().Thumbprint(), Act: &token.Actor{Sub: agent("release-bot"), Instance: s.botKey.Public().Thumbprint()},
		},
		JKT: s.deployKey.Public().Thumbprint(), ID: "token-1", IssuedAt: minute(30).Unix(), Expires: minute(35).Unix(), Delegation: last.ID, Task: last.Task,
		ACR: "urn:attorn:acr:3", AuthTime: minute(8).Unix(), Workspace: id.Default,
	}
	for _, p := range last.Permissions {
		c.Details = append(c.Details, token.Detail{Type: "attorn_permission", Permission: p.Permission, Where: p.Where})
	}
	if s.claims != nil {
		s.claims(&c)
	}
	var err error
	s.rawToken, err = token.Issue(c, s.tokenKey)
	s.must(err)
	e.Under.Token = &evidence.TokenRef{ID: c.ID, Kid: s.tokenKey.Public().Thumbprint(), Expires: c.Expires, SHA256: s.keep([]byte(s.rawToken))}
	if s.signature != nil {
		s.sign(e)
		return
	}
	in := dpop.Claims{Method: "POST", URL: issuer + "/mcp/files", JTI: "proof-of-the-call", Nonce: "nonce", AccessToken: s.rawToken, IssuedAt: s.at.Add(-20 * time.Second)}
	if s.proof != nil {
		s.proof(&in)
	}
	proof, err := dpop.Sign(s.proofKey, in)
	s.must(err)
	e.Who.Proof = &evidence.ProofRef{Type: "dpop", SHA256: id.Sum([]byte(proof))}
	s.details = append(s.details, evidence.Detail{Field: "proof", Disclosure: []byte(proof)})
}

// draft is the event of the call but for its decision.
func (s *story) draft() evidence.Event {
	s.t.Helper()
	bot, dep := s.botKey.Public().Thumbprint(), s.deployKey.Public().Thumbprint()
	root, child := s.links[0], s.links[1]
	statement, err := child.Statement.Digest()
	s.must(err)
	pin := s.keep([]byte(writeFile))
	call, err := evidence.CallOf(issuer+"/mcp/files", s.action, []byte(s.args), pin)
	s.must(err)
	digest, err := evidence.CallDigest(call)
	s.must(err)
	args, err := evidence.Disclose(salt("args"), "args", []byte(s.args))
	s.must(err)
	ip, err := evidence.DiscloseText(salt("ip"), "ip", s.ip)
	s.must(err)
	s.details = append(s.details, evidence.Detail{Field: "args", Disclosure: args}, evidence.Detail{Field: "ip", Disclosure: ip})
	e := evidence.Event{
		V: 1, ID: event("call"), At: s.at.UnixMicro(), Kind: evidence.ToolStarted, Outcome: evidence.Permit,
		Who: evidence.Who{
			Sub: agent("deployer").String(), Instance: dep, Owner: user("omar"),
			Chain: []evidence.Hop{
				{Sub: user("priya").String()},
				{Sub: agent("release-bot").String(), Instance: bot, Delegation: root.Statement.ID, Link: id.Sum([]byte(root.String()))},
				{Sub: agent("deployer").String(), Instance: dep, Delegation: child.Statement.ID, Link: id.Sum([]byte(child.String()))},
			},
		},
		Under: &evidence.Under{Delegation: child.Statement.ID, Statement: statement, Task: child.Statement.Task, UsesLeft: ptr(int64(9))},
		Did: &evidence.Did{
			Action: s.action, Resource: evidence.Resource{Type: "Tool", ID: strings.TrimPrefix(s.action, "tool:")}, Pin: pin, Args: evidence.Seal(args), Digest: digest,
		},
		Where: evidence.Where{Face: "gateway", Node: "n1", MCP: "2026-07-28", IP: evidence.Seal(ip)},
	}
	s.called(&e)
	return e
}

func (s *story) factsOf(e evidence.Event) policy.Facts {
	uid := func(typ, name string) policy.UID { return policy.UID{Type: typ, ID: name} }
	role := func(names ...string) (all []policy.UID) {
		for _, n := range names {
			all = append(all, uid("Role", n))
		}
		return all
	}
	owned := func(by string) map[string]any { return map[string]any{"owner": uid("User", user(by).String())} }
	tool, server, ws := uid("Tool", e.Did.Resource.ID), uid("Server", "files"), uid("Workspace", "default")
	dep, bot, priya, maya := uid("Agent", agent("deployer").String()), uid("Agent", agent("release-bot").String()), uid("User", user("priya").String()), uid("User", user("maya").String())
	return policy.Facts{
		Principals: []policy.UID{dep, bot, priya}, Action: s.action, ActionParents: policy.ActionParents(s.action, "write"), Resource: tool, Arguments: []byte(s.args),
		Actor:      policy.Actor{Instance: e.Who.Instance.String(), Origin: "enrolled", Proof: e.Who.Proof.Type},
		Delegation: policy.Lent{ID: e.Under.Delegation.String(), Depth: 2, Task: e.Under.Task}, Auth: &policy.Auth{ACR: 3, Age: int64(s.at.Sub(minute(8)) / time.Second)},
		Now: s.at.UnixMicro(), IP: s.ip,
		Entities: []policy.Entity{
			{UID: dep, Parents: role("tool-user"), Attrs: owned("omar")},
			{UID: bot, Parents: role("tool-user"), Attrs: owned("priya")},
			{UID: priya, Parents: role("tool-user")},
			{UID: maya, Parents: []policy.UID{uid("Group", "releases")}},
			{UID: uid("Group", "releases"), Parents: role("release-manager")},
			{UID: tool, Parents: []policy.UID{server}},
			{UID: server, Parents: []policy.UID{ws}},
			{UID: ws},
		},
	}
}

// approve has Maya approve the call, and writes down that she did.
func (s *story) approve(e *evidence.Event, o policy.Obligation) {
	s.t.Helper()
	a := evidence.Approval{
		Issuer: issuer, Workspace: id.Default, Gate: o.Gate, GateSHA256: o.GateSHA256, Flow: o.Flow, FlowSHA256: id.Sum([]byte(o.Flow)), Actor: e.Who.Sub,
		Subject: user("priya"), Task: e.Under.Task, Action: e.Did.Action, Resource: e.Did.Resource, Pin: e.Did.Pin, Binds: o.Binds,
		ArgsSHA256: id.Sum([]byte(s.args)), Call: e.Did.Digest,
	}
	for _, l := range s.links {
		d, err := l.Statement.Digest()
		s.must(err)
		a.Chain = append(a.Chain, d)
	}
	if s.ask != nil {
		s.ask(&a)
	}
	raw, err := a.Bytes()
	s.must(err)
	ref := evidence.ApprovalRef{ID: id.Must[id.Approval](text("apr", "call")), Ask: s.keep(raw)}
	v := evidence.Vote{
		V: 1, Typ: "attorn-vote", Issuer: issuer, Workspace: id.Default, Asks: []evidence.Asked{{ID: ref.ID, Stage: "release-manager", Object: ref.Ask}},
		Vote: evidence.Approve, Reuse: evidence.ReuseOnce, Voter: user("maya"), Reason: "Looks right.", At: minute(30.5).Unix(), ExpiresAt: minute(36).Unix(), Nonce: "n-1",
	}
	if s.vote != nil {
		s.vote(&v)
	}
	sv, key := s.signVote(v)
	for i := range s.votes {
		b, err := evidence.Count(sv, key, s.countAt.Add(time.Duration(i)*time.Second), s.countRev, s.countKey)
		s.must(err)
		ref.Votes = append(ref.Votes, s.keep([]byte(b.String())))
		s.happens(s.log, "voted", 31, evidence.ApprovalVoted, evidence.What{User: v.Voter, Approval: ref.ID, Vote: ref.Votes[i]})
	}
	e.Under.Approvals = append(e.Under.Approvals, ref)
}

func (s *story) signVote(v evidence.Vote) (evidence.SignedVote, delegation.DelegatorKey) {
	s.t.Helper()
	if s.voteKey != nil {
		return s.voteKey(v)
	}
	c, err := v.Challenge()
	s.must(err)
	return evidence.SignedVote{Vote: v, Signature: delegation.Signature{Type: delegation.ByPasskey, Passkey: s.maya.sign(s.t, c)}}, s.maya.delegatorKey(s.t)
}

// tell plays the story and packs its evidence.
func (s *story) tell() (pack []byte, trust string) {
	s.t.Helper()
	s.begin()
	s.lend()
	e := s.draft()
	f := s.factsOf(e)
	if s.facts != nil {
		s.facts(&f)
	}
	c, err := evidence.FactsContent(f)
	s.must(err)
	set := s.compile()
	e.Why = &evidence.Why{Bundle: set.Digest(), Facts: s.keep(c.Body), Reasons: []string{"tool-user"}, Engine: policy.Engine}
	if s.approved {
		e.Why.Waived = []string{"prod-deploy"}
		shape, err := policy.ShapeOf([]byte(writeFile))
		s.must(err)
		obligations := policy.Decide(set, shape, s.factsOf(e), nil).Obligations
		if len(obligations) != 1 {
			s.t.Fatalf("the gate did not ask: %+v", policy.Decide(set, shape, s.factsOf(e), nil))
		}
		s.approve(&e, obligations[0])
	}
	e.Why.AsOf = int64(len(s.log.bodies))
	if s.event != nil {
		s.event(&e)
	}
	rev := s.log.add("call", e)
	e.Rev = rev
	s.question = e
	s.happens(s.log, "finished", 33, evidence.ToolFinished, evidence.What{})
	return s.packed(rev)
}

// packed holds every entry that NeedsOf asks for, by its name in the story.
func (s *story) packed(rev int64) ([]byte, string) {
	s.t.Helper()
	p := evidence.Pack{Question: evidence.Question{Event: s.question.ID, Workspace: id.Default, Rev: rev}, Issuer: issuer}
	for _, name := range []string{"opened", "key", "log"} {
		p.Entries = append(p.Entries, s.server.entry(s.server.rev(name)))
	}
	for _, name := range append([]string{"priya", "maya", "bot", "bot key", "deployer", "deployer key", "policy"}, s.added...) {
		p.Entries = append(p.Entries, s.log.entry(s.log.rev(name)))
	}
	p.Entries = append(p.Entries, s.log.entry(rev))
	for _, d := range s.details {
		p.Details = append(p.Details, evidence.Disclosed{Workspace: id.Default, Rev: rev, Field: d.Field, Bytes: d.Disclosure})
	}
	p.Content = s.content
	now := evidence.Now{
		V: 1, Issuer: issuer, Workspace: id.Default, Event: s.question.ID, Rev: 40, At: minute(200).UnixMicro(), Outcome: evidence.Deny, Code: "delegation_expired",
		Reason: "the delegation " + s.links[0].Statement.ID.String() + " expired at 11:09",
	}
	if s.now != nil {
		s.now(&now)
	}
	var err error
	p.Now, err = evidence.SignNow(now, s.nowKey)
	s.must(err)
	trust := evidence.TrustPolicy(s.server.signer.LogKey)
	p.Trust = trust
	if s.trust != nil {
		trust = s.trust([]evidence.LogKey{s.server.signer.LogKey, s.log.signer.LogKey})
	}
	if s.pack != nil {
		s.pack(&p)
	}
	var b bytes.Buffer
	s.must(p.Write(&b))
	return b.Bytes(), trust
}

// writeFile is the definition of the tool that the story calls.
const writeFile = `{"inputSchema":{"properties":{"content":{"type":"string"},"path":{"type":"string"}},"required":["path"],"type":"object"},"name":"write_file"}`
