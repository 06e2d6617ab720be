package guard_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/fault"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
)

// orders are one of each kind, that the leaf's calls rest on.
func (s *story) orders() map[string]guard.Order {
	return map[string]guard.Order{
		"agent":          {Kind: "agent", ID: s.bot.agent.String()},
		"agent, revoked": {Kind: "agent", ID: s.bot.agent.String(), Revoke: true},
		"instance":       {Kind: "instance", ID: s.bot.signer.Public().Thumbprint().String()},
		"own instance":   {Kind: "instance", ID: s.deployer.signer.Public().Thumbprint().String(), Revoke: true},
		"user":           {Kind: "user", ID: s.priya.user.String()},
		"delegation":     {Kind: "delegation", ID: s.root.Statement.ID.String()},
		"tool":           {Kind: "tool", ID: "files:write"},
		"server":         {Kind: "tool", ID: "files"},
		"all":            {Kind: "all"},
	}
}

// TestNoPermitAfterAKill: 64 callers at one door race with a kill at the other, of each kind; no permit and no token stands after it in the log, and
// after a resume what was ended stays ended.
func TestNoPermitAfterAKill(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		for _, name := range orderNames {
			t.Run(name, func(t *testing.T) {
				dsn := another(t, dsn)
				s := newStory(t, dsn, 1000)
				s.bind(s.maya, "owner", false)
				doors := s.doors(dsn)
				call := s.call("write", `{"path":"staging/a"}`)
				waits := s.start(s.deployer.tool(s.leaf), s.call("write", `{"path":"production/a"}`)).Approval.ID
				callers, clients := make([]*guard.Caller, 64), make([]*guard.Client, 64)
				for i := range callers {
					callers[i], clients[i] = s.deployer.tool(s.leaf), s.deployer.client()
				}
				killer := s.maya.api()
				order := s.orders()[name]
				order.Reason = "odd"
				var killed guard.Killed
				inParallel(2*len(callers)+1, func(i int) string {
					door := doors[i%len(doors)]
					switch {
					case i == len(callers):
						var err error
						if killed, err = doors[len(doors)-1].Kill(context.Background(), killer, order); err != nil {
							t.Error(err)
						}
					case i > len(callers):
						_, err := door.Exchange(context.Background(), clients[i-len(callers)-1], guard.TokenRequest{
							Resource: issuer + "/mcp/files", Subject: s.leaf.String(), SubjectType: guard.TypeDelegation,
						})
						if f := fault.Of(err); err != nil && (f == nil || f.Kind == fault.Internal) {
							t.Error(err)
						}
					default:
						if _, err := door.Start(context.Background(), callers[i], call); err != nil && fault.Code(err) != "unsettled" {
							t.Error(err)
						}
					}
					return ""
				})
				rev := killed.Receipt.Rev
				if rev == 0 || len(killed.Toll.Approvals) != 1 || killed.Toll.Approvals[0] != waits {
					t.Fatalf("killed %+v", killed)
				}
				s.nothingAfter(rev, order.Kind == "tool")
			})
		}
	})
}

var orderNames = []string{"agent", "agent, revoked", "instance", "own instance", "user", "delegation", "tool", "server", "all"}

// another is an empty database of the same engine.
func another(t *testing.T, dsn string) string {
	if strings.HasPrefix(dsn, "sqlite:") {
		return dbtest.SQLite(t)
	}
	return dbtest.Postgres(t)
}

// nothingAfter holds the log to its promise.
func (s *story) nothingAfter(rev int64, tokens bool) {
	s.t.Helper()
	for _, kind := range []evidence.Kind{evidence.ToolStarted, evidence.TokenIssued} {
		found, err := s.log.Search(context.WithoutCancel(s.t.Context()), id.Default, audit.Filter{Kind: kind, Agent: s.deployer.agent, Limit: 200})
		s.ok(err)
		for _, e := range found {
			if e.Outcome != evidence.Deny && e.Rev > rev && (kind == evidence.ToolStarted || !tokens) {
				s.t.Errorf("%s at #%d, after the end at #%d", e.Kind, e.Rev, rev)
			}
		}
	}
}

// TestKillCounts: a dry run says what a kill then ends, and ends nothing; a kill ends each thing once.
func TestKillCounts(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 1000)
		s.bind(s.maya, "owner", false)
		s.deployer.tool(s.leaf) // a token
		_, err := s.bot.exchange(s.root.String(), guard.TypeDelegation)
		s.ok(err)
		s.start(s.deployer.tool(s.leaf), s.call("write", `{"path":"production/a"}`))
		shape := func(k guard.Killed) string {
			t := k.Toll
			return fmt.Sprintf("%d instances, %d delegations, %d approvals, %d tokens", len(t.Instances), len(t.Delegations), len(t.Approvals), t.Tokens)
		}
		o := guard.Order{Kind: "agent", ID: s.bot.agent.String(), Reason: "odd", DryRun: true}
		before, err := s.log.Rev(t.Context(), id.Default)
		s.ok(err)
		caller := s.maya.api()
		rev, err := s.log.Rev(t.Context(), id.Default)
		s.ok(err)
		would, err := s.Kill(t.Context(), caller, o)
		s.ok(err)
		after, err := s.log.Rev(t.Context(), id.Default)
		s.ok(err)
		if after != rev || would.Receipt.Rev != 0 {
			t.Errorf("a dry run wrote #%d to #%d, %d", before, after, rev)
		}
		if _, err := s.Kill(t.Context(), guard.Again(caller), o); fault.Code(err) != "replayed" {
			t.Errorf("its proof is good twice: %v", err)
		}
		if v := s.start(s.deployer.tool(s.leaf), s.call("write", `{"path":"staging/a"}`)); v.Outcome != evidence.Permit {
			t.Errorf("after a dry run: %+v", v)
		}
		o.DryRun = false
		did, err := s.Kill(t.Context(), s.maya.api(), o)
		s.ok(err)
		// The call after the dry run had a token of its own.
		if want := "1 instances, 2 delegations, 1 approvals, 4 tokens"; shape(would) != want || shape(did) != strings.Replace(want, "4 tokens", "5 tokens", 1) {
			t.Errorf("it would have ended %s, and ended %s", shape(would), shape(did))
		}
		e := s.event(did.Receipt.ID)
		if e.Kind != evidence.AgentSuspended || len(e.What.Ended) != 3 || e.What.Count != 0 || e.What.Text == nil {
			t.Errorf("the event: %s", e.Body)
		}
		_, _, _, err = s.EndAgent(t.Context(), s.maya.api(), s.bot.agent, "resume", "")
		s.ok(err)
		o.Revoke = true
		again, err := s.Kill(t.Context(), s.maya.api(), o)
		s.ok(err)
		if want := "1 instances, 2 delegations, 0 approvals, 0 tokens"; shape(again) != want || again.Undo != "" {
			t.Errorf("the second time it ended %s, %q", shape(again), again.Undo)
		}
	})
}

