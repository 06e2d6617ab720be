package guard_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/audit/audittest"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/people"
)

func workspace(name string) id.Workspace {
	ws, err := id.ParseWorkspace(name)
	if err != nil {
		panic(err)
	}
	return ws
}

// in is the party as a caller of the API of another workspace.
func (p *party) in(ws id.Workspace) *guard.Caller {
	p.t.Helper()
	got, err := p.PersonToken(p.t.Context(), p.client(), ws, guard.TokenRequest{})
	p.ok(err)
	return p.caller(got.Token, p.API(ws), p.API(ws))
}

func (s *story) workspace(name string) id.Workspace {
	s.t.Helper()
	ws := workspace(name)
	_, err := s.CreateWorkspace(s.t.Context(), s.priya.api(), people.Workspace{Name: ws, PublishOwner: "id"})
	s.ok(err)
	return ws
}

// TestAWorkspaceOfItsOwn: it has its log, its policies, its owner, and its own proofs of whose keys these are.
func TestAWorkspaceOfItsOwn(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 10)
		acme := s.workspace("acme")
		if name, roles, err := s.Me(t.Context(), s.priya.in(acme)); err != nil || name != "Priya Nair" || !slices.Equal(roles, []string{"owner"}) {
			t.Errorf("%s, %v, %v", name, roles, err)
		}
		for ws, kinds := range map[id.Workspace][]evidence.Kind{
			id.Server: {evidence.LogOpened, evidence.WorkspaceCreated}, id.Default: {evidence.WorkspaceCreated},
			acme: {evidence.LogOpened, evidence.WorkspaceCreated, evidence.PolicyPublished, evidence.UserPasskeyChanged},
		} {
			for _, k := range kinds {
				found, err := s.log.Search(t.Context(), ws, audit.Filter{Kind: k})
				if err != nil || len(found) == 0 {
					t.Errorf("%s has no %s; %v", ws, k, err)
				}
			}
		}
		created, err := s.log.Search(t.Context(), acme, audit.Filter{Kind: evidence.WorkspaceCreated})
		if err != nil || created[0].Under != nil || created[0].Why != nil || created[0].What.User != s.priya.user {
			t.Errorf("%s, %v", created[0].Body, err)
		}
		for _, c := range []struct {
			name, owner, code string
			by                *guard.Caller
		}{
			{"acme", "id", "workspace_exists", s.priya.api()},
			{"default", "id", "workspace_exists", s.priya.api()},
			{"server", "id", "workspace_invalid", s.priya.api()},
			{"other", "id", "no_permit", s.maya.api()},
			{"other", "id", "server_act", s.priya.in(acme)},
			{"other", "everything", "workspace_invalid", s.priya.api()},
		} {
			if _, err := s.CreateWorkspace(t.Context(), c.by, people.Workspace{Name: workspace(c.name), PublishOwner: c.owner}); fault.Code(err) != c.code {
				t.Errorf("%s %s: %v, want %s", c.name, c.owner, err, c.code)
			}
		}
		// What was tried and failed is found again.
		s.workspace("other")
	})
}

// TestWorkspacesAreMadeOnce, by 64 callers at once: one log, one owner.
func TestWorkspacesAreMadeOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 10)
		callers := make([]*guard.Caller, 64)
		for i := range callers {
			callers[i] = s.priya.api()
		}
		codes := audittest.Together(t, []*rig{s.rig}, 64, func(r *rig, i int) error {
			_, err := r.CreateWorkspace(t.Context(), callers[i], people.Workspace{Name: workspace("acme"), PublishOwner: "id"})
			return err
		})
		if codes[""] != 1 || codes["workspace_exists"] != 63 {
			t.Errorf("%v", codes)
		}
		if opened, err := s.log.Search(t.Context(), workspace("acme"), audit.Filter{Kind: evidence.LogOpened}); err != nil || len(opened) != 1 {
			t.Errorf("%d logs were opened, %v", len(opened), err)
		}
	})
}

