package guard_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/approvals"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
)

// tag sets a tag of the deployer.
func (s *story) tag(by *party, name, value string) error {
	_, _, err := s.ChangeAgent(s.t.Context(), by.api(), s.deployer.agent, agents.Change{Set: map[string]string{name: value}})
	return err
}

// TestTagsSteerPolicy: a policy reads the tags of who acts; a change of them decides the next call, whoever decides it, and the evidence of each call holds
// the tags that it was decided with.
func TestTagsSteerPolicy(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 10)
		s.priya.publish(`
			@id("people") permit (principal is User, action, resource) when { context.perm.s0 == "tool" };
			@id("bots") permit (principal is Agent, action, resource) when { context.perm.s0 == "tool" };
			@id("staging-only") @reason("Only agents of staging.")
			forbid (principal == Agent::"` + s.deployer.agent.String() + `", action, resource)
			when { context.perm.s0 == "tool" } unless { principal.hasTag("env") && principal.getTag("env") == "staging" };`)
		decide := func() guard.Verdict {
			t.Helper()
			c, call := s.from("")
			return s.start(c, call)
		}
		without := decide()
		s.ok(s.tag(s.priya, "env", "production"))
		other := decide()
		s.ok(s.tag(s.priya, "env", "staging"))
		right := decide()
		if without.Code != "forbidden" || other.Code != "forbidden" || right.Outcome != evidence.Permit {
			t.Fatalf("decided %+v, %+v, %+v", without, other, right)
		}
		yes := [3]evidence.Verdict{evidence.Holds, evidence.Holds, evidence.Holds}
		if says, detail := s.answers(right.Event); says != yes {
			t.Errorf("the permit: %v %s", says, detail)
		}
		s.ok(s.tag(s.priya, "env", "production"))
		if says, detail := s.answers(right.Event); says != [3]evidence.Verdict{evidence.Holds, evidence.Holds, evidence.Fails} {
			t.Errorf("the permit after the tag changed: %v %s", says, detail)
		}
		if again := decide(); again.Code != "forbidden" {
			t.Errorf("after the tag changed: %+v", again)
		}
	})
}

// TestTagsAreNotTheOwners: who owns an agent may change it, but not how it is tagged, and not let a proposed one act.
func TestTagsAreNotTheOwners(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	noor := s.priya.invite("Noor Haddad")
	if _, _, err := s.HandOver(t.Context(), s.priya.api(), s.deployer.agent, noor.user, true); err != nil {
		t.Fatal(err)
	}
	model := "m"
	if _, _, err := s.ChangeAgent(t.Context(), noor.api(), s.deployer.agent, agents.Change{Model: &model}); err != nil {
		t.Errorf("the owner changes it: %v", err)
	}
	if err := s.tag(noor, "env", "staging"); fault.Code(err) != "no_permit" {
		t.Errorf("the owner tags it: %v", err)
	}
	if _, _, err := s.ChangeAgent(t.Context(), noor.api(), s.deployer.agent, agents.Change{Model: &model, Set: map[string]string{"env": "x"}}); fault.Code(err) != "no_permit" {
		t.Errorf("the owner tags it beside: %v", err)
	}
	tags, err := agents.NewTags(map[string]string{"env": "x"})
	s.ok(err)
	if _, _, err := s.RegisterAgent(t.Context(), noor.api(), agents.NewAgent{Name: "own", Tags: tags}); fault.Code(err) != "no_permit" {
		t.Errorf("a new agent is tagged: %v", err)
	}
	a, _, err := s.RegisterAgent(t.Context(), noor.api(), agents.NewAgent{Name: "own", Pending: true})
	s.ok(err)
	if _, _, err := s.ApproveAgent(t.Context(), noor.api(), a.ID, ""); fault.Code(err) != "no_permit" {
		t.Errorf("the owner approves it: %v", err)
	}
}

