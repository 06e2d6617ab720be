package guard_test

import (
	"slices"
	"testing"
	"time"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/approvals"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/audit/audittest"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/people"
)

// recovered spends a link that by makes for who, and returns who with their new key.
func (s *story) recovered(by, who *party) *party {
	s.t.Helper()
	secret, err := s.Recover(s.t.Context(), by.api(), who.user, "lost the laptop")
	s.ok(err)
	return s.signIn(secret, "")
}

// token gets the party a token, or says why not.
func (p *party) token() (guard.Issued, error) {
	return p.PersonToken(p.t.Context(), p.client(), id.Default, guard.TokenRequest{})
}

func (s *story) pending(path string) id.Approval {
	s.t.Helper()
	v := s.start(s.deployer.tool(s.leaf), s.call("write", `{"path":"production/`+path+`"}`))
	if v.Approval == nil {
		s.t.Fatalf("%+v", v)
	}
	return v.Approval.ID
}

// relend replaces the story's delegations, which end after hours.
func (s *story) relend() {
	s.t.Helper()
	s.root = s.priya.lend(s.bot, lent{depth: 2, ttl: 2 * time.Hour}, "tool:files:*")
	s.leaf = s.bot.lend(s.deployer, lent{uses: 10, under: s.root, ttl: time.Hour}, "tool:files:write", "tool:files:wipe")
}

// TestRecoveryLeavesNothingOfBefore: whoever had the person's key, passkey, session, token or link has nothing of it any more once the link is spent, and
// all of it until then.
func TestRecoveryLeavesNothingOfBefore(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 10)
		s.bind(s.priya, "release-manager", false)
		own, err := s.NewLink(t.Context(), s.maya.api(), s.maya.user)
		s.ok(err)
		session, _, _, err := s.SignInPage(t.Context(), own, "", "")
		s.ok(err)
		spare, err := s.NewLink(t.Context(), s.maya.api(), s.maya.user) // a thief's, kept for later
		s.ok(err)
		old, err := s.maya.token()
		s.ok(err)
		oldLink, err := s.Recover(t.Context(), s.priya.api(), s.maya.user, "first try")
		s.ok(err)
		secret, err := s.Recover(t.Context(), s.priya.api(), s.maya.user, "lost the laptop")
		s.ok(err)
		_, _, err = s.Guard.Session(t.Context(), session, id.Default, "")
		s.ok(err) // making the link ends nothing
		s.maya.caller(old.Token, issuer+"/api", issuer+"/v1/x")
		for name, dead := range map[string]string{"an earlier recovery link": oldLink, "her own link": spare} {
			if _, _, err := s.SignIn(t.Context(), dead, "", "", s.keyCredentials(newSigner(t), "/v1/signin")); fault.Code(err) != "ticket_spent" {
				t.Errorf("%s: %v", name, err)
			}
		}
		again := s.signIn(secret, "")
		if again.user != s.maya.user {
			t.Fatalf("recovered as %s", again.user)
		}
		if _, _, err := s.Guard.Session(t.Context(), session, id.Default, ""); fault.Code(err) != "session_unknown" {
			t.Errorf("the old session: %v", err)
		}
		c := s.maya.caller(old.Token, issuer+"/api", issuer+"/v1/x")
		if _, err := s.Whoami(t.Context(), c); fault.Code(err) != "token_ended" {
			t.Errorf("the old token: %v", err)
		}
		if _, _, err := s.People.PersonByKey(t.Context(), s.maya.signer.Public().Thumbprint()); fault.Code(err) != "key_ended" {
			t.Errorf("the old key: %v", err)
		}
		if _, err := s.Whoami(t.Context(), again.api()); err != nil {
			t.Errorf("the new key: %v", err)
		}
		e := s.newest(audit.Filter{Kind: evidence.UserPasskeyChanged, Person: s.maya.user})
		if e.What.Status != evidence.Recovered || !e.EndsKey(s.maya.user, s.maya.signer.Public().Thumbprint().String()) || e.What.Key == nil {
			t.Errorf("%s", s.event(e.ID).Body)
		}
		if by := s.event(e.Cause); by.Who.Sub != s.priya.sub() || by.Did.Action != "attorn:user:recover" || by.What.Text == nil {
			t.Errorf("it leads to %s", by.Body)
		}
		if _, _, err := s.SignIn(t.Context(), secret, "", "", s.keyCredentials(newSigner(t), "/v1/signin")); fault.Code(err) != "ticket_spent" {
			t.Errorf("the link again: %v", err)
		}
		if p, err := s.People.Person(t.Context(), id.Default, s.maya.user); err != nil || !p.RecoveredAt.Equal(s.now) || p.RecoveredBy != s.priya.user {
			t.Errorf("%+v, %v", p, err)
		}
	})
}

