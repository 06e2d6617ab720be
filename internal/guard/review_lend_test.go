package guard_test

import (
	"testing"

	"github.com/attorn/attorn/delegation"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
)

// handOver exchanges a statement that its lender signed and did not record.
func (s *story) handOver(from, to *party, l lent, permissions ...string) error {
	s.t.Helper()
	signed, err := delegation.Sign(from.statement(to, l, permissions...), from.signer)
	s.ok(err)
	raw, err := delegation.Encode(signed)
	s.ok(err)
	_, err = s.Exchange(s.t.Context(), to.client(), guard.TokenRequest{Resource: issuer + "/mcp/files", Subject: raw, SubjectType: guard.TypeDelegation})
	return err
}

// TestLendingAtExchangeIsLending: who hands a statement to its delegate, to be recorded there, is held to the same rules as who hands it in.
func TestLendingAtExchangeIsLending(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	terms := lent{under: s.root}
	s.ok(s.handOver(s.bot, s.deployer, terms, "tool:files:read"))

	if err := s.handOver(s.priya, s.bot, lent{}, "tool:files:read"); fault.Code(err) != "not_lent" {
		t.Errorf("a person's statement, which the person has not handed in: %v", err)
	}
	s.priya.publish(rulesOfTheStory + `@id("no-lending") forbid (principal is Agent, action == Action::"attorn:delegation:lend", resource);`)
	if err := s.handOver(s.bot, s.deployer, terms, "tool:files:write"); fault.Code(err) != "not_lent" {
		t.Errorf("policy forbids agents to lend: %v", err)
	}
	signed, err := delegation.Sign(s.bot.statement(s.deployer, terms, "tool:files:write"), s.bot.signer)
	s.ok(err)
	if _, err := s.Lend(t.Context(), s.bot.api(), signed); fault.Code(err) != "forbidden" {
		t.Errorf("the same by its lender: %v", err)
	}
}

// TestWhatEndedIsNotLentAgain: nothing is lent to who may not act, and an ended delegation is not reported as lent because its statement comes again.
func TestWhatEndedIsNotLentAgain(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	signed, err := delegation.Sign(s.priya.statement(s.bot, lent{}, "tool:files:read"), s.priya.signer)
	s.ok(err)
	first, err := s.Lend(t.Context(), s.priya.api(), signed)
	s.ok(err)
	again, err := s.Lend(t.Context(), s.priya.api(), signed)
	if err != nil || again.String() != first.String() {
		t.Errorf("the same statement again: %v, %v", again, err)
	}
	_, _, err = s.Revoke(t.Context(), s.priya.api(), first.Statement.ID, "")
	s.ok(err)
	if _, err := s.Lend(t.Context(), s.priya.api(), signed); fault.Code(err) != "delegation_ended" {
		t.Errorf("once it was revoked: %v", err)
	}
	_, _, _, err = s.EndAgent(t.Context(), s.priya.api(), s.deployer.agent, "revoke", "")
	s.ok(err)
	signed, err = delegation.Sign(s.priya.statement(s.deployer, lent{}, "tool:files:read"), s.priya.signer)
	s.ok(err)
	if _, err := s.Lend(t.Context(), s.priya.api(), signed); fault.Code(err) != "agent_revoked" {
		t.Errorf("to an agent that was revoked: %v", err)
	}
}
