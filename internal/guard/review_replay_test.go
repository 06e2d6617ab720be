package guard_test

import (
	"testing"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/approvals"
	"github.com/attorn/attorn/internal/catalog"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
)

// TestAReplayIsAnsweredByNothing sends every sort of request twice with one proof: the second is refused, whatever its answer would have been.
func TestAReplayIsAnsweredByNothing(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	nobody := s.priya.invite("Nina Noether")
	s.start(s.deployer.tool(s.leaf), s.call("write", `{"path":"production/a"}`)) // an approval that waits
	server := catalog.Server{Name: "more", Transport: "stdio", Command: []string{"more"}}
	for name, c := range map[string]struct {
		who *party
		do  func(c *guard.Caller) error
	}{
		"what one may see of approvals": {nobody, func(c *guard.Caller) error {
			_, err := s.ListApprovals(t.Context(), c, approvals.Pending, id.Approval{}, 10)
			return err
		}},
		"all approvals": {s.priya, func(c *guard.Caller) error {
			_, err := s.ListApprovals(t.Context(), c, approvals.Pending, id.Approval{}, 10)
			return err
		}},
		"before a server is contacted or run": {s.priya, func(c *guard.Caller) error { return s.MayRegister(t.Context(), c, server) }},
		"whoami":                              {nobody, func(c *guard.Caller) error { _, err := s.Whoami(t.Context(), c); return err }},
		"agents":                              {s.priya, func(c *guard.Caller) error { _, err := s.ListAgents(t.Context(), c, guard.AgentQuery{}); return err }},
		"log":                                 {s.priya, func(c *guard.Caller) error { _, err := s.History(t.Context(), c); return err }},
	} {
		t.Run(name, func(t *testing.T) {
			caller := c.who.api()
			if err := c.do(caller); err != nil {
				t.Fatal(err)
			}
			if err := c.do(guard.Again(caller)); fault.Code(err) != "replayed" {
				t.Errorf("the same proof again: %v", err)
			}
		})
	}
}

// TestAReplayProvesNothingLater: what a request does after its proof turned out to be used is refused for the same reason.
func TestAReplayProvesNothingLater(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	call := s.call("write", `{"path":"staging/a"}`)
	c := s.deployer.tool(s.leaf)
	if v := s.start(c, call); v.Outcome != evidence.Permit {
		t.Fatalf("%+v", v)
	}
	thief := guard.Again(c)
	for range 3 {
		if v := s.start(thief, call); v.Code != "replayed" {
			t.Errorf("the thief's request: %+v", v)
		}
	}
	refused := s.call("wipe", `{"path":"staging/a"}`)
	for _, call := range []guard.Call{refused, call} {
		if v := s.start(guard.Again(c), call); v.Code != "replayed" {
			t.Errorf("%s: %+v", call.Tool, v)
		}
	}
	api := s.priya.api()
	if err := s.Self(t.Context(), api); err != nil {
		t.Fatal(err)
	}
	thief = guard.Again(api)
	for range 2 {
		if _, err := s.RemoveServer(t.Context(), thief, "files"); fault.Code(err) != "replayed" {
			t.Errorf("an act after a replay: %v", err)
		}
	}
}
