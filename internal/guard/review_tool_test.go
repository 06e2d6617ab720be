package guard_test

import (
	"testing"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/internal/approvals"
	"github.com/attorn/attorn/internal/catalog"
	"github.com/attorn/attorn/internal/db/dbtest"
)

// TestAToolsClassIsThatOfTheDecision: a call that was prepared, or waits for people, while a tool's class changes is decided by the class it has.
func TestAToolsClassIsThatOfTheDecision(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	s.priya.publish(rulesOfTheStory + `@id("careful") forbid (principal, action in Action::"destroy", resource);`)
	pin := s.call("write", `{"path":"a"}`).Pin
	_, err := s.Pin(t.Context(), s.priya.api(), "files", "write", pin, catalog.Read, false)
	s.ok(err)
	call := s.call("write", `{"path":"staging/a"}`)
	if v := s.start(s.deployer.tool(s.leaf), call); v.Outcome != evidence.Permit {
		t.Fatalf("while it only reads: %+v", v)
	}
	_, err = s.Pin(t.Context(), s.priya.api(), "files", "write", pin, catalog.Destroy, false)
	s.ok(err)
	if v := s.start(s.deployer.tool(s.leaf), call); v.Outcome != evidence.Deny || v.Code != "forbidden" {
		t.Errorf("once it destroys: %+v", v)
	}
}

// TestAnApprovalEndsWithItsServer: a server of the same name that is added later is another one, wherever it is and whatever it does.
func TestAnApprovalEndsWithItsServer(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 10)
		call := s.call("write", `{"path":"production/a"}`)
		v := s.start(s.deployer.tool(s.leaf), call)
		s.ok(s.maya.vote(v.Approval.ID, evidence.Approve))
		_, err := s.RemoveServer(t.Context(), s.priya.api(), "files")
		s.ok(err)
		s.priya.addFiles()
		found, err := s.Approvals.Get(t.Context(), s.deployer.tool(s.leaf).Workspace(), v.Approval.ID)
		s.ok(err)
		if found.Status != approvals.Void {
			t.Errorf("the approval is %s", found.Status)
		}
		if v := s.start(s.deployer.tool(s.leaf), call); v.Outcome != evidence.Ask {
			t.Errorf("at the new server: %+v", v)
		}
	})
}