// TestAnotherWorkspaceIsNotThere: what is in one workspace answers in another as what never was, whatever role the caller has there.
func TestAnotherWorkspaceIsNotThere(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 10)
		acme := s.workspace("acme")
		pending := s.pending("a")
		s.group("theirs")
		none := struct {
			user  id.User
			agent id.Agent
			key   id.Key
			dlg   id.Delegation
			apr   id.Approval
			evt   id.Event
		}{
			id.New[id.User](s.now), id.New[id.Agent](s.now), newSigner(t).Public().Thumbprint(), id.New[id.Delegation](s.now), id.New[id.Approval](s.now),
			id.New[id.Event](s.now),
		}
		event := s.newest(audit.Filter{Person: s.maya.user})
		calls := map[string]func(c *guard.Caller, theirs bool) error{
			"agent": func(c *guard.Caller, theirs bool) error {
				_, err := s.FindAgent(t.Context(), c, pick(theirs, s.bot.agent, none.agent).String())
				return err
			},
			"agent by name": func(c *guard.Caller, theirs bool) error {
				_, err := s.FindAgent(t.Context(), c, pick(theirs, "release-bot", "no-such-bot"))
				return err
			},
			"suspend agent": func(c *guard.Caller, theirs bool) error {
				_, _, _, err := s.EndAgent(t.Context(), c, pick(theirs, s.bot.agent, none.agent), "suspend", "")
				return err
			},
			"instances": func(c *guard.Caller, theirs bool) error {
				_, err := s.Instances(t.Context(), c, pick(theirs, s.bot.agent, none.agent))
				return err
			},
			"enrolment": func(c *guard.Caller, theirs bool) error {
				_, _, err := s.OfferEnrolment(t.Context(), c, pick(theirs, s.bot.agent, none.agent))
				return err
			},
			"revoke instance": func(c *guard.Caller, theirs bool) error {
				_, _, _, err := s.EndInstance(t.Context(), c, pick(theirs, s.bot.signer.Public().Thumbprint(), none.key), "revoke", "")
				return err
			},
			"suspend person": func(c *guard.Caller, theirs bool) error {
				_, _, err := s.EndPerson(t.Context(), c, pick(theirs, s.maya.user, none.user), "suspend", "")
				return err
			},
			"keys": func(c *guard.Caller, theirs bool) error {
				_, err := s.KeysOf(t.Context(), c, pick(theirs, s.maya.user, none.user))
				return err
			},
			"end key": func(c *guard.Caller, theirs bool) error {
				_, err := s.EndKey(t.Context(), c, pick(theirs, s.maya.user, none.user), s.maya.thumbprint())
				return err
			},
			"sign out": func(c *guard.Caller, theirs bool) error {
				_, _, err := s.SignOutEverywhere(t.Context(), c, pick(theirs, s.maya.user, none.user), "")
				return err
			},
			"recover": func(c *guard.Caller, theirs bool) error {
				_, err := s.Recover(t.Context(), c, pick(theirs, s.maya.user, none.user), "")
				return err
			},
			"link": func(c *guard.Caller, theirs bool) error {
				_, err := s.NewLink(t.Context(), c, pick(theirs, s.maya.user, none.user))
				return err
			},
			"remove member": func(c *guard.Caller, theirs bool) error {
				_, _, err := s.RemoveMember(t.Context(), c, pick(theirs, s.maya.user, none.user), "")
				return err
			},
			"bind person": func(c *guard.Caller, theirs bool) error {
				_, _, err := s.Bind(t.Context(), c, guard.NewBinding{Principal: pick(theirs, s.maya.sub(), none.user.String()), Role: "developer"})
				return err
			},
			"bind group": func(c *guard.Caller, theirs bool) error {
				_, _, err := s.Bind(t.Context(), c, guard.NewBinding{Principal: pick(theirs, "group:theirs", "group:nobody"), Role: "developer"})
				return err
			},
			"group": func(c *guard.Caller, theirs bool) error {
				_, _, _, err := s.Group(t.Context(), c, pick(theirs, "theirs", "nobody"))
				return err
			},
			"delete group": func(c *guard.Caller, theirs bool) error {
				_, err := s.DeleteGroup(t.Context(), c, pick(theirs, "theirs", "nobody"), "")
				return err
			},
			"add to group": func(c *guard.Caller, theirs bool) error {
				_, err := s.AddToGroup(t.Context(), c, pick(theirs, "theirs", "nobody"), s.priya.sub(), "")
				return err
			},
			"delegation": func(c *guard.Caller, theirs bool) error {
				_, err := s.DelegationChain(t.Context(), c, pick(theirs, s.root.Statement.ID, none.dlg))
				return err
			},
			"revoke delegation": func(c *guard.Caller, theirs bool) error {
				_, _, err := s.Revoke(t.Context(), c, pick(theirs, s.root.Statement.ID, none.dlg), "")
				return err
			},
			"approval": func(c *guard.Caller, theirs bool) error {
				_, err := s.Approval(t.Context(), c, pick(theirs, pending, none.apr))
				return err
			},
			"cancel": func(c *guard.Caller, theirs bool) error {
				return s.Cancel(t.Context(), c, pick(theirs, pending, none.apr))
			},
			"event": func(c *guard.Caller, theirs bool) error {
				_, err := s.Event(t.Context(), c, pick(theirs, event.ID, none.evt))
				return err
			},
			"tools of a server": func(c *guard.Caller, theirs bool) error {
				_, err := s.Tools(t.Context(), c, pick(theirs, "files", "nothing"))
				return err
			},
			"workspace": func(c *guard.Caller, theirs bool) error {
				_, err := s.Workspace(t.Context(), c, workspace(pick(theirs, "globex", "nothing")))
				return err
			},
			"set workspace": func(c *guard.Caller, theirs bool) error {
				_, err := s.SetWorkspace(t.Context(), c, people.Workspace{Name: workspace(pick(theirs, "default", "nothing")), PublishOwner: "none"})
				return err
			},
		}
		s.workspace("globex")
		// Zoe owns acme and is nothing elsewhere.
		zoe := func() *party {
			p, secret, err := s.Invite(t.Context(), s.priya.in(acme), "Zoe")
			s.ok(err)
			_, _, err = s.Bind(t.Context(), s.priya.in(acme), guard.NewBinding{Principal: p.ID.String(), Role: "owner"})
			s.ok(err)
			return s.signIn(secret, "")
		}()
		redact := strings.NewReplacer(s.bot.agent.String(), "X", none.agent.String(), "X", s.maya.sub(), "X", none.user.String(), "X", s.root.Statement.ID.String(), "X",
			none.dlg.String(), "X", pending.String(), "X", none.apr.String(), "X", event.ID.String(), "X", none.evt.String(), "X", "release-bot", "X", "no-such-bot", "X",
			"theirs", "X", "nobody", "X", "files", "X", "nothing", "X", "globex", "X", "default", "X")
		for name, call := range calls {
			there, nowhere := call(zoe.in(acme), true), call(zoe.in(acme), false)
			if fault.Code(nowhere) == "" || fault.Code(there) != fault.Code(nowhere) || redact.Replace(there.Error()) != redact.Replace(nowhere.Error()) {
				t.Errorf("%s: another workspace's answers %v, nobody's %v", name, there, nowhere)
			}
		}
		// And a token for one workspace is none for another.
		got, err := zoe.PersonToken(t.Context(), zoe.client(), acme, guard.TokenRequest{})
		s.ok(err)
		url := issuer + "/v1/x"
		if _, err := s.Authenticate(t.Context(), guard.Credentials{
			Method: "POST", URL: url, Authorization: []string{"DPoP " + got.Token}, DPoP: []string{s.proof(zoe.signer, "POST", url, got.Token)},
		}, s.API(id.Default)); err == nil {
			t.Error("acme's token is accepted in default")
		}
		_, theirs := zoe.PersonToken(t.Context(), zoe.client(), id.Default, guard.TokenRequest{})
		_, none2 := zoe.PersonToken(t.Context(), zoe.client(), workspace("nothing"), guard.TokenRequest{})
		if fault.Code(theirs) != "principal_inactive" || theirs.Error() != none2.Error() {
			t.Errorf("a token in a strange workspace: %v; in none: %v", theirs, none2)
		}
	})
}

