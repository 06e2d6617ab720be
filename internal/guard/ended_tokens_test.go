package guard_test

import (
	"context"
	"testing"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
)

// TestAnEndReachesTokensThatFollowAnother: a token whose iat is ahead of the clock, because somebody on its chain was stopped a moment before, ends with everybody
// else on the chain as well, for ever, however often whoever owns an agent has it stopped and go on to push it further.
func TestAnEndReachesTokensThatFollowAnother(t *testing.T) {
	ctx := context.Background()
	agent := func(who func(s *story) *party) func(*story, string) error {
		return func(s *story, verb string) error {
			_, _, _, err := s.EndAgent(ctx, s.maya.api(), who(s).agent, verb, "")
			return err
		}
	}
	instance := func(who func(s *story) *party) func(*story, string) error {
		return func(s *story, verb string) error {
			_, _, _, err := s.EndInstance(ctx, s.maya.api(), who(s).instance(), verb, "")
			return err
		}
	}
	bot, deployer := func(s *story) *party { return s.bot }, func(s *story) *party { return s.deployer }
	ends := map[string]func(s *story, verb string) error{
		"the agent": agent(deployer), "the instance": instance(deployer), "the agent between": agent(bot), "the instance between": instance(bot),
		"the person": func(s *story, verb string) error {
			_, _, err := s.EndPerson(ctx, s.maya.api(), s.priya.user, verb, "")
			return err
		},
		"the workspace": func(s *story, verb string) error {
			_, err := s.EndAll(ctx, s.maya.api(), verb, "")
			return err
		},
		"all sign-ins of the person": func(s *story, verb string) error {
			if verb == "resume" {
				return nil
			}
			_, _, err := s.SignOutEverywhere(ctx, s.maya.api(), s.priya.user, "")
			return err
		},
	}
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 0)
		s.bind(s.maya, "owner", false)
		doors := s.doors(dsn)
		both := func(do func(s *story, verb string) error) {
			t.Helper()
			s.ok(do(s, "suspend"))
			s.ok(do(s, "resume"))
		}
		for first, push := range ends {
			if first == "all sign-ins of the person" {
				continue
			}
			for then, stop := range ends {
				s.now = s.now.Add(60e9)
				for range 3 {
					both(push)
				}
				raw, err := s.deployer.exchange(s.leaf.String(), guard.TypeDelegation)
				s.ok(err)
				if seen, err := s.Introspect(ctx, s.deployer.client(), raw); err != nil || !seen.Active {
					t.Fatalf("after %s: %+v %v", first, seen, err)
				}
				both(stop)
				for n, g := range doors {
					if seen, err := g.Introspect(ctx, s.deployer.client(), raw); err != nil || seen.Active {
						t.Errorf("%s, then %s: process %d says that a token of before is active (%v)", first, then, n, err)
					}
					v, err := g.Start(ctx, s.deployer.caller(raw, issuer+"/mcp/files", issuer+"/mcp/files"), s.call("write", `{"path":"staging/a"}`))
					if err != nil || v.Code != "token_ended" {
						t.Errorf("%s, then %s: process %d permits by a token of before: %s %v %v", first, then, n, v.Outcome, v.Code, fault.Code(err))
					}
				}
			}
		}
	})
}
