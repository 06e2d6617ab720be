package audit_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db/dbtest"
)

// Two events of one commit stand in the log one after the other, also where the second is a refusal, and neither does where the change or either event fails.
func TestEventsOfOneCommit(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, dsn string) {
		l := open(t, dsn)
		first := func(what string) evidence.Draft {
			d := draft(evidence.ClientRegistered, what)
			d.Target = what
			return d
		}
		record := func(name string, change func(*audit.Tx) error) (evidence.Receipt, error) {
			d := draft(evidence.DecisionMade, name)
			d.Target = name
			return l.Record(t.Context(), d, change)
		}
		count := func(target string) int {
			found, err := l.Search(t.Context(), id.Default, audit.Filter{Target: target})
			if err != nil {
				t.Fatal(err)
			}
			return len(found)
		}
		for _, refuse := range []bool{false, true} {
			name := map[bool]string{false: "kept", true: "refused"}[refuse]
			got, err := record(name, func(tx *audit.Tx) error {
				tx.Before(first(name + "-a"))
				tx.Before(first(name + "-b"))
				if refuse {
					tx.Refuse("no", "no")
				}
				return nil
			})
			if err != nil || (got.Outcome == evidence.Deny) != refuse {
				t.Fatal(got, err)
			}
			for i, target := range []string{name + "-a", name + "-b", name} {
				e, err := l.At(t.Context(), id.Default, got.Rev-2+int64(i))
				if err != nil || count(target) != 1 || e.Rev != got.Rev-2+int64(i) {
					t.Errorf("%s: %+v, %v", target, e, err)
				}
			}
		}
		broken := errors.New("broken")
		if _, err := record("failed", func(tx *audit.Tx) error { tx.Before(first("failed-a")); return broken }); !errors.Is(err, broken) {
			t.Error(err)
		}
		if _, err := record("large", func(tx *audit.Tx) error {
			tx.Before(first("large-a"))
			d := first("large-b")
			d.What = &evidence.What{Audience: strings.Repeat("x", evidence.MaxEvent)}
			tx.Before(d)
			return nil
		}); fault.Code(err) != "event_too_large" {
			t.Error(err)
		}
		for _, target := range []string{"failed", "failed-a", "large", "large-a", "large-b"} {
			if n := count(target); n != 0 {
				t.Errorf("%s is there %d times", target, n)
			}
		}
		checkLog(t, l, id.Default)
	})
}