// TestWhoRecoversWhom: not oneself, nobody with more than one has, only the server's administrators, no agent.
func TestWhoRecoversWhom(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	admin, omar := s.priya.invite("Ada"), s.priya.invite("Omar")
	s.bind(admin, "admin", false)
	s.bind(s.bot, "owner", false)
	for name, c := range map[string]struct {
		by   *party
		who  id.User
		code string
	}{
		"oneself":                          {s.priya, s.priya.user, "yourself"},
		"an owner, by an admin":            {admin, s.priya.user, "escalation"},
		"a release manager, by who is not": {admin, s.maya.user, "escalation"},
		"somebody without roles":           {admin, omar.user, ""},
		"by who may not":                   {omar, s.maya.user, "no_permit"},
		"nobody":                           {s.priya, id.New[id.User](s.now), "not_found"},
		"by an agent":                      {s.bot, omar.user, "forbidden"},
	} {
		if _, err := s.Recover(t.Context(), c.by.api(), c.who, ""); fault.Code(err) != c.code {
			t.Errorf("%s: %v, want %q", name, err, c.code)
		}
	}
	_, _, err := s.EndPerson(t.Context(), s.priya.api(), omar.user, "suspend", "")
	s.ok(err)
	if _, err := s.Recover(t.Context(), admin.api(), omar.user, ""); fault.Code(err) != "person_suspended" {
		t.Errorf("a suspended person: %v", err)
	}
}

// TestALinkDiesWithItsMaker: an administrator who was stopped meanwhile lets nobody in.
func TestALinkDiesWithItsMaker(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	admin, omar := s.priya.invite("Ada"), s.priya.invite("Omar")
	s.bind(admin, "admin", false)
	secret, err := s.Recover(t.Context(), admin.api(), omar.user, "")
	s.ok(err)
	_, _, err = s.EndPerson(t.Context(), s.priya.api(), admin.user, "suspend", "")
	s.ok(err)
	if _, _, err := s.SignIn(t.Context(), secret, "", "", s.keyCredentials(newSigner(t), "/v1/signin")); fault.Code(err) != "ticket_unknown" {
		t.Errorf("the link of a suspended administrator: %v", err)
	}
	if _, err := omar.token(); err != nil {
		t.Errorf("and Omar: %v", err)
	}
}

