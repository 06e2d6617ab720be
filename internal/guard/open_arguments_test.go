package guard_test

import (
	"testing"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/policy"
)

// What a definition does not declare is refused, since no policy sees it, unless somebody accepted the definition with that.
func TestOpenArguments(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	s.priya.publish(`
@id("no") forbid (principal, action == Action::"tool:files:write", resource) when { context.args has secret };
@id("ok") permit (principal, action, resource) when { context.perm.s0 == "tool" };`)
	call := s.call("write", `{"path":"staging/a","secret":"x"}`)
	if v := s.start(s.bot.tool(s.root), call); v.Outcome != evidence.Deny || v.Code != policy.CodeSchema {
		t.Fatalf("%+v", v)
	}
	_, err := s.Pin(t.Context(), s.priya.api(), "files", "write", call.Pin, "write", true)
	s.ok(err)
	v := s.start(s.bot.tool(s.root), call)
	if v.Outcome != evidence.Permit {
		t.Fatalf("%+v", v)
	}
	raw, err := s.log.Content(t.Context(), s.event(v.Event).Why.Facts)
	s.ok(err)
	if f, err := policy.ParseFacts(raw); err != nil || !f.OpenArguments {
		t.Errorf("the facts do not say so: %v", err)
	}
	_, err = s.Pin(t.Context(), s.priya.api(), "files", "write", call.Pin, "write", false)
	s.ok(err)
	if v := s.start(s.bot.tool(s.root), call); v.Code != policy.CodeSchema {
		t.Fatalf("accepted anew: %+v", v)
	}
}
