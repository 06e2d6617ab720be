package guard_test

import (
	"testing"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db/dbtest"
)

// TestALineIsExplained: a call by a key that replaced a spawned instance's, under what a key lent that was replaced since, is proved with nothing but its
// pack; and so are the spawning and the rotations themselves, when they happened and after.
func TestALineIsExplained(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 100)
		fresh := s.bot.rotated(time.Minute)
		child := fresh.spawned(s.deployer, time.Hour).rotated(0)
		s.deployer = child
		caller, call := s.from("192.0.2.7")
		v := s.start(caller, call)
		if v.Outcome != evidence.Permit {
			t.Fatalf("%+v", v)
		}
		yes := [3]evidence.Verdict{evidence.Holds, evidence.Holds, evidence.Holds}
		for _, when := range []string{"then", "after all graces"} {
			if says, detail := s.answers(v.Event); says != yes {
				t.Errorf("%s, the call: %v: %s", when, says, detail)
			}
			for _, kind := range []evidence.Kind{evidence.InstanceRotated, evidence.InstanceSpawned} {
				found, err := s.log.Search(t.Context(), id.Default, audit.Filter{Kind: kind})
				s.ok(err)
				for _, e := range found {
					if says, detail := s.answers(e.ID); says[0] != evidence.Holds || says[1] != evidence.Holds {
						t.Errorf("%s, %s #%d: %v: %s", when, kind, e.Rev, says, detail)
					}
				}
			}
			s.now = s.now.Add(2 * time.Minute)
		}
		child.rotated(0)
		if says, detail := s.answers(v.Event); says[0] != evidence.Holds || says[1] != evidence.Holds || says[2] != evidence.Fails {
			t.Errorf("its key was replaced since: %v: %s", says, detail)
		}
	})
}