// TestDevelopersDoNotHandOver: who may do everything with agents may still make nobody answer for one, nor take one from its owner.
func TestDevelopersDoNotHandOver(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	dev, noor := s.priya.invite("Dev"), s.priya.invite("Noor Haddad")
	s.bind(dev, "developer", false)
	for what, do := range map[string]func() error{
		"registering for another": func() error {
			_, _, err := s.RegisterAgent(t.Context(), dev.api(), agents.NewAgent{Name: "x", Owner: noor.user})
			return err
		},
		"proposing for another": func() error {
			_, _, err := s.RegisterAgent(t.Context(), dev.api(), agents.NewAgent{Name: "x", Owner: noor.user, Pending: true})
			return err
		},
		"offering another's": func() error {
			_, _, err := s.HandOver(t.Context(), dev.api(), s.deployer.agent, noor.user, false)
			return err
		},
		"assigning": func() error {
			_, _, err := s.HandOver(t.Context(), dev.api(), s.deployer.agent, noor.user, true)
			return err
		},
		"taking": func() error {
			_, _, err := s.HandOver(t.Context(), dev.api(), s.deployer.agent, dev.user, false)
			return err
		},
	} {
		if err := do(); fault.Code(err) != "no_permit" {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, _, err := s.RegisterAgent(t.Context(), dev.api(), agents.NewAgent{Name: "own"}); err != nil {
		t.Error(err)
	}
}

// TestFormerMembersLeaveAgentsBehind: who is removed from the workspace answers for its agents no longer.
func TestFormerMembersLeaveAgentsBehind(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	noor := s.priya.invite("Noor Haddad")
	_, _, err := s.HandOver(t.Context(), s.priya.api(), s.deployer.agent, noor.user, true)
	s.ok(err)
	report := func() int {
		t.Helper()
		found, err := s.ListAgents(t.Context(), s.priya.api(), guard.AgentQuery{Query: agents.Query{Ownerless: true}})
		s.ok(err)
		return len(found)
	}
	if n := report(); n != 0 {
		t.Errorf("%d before", n)
	}
	_, _, err = s.RemoveMember(t.Context(), s.priya.api(), noor.user, "left")
	s.ok(err)
	if n := report(); n != 1 {
		t.Errorf("%d after", n)
	}
}

// TestHandOverEndsWhatWaits: the new owner may not vote on what the agent asked for before, and evidence names whoever was the owner at the time, however
// often the agent changed since.
func TestHandOverEndsWhatWaits(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 1000)
		omar := s.priya.invite("Omar Said")
		s.bind(omar, "release-manager", false)
		s.priya.publish(rulesOfTheStory + `@id("alone") permit (principal is Agent, action, resource) when { context.perm.s0 == "tool" };`)
		asked := s.start(s.deployer.tool(s.leaf), s.call("write", `{"path":"production/a"}`))
		own, err := s.ClientCredentials(t.Context(), s.deployer.client(), guard.TokenRequest{Resource: issuer + "/mcp/files"})
		s.ok(err)
		forNobody := s.start(s.deployer.caller(own.Token, issuer+"/mcp/files", issuer+"/mcp/files"), s.call("write", `{"path":"production/b"}`))
		c, call := s.from("")
		before := s.start(c, call)
		_, _, err = s.HandOver(t.Context(), s.priya.api(), s.deployer.agent, omar.user, false)
		s.ok(err)
		if found, err := s.Approvals.Get(t.Context(), id.Default, asked.Approval.ID); err != nil || found.Status != approvals.Pending {
			t.Errorf("an offer ended the approval: %s, %v", found.Status, err)
		}
		_, _, err = s.HandOver(t.Context(), omar.api(), s.deployer.agent, omar.user, false)
		s.ok(err)
		for _, a := range []id.Approval{asked.Approval.ID, forNobody.Approval.ID} {
			if found, err := s.Approvals.Get(t.Context(), id.Default, a); err != nil || found.Status != approvals.Void {
				t.Errorf("after the hand-over the approval is %s, %v", found.Status, err)
			}
		}
		again := s.start(s.deployer.tool(s.leaf), s.call("write", `{"path":"production/a"}`))
		if err := omar.vote(again.Approval.ID, evidence.Approve); fault.Code(err) != "not_found" { // whom it does not ask it does not show
			t.Errorf("the new owner votes: %v", err)
		}
		for i := range 3 {
			s.ok(s.tag(s.priya, "n", fmt.Sprint(i)))
		}
		c, call = s.from("")
		after := s.start(c, call)
		for what, e := range map[string]struct {
			event id.Event
			owner id.User
		}{"before": {before.Event, s.priya.user}, "after": {after.Event, omar.user}} {
			if got := s.event(e.event).Who.Owner; got != e.owner {
				t.Errorf("%s: the owner was %s", what, got)
			}
			if says, detail := s.answers(e.event); says[0] != evidence.Holds || says[1] != evidence.Holds {
				t.Errorf("%s: %v %s", what, says, detail)
			}
		}
	})
}