// TestARecoveredPersonWaitsADay: they see, keep their own account and take back what they lent; they vote, lend and administer after 24 hours.
func TestARecoveredPersonWaitsADay(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 10)
		s.bind(s.priya, "release-manager", false)
		s.bind(s.maya, "owner", false)
		mine := s.maya.lend(s.deployer, lent{}, "tool:files:read")
		maya := s.recovered(s.priya, s.maya)
		a := s.pending("a")
		attempts := map[string]func() error{
			"votes": func() error { return maya.vote(a, evidence.Approve) },
			"lends": func() error {
				signed, err := delegation.Sign(maya.statement(s.deployer, lent{}, "tool:files:read"), maya.signer)
				s.ok(err)
				_, err = maya.Lend(t.Context(), maya.api(), signed)
				return err
			},
			"invites": func() error { _, _, err := s.Invite(t.Context(), maya.api(), "Sock"); return err },
			"binds": func() error {
				_, _, err := s.Bind(t.Context(), maya.api(), guard.NewBinding{Principal: s.priya.sub(), Role: "developer"})
				return err
			},
			"recovers": func() error { _, err := s.Recover(t.Context(), maya.api(), s.priya.user, ""); return err },
			"enrols": func() error {
				_, _, err := s.OfferEnrolment(t.Context(), maya.api(), s.bot.agent)
				return err
			},
		}
		calls := func() guard.Verdict {
			got, err := maya.PersonToken(t.Context(), maya.client(), id.Default, guard.TokenRequest{Resource: issuer + "/mcp/files"})
			s.ok(err)
			return s.start(maya.caller(got.Token, issuer+"/mcp/files", issuer+"/mcp/files"), s.call("read", `{"path":"a"}`))
		}
		if v := calls(); v.Outcome != evidence.Deny || v.Code != "recovered_recently" {
			t.Errorf("calls a tool at once: %+v", v)
		}
		acme, err := id.ParseWorkspace("acme")
		s.ok(err)
		if _, err := s.CreateWorkspace(t.Context(), maya.api(), people.Workspace{Name: acme}); fault.Code(err) != "recovered_recently" {
			t.Errorf("makes a workspace at once: %v", err)
		}
		if _, err := s.log.Head(t.Context(), acme); fault.Code(err) != "workspace_unknown" {
			t.Errorf("and its log is there: %v", err)
		}
		for name, do := range attempts {
			if name == "votes" || name == "lends" || name == "invites" || name == "binds" || name == "recovers" || name == "enrols" {
				if err := do(); fault.Code(err) != "recovered_recently" {
					t.Errorf("%s at once: %v", name, err)
				}
			}
		}
		if _, err := s.NewLink(t.Context(), maya.api(), maya.user); err != nil {
			t.Errorf("a link for herself: %v", err)
		}
		if _, _, err := s.Revoke(t.Context(), maya.api(), mine.Statement.ID, ""); err != nil {
			t.Errorf("taking back: %v", err)
		}
		if _, _, err := s.ListPeople(t.Context(), maya.api(), id.User{}, 10); err != nil {
			t.Errorf("reading: %v", err)
		}
		s.now = s.now.Add(people.Quarantine - time.Microsecond)
		s.relend()
		a = s.pending("b")
		if err := attempts["votes"](); fault.Code(err) != "recovered_recently" {
			t.Errorf("a moment before a day is over: %v", err)
		}
		s.now = s.now.Add(time.Microsecond)
		for _, name := range []string{"lends", "invites", "binds"} {
			if err := attempts[name](); err != nil {
				t.Errorf("%s after a day: %v", name, err)
			}
		}
		if v := calls(); v.Outcome != evidence.Permit {
			t.Errorf("calls a tool after a day: %+v", v)
		}
	})
}

// TestAnApprovalWaitsForTheRecovered: where nobody else could vote, the call is asked for and waits; it is not refused as unmeetable.
func TestAnApprovalWaitsForTheRecovered(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	ada := s.priya.invite("Ada")
	s.bind(ada, "owner", false)
	s.bind(ada, "release-manager", false)
	maya := s.recovered(ada, s.maya)
	s.bind(ada, "release-manager", true)
	v := s.start(s.deployer.tool(s.leaf), s.call("write", `{"path":"production/a"}`))
	if v.Outcome != evidence.Ask {
		t.Fatalf("%+v", v)
	}
	s.now = s.now.Add(people.Quarantine)
	s.relend()
	a := s.pending("b")
	s.ok(maya.vote(a, evidence.Approve))
}

// TestTheAdministratorBecomesAnother tells the cheat that recovery invites: Priya recovers Maya, spends the link herself, waits a day, and votes as Maya
// on what her own agent asks.
func TestTheAdministratorBecomesAnother(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 10)
		s.bind(s.priya, "release-manager", false)
		maya := s.recovered(s.priya, s.maya) // Priya's hands on the new key
		s.now = s.now.Add(25 * time.Hour)
		s.relend()
		a := s.pending("a")
		if err := maya.vote(a, evidence.Approve); fault.Code(err) != "four_eyes" && fault.Code(err) != "not_found" {
			t.Errorf("Priya as Maya on Priya's chain: %v", err)
		}
		// The other way about: what "Maya" lends, Priya approves.
		bot := maya.register("mayas-bot")
		root := maya.lend(bot, lent{ttl: time.Hour}, "tool:files:*")
		v := s.start(bot.tool(root), s.call("write", `{"path":"production/b"}`))
		if err := s.priya.vote(v.Approval.ID, evidence.Approve); fault.Code(err) != "four_eyes" {
			t.Errorf("Priya on what she lent as Maya: %v", err)
		}
		s.now = s.now.Add(people.TieLife)
		s.relend()
		a = s.pending("c")
		s.ok(maya.vote(a, evidence.Approve)) // the tie is over
	})
}

