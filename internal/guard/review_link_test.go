package guard_test

import (
	"testing"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db/dbtest"
)

// TestNoAgentIsHandedAPerson: who holds a sign-in link becomes a person, who may vote. Whatever role an agent has, it gets none.
func TestNoAgentIsHandedAPerson(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	s.bind(s.bot, "owner", false)
	if _, _, err := s.Invite(t.Context(), s.bot.api(), "Ghost"); fault.Code(err) != "forbidden" {
		t.Errorf("an agent invites: %v", err)
	}
	if _, err := s.NewLink(t.Context(), s.bot.api(), s.priya.user); fault.Code(err) != "forbidden" {
		t.Errorf("an agent makes a link: %v", err)
	}
}

// TestWhatASecretMadeLeadsToWhoMadeIt: whoever signs in by a link, or enrols by a token, the event leads to the one that handed it out.
func TestWhatASecretMadeLeadsToWhoMadeIt(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	cause := func(e evidence.Event) evidence.Event {
		if e.Cause.IsZero() {
			t.Fatalf("%s has no cause", e.Kind)
		}
		return s.event(e.Cause).Event
	}
	secret, err := s.NewLink(t.Context(), s.maya.api(), s.maya.user)
	s.ok(err)
	s.signIn(secret, "")
	e := s.newest(audit.Filter{Kind: evidence.UserPasskeyChanged, Person: s.maya.user})
	if by := cause(e.Event); by.Who.Sub != s.maya.user.String() || by.Did.Action != "attorn:user:link" {
		t.Errorf("the link was made by %+v", by)
	}
	secret, err = s.NewLink(t.Context(), s.maya.api(), s.maya.user)
	s.ok(err)
	_, _, _, err = s.SignInPage(t.Context(), secret, "", "")
	s.ok(err)
	if by := cause(s.newest(audit.Filter{Kind: evidence.UserSignedIn, Person: s.maya.user}).Event); by.Who.Sub != s.maya.user.String() {
		t.Errorf("the link was made by %+v", by)
	}
	if by := cause(s.newest(audit.Filter{Kind: evidence.InstanceEnrolled, Agent: s.deployer.agent}).Event); by.Who.Sub != s.priya.user.String() || by.Did.Action != "attorn:agent:enrol" {
		t.Errorf("the enrolment was offered by %+v", by)
	}
	first, err := s.log.Search(t.Context(), id.Default, audit.Filter{Kind: evidence.UserAdded, Person: s.priya.user})
	if err != nil || len(first) == 0 {
		t.Fatal(first, err)
	}
	if by := cause(first[len(first)-1].Event); by.Who.Sub != evidence.ServerSub || by.Did.Action != "attorn:user:invite" {
		t.Errorf("the first administrator's link was made by %+v", by)
	}
}