// TestPacksFindTheOwner: the entry that says whose an agent was is found behind more changes than one search reads.
func TestPacksFindTheOwner(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 1000)
	_, _, err := s.HandOver(t.Context(), s.priya.api(), s.deployer.agent, s.maya.user, true)
	s.ok(err)
	for i := range 250 {
		d := evidence.Draft{Workspace: id.Default, Target: s.deployer.agent.String()}
		d.Kind, d.Outcome, d.Who.Sub, d.Where.Face, d.What = evidence.AgentChanged, evidence.OK, evidence.ServerSub, "server", &evidence.What{Agent: s.deployer.agent}
		_, err := s.log.Record(t.Context(), d, func(tx *audit.Tx) error {
			_, _, err := s.Agents.Change(tx, id.Default, s.deployer.agent, agents.Change{Set: map[string]string{"n": fmt.Sprint(i)}})
			return err
		})
		s.ok(err)
	}
	c, call := s.from("")
	if says, detail := s.answers(s.start(c, call).Event); says[0] != evidence.Holds || says[1] != evidence.Holds {
		t.Errorf("%v %s", says, detail)
	}
}

// TestOwnerlessAgentsGetNoTokens: thirty days after its owner could act for the last time an agent gets no token, by any grant, and its signatures are not good
// without one, until somebody answers for it; the tokens of before are as good as they were.
func TestOwnerlessAgentsGetNoTokens(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 1000)
		noor := s.priya.invite("Noor Haddad")
		_, _, err := s.HandOver(t.Context(), s.priya.api(), s.deployer.agent, noor.user, true)
		s.ok(err)
		ask := func() string {
			t.Helper()
			_, err := s.ClientCredentials(t.Context(), s.deployer.client(), guard.TokenRequest{})
			root := s.priya.lend(s.deployer, lent{}, "tool:files:*")
			_, exchanged := s.Exchange(t.Context(), s.deployer.client(), guard.TokenRequest{Resource: issuer + "/mcp/files", Subject: root.String(), SubjectType: guard.TypeDelegation})
			if fault.Code(err) != fault.Code(exchanged) {
				t.Errorf("client credentials: %v; exchange: %v", err, exchanged)
			}
			signed := sent{by: s.deployer, url: files, audience: files, body: "{}"}
			if _, alone := s.Authenticate(t.Context(), s.credentials(signed), files); fault.Code(alone) != fault.Code(err) {
				t.Errorf("client credentials: %v; signature alone: %v", err, alone)
			}
			if _, unknown := s.Holder(t.Context(), s.deployer.signer.Public().Thumbprint()); (unknown == nil) != (err == nil) {
				t.Errorf("client credentials: %v; the key in the directory: %v", err, unknown)
			}
			return fault.Code(err)
		}
		_, _, err = s.EndPerson(t.Context(), s.priya.api(), noor.user, "suspend", "left")
		s.ok(err)
		found, err := s.ListAgents(t.Context(), s.priya.api(), guard.AgentQuery{Query: agents.Query{Ownerless: true}})
		if err != nil || len(found) != 1 || found[0].ID != s.deployer.agent || !found[0].OwnerlessSince.Equal(s.now) {
			t.Errorf("reported %+v, %v", found, err)
		}
		s.now = s.now.Add(agents.Grace - time.Second)
		if got := ask(); got != "" {
			t.Errorf("within the grace: %s", got)
		}
		live := s.deployer.tool(s.priya.lend(s.deployer, lent{}, "tool:files:*"))
		s.now = s.now.Add(time.Second)
		if got := ask(); got != "agent_ownerless" {
			t.Errorf("after the grace: %q", got)
		}
		if v := s.start(live, s.call("write", `{"path":"staging/a"}`)); v.Outcome != evidence.Permit {
			t.Errorf("a token of before: %+v", v)
		}
		for what, mend := range map[string]func() error{
			"the owner is back": func() error {
				_, _, err := s.EndPerson(t.Context(), s.priya.api(), noor.user, "resume", "")
				return err
			},
			"another one answers": func() error {
				_, _, err := s.HandOver(t.Context(), s.priya.api(), s.deployer.agent, s.maya.user, true)
				return err
			},
		} {
			s.ok(mend())
			if got := ask(); got != "" {
				t.Errorf("%s: %s", what, got)
			}
			if what == "the owner is back" {
				_, _, err = s.EndPerson(t.Context(), s.priya.api(), noor.user, "suspend", "")
				s.ok(err)
				s.now = s.now.Add(agents.Grace)
			}
		}
	})
}

