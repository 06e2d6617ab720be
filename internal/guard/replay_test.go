package guard_test

import (
	"testing"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/policy"
)

// A whole story, with approvals, refusals and acts of the API, decided again by the bundle of record is what it was; by another one exactly what that changes
// differs; and what was erased is told where it would be needed.
func TestReplayOfAStory(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 20)
		calls := []string{`{"path":"staging/a","text":"x"}`, `{"path":"staging/b","text":"y"}`, `{"path":"staging/a","text":"z"}`, `{"path":"staging/b","wrong":1}`}
		for _, args := range calls {
			s.start(s.deployer.tool(s.leaf), s.call("write", args))
		}
		s.start(s.bot.tool(s.root), s.call("read", `{"path":"x"}`))
		s.start(s.deployer.tool(s.leaf), s.call("read", `{"path":"x"}`)) // not lent
		asked := s.start(s.deployer.tool(s.leaf), s.call("write", `{"path":"production/a","text":"x"}`))
		if asked.Outcome != evidence.Ask {
			t.Fatalf("%+v", asked)
		}
		s.ok(s.maya.vote(asked.Approval.ID, evidence.Approve))
		if v := s.start(s.deployer.tool(s.leaf), s.call("write", `{"path":"production/a","text":"x"}`)); v.Outcome != evidence.Permit {
			t.Fatalf("%+v", v)
		}
		replay := func(files ...policy.File) policy.Outlook {
			t.Helper()
			ref := ""
			if files == nil {
				ref = "live"
			}
			r, err := s.Replay(t.Context(), s.priya.api(), files, ref, s.now.Add(-24*time.Hour))
			s.ok(err)
			done := int64(0)
			o, err := r.Run(t.Context(), func(n int64) error { done = n; return nil })
			s.ok(err)
			if done != r.Total() || done == 0 {
				t.Errorf("told %d of %d", done, r.Total())
			}
			if e := s.event(r.Event.ID); e.Kind != evidence.LogRead || e.What.Bundle != r.Candidate.Digest() || e.What.Base != r.Live.Digest() {
				t.Errorf("the event of a replay: %s", e.Body)
			}
			return o
		}
		o := replay()
		if o.Permitted+o.Denied+o.Asking+o.Lacking+o.Unexplained != 0 || o.Elsewhere == 0 || o.Events < 10 {
			t.Fatalf("by the bundle of record: %+v", o)
		}
		more := func(text string) policy.File {
			return policy.File{Path: "policies/test.cedar", Text: []byte(rulesOfTheStory + text)}
		}
		no := more(`@id("no-b") forbid (principal, action == Action::"tool:files:write", resource) when { context.args.path == "staging/b" };`)
		if o := replay(no); o.Denied != 1 || o.Permitted+o.Asking+o.Lacking+o.Unexplained != 0 || o.Flips[0].Reasons[0] != "no-b" || o.Flips[0].Actor != s.deployer.agent.String() {
			t.Errorf("without b: %+v", o)
		}
		ask := more(`@id("more") @approve("1 of release-manager") forbid (principal is Agent, action == Action::"tool:files:write", resource);`)
		if o := replay(ask); o.Asking != 4 { // three in staging; the approval of the one in production is of another gate
			t.Errorf("asked once more: %+v", o)
		}
		// What is gone is missed where somebody looks at it, and nowhere else.
		s.ok(s.log.Keep(t.Context(), func(tx *audit.Tx) error {
			_, err := tx.Exec(`DELETE FROM subject_key WHERE subject = $1`, s.deployer.agent.String())
			return err
		}))
		if o := replay(no); o.Lacking == 0 || o.Denied != 0 || len(o.Lacks) == 0 {
			t.Errorf("erased: %+v", o)
		}
		open := policy.File{Path: "policies/test.cedar", Text: []byte(`permit (principal, action, resource);`)}
		if o := replay(open); o.Lacking != 1 || o.Permitted+o.Asking+o.Denied != 0 { // the one in production: whether its answer changes rests on its path
			t.Errorf("erased, and not looked at: %+v", o)
		}
	})
}

// A replay is an act: it takes leave, leaves an event, and there are not many at once.
func TestReplayRefused(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	for name, c := range map[string]struct {
		by    *party
		files []policy.File
		ref   string
		code  string
	}{
		"a stranger": {s.maya, nil, "live", "no_permit"},
		"nonsense":   {s.priya, []policy.File{{Path: "policies/x.cedar", Text: []byte("permit everything")}}, "", "policy_invalid"},
		"nothing":    {s.priya, nil, "AAAAAAAA", "not_found"},
	} {
		if _, err := s.Replay(t.Context(), c.by.api(), c.files, c.ref, s.now); fault.Code(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	r, err := s.Replay(t.Context(), s.priya.api(), nil, "live", s.now.Add(-time.Hour))
	s.ok(err)
	_, err = r.Run(t.Context(), func(int64) error {
		_, err := r.Run(t.Context(), func(int64) error {
			_, err := r.Run(t.Context(), func(int64) error { return nil })
			return err
		})
		return err
	})
	if fault.Code(err) != "replaying" {
		t.Errorf("three at once: %v", err)
	}
	if _, err := r.Run(t.Context(), func(int64) error { return nil }); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
