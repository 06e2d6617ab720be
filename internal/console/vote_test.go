package console_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/approvals"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/jose"
)

func (s *story) status(a id.Approval) approvals.Status {
	s.t.Helper()
	got, err := s.Approvals.Get(s.t.Context(), id.Default, a)
	s.ok(err)
	return got.StatusAt(s.now())
}

const buttons = `<button class="btn pri" name="vote" value="approve"`

// Maya approves with her passkey, the call runs once, and the pack about it proves the vote offline.
func TestApprove(t *testing.T) {
	s := newStory(t)
	page := s.maya.page("/approvals/" + s.asked.String())
	contains(t, page, buttons, "image: api-gateway:2.14.0\\n\nreplicas: 4\\n", "2 of 2 signatures verified", "Production needs a release manager.")

	p, got := s.maya.propose(s.asked, "approve", "fine")
	if got.status != http.StatusOK || len(p.Options.Allow) != 1 || p.Options.Allow[0].ID != base64(s.maya.key.ID()) {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if digest := id.Sum([]byte(p.Statement)).Bytes(); string(digest[:]) != string(p.Options.Challenge) {
		t.Error("the challenge is not the statement's hash")
	}
	v, err := evidence.ParseVote([]byte(p.Statement))
	s.ok(err)
	approval, err := s.Approvals.Get(t.Context(), id.Default, s.asked)
	s.ok(err)
	if v.Voter != s.maya.id || v.Vote != "approve" || v.Reason != "fine" || v.Asks[0].ID != s.asked || v.Asks[0].Object != approval.Digest {
		t.Errorf("the statement: %+v", v)
	}
	contains(t, page, `data-digest="`+approval.Digest.String()+`"`, `data-approval="`+s.asked.String()+`"`)

	if got := s.maya.cast(s.asked, s.maya.sign(p.Statement)); got.status != http.StatusOK || !strings.Contains(got.body, `"status":"approved"`) {
		t.Fatal(got.body)
	}
	page = s.maya.page("/approvals/" + s.asked.String())
	lacks(t, page, buttons)
	contains(t, page, "Approved", "signed with a passkey", "“<bdi>fine</bdi>”")

	done := s.deployer.call(s.leaf, "write_file", theCall)
	if done.Outcome != evidence.Permit {
		t.Fatalf("the approved call: %+v", done)
	}
	s.ok(s.Finish(t.Context(), done, guard.Finished{Outcome: evidence.OK}))
	if s.status(s.asked) != approvals.Spent {
		t.Error("the approval is not used up")
	}
	pack, err := s.explain.Pack(t.Context(), id.Default, done.Event)
	s.ok(err)
	trust, err := s.explain.Trust(t.Context())
	s.ok(err)
	report, err := evidence.Verify(pack, trust)
	s.ok(err)
	if !report.OK() {
		t.Errorf("the pack does not prove the call:\n%s", report.Tree())
	}
	contains(t, s.priya.page("/events/"+done.Event.String()), "Permitted", "Maya Chen", "with a passkey", s.asked.String())
}

func TestDeny(t *testing.T) {
	s := newStory(t)
	for _, reason := range []string{"", "  "} {
		if _, got := s.maya.propose(s.asked, "deny", reason); got.status != http.StatusBadRequest || got.code() != "reason_needed" {
			t.Errorf("the reason %q: %d %s", reason, got.status, got.body)
		}
	}
	if got := s.maya.vote(s.asked, "deny", "not on a Friday"); got.status != http.StatusOK {
		t.Fatal(got.body)
	}
	if s.status(s.asked) != approvals.Denied {
		t.Error(s.status(s.asked))
	}
	contains(t, s.priya.page("/approvals/"+s.asked.String()), "Denied", "not on a Friday")
	if got := s.maya.vote(s.asked, "approve", ""); got.status != http.StatusConflict {
		t.Errorf("a vote on what was decided: %d %s", got.status, got.body)
	}
}

// Who asks, for whom, and whoever else is on the chain sees the request, why they may not vote, and no buttons; and their vote does not count.
func TestRequestersMayNotVote(t *testing.T) {
	s := newStory(t)
	tomas := s.priya.invite("Tomás Ruiz", "approver")
	nobody := s.priya.invite("Noor")
	for name, c := range map[string]struct {
		who  *person
		page string
		code string
	}{
		"the person it is for": {s.priya, "Who asks, for whom, and who owns an agent that asks may not vote on it.", "four_eyes"},
		"without the role":     {tomas, "Voting on this takes the role release-manager.", "not_eligible"},
	} {
		page := c.who.page("/approvals/" + s.asked.String())
		contains(t, page, c.page)
		lacks(t, page, buttons, `id="vote"`)
		if _, got := c.who.propose(s.asked, "approve", ""); got.status != http.StatusForbidden || got.code() != c.code {
			t.Errorf("%s asks for a challenge: %d %s", name, got.status, got.body)
		}
		// somebody who makes the statement themselves, with a challenge that was made for Maya
		p, _ := s.maya.propose(s.asked, "approve", "")
		forged := strings.ReplaceAll(p.Statement, s.maya.id.String(), c.who.id.String())
		if got := c.who.cast(s.asked, c.who.sign(forged)); got.status != http.StatusForbidden || got.code() != c.code {
			t.Errorf("%s votes: %d %s", name, got.status, got.body)
		}
	}
	unknown := nobody.get("/approvals/apr_06h0f90781vk507a4h5kak7260")
	hers := nobody.get("/approvals/" + s.asked.String())
	if hers.status != http.StatusNotFound || hers.status != unknown.status || masked(hers.body) != masked(unknown.body) {
		t.Errorf("who may not see it: %d %s\nand what is not there: %d %s", hers.status, hers.body, unknown.status, unknown.body)
	}
	if _, got := nobody.propose(s.asked, "approve", ""); got.status != http.StatusNotFound {
		t.Errorf("who may not see it asks for a challenge: %d", got.status)
	}
	if s.status(s.asked) != approvals.Pending {
		t.Error("it was decided")
	}
}

func TestSignaturesOfVotes(t *testing.T) {
	s := newStory(t)
	lena := s.priya.invite("Lena", "release-manager")
	other := s.ask(`{"path":"production/b.yaml","content":"b"}`)
	propose := func(who *person, a id.Approval) string {
		p, got := who.propose(a, "approve", "")
		if got.status != http.StatusOK {
			t.Fatal(got.body)
		}
		return p.Statement
	}
	changed := func(from, to string) ballot {
		st := propose(s.maya, s.asked)
		b := s.maya.sign(st)
		b.Statement = strings.Replace(st, from, to, 1)
		if b.Statement == st {
			t.Fatalf("%q is not in %s", from, st)
		}
		return b
	}
	asserted := func(change func(a *delegation.Assertion)) ballot {
		b := s.maya.sign(propose(s.maya, s.asked))
		change(&b.Assertion)
		return b
	}
	at := func(rpID, origin string) ballot {
		st := propose(s.maya, s.asked)
		digest := id.Sum([]byte(st)).Bytes()
		return ballot{st, s.maya.key.Assert(digest[:], rpID, origin)}
	}
	for _, c := range []struct {
		name   string
		ballot ballot
		status int
		code   string
	}{
		{"another vote", changed(`"vote":"approve"`, `"vote":"deny"`), 400, "reason_needed"},
		{"another reason", changed(`"reason":""`, `"reason":"x"`), 422, "assertion"},
		{"another approval", changed(s.asked.String(), other.String()), 422, "assertion"},
		{"another form", changed(`{"asks"`, `{ "asks"`), 400, "malformed"},
		{"a member more", changed(`{"asks"`, `{"also":1,"asks"`), 400, "malformed"},
		{"signature", asserted(func(a *delegation.Assertion) { a.Signature[len(a.Signature)-1] ^= 1 }), 422, "assertion"},
		{"no user verification", asserted(func(a *delegation.Assertion) { a.AuthenticatorData[32] = 1 }), 422, "assertion"},
		{"unknown passkey", asserted(func(a *delegation.Assertion) { a.CredentialID = []byte("nobody's") }), 422, "assertion"},
		{"other origin", at("localhost", "https://evil.example"), 422, "assertion"},
		{"other party", at("evil.example", s.url), 422, "assertion"},
		{"somebody else's passkey", lena.sign(propose(s.maya, s.asked)), 422, "assertion"},
		{"somebody else's vote", lena.sign(propose(lena, s.asked)), 403, "four_eyes"},
		{"a vote on another approval", s.maya.sign(propose(s.maya, other)), 403, "vote_invalid"},
		{"no nonce of ours", func() ballot {
			st := propose(s.maya, s.asked)
			v, err := evidence.ParseVote([]byte(st))
			s.ok(err)
			return s.maya.sign(strings.Replace(st, v.Nonce, jose.EncodeBase64(make([]byte, 32)), 1))
		}(), 401, "ticket_unknown"},
		{"empty", ballot{}, 400, "malformed"},
	} {
		if got := s.maya.cast(s.asked, c.ballot); got.status != c.status || got.code() != c.code {
			t.Errorf("%s: %d %s (%s), want %d %s", c.name, got.status, got.code(), got.body, c.status, c.code)
		}
		if s.status(s.asked) != approvals.Pending {
			t.Fatalf("%s: it was decided", c.name)
		}
	}
	for _, body := range []string{``, `{}`, `[]`, `{"statement":"","statement":""}`, `{"statement":1}`, `{"vote":"approve","more":1}`} {
		if got := s.maya.post("/approvals/"+s.asked.String()+"/vote", []byte(body), nil); got.status != http.StatusBadRequest {
			t.Errorf("%s: %d", body, got.status)
		}
		if got := s.maya.post("/approvals/"+s.asked.String()+"/challenge", []byte(body), nil); got.status != http.StatusBadRequest {
			t.Errorf("challenge, %s: %d %s", body, got.status, got.body)
		}
	}
	s.pass(time.Minute)
	twice := s.maya.sign(propose(s.maya, s.asked))
	if got := s.maya.cast(s.asked, twice); got.status != http.StatusOK {
		t.Fatal(got.body)
	}
	if got := s.maya.cast(s.asked, twice); got.status == http.StatusOK {
		t.Error("the same vote counts twice")
	}
}

// Two release managers vote at the same moment on what takes one: one vote decides, the other is told so.
func TestTwoVotersAtOnce(t *testing.T) {
	s := newStory(t)
	lena := s.priya.invite("Lena", "release-manager")
	ballots := map[*person]ballot{}
	for who, vote := range map[*person]string{s.maya: "approve", lena: "deny"} {
		p, got := who.propose(s.asked, vote, "because")
		if got.status != http.StatusOK {
			t.Fatal(got.body)
		}
		ballots[who] = who.sign(p.Statement)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	codes := map[string]int{}
	for who, b := range ballots {
		all.Go(func() {
			got := who.cast(s.asked, b)
			mu.Lock()
			defer mu.Unlock()
			codes[got.code()]++
		})
	}
	all.Wait()
	if codes["OK"] != 1 || codes["decided"] != 1 {
		t.Error(codes)
	}
	votes, err := s.Approvals.Votes(t.Context(), id.Default, s.asked)
	if err != nil || len(votes) != 1 {
		t.Error(len(votes), err)
	}
}

// What ends before the vote arrives is said with the code of console.md §5.
func TestTooLate(t *testing.T) {
	s := newStory(t)
	end := func(name, code string, end func(a id.Approval)) {
		t.Run(name, func(t *testing.T) {
			a := s.ask(`{"path":"production/` + code + `","content":"x"}`)
			p, got := s.maya.propose(a, "approve", "")
			if got.status != http.StatusOK {
				t.Fatal(got.body)
			}
			end(a)
			if got := s.maya.cast(a, s.maya.sign(p.Statement)); got.status != http.StatusConflict || got.code() != code {
				t.Errorf("%d %s", got.status, got.body)
			}
			lacks(t, s.priya.page("/approvals/"+a.String()), buttons)
			lacks(t, s.maya.get("/approvals/"+a.String()).body, buttons)
		})
	}
	end("withdrawn", "withdrawn", func(a id.Approval) { s.ok(s.Cancel(t.Context(), s.priya.caller(), a)) })
	end("policy changed", "changed", func(id.Approval) {
		s.priya.publish(strings.Replace(rulesOfTheStory, "Production needs", "Production always needs", 1))
	})
	s.priya.publish(rulesOfTheStory)
	end("chain revoked", "changed", func(id.Approval) {
		_, _, err := s.Revoke(t.Context(), s.priya.caller(), s.leaf.Statement.ID, "enough")
		s.ok(err)
	})
	if _, got := s.maya.propose(s.asked, "approve", ""); got.status != http.StatusConflict || got.code() != "changed" {
		t.Errorf("a challenge for what was voided: %d %s", got.status, got.body)
	}
}

func TestExpired(t *testing.T) {
	s := newStory(t)
	s.pass(24 * time.Minute)
	s.maya.get("/")
	p, got := s.maya.propose(s.asked, "approve", "")
	if got.status != http.StatusOK {
		t.Fatal(got.body)
	}
	s.pass(4*time.Minute + 30*time.Second)
	if got := s.maya.cast(s.asked, s.maya.sign(p.Statement)); got.status != http.StatusConflict || got.code() != "expired" {
		t.Errorf("%d %s", got.status, got.body)
	}
	contains(t, s.maya.page("/approvals/"+s.asked.String()), "Expired", "Nobody can vote on this any more.")
}

func TestVotersWithoutPasskey(t *testing.T) {
	s := newStory(t)
	_, secret, err := s.Invite(t.Context(), s.priya.caller(), "Lena")
	s.ok(err)
	b := newBrowser(t, s.url)
	if got := b.form("/signin/link", "secret", secret); got.status != http.StatusSeeOther {
		t.Fatal(got.body)
	}
	lena := s.at(b)
	_, _, err = s.Bind(t.Context(), s.priya.caller(), guard.NewBinding{Principal: lena.id.String(), Role: "release-manager"})
	s.ok(err)
	page := lena.page("/approvals/" + s.asked.String())
	lacks(t, page, buttons)
	contains(t, page, "you have no passkey to sign with")
	if _, got := lena.propose(s.asked, "approve", ""); got.status != http.StatusForbidden || got.code() != "no_passkey" {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// What a person signs with a passkey in the browser lends as well as what a key signs, and the chain verifies from its bytes and the published
// keys alone.
func TestLendWithPasskey(t *testing.T) {
	s := newStory(t)
	if s.root.Delegator.Passkey == nil || string(s.root.Delegator.Passkey.Key.Bytes()) != string(s.priya.key.Key().Bytes()) ||
		s.root.Delegator.Passkey.RPID != "localhost" || s.root.Delegator.Passkey.Origin != s.url {
		t.Errorf("the link names the delegator's key %+v", s.root.Delegator)
	}
	published, err := s.log.Search(t.Context(), id.Server, audit.Filter{Kind: evidence.KeyPublished})
	s.ok(err)
	keys := func(kid id.Key) (jose.PublicKey, bool) {
		for _, e := range published {
			if e.What.Key.Thumbprint() == kid {
				return *e.What.Key, true
			}
		}
		return jose.PublicKey{}, false
	}
	var links []delegation.Link
	for _, compact := range []string{s.root.String(), s.leaf.String()} {
		l, err := delegation.ParseLink(compact)
		s.ok(err)
		links = append(links, l)
	}
	s.ok(delegation.VerifyChain(links, keys))

	sign := func(who *person, st delegation.Statement, origin string) delegation.Signed {
		digest, err := st.Digest()
		s.ok(err)
		raw := digest.Bytes()
		a := who.key.Assert(raw[:], "localhost", origin)
		return delegation.Signed{Statement: st, Signature: delegation.Signature{Type: delegation.ByPasskey, Passkey: &a}}
	}
	statement := func() delegation.Statement {
		st := s.statement(s.bot, terms{ttl: time.Hour}, []delegation.Permission{{Permission: "tool:files:read_file"}})
		st.Delegator.User = s.priya.id
		return st
	}
	tampered := sign(s.priya, statement(), s.url)
	tampered.Statement.Permissions = []delegation.Permission{{Permission: "tool:*"}}
	inOthersName := statement()
	inOthersName.Delegator.User = s.maya.id
	for name, c := range map[string]struct {
		signed delegation.Signed
		code   string
	}{
		"tampered statement": {tampered, "passkey_challenge"},
		"another's passkey":  {sign(s.maya, statement(), s.url), "key_mismatch"},
		"in another's name":  {sign(s.priya, inOthersName, s.url), "not_delegator"},
		"another origin":     {sign(s.priya, statement(), "https://evil.example"), "passkey_origin"},
	} {
		if _, err := s.Lend(t.Context(), s.priya.caller(), c.signed); fault.Code(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
		if got := s.kinds(id.Default, 1)[0]; !strings.HasSuffix(got, " deny "+c.code) {
			t.Errorf("%s: the log has %s", name, got)
		}
	}
	if _, err := s.Lend(t.Context(), s.priya.caller(), sign(s.priya, statement(), s.url)); err != nil {
		t.Error(err)
	}
}

// What a page shows is what the signature is bound to: an approval whose stored arguments are others than were asked for cannot be approved.
func TestArgumentsThatWereExchanged(t *testing.T) {
	s := newStory(t)
	d := evidence.Draft{Workspace: id.Default}
	d.Kind, d.Outcome, d.Who.Sub, d.Where.Face = evidence.DecisionMade, evidence.OK, evidence.ServerSub, "test"
	_, err := s.log.Record(t.Context(), d, func(tx *audit.Tx) error {
		n, err := tx.Exec(`UPDATE approval SET arguments = $2 WHERE id = $1`, s.asked, `{"path":"production/harmless"}`)
		if err == nil && n != 1 {
			t.Errorf("%d rows", n)
		}
		return err
	})
	s.ok(err)
	page := s.maya.page("/approvals/" + s.asked.String())
	lacks(t, page, buttons)
	contains(t, page, "production/harmless", "not proved: the arguments are not those that were asked for")
	if _, got := s.maya.propose(s.asked, "approve", ""); got.status != http.StatusConflict || got.code() != "changed" {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := s.maya.vote(s.asked, "deny", "this looks wrong"); got.status != http.StatusOK {
		t.Errorf("it cannot even be denied: %s", got.body)
	}
}