// TestMembersOfDefaultAreNotToldWhoIsElsewhere: accounts are the server's, and its administrators act in default. Who is a member there and no more learns
// neither who is in another workspace, nor by which key, nor what workspaces there are.
func TestMembersOfDefaultAreNotToldWhoIsElsewhere(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 10)
		acme := s.workspace("acme")
		p, secret, err := s.Invite(t.Context(), s.priya.in(acme), "Zoe")
		s.ok(err)
		zoe, nobody := s.signIn(secret, ""), id.New[id.User](s.now)
		omar := s.priya.invite("Omar")
		calls := map[string]func(c *guard.Caller, of id.User, key string) error{
			"keys": func(c *guard.Caller, of id.User, _ string) error { _, err := s.KeysOf(t.Context(), c, of); return err },
			"end key": func(c *guard.Caller, of id.User, key string) error {
				_, err := s.EndKey(t.Context(), c, of, key)
				return err
			},
			"sign out": func(c *guard.Caller, of id.User, _ string) error {
				_, _, err := s.SignOutEverywhere(t.Context(), c, of, "")
				return err
			},
			"recover": func(c *guard.Caller, of id.User, _ string) error {
				_, err := s.Recover(t.Context(), c, of, "")
				return err
			},
		}
		for name, call := range calls {
			for what, err := range map[string]error{
				"somebody": call(omar.api(), p.ID, "x"), "and their key": call(omar.api(), p.ID, zoe.thumbprint()), "nobody": call(omar.api(), nobody, "x"),
			} {
				if fault.Code(err) != "no_permit" {
					t.Errorf("%s, %s: %v", name, what, err)
				}
			}
			if err := call(s.priya.api(), nobody, "x"); fault.Code(err) != "not_found" {
				t.Errorf("%s, nobody, by an administrator: %v", name, err)
			}
		}
		if has, err := s.KeysOf(t.Context(), s.priya.api(), p.ID); err != nil || len(has.Keys) != 1 {
			t.Errorf("by an administrator: %+v, %v", has, err)
		}
		for _, name := range []string{"acme", "nothing"} {
			if _, err := s.CreateWorkspace(t.Context(), omar.api(), people.Workspace{Name: workspace(name), PublishOwner: "id"}); fault.Code(err) != "no_permit" {
				t.Errorf("making %s: %v", name, err)
			}
		}
	})
}

