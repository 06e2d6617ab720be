package guard_test

import (
	"testing"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
)

// TestTokenSubjectAmongManyThatEnded: what was lent once and has ended, however much there is of it and however new, hides nothing that was lent and lives.
func TestTokenSubjectAmongManyThatEnded(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 0)
		third := s.priya.register("third")
		middle := s.bot.lend(s.deployer, lent{under: s.root, ttl: time.Hour, depth: 1}, "tool:files:read")
		lives := s.deployer.lend(third, lent{under: middle, ttl: time.Minute}, "tool:files:read")
		raw, err := s.deployer.exchange(middle.String(), guard.TypeDelegation)
		s.ok(err)
		for range 201 {
			ended := s.deployer.lend(third, lent{under: middle, ttl: time.Minute}, "tool:files:read")
			_, _, err := s.Revoke(t.Context(), s.deployer.api(), ended.Statement.ID, "")
			s.ok(err)
			s.now = s.now.Add(time.Second / 10)
		}
		if _, err := third.exchange(raw, guard.TypeAccessToken); err != nil {
			t.Errorf("with one that lives: %v", err)
		}
		s.deployer.lend(third, lent{under: middle, ttl: time.Minute}, "tool:files:read")
		if _, err := third.exchange(raw, guard.TypeAccessToken); fault.Code(err) != "ambiguous_delegation" {
			t.Errorf("with two that live: %v", err)
		}
		_, _, err = s.Revoke(t.Context(), s.deployer.api(), lives.Statement.ID, "")
		s.ok(err)
		if _, err := third.exchange(raw, guard.TypeAccessToken); err != nil {
			t.Errorf("with the other that lives: %v", err)
		}
	})
}
