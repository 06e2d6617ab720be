package guard_test

import (
	"slices"
	"testing"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/catalog"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/policy"
)

// moved is the server files registered anew in an environment, with the tools that it had.
func (s *story) moved(environment string) {
	s.t.Helper()
	tools, err := s.Tools(s.t.Context(), s.priya.api(), "files")
	s.ok(err)
	offer := catalog.Offer{Era: catalog.Legacy}
	for _, t := range tools {
		item, err := catalog.ReadItem(t.Kind, t.Seen)
		s.ok(err)
		offer.Items = append(offer.Items, item)
	}
	_, err = s.RemoveServer(s.t.Context(), s.priya.api(), "files")
	s.ok(err)
	_, err = s.RegisterServer(s.t.Context(), s.priya.api(), catalog.Server{Name: "files", Transport: "stdio", Command: []string{"files"}, Environment: environment}, offer)
	s.ok(err)
}

// Policies speak of a server's environment wherever they are asked: of calls, of lists of tools, and in simulation.
func TestEnvironment(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 10)
		s.priya.publish(`
@id("prod") forbid (principal is Agent, action == Action::"tool:files:write", resource in Environment::"prod");
@id("ok") permit (principal, action, resource) when { context.perm.s0 == "tool" };`)
		for _, c := range []struct {
			environment string
			outcome     evidence.Outcome
			sight       guard.Sight
		}{{"prod", evidence.Deny, guard.Hidden}, {"staging", evidence.Permit, guard.Open}, {"", evidence.Permit, guard.Open}, {"prod", evidence.Deny, guard.Hidden}} {
			s.moved(c.environment)
			call := s.call("write", `{"path":"a","text":"x"}`)
			v := s.start(s.bot.tool(s.root), call)
			if v.Outcome != c.outcome {
				t.Errorf("in %q: %+v", c.environment, v)
			}
			raw, err := s.log.Content(t.Context(), s.event(v.Event).Why.Facts)
			s.ok(err)
			f, err := policy.ParseFacts(raw)
			s.ok(err)
			in := slices.ContainsFunc(f.Entities, func(e policy.Entity) bool {
				return e.UID == policy.UID{Type: "Server", ID: "files"} && slices.Contains(e.Parents, policy.UID{Type: "Environment", ID: c.environment})
			})
			if in != (c.environment != "") {
				t.Errorf("the facts of a server in %q: %s", c.environment, raw)
			}
			sights, err := s.Visible(t.Context(), s.bot.tool(s.root), []guard.Call{call})
			s.ok(err)
			if sights[0] != c.sight {
				t.Errorf("in %q the tool is listed as %d", c.environment, sights[0])
			}
			told, err := s.Simulate(t.Context(), s.priya.api(), guard.Simulation{Actor: s.bot.sub(), For: s.priya.user, Action: "tool:files:write", Arguments: []byte(`{"path":"a"}`)}, nil)
			s.ok(err)
			if evidence.Outcome(told.Decision.Outcome) != c.outcome {
				t.Errorf("simulated in %q: %+v", c.environment, told.Decision)
			}
		}
		_, err := s.RegisterServer(t.Context(), s.priya.api(), catalog.Server{Name: "more", Transport: "stdio", Command: []string{"more"}, Environment: "Prod env"}, catalog.Offer{})
		if fault.Code(err) != "server_invalid" {
			t.Errorf("an environment with a space: %v", err)
		}
		e, err := s.log.Last(t.Context(), id.Default, evidence.ServerAdded, "Server::files")
		s.ok(err)
		if e.What.Environment != "prod" {
			t.Errorf("the event does not say where the server runs: %s", e.Body)
		}
	})
}
