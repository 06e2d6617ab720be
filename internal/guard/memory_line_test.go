package guard_test

import (
	"context"
	"testing"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
)

// TestCacheForgetsLines: what a key rests on beside its own name ends the next exchange at every door as well: whoever spawned it, the line of the key that lent,
// time that is over, a membership.
func TestCacheForgetsLines(t *testing.T) {
	ctx := context.Background()
	for name, c := range map[string]struct {
		end  func(s *story, parent *party) error
		code string
	}{
		"whoever spawned it is suspended": {func(s *story, parent *party) error {
			_, _, _, err := s.EndInstance(ctx, s.maya.api(), parent.instance(), "suspend", "")
			return err
		}, "parent_ended"},
		"the agent of whoever spawned it is suspended": {func(s *story, parent *party) error {
			_, _, _, err := s.EndAgent(ctx, s.maya.api(), parent.agent, "suspend", "")
			return err
		}, "parent_ended"},
		"the lender's line ends after its key was changed": {func(s *story, _ *party) error {
			fresh := s.bot.rotated(0)
			_, _, _, err := s.EndInstance(ctx, s.maya.api(), fresh.instance(), "suspend", "")
			return err
		}, "instance_suspended"},
		"its key is changed without grace": {func(s *story, _ *party) error { s.deployer.rotated(0); return nil }, "instance_rotated"},
		"its time is over":                 {func(s *story, _ *party) error { s.now = s.now.Add(10 * time.Minute); return nil }, "instance_expired"},
		"the person is no member any more": {func(s *story, _ *party) error {
			_, _, err := s.RemoveMember(ctx, s.maya.api(), s.priya.user, "")
			return err
		}, "delegation_revoked"},
	} {
		t.Run(name, func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, dsn string) {
				s := newStory(t, dsn, 0)
				s.bind(s.maya, "owner", false)
				parent := s.priya.register("parent")
				s.deployer = parent.spawned(s.deployer, 10*time.Minute)
				doors := s.doors(dsn)
				if len(doors) == 1 {
					doors = append(doors, guard.New(s.Config))
				}
				try := func(g *guard.Guard) string {
					as := *s.deployer
					as.rig = &rig{Guard: g, t: t, log: s.log, now: s.now}
					client, err := as.authenticate()
					if err == nil {
						_, err = g.Exchange(ctx, client, guard.TokenRequest{Resource: files, Subject: s.leaf.String(), SubjectType: guard.TypeDelegation})
					}
					if fault.Code(err) == "invalid_client" {
						return fault.Code(fault.Of(err).Unwrap())
					}
					return fault.Code(err)
				}
				for range 3 {
					for n, g := range doors {
						if got := try(g); got != "" {
							t.Fatalf("before, process %d: %q", n, got)
						}
					}
				}
				s.ok(c.end(s, parent))
				for n, g := range doors {
					if got := try(g); got != c.code {
						t.Errorf("process %d exchanges: %q, want %q", n, got, c.code)
					}
				}
			})
		})
	}
}
