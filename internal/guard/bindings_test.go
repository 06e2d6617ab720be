package guard_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/rules"
)

func (s *story) reads(who *party) string {
	return fault.Code(s.May(s.t.Context(), who.api(), "attorn:agent:read", "workspace"))
}

func (s *story) give(n guard.NewBinding) error {
	_, _, err := s.Bind(s.t.Context(), s.priya.api(), n)
	return err
}

// TestABindingEndsToTheSecond: it gives its role until the microsecond before its end, by one's own name and by a group's, and nothing from then on.
func TestABindingEndsToTheSecond(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 10)
		omar := s.priya.invite("Omar")
		s.group("devs")
		s.ok(s.join("devs", omar))
		for _, p := range []string{omar.sub(), "group:devs"} {
			end := s.now.Add(90 * time.Second).Truncate(time.Second)
			if code := s.reads(omar); code != "no_permit" {
				t.Fatalf("before: %s", code)
			}
			s.ok(s.give(guard.NewBinding{Principal: p, Role: "developer", Until: end}))
			for _, at := range []struct {
				now  time.Time
				code string
			}{{s.now, ""}, {end.Add(-time.Microsecond), ""}, {end, "no_permit"}, {end.Add(time.Second), "no_permit"}} {
				s.now = at.now
				if code := s.reads(omar); code != at.code {
					t.Errorf("%s at %s of %s: %q, want %q", p, at.now, end, code, at.code)
				}
			}
			s.ok(s.give(guard.NewBinding{Principal: p, Role: "developer", TTL: time.Second})) // what has expired is in nobody's way
			s.now = s.now.Add(2 * time.Second)
		}
		if err := s.give(guard.NewBinding{Principal: omar.sub(), Role: "developer", Until: s.now.Add(-time.Minute)}); fault.Code(err) != "expiry_invalid" {
			t.Errorf("one that has ended: %v", err)
		}
		s.ok(s.give(guard.NewBinding{Principal: omar.sub(), Role: "owner", TTL: time.Hour}))
		if _, err := s.Unbind(t.Context(), s.priya.api(), s.priya.sub(), rules.Grant{Role: "owner"}, ""); fault.Code(err) != "lockout" {
			t.Errorf("the last owner without end: %v", err)
		}
	})
}

// TestActivation: what is bound to be activated gives nothing before, nothing after, and nothing to others; an agent activates nothing.
func TestActivation(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 10)
		omar, nina := s.priya.invite("Omar"), s.priya.invite("Nina")
		s.group("oncall")
		s.ok(s.join("oncall", omar))
		s.ok(s.join("oncall", nina))
		s.ok(s.give(guard.NewBinding{Principal: "group:oncall", Role: "developer", Eligible: true}))
		activate := func(who *party, ttl time.Duration, reason string) error {
			_, _, err := s.Activate(t.Context(), who.api(), rules.Grant{Role: "developer"}, ttl, reason)
			return err
		}
		if code := s.reads(omar); code != "no_permit" {
			t.Errorf("before it is activated: %q", code)
		}
		for name, c := range map[string]struct {
			err  error
			code string
		}{
			"for no reason":    {activate(omar, 0, ""), "reason_missing"},
			"for a year":       {activate(omar, 365*24*time.Hour, "x"), "binding_too_long"},
			"by somebody else": {activate(s.maya, 0, "x"), "activation_unknown"},
			"of another role": {func() error {
				_, _, err := s.Activate(t.Context(), omar.api(), rules.Grant{Role: "owner"}, 0, "x")
				return err
			}(), "activation_unknown"},
			"by an agent": {func() error {
				_, _, err := s.Activate(t.Context(), s.bot.api(), rules.Grant{Role: "developer"}, 0, "x")
				return err
			}(), "not_a_person"},
		} {
			if fault.Code(c.err) != c.code {
				t.Errorf("%s: %v, want %s", name, c.err, c.code)
			}
		}
		s.ok(activate(omar, 10*time.Minute, "incident 481"))
		if e := s.newest(audit.Filter{Kind: evidence.BindingActivated, Limit: 1}); e.What.Role != "developer" || e.What.User != omar.user || e.What.Until == 0 || e.What.Text == nil {
			t.Errorf("the event: %+v", e.What)
		}
		if code := s.reads(omar); code != "" {
			t.Errorf("activated: %q", code)
		}
		if code := s.reads(nina); code != "no_permit" {
			t.Errorf("another member: %q", code)
		}
		s.now = s.now.Add(10*time.Minute - time.Second)
		if code := s.reads(omar); code != "" {
			t.Errorf("a second before the end: %q", code)
		}
		s.now = s.now.Add(time.Second)
		if code := s.reads(omar); code != "no_permit" {
			t.Errorf("at the end: %q", code)
		}
		s.ok(activate(omar, 0, "again"))
		_, err := s.Deactivate(t.Context(), omar.api(), rules.Grant{Role: "developer"}, "")
		s.ok(err)
		if code := s.reads(omar); code != "no_permit" {
			t.Errorf("deactivated: %q", code)
		}
		s.ok(activate(omar, 0, "again"))
		s.ok(s.leave("oncall", omar))
		s.ok(s.join("oncall", omar))
		if code := s.reads(omar); code != "no_permit" {
			t.Errorf("back in the group: %q", code)
		}
	})
}

