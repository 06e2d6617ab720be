package guard_test

import (
	"testing"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
)

func (s *story) newest(f audit.Filter) audit.Entry {
	s.t.Helper()
	f.Limit = 1
	found, err := s.log.Search(s.t.Context(), id.Default, f)
	if err != nil || len(found) != 1 {
		s.t.Fatal(found, err)
	}
	return found[0]
}

// TestARefusalSaysWhoAsked: every refusal names the caller with all that an accepted act names (authority.md §7, 6), whatever it was refused for.
func TestARefusalSaysWhoAsked(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	if _, err := s.DelegationChain(t.Context(), s.bot.api(), id.New[id.Delegation](s.now)); fault.Code(err) != "not_found" {
		t.Fatal(err)
	}
	e := s.newest(audit.Filter{Agent: s.bot.agent, Refused: true})
	if e.Who.Owner != s.priya.user || e.Who.Proof == nil || e.Under == nil || e.Under.Token == nil {
		t.Errorf("refused for what is not there: %+v under %+v", e.Who, e.Under)
	}
	for _, kind := range []evidence.Kind{evidence.TokenIssued, evidence.TokenRefused} {
		if kind == evidence.TokenRefused {
			if _, err := s.ClientCredentials(t.Context(), s.bot.client(), guard.TokenRequest{Resource: "https://nowhere.example"}); fault.Code(err) != "unknown_resource" {
				t.Fatal(err)
			}
		}
		if e := s.newest(audit.Filter{Agent: s.bot.agent, Kind: kind}); e.Who.Owner != s.priya.user || e.Who.Proof == nil {
			t.Errorf("%s: %+v", kind, e.Who)
		}
	}
}

// TestWhoMayNotActLearnsNothing: somebody who was stopped is told so, and not whether what they name exists.
func TestWhoMayNotActLearnsNothing(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	there, missing := s.leaf.Statement.ID, id.New[id.Delegation](s.now)
	callers := map[string]*guard.Caller{}
	for _, name := range []string{"chain", "chain of none", "revoke", "revoke of none", "pin", "approval"} {
		callers[name] = s.bot.api()
	}
	_, _, _, err := s.EndAgent(t.Context(), s.priya.api(), s.bot.agent, "suspend", "")
	s.ok(err)
	chain := func(d id.Delegation) func(*guard.Caller) error {
		return func(c *guard.Caller) error { _, err := s.DelegationChain(t.Context(), c, d); return err }
	}
	revoke := func(d id.Delegation) func(*guard.Caller) error {
		return func(c *guard.Caller) error { _, _, err := s.Revoke(t.Context(), c, d, ""); return err }
	}
	for name, do := range map[string]func(*guard.Caller) error{
		"chain": chain(there), "chain of none": chain(missing), "revoke": revoke(there), "revoke of none": revoke(missing),
		"pin": func(c *guard.Caller) error {
			_, err := s.Pin(t.Context(), c, "files", "none", id.Digest{}, "", false)
			return err
		},
		"approval": func(c *guard.Caller) error { return s.Cancel(t.Context(), c, id.New[id.Approval](s.now)) },
	} {
		if err := do(callers[name]); fault.Code(err) != "agent_suspended" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
