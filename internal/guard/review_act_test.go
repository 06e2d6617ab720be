package guard_test

import (
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
)

// What an agent did on attorn itself in somebody's name shows whose: the statements that it rests on are verified as those of a call are.
func TestAnActInSomebodysNameShowsItsChain(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	s.priya.publish(rulesOfTheStory + `@id("ops") permit (principal is Agent, action == Action::"attorn:agent:suspend", resource) when { context has subject };`)
	first := s.priya.lend(s.bot, lent{ttl: time.Hour, depth: 1}, "attorn:agent:*")
	second := s.bot.lend(s.deployer, lent{ttl: time.Hour, under: first}, "attorn:agent:suspend")
	target := s.priya.register("runaway")
	got, err := s.Exchange(t.Context(), s.deployer.client(), guard.TokenRequest{Resource: issuer + "/api", Subject: second.String(), SubjectType: guard.TypeDelegation})
	s.ok(err)
	_, _, receipt, err := s.EndAgent(t.Context(), s.deployer.caller(got.Token, issuer+"/api", issuer+"/v1/x"), target.agent, "suspend", "it ran away")
	s.ok(err)
	a, err := s.explainer().Answer(t.Context(), id.Default, receipt.ID)
	s.ok(err)
	for _, q := range a.Report.Answers {
		if q.Question == evidence.AuthorisedThen && (q.Verdict != evidence.Holds || !strings.Contains(q.Detail, "2 statements narrow")) {
			t.Errorf("%s\n%s", q.Detail, a.Report.Tree())
		}
	}
	if !strings.Contains(a.Report.Tree(), "2 statements narrow, from "+s.priya.user.String()+" to "+s.deployer.agent.String()) {
		t.Error(a.Report.Tree())
	}
}