// TestTheAdministratorGoesOverAThird: Priya becomes Ada, and as Ada recovers Maya; Maya is as near to Priya as Ada is.
func TestTheAdministratorGoesOverAThird(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	ada := s.priya.invite("Ada")
	for _, role := range []string{"owner", "release-manager"} {
		s.bind(ada, role, false)
	}
	s.bind(s.priya, "release-manager", false)
	ada = s.recovered(s.priya, ada)
	s.now = s.now.Add(people.TieLife - time.Hour) // the first tie is nearly over
	maya := s.recovered(ada, s.maya)
	s.now = s.now.Add(25 * time.Hour) // and now it is
	s.relend()
	if err := maya.vote(s.pending("a"), evidence.Approve); fault.Code(err) != "four_eyes" && fault.Code(err) != "not_found" {
		t.Errorf("Priya, as Ada, as Maya: %v", err)
	}
	tied, err := s.People.Tied(t.Context(), maya.user, s.now)
	if err != nil || len(tied) != 3 || !slices.Contains(tied, s.priya.user) {
		t.Errorf("tied: %v, %v", tied, err)
	}
	// Two whom one administrator recovered are one as well.
	omar, zoe := s.recovered(s.priya, s.priya.invite("Omar")), s.recovered(s.priya, s.priya.invite("Zoe"))
	if tied, err := s.People.Tied(t.Context(), omar.user, s.now); err != nil || !slices.Contains(tied, zoe.user) {
		t.Errorf("Omar and Zoe: %v, %v", tied, err)
	}
}

// TestTwoVotesOfOne: where two must approve, an administrator and whom they recovered are one of them.
func TestTwoVotesOfOne(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	s.priya.publish(`
@id("people") permit (principal is User, action, resource) when { context.perm.s0 == "tool" };
@id("agents") permit (principal is Agent, action, resource) when { context.perm.s0 == "tool" && context has subject };
@id("prod") @approve("2 of release-manager") forbid (principal, action == Action::"tool:files:write", resource) when { context.args.path like "production/*" };`)
	ada, zoe := s.priya.invite("Ada"), s.priya.invite("Zoe")
	for _, role := range []string{"owner", "release-manager"} {
		s.bind(ada, role, false)
	}
	s.bind(zoe, "release-manager", false)
	call := s.call("write", `{"path":"production/a"}`)
	maya := s.recovered(ada, s.maya)
	s.now = s.now.Add(25 * time.Hour)
	s.relend()
	a := s.start(s.deployer.tool(s.leaf), call).Approval.ID
	s.ok(ada.vote(a, evidence.Approve))
	if err := maya.vote(a, evidence.Approve); fault.Code(err) != "four_eyes" {
		t.Errorf("the second vote of one: %v", err)
	}
	s.ok(zoe.vote(a, evidence.Approve))
	if v := s.start(s.deployer.tool(s.leaf), call); v.Outcome != evidence.Permit {
		t.Errorf("two people: %+v", v)
	}
	// Both votes first, the recovery after: what is left is one.
	b := s.call("write", `{"path":"production/b"}`)
	a = s.start(s.deployer.tool(s.leaf), b).Approval.ID
	s.ok(ada.vote(a, evidence.Approve))
	s.ok(zoe.vote(a, evidence.Approve))
	s.recovered(ada, zoe)
	if v := s.start(s.deployer.tool(s.leaf), b); v.Outcome == evidence.Permit {
		t.Errorf("the vote of somebody who was recovered since: %+v", v)
	}
	if found, err := s.Approvals.Get(t.Context(), id.Default, a); err != nil || found.Status != approvals.Void {
		t.Errorf("%s, %v", found.Status, err)
	}
}