func pick[T any](first bool, a, b T) T {
	if first {
		return a
	}
	return b
}

// TestAMemberIsSuspendedWhereTheAdministratorIs: an administrator of acme stops nobody in default, the server's stop them everywhere.
func TestAMemberIsSuspendedWhereTheAdministratorIs(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 10)
		acme := s.workspace("acme")
		_, _, err := s.AddMember(t.Context(), s.priya.in(acme), s.maya.user)
		s.ok(err)
		session, _ := s.maya.browser()
		old, err := s.maya.PersonToken(t.Context(), s.maya.client(), acme, guard.TokenRequest{})
		s.ok(err)
		_, _, err = s.EndPerson(t.Context(), s.priya.in(acme), s.maya.user, "suspend", "not our business any more")
		s.ok(err)
		if _, err := s.maya.PersonToken(t.Context(), s.maya.client(), acme, guard.TokenRequest{}); fault.Code(err) != "person_suspended" {
			t.Errorf("in acme: %v", err)
		}
		if _, err := s.Whoami(t.Context(), s.maya.api()); err != nil {
			t.Errorf("in default: %v", err)
		}
		if _, _, err := s.Guard.Session(t.Context(), session, id.Default, ""); err != nil {
			t.Errorf("her session: %v", err)
		}
		for _, ws := range []id.Workspace{id.Default, id.Server} {
			if told, err := s.log.Search(t.Context(), ws, audit.Filter{Kind: evidence.UserSuspended}); err != nil || len(told) != 0 {
				t.Errorf("%s was told of acme's business: %d, %v", ws, len(told), err)
			}
		}
		_, _, err = s.EndPerson(t.Context(), s.priya.in(acme), s.maya.user, "resume", "")
		s.ok(err)
		if _, err := s.Whoami(t.Context(), s.maya.caller(old.Token, s.API(acme), s.API(acme))); fault.Code(err) != "token_ended" {
			t.Errorf("a token from before: %v", err)
		}
		if _, err := s.Whoami(t.Context(), s.maya.in(acme)); err != nil {
			t.Errorf("resumed: %v", err)
		}

		_, _, err = s.EndPerson(t.Context(), s.priya.api(), s.maya.user, "suspend", "a secret of default's")
		s.ok(err)
		if _, _, err := s.People.PersonByKey(t.Context(), s.maya.signer.Public().Thumbprint()); fault.Code(err) != "person_suspended" {
			t.Errorf("suspended everywhere: %v", err)
		}
		for _, ws := range []id.Workspace{id.Default, acme} {
			told, err := s.log.Search(t.Context(), ws, audit.Filter{Kind: evidence.UserSuspended, Target: s.maya.sub()})
			if err != nil || len(told) == 0 {
				t.Fatalf("%s was not told: %v", ws, err)
			}
			_, err = s.log.Detail(t.Context(), told[0], "text")
			if ws == id.Default && err != nil || ws == acme && (fault.Code(err) != "not_found" || told[0].What.Text != nil || told[0].Why != nil || told[0].Under != nil) {
				t.Errorf("in %s the reason: %v; %s", ws, err, told[0].Body)
			}
		}
	})
}