// TestAKillOfVeryMuch: what does not fit into the event is counted and kept beside it, and ends all the same; whoever kept anything of the workspace is
// told to drop it.
func TestAKillOfVeryMuch(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 10)
		const many = 5000
		rows := many - 2 // the story's own root and leaf are the others
		s.own(evidence.DecisionMade, evidence.What{}, func(tx *audit.Tx) error {
			parent := s.root.Statement.ID
			for i := range rows {
				d := id.New[id.Delegation](s.now)
				if _, err := tx.Exec(`INSERT INTO delegation (id, workspace, parent, root, statement, delegator, delegator_key, delegate, not_before, expires_at, uses, depth, task, signed, status, created_at)
					SELECT $1, workspace, $2, root, $3, delegator, delegator_key, delegate, not_before, expires_at, 0, 1, task, signed, 'active', created_at FROM delegation WHERE id = $4`,
					d, parent, id.Sum(fmt.Append(nil, i)), s.leaf.Statement.ID); err != nil {
					return err
				}
				if i%1000 == 0 {
					parent = d
				}
			}
			return nil
		})
		caller := s.deployer.tool(s.leaf)
		began := time.Now()
		got, err := s.Kill(t.Context(), s.priya.api(), guard.Order{Kind: "agent", ID: s.bot.agent.String(), Reason: "odd", Revoke: true})
		s.ok(err)
		t.Logf("%d ended in %s", len(got.Toll.Delegations), time.Since(began))
		e := s.event(got.Receipt.ID)
		list, err := s.log.Content(t.Context(), e.What.List)
		s.ok(err)
		if len(got.Toll.Delegations) != many || e.What.Count != many+1 || strings.Count(string(list), "\n") != many+1 || len(e.Body) > evidence.MaxEvent ||
			len(e.What.Ended) == 0 || int64(len(e.What.Ended)) >= e.What.Count {
			t.Errorf("%d ended, the event counts %d and names %d, the list has %d", len(got.Toll.Delegations), e.What.Count, len(e.What.Ended), strings.Count(string(list), "\n"))
		}
		touched := map[string]bool{}
		for _, x := range e.Touches() {
			touched[x] = true
		}
		if !touched[evidence.Workspace] || !touched[s.bot.agent.String()] {
			t.Error("the event does not touch everything that was kept")
		}
		if v := s.start(caller, s.call("write", `{"path":"staging/a"}`)); v.Outcome != evidence.Deny {
			t.Errorf("a call after it: %+v", v)
		}
		var left int
		s.own(evidence.DecisionMade, evidence.What{}, func(tx *audit.Tx) error {
			return tx.Row(`SELECT COUNT(*) FROM delegation WHERE status <> 'revoked'`).Scan(&left)
		})
		if left != 0 {
			t.Errorf("%d delegations still stand", left)
		}
	})
}

// TestFeedGap: what ended longer than a day ago is not told, nor what is yet to come; both mean that everything has to be dropped.
func TestFeedGap(t *testing.T) {
	s := newStory(t, dbtest.SQLite(t), 10)
	h, err := s.Feed(t.Context(), s.priya.api(), "", -1, -1, 0)
	s.ok(err)
	_, err = s.Kill(t.Context(), s.priya.api(), guard.Order{Kind: "agent", ID: s.bot.agent.String(), Reason: "odd"})
	s.ok(err)
	got, err := s.Feed(t.Context(), s.priya.api(), "", h.Rev, h.Server, 0)
	if err != nil || len(got.Ended) != 1 || got.Ended[0].Kind != evidence.AgentSuspended {
		t.Fatalf("%+v, %v", got, err)
	}
	s.now = s.now.Add(24*time.Hour + time.Second)
	for name, after := range map[string][2]int64{"a day later": {h.Rev, h.Server}, "the future": {1 << 40, h.Server}, "the server's future": {got.Rev, 1 << 40}} {
		if _, err := s.Feed(t.Context(), s.priya.api(), "", after[0], after[1], 0); fault.Code(err) != "feed_gap" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err = s.Feed(t.Context(), s.priya.api(), "", got.Rev, got.Server, 0); err != nil || len(got.Ended) != 0 {
		t.Errorf("who has heard of it is not told to drop anything: %+v, %v", got, err)
	}
}