// TestDutiesAreKeptApart at binding, in groups, by inheritance and at activation.
func TestDutiesAreKeptApart(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 10)
		omar := s.priya.invite("Omar")
		set := func(d rules.DutySet) {
			_, err := s.SetDuties(t.Context(), s.priya.api(), d, "")
			s.ok(err)
		}
		set(rules.DutySet{Name: "pay", Roles: []string{"payer", "auditor"}, Max: 1})
		set(rules.DutySet{Name: "live", Roles: []string{"oncall", "deployer"}, Max: 1, Dynamic: true})
		conflict := func(what string, err error) {
			t.Helper()
			if fault.Code(err) != "sod_conflict" {
				t.Errorf("%s: %v", what, err)
			}
		}
		s.ok(s.give(guard.NewBinding{Principal: omar.sub(), Role: "payer"}))
		conflict("the other role", s.give(guard.NewBinding{Principal: omar.sub(), Role: "auditor"}))
		conflict("in a scope", s.give(guard.NewBinding{Principal: omar.sub(), Role: "auditor", Scope: "server:files"}))
		conflict("to be activated", s.give(guard.NewBinding{Principal: omar.sub(), Role: "auditor", Eligible: true}))
		s.group("audit")
		s.ok(s.give(guard.NewBinding{Principal: "group:audit", Role: "auditor"}))
		conflict("by a group", s.join("audit", omar))
		s.group("mixed")
		s.ok(s.join("mixed", omar))
		conflict("to a group", s.give(guard.NewBinding{Principal: "group:mixed", Role: "auditor"}))
		s.ok(s.give(guard.NewBinding{Principal: omar.sub(), Role: "oncall"}))
		s.ok(s.give(guard.NewBinding{Principal: omar.sub(), Role: "deployer", Eligible: true}))
		_, _, err := s.Activate(t.Context(), omar.api(), rules.Grant{Role: "deployer"}, 0, "x")
		conflict("active at once", err)
		_, err = s.Unbind(t.Context(), s.priya.api(), omar.sub(), rules.Grant{Role: "oncall"}, "")
		s.ok(err)
		_, _, err = s.Activate(t.Context(), omar.api(), rules.Grant{Role: "deployer"}, 0, "x")
		s.ok(err)
		set(rules.DutySet{Name: "late", Roles: []string{"payer", "deployer"}, Max: 1})
		all, err := s.Duties(t.Context(), s.priya.api())
		s.ok(err)
		for _, d := range all {
			if over := len(d.Over) == 1 && d.Over[0] == omar.sub(); over != (d.Name == "late") {
				t.Errorf("%s is over %v", d.Name, d.Over)
			}
		}
	})
}

// TestDutiesAtOnce: of 64 callers on two nodes who bind both roles of a set to somebody, one succeeds.
func TestDutiesAtOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 10)
		omar := s.priya.invite("Omar")
		_, err := s.SetDuties(t.Context(), s.priya.api(), rules.DutySet{Name: "pay", Roles: []string{"payer", "auditor"}, Max: 1}, "")
		s.ok(err)
		doors := s.doors(dsn)
		callers := make([]*guard.Caller, 64)
		for i := range callers {
			callers[i] = s.priya.api()
		}
		var wins atomic.Int32
		var wg sync.WaitGroup
		for i, c := range callers {
			wg.Go(func() {
				role := []string{"payer", "auditor"}[i%2]
				_, _, err := doors[i/2%len(doors)].Bind(t.Context(), c, guard.NewBinding{Principal: omar.sub(), Role: role})
				switch fault.Code(err) {
				case "sod_conflict", "already_bound":
				case "":
					wins.Add(1)
				default:
					t.Errorf("%s: %v", role, err)
				}
			})
		}
		wg.Wait()
		held, err := s.Bindings(t.Context(), s.priya.api(), omar.sub())
		s.ok(err)
		if wins.Load() != 1 || len(held) != 1 {
			t.Errorf("%d succeeded, and they hold %+v", wins.Load(), held)
		}
	})
}