// TestMembersComeAndGo: whom one meets elsewhere one can add; who leaves takes no role, group or delegation along, and finds none on coming back.
func TestMembersComeAndGo(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 10)
		acme := s.workspace("acme")
		stranger := id.New[id.User](s.now)
		if _, _, err := s.AddMember(t.Context(), s.priya.in(acme), stranger); fault.Code(err) != "not_found" {
			t.Errorf("nobody: %v", err)
		}
		p, secret, err := s.Invite(t.Context(), s.priya.in(acme), "Zoe")
		s.ok(err)
		zoe := s.signIn(secret, "")
		_, _, err = s.Bind(t.Context(), s.priya.in(acme), guard.NewBinding{Principal: p.ID.String(), Role: "admin"})
		s.ok(err)
		if _, _, err := s.AddMember(t.Context(), zoe.in(acme), s.maya.user); fault.Code(err) != "not_found" {
			t.Errorf("Zoe has never met Maya: %v", err)
		}
		_, _, err = s.AddMember(t.Context(), s.priya.in(acme), s.maya.user)
		s.ok(err)
		if _, _, err := s.AddMember(t.Context(), s.priya.in(acme), s.maya.user); fault.Code(err) != "already_member" {
			t.Errorf("again: %v", err)
		}
		known, err := s.log.Search(t.Context(), acme, audit.Filter{Kind: evidence.UserPasskeyChanged, Target: s.maya.sub()})
		if err != nil || len(known) != 1 || known[0].What.Key.Thumbprint() != s.maya.signer.Public().Thumbprint() {
			t.Errorf("acme's log does not know Maya's key: %v, %v", known, err)
		}
		_, err = s.CreateGroup(t.Context(), s.priya.in(acme), "ops", "")
		s.ok(err)
		_, err = s.AddToGroup(t.Context(), s.priya.in(acme), "ops", s.maya.sub(), "")
		s.ok(err)
		_, _, err = s.Bind(t.Context(), s.priya.in(acme), guard.NewBinding{Principal: s.maya.sub(), Role: "developer"})
		s.ok(err)
		old, err := s.maya.PersonToken(t.Context(), s.maya.client(), acme, guard.TokenRequest{})
		s.ok(err)
		_, _, err = s.RemoveMember(t.Context(), zoe.in(acme), s.maya.user, "")
		s.ok(err)
		if _, err := s.maya.PersonToken(t.Context(), s.maya.client(), acme, guard.TokenRequest{}); fault.Code(err) != "principal_inactive" {
			t.Errorf("after leaving: %v", err)
		}
		s.now = s.now.Add(2 * time.Second)
		_, _, err = s.AddMember(t.Context(), s.priya.in(acme), s.maya.user)
		s.ok(err)
		if _, err := s.Whoami(t.Context(), s.maya.caller(old.Token, s.API(acme), s.API(acme))); fault.Code(err) != "token_ended" {
			t.Errorf("a token from the first time: %v", err)
		}
		if _, roles, err := s.Me(t.Context(), s.maya.in(acme)); err != nil || len(roles) != 0 {
			t.Errorf("back with %v, %v", roles, err)
		}
		if in, err := s.People.InGroups(t.Context(), acme, "ops"); err != nil || len(in) != 0 {
			t.Errorf("still in %v, %v", in, err)
		}
		if _, _, err := s.RemoveMember(t.Context(), s.priya.in(acme), s.priya.user, ""); fault.Code(err) != "lockout" {
			t.Errorf("the only owner leaves: %v", err)
		}
		if _, roles, err := s.Me(t.Context(), s.priya.in(acme)); err != nil || !slices.Contains(roles, "owner") {
			t.Errorf("the refused leave took %v, %v", roles, err)
		}
	})
}

