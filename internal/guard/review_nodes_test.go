package guard_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/attorn/attorn/evidence"
	"github.com/attorn/attorn/id"
	"github.com/attorn/attorn/internal/agents"
	"github.com/attorn/attorn/internal/approvals"
	"github.com/attorn/attorn/internal/audit"
	"github.com/attorn/attorn/internal/catalog"
	"github.com/attorn/attorn/internal/clients"
	"github.com/attorn/attorn/internal/db"
	"github.com/attorn/attorn/internal/db/dbtest"
	"github.com/attorn/attorn/internal/guard"
	"github.com/attorn/attorn/internal/keyring"
	"github.com/attorn/attorn/internal/lending"
	"github.com/attorn/attorn/internal/people"
	"github.com/attorn/attorn/internal/rules"
	"github.com/attorn/attorn/internal/tickets"
)

// doors are the story's own and, on PostgreSQL, that of a second process on the same database.
func (s *story) doors(dsn string) []*guard.Guard {
	s.t.Helper()
	if strings.HasPrefix(dsn, "sqlite:") {
		return []*guard.Guard{s.Guard}
	}
	r, w, err := db.Open(s.t.Context(), dsn)
	s.ok(err)
	s.t.Cleanup(func() { w.Close() })
	sealer, err := keyring.NewSealer(make([]byte, 32))
	s.ok(err)
	ring, err := keyring.Open(s.t.Context(), r, sealer)
	s.ok(err)
	clock := func() time.Time { return s.now }
	l, err := audit.Open(s.t.Context(), audit.Config{Reader: r, Writer: w, Ring: ring, Issuer: issuer, Node: "n2", Now: clock})
	s.ok(err)
	s.t.Cleanup(l.Close)
	return []*guard.Guard{s.Guard, guard.New(guard.Config{
		Issuer: issuer, Log: l, Ring: ring, People: people.New(r), Agents: agents.New(r), Lending: lending.New(r), Rules: rules.New(r),
		Approvals: approvals.New(r), Catalog: catalog.New(r), Clients: clients.New(r), Tickets: tickets.New(r), Now: clock,
	})}
}

// TestTwoProcessesPermitOnce: of 64 calls at once over all nodes one uses an approval, one a proof, ten the ten uses, and each permit says how many
// uses it left, in the order of the log.
func TestTwoProcessesPermitOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 12)
		doors := s.doors(dsn)
		start := func(callers []*guard.Caller, call guard.Call) map[string]int {
			return inParallel(len(callers), func(i int) string {
				v, err := doors[i%len(doors)].Start(context.Background(), callers[i], call)
				if err != nil {
					return err.Error()
				}
				return strings.TrimSpace(string(v.Outcome) + " " + v.Code)
			})
		}
		each := func() []*guard.Caller {
			callers := make([]*guard.Caller, 64)
			for i := range callers {
				callers[i] = s.deployer.tool(s.leaf)
			}
			return callers
		}

		prod := s.call("write", `{"path":"production/a"}`)
		v := s.start(s.deployer.tool(s.leaf), prod)
		s.ok(s.maya.vote(v.Approval.ID, evidence.Approve))
		if got := start(each(), prod); got["permit"] != 1 || got["ask approval_pending"] != 63 {
			t.Errorf("one approval: %v", got)
		}
		staging := s.call("write", `{"path":"staging/a"}`)
		one := s.deployer.tool(s.leaf)
		same := make([]*guard.Caller, 64)
		for i := range same {
			same[i] = guard.Again(one)
		}
		if got := start(same, staging); got["permit"] != 1 || got["deny replayed"] != 63 {
			t.Errorf("one proof: %v", got)
		}
		if got := start(each(), staging); got["permit"] != 10 || got["deny delegation_exhausted"] != 54 {
			t.Errorf("the ten uses that are left: %v", got)
		}

		found, err := s.log.Search(t.Context(), id.Default, audit.Filter{Kind: evidence.ToolStarted, Limit: 200})
		s.ok(err)
		found = slices.DeleteFunc(found, func(e audit.Entry) bool { return e.Outcome != evidence.Permit }) // replays began nothing
		slices.Reverse(found)
		if len(found) != 12 {
			t.Errorf("%d calls are on record as permitted, want 12", len(found))
		}
		for i, e := range found {
			if left := *e.Under.UsesLeft; left != int64(11-i) {
				t.Errorf("permit %d, #%d, left %d uses", i, e.Rev, left)
			}
		}
		head, err := s.log.Head(t.Context(), id.Default)
		s.ok(err)
		for rev := head.Rev(); rev > 0; {
			page, err := s.log.Search(t.Context(), id.Default, audit.Filter{Before: rev, Limit: 200})
			s.ok(err)
			for _, e := range page {
				if rev--; e.Rev != rev {
					t.Fatalf("#%d stands where #%d belongs", e.Rev, rev)
				}
			}
			if len(page) == 0 {
				t.Fatalf("nothing before #%d", rev)
			}
		}
	})
}

// TestWhatOneNodeEndsNoOtherPermits: calls at one door race with the end of their ground at the other; no permit stands after it in the log.
func TestWhatOneNodeEndsNoOtherPermits(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, dsn string) {
		s := newStory(t, dsn, 1000)
		doors := s.doors(dsn)
		call := s.call("write", `{"path":"staging/a"}`)
		callers := make([]*guard.Caller, 64)
		for i := range callers {
			callers[i] = s.deployer.tool(s.leaf)
		}
		admin := s.priya.api()
		inParallel(len(callers)+1, func(i int) string {
			if i == len(callers)/2 {
				_, _, _, err := doors[len(doors)-1].EndAgent(context.Background(), admin, s.bot.agent, "suspend", "")
				if err != nil {
					t.Error(err)
				}
				return ""
			}
			_, err := doors[0].Start(context.Background(), callers[min(i, len(callers)-1)], call)
			if err != nil {
				t.Error(err)
			}
			return ""
		})
		end := s.newest(audit.Filter{Kind: evidence.AgentSuspended})
		found, err := s.log.Search(t.Context(), id.Default, audit.Filter{Kind: evidence.ToolStarted, Limit: 200})
		s.ok(err)
		for _, e := range found {
			if e.Outcome == evidence.Permit && e.Rev > end.Rev {
				t.Errorf("permitted at #%d, after the end at #%d", e.Rev, end.Rev)
			}
		}
	})
}