// TestHandOverRace: an owner who hands an agent over does nothing as its owner afterwards: what was decided before is decided again.
func TestHandOverRace(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 10)
		noor := s.priya.invite("Noor Haddad")
		_, _, err := s.HandOver(t.Context(), s.priya.api(), s.deployer.agent, noor.user, true)
		s.ok(err)
		var wg sync.WaitGroup
		var mu sync.Mutex
		var handed int64
		acts := map[int64]error{}
		callers := make([]*guard.Caller, 32)
		for i := range callers {
			callers[i] = noor.api()
		}
		admin := s.priya.api()
		for i, c := range callers {
			wg.Go(func() {
				if i == 16 {
					_, got, err := s.HandOver(t.Context(), admin, s.deployer.agent, s.maya.user, true)
					mu.Lock()
					if handed = got.Rev; err != nil {
						t.Error(err)
					}
					mu.Unlock()
				}
				model := fmt.Sprint("m", i)
				_, got, err := s.ChangeAgent(t.Context(), c, s.deployer.agent, agents.Change{Model: &model})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					acts[got.Rev] = err
				} else if code := fault.Code(err); code != "no_permit" && code != "unsettled" {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for rev := range acts {
			if rev > handed {
				t.Errorf("she changed it at #%d, after it was handed over at #%d", rev, handed)
			}
		}
	})
}

// TestPublishedOwner: an identity tells of the owner what the workspace publishes, and of nobody's workspace or name otherwise.
func TestPublishedOwner(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	for what, want := range map[string]string{"none": "<nil>", "id": "&{" + s.priya.user.String() + " }", "name": "&{" + s.priya.user.String() + " Priya Nair}"} {
		s.own(evidence.WorkspaceChanged, evidence.What{Status: what}, func(tx *audit.Tx) error {
			_, err := tx.Exec(`UPDATE workspace SET publish_owner = $1 WHERE name = $2`, what, id.Default)
			return err
		})
		i, err := s.Identity(t.Context(), s.deployer.agent, id.Key{})
		if got := fmt.Sprint(i.Owner); err != nil || got != want {
			t.Errorf("%s: %s, %v", what, got, err)
		}
	}
}

// TestRehearsal: a dry run says exactly what the run then does, and leaves no trace.
func TestRehearsal(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 10)
		noor := s.priya.invite("Noor Haddad")
		for i := range 40 {
			who := []*party{s.priya, noor}[i%2]
			a, _, err := s.RegisterAgent(t.Context(), who.api(), agents.NewAgent{Name: fmt.Sprintf("x%02d", i), Pending: i%5 == 0})
			s.ok(err)
			if i%3 == 0 {
				_, _, _, err = s.EndAgent(t.Context(), s.priya.api(), a.ID, "revoke", "")
				s.ok(err)
			}
		}
		everyone, err := s.ListAgents(t.Context(), s.priya.api(), guard.AgentQuery{})
		s.ok(err)
		var ids []id.Agent
		for _, a := range everyone {
			ids = append(ids, a.ID)
		}
		say := func(dry bool) string {
			t.Helper()
			c := noor.api()
			rev, err := s.log.Rev(t.Context(), id.Default)
			s.ok(err)
			all, _, err := s.BulkAgents(t.Context(), c, guard.Bulk{IDs: ids, Do: "suspend", DryRun: dry})
			s.ok(err)
			after, err := s.log.Rev(t.Context(), id.Default)
			s.ok(err)
			if dry && after != rev || !dry && after-rev != int64(len(ids)) {
				t.Errorf("dry run %v: the log grew by %d", dry, after-rev)
			}
			var b strings.Builder
			for _, o := range all {
				fmt.Fprintln(&b, o.Name, fault.Code(o.Err))
			}
			return b.String()
		}
		rehearsed := say(true)
		if done := say(false); done != rehearsed || !strings.Contains(done, "no_permit") || !strings.Contains(done, "wrong_state") || !strings.Contains(done, "x01 \n") {
			t.Errorf("rehearsed\n%s\ndone\n%s", rehearsed, done)
		}
	})
}

