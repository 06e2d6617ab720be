package guard_test

import (
	"slices"
	"testing"
	"time"

	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/rules"
)

// TestNobodyGivesForLonger: who has a role for a time, or has activated it, gives it no longer than that, to nobody, by no group; else what is had for a time would be
// had for ever.
func TestNobodyGivesForLonger(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 10)
		omar := s.priya.invite("Omar")
		s.priya.publish(rulesOfTheStory + `@id("binds") permit (principal in Role::"clerk", action in [Action::"attorn:role:bind", Action::"attorn:group:add"], resource);`)
		s.group("devs")
		s.ok(s.give(guard.NewBinding{Principal: omar.sub(), Role: "clerk"}))
		s.ok(s.give(guard.NewBinding{Principal: omar.sub(), Role: "developer", Eligible: true}))
		s.ok(s.give(guard.NewBinding{Principal: "group:devs", Role: "developer", TTL: time.Hour}))
		_, _, err := s.Activate(t.Context(), omar.api(), rules.Grant{Role: "developer"}, 10*time.Minute, "incident 481")
		s.ok(err)
		bind := func(n guard.NewBinding) error {
			_, _, err := s.Bind(t.Context(), omar.api(), n)
			return err
		}
		add := func(group string) error {
			_, err := s.AddToGroup(t.Context(), omar.api(), group, s.bot.sub(), "")
			return err
		}
		for name, c := range map[string]struct {
			err  error
			code string
		}{
			"to another, for ever":        {bind(guard.NewBinding{Principal: s.bot.sub(), Role: "developer"}), "escalation"},
			"to a group, for ever":        {bind(guard.NewBinding{Principal: "group:devs", Role: "developer", Scope: "server:files"}), "escalation"},
			"a second longer":             {bind(guard.NewBinding{Principal: s.bot.sub(), Role: "developer", TTL: 10*time.Minute + time.Second}), "escalation"},
			"to be activated, for ever":   {bind(guard.NewBinding{Principal: s.maya.sub(), Role: "developer", Eligible: true}), "escalation"},
			"by a group that has it more": {add("devs"), "escalation"},
			"as long":                     {bind(guard.NewBinding{Principal: s.bot.sub(), Role: "developer", TTL: 10 * time.Minute}), ""},
			"what is had for ever":        {bind(guard.NewBinding{Principal: s.bot.sub(), Role: "clerk"}), ""},
		} {
			if fault.Code(c.err) != c.code {
				t.Errorf("%s: %v, want %q", name, c.err, c.code)
			}
		}
	})
}

// TestAProviderCompletesNoSet: of groups that together give what is held apart the later one stays out, also beside one that an administrator put somebody in and the
// provider says nothing of any more.
func TestAProviderCompletesNoSet(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 10)
		for group, role := range map[string]string{"audit": "auditor", "pay": "payer"} {
			s.group(group)
			s.ok(s.give(guard.NewBinding{Principal: "group:" + group, Role: role}))
		}
		_, err := s.SetDuties(t.Context(), s.priya.api(), rules.DutySet{Name: "pay", Roles: []string{"payer", "auditor"}, Max: 1}, "")
		s.ok(err)
		_, c := s.maya.passkeySession()
		s.ok(s.LinkUpstream(t.Context(), c, guard.Trip{Link: s.maya.user}, upstream(0)))
		claim := func(want []string, groups ...string) {
			t.Helper()
			i := upstream(0)
			i.Groups = groups
			_, _, err := s.SignInUpstream(t.Context(), i, "")
			s.ok(err)
			in, err := s.People.GroupsOf(t.Context(), id.Default, s.maya.sub())
			s.ok(err)
			if !slices.Equal(in[s.maya.sub()], want) {
				t.Errorf("claimed %v: in %v, want %v", groups, in[s.maya.sub()], want)
			}
		}
		claim([]string{"audit"}, "audit")
		claim([]string{"audit"}, "audit", "pay") // what was first stays
		claim([]string{"pay"}, "pay")
		claim([]string{"pay"}, "audit", "pay")
		claim(nil)
		claim([]string{"audit"}, "audit")
		s.ok(s.join("audit", s.maya)) // by an administrator's word, too
		claim([]string{"audit"}, "pay")
	})
}