// TestAccountsAreTheServers: an administrator of acme recovers, signs out and takes keys of nobody, a member of acme alone included.
func TestAccountsAreTheServers(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	acme := s.workspace("acme")
	p, secret, err := s.Invite(t.Context(), s.priya.in(acme), "Zoe")
	s.ok(err)
	zoe := s.signIn(secret, "")
	_, _, err = s.AddMember(t.Context(), s.priya.in(acme), s.maya.user)
	s.ok(err)
	_, _, err = s.Bind(t.Context(), s.priya.in(acme), guard.NewBinding{Principal: p.ID.String(), Role: "owner"})
	s.ok(err)
	if _, err := s.Recover(t.Context(), zoe.in(acme), s.maya.user, ""); fault.Code(err) != "server_act" {
		t.Errorf("recovers: %v", err)
	}
	if _, err := s.EndKey(t.Context(), zoe.in(acme), s.maya.user, s.maya.thumbprint()); fault.Code(err) != "server_act" {
		t.Errorf("takes a key: %v", err)
	}
	if _, _, err := s.SignOutEverywhere(t.Context(), zoe.in(acme), s.maya.user, ""); fault.Code(err) != "server_act" {
		t.Errorf("signs out: %v", err)
	}
	// The server's owner recovers Zoe, who is no member of default; an administrator who is less than she is in acme does not.
	ada := s.priya.invite("Ada")
	s.bind(ada, "admin", false)
	if _, err := s.Recover(t.Context(), ada.api(), zoe.user, ""); fault.Code(err) != "escalation" {
		t.Errorf("an administrator who is nothing in acme: %v", err)
	}
	again := s.recovered(s.priya, zoe)
	if _, err := s.Whoami(t.Context(), again.in(acme)); err != nil {
		t.Errorf("recovered: %v", err)
	}
	if _, _, err := s.Invite(t.Context(), again.in(acme), "Sock"); fault.Code(err) != "recovered_recently" {
		t.Errorf("invites at once: %v", err)
	}
	told, err := s.log.Search(t.Context(), acme, audit.Filter{Kind: evidence.UserPasskeyChanged, Target: zoe.sub()})
	if err != nil || told[0].What.Status != evidence.Recovered || !told[0].EndsKey(zoe.user, zoe.thumbprint()) {
		t.Errorf("acme was not told: %v", err)
	}
}

// TestAgentsOfAWorkspace work there: the whole way from an invitation to a token.
func TestAgentsOfAWorkspace(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	acme := s.workspace("acme")
	a, _, err := s.RegisterAgent(t.Context(), s.priya.in(acme), agents.NewAgent{Name: "release-bot"}) // the name is default's, too
	s.ok(err)
	secret, _, err := s.OfferEnrolment(t.Context(), s.priya.in(acme), a.ID)
	s.ok(err)
	bot := &party{rig: s.rig, signer: newSigner(t), agent: a.ID}
	_, _, err = s.Enrol(t.Context(), secret, s.keyCredentials(bot.signer, "/v1/enrol"))
	s.ok(err)
	got, err := bot.ClientCredentials(t.Context(), bot.client(), guard.TokenRequest{})
	s.ok(err)
	if _, err := s.History(t.Context(), bot.caller(got.Token, s.API(acme), s.API(acme))); err != nil {
		t.Error(err)
	}
	if _, err := s.Authenticate(t.Context(), guard.Credentials{
		Method: "POST", URL: issuer + "/v1/x", Authorization: []string{"DPoP " + got.Token}, DPoP: []string{s.proof(bot.signer, "POST", issuer+"/v1/x", got.Token)},
	}, s.API(id.Default)); err == nil {
		t.Error("acme's agent is let into default")
	}
	w, err := s.Workspaces(t.Context(), s.priya.api())
	if err != nil || len(w) != 2 {
		t.Errorf("%v, %v", w, err)
	}
	if w, err := s.Workspaces(t.Context(), s.maya.api()); err != nil || len(w) != 1 {
		t.Errorf("Maya sees %v, %v", w, err)
	}
	_, err = s.SetWorkspace(t.Context(), s.priya.in(acme), people.Workspace{Name: acme, PublishOwner: "none"})
	s.ok(err)
	if got, err := s.Workspace(t.Context(), s.priya.in(acme), acme); err != nil || got.PublishOwner != "none" {
		t.Errorf("%+v, %v", got, err)
	}
}
