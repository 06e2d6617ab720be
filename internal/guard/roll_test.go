package guard_test

import (
	"context"
	"strings"
	"testing"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/keyring"
)

func (s *story) rotateLog(ws id.Workspace, compromised bool) keyring.State {
	s.t.Helper()
	k, _, err := s.RotateKey(s.t.Context(), s.priya.api(), guard.Rotation{Log: ws, Compromised: compromised, Reason: "drill"})
	s.ok(err)
	return k
}

// TestPacksAcrossShards: whatever logs went on in other shards between and after calls, each call's evidence verifies with every trust policy that the
// server ever handed out, and so do calls on delegations, keys and votes of earlier shards.
func TestPacksAcrossShards(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 20)
	s.priya.publish(`permit (principal, action, resource);`)
	x := s.explainer()
	var events []id.Event
	var trusts [][]byte
	call := func() {
		t.Helper()
		v := s.start(s.from("10.1.2.3"))
		if v.Outcome != evidence.Permit {
			t.Fatalf("%+v", v)
		}
		events = append(events, v.Event)
		trust, err := x.Trust(t.Context())
		s.ok(err)
		trusts = append(trusts, trust)
	}
	call()
	first := s.rotateLog(id.Default, false)
	call()
	s.rotateLog(id.Server, true)
	call()
	s.rotateLog(id.Default, true)
	_, _, err := s.RotateKey(t.Context(), s.priya.api(), guard.Rotation{Compromised: true, Reason: "INC-212"})
	s.ok(err)
	call()
	s.rotateLog(id.Server, false)
	call()

	if st, err := s.Ring.State(t.Context(), first.Kid); err != nil || st.Status != keyring.Compromised || !strings.HasSuffix(st.Purpose, "/log/default/2026-2") {
		t.Errorf("the key of the second shard: %+v, %v", st, err)
	}
	for i, e := range events {
		pack, err := x.Pack(t.Context(), id.Default, e)
		s.ok(err)
		for j, trust := range trusts {
			report, err := evidence.Verify(pack, trust)
			s.ok(err)
			if !report.OK() {
				t.Errorf("call %d with the trust policy of call %d:\n%s", i, j, report.Tree())
			}
		}
	}
}

// TestLogsGoOnUnderLoad: calls that race with the closing of both logs, on all nodes, are permitted all the same, each once.
func TestLogsGoOnUnderLoad(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 200)
		doors := s.doors(dsn)
		call := s.call("write", `{"path":"staging/a"}`)
		callers := make([]*guard.Caller, 64)
		for i := range callers {
			callers[i] = s.deployer.tool(s.leaf)
		}
		admins := []*guard.Caller{s.priya.api(), s.priya.api()}
		got := inParallel(66, func(i int) string {
			door := doors[i%len(doors)]
			if i >= 64 {
				_, _, err := door.RotateKey(context.Background(), admins[i-64], guard.Rotation{Log: []id.Workspace{id.Default, id.Server}[i-64], Reason: "drill"})
				return "roll " + fault.Code(err)
			}
			v, err := door.Start(context.Background(), callers[i], call)
			if err != nil {
				return err.Error()
			}
			return string(v.Outcome)
		})
		if got["permit"] != 64 || got["roll "] != 2 {
			t.Errorf("%v", got)
		}
		left := map[int64]bool{}
		found, err := s.log.Search(t.Context(), id.Default, audit.Filter{Kind: evidence.ToolStarted, Limit: 200})
		s.ok(err)
		for _, e := range found {
			left[*e.Under.UsesLeft] = true
		}
		if len(found) != 64 || len(left) != 64 {
			t.Errorf("%d calls, which left %d different numbers of uses", len(found), len(left))
		}
	})
}

func TestWhoRotatesALog(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	if _, _, err := s.RotateKey(t.Context(), s.maya.api(), guard.Rotation{Log: id.Default, Reason: "x"}); fault.Code(err) != "no_permit" {
		t.Errorf("somebody rotates a log's key: %v", err)
	}
	none, _ := id.ParseWorkspace("none")
	if _, _, err := s.RotateKey(t.Context(), s.priya.api(), guard.Rotation{Log: none, Reason: "x"}); fault.Code(err) != "workspace_unknown" {
		t.Errorf("the log of no workspace: %v", err)
	}
	k := s.rotateLog(id.Server, true)
	if k.Status != keyring.Current || k.Purpose != "localhost:7070/log/server/2026-2" {
		t.Errorf("the new key is %s of %s", k.Status, k.Purpose)
	}
	closed, err := s.log.Last(t.Context(), id.Server, evidence.LogClosed, "localhost:7070/log/server/2026")
	s.ok(err)
	asked, err := s.log.Event(t.Context(), id.Server, closed.Cause)
	if err != nil || asked.Who.Sub != s.priya.user.String() || asked.What.Status != evidence.KeyCompromised || closed.What.Status != evidence.KeyCompromised {
		t.Errorf("the end of the log leads to %s, %v", asked.Body, err)
	}
}