// TestAgentsOfAGroup: paging through a group's agents finds each of them once, in the order of all agents, and nobody else.
func TestAgentsOfAGroup(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 10)
		var want []id.Agent
		s.own(evidence.GroupChanged, evidence.What{Group: "crawlers"}, func(tx *audit.Tx) error {
			if _, err := s.People.CreateGroup(tx, id.Default, "crawlers", ""); err != nil {
				return err
			}
			return s.People.AddToGroup(tx, id.Default, "crawlers", s.priya.user.String())
		})
		for i := range 9 {
			a, _, err := s.RegisterAgent(t.Context(), s.priya.api(), agents.NewAgent{Name: fmt.Sprintf("x%d", i), Pending: i == 4})
			s.ok(err)
			if i%2 == 0 {
				want = append(want, a.ID)
				s.own(evidence.GroupChanged, evidence.What{Group: "crawlers"}, func(tx *audit.Tx) error {
					return s.People.AddToGroup(tx, id.Default, "crawlers", a.ID.String())
				})
			}
			s.now = s.now.Add(time.Millisecond)
		}
		q := guard.AgentQuery{Group: "crawlers", Query: agents.Query{Limit: 2}}
		var got []id.Agent
		for {
			page, err := s.ListAgents(t.Context(), s.priya.api(), q)
			s.ok(err)
			for _, a := range page {
				got = append(got, a.ID)
			}
			if len(page) < 2 {
				break
			}
			q.After = page[1].ID
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("found %v, not %v", got, want)
		}
		q = guard.AgentQuery{Group: "crawlers", Query: agents.Query{Status: agents.Pending}}
		if page, err := s.ListAgents(t.Context(), s.priya.api(), q); err != nil || len(page) != 1 || page[0].ID != want[2] {
			t.Errorf("with another filter: %v, %v", page, err)
		}
		if _, err := s.ListAgents(t.Context(), s.priya.api(), guard.AgentQuery{Group: "none"}); fault.Code(err) != "not_found" {
			t.Errorf("no such group: %v", err)
		}
	})
}

// TestAnEnrolmentEndsWithWhatItRestsOn: a token that was kept enrols nothing after its agent was stopped or handed over, or who offered it was.
func TestAnEnrolmentEndsWithWhatItRestsOn(t *testing.T) {
	for name, c := range map[string]struct {
		happens func(s *story) error
		code    string
	}{
		"nothing": {func(*story) error { return nil }, ""},
		"the agent was suspended": {func(s *story) error {
			if _, _, _, err := s.EndAgent(t.Context(), s.priya.api(), s.bot.agent, "suspend", ""); err != nil {
				return err
			}
			_, _, _, err := s.EndAgent(t.Context(), s.priya.api(), s.bot.agent, "resume", "")
			return err
		}, "ticket_spent"},
		"the agent was handed over": {func(s *story) error {
			_, _, err := s.HandOver(t.Context(), s.priya.api(), s.bot.agent, s.priya.invite("Noor").user, true)
			return err
		}, "ticket_spent"},
		"who offered it is suspended": {func(s *story) error {
			_, _, err := s.EndPerson(t.Context(), s.priya.api(), s.maya.user, "suspend", "")
			return err
		}, "ticket_unknown"},
		"who offered it has left": {func(s *story) error {
			_, _, err := s.RemoveMember(t.Context(), s.priya.api(), s.maya.user, "")
			return err
		}, "ticket_unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory(t, dbtest.SQLite(t), 10)
			s.bind(s.maya, "developer", false)
			kept, _, err := s.OfferEnrolment(t.Context(), s.maya.api(), s.bot.agent)
			s.ok(err)
			s.ok(c.happens(s))
			if _, _, err := s.Enrol(t.Context(), kept, s.keyCredentials(newSigner(t), "/v1/enrol")); fault.Code(err) != c.code {
				t.Errorf("%v, want %s", err, c.code)
			}
		})
	}
}