// TestALostFirstLinkIsReplaced for who never signed in, by who may invite; after that a link is for oneself again.
func TestALostFirstLinkIsReplaced(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	ada := s.priya.invite("Ada")
	s.bind(ada, "admin", false)
	p, lost, err := s.Invite(t.Context(), s.priya.api(), "Omar")
	s.ok(err)
	secret, err := s.NewLink(t.Context(), ada.api(), p.ID)
	s.ok(err)
	if _, _, err := s.SignIn(t.Context(), lost, "", "", s.keyCredentials(newSigner(t), "/v1/signin")); fault.Code(err) != "ticket_spent" {
		t.Errorf("the lost link: %v", err)
	}
	omar := s.signIn(secret, "")
	if omar.user != p.ID {
		t.Errorf("signed in as %s", omar.user)
	}
	if tied, err := s.People.Tied(t.Context(), omar.user, s.now); err != nil || len(tied) != 1 {
		t.Errorf("tied though nobody had given him a role: %v, %v", tied, err)
	}
	if _, err := s.NewLink(t.Context(), ada.api(), p.ID); fault.Code(err) != "not_yourself" {
		t.Errorf("once he signed in: %v", err)
	}
	q, _, err := s.Invite(t.Context(), s.priya.api(), "Olga")
	s.ok(err)
	s.bind(&party{rig: s.rig, user: q.ID}, "release-manager", false)
	if _, err := s.NewLink(t.Context(), ada.api(), q.ID); fault.Code(err) != "escalation" {
		t.Errorf("for somebody who is more: %v", err)
	}
	// Who may make it, because they are as much, gets no second vote by it.
	s.bind(ada, "release-manager", false)
	secret, err = s.NewLink(t.Context(), ada.api(), q.ID)
	s.ok(err)
	olga := s.signIn(secret, "")
	if tied, err := s.People.Tied(t.Context(), olga.user, s.now); err != nil || !slices.Contains(tied, ada.user) {
		t.Errorf("who made the second link is not one with her: %v, %v", tied, err)
	}
	r, _, err := s.Invite(t.Context(), s.priya.api(), "Rita")
	s.ok(err)
	q = r
	if _, err := s.NewLink(t.Context(), s.maya.api(), q.ID); fault.Code(err) != "no_permit" {
		t.Errorf("by who may not invite: %v", err)
	}
}

// TestARecoveryLinkIsSpentOnce, by 64 callers at once.
func TestARecoveryLinkIsSpentOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 10)
		s.bind(s.priya, "release-manager", false)
		secret, err := s.Recover(t.Context(), s.priya.api(), s.maya.user, "")
		s.ok(err)
		var creds []guard.Credentials
		for range 64 {
			creds = append(creds, s.keyCredentials(newSigner(t), "/v1/signin"))
		}
		codes := audittest.Together(t, []*rig{s.rig}, 64, func(r *rig, i int) error {
			_, _, err := r.SignIn(t.Context(), secret, "", "", creds[i])
			return err
		})
		if codes[""] != 1 || codes["ticket_spent"] != 63 {
			t.Errorf("%v", codes)
		}
		if keys, err := s.People.KeysOf(t.Context(), s.maya.user); err != nil || len(keys) != 1 {
			t.Errorf("%d keys, %v", len(keys), err)
		}
	})
}

// TestTwoBecomeOneAfterTheyVoted: both recover the same third person, so each could be the other; what they had approved together is one vote.
func TestTwoBecomeOneAfterTheyVoted(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	s.priya.publish(`
@id("people") permit (principal is User, action, resource) when { context.perm.s0 == "tool" };
@id("agents") permit (principal is Agent, action, resource) when { context.perm.s0 == "tool" && context has subject };
@id("prod") @approve("2 of release-manager") forbid (principal, action == Action::"tool:files:write", resource) when { context.args.path like "production/*" };`)
	ada, zoe, omar := s.priya.invite("Ada"), s.priya.invite("Zoe"), s.priya.invite("Omar")
	for _, p := range []*party{ada, zoe} {
		s.bind(p, "owner", false)
		s.bind(p, "release-manager", false)
	}
	call := s.call("write", `{"path":"production/a"}`)
	a := s.start(s.deployer.tool(s.leaf), call).Approval.ID
	s.ok(ada.vote(a, evidence.Approve))
	s.ok(zoe.vote(a, evidence.Approve))
	s.recovered(zoe, s.recovered(ada, omar))
	if v := s.start(s.deployer.tool(s.leaf), call); v.Outcome == evidence.Permit {
		t.Errorf("%+v", v)
	}
}
